"""Adapters, and the proof of an adapter."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from loopllm_cli.model.display import Displayed
from loopllm_cli.model.drift import Comparison
from loopllm_cli.model.signals import SignalInfo


@dataclass(frozen=True, slots=True)
class AdapterCard(Displayed):
    """What was trained, on what, and how it went."""

    path: str
    model: str
    model_hash: str
    pairs_path: str
    pairs_hash: str
    baseline_name: str | None
    drift_run_id: str | None
    method: str
    n_train: int
    n_steps: int
    seconds: float
    device: str
    recipe: dict[str, Any]
    versions: dict[str, str]
    adapter_hash: str
    final_metrics: dict[str, float]
    notes: tuple[str, ...] = ()


class Gate(StrEnum):
    """The verdict on an adapter."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing an adapter had to show, with the words that say whether it did."""

    name: str
    gate: Gate
    text: str
    n: int = 0
    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Repair:
    """One drifted signal in one segment: baseline, model as it is, model with the adapter."""

    signal: SignalInfo
    segment: str
    label: str
    n: int
    baseline: float
    before: float
    after: float
    low: float
    high: float
    gate: Gate
    reason: str


@dataclass(frozen=True, slots=True)
class VerifyResult(Displayed):
    """The proof (or its failure) that an adapter repairs the drift and breaks nothing else."""

    run_id: str
    created: datetime
    adapter: str
    adapter_hash: str
    model: str
    baseline_name: str
    drift_run_id: str
    gate: Gate
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]
    repairs: tuple[Repair, ...]
    untouched: tuple[Comparison, ...]
    n_prompts: dict[str, int] = field(default_factory=dict)
    version: str = ""
    served: str | None = None
