"""What each kind of feedback says about which answer is better, and when it says nothing."""

from __future__ import annotations

import pytest
from pair_evidence import (
    BAD,
    GOOD,
    answer,
    build,
    comparison,
    correction,
    down,
    rating,
    sides,
    up,
    vote,
)

from loopllm_cli.pairs.evidence.vote import Vote

REPLACED = "vote that the same person replaced by a later one"
ALONE = "thumb without an opposite one on the same context"
A, B, C = answer("a", GOOD), answer("b", BAD), answer("c", "A third answer, of which more later.")


def test_a_correction_is_better_than_the_answer_it_corrects() -> None:
    built = build([answer("b", user_id="u", conversation_id="k")], [correction("b", at=5)])
    (pair,) = built.train
    assert (GOOD, BAD, "correction", 1.0) == (pair.chosen, pair.rejected, pair.rule, pair.margin)
    assert ({"role": "user", "content": "q"},) == pair.prompt
    assert (None, "m-1", ("b",)) == (pair.chosen_model, pair.rejected_model, pair.interaction_ids)
    assert ("u", "k", None) == (pair.user_id, pair.conversation_id, pair.chosen_conversation_id)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (correction("gone"), "correction of an answer that is not in the window"),
        (correction(None), "correction of an answer that is not in the window"),
        (correction("b", None), "correction without text"),
    ],
)
def test_a_correction_of_nothing_or_by_nothing_makes_no_pair(said: Vote, reason: str) -> None:
    built = build([B], [said])
    assert ([], {reason: 1}) == (built.train, built.dropped)


def test_the_winner_of_a_comparison_is_better_than_each_loser() -> None:
    built = build([A, B, C], [comparison("a", "b", "c")])
    assert {(GOOD, BAD), (GOOD, C.text)} == set(sides(built.train))
    assert {("a", "b"), ("a", "c")} == {pair.interaction_ids for pair in built.train}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            vote("comparison", None, candidates=("a", "b"), tie=True),
            "comparison that ended in a tie",
        ),
        (comparison("gone", "b"), "comparison of answers that are not in the window"),
        (comparison("a", "gone"), "comparison of answers that are not in the window"),
        (comparison("a", None), "comparison of answers that are not in the window"),
        (comparison("a"), "comparison of answers that are not in the window"),
        (comparison("a", "other"), "comparison of answers to different contexts"),
    ],
)
def test_a_comparison_that_tells_nothing_makes_no_pair(said: Vote, reason: str) -> None:
    built = build([A, B, answer("other", to="elsewhere")], [said])
    assert ([], {reason: 1}) == (built.train, built.dropped)


def test_a_comparison_keeps_the_losers_that_had_the_same_context() -> None:
    built = build([A, B, answer("other", to="elsewhere")], [comparison("a", "b", "other")])
    assert ([(GOOD, BAD)], {}) == (sides(built.train), built.dropped)


def test_opposite_thumbs_on_one_context_make_a_pair_of_all_who_voted() -> None:
    votes = [up("a"), up("a", by="bob"), down("b", by="cid")]
    (pair,) = build([A, B], votes).train
    assert (GOOD, BAD, "votes") == (pair.chosen, pair.rejected, pair.rule)
    assert {v.feedback_id for v in votes} == set(pair.feedback_ids)


def test_every_liked_answer_is_better_than_every_disliked_one() -> None:
    built = build([A, B, C], [up("a"), down("b"), down("c")])
    assert {(GOOD, BAD), (GOOD, C.text)} == set(sides(built.train))


@pytest.mark.parametrize(
    "votes", [[up("a")], [down("b")], [up("a"), up("b")], [down("a"), down("b")]]
)
def test_thumbs_of_one_direction_say_nothing_about_what_is_better(votes: list[Vote]) -> None:
    built = build([A, B], votes)
    assert ([], {ALONE: len(votes)}) == (built.train, built.dropped)


def test_thumbs_on_different_contexts_make_no_pair() -> None:
    built = build([A, answer("other", to="elsewhere")], [up("a"), down("other")])
    assert ([], {ALONE: 2}) == (built.train, built.dropped)


def test_an_answer_about_which_users_disagree_is_on_neither_side() -> None:
    built = build([A, B], [up("a"), down("a", by="bob"), down("b")])
    assert {"users disagree about the answer": 2, ALONE: 1} == built.dropped


def test_a_user_who_changed_their_mind_is_taken_at_the_last_word() -> None:
    built = build([A, B], [down("a", at=1), down("b", at=2), up("a", at=3)])
    assert ([(GOOD, BAD)], {REPLACED: 1}) == (sides(built.train), built.dropped)


