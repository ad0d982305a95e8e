"""Duplicates, contradictions, caps, warnings, and the account of all feedback."""

from __future__ import annotations

from collections import Counter

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

from loopllm_cli.config import PairsConfig
from loopllm_cli.pairs.build import build_pairs
from loopllm_cli.pairs.candidates import Candidate
from loopllm_cli.pairs.evidence.answer import Answer
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.evidence.vote import Vote
from loopllm_cli.pairs.untouched import Untouched

CONTRADICT = "users contradict each other"
A, B = answer("a", GOOD), answer("b", BAD)


def corrected(n: int, **fields: str) -> tuple[list[Answer], list[Vote]]:
    """Return answers to prompts of their own, each with its correction."""
    answers = [answer(f"r{i}", f"{BAD} {i}", to=f"q{i}", **fields) for i in range(n)]
    return answers, [correction(a.interaction_id, f"{GOOD} {i}") for i, a in enumerate(answers)]


def test_three_people_of_one_opinion_make_one_pair() -> None:
    votes = [comparison("a", "b", by=name) for name in ("ann", "bob", "cid")]
    built = build([A, B], votes)
    assert ([(GOOD, BAD)], {}, 3) == (sides(built.train), built.dropped, built.n_candidates)
    (pair,) = built.train
    assert ("ann", "bob", "cid") == pair.annotator_ids
    assert tuple(vote.feedback_id for vote in votes) == pair.feedback_ids


def test_a_pair_said_in_two_ways_is_one_pair() -> None:
    """A correction to the very text of a liked answer repeats what the thumbs say."""
    votes = [correction("b"), up("a"), down("b")]
    built = build([A, B], votes)
    assert (["correction"], {}) == ([pair.rule for pair in built.train], built.dropped)
    assert {vote.feedback_id for vote in votes} == set(built.train[0].feedback_ids)


def test_one_text_in_two_rows_is_one_pair() -> None:
    built = build([A, B, answer("b2", f"{BAD} \n")], [comparison("a", "b"), comparison("a", "b2")])
    assert ([(GOOD, BAD)], {}) == (sides(built.train), built.dropped)
    assert 2 == len(built.train[0].feedback_ids)


def test_the_same_texts_on_two_contexts_are_two_pairs() -> None:
    others = [answer("a2", GOOD, to="elsewhere"), answer("b2", BAD, to="elsewhere")]
    built = build([A, B, *others], [comparison("a", "b"), comparison("a2", "b2")])
    assert ([(GOOD, BAD)] * 2, {}) == (sides(built.train), built.dropped)


@pytest.mark.parametrize(
    "votes",
    [
        [comparison("a", "b"), comparison("b", "a", by="bob")],
        [comparison("a", "b"), comparison("a", "b", by="bob"), comparison("b", "a", by="cid")],
        [comparison("b", "a"), correction("b", GOOD)],
        [rating("a", 1.0), rating("b", 0.0), comparison("b", "a")],
    ],
)
def test_users_who_contradict_each_other_make_no_pair(votes: list[Vote]) -> None:
    """Neither direction is kept, whatever kind of feedback said it and however often."""
    built = build([A, B], votes)
    assert ([], {CONTRADICT: len(votes)}) == (built.train, built.dropped)


def test_a_contradiction_leaves_other_pairs_alone() -> None:
    votes = [comparison("a", "b"), comparison("b", "a", by="bob"), correction("c", "x y z")]
    built = build([A, B, answer("c", BAD, to="elsewhere")], votes)
    assert [("x y z", BAD)] == sides(built.train)


def test_no_user_gives_more_than_the_cap() -> None:
    answers, votes = corrected(5, user_id="u")
    others, more = [answer("x", BAD, to="x", user_id="v")], [correction("x")]
    built = build([*answers, *others], [*votes, *more], per_user=3)
    assert (4, {"over the cap per user": 2}) == (len(built.train), built.dropped)
    assert {"u": 3, "v": 1} == Counter(pair.user_id for pair in built.train)


def test_rows_of_nobody_known_are_not_one_user() -> None:
    assert 5 == len(build(*corrected(5), per_user=1).train)


def test_no_prompt_gives_more_than_the_cap() -> None:
    answers = [answer(f"r{i}", f"{BAD} {i}") for i in range(4)]
    built = build(answers, [correction(a.interaction_id) for a in answers], per_prompt=3)
    assert (3, {"over the cap per prompt": 1}) == (len(built.train), built.dropped)


