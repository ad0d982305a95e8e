"""Which feedback is heard at all: bad input is counted by its reason and makes no pair."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from pair_evidence import BAD, GOOD, START, answer, comparison, correction, down, rating, up, vote

from loopllm_cli.config import PairsConfig
from loopllm_cli.pairs.evidence.admissible import admissible
from loopllm_cli.pairs.evidence.answer import Answer
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.evidence.vote import Vote

A, B = answer("a", GOOD), answer("b", BAD)
NOW = START + timedelta(days=400)


def refused(votes: list[Vote], *answers: Answer, **settings: Any) -> dict[str, int]:
    """Return how many votes are not heard, by reason; the others must still be there."""
    evidence = Evidence({a.interaction_id: a for a in answers or (A, B)}, tuple(votes))
    heard, dropped = admissible(evidence, PairsConfig(**settings), NOW)
    names = [name for _, group in dropped for name in group]
    refused_ids = set(names)
    assert [v for v in votes if v.feedback_id not in refused_ids] == list(heard.votes)
    assert len(names) == len(refused_ids)
    return {reason: len(group) for reason, group in dropped}


def test_what_people_say_is_heard() -> None:
    assert {} == refused([up("a"), down("b"), rating("a", 1.0), correction("b")])


@pytest.mark.parametrize("kind", ["LLM", "CODE", "code"])
def test_machines_are_heard_only_when_asked_for(kind: str) -> None:
    said = [up("a", annotator_kind=kind)]
    assert {"feedback of a judge model or a program": 1} == refused(said)
    assert {} == refused(said, allow_judge=True)


@pytest.mark.parametrize(
    ("when", "reason"),
    [
        (timedelta(minutes=-4), None),
        (timedelta(minutes=-6), "feedback dated before its answer"),
        (timedelta(days=-400), "feedback dated before its answer"),
        (timedelta(days=364), None),
        (timedelta(days=366), "feedback dated a year after its answer"),
        (timedelta(days=9_000), "feedback dated after everything in the store"),
    ],
)
def test_the_time_of_a_vote_must_be_possible(when: timedelta, reason: str | None) -> None:
    said = [up("a", feedback_time=START + when)]
    assert ({reason: 1} if reason else {}) == refused(said)


def test_a_date_without_a_time_is_any_time_of_the_day() -> None:
    late = answer("a", request_time=START + timedelta(hours=14))
    assert {} == refused([up("a", feedback_time=START)], late)
    assert {"feedback dated before its answer": 1} == refused(
        [up("a", feedback_time=START - timedelta(days=1))], late
    )


def test_a_comparison_cannot_be_older_than_what_it_compares() -> None:
    late = answer("b", request_time=START + timedelta(days=3))
    said = [comparison("a", "b", feedback_time=START + timedelta(days=1))]
    assert {"feedback dated before its answer": 1} == refused(said, A, late)


def test_the_nearest_answer_in_time_is_not_trained_on() -> None:
    said = [up("a", method="time"), comparison("a", "b", method="time")]
    reason = "feedback linked to its answer by nothing but the time"
    assert {reason: 1} == refused(said)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"content_state": "redacted"}, "an answer whose content was not logged in full"),
        ({"content_state": "truncated"}, "an answer whose content was not logged in full"),
        ({"content_state": "absent"}, "an answer whose content was not logged in full"),
        ({"error_type": "timeout"}, "an answer that is an error"),
        ({"finish_reason": "length"}, "an answer that was cut off"),
    ],
)
def test_votes_on_answers_that_are_not_whole_are_counted_as_such(
    fields: dict[str, str], reason: str
) -> None:
    assert {reason: 2} == refused([up("a"), rating("a", 1.0)], answer("a", **fields))


def edit(of: str, **fields: Any) -> Vote:
    """Return a user's edit in place."""
    return correction(of, name="edited", **fields)


def test_who_votes_after_an_edit_may_mean_the_edited_text() -> None:
    reason = "vote that may be about an edited text"
    assert {reason: 1} == refused([up("a", at=1), edit("a", at=2), down("a", at=3, by="bob")])
    assert {reason: 2} == refused([up("a", at=1), edit("a", feedback_time=None), down("a", at=3)])
    assert {reason: 1} == refused([edit("a", at=2), comparison("b", "a", at=3)])
    assert {} == refused([correction("a", at=1), up("a", at=2)])


@pytest.mark.parametrize(
    "told",
    [
        *("slow_response", "Slow response", "slow_response: other", "UI bug", "too slow\nother"),
        *("latency, performance", "slow response\ntags: cooking, soup"),
    ],
)
def test_a_thumb_about_the_service_says_nothing_of_the_answer(told: str) -> None:
    reason = "thumb about the service, not the answer"
    assert {reason: 1} == refused([down("b", explanation=told)])


@pytest.mark.parametrize(
    "told",
    [
        *("not_accurate", "slow_response, not_accurate", "other", "", "tags: slow"),
        *("The answer is slow to come to the point", "It got the UI wrong", "x" * 100_000),
    ],
)
def test_a_thumb_with_any_other_reason_counts(told: str) -> None:
    assert {} == refused([down("b", explanation=told)])


def test_a_flood_of_one_person_is_cut_and_nobody_else_is() -> None:
    """100,000 votes of one user: the first ten thousand are heard, and it takes no time."""
    flood = [up("a", by="spam", feedback_id=f"s{i}") for i in range(100_000)]
    begun = time.process_time()
    found = refused([*flood, down("b", by="ann"), *(up("a", by=None, feedback_id=f"n{i}")
                                                    for i in range(20_000))])  # fmt: skip
    assert {"over the cap of votes by one person": 90_000} == found
    assert time.process_time() - begun < 5.0


def test_what_is_mined_does_not_count_towards_a_flood() -> None:
    mined = [vote("implicit", "a", feedback_id=f"m{i}", polarity=-1) for i in range(20_000)]
    assert {} == refused([*mined, up("a")])


def test_the_same_evidence_comes_back_where_nothing_is_refused() -> None:
    evidence = Evidence({"a": A}, (up("a"),))
    assert (evidence, []) == admissible(evidence, PairsConfig(), None)
