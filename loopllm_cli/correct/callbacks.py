"""What happens between two training steps: saying how far we are, and guarding other traffic.

Imports transformers at the top; import this module only inside functions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from transformers import TrainerCallback

from loopllm_cli.correct.encoding import EncodedAnswer
from loopllm_cli.correct.request import Progress
from loopllm_cli.correct.score import kl_of_encoded


class ReportProgress(TrainerCallback):  # type: ignore[misc]  # transformers has no type stubs
    """Hand every logged step to a function."""

    def __init__(self, on_progress: Callable[[Progress], None], started: float) -> None:
        self._on_progress = on_progress
        self._started = started
        self.last: dict[str, float] = {}

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
            )
        )


class RetentionGuard(TrainerCallback):  # type: ignore[misc]  # transformers has no type stubs
    """Stop when the model moves too far on answers it should leave alone, and go back.

    TRL's own metrics (loss, reward accuracy) look the same in good, collapsed and inverted runs;
    the divergence on liked answers that are not trained on tells them apart.
    """

    def __init__(self, held_out: Sequence[EncodedAnswer], limit: float, every: int) -> None:
        self._held_out = held_out
        self._limit = limit
        self._every = every
        self._good: dict[str, Any] = {}
        self.kl = 0.0
        self.stopped_at: int | None = None
        self.kept_from = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take the weights that training starts (or resumes) from as the last good ones."""
        self._remember(kwargs["model"], state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Measure at every checkpoint; above the limit, restore and stop."""
        if state.global_step % self._every and state.global_step != state.max_steps:
            return control
        model = kwargs["model"]
        model.eval()
        self.kl = kl_of_encoded(model, self._held_out).mean
        model.train()
        if self.kl <= self._limit:
            self._remember(model, state.global_step)
            return control
        for name, parameter in model.named_parameters():
            if name in self._good:
                parameter.data.copy_(self._good[name])
        self.stopped_at = state.global_step
        control.should_training_stop = True
        control.should_save = False
        return control

    def _remember(self, model: Any, step: int) -> None:
        self.kept_from = step
        self._good = {
            name: parameter.detach().clone()
            for name, parameter in model.named_parameters()
            if parameter.requires_grad
        }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