def test_a_user_whose_last_word_is_not_known_disagrees_with_themselves() -> None:
    """Without times, or with one time for both, nobody can tell which vote came last."""
    for votes in (
        [up("a", feedback_time=None), down("a", feedback_time=None), down("b")],
        [up("a", at=1), down("a", at=1), down("b")],
    ):
        assert 2 == build([A, B], votes).dropped["users disagree about the answer"]


def test_nobody_known_cannot_replace_another_vote() -> None:
    votes = [up("a", by=None, at=1), down("a", by=None, at=2), down("b")]
    assert 2 == build([A, B], votes).dropped["users disagree about the answer"]


@pytest.mark.parametrize("polarity", [0, None])
def test_a_thumb_that_is_neither_up_nor_down_is_no_dislike(polarity: int | None) -> None:
    built = build([A, B], [up("a"), vote("thumbs", "b", polarity=polarity)])
    assert {"thumb that is neither up nor down": 1, ALONE: 1} == built.dropped


def test_a_thumb_without_answer_or_context_makes_no_pair() -> None:
    built = build([answer("b", context_hash=None)], [up("gone"), down("b")])
    assert {
        "thumb on an answer that is not in the window": 1,
        "thumb on an answer without logged context": 1,
    } == built.dropped


def test_a_clearly_higher_rating_by_the_same_person_is_better() -> None:
    (pair,) = build([A, B], [rating("a", 1.0), rating("b", 0.25)]).train
    assert (GOOD, BAD, "rating", 0.75) == (pair.chosen, pair.rejected, pair.rule, pair.margin)


@pytest.mark.parametrize(
    ("margin", "low", "high", "n_pairs"),
    [
        (0.5, 0.5, 1.0, 1),
        (0.5, 0.51, 1.0, 0),
        (0.2, 0.1, 0.3, 1),  # 0.3 - 0.1 falls short of 0.2 by rounding only
        (0.0, 0.5, 0.5, 0),  # equal ratings say nothing, whatever the margin
    ],
)
def test_ratings_must_lie_the_margin_apart(
    margin: float, low: float, high: float, n_pairs: int
) -> None:
    built = build([A, B], [rating("a", high), rating("b", low)], min_rating_margin=margin)
    assert n_pairs == len(built.train)
    assert ({} if n_pairs else {"ratings too close to each other": 2}) == built.dropped


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (rating("a", None), "rating without a known scale"),
        (rating("gone", 1.0), "rating of an answer that is not in the window"),
        (rating("a", 1.0, by=None), "rating by nobody known, or without logged context"),
        (rating("x", 1.0), "rating by nobody known, or without logged context"),
    ],
)
def test_a_rating_that_cannot_be_compared_makes_no_pair(said: Vote, reason: str) -> None:
    built = build([A, B, answer("x", context_hash=None)], [said])
    assert ([], {reason: 1}) == (built.train, built.dropped)


def test_ratings_of_two_people_are_not_compared() -> None:
    built = build([A, B], [rating("a", 1.0), rating("b", 0.0, by="bob")])
    assert ([], {"rating without another by the same person on the same context": 2}) == (
        built.train,
        built.dropped,
    )


def test_the_last_rating_of_an_answer_counts() -> None:
    built = build([A, B], [rating("a", 0.0), rating("a", 1.0, at=1), rating("b", 0.0)])
    assert ([(GOOD, BAD)], {REPLACED: 1}) == (sides(built.train), built.dropped)


def test_ratings_of_one_answer_that_differ_in_unknown_order_say_nothing() -> None:
    votes = [rating("a", 0.0), rating("a", 1.0), rating("b", 0.0)]
    assert 2 == build([A, B], votes).dropped["ratings of one answer by one person differ"]


def test_a_rating_in_a_pair_is_not_counted_as_too_close_to_a_third() -> None:
    built = build([A, B, C], [rating("a", 1.0), rating("b", 0.0), rating("c", 0.1)])
    assert ({(GOOD, BAD), (GOOD, C.text)}, {}) == (set(sides(built.train)), built.dropped)


@pytest.mark.parametrize("kind", ["LLM", "CODE", "llm"])
def test_a_judge_model_or_a_program_does_not_pass_for_a_person(kind: str) -> None:
    built = build([A, B], [up("a", annotator_kind=kind), down("b")])
    assert {"feedback of a judge model or a program": 1, ALONE: 1} == built.dropped


def test_feedback_of_a_kind_without_a_rule_is_counted() -> None:
    built = build([A], [vote("pigeon", "a"), vote("smoke", "a", at=1)])
    assert {"feedback of a kind that makes no pair": 2} == built.dropped
