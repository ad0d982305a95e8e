"""The reference is computed once per row, kept by content, and never trusted blindly."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from micro import RECIPE, good_pairs, make_model

from loopllm_cli.correct.pair_rows import PairRow, to_row
from loopllm_cli.correct.quiet import quiet
from loopllm_cli.correct.reference_cache import (
    ReferenceCache,
    ReferenceUse,
    row_keys,
)
from loopllm_cli.correct.reference_cache import attach_reference as attach_aloud
from loopllm_cli.correct.trainer import make_trainer

pytestmark = pytest.mark.train

RECIPE_2 = replace(RECIPE, micro_batch_size=4, precompute_reference=False, epochs=1.0)


def rows_of(n: int) -> list[PairRow]:
    return [row for row in map(to_row, good_pairs(n)) if row is not None]


@pytest.fixture
def trainer_of(tokenizer: Any, tmp_path: Path) -> Any:
    def make(rows: Sequence[PairRow], *, by_trl: bool = False) -> Any:
        recipe = replace(RECIPE_2, precompute_reference=by_trl)
        with quiet():
            return make_trainer(make_model(tokenizer), tokenizer, rows, recipe, tmp_path / "out")

    return make


def attach_reference(trainer: Any, path: Path | None, model_key: str) -> ReferenceUse:
    with quiet():
        return attach_aloud(trainer, path, model_key)


def weights_of(trainer: Any) -> list[float]:
    import torch

    trained = [p.detach().flatten() for p in trainer.model.parameters() if p.requires_grad]
    numbers: list[float] = torch.cat(trained).tolist()
    return numbers


def test_a_run_with_cached_reference_equals_one_where_trl_computed_it(
    trainer_of: Any, tmp_path: Path
) -> None:
    path, rows = tmp_path / "cache" / "reference.sqlite", rows_of(16)
    runs = []
    for expected in (ReferenceUse(0, 16), ReferenceUse(16, 0)):
        trainer = trainer_of(rows)
        assert expected == attach_reference(trainer, path, "model")
        runs.append(trainer)
    runs.append(trainer_of(rows, by_trl=True))
    with quiet():
        for trainer in runs:
            trainer.train()
    first, second, trl = map(weights_of, runs)
    assert first == second == trl


def test_only_new_rows_are_computed(trainer_of: Any, tmp_path: Path) -> None:
    path = tmp_path / "reference.sqlite"
    attach_reference(trainer_of(rows_of(8)), path, "model")
    assert ReferenceUse(8, 4) == attach_reference(trainer_of(rows_of(12)), path, "model")


def test_another_model_or_cut_shares_nothing(trainer_of: Any, tmp_path: Path) -> None:
    path, trainer = tmp_path / "reference.sqlite", trainer_of(rows_of(4))
    data = trainer.train_dataset
    attach_reference(trainer, path, "model")
    assert ReferenceUse(0, 4) == attach_reference(trainer_of(rows_of(4)), path, "other model")
    keys = [row_keys(data, "model", n) for n in (128, 129)]
    assert not set(keys[0]) & set(keys[1])


def test_where_an_answer_begins_belongs_to_the_key() -> None:
    data = {"prompt_ids": [[1], [1, 2]], "chosen_ids": [[2, 3], [3]], "rejected_ids": [[4], [4]]}
    assert len(set(row_keys(data, "model", 8))) == 2


def test_without_a_file_everything_is_computed_and_nothing_written(
    trainer_of: Any, tmp_path: Path
) -> None:
    before = set(tmp_path.iterdir())
    assert ReferenceUse(0, 4) == attach_reference(trainer_of(rows_of(4)), None, "model")
    assert {"out"} >= {path.name for path in set(tmp_path.iterdir()) - before}


@pytest.mark.parametrize(
    "content", [b"", b"not a database", b"SQLite format 3\x00" + b"\xff" * 200]
)
def test_a_damaged_file_is_started_again(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "reference.sqlite"
    path.write_bytes(content)
    cache = ReferenceCache(path)
    assert {} == cache.get([b"a"])
    cache.put({b"a": (-1.5, -2.5)})
    assert {b"a": (-1.5, -2.5)} == cache.get([b"a", b"b"])


def test_values_that_are_no_log_probabilities_are_neither_kept_nor_believed(tmp_path: Path) -> None:
    cache = ReferenceCache(tmp_path / "reference.sqlite")
    cache.put({b"a": (float("nan"), -1.0), b"b": (-1.0, float("-inf")), b"c": (-1.0, -2.0)})
    with sqlite3.connect(tmp_path / "reference.sqlite") as database:
        database.execute("INSERT INTO logps VALUES (?, ?, ?)", (b"d", "text", -1.0))
        database.execute("INSERT INTO logps VALUES (?, ?, ?)", (b"e", 17.0, -1.0))
    database.close()
    assert {b"c": (-1.0, -2.0)} == cache.get([b"a", b"b", b"c", b"d", b"e"])


def test_a_file_that_cannot_be_written_only_costs_time(tmp_path: Path) -> None:
    path = tmp_path / "reference.sqlite"
    path.mkdir()
    cache = ReferenceCache(path)
    cache.put({b"a": (-1.0, -2.0)})
    assert {} == cache.get([b"a"])


def test_more_keys_than_one_statement_takes(tmp_path: Path) -> None:
    cache = ReferenceCache(tmp_path / "reference.sqlite")
    values = {n.to_bytes(4, "little"): (-float(n), -1.0) for n in range(1200)}
    cache.put(values)
    assert values == cache.get(list(values))
