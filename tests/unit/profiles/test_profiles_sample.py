"""A window's rows in numbers: which are drawn, what is kept of them, and what never is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from loopllm_cli.profiles.answers import (
    N_DIMENSIONS,
    AnswerSpace,
    count_words,
    fit_answers,
    to_vectors,
)
from loopllm_cli.profiles.attributes import code_attributes, fit_attributes
from loopllm_cli.profiles.sample import Rows, RowSample, draw_positions, draw_sample
from loopllm_cli.signals.batch import RowBatch


def batch_of(n_rows: int, **columns: list[Any]) -> RowBatch:
    """Make a batch of rows with ids, and the columns given."""
    ids = [f"i-{k}" for k in range(n_rows)]
    return RowBatch(pa.table({"interaction_id": ids, **columns}))


def sample_of(batch: RowBatch) -> RowSample:
    """Sample a batch with two made-up signals, every row its own cluster."""
    n = len(batch)
    values = np.stack([np.arange(n) % 2, np.arange(n) * 10.0], axis=1)
    keys = [f"row:{k}" for k in range(n)]
    rows = Rows(batch, ("flag", "length"), values, np.arange(n) % 3, keys)
    return draw_sample(rows, fit_attributes(batch, draw_positions(batch)))


def attributes_in(batch: RowBatch) -> dict[str, tuple[str, ...]]:
    """Return the attributes that are kept of a batch."""
    return dict(fit_attributes(batch, np.arange(len(batch))))


def test_small_windows_are_kept_whole_and_large_ones_drawn_by_id() -> None:
    batch = batch_of(50)
    assert list(range(50)) == draw_positions(batch).tolist()
    few = draw_positions(batch, 10)
    ids = {batch.values("interaction_id")[i] for i in few}
    backwards = RowBatch(batch.table.take(list(range(49, -1, -1))))
    again = {backwards.values("interaction_id")[i] for i in draw_positions(backwards, 10)}
    assert (10, ids) == (len(few), again)
    assert sorted(few.tolist()) == few.tolist() != list(range(10))


def test_a_sample_survives_being_saved() -> None:
    times = [datetime(2026, 10, 1, tzinfo=UTC), None] * 10
    batch = batch_of(
        20,
        request_time=pa.array(times, pa.timestamp("us", tz="UTC")),
        prompt_name=["refund", "hours"] * 10,
        response_text=["All good today.", "Not so good."] * 10,
    )
    sample = sample_of(batch)
    arrays = sample.to_arrays()
    again = RowSample.from_arrays(arrays)
    for name, array in again.to_arrays().items():
        np.testing.assert_array_equal(arrays[name], array)
    assert sample.attribute_labels == again.attribute_labels
    assert [20727, -1] == sample.days[:2].tolist()
    assert 0 == len(again.positions) != len(sample.positions)
    assert ("length",) == again.columns(("length",)).signal_names
    assert [0.0, 10.0] == again.columns(("length",)).values[:2, 0].tolist()


def test_no_text_of_one_user_is_kept() -> None:
    """Values, words and tags of a single user stay out, however often they occur."""
    secret = ["swordfish"] * 30 + [None] * 70
    users = ["ann"] * 30 + [f"u-{k % 9}" for k in range(70)]
    batch = batch_of(
        100,
        user_id=users,
        prompt_name=[s or "open" for s in secret],
        attributes_json=[json.dumps({"project": s or "open"}) for s in secret],
        tags=[[s] if s else ["open"] for s in secret],
        response_text=[s or "the usual answer" for s in secret],
    )
    space = fit_answers(batch, [f"user:{u}" for u in users], np.arange(100))
    stored = {**sample_of(batch).to_arrays(), **space.to_arrays()}
    assert not [name for name, array in stored.items() if b"swordfish" in array.tobytes()]
    assert b"open" in stored["sample_card"].tobytes()


def test_infinite_and_huge_values_do_not_apply_or_stay_finite() -> None:
    batch = batch_of(3)
    values = np.array([[np.inf], [1e40], [np.nan]])
    rows = Rows(batch, ("s",), values, np.zeros(3, dtype=np.int64), ["a", "b", "c"])
    kept = draw_sample(rows, ()).values[:, 0]
    assert [False, True, False] == np.isfinite(kept).tolist()


def test_attributes_describe_traffic_and_never_outcomes() -> None:
    n = 40
    extras = [
        {
            "route": "ab"[k % 2],
            "session_id": f"s-{k % 2}",
            "error": k % 2 == 0,
            "meta": {"plan": "xy"[k % 2], "deep": {"er": k}},
            "number": k,
            "finish_reason": "stop" if k % 2 else "length",
        }
        for k in range(n)
    ]
    batch = batch_of(
        n,
        attributes_json=[json.dumps(e) for e in extras],
        finish_reason=["stop", "length"] * (n // 2),
        response_model=["m-1", "m-2"] * (n // 2),
        tags=[["beta"] if k % 4 == 0 else [] for k in range(n)],
    )
    assert {"response_model", "route", "meta.plan", "tags:beta"} == set(attributes_in(batch))


def test_a_later_window_is_coded_by_the_baselines_values() -> None:
    before = batch_of(20, prompt_name=["b", "a"] * 10)
    after = batch_of(4, prompt_name=["a", "new", None, "b"])
    known = fit_attributes(before, np.arange(20))
    assert [[0, -1, -1, 1]] == [
        a.codes.tolist() for a in code_attributes(after, np.arange(4), known)
    ]


@pytest.mark.parametrize("text", ["not json", "[1]", '"a"', "null", ""])
def test_broken_extras_are_no_attributes(text: str) -> None:
    assert {} == attributes_in(batch_of(20, attributes_json=[text] * 20))


def test_vectors_hold_likeness_and_missing_texts_none() -> None:
    texts = ["the parcel is late again", "the parcel is very late", "sort a list in python", None]
    vectors = to_vectors(texts).astype(float)
    assert (4, N_DIMENSIONS) == vectors.shape
    assert vectors[0] @ vectors[1] > 0.3 > vectors[0] @ vectors[2]
    assert 0 == np.abs(vectors[3]).max()


def test_words_are_counted_once_per_answer_and_new_ones_only_of_several_users() -> None:
    before = batch_of(20, response_text=["good good day 7", "good night"] * 10)
    keys = [f"user:{k}" for k in range(20)]
    space = fit_answers(before, keys, np.arange(20))
    assert {"good": 1.0, "day": 0.5, "night": 0.5} == space.vocabulary.share_of()
    again = AnswerSpace.from_arrays(space.to_arrays())
    assert space.vocabulary.share_of() == again.vocabulary.share_of()
    after = batch_of(10, response_text=["bad day"] * 6 + ["mine alone"] * 4)
    shared = count_words(after, keys[:10], np.arange(10), space.vocabulary)
    assert {"good": 0.0, "day": 0.6, "night": 0.0, "bad": 0.6} == shared.share_of()
    alone = count_words(after, ["user:0"] * 10, np.arange(10), space.vocabulary)
    assert {"good": 0.0, "day": 0.6, "night": 0.0} == alone.share_of()
