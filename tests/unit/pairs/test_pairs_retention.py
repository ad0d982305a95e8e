"""Which liked answers are kept as what a correction must not change."""

from __future__ import annotations

from typing import Any

import pytest
from pair_evidence import BAD, GOOD, answer, build, comparison, correction, down, parts, up, vote

from loopllm_cli.pairs.build import BuiltPairs
from loopllm_cli.pairs.evidence.answer import Answer
from loopllm_cli.pairs.evidence.vote import Vote
from loopllm_cli.pairs.untouched import RIGHT, TODAY, UNCHANGED, Untouched


def names(built: BuiltPairs) -> list[str]:
    """Return which answers are retained."""
    return [kept.interaction_ids[0] for kept in built.retention]


def test_a_liked_answer_is_retained_with_its_whole_context() -> None:
    context = parts(("system", "Be brief."), ("user", "q"))
    liked, said = answer("a", f"{GOOD}\n", input_messages=context), up("a")
    (kept,) = build([liked], [said]).retention
    assert (GOOD, ("a",), (said.feedback_id,)) == (
        kept.chosen,
        kept.interaction_ids,
        kept.feedback_ids,
    )
    assert ["system", "user"] == [message["role"] for message in kept.prompt]


@pytest.mark.parametrize(
    "votes",
    [
        [],
        [down("a")],
        [up("a"), down("a", by="bob")],
        [up("a"), correction("a", BAD)],
        [up("a"), vote("rating", "a", polarity=-1, rating=0.0)],
        [up("a", annotator_kind="LLM")],
        [vote("rating", "a", polarity=0, rating=0.5)],
    ],
)
def test_an_answer_that_is_not_liked_or_also_disliked_is_not_retained(votes: list[Vote]) -> None:
    assert [] == names(build([answer("a", GOOD)], votes))


def test_an_answer_that_a_pair_calls_the_worse_is_not_retained() -> None:
    """It would be trained towards and away from at once, in whichever row its text stands."""
    answers = [answer("a", GOOD), answer("b", BAD), answer("b2", f"{BAD} ")]
    built = build(answers, [comparison("a", "b"), up("b2")])
    assert (1, []) == (len(built.train), names(built))


@pytest.mark.parametrize(
    "fields",
    [
        {"error_type": "timeout"},
        {"finish_reason": "length"},
        {"content_state": "redacted"},
        {"has_tools": True},
        {"text": " "},
        {"output_messages": None},
    ],
)
def test_an_answer_that_no_pair_may_hold_is_not_retained_either(fields: dict[str, Any]) -> None:
    assert [] == names(build([answer("a", **{"text": GOOD, **fields})], [up("a")]))


def test_only_traffic_that_must_not_change_is_retained() -> None:
    answers = [answer(name, GOOD, to=name, segment=name) for name in ("drifted", "sound")]
    built = build(answers, [up("drifted"), up("sound")], keep=lambda a: a.segment == "sound")
    assert ["sound"] == names(built)


def test_one_context_is_retained_once() -> None:
    built = build([answer("a", GOOD), answer("a2", f"{GOOD} Really.")], [up("a"), up("a2")])
    assert ["a"] == names(built)


def test_segments_take_turns_and_the_limit_holds() -> None:
    """A large segment does not crowd out the small ones."""
    spread = {"big": 6, "mid": 2, "small": 1}
    answers = [
        answer(f"{segment}{i}", GOOD, to=f"{segment}{i}", segment=segment)
        for segment, n in spread.items()
        for i in range(n)
    ]
    votes = [up(a.interaction_id) for a in answers]
    built = build(answers, votes, retention=6)
    assert ["big0", "mid0", "small0", "big1", "mid1", "big2"] == names(built)
    assert 9 == len(names(build(answers, votes, retention=100)))
    assert [] == names(build(answers, votes, retention=0))


def evidence_with_heldout() -> tuple[list[Answer], list[Vote]]:
    """Return corrections in conversations, and liked answers near them."""
    answers: list[Answer] = []
    votes: list[Vote] = []
    for i in range(10):
        place = {"to": f"q{i}", "conversation_id": f"k{i}"}
        answers.append(answer(f"r{i}", BAD, **place))
        answers.append(answer(f"same prompt {i}", f"Liked {i}.", to=f"q{i}", context_hash=f"c{i}"))
        answers.append(answer(f"same talk {i}", "Liked.", to=f"later {i}", conversation_id=f"k{i}"))
        votes += [correction(f"r{i}"), up(f"same prompt {i}"), up(f"same talk {i}")]
    return answers, votes


def test_nothing_of_a_held_out_prompt_or_conversation_is_retained() -> None:
    """A later turn's context would show the held-out prompt and its answer."""
    built = build(*evidence_with_heldout(), heldout_share=0.3)
    held = {pair.interaction_ids[0].removeprefix("r") for pair in built.heldout}
    assert 0 < len(held) < 10
    expected = {
        f"same {what} {i}" for what in ("prompt", "talk") for i in range(10) if str(i) not in held
    }
    assert expected == set(names(built))


def settled(n: int) -> list[tuple[Answer, str]]:
    """Return answers that are known to be right, each to a question of its own."""
    return [(answer(f"s{i}", f"{GOOD} {i}", to=f"settled {i}"), "known") for i in range(n)]


def test_settled_answers_fill_up_to_the_share_of_the_training_pairs() -> None:
    """People's likes come first, and more of these are welcome up to `retention`; few pairs get
    as many as would hold other traffic in place."""
    answers, votes = evidence_with_heldout()
    built = build(answers, votes, untouched=Untouched(settled=settled(200)))
    liked = [kept for kept in built.retention if kept.source == "liked answer"]
    assert (10, 20, 150) == (len(built.train), len(liked), len(built.retention))
    only = [vote for vote in votes if vote.kind == "correction"]
    built = build(answers, only, untouched=Untouched(settled=settled(200)), retention_share=16.0)
    assert ["known"] * 160 == [kept.source for kept in built.retention]
    none = build(answers, only, retention=2, untouched=Untouched(settled=settled(50)))
    assert 2 == len(none.retention)


@pytest.mark.parametrize(
    ("why", "kept"), [(UNCHANGED, ["s0", "s1"]), (RIGHT, ["s0", "s1"]), (TODAY, ["s1"])]
)
def test_what_a_pair_calls_the_worse_may_be_right_elsewhere_if_more_speaks_for_it_than_today(
    why: str, kept: list[str]
) -> None:
    """A hand-over is wrong for who wants to cancel, and right for who wants a person."""
    answers, votes = evidence_with_heldout()
    only = [vote for vote in votes if vote.kind == "correction"]
    elsewhere = [(answer(f"s{i}", text, to=f"s{i}"), why) for i, text in enumerate((BAD, GOOD))]
    assert kept == names(build(answers, only, untouched=Untouched(settled=elsewhere)))


def test_a_settled_answer_to_a_held_out_question_is_not_retained() -> None:
    answers, votes = evidence_with_heldout()
    only = [vote for vote in votes if vote.kind == "correction"]
    near = [(answer(f"n{i}", GOOD, to=f"q{i}", context_hash=f"n{i}"), "known") for i in range(10)]
    built = build(answers, only, heldout_share=0.3, untouched=Untouched(settled=near))
    held = {pair.prompt_hash for pair in built.heldout}
    assert held
    assert not held & {kept.prompt_hash for kept in built.retention}
