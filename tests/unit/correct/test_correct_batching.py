"""Sorting inside a batch saves padding, and changes neither what a step learns nor resuming."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from micro import RECIPE, good_pairs, make_model, pair

from loopllm_cli.correct.batching import BalancedBatches, balance_batches, row_lengths
from loopllm_cli.correct.lengths import Lengths
from loopllm_cli.correct.pair_rows import to_row
from loopllm_cli.correct.quiet import quiet
from loopllm_cli.correct.trainer import make_trainer

pytestmark = pytest.mark.train

# Conversations of every length: each has its number of words.
ROWS = [
    row
    for row in map(
        to_row,
        [pair(f"where is {i}? " + "yes " * (i * 7 % 23), f"yes {i}", f"no {i}") for i in range(24)],
    )
    if row is not None
]


def log_normal(n: int = 2000) -> list[int]:
    drawn = np.exp(np.random.default_rng(0).normal(np.log(700), 0.6, n))
    return [min(2048, int(length)) for length in drawn]


def padding_of(order: list[int], lengths: list[int], micro: int) -> float:
    batches = [order[i : i + micro] for i in range(0, len(order), micro)]
    computed = sum(len(rows) * max(lengths[row] for row in rows) for rows in batches)
    return 1 - sum(lengths) / computed


def test_every_row_comes_once_per_epoch_in_an_order_of_its_own() -> None:
    sampler = BalancedBatches(log_normal(50), 8, seed=3)
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    assert list(range(50)) == sorted(first) == sorted(second)
    assert first != second
    sampler.set_epoch(0)
    assert first == list(sampler) == list(BalancedBatches(log_normal(50), 8, seed=3))


def test_batches_hold_the_rows_of_accelerates_own_order() -> None:
    from accelerate.data_loader import SeedableRandomSampler

    plain = list(SeedableRandomSampler(range(40), data_seed=7))
    ours = list(BalancedBatches(log_normal(40), 8, seed=7))
    batches = [[set(order[i : i + 8]) for i in range(0, 40, 8)] for order in (plain, ours)]
    assert batches[0] == batches[1]


@pytest.mark.parametrize(("micro", "most"), [(2, 0.08), (4, 0.20)])
def test_padding_falls_as_order_statistics_say(micro: int, most: float) -> None:
    lengths = log_normal()
    known = Lengths.of(lengths)
    random = list(np.random.default_rng(1).permutation(len(lengths)))
    before = padding_of([int(row) for row in random], lengths, micro)
    after = padding_of(list(BalancedBatches(lengths, 16, seed=1)), lengths, micro)
    assert after < most < before
    assert known.padding_share(micro) == pytest.approx(before, abs=0.01)
    assert known.padding_share(micro, 16) == pytest.approx(after, abs=0.01)


@pytest.fixture
def train(tokenizer: Any, tmp_path: Path) -> Any:
    def run(*, balanced: bool, checkpoint: str = "", sft: bool = True) -> tuple[Any, Any]:
        import torch

        recipe = replace(
            RECIPE, micro_batch_size=2, precompute_reference=False,
            loss_type=("sigmoid", "sft") if sft else ("sigmoid",),
            loss_weights=(1.0, 1.0) if sft else (1.0,),
        )  # fmt: skip
        with quiet():
            trainer = make_trainer(make_model(tokenizer), tokenizer, ROWS, recipe, tmp_path / "run")
            if balanced:
                balance_batches(trainer, recipe.seed)
            trainer.train(resume_from_checkpoint=checkpoint or None)
        trained = [p.detach().flatten() for p in trainer.model.parameters() if p.requires_grad]
        return torch.cat(trained), trainer

    return run


def test_the_preference_loss_takes_the_same_path_as_without_sorting(train: Any) -> None:
    # With the likelihood term, the mean over the tokens of a micro batch depends on its rows.
    plain, _ = train(balanced=False, sft=False)
    ours, _ = train(balanced=True, sft=False)
    assert float((plain - ours).abs().max()) < 1e-4 * float(plain.abs().max())


def test_a_resumed_run_equals_an_uninterrupted_one(train: Any, tmp_path: Path) -> None:
    whole, trainer = train(balanced=True)
    steps = sorted(int(p.name.split("-")[1]) for p in (tmp_path / "run").glob("checkpoint-*"))
    assert 0 < steps[0] < trainer.state.max_steps
    again, _ = train(balanced=True, checkpoint=str(tmp_path / "run" / f"checkpoint-{steps[0]}"))
    assert float((whole - again).abs().max()) == 0.0


def test_lengths_are_of_the_longer_side_and_cut() -> None:
    from datasets import Dataset

    data = Dataset.from_dict(
        {"prompt_ids": [[1, 2], [1]], "chosen_ids": [[3], [3] * 9], "rejected_ids": [[4] * 3, [4]]}
    )
    assert ([5, 10], [5, 6]) == (row_lengths(data, None), row_lengths(data, 6))


def test_transformers_own_length_sampler_does_not_work_with_these_columns(
    tokenizer: Any, tmp_path: Path
) -> None:
    # Why the sampler here exists: when this fails, it may go.
    rows = [row for row in map(to_row, good_pairs(20)) if row is not None]
    with quiet():
        trainer = make_trainer(make_model(tokenizer), tokenizer, rows, RECIPE, tmp_path / "run")
        trainer.args.train_sampling_strategy = "group_by_length"
        lengths = row_lengths(trainer.train_dataset, None)
        trainer.train_dataset = trainer.train_dataset.add_column("length", lengths)
        with pytest.raises(ValueError, match="automatically infer lengths"):
            trainer.get_train_dataloader()
