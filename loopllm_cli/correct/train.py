"""Train an adapter from a pairs folder: check, train, measure, write, and only then show it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from loopllm_cli.correct.card import CardFacts, write_card
from loopllm_cli.correct.conditions import (
    disk_errors,
    is_memory_error,
    memory_error,
    smaller_micro_batch,
    threads,
)
from loopllm_cli.correct.extra import installed_versions, require_extra
from loopllm_cli.correct.guards.moved import is_for, unmoved
from loopllm_cli.correct.loading import load_model, model_hash, resolve_device
from loopllm_cli.correct.partial import (
    Workplace,
    open_workplace,
    pairs_digest,
    read_fixed,
    refuse_existing,
    write_fixed,
)
from loopllm_cli.correct.preflight import refuse_beyond_context
from loopllm_cli.correct.prepare import Prepared, prepare
from loopllm_cli.correct.processes import from_main, is_main, join_run, world_size
from loopllm_cli.correct.quiet import quiet
from loopllm_cli.correct.request import Progress, TrainRequest
from loopllm_cli.correct.score import adapter_effect, kl_of_encoded, score_pairs
from loopllm_cli.correct.steps import Steps, StepsRequest, run_steps
from loopllm_cli.correct.trainer import encode_rows
from loopllm_cli.errors import ConfigError, ModelUnusable
from loopllm_cli.model import AdapterCard

OnProgress = Callable[[Progress], None]

# Enough held-out pairs for a share with a standard error of 0.035, without costing more time
# than training does.
MAX_MEASURED = 200
# What training pairs say is the same in good and in ruinous runs: it is for the record, and cheap.
MAX_TRAINED = 32
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

    def say(self, phase: str, said: str = "") -> None:
        seconds = time.monotonic() - self.started
        self.on_progress(Progress(phase, seconds=seconds, said=said))


def build_adapter(request: TrainRequest, on_progress: OnProgress | None = None) -> AdapterCard:
    """Train a LoRA adapter on preference pairs and write it with its lineage.

    A run that is killed is continued by the same call: checkpoints lie in
    `<adapter_out>.partial/` until the finished folder is moved into place in one step. On one
    CPU, the result of a continued run equals that of an uninterrupted one. When memory runs out,
    micro batches are halved (a batch keeps its size) and the run goes on from its checkpoint.

    Args:
        request: model, pairs, recipe and destination.
        on_progress: called at every phase and training step; what it raises ends the run.

    Raises:
        AlreadyExists: `adapter_out` is there already.
        BadPairs: the pairs cannot be trained on.
        ConfigError: the run diverged with this recipe.
        MissingExtra: the training extra is not installed.
        ModelUnusable: the model cannot be used.
        OutOfMemory: the device is too small for the smallest micro batch.
        StoreUnavailable: the disk is full; whole checkpoints stay.
        Terminated: SIGTERM came; a checkpoint was written.
    """
    refuse_existing(request.adapter_out)
    require_extra()
    started = time.monotonic()
    with quiet(), threads(request.recipe.threads), disk_errors(request):
        told = on_progress if on_progress and is_main() else _ignore
        run = _Run(request, told, started, model_hash(request.model), installed_versions())
        join_run(resolve_device(request.recipe.device))
        run.say("checking")
        place, found = from_main(lambda: open_workplace(request.adapter_out, _binding(run)))
        try:
            prepared = prepare(request, read_fixed(place))
        except Exception:
            place.discard_if_new()
            raise
        # Free memory may differ from card to card.
        prepared = replace(prepared, recipe=from_main(lambda: prepared.recipe))
        run.notes += [*prepared.notes, *found]
        return _train_in_what_fits(run, place, prepared)


def plan_run(request: TrainRequest) -> Prepared:
    """Do everything up to the first step, and write nothing.

    Raises:
        LoopllmError: whatever `build_adapter` would refuse before training.
    """
    refuse_existing(request.adapter_out)
    require_extra()
    with quiet(), threads(request.recipe.threads):
        return prepare(request)


def _train_in_what_fits(run: _Run, place: Workplace, prepared: Prepared) -> AdapterCard:
    """Train, with smaller micro batches each time memory runs out."""
    while True:
        if is_main():
            write_fixed(place, {key: getattr(prepared.recipe, key) for key in _open_keys(run)})
        try:
            return _train_and_publish(run, place, prepared)
        except Exception as error:
            if not is_memory_error(error):
                raise
            # Other processes wait in the middle of their step, and cannot be called back.
            smaller = smaller_micro_batch(prepared.recipe) if world_size() == 1 else None
            if smaller is None:
                raise memory_error(run.request, prepared.recipe) from error
        # Outside of the handler: the error's traceback holds the model that did not fit.
        _free_memory()
        said = (
            f"memory ran out with micro_batch_size = {prepared.recipe.micro_batch_size}: went on "
            f"with {smaller}, the batch of {prepared.recipe.batch_size} stays"
        )
        run.notes.append(said)
        run.say("loading", said)
        recipe = replace(prepared.recipe, micro_batch_size=smaller)
        prepared = replace(prepared, recipe=recipe)


def _open_keys(run: _Run) -> set[str]:
    return {*run.request.recipe.auto, "micro_batch_size"}


def _train_and_publish(run: _Run, place: Workplace, prepared: Prepared) -> AdapterCard:
    recipe = prepared.recipe
    for choice in prepared.choices:
        if choice.name in run.request.recipe.auto:
            run.say("loading", choice.describe())
    if prepared.estimate is not None:
        run.say("loading", prepared.estimate.describe())
    run.say("loading")
    model = load_model(
        run.request.model, recipe.device, recipe.dtype, recipe.attention, recipe.quantization
    )
    _check_vocabulary(model, prepared.tokenizer)
    refuse_beyond_context(prepared.checked, getattr(model.config, "max_position_embeddings", None))
    model, prepared = _watch_unmoved(run, model, prepared)
    asked = StepsRequest(
        prepared, place, run.on_progress, run.started, run.request.reference_cache, run.model_hash
    )
    steps = run_steps(model, asked)
    run.notes += steps.notes
    run.metrics |= steps.metrics
    _refuse_infinite(steps.trainer.model, recipe.learning_rate)
    return from_main(lambda: _publish(run, place, prepared, steps))


def _watch_unmoved(run: _Run, model: Any, prepared: Prepared) -> tuple[Any, Prepared]:
    """Watch over those liked answers that the served adapter gives as the base does."""
    served, watched = run.request.served, prepared.rows.guard
    if served is None or not watched or not is_for(served, run.model_hash):
        return model, prepared
    liked = encode_rows(prepared.tokenizer, watched)
    model, same = unmoved(model, served, liked, prepared.recipe.kl_limit)
    kept = tuple(row for row, is_same in zip(watched, same, strict=True) if is_same)
    if len(kept) < len(watched):
        n = len(watched) - len(kept)
        run.notes.append(
            f"{n} of {len(watched)} watched answers are left out: {served.name}, which is served, "
            "has moved them already"
        )
    return model, replace(prepared, rows=replace(prepared.rows, guard=kept))


def _publish(run: _Run, place: Workplace, prepared: Prepared, steps: Steps) -> AdapterCard:
    """Measure the adapter, write it with its card, and show it."""
    run.say("measuring")
    _measure(run, steps.trainer.model.eval(), prepared)
    run.say("saving")
    # "auto" would ask the hub whether the vocabulary changed; no embedding is ever trained here.
    steps.trainer.model.save_pretrained(str(place.adapter), save_embedding_layers=False)
    card = write_card(place.adapter, _facts(run, prepared, steps))
    place.publish()
    return card


def _measure(run: _Run, model: Any, prepared: Prepared) -> None:
    checked, tokenizer = prepared.checked, prepared.tokenizer
    first = checked.contexts[:MAX_EFFECT_PROMPTS]
    prompts, tools = [row.prompt for row in first], [row.tools for row in first]
    run.metrics["adapter_effect"] = adapter_effect(model, tokenizer, prompts, tools)
    if run.metrics["adapter_effect"] == 0.0:
        run.notes.append("the adapter changes nothing: its weights are still what they started as")
    if checked.train:
        train = score_pairs(model, tokenizer, checked.train[:MAX_TRAINED])
        run.metrics["train_reward_accuracy"] = train.reward_accuracy
    if checked.test:
        test = score_pairs(model, tokenizer, checked.test[:MAX_MEASURED])
        run.metrics["test_reward_accuracy"] = test.reward_accuracy
        run.metrics["test_accuracy"] = test.accuracy
        run.metrics["test_accuracy_before"] = test.base_accuracy
    if prepared.rows.guard:
        liked = encode_rows(tokenizer, prepared.rows.guard)
        run.metrics["retention_kl"] = kl_of_encoded(model, liked).usual


def _facts(run: _Run, prepared: Prepared, steps: Steps) -> CardFacts:
    checked, rows = prepared.checked, prepared.rows
    content_hash = checked.card.get("content_hash")
    return CardFacts(
        path=run.request.adapter_out,
        model=run.request.model,
        model_hash=run.model_hash,
        pairs_path=run.request.pairs,
        pairs_hash=str(content_hash or pairs_digest(run.request.pairs)),
        pairs_card=checked.card,
        recipe=prepared.recipe,
        report=checked.report,
        n_train=rows.n_pairs,
        n_retention=rows.n_retention,
        n_steps=int(steps.trainer.state.global_step),
        seconds=time.monotonic() - run.started,
        device=str(steps.trainer.model.device),
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
        "processes": world_size(),
    }


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
                "train again with a learning_rate ten times lower, or let --auto find one",
            )


def _free_memory() -> None:
    from loopllm_cli.correct.fresh import free_memory

    free_memory()


def _ignore(progress: Progress) -> None:
    return None
