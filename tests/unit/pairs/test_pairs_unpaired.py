"""Single judged answers: what each sign says and weighs, and what keeps an answer out."""

from __future__ import annotations

from typing import Any

import pytest
from pair_evidence import (
    BAD,
    GOOD,
    answer,
    build,
    comparison,
    correction,
    down,
    parts,
    rating,
    up,
    vote,
)

from loopllm_cli.config import PairsConfig
from loopllm_cli.model import Unpaired
from loopllm_cli.pairs.evidence.answer import Answer
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.evidence.vote import Vote
from loopllm_cli.pairs.unpaired import build_unpaired

A = answer("a", GOOD)
MINED: dict[str, Any] = {"polarity": -1, "score_value": 0.8}


def unpaired(votes: list[Vote], *answers: Answer, **settings: Any) -> list[Unpaired]:
    """Return the single judged answers among those given, where nothing is held out."""
    evidence = Evidence({a.interaction_id: a for a in answers or (A,)}, tuple(votes))
    return build_unpaired(evidence, [], [], PairsConfig(**settings))


@pytest.mark.parametrize(
    ("said", "label", "source", "weight"),
    [
        (up("a"), True, "thumbs", 1.0),
        (down("a"), False, "thumbs", 1.0),
        (rating("a", 0.75), True, "rating", 1.0),
        (rating("a", 0.25), False, "rating", 1.0),
        (vote("accept", "a"), True, "accept", 0.3),
        (vote("copy", "a"), True, "copy", 0.2),
        (vote("escalation", "a"), False, "escalation", 0.3),
        (vote("abandon", "a"), False, "abandon", 0.2),
        (vote("implicit", "a", **MINED), False, "implicit", 0.4),
    ],
)
def test_every_sign_has_a_label_and_a_weight(
    said: Vote, label: bool, source: str, weight: float
) -> None:
    (one,) = unpaired([said])
    assert (label, source, weight) == (one.label, one.source, one.weight)
    assert (GOOD, ({"role": "user", "content": "q"},)) == (one.completion, one.prompt)
    assert ((said.feedback_id,), "a") == (one.feedback_ids, one.interaction_id)


@pytest.mark.parametrize(
    "said",
    [
        *(rating("a", 0.5), rating("a", 0.74), rating("a", None), rating("a", float("nan"))),
        *(vote("thumbs", "a"), vote("comment", "a"), vote("label", "a"), vote("score", "a")),
        *(up("gone"), up("a", annotator_kind="LLM"), vote("implicit", "a", polarity=-1)),
        vote("implicit", "a", polarity=-1, score_value=float("nan")),
        down("a", explanation="other"),
        vote("escalation", "a", label="refund limit"),
        vote("escalation", "a", explanation="the customer asked for a person"),
    ],
)
def test_what_says_nothing_of_the_answer_makes_no_example(said: Vote) -> None:
    assert [] == unpaired([said])


def test_the_last_word_wins_and_disagreement_drops() -> None:
    assert [True] == [u.label for u in unpaired([down("a", at=1), up("a", at=2)])]
    assert [] == unpaired([down("a"), up("a", by="bob")])
    assert [] == unpaired([up("a"), rating("a", 0.0)])


def test_what_was_said_outweighs_what_was_done_or_mined() -> None:
    (one,) = unpaired([vote("escalation", "a"), vote("implicit", "a", **MINED), up("a")])
    assert (True, "thumbs") == (one.label, one.source)


def test_several_who_agree_make_one_example_of_all_votes() -> None:
    votes = [up("a"), up("a", by="bob"), rating("a", 1.0)]
    (one,) = unpaired(votes)
    assert {v.feedback_id for v in votes} == set(one.feedback_ids)


