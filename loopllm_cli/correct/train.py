"""Train an adapter from a pairs folder: check, train, measure, write, and only then show it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from loopllm_cli.correct.card import CardFacts, write_card
from loopllm_cli.correct.extra import installed_versions, require_extra
from loopllm_cli.correct.loading import (
    load_model,
    load_tokenizer,
    model_hash,
    resolve_device,
    stop_token_ids,
)
from loopllm_cli.correct.partial import (
    Workplace,
    last_checkpoint,
    open_workplace,
    pairs_digest,
    refuse_existing,
)
from loopllm_cli.correct.preflight import CheckedPairs, check_pairs
from loopllm_cli.correct.quiet import quiet
from loopllm_cli.correct.request import Progress, TrainRequest
from loopllm_cli.correct.score import adapter_effect, kl_of_encoded, score_pairs
from loopllm_cli.correct.trainer import (
    TrainingSet,
    build_training_set,
    count_steps,
    encode_rows,
    has_sft,
    make_trainer,
    save_every,
)
from loopllm_cli.errors import ConfigError, ModelUnusable, OutOfMemory
from loopllm_cli.model import AdapterCard

OnProgress = Callable[[Progress], None]

# Enough held-out pairs for a share with a standard error of 0.035, without costing more time
# than training does.
MAX_MEASURED = 200
MAX_EFFECT_PROMPTS = 16


@dataclass(slots=True)
class _Run:
    request: TrainRequest
    on_progress: OnProgress
    started: float
    model_hash: str
    versions: dict[str, str]
    notes: list[str] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)

    def say(self, phase: str) -> None:
        self.on_progress(Progress(phase, seconds=time.monotonic() - self.started))


def build_adapter(request: TrainRequest, on_progress: OnProgress | None = None) -> AdapterCard:
    """Train a LoRA adapter on preference pairs and write it with its lineage.

    A run that is killed is continued by the same call: checkpoints lie in
    `<adapter_out>.partial/` until the finished folder is moved into place in one step. On one
    CPU, the result of a continued run equals that of an uninterrupted one.

    Args:
        request: model, pairs, recipe and destination.
        on_progress: called at every phase and training step; what it raises ends the run.

    Raises:
        AlreadyExists: `adapter_out` is there already.
        BadPairs: the pairs cannot be trained on.
        ConfigError: the run diverged with this recipe.
        MissingExtra: the training extra is not installed.
        ModelUnusable: the model cannot be used.
        OutOfMemory: the device is too small for the recipe.
    """
    refuse_existing(request.adapter_out)
    require_extra()
    started = time.monotonic()
    with quiet(), _threads(request.recipe.threads), _memory_errors(request):
        run = _Run(
            request, on_progress or _ignore, started, model_hash(request.model),
            installed_versions(),
        )  # fmt: skip
        run.say("checking")
        tokenizer = load_tokenizer(request.model)
        stops = stop_token_ids(request.model, tokenizer)
        checked = check_pairs(request.pairs, tokenizer, request.recipe, stops)
        run.notes += checked.report.notes
        place, found = open_workplace(request.adapter_out, _binding(run))
        run.notes += found
        return _train_and_publish(run, place, checked, tokenizer)


def _train_and_publish(
    run: _Run, place: Workplace, checked: CheckedPairs, tokenizer: Any
) -> AdapterCard:
    recipe = run.request.recipe
    run.say("loading")
    model = load_model(run.request.model, recipe.device, recipe.dtype)
    _check_vocabulary(model, tokenizer)
    rows = build_training_set(checked, recipe)
    run.notes += _notes_on_rows(checked, rows, run)
    trainer = make_trainer(model, tokenizer, rows.rows, recipe, place.checkpoints)
    _train(run, place, trainer, rows, tokenizer)
    _refuse_infinite(trainer.model, recipe.learning_rate)
    run.say("measuring")
    _measure(run, trainer.model.eval(), tokenizer, checked, rows)
    run.say("saving")
    # "auto" would ask the hub whether the vocabulary changed; no embedding is ever trained here.
    trainer.model.save_pretrained(str(place.adapter), save_embedding_layers=False)
    card = write_card(place.adapter, _facts(run, checked, rows, trainer))
    place.publish()
    return card


def _train(run: _Run, place: Workplace, trainer: Any, rows: TrainingSet, tokenizer: Any) -> None:
    from loopllm_cli.correct.callbacks import ReportProgress, RetentionGuard

    recipe = run.request.recipe
    report = ReportProgress(run.on_progress, run.started)
    trainer.add_callback(report)
    guard = None
    if rows.guard:
        every = save_every(count_steps(len(rows.rows), recipe), recipe)
        guard = RetentionGuard(encode_rows(tokenizer, rows.guard), recipe.kl_limit, every)
        trainer.add_callback(guard)
    checkpoint = last_checkpoint(place.checkpoints)
    if checkpoint is not None:
        run.notes.append(f"resumed at step {checkpoint.name.removeprefix('checkpoint-')}")
    run.say("training")
    outcome = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    run.metrics["train_loss"] = report.last.get("loss", float(outcome.training_loss))
    if guard is not None and guard.stopped_at is not None:
        run.metrics["guard_stopped_at_step"] = float(guard.stopped_at)
        run.notes.append(
            f"the retention guard stopped the run at step {guard.stopped_at} of "
            f"{trainer.state.max_steps} (KL {guard.kl:.3g} nats per token on other traffic, limit "
            f"{recipe.kl_limit:g}) and went back to step {guard.kept_from}; train again with a "
            f"lower learning_rate"
        )


def _measure(
    run: _Run, model: Any, tokenizer: Any, checked: CheckedPairs, rows: TrainingSet
) -> None:
    first = checked.train[:MAX_EFFECT_PROMPTS]
    prompts, tools = [row.prompt for row in first], [row.tools for row in first]
    run.metrics["adapter_effect"] = adapter_effect(model, tokenizer, prompts, tools)
    if run.metrics["adapter_effect"] == 0.0:
        run.notes.append("the adapter changes nothing: its weights are still what they started as")
    train = score_pairs(model, tokenizer, checked.train[:MAX_MEASURED])
    run.metrics["train_reward_accuracy"] = train.reward_accuracy
    if checked.test:
        test = score_pairs(model, tokenizer, checked.test[:MAX_MEASURED])
        run.metrics["test_reward_accuracy"] = test.reward_accuracy
        run.metrics["test_accuracy"] = test.accuracy
        run.metrics["test_accuracy_before"] = test.base_accuracy
    if rows.guard:
        liked = encode_rows(tokenizer, rows.guard)
        run.metrics["retention_kl"] = kl_of_encoded(model, liked).mean


def _facts(run: _Run, checked: CheckedPairs, rows: TrainingSet, trainer: Any) -> CardFacts:
    content_hash = checked.card.get("content_hash")
    return CardFacts(
        path=run.request.adapter_out,
        model=run.request.model,
        model_hash=run.model_hash,
        pairs_path=run.request.pairs,
        pairs_hash=str(content_hash or pairs_digest(run.request.pairs)),
        pairs_card=checked.card,
        recipe=run.request.recipe,
        report=checked.report,
        n_train=rows.n_pairs,
        n_retention=rows.n_retention,
        n_steps=int(trainer.state.global_step),
        seconds=time.monotonic() - run.started,
        device=str(trainer.model.device),
        versions=run.versions,
        metrics=run.metrics,
        notes=tuple(run.notes),
    )


def _binding(run: _Run) -> dict[str, Any]:
    return {
        "recipe": run.request.recipe.as_dict(),
        "pairs": pairs_digest(run.request.pairs),
        "model": run.model_hash,
        "versions": run.versions,
        "device": resolve_device(run.request.recipe.device),
    }


def _notes_on_rows(checked: CheckedPairs, rows: TrainingSet, run: _Run) -> list[str]:
    recipe = run.request.recipe
    if not checked.retention:
        return ["no retention answers: nothing holds other traffic in place while training"]
    notes = []
    if not has_sft(recipe) and recipe.retention_ratio > 0:
        notes.append("retention answers are not trained on: the recipe has no sft term")
    if recipe.kl_limit > 0 and not rows.guard:
        notes.append(
            f"the retention guard is off: {len(checked.retention)} retention answers are too few"
        )
    return notes


def _check_vocabulary(model: Any, tokenizer: Any) -> None:
    n_rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > n_rows:
        raise ModelUnusable(
            f"the tokenizer knows {len(tokenizer)} tokens but the model has room for {n_rows}",
            "use the tokenizer that belongs to the model",
        )


def _refuse_infinite(model: Any, learning_rate: float) -> None:
    import torch

    for parameter in model.parameters():
        if parameter.requires_grad and not bool(torch.isfinite(parameter).all()):
            raise ConfigError(
                f"training diverged: learning_rate = {learning_rate:g} made weights infinite",
                "train again with a learning_rate ten times lower",
            )


@contextmanager
def _threads(n_threads: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    if n_threads:
        torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _memory_errors(request: TrainRequest) -> Iterator[None]:
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise OutOfMemory(
            f"not enough memory to train {request.model} with micro_batch_size = "
            f"{request.recipe.micro_batch_size} and max_length = {request.recipe.max_length}",
            "lower micro_batch_size or max_length, or set gradient_checkpointing = true",
        ) from error


def _ignore(progress: Progress) -> None:
    return None
