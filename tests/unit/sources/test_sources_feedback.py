"""Feedback of four kinds, by id or inside a record, becomes feedback rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from decoding import decoded, ingest_file, total, vote_of
from factories import feedback_record, flat_record, write_jsonl

from loopllm_cli.sources.reading import BadLine


@pytest.mark.parametrize("value", ["up", "👍", 1, True, "thumbs_up", "+1", " Like ", 1.0])
def test_a_thumb_up_has_polarity_one(value: Any) -> None:
    assert 1 == vote_of(feedback_record("r", value=value))["polarity"]


@pytest.mark.parametrize("value", ["down", "👎", -1, False, "thumbs_down", "dislike", "0"])
def test_a_thumb_down_has_polarity_minus_one(value: Any) -> None:
    assert -1 == vote_of(feedback_record("r", value=value))["polarity"]


@pytest.mark.parametrize("value", ["maybe", 2, [1], {"a": 1}])
def test_a_thumb_that_is_neither_is_refused(value: Any) -> None:
    with pytest.raises(BadLine):
        decoded(feedback_record("r", value=value))


@pytest.mark.parametrize(
    ("score", "polarity"), [(1, -1), (2, -1), (3, 0), (4, 1), (5, 1), ("4", 1)]
)
def test_a_rating_on_a_known_scale_has_a_polarity(score: Any, polarity: int) -> None:
    vote = vote_of(feedback_record("r", "rating", score, scale_min=1, scale_max=5))
    assert (float(score), polarity) == (vote["score_value"], vote["polarity"])


def test_a_rating_without_a_scale_has_none() -> None:
    assert vote_of(feedback_record("r", "rating", 5))["polarity"] is None


@pytest.mark.parametrize("score", [0, 6, "good", None, True])
def test_a_rating_outside_its_scale_or_no_number_is_refused(score: Any) -> None:
    with pytest.raises(BadLine):
        decoded(feedback_record("r", "rating", score, scale_min=1, scale_max=5))


def test_a_correction_holds_the_better_text() -> None:
    vote = vote_of(feedback_record("r", "correction", "Better."))
    assert ("Better.", -1) == (vote["text"], vote["polarity"])


def test_a_correction_beside_a_score_is_the_text() -> None:
    record = {"response_id": "r", "score": 0.1, "correction": "Better."}
    assert "Better." == vote_of(record)["text"]


@pytest.mark.parametrize("text", ["", "  ", 5, None, {"a": "b"}])
def test_a_correction_without_text_is_refused(text: Any) -> None:
    with pytest.raises(BadLine):
        decoded(feedback_record("r", "correction", text))


@pytest.mark.parametrize(
    ("winner", "expected"), [("a", ("a", False)), ("tie", (None, True)), ("both bad", (None, True))]
)
def test_a_comparison_names_its_winner_or_a_tie(winner: str, expected: tuple[Any, bool]) -> None:
    vote = vote_of({"response_id": "a", "candidates": ["a", "b"], "winner": winner})
    assert ("comparison", ["a", "b"], *expected) == (
        vote["kind"],
        vote["candidate_ids"],
        vote["winner_id"],
        vote["tie"],
    )


def test_a_winner_may_be_the_number_zero() -> None:
    assert "0" == vote_of({"candidates": [0, 1], "winner": 0})["winner_id"]


@pytest.mark.parametrize(
    "fields",
    [
        {"candidates": ["a"], "winner": "a"},
        {"candidates": ["a", "a"], "winner": "a"},
        {"candidates": ["a", None], "winner": "a"},
        {"candidates": ["a", "b"], "winner": "c"},
        {"candidates": ["a", "b"], "winner": None},
        {"candidates": "ab", "winner": "a"},
    ],
)
def test_a_comparison_that_names_no_two_answers_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadLine):
        decoded({"response_id": "a", "kind": "comparison", **fields})


@pytest.mark.parametrize(
    ("winner", "side"),
    [("a", 0), ("B", 1), ("model_b", 1), ("response_a", 0), (1, 0), (2.0, 1), ("tie", None)],
)
def test_a_comparison_with_both_texts_brings_its_two_rows(winner: Any, side: int | None) -> None:
    record = {"prompt": "p", "response_a": "x", "response_b": "y", "winner": winner}
    _, found = decoded({"id": "c-1", **record})
    ids = [row["interaction_id"] for row in found.interactions]
    (vote,) = found.feedback
    assert ["x", "y"] == [row["response_text"] for row in found.interactions]
    assert 1 == len({row["context_hash"] for row in found.interactions})
    assert (ids, None if side is None else ids[side]) == (vote["candidate_ids"], vote["winner_id"])


def test_sides_named_by_number_are_understood_by_number() -> None:
    record = {"prompt": "p", "response_1": "x", "response_2": "y", "winner": "response_2"}
    _, found = decoded(record)
    assert found.interactions[1]["interaction_id"] == found.feedback[0]["winner_id"]


@pytest.mark.parametrize(
    "fields", [{"winner": "c"}, {"winner": "a", "prompt": None, "messages": "x"}]
)
def test_a_comparison_with_both_texts_but_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadLine):
        decoded({"prompt": "p", "response_a": "x", "response_b": "y", **fields})


def test_votes_inside_a_record_are_rows_of_their_own() -> None:
    record = flat_record(1, feedback="down", rating=4, scale_min=1, scale_max=5, correction="Yes.")
    _, found = decoded(record)
    assert ["thumbs", "rating", "correction"] == [vote["kind"] for vote in found.feedback]
    assert [-1, 1, -1] == [vote["polarity"] for vote in found.feedback]
    assert {"flat:r-1"} == {vote["target_id"] for vote in found.feedback}


def test_an_empty_vote_inside_a_record_is_no_vote() -> None:
    _, found = decoded(flat_record(1, feedback="", rating="", correction=""))
    assert (1, []) == (len(found.interactions), found.feedback)


def test_the_span_is_meant_where_span_and_trace_are_named() -> None:
    vote = vote_of({"trace_id": "t", "span_id": "s", "thumbs": "up"})
    assert ("span_id", "s") == (vote["target_key"], vote["target_id"])


@pytest.mark.parametrize("kind", ["feedback", "score"])
def test_a_foreign_type_does_not_hide_the_kind(kind: str) -> None:
    assert "thumbs" == vote_of({"type": kind, "response_id": "r", "thumbs": "up"})["kind"]


@pytest.mark.parametrize(
    "change",
    [
        {"value": "down"},
        {"user": "u-2"},
        {"name": "style"},
        {"response_id": "other"},
        {"comment": "wrong product"},
        {"timestamp": "2026-10-05"},
    ],
)
@pytest.mark.parametrize("native", [None, "fb-1"])
def test_votes_that_differ_in_anything_are_two(
    change: dict[str, str], native: str | None, tmp_path: Path
) -> None:
    first = feedback_record("r", feedback_id=native, timestamp=None)
    write_jsonl(tmp_path / "votes.jsonl", [first, {**first, **change}, first])
    summary = ingest_file(tmp_path / "votes.jsonl")
    assert (2, 1) == (summary.n_feedback, summary.n_feedback_duplicates)
    assert summary.n_lines == total(summary)