def test_duplicates_do_not_use_up_the_cap() -> None:
    votes = [comparison("a", "b", by=name) for name in ("ann", "bob")] + [correction("c")]
    answers = [answer(n, t, user_id="u") for n, t in (("a", GOOD), ("b", BAD), ("c", f"{BAD} c"))]
    built = build(answers, votes, per_user=2)
    assert (2, {}) == (len(built.train), built.dropped)


def test_contexts_without_a_users_text_are_not_one_prompt() -> None:
    answers, votes = corrected(4)
    bare = [
        answer(a.interaction_id, a.text, to=a.prompt_text or "", prompt_hash=None) for a in answers
    ]
    built = build(bare, votes, per_prompt=1)
    assert ({f"context q{i}" for i in range(4)}, {}) == (
        {pair.prompt_hash for pair in built.train},
        built.dropped,
    )


def test_feedback_with_several_candidates_is_counted_once_where_none_is_kept() -> None:
    """The reason is that of the candidate which came furthest: the guards come after the rule."""
    cut = answer("cut", f"{BAD} …", finish_reason="length")
    built = build([cut, answer("same", f"{GOOD} "), A], [comparison("a", "cut", "same")])
    assert (2, {"an answer that was cut off": 1}) == (built.n_candidates, built.dropped)
    votes = [rating("a", 1.0), rating("b", 0.9), rating("cut", 0.0)]
    built = build([A, B, cut], votes)
    close = "ratings too close to each other"
    assert {"an answer that was cut off": 1, close: 2} == built.dropped


def test_feedback_that_stands_in_one_pair_is_not_counted_as_dropped() -> None:
    cut = answer("cut", f"{BAD} …", finish_reason="length")
    built = build([A, B, cut], [comparison("a", "b", "cut")])
    assert (1, {}) == (len(built.train), built.dropped)


def test_no_feedback_makes_no_pairs_and_no_fuss() -> None:
    built = build([A, B], [])
    assert ([], [], [], {}, 0) == (
        built.train,
        built.heldout,
        built.retention,
        built.dropped,
        built.n_feedback,
    )


def test_the_time_of_a_pair_is_that_of_its_last_vote() -> None:
    first, last = up("a", at=1), down("b", at=9)
    (pair,) = build([A, B], [first, last]).train
    assert last.feedback_time == pair.feedback_time
    (pair,) = build([A, B], [comparison("a", "b", feedback_time=None)]).train
    assert pair.feedback_time is None


def test_both_sides_of_a_pair_name_their_model_and_conversation() -> None:
    chosen = answer("a", GOOD, model="m-2", conversation_id="k2")
    rejected = answer("b", BAD, conversation_id="k1")
    (pair,) = build([chosen, rejected], [comparison("a", "b")]).train
    assert ("m-2", "m-1") == (pair.chosen_model, pair.rejected_model)
    assert ("k2", "k1") == (pair.chosen_conversation_id, pair.conversation_id)


def test_held_out_pairs_are_taken_from_the_kept_ones() -> None:
    built = build(*corrected(50), heldout_share=0.2)
    assert built.heldout
    assert 50 == len(built.train) + len(built.heldout)
    assert 50 == len({pair.pair_id for pair in (*built.train, *built.heldout)})


def test_what_is_mined_makes_no_pair_and_is_counted_apart() -> None:
    mined = vote("implicit", "b", polarity=-1, score_value=0.9)
    built = build([A, B], [comparison("a", "b"), mined])
    assert (1, 1, 1) == (len(built.train), built.n_feedback, built.n_mined)


def test_candidates_that_no_vote_speaks_for_pass_the_same_guards() -> None:
    cut = answer("cut", f"{BAD} …", finish_reason="length")
    extra = [Candidate("replay", side, A, None, ()) for side in (B, cut)]
    evidence = Evidence({"a": A}, ())
    built = build_pairs(evidence, PairsConfig(heldout_share=0.0), Untouched(), extra)
    assert [(GOOD, BAD, "replay", ())] == [
        (pair.chosen, pair.rejected, pair.rule, pair.feedback_ids) for pair in built.train
    ]
    assert (2, 0, {}) == (built.n_candidates, built.n_feedback, built.dropped)


def test_a_vote_on_nothing_is_counted() -> None:
    built = build([], [vote("thumbs", None, polarity=1)])
    assert {"thumb on an answer that is not in the window": 1} == built.dropped
