"""Say between two training steps how far a run is.

Imports transformers at the top; import this module only inside functions.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback

from loopllm_cli.correct.request import Progress


class ReportProgress(TrainerCallback):  # type: ignore[misc]  # transformers has no type stubs
    """Hand every logged step to a function."""

    def __init__(self, on_progress: Callable[[Progress], None], started: float) -> None:
        self._on_progress = on_progress
        self._started = started
        self._first: tuple[int, float] | None = None
        self.last: dict[str, float] = {}

    def say(self, phase: str) -> None:
        """Report a phase."""
        self._on_progress(Progress(phase, seconds=time.monotonic() - self._started))

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any
    ) -> None:
        """Report the step whose loss was just logged."""
        if not logs or "loss" not in logs:
            return
        self.last = {key: float(value) for key, value in logs.items() if _is_number(value)}
        self._on_progress(
            Progress(
                phase="training",
                step=state.global_step,
                n_steps=state.max_steps,
                loss=self.last.get("loss"),
                learning_rate=self.last.get("learning_rate"),
                seconds=time.monotonic() - self._started,
                left=self._left(state.global_step, state.max_steps),
            )
        )

    def _left(self, step: int, n_steps: int) -> float | None:
        """Return the seconds left at the pace so far, looks at the held-out answers included.

        Loading, and steps of an earlier part of the run, do not count.
        """
        now = time.monotonic()
        if self._first is None:
            self._first = (step, now)
            return None
        first, since = self._first
        return (now - since) / max(1, step - first) * (n_steps - step)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
