"""Judge models: heard only when asked for, never mixed with people, never of the same family."""

from __future__ import annotations

from typing import Any

import pytest
from pair_evidence import BAD, GOOD, answer, build, comparison, down, rating, sides, up, vote

from loopllm_cli.pairs.evidence.vote import Vote
from loopllm_cli.pairs.judges import family_of, prefer_people

A, B = answer("a", GOOD), answer("b", BAD)
JUDGE: dict[str, Any] = {"annotator_kind": "LLM", "by": "gpt-4"}


def judged(votes: list[Vote], *answers: Any, **settings: Any) -> Any:
    """Build pairs with judges allowed."""
    return build(answers or (A, B), votes, **{"allow_judge": True, **settings})


def swapped(grade: float | None = None, winner: str = "a", **fields: Any) -> Vote:
    """Return a judge's comparison in the other order."""
    said = {**JUDGE, "rating": grade, **fields}
    return vote("comparison", None, candidates=("b", "a"), winner=winner, **said)


def test_a_judge_that_agrees_with_itself_in_both_orders_makes_a_pair() -> None:
    (pair,) = judged([comparison("a", "b", **JUDGE), swapped()]).train
    assert ("judge comparison", GOOD, 2) == (pair.rule, pair.chosen, len(pair.feedback_ids))


@pytest.mark.parametrize(
    ("votes", "reason"),
    [
        ([comparison("a", "b", **JUDGE)],
         "judge's comparison in one order only, without a grade"),
        ([comparison("a", "b", **JUDGE), swapped(winner="b")],
         "judge whose winner depends on the order"),
        ([comparison("a", "b", rating=0.3, **JUDGE)],
         "judge's comparison that nearly ended in a tie"),
        ([comparison("a", "b", rating=float("nan"), **JUDGE)],
         "judge's comparison that nearly ended in a tie"),
        ([vote("comparison", None, candidates=("a", "b"), tie=True, **JUDGE)],
         "judge's comparison that ended in a tie"),
        ([rating("a", 1.0, name="toxicity", **JUDGE), rating("b", 0.0, name="toxicity", **JUDGE)],
         "judge's score of which more may be worse"),
        ([rating("a", 0.7, **JUDGE), rating("b", 0.4, **JUDGE)],
         "ratings too close to each other"),
        ([rating("a", None, **JUDGE)], "rating without a known scale"),
        ([vote("label", "a", **JUDGE)], "judge's feedback of a kind that makes no pair"),
    ],
)  # fmt: skip
def test_a_judge_that_cannot_be_trusted_makes_no_pair(votes: list[Vote], reason: str) -> None:
    built = judged(votes)
    assert ([], {reason: len(votes)}) == (built.train, built.dropped)


def test_a_clear_grade_in_one_order_is_enough() -> None:
    (pair,) = judged([comparison("a", "b", rating=0.8, **JUDGE)]).train
    assert ("judge comparison", 0.8) == (pair.rule, pair.margin)


def test_scores_of_one_judge_on_one_metric_make_a_pair() -> None:
    votes = [vote("score", "a", rating=0.9, name="helpful", **JUDGE),
             vote("score", "b", rating=0.2, name="helpful", **JUDGE),
             vote("score", "b", rating=1.0, name="polite", **JUDGE)]  # fmt: skip
    (pair,) = judged(votes).train
    assert ("judge score", GOOD, 0.7) == (pair.rule, pair.chosen, round(pair.margin, 6))


def test_judges_without_a_name_are_known_by_their_metric() -> None:
    votes = [rating("a", 1.0, name="m", annotator_kind="LLM", by=None),
             rating("b", 0.0, name="m", annotator_kind="LLM", by=None)]  # fmt: skip
    assert ["judge score"] == [pair.rule for pair in judged(votes).train]


def test_passes_and_fails_of_one_judge_make_a_pair() -> None:
    votes = [up("a", name="correct", **JUDGE), down("b", name="correct", **JUDGE)]
    assert ["judge votes"] == [pair.rule for pair in judged(votes).train]


def test_a_judge_and_a_person_are_no_pair_of_votes() -> None:
    built = judged([up("a"), down("b", **JUDGE)])
    assert {"thumb without an opposite one on the same context": 2} == built.dropped


@pytest.mark.parametrize("fields", [JUDGE, {**JUDGE, "by": "u_0123456789abcdef", "name": "gpt-4"}])
def test_a_judge_of_the_family_of_an_answer_is_refused(fields: dict[str, Any]) -> None:
    own = answer("b", BAD, model="openai/gpt-4o-mini")
    built = judged([comparison("a", "b", rating=1.0, **fields)], A, own)
    assert {"judge of the same model family as an answer": 1} == built.dropped


def test_a_judge_that_only_the_configuration_names_is_known_too() -> None:
    votes = [comparison("a", "b", rating=1.0, annotator_kind="LLM", by="u_12")]
    own = answer("b", BAD, model="claude-sonnet-4")
    assert 1 == len(judged(votes, A, own).train)
    assert [] == judged(votes, A, own, judge_model="anthropic/claude-opus").train


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("gpt-4o", "openai"), ("azure/gpt4_1106_preview", "openai"), ("o3-mini", "openai"),
        ("us.anthropic.claude-3-5-sonnet", "anthropic"), ("models/gemini-2.5-pro", "google"),
        ("Meta-Llama-3.1-8B-Instruct", "meta"), ("vicuna-7b-v1.5", "meta"),
        ("mistralai/Mixtral-8x7B", "mistral"), ("Qwen2.5-72B", "qwen"), ("deepseek-r1", "deepseek"),
        ("u_0123456789abcdef", None), ("", None), (None, None), ("x" * 10_000, None),
        ("my-model-1", None),
    ],
)  # fmt: skip
def test_the_family_of_a_model_is_read_from_its_name(name: str | None, family: str | None) -> None:
    assert family == family_of(name)


def test_people_decide_where_both_compared() -> None:
    """Whether the judge agrees or not, the pair is the person's alone."""
    for winner, reason in (("a", "judge on a pair that people decided"),
                           ("b", "judge who contradicts a person")):  # fmt: skip
        loser = "b" if winner == "a" else "a"
        mixed = judged([comparison("a", "b", rating=1.0, **JUDGE)]).train
        mixed += build([A, B], [comparison(winner, loser)]).train
        kept, dropped = prefer_people(mixed)
        assert ["comparison"] == [pair.rule for pair in kept]
        assert [reason] == [why for why, _ in dropped]


def test_a_judge_alone_decides_alone() -> None:
    pairs = judged([comparison("a", "b", rating=1.0, **JUDGE)]).train
    assert (pairs, []) == prefer_people(pairs)


def test_people_and_judges_in_one_store_stay_apart() -> None:
    built = judged([comparison("b", "a", by="ann"), comparison("a", "b", rating=1.0, **JUDGE)])
    assert [(BAD, GOOD)] == sides(built.train)
    assert {"judge who contradicts a person": 1} == built.dropped
