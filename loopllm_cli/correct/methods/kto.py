"""Single answers that somebody liked or disliked, with TRL's KTOTrainer.

Imports nothing heavy at the top; `make_kto` needs the training extra.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loopllm_cli.correct.methods.arguments import common, lora, on_one_device, with_reference
from loopllm_cli.correct.pair_rows import PairRow, VoteRow
from loopllm_cli.correct.recipe import Recipe

# Liked and disliked answers should weigh about the same in sum, the liked ones up to a third
# more (arXiv 2402.01306, eq. 8, and the hint that KTOTrainer logs).
BALANCE_LOW, BALANCE_HIGH = 1.0, 4 / 3


def make_kto(model: Any, tokenizer: Any, dataset: Any, recipe: Recipe, folder: Path) -> Any:
    """Construct a KTOTrainer.

    Source: TRL documentation, "KTO Trainer".
    """
    from trl import KTOConfig, KTOTrainer

    n_liked = sum(dataset["label"])
    liked, disliked = balance(n_liked, len(dataset) - n_liked, recipe)
    arguments = KTOConfig(
        **common(recipe, folder, model, len(dataset)),
        **with_reference(recipe),
        loss_type=recipe.loss_type[0],
        desirable_weight=liked,
        undesirable_weight=disliked,
    )
    return KTOTrainer(
        model=model,
        args=on_one_device(arguments),
        train_dataset=dataset,
        processing_class=tokenizer,
        peft_config=lora(recipe),
    )


def balance(n_liked: int, n_disliked: int, recipe: Recipe) -> tuple[float, float]:
    """Return the weights of liked and disliked answers.

    Where the recipe names none, only the side that is too light is raised, until the ratio of the
    sums lies in the middle of what is recommended: between 1 and 4/3.

    Source: Ethayarajh et al. (2024) arXiv 2402.01306, eq. 8.
    """
    if recipe.desirable_weight or recipe.undesirable_weight:
        return recipe.desirable_weight or 1.0, recipe.undesirable_weight or 1.0
    ratio, middle = n_liked / n_disliked, (BALANCE_LOW + BALANCE_HIGH) / 2
    if BALANCE_LOW <= ratio <= BALANCE_HIGH:
        return 1.0, 1.0
    return (middle / ratio, 1.0) if ratio < BALANCE_LOW else (1.0, ratio / middle)


def as_votes(pairs: Sequence[PairRow]) -> list[VoteRow]:
    """Take pairs apart into a liked and a disliked answer each."""
    return [
        vote for pair in pairs for vote in (VoteRow(pair.better, True), VoteRow(pair.worse, False))
    ]


def in_reading_order(rows: Sequence[VoteRow], recipe: Recipe) -> list[VoteRow]:
    """Shuffle rows, which KTOTrainer reads as they lie, in every epoch.

    It compares each answer with its neighbour's in the micro batch to estimate how far the model
    has moved, so liked and disliked answers must be mixed, and a last micro batch of one row,
    whose neighbour is itself, is left out.

    Source: TRL 1.16, `KTOTrainer._prepare_dataset` and `KTOConfig.train_sampling_strategy`.
    """
    mixed = list(rows)
    random.Random(recipe.seed).shuffle(mixed)
    return mixed[:-1] if len(mixed) % recipe.micro_batch_size == 1 else mixed
