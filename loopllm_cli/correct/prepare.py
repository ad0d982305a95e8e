"""Everything up to the first step: what is trained on, how, and what it will need.

Nothing is loaded but the tokenizer, and nothing is written.
Must not import: torch and its relatives at the top.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import Any

from loopllm_cli.correct.device_facts import DeviceFacts, read_device_facts
from loopllm_cli.correct.estimate import Estimate, estimate
from loopllm_cli.correct.fit import Choice, choose
from loopllm_cli.correct.lengths import Lengths
from loopllm_cli.correct.loading import load_tokenizer, refuse_quantization, stop_token_ids
from loopllm_cli.correct.model_facts import ModelFacts, read_model_facts
from loopllm_cli.correct.preflight import CheckedPairs, check_pairs
from loopllm_cli.correct.recipe import Recipe
from loopllm_cli.correct.request import TrainRequest
from loopllm_cli.correct.step_time import measured_rate
from loopllm_cli.correct.trainer import TrainingSet, build_training_set, has_sft
from loopllm_cli.errors import ModelUnusable


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run before its first step; `recipe` leaves nothing open where the model was understood.

    `facts` and `estimate` are None for a model whose files do not tell its sizes: it is trained
    with the recipe as it stands.
    """

    tokenizer: Any
    stops: frozenset[int]
    checked: CheckedPairs
    rows: TrainingSet
    recipe: Recipe
    facts: ModelFacts | None
    device: DeviceFacts
    choices: tuple[Choice, ...]
    estimate: Estimate | None
    notes: tuple[str, ...]


def prepare(request: TrainRequest, fixed: dict[str, Any] | None = None) -> Prepared:
    """Check the pairs, choose what the recipe leaves open, and estimate memory and time.

    Args:
        request: what to train.
        fixed: choices of an earlier part of the same run, which hold for the rest of it.

    Raises:
        BadPairs: the pairs cannot be trained on.
        ModelUnusable: the model cannot be used.
    """
    tokenizer = load_tokenizer(request.model)
    stops = frozenset(stop_token_ids(request.model, tokenizer))
    checked = check_pairs(request.pairs, tokenizer, request.recipe, stops)
    rows = build_training_set(checked, request.recipe)
    facts = _facts(request)
    device = read_device_facts(request.recipe.device)
    recipe = _fitted(request.recipe, fixed or {})
    choices: tuple[Choice, ...] = ()
    found = None
    if facts is not None:
        lengths = _lengths(checked, rows, recipe)
        fit = choose(recipe, facts, device, lengths)
        recipe, choices = fit.recipe, fit.choices
        found = estimate(recipe, facts, device, lengths, measured_rate(facts, device.kind))
    refuse_quantization(device.kind, recipe.quantization)
    notes = (*checked.report.notes, *_notes(checked, rows, recipe))
    return Prepared(tokenizer, stops, checked, rows, recipe, facts, device, choices, found, notes)


def _lengths(checked: CheckedPairs, rows: TrainingSet, recipe: Recipe) -> Lengths:
    """Return one length per row of an epoch: pairs come first, then liked answers.

    Which of the liked answers are drawn, and how pairs fall apart into judged answers, does not
    change the lengths by much; their number decides about the time.
    """
    known = list(islice(cycle(checked.lengths), len(rows.rows)))
    # The longest decides about memory, and must not be left out by the draw.
    known[-1] = max(checked.lengths, key=lambda row: row.longest)
    tokens = [row.longest for row in known]
    return Lengths.of(tokens, recipe.max_length, [row.longest - row.context for row in known])


def _facts(request: TrainRequest) -> ModelFacts | None:
    try:
        return read_model_facts(request.model)
    except ModelUnusable:
        # Loading says better what is wrong; only choices need the sizes beforehand.
        if request.recipe.auto:
            raise
        return None


def _fitted(recipe: Recipe, fixed: dict[str, Any]) -> Recipe:
    known = {key: value for key, value in fixed.items() if key in recipe.auto}
    known |= {key: fixed[key] for key in ("micro_batch_size",) if key in fixed}
    left = tuple(key for key in recipe.auto if key not in known)
    return replace(recipe, auto=left, **known)


def _notes(checked: CheckedPairs, rows: TrainingSet, recipe: Recipe) -> list[str]:
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
