"""The optimizer steps of a run, with everything that watches them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopllm_cli.correct.batching import balance_batches
from loopllm_cli.correct.encoding import EncodedAnswer, encode_answer
from loopllm_cli.correct.partial import Workplace, last_checkpoint
from loopllm_cli.correct.peak_memory import PeakMemory
from loopllm_cli.correct.prepare import Prepared
from loopllm_cli.correct.reference_cache import attach_reference
from loopllm_cli.correct.request import Progress
from loopllm_cli.correct.trainer import count_steps, encode_rows, make_trainer, save_every
from loopllm_cli.errors import Terminated

if TYPE_CHECKING:
    from loopllm_cli.correct.guards.preemption import Preemption
    from loopllm_cli.correct.guards.watch import Watch

# Losses that lower the better answers too, by design.
_LOWERS_BOTH = frozenset({"apo_down"})


@dataclass(frozen=True, slots=True)
class StepsRequest:
    """What the steps are taken with."""

    prepared: Prepared
    place: Workplace
    on_progress: Callable[[Progress], None]
    started: float
    reference_cache: Path | None
    model_hash: str


@dataclass(slots=True)
class Steps:
    """The trainer after its last step, and what is to be said of it."""

    trainer: Any
    notes: list[str] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)


def run_steps(model: Any, asked: StepsRequest) -> Steps:
    """Take all steps, or go on from the last whole checkpoint.

    Raises:
        BadPairs: the gradient is zero from the start.
        ConfigError: the run diverged.
        Terminated: SIGTERM came.
    """
    from loopllm_cli.correct.callbacks import ReportProgress
    from loopllm_cli.correct.guards.gradients import GradientGuard
    from loopllm_cli.correct.guards.preemption import Preemption

    recipe = asked.prepared.recipe
    started = time.monotonic()
    with PeakMemory(asked.prepared.device.kind) as peak:
        trainer = _make_trainer(model, asked)
        steps = Steps(trainer)
        report = ReportProgress(asked.on_progress, asked.started)
        watch, preemption = _watch(asked), Preemption()
        for callback in (report, GradientGuard(recipe.learning_rate), watch, preemption):
            trainer.add_callback(callback)
        checkpoint = last_checkpoint(asked.place.checkpoints)
        if checkpoint is not None:
            step = checkpoint.name.removeprefix("checkpoint-")
            steps.notes.append(f"resumed at step {step}")
        report.say("training")
        with preemption.listening():
            outcome = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    _refuse_terminated(preemption, watch, trainer)
    steps.metrics["train_loss"] = report.last.get("loss", float(outcome.training_loss))
    _note_truth(steps, asked, peak.bytes, time.monotonic() - started)
    _note_watch(steps, watch, recipe.kl_limit)
    return steps


def _make_trainer(model: Any, asked: StepsRequest) -> Any:
    prepared, recipe = asked.prepared, asked.prepared.recipe
    cached = recipe.method == "dpo" and recipe.precompute_reference
    # The cache computes what TRL would, and keeps it for later runs on the same pairs.
    made = replace(recipe, precompute_reference=False) if cached else recipe
    rows = prepared.rows.rows
    trainer = make_trainer(model, prepared.tokenizer, rows, made, asked.place.checkpoints)
    if cached:
        key = f"{asked.model_hash} {model.dtype} {recipe.quantization}"
        attach_reference(trainer, asked.reference_cache, key)
    if recipe.batching == "balanced":
        balance_batches(trainer, recipe.seed)
    return trainer


def _watch(asked: StepsRequest) -> Watch:
    from loopllm_cli.correct.guards.kept import KeptWeights
    from loopllm_cli.correct.guards.watch import FEWEST, HELD_OUT, Watch, Watched

    prepared, recipe = asked.prepared, asked.prepared.recipe
    rows = prepared.rows
    better, worse = _held_out(prepared, HELD_OUT)
    if len(better) < FEWEST:
        better, worse = [], []
    watched = Watched(
        retention=encode_rows(prepared.tokenizer, rows.guard),
        better=better,
        worse=worse,
        stops=prepared.stops,
        kl_limit=recipe.kl_limit,
        every=save_every(count_steps(len(rows.rows), recipe), recipe),
        may_fall=recipe.method == "sft" or bool(_LOWERS_BOTH & set(recipe.loss_type)),
    )
    return Watch(watched, KeptWeights(asked.place.root))


def _held_out(prepared: Prepared, most: int) -> tuple[list[EncodedAnswer], list[EncodedAnswer]]:
    """Encode both sides of held-out pairs that are no longer than what is trained on."""
    better, worse = [], []
    for row in prepared.checked.test[:most]:
        said = (row.chosen_message, row.rejected_message)
        sides = [encode_answer(prepared.tokenizer, row.prompt, one, row.tools) for one in said]
        lengths = [len(side.prompt) + len(side.answer) for side in sides]
        if max(lengths) <= prepared.recipe.max_length and all(side.answer for side in sides):
            better.append(sides[0])
            worse.append(sides[1])
    return better, worse


def _refuse_terminated(preemption: Preemption, watch: Watch, trainer: Any) -> None:
    if preemption.asked and watch.stopped_at is None:
        step, n_steps = trainer.state.global_step, trainer.state.max_steps
        raise Terminated(
            f"SIGTERM came: stopped after step {step} of {n_steps}, with a checkpoint",
            "run the same command again: it goes on from there",
        )


def _note_truth(steps: Steps, asked: StepsRequest, peak: int | None, seconds: float) -> None:
    """Put what was estimated beside what it came to."""
    found = asked.prepared.estimate
    steps.metrics["training_seconds"] = seconds
    if peak is not None:
        steps.metrics["peak_memory_mb"] = peak / 1e6
    if found is not None:
        steps.metrics["estimated_peak_memory_mb"] = found.peak_bytes / 1e6
        if found.seconds is not None:
            steps.metrics["estimated_training_seconds"] = found.seconds


def _note_watch(steps: Steps, watch: Watch, kl_limit: float) -> None:
    if watch.stopped_at is not None:
        steps.metrics["guard_stopped_at_step"] = float(watch.stopped_at)
        steps.notes.append(
            f"the {watch.guard} guard stopped the run at step {watch.stopped_at} of "
            f"{steps.trainer.state.max_steps} ({watch.why}) and went back to step "
            f"{watch.kept_from}; train again with a lower learning_rate, or let --auto find one"
        )
    elif watch.ended_early:
        steps.notes.append(watch.ended_early)
        steps.metrics["kept_from_step"] = float(watch.kept_from)
