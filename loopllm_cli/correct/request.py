"""What a training run is asked to do, and what it says while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from loopllm_cli.correct.recipe import Recipe


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """Which model to correct, with which pairs, how, and where the adapter goes.

    `model` is a folder or a hub name; `adapter_out` must not exist yet. `reference_cache` is a
    file that keeps the reference's log-probabilities for later runs; None keeps nothing. `served`
    is the adapter that production answers with, on this model or another.
    """

    model: str
    pairs: Path
    adapter_out: Path
    recipe: Recipe = field(default_factory=Recipe)
    reference_cache: Path | None = None
    served: Path | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training run is.

    `phase` is "loading", "checking", "training", "measuring" or "saving"; steps and loss are
    given while training. `seconds` counts from the start of the run, `left` is how long the
    remaining steps will take. `said` is a line that is worth keeping: a choice, an estimate.
    """

    phase: str
    step: int = 0
    n_steps: int = 0
    loss: float | None = None
    learning_rate: float | None = None
    seconds: float = 0.0
    left: float | None = None
    said: str = ""
