"""Whatever users say, every piece of feedback stands in a pair or is counted once.

Numbered seeds, not drawn examples: evidence is large, and drawing it piece by piece is slow.
"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta

import pytest

from loopllm_cli.config import PairsConfig
from loopllm_cli.pairs.build import BuiltPairs, build_pairs
from loopllm_cli.pairs.evidence.answer import Answer
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.evidence.vote import Vote
from loopllm_cli.pairs.selection.split import conversations_of
from loopllm_cli.pairs.untouched import Untouched

START = datetime(2026, 10, 1, tzinfo=UTC)
N_ANSWERS = 12
TEXTS = ["", "yes", "yes ", "I'm sorry, but I cannot help with that.", "a longer answer", "no"]
KINDS = ["thumbs", "rating", "correction", "comparison", "other"]


def messages(role: str, text: str) -> str:
    """Lay out one message as the store keeps it."""
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])


def some_answer(rng: random.Random, number: int) -> Answer:
    """Make an answer to one of a few contexts."""
    context, text = rng.choice("xyz"), rng.choice(TEXTS)
    return Answer(
        interaction_id=f"r{number}",
        context_hash=rng.choice([context] * 9 + [None]),
        prompt_hash=context,
        prompt_text=context,
        input_messages=messages("user", context),
        output_messages=messages("assistant", text),
        text=text,
        content_state=rng.choice(["full"] * 9 + ["redacted"]),
        finish_reason=rng.choice(["stop"] * 8 + [None, "length"]),
        error_type=rng.choice([None] * 9 + ["timeout"]),
        model=rng.choice(["m-1", "m-2", None]),
        user_id=rng.choice(["u", "v", None]),
        conversation_id=rng.choice([None, None, "k", "l"]),
        has_tools=False,
        request_time=START,
    )


def some_vote(rng: random.Random, number: int) -> Vote:
    """Make a vote of any kind, on anything."""
    targets = [*(f"r{i}" for i in range(N_ANSWERS + 1)), None]
    candidates = tuple(rng.sample(targets, rng.randrange(4)))
    hour = rng.choice([None, 0, 1, 2])
    return Vote(
        feedback_id=f"v{number}",
        kind=rng.choice(KINDS),
        target=rng.choice(targets),
        polarity=rng.choice([1, 1, -1, -1, 0, None]),
        rating=rng.choice([0.0, 0.5, 1.0, None]),
        text=rng.choice([*TEXTS, None]),
        annotator_id=rng.choice(["ann", "ann", "bob", None]),
        annotator_kind=rng.choice(["HUMAN"] * 9 + ["LLM"]),
        feedback_time=None if hour is None else START + timedelta(hours=hour),
        candidates=candidates,
        winner=rng.choice([*candidates, None]),
        tie=rng.random() < 0.1,
    )


def some_pairs(seed: int) -> tuple[Evidence, BuiltPairs]:
    """Make evidence and build its pairs."""
    rng = random.Random(seed)
    answers = [some_answer(rng, i) for i in range(N_ANSWERS)]
    votes = tuple(some_vote(rng, i) for i in range(rng.randrange(60)))
    evidence = Evidence({a.interaction_id: a for a in answers}, votes)
    config = PairsConfig(
        per_user=rng.randint(1, 5),
        per_prompt=rng.randint(1, 5),
        heldout_share=rng.choice([0.0, 0.5]),
    )
    return evidence, build_pairs(evidence, config, Untouched())


@pytest.mark.parametrize("seed", range(100))
def test_every_piece_of_feedback_is_used_or_counted_once(seed: int) -> None:
    evidence, built = some_pairs(seed)
    used = {name for pair in (*built.train, *built.heldout) for name in pair.feedback_ids}
    assert len(evidence.votes) == built.n_feedback == len(used) + sum(built.dropped.values())


@pytest.mark.parametrize("seed", range(100))
def test_no_two_pairs_repeat_or_contradict_each_other(seed: int) -> None:
    _, built = some_pairs(seed)
    said = [(p.context_hash, p.chosen, p.rejected) for p in (*built.train, *built.heldout)]
    assert len(said) == len(set(said))
    assert not {(context, worse, better) for context, better, worse in said} & set(said)


@pytest.mark.parametrize("seed", range(100))
def test_retention_stays_clear_of_what_is_held_out(seed: int) -> None:
    _, built = some_pairs(seed)
    prompts = {pair.prompt_hash for pair in built.heldout}
    talks = {name for pair in built.heldout for name in conversations_of(pair)}
    for kept in built.retention:
        assert kept.prompt_hash not in prompts
        assert kept.conversation_id not in talks


def test_the_seeds_reach_every_rule_and_every_side_of_the_split() -> None:
    """Else the tests above would hold for want of cases."""
    made = [some_pairs(seed)[1] for seed in range(200)]
    rules = {pair.rule for built in made for pair in built.train}
    assert {"correction", "comparison", "graded comparison", "votes", "rating"} == rules
    assert any(built.heldout for built in made)
    assert any(built.retention for built in made)
    reasons = {reason for built in made for reason in built.dropped}
    assert {"users contradict each other", "over the cap per user",
            "over the cap per prompt"} <= reasons  # fmt: skip
