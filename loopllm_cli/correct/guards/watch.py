"""Watch a run from checkpoint to checkpoint: stop what goes wrong, keep the best there was.

Loss and reward accuracy look the same in good, collapsed and inverted runs. What tells them apart
is measured here on answers that are not trained on: liked ones of other traffic (retention), and
the better sides of held-out pairs (repair).

Imports transformers at the top; import this module only inside functions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from transformers import TrainerCallback

from loopllm_cli.correct.encoding import EncodedAnswer
from loopllm_cli.correct.generate import adapter_off
from loopllm_cli.correct.guards.held_out import AnswerLogps, Array, answer_logps
from loopllm_cli.correct.guards.kept import KeptWeights
from loopllm_cli.correct.processes import from_main
from loopllm_cli.correct.score import kl_of_encoded

HELD_OUT = 24
"""Held-out pairs per look: as many answers as the retention guard measures."""
FEWEST = 8
"""Below eight pairs a mean is a matter of which ones they are."""
MAX_FALL = 0.3
"""Nats per token that held-out better answers may fall below the base while margins grow. On the
sample model, runs that passed ended at -0.03 and -0.09; collapsed ones at -1.7 and -5.2."""
MAX_END_FALL = 0.3
"""Nats that the end of held-out better answers may become unlikelier, in the mean. On the sample
model, runs that passed stayed below 0.001; collapsed ones ended at 0.6 and 4.3."""
PATIENCE = 3
"""Looks in a row that must be worse than the best one before a run is ended for it."""
SURE = 2.0
"""Standard errors of a paired difference: worse in 98 of 100 such differences by more than luck."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What a run is watched on: answers to be kept, both sides of held-out pairs, and the limits.

    `kl_limit` is in nats per token; `may_fall` is for losses that lower both sides by design.
    """

    retention: Sequence[EncodedAnswer]
    better: Sequence[EncodedAnswer]
    worse: Sequence[EncodedAnswer]
    stops: Collection[int]
    kl_limit: float
    every: int
    may_fall: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """One look between two steps.

    `better` and `end` are nats that held-out better answers (per token), and their last token,
    have become likelier; `preferred` is the share of pairs whose better answer is the likelier one.
    """

    step: int
    kl: float | None
    better: float | None = None
    end: float | None = None
    preferred: float | None = None


class Watch(TrainerCallback):  # type: ignore[misc]  # transformers has no type stubs
    """Look at every checkpoint; stop and go back, or end early, and say why."""

    def __init__(self, watched: Watched, kept: KeptWeights) -> None:
        self._watched = watched
        self._kept = kept
        self._base: AnswerLogps | None = None
        self._margin: float | None = None
        self._n_worse = 0
        self.looks: list[Look] = []
        self.stopped_at: int | None = None
        self.guard = self.why = ""
        self.ended_early = ""

    @property
    def kept_from(self) -> int:
        """The step whose weights are kept."""
        return self._kept.step

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure the base, and take what an interrupted run has kept."""
        model = kwargs["model"]
        preferred: list[float] = []
        if self._watched.better:
            model.eval()
            with adapter_off(model):
                self._base = self._score(model)
                preferred = self._preferred(model, self._base).tolist()
            model.train()
        if not self._kept.load():
            self._kept.remember(model, state.global_step, preferred)
        self._n_worse = self._kept.counted(state.global_step)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """Note the training margin, which the displacement guard asks for."""
        if logs and "rewards/margins" in logs:
            self._margin = float(logs["rewards/margins"])

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Look at every checkpoint; above a limit, go back to the best and stop."""
        if state.global_step % self._watched.every and state.global_step != state.max_steps:
            return control
        model = kwargs["model"]
        model.eval()
        kl, now, preferred = from_main(lambda: self._look(model))
        model.train()
        self._note(Look(state.global_step, kl), now, preferred)
        self.guard, self.why = self._judge(kl)
        if self.why:
            self.stopped_at = state.global_step
            self._go_back(model, control)
        else:
            self._compare(model, state, control, preferred)
            self._kept.count(state.global_step, self._n_worse)
        return control

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Go back to the best weights where the last ones are surely worse."""
        if self.stopped_at is None and not self.ended_early and self._n_worse:
            self._kept.restore(kwargs["model"])
            self.ended_early = self._said_best()

    def _look(self, model: Any) -> tuple[float | None, AnswerLogps | None, Array | None]:
        liked = self._watched.retention
        kl = kl_of_encoded(model, liked).usual if liked else None
        now = self._score(model) if self._watched.better else None
        return kl, now, self._preferred(model, now) if now is not None else None

    def _score(self, model: Any) -> AnswerLogps:
        return answer_logps(model, self._watched.better, self._watched.stops)

    def _preferred(self, model: Any, better: AnswerLogps) -> Array:
        worse = answer_logps(model, self._watched.worse, self._watched.stops)
        return np.asarray(better.total > worse.total, dtype=float)

    def _note(self, look: Look, now: AnswerLogps | None, preferred: Array | None) -> None:
        base = self._base
        if now is not None and base is not None and preferred is not None:
            ends = (now.end - base.end)[np.isfinite(now.end)]
            look = replace(
                look,
                better=float(np.mean(now.per_token - base.per_token)),
                end=float(np.mean(ends)) if len(ends) else None,
                preferred=float(preferred.mean()),
            )
        self.looks.append(look)

    def _judge(self, kl: float | None) -> tuple[str, str]:
        """Name the guard that must stop the run and say why, or return nothing."""
        look = self.looks[-1]
        limit = self._watched.kl_limit
        if kl is not None and not kl <= limit:
            return "retention", f"KL {kl:.3g} nats per token on other traffic, limit {limit:g}"
        fell = -(look.better or 0.0)
        if not self._watched.may_fall and fell > MAX_FALL and (self._margin or 0.0) > 0:
            return "displacement", (
                f"held-out better answers became less likely by {fell:.2g} nats per token, limit "
                f"{MAX_FALL:g}, while margins grew: both sides are pushed down"
            )
        if look.end is not None and -look.end > MAX_END_FALL:
            return "length", (
                f"answers stop ending: the end of held-out better answers became less likely by "
                f"{-look.end:.2g} nats, limit {MAX_END_FALL:g}"
            )
        return "", ""

    def _compare(self, model: Any, state: Any, control: Any, now: Array | None) -> None:
        """Keep these weights unless fewer pairs are preferred rightly; give up after some looks."""
        if now is None:
            self._kept.remember(model, state.global_step, [])
            return
        gained = now - np.asarray(self._kept.held_out)
        if gained.mean() >= 0:
            self._n_worse = 0
            self._kept.remember(model, state.global_step, now.tolist())
            return
        error = gained.std(ddof=1) / np.sqrt(len(gained))
        self._n_worse = self._n_worse + 1 if gained.mean() < -SURE * error else 0
        if self._n_worse >= PATIENCE and state.global_step < state.max_steps:
            self.ended_early = (
                f"ended early at step {state.global_step} of {state.max_steps}: {self._said_best()}"
            )
            self._go_back(model, control)

    def _said_best(self) -> str:
        share = float(np.mean(self._kept.held_out))
        return (
            f"the better answer was the likelier one in {share:.0%} of held-out pairs at step "
            f"{self.kept_from}, and surely in fewer since; those weights are kept"
        )

    def _go_back(self, model: Any, control: Any) -> None:
        self._kept.restore(model)
        control.should_training_stop = True
        control.should_save = False
