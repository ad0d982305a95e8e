"""End a run whose gradients say that it cannot work: no number, infinite, or exactly zero.

Imports transformers at the top; import this module only inside functions.
"""

from __future__ import annotations

import math
from typing import Any

from transformers import TrainerCallback

from loopllm_cli.errors import BadPairs, ConfigError

STILL = 3
"""Steps from the start without any gradient before it is called none: in a float32 run even one
pair with two different sides gives some."""


class GradientGuard(TrainerCallback):  # type: ignore[misc]  # transformers has no type stubs
    """Read the gradient's norm of every step. TRL trains on without a word in all three cases."""

    def __init__(self, learning_rate: float) -> None:
        self._rate = learning_rate
        self._n_zero = 0
        self.largest = 0.0

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """Look at what was logged.

        Raises:
            ConfigError: the run diverged.
            BadPairs: there is nothing to learn.
        """
        if not logs or "loss" not in logs:
            return
        norm, loss = float(logs.get("grad_norm", 1.0)), float(logs["loss"])
        if not math.isfinite(norm) or not math.isfinite(loss):
            raise ConfigError(
                f"training diverged at step {state.global_step} of {state.max_steps} with "
                f"learning_rate = {self._rate:g}: loss {loss:g}, gradient {norm:g}",
                "train again with a learning_rate ten times lower, or let --auto find one",
            )
        self.largest = max(self.largest, norm)
        self._n_zero = self._n_zero + 1 if norm == 0.0 else 0
        if self._n_zero >= STILL and state.global_step == self._n_zero:
            raise BadPairs(
                f"the gradient of the first {STILL} steps is exactly zero: there is nothing to "
                "learn in these pairs",
                "are both sides of the pairs the same? see: loopllm pairs show",
            )
