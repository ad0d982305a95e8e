"""Contexts that are alike count as one only when asked for, and never where they ask for more."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path

import pytest
from pair_evidence import BAD, GOOD, answer, build, down, parts, up

from loopllm_cli.config import PairsConfig
from loopllm_cli.errors import ConfigError
from loopllm_cli.pairs.contexts import join_contexts
from loopllm_cli.pairs.evidence.answer import Answer
from loopllm_cli.pairs.evidence.evidence import Evidence

DATA = Path(__file__).parents[3].parent / "shared" / "data"


def asked(name: str, question: str, text: str, *before: tuple[str, str]) -> Answer:
    """Return an answer to a question, after some messages."""
    stored = parts(*before, ("user", question))
    return answer(name, text, to=f"{before} {question}", input_messages=stored)


def joined(one: str, other: str, way: str, **settings: float) -> list[str]:
    """Return the rules of the pairs made of a liked and a disliked answer to two questions."""
    answers = [asked("a", one, GOOD), asked("b", other, BAD)]
    built = build(answers, [up("a"), down("b")], join_contexts=way, **settings)
    return [pair.rule for pair in built.train]


ALIKE = [
    ("Where is my order 12?", "where is my order 12"),
    ("Where is my order 12?", "  WHERE is  my order 12 !?\n"),
    ("It's 5:30, right?", "its 5:30 right"),
]
POLITE = [("What is a refund?", "Hi! What's a refund, please?"), ("Cancel it", "Please cancel it.")]
OTHERS = [
    ("Where is my order 12?", "Where is my order 13?"),
    ("Is 3-2 more than 0?", "Is 3+2 more than 0?"),
    ("Is -5 < 3?", "Is 5 < 3?"),
    ("Should I restart it?", "Should I not restart it?"),
    ("Is it possible?", "Is it impossible?"),
    ("Write to Maria about it", "Write to Mario about it"),
    ("write to maria about it", "write to mario about it"),
    ("What costs 1.5 here?", "What costs 15 here?"),
    ("Increase the price", "Decrease the price"),
    ("a = {1: [2]}", "a = {1: (2)}"),
    ("Fill in the form", "Fill in the from"),
]


@pytest.mark.parametrize("way", ["off", "normalised", "similar"])
def test_equal_contexts_pair_as_ever(way: str) -> None:
    assert ["votes"] == joined("q", "q", way)


@pytest.mark.parametrize(("one", "other"), ALIKE + POLITE + OTHERS)
def test_nothing_is_joined_unless_asked_for(one: str, other: str) -> None:
    assert [] == joined(one, other, "off")


@pytest.mark.parametrize(("one", "other"), ALIKE[:2])
@pytest.mark.parametrize("way", ["normalised", "similar"])
def test_case_blanks_and_punctuation_are_normalised_away(one: str, other: str, way: str) -> None:
    assert ["votes, joined contexts"] == joined(one, other, way)


@pytest.mark.parametrize(("one", "other"), POLITE)
def test_politeness_and_contractions_are_similar_not_equal(one: str, other: str) -> None:
    assert [] == joined(one, other, "normalised")
    assert ["votes, joined contexts"] == joined(one, other, "similar")


@pytest.mark.parametrize(("one", "other"), OTHERS)
@pytest.mark.parametrize("way", ["normalised", "similar"])
def test_another_number_name_negation_or_word_is_another_context(
    one: str, other: str, way: str
) -> None:
    assert [] == joined(one, other, way)


def test_typing_errors_are_joined_only_below_a_similarity_of_one() -> None:
    one, other = "How do I cancel my subscription?", "How do I cancel my subscripton?"
    assert [] == joined(one, other, "similar")
    assert ["votes, joined contexts"] == joined(one, other, "similar", min_context_similarity=0.9)
    names = ("Send it to Jonathan today", "Send it to Jonatan today")
    assert [] == joined(*names, "similar", min_context_similarity=0.9)


def test_what_was_said_before_must_be_the_same() -> None:
    answers = [
        asked("a", "And now?", GOOD, ("system", "Be kind."), ("user", "x"), ("assistant", "y")),
        asked("b", "and now", BAD, ("system", "Be rude."), ("user", "x"), ("assistant", "y")),
    ]
    assert [] == build(answers, [up("a"), down("b")], join_contexts="similar").train


def test_tools_must_be_the_same() -> None:
    one = asked("a", "Now?", GOOD)
    other = asked("b", "now", BAD)
    for tools, n in ((None, 1), ("[1]", 0)):
        changed = answer("b", BAD, to="x", input_messages=other.input_messages, tools=tools)
        assert n == len(build([one, changed], [up("a"), down("b")], join_contexts="similar").train)


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(ConfigError, match="join_contexts = 'fuzzy'"):
        join_contexts(Evidence({}, ()), PairsConfig(join_contexts="fuzzy"))


def test_the_earliest_context_leads_and_stays_so() -> None:
    """A larger store joins the earlier contexts in the same way."""
    questions = ["Where is it?", "where is it", "WHERE IS IT!", "where is it please"]
    answers = [asked(f"r{i}", q, f"text {i}") for i, q in enumerate(questions)]
    config = PairsConfig(join_contexts="similar")
    for n in range(1, 5):
        some = {a.interaction_id: a for a in answers[:n]}
        found = join_contexts(Evidence(some, tuple(map(up, some))), config)
        assert {answers[0].context_hash} == {a.context_hash for a in found.answers.values()}


def test_joining_is_linear() -> None:
    answers = {
        f"r{i}": asked(f"r{i}", f"where is my order {i // 2}{'?' * (i % 2)}", "x")
        for i in range(6_000)
    }
    begun = time.process_time()
    config = PairsConfig(join_contexts="similar")
    found = join_contexts(Evidence(answers, tuple(map(up, answers))), config)
    assert 3_000 == len({a.context_hash for a in found.answers.values()})
    assert time.process_time() - begun < 10.0


def test_no_two_different_real_prompts_are_joined() -> None:
    """Each of AlpacaEval's 805 prompts asks something else, but for one that stands in twice."""
    path = DATA / "alpacaeval_gpt4_0314.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"no public test data at {path.parent}")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        prompts = list(dict.fromkeys(json.loads(line)["prompt"] for line in lines))
    answers = {f"r{i}": asked(f"r{i}", text, "x") for i, text in enumerate(prompts)}
    config = PairsConfig(join_contexts="similar")
    found = join_contexts(Evidence(answers, tuple(map(up, answers))), config)
    assert len(prompts) - len({a.context_hash for a in found.answers.values()}) <= 1
