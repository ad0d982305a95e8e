"""Rankings, regenerations, siblings, graded comparisons and crowds of votes on one context."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from pair_evidence import (
    BAD,
    GOOD,
    START,
    answer,
    build,
    comparison,
    down,
    rating,
    sides,
    up,
    vote,
)

from loopllm_cli.config import PairsConfig
from loopllm_cli.pairs.candidates import Candidate, Dropped
from loopllm_cli.pairs.evidence.answer import Answer
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.evidence.vote import Vote
from loopllm_cli.pairs.rules import ratings, votes

THIRD = "A third answer, of which more later."
A, B, C = answer("a", GOOD), answer("b", BAD), answer("c", THIRD)


def rank(target: str, place: float | None, **fields: Any) -> Vote:
    """Return a rank, 0 for the best."""
    return vote("ranking", target, score_value=place, **fields)


def test_neighbours_in_a_ranking_make_pairs() -> None:
    built = build([A, B, C], [rank("a", 1), rank("b", 2), rank("c", 3)])
    assert {(GOOD, BAD), (BAD, THIRD)} == set(sides(built.train))
    assert {"ranking"} == {pair.rule for pair in built.train}


def test_a_missing_rank_parts_a_ranking() -> None:
    built = build([A, B, C], [rank("a", 0), rank("b", 1), rank("c", 3)])
    assert [(GOOD, BAD)] == sides(built.train)
    assert {"rank without the next one on the same context": 1} == built.dropped


def test_rankings_of_two_people_are_two_rankings() -> None:
    built = build([A, B], [rank("a", 0), rank("b", 1, by="bob")])
    assert {"rank without the next one on the same context": 2} == built.dropped


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (rank("a", 0, source_format="openassistant"), "rank that is counted as a comparison"),
        (rank("gone", 0), "rank of an answer that is not in the window"),
        (rank("a", None), "rank that is no whole number"),
        (rank("a", 1.5), "rank that is no whole number"),
        (rank("a", float("nan")), "rank that is no whole number"),
        (rank("a", float("inf")), "rank that is no whole number"),
        (rank("x", 0), "rank of an answer without logged context"),
    ],
)
def test_a_rank_that_tells_nothing_makes_no_pair(said: Vote, reason: str) -> None:
    built = build([A, B, answer("x", context_hash=None)], [said])
    assert ([], {reason: 1}) == (built.train, built.dropped)


def test_ranks_of_one_answer_that_differ_say_nothing() -> None:
    built = build([A, B], [rank("a", 0), rank("a", 2), rank("b", 1)])
    assert 2 == built.dropped["ranks of one answer differ"]


def attempt(name: str, text: str, minute: int, **fields: Any) -> Answer:
    """Return one of several answers at the same place of a conversation."""
    when = START + timedelta(minutes=minute)
    plain = {"conversation_id": "k", "turn_index": 0, "request_time": when}
    return answer(name, text, **{**plain, **fields})


OLD, NEW = attempt("old", BAD, 0), attempt("new", GOOD, 1)
NEXT = attempt("next", THIRD, 2, to="next", turn_index=1)
AGAIN = vote("regeneration", "old", at=1)


def test_an_answer_that_the_user_went_on_from_beats_the_one_it_replaced() -> None:
    built = build([OLD, NEW, NEXT], [AGAIN])
    assert [(GOOD, BAD)] == sides(built.train)
    assert ["regeneration"] == [pair.rule for pair in built.train]


@pytest.mark.parametrize("said", [up("new", at=2), down("old", at=2)])
def test_a_thumb_on_one_of_the_two_is_a_second_sign(said: Vote) -> None:
    (pair,) = build([OLD, NEW], [AGAIN, said]).train
    assert {AGAIN.feedback_id, said.feedback_id} == set(pair.feedback_ids)


@pytest.mark.parametrize(
    ("answers", "votes_", "reason"),
    [
        ([OLD, NEW], [], "regeneration without a second sign"),
        ([OLD, NEW, NEXT], [up("old")], "regeneration and thumb contradict each other"),
        ([OLD, NEW, NEXT], [down("new", at=2)], "regeneration and thumb contradict each other"),
        ([NEW, NEXT], [], "regeneration of an answer that is not in the window"),
        ([OLD, NEXT], [], "regeneration whose new answer was not logged"),
        ([OLD, attempt("new", GOOD, 1, error_type="e"), NEXT], [],
         "regeneration whose new answer was not logged"),
        ([OLD, attempt("new", GOOD, 1, conversation_id="other"), NEXT], [],
         "regeneration whose new answer was not logged"),
        ([attempt("old", BAD, 0, error_type="timeout"), NEW, NEXT], [],
         "regeneration of an answer that failed or was cut off"),
        ([attempt("old", BAD, 0, finish_reason="length"), NEW, NEXT], [],
         "regeneration of an answer that failed or was cut off"),
        ([OLD, attempt("new", GOOD, 1, model="m-2"), NEXT], [],
         "regeneration without a second sign"),
        ([OLD, NEW, attempt("next", THIRD, 2, to="next", turn_index=None)], [],
         "regeneration without a second sign"),
    ],
)  # fmt: skip
def test_asking_again_alone_says_nothing(
    answers: list[Answer], votes_: list[Vote], reason: str
) -> None:
    built = build(answers, [AGAIN, *votes_])
    assert [] == built.train
    assert reason in built.dropped


def test_of_several_attempts_the_last_one_was_kept() -> None:
    last = attempt("last", THIRD, 2)
    built = build([OLD, NEW, last, attempt("next", GOOD, 3, to="n", turn_index=1)], [AGAIN])
    assert [(THIRD, BAD)] == sides(built.train)


def test_siblings_and_grades_have_rules_of_their_own() -> None:
    votes_ = [comparison("a", "b", name="siblings"), comparison("a", "c", rating=0.9)]
    pairs = build([A, B, C], votes_).train
    assert {("siblings", 1.0), ("graded comparison", 0.9)} == {(p.rule, p.margin) for p in pairs}


@pytest.mark.parametrize("grade", [0.0, 0.49, float("nan")])
def test_a_comparison_near_a_tie_makes_no_pair(grade: float) -> None:
    built = build([A, B], [comparison("a", "b", rating=grade)])
    assert {"comparison that nearly ended in a tie": 1} == built.dropped


def test_the_last_comparison_of_one_person_counts() -> None:
    built = build([A, B], [comparison("a", "b", at=1), comparison("b", "a", at=2)])
    assert [(BAD, GOOD)] == sides(built.train)
    assert {"vote that the same person replaced by a later one": 1} == built.dropped


def test_thumbs_that_lie_months_apart_make_no_pair() -> None:
    later = answer("b", request_time=START + timedelta(days=31))
    said = [up("a"), down("b", at=31 * 24 * 60 + 1)]
    assert {"thumbs too many days apart": 2} == build([A, later], said).dropped
    assert 1 == len(build([A, later], said, max_vote_days=40).train)


def test_ratings_of_two_aspects_are_not_compared() -> None:
    built = build([A, B], [rating("a", 1.0, name="style"), rating("b", 0.0, name="facts")])
    assert {"rating without another by the same person on the same context": 2} == built.dropped


@pytest.mark.parametrize("share", [float("nan"), float("inf"), 1.5, -0.2])
def test_a_rating_off_its_scale_says_nothing(share: float) -> None:
    built = build([A, B], [rating("a", share), rating("b", 0.0)])
    assert 1 == built.dropped["rating without a known scale"]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("comment", "comment, which is no answer"),
        ("copy", "copied answer: no sign of approval by itself"),
        ("label", "label, which names no better answer"),
        ("escalation", "hand-over to a person, which names no better answer"),
        ("sth", "feedback of a kind that makes no pair"),
    ],
)
def test_what_names_no_better_answer_is_counted(kind: str, reason: str) -> None:
    assert {reason: 1} == build([A], [vote(kind, "a", polarity=1)]).dropped


def test_a_score_of_nobody_is_no_rating() -> None:
    fields = {"rating": 1.0, "annotator_kind": "UNKNOWN"}
    built = build([A, B], [vote("score", "a", **fields), rating("b", 0.0)])
    assert 1 == built.dropped["score that no person gave"]


def crowd(n: int) -> Evidence:
    """Return a context with n liked and n disliked answers, each also rated by one person."""
    answers = {f"r{i}": answer(f"r{i}", f"text {i}") for i in range(2 * n)}
    said = [(up if i % 2 else down)(f"r{i}", by=f"u{i}", at=i) for i in range(2 * n)]
    said += [rating(f"r{i}", (i % 5) / 4, by="one", at=i) for i in range(2 * n)]
    return Evidence(answers, tuple(said))


def test_a_crowd_on_one_context_takes_no_square_of_time() -> None:
    evidence, config = crowd(4_000), PairsConfig()
    begun = time.process_time()
    found = [*votes.build(evidence, config), *ratings.build(evidence, config)]
    assert time.process_time() - begun < 10.0
    made = [outcome for outcome in found if isinstance(outcome, Candidate)]
    assert 64 == sum(outcome.rule == "votes" for outcome in made)
    counted = {v.feedback_id for o in found for v in o.votes}
    assert {v.feedback_id for v in evidence.votes} == counted
    assert any(isinstance(o, Dropped) and "over the cap" in o.reason for o in found)


def test_the_first_pairs_of_a_crowd_stay_when_it_grows() -> None:
    few, many = crowd(5), crowd(50)
    first, later = (
        [(o.rejected.interaction_id, o.chosen.interaction_id)
         for o in votes.build(evidence, PairsConfig()) if isinstance(o, Candidate) and o.chosen]
        for evidence in (few, many)
    )  # fmt: skip
    assert first == later[: len(first)]
