"""From checked rows and a recipe to a TRL trainer: the one way to it, for every method.

Imports nothing heavy at the top, but every function here needs the training extra.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopllm_cli.correct.encoding import EncodedAnswer, encode_answer
from loopllm_cli.correct.methods.arguments import count_steps, save_every
from loopllm_cli.correct.methods.dpo import make_dpo
from loopllm_cli.correct.methods.kto import as_votes, in_reading_order, make_kto
from loopllm_cli.correct.methods.reporting import tracker_errors
from loopllm_cli.correct.methods.sft import make_sft
from loopllm_cli.correct.pair_rows import PairRow, VoteRow
from loopllm_cli.correct.preflight import CheckedPairs
from loopllm_cli.correct.recipe import Recipe
from loopllm_cli.errors import ModelUnusable

__all__ = [
    "TrainingSet", "build_training_set", "count_steps", "encode_rows", "has_sft", "make_trainer",
    "save_every", "to_dataset",
]  # fmt: skip

# Below eight answers the divergence is a matter of which ones they are; 48 take a few forward
# passes, and 60 were ample in the method study.
GUARD_ROWS_MIN = 8
GUARD_ROWS_MAX = 48
FEWEST_ANCHORS = 112
"""Of 150 retained answers, what the guard leaves: see `pairs/retention.py` for the measurement."""


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """What is trained on, and the liked answers kept out of it to watch over other traffic.

    `n_pairs` counts training pairs, for kto the judged answers, pairs taken apart included.
    """

    rows: tuple[PairRow, ...] | tuple[VoteRow, ...]
    guard: tuple[PairRow, ...]
    n_pairs: int
    n_retention: int


def build_training_set(checked: CheckedPairs, recipe: Recipe) -> TrainingSet:
    """Mix retention answers into the pairs and keep some of them out for the guard.

    A retention row has the liked answer on both sides. The preference loss of such a row is
    constant, so it adds nothing but the likelihood term: an anchor, with no made-up rejection.
    On the sample model, untouched intents stayed right in 98% with anchors, in 95% with another
    row's answer as the rejected side (the margin is trivial to widen), and in 95% without
    retention rows.
    """
    retention = list(checked.retention)
    random.Random(recipe.seed).shuffle(retention)
    n_guard = min(GUARD_ROWS_MAX, len(retention) // 4)
    if recipe.kl_limit <= 0 or n_guard < GUARD_ROWS_MIN:
        n_guard = 0
    anchors = retention[n_guard:]
    # Without a likelihood term an anchor would cost time and change nothing.
    votes = _votes(checked, recipe)
    n_own = len(votes) or len(checked.train)
    n_wanted = round(recipe.retention_ratio * n_own) if has_sft(recipe) else 0
    if n_wanted and recipe.retention_ratio >= 1:
        # Few pairs are trained for `min_steps`, over and over: more anchors take no step more. A
        # recipe that asks for less than one per pair is taken at its word.
        n_wanted = max(n_wanted, FEWEST_ANCHORS)
    anchors = anchors[:n_wanted]
    rows: tuple[PairRow, ...] | tuple[VoteRow, ...] = (*checked.train, *anchors)
    if recipe.method == "kto":
        liked = [VoteRow(row, True) for row in anchors]
        rows = tuple(in_reading_order([*votes, *liked], recipe))
    return TrainingSet(
        rows=rows,
        guard=tuple(retention[:n_guard]),
        n_pairs=n_own,
        n_retention=len(anchors),
    )


def _votes(checked: CheckedPairs, recipe: Recipe) -> list[VoteRow]:
    if recipe.method != "kto":
        return []
    return [*checked.votes, *(as_votes(checked.train) if recipe.mix_pairs else [])]


def has_sft(recipe: Recipe) -> bool:
    """Say whether a recipe learns from liked answers: has a likelihood term, or likes them."""
    if recipe.method != "dpo":
        return True
    terms = zip(recipe.loss_type, recipe.loss_weights, strict=True)
    return any(name == "sft" and weight > 0 for name, weight in terms)


def encode_rows(tokenizer: Any, rows: Sequence[PairRow]) -> list[EncodedAnswer]:
    """Encode the chosen answers of some rows."""
    return [encode_answer(tokenizer, row.prompt, row.chosen_message, row.tools) for row in rows]


def to_dataset(rows: Sequence[PairRow] | Sequence[VoteRow], *, answers_only: bool = False) -> Any:
    """Return rows as TRL trains on them.

    Messages with tool calls differ in their keys. As plain Arrow they would all get each other's,
    filled with None, and templates that ask whether a message has `tool_calls` would find some; as
    JSON they stay as they are.

    Args:
        rows: pairs or judged answers.
        answers_only: leave the worse sides of pairs out.

    Source: TRL 1.16, `trl.trainer.utils.remove_none_values`.
    """
    from datasets import Dataset, Features, Json, List, Value

    found = [
        row.as_answer() if answers_only and isinstance(row, PairRow) else row.as_trl()
        for row in rows
    ]
    if not any(row.has_tools for row in rows):
        return Dataset.from_list(found)
    sides = [key for key in found[0] if key not in ("tools", "label")]
    features = {**{side: List(Json()) for side in sides}, "tools": Value("string")}
    if "label" in found[0]:
        features["label"] = Value("bool")
    return Dataset.from_list([{"tools": None, **row} for row in found], features=Features(features))


def make_trainer(
    model: Any,
    tokenizer: Any,
    rows: Sequence[PairRow] | Sequence[VoteRow],
    recipe: Recipe,
    folder: Path,
) -> Any:
    """Construct the TRL trainer of a recipe's method around a loaded model.

    Raises:
        ConfigError: a tracker is not known or not installed.
        ModelUnusable: the recipe's target modules are not in the model.
    """
    from transformers import PrinterCallback

    make = {"dpo": make_dpo, "kto": make_kto, "sft": make_sft}[recipe.method]
    dataset = to_dataset(rows, answers_only=recipe.method == "sft")
    try:
        with tracker_errors(recipe):
            trainer = make(model, tokenizer, dataset, recipe, folder)
    except ValueError as error:
        if "arget modules" not in str(error):
            raise
        raise ModelUnusable(
            f"the model has no layers named {', '.join(recipe.target_modules)}",
            'set target_modules = ["all-linear"] in the recipe',
        ) from error
    trainer.remove_callback(PrinterCallback)
    return trainer
