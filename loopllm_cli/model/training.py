"""What a training run would be, before its first step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class SettingChoice:
    """A setting, its value, and why it has this value."""

    name: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Everything that is known before the first step.

    `tokens` has medians, 95% points and maxima of contexts and answers, by name; `memory` is in
    bytes and sums to `peak_bytes`. Estimates are None for a model whose files do not tell its
    sizes; `fits` is also None where the device does not tell its memory.
    """

    model: str
    pairs: str
    adapter: str
    device: str
    n_train: int
    n_test: int
    n_retention: int
    n_steps: int
    dropped: dict[str, int]
    tokens: dict[str, float]
    choices: tuple[SettingChoice, ...]
    peak_bytes: int | None
    memory: dict[str, int]
    seconds: float | None
    fits: bool | None
    recipe: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