@pytest.mark.parametrize(
    "fields",
    [
        *({"error_type": "x"}, {"finish_reason": "length"}, {"content_state": "redacted"}),
        *({"context_hash": None}, {"output_messages": None}, {"input_messages": "[broken"}),
    ],
)
def test_an_answer_that_nobody_should_train_on_is_left_out(fields: dict[str, Any]) -> None:
    assert [] == unpaired([up("a")], answer("a", GOOD, **fields))


@pytest.mark.parametrize("text", ["", " \n", "Internal server error"])
def test_an_empty_or_failed_answer_is_no_good_one(text: str) -> None:
    assert [] == unpaired([up("a")], answer("a", text))


def test_a_liked_refusal_is_not_taught_and_a_disliked_one_is() -> None:
    refusal = answer("a", "I'm sorry, but I cannot help with that request.")
    assert [] == unpaired([up("a")], refusal)
    assert [False] == [u.label for u in unpaired([down("a")], refusal)]


def test_the_same_words_on_one_context_stand_once_or_not_at_all() -> None:
    twin = answer("b", f"{GOOD}\n")
    assert 1 == len(unpaired([up("a"), up("b", at=1)], A, twin))
    assert [] == unpaired([up("a"), down("b", at=1)], A, twin)


def test_users_and_prompts_have_caps() -> None:
    mine = [answer(f"r{i}", f"t{i}", to=f"q{i}", user_id="u") for i in range(9)]
    assert 3 == len(unpaired([up(a.interaction_id) for a in mine], *mine, per_user=3))
    one = [answer(f"r{i}", f"t{i}") for i in range(9)]
    assert 2 == len(unpaired([up(a.interaction_id) for a in one], *one, per_prompt=2))
    assert 4 == len(unpaired([up(a.interaction_id) for a in mine], *mine, max_unpaired=4))


def test_the_earliest_judged_come_first_and_stay() -> None:
    many = [answer(f"r{i}", f"t{i}", to=f"q{i}") for i in range(9)]
    votes = [up(a.interaction_id, at=20 - i) for i, a in enumerate(many)]
    assert ["r8", "r7", "r6"] == [u.interaction_id for u in unpaired(votes, *many, max_unpaired=3)]


def test_calls_and_tools_are_carried() -> None:
    call = '{"type": "tool_call", "name": "pay", "arguments": "{}"}'
    output = f'[{{"role": "assistant", "parts": [{call}]}}]'
    (one,) = unpaired(
        [up("a")], answer("a", "", output_messages=output, n_tool_calls=1, tools="[]")
    )
    assert ("", "[]", True) == (one.completion, one.tools, "pay" in (one.completion_calls or ""))


def test_pairs_say_more_than_single_answers() -> None:
    """Neither side of a pair stands there again, under this id or with the same words."""
    same = answer("c", GOOD, request_time=A.request_time)
    built = build([A, answer("b", BAD), same], [comparison("a", "b"), up("c"), down("b"), up("a")])
    assert 1 == len(built.train)
    assert [] == built.unpaired


def test_nothing_comes_from_what_is_held_out() -> None:
    held = build([answer("b", BAD, to="one", user_id="u", conversation_id="k")], [correction("b")])
    near = "Could you tell me: where is my parcel, please?"
    (pair,) = held.train
    asked = parts(("user", "where is my parcel"))
    pair = type(pair)(**{**{f: getattr(pair, f) for f in pair.__slots__},
                         "prompt": ({"role": "user", "content": near},)})  # fmt: skip
    others = [
        answer("r1", "t1", to="x1", user_id="u"),
        answer("r2", "t2", to="x2", conversation_id="k"),
        answer("r3", "t3", to="one"),
        answer("r4", "t4", to="x4", input_messages=asked),
        answer("r5", "t5", to="x5", user_id="v", conversation_id="l"),
    ]
    evidence = Evidence(
        {a.interaction_id: a for a in others}, tuple(up(f"r{i}") for i in range(1, 6))
    )
    found = build_unpaired(evidence, [], [pair], PairsConfig())
    assert ["r5"] == [one.interaction_id for one in found]
