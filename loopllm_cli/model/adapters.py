"""Adapters of a project: what they are, whether they serve, which one is promoted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class AdapterEntry:
    """One adapter as its folder and the project's records describe it.

    `adapter_hash` is taken of the weights now; `verdict` is that of the verification of exactly
    these weights for the drift run they were made for. `problems` says what is missing, damaged or
    changed.
    """

    name: str
    path: str
    created: str | None
    model: str | None
    pairs_path: str | None
    drift_run_id: str | None
    adapter_hash: str | None
    verify_id: str | None
    verdict: str | None
    n_bytes: int
    promoted: bool
    erased_rows: bool
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AdapterList:
    """All adapters of a project, newest first."""

    adapters: tuple[AdapterEntry, ...]
    promoted: str | None


@dataclass(frozen=True, slots=True)
class ServingCheck:
    """Whether a server that applies LoRA adapters at run time can take this one.

    `max_lora_rank` is the smallest value of vLLM's option that is enough.
    """

    fits: bool
    max_lora_rank: int | None
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PromotionEvent:
    """One line of the history: who promoted, rolled back or erased what, when, on what grounds."""

    at: str
    action: str
    path: str
    adapter_hash: str
    by: str
    reason: str = ""
    forced: bool = False
    verify_id: str | None = None
    drift_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class AdapterDetail:
    """Everything about one adapter."""

    entry: AdapterEntry
    lineage: dict[str, Any]
    recipe: dict[str, Any]
    verify_reasons: tuple[str, ...]
    serving: ServingCheck
    history: tuple[PromotionEvent, ...]


@dataclass(frozen=True, slots=True)
class Promotion:
    """What a promotion or a rollback came to; `changed` is False where it was so before."""

    event: PromotionEvent
    changed: bool
    previous: str | None
    pointer: str


@dataclass(frozen=True, slots=True)
class PruneResult:
    """Which adapters went, or would go, and why each other one stays."""

    removed: tuple[str, ...]
    kept: tuple[tuple[str, str], ...]
    n_bytes: int
    dry_run: bool


@dataclass(frozen=True, slots=True)
class MergeResult:
    """A merged model, and how far its logits lie from those of base and adapter.

    `difference` is the largest one before the weights are rounded to `dtype`, `after_rounding` that
    of the files as they were written and loaded again.
    """

    path: str
    model: str
    adapter: str
    adapter_hash: str
    dtype: str
    difference: float
    after_rounding: float
    tolerance: float
