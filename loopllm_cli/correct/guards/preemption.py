"""SIGTERM, as schedulers send it before they take a machine away: save, stop, say how to go on.

Imports transformers at the top; import this module only inside functions.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from transformers import TrainerCallback

from loopllm_cli.correct.processes import any_of_all


class Preemption(TrainerCallback):  # type: ignore[misc]  # transformers has no type stubs
    """End a run after the step at hand, with a checkpoint of it, once SIGTERM has come."""

    def __init__(self) -> None:
        self.asked = False
        self.step = 0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Save and stop."""
        self.asked = any_of_all(self.asked)
        if self.asked:
            self.step = state.global_step
            control.should_save = True
            control.should_training_stop = True
        return control

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen for SIGTERM; outside of the main thread, where Python cannot, do nothing."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGTERM, self._note)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
