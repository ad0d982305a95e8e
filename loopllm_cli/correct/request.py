"""What a training run is asked to do, and what it says while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from loopllm_cli.correct.recipe import Recipe


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """Which model to correct, with which pairs, how, and where the adapter goes.

    `model` is a folder or a hub name; `adapter_out` must not exist yet.
    """

    model: str
    pairs: Path
    adapter_out: Path
    recipe: Recipe = field(default_factory=Recipe)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training run is.

    `phase` is "loading", "checking", "training", "measuring" or "saving"; steps and loss are
    given while training. `seconds` counts from the start of the run.
    """

    phase: str
    step: int = 0
    n_steps: int = 0
    loss: float | None = None
    learning_rate: float | None = None
    seconds: float = 0.0
