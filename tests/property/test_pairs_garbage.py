"""Broken, hostile and absurd feedback on broken, hostile and absurd answers never ends in a crash.

Numbered seeds, as in test_pairs_account.py: what fails, fails again.
"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from loopllm_cli.config import PairsConfig
from loopllm_cli.pairs.build import build_pairs
from loopllm_cli.pairs.evidence.answer import Answer
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.evidence.vote import Vote
from loopllm_cli.pairs.untouched import Untouched

START = datetime(2026, 10, 1, tzinfo=UTC)
TIMES = [
    *(None, START, START + timedelta(days=3), datetime(1970, 1, 1, tzinfo=UTC)),
    *(datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)),
]
TEXTS = [
    *("", " ", "yes", "no", "x" * 3_000, "{" * 400, '{"a": 1}', "{'a': 1}", "[1, 2", "1" * 60),
    *("```json\n{}\n```", "<EMAIL_3f9a1c>", "\x00\x1b[31m", "I'm sorry, but I cannot help."),
    *(
        "Error: 500",
        "ｆｕｌｌ",
        "e\u0301" * 50,
        "\U0001f642",
        "The answer should be longer.",
        "-" * 200,
    ),
]
NUMBERS = [None, 0.0, 0.5, 1.0, -1.0, 7.0, float("nan"), float("inf"), -float("inf"), 1e308]
KINDS = [
    *("thumbs", "rating", "score", "label", "correction", "comparison", "ranking", "implicit"),
    *("regeneration", "escalation", "copy", "accept", "abandon", "comment", "", "edit", "\x1b[31m"),
]
PARTS: list[Any] = [
    {"type": "text", "content": "hello"}, {"type": "text", "content": None}, {"type": "text"},
    {"type": "tool_call", "id": "c", "name": "f", "arguments": "{}"}, {"type": "tool_call"},
    {"type": "tool_call", "name": "f", "arguments": [1]}, {"type": "reasoning", "content": "hm"},
    {"type": "tool_call_response", "id": 3, "response": {"x": [None]}}, {"type": "blob"}, 4, None,
]  # fmt: skip
BROKEN = [None, "", "[", "{}", "null", "[1]", "[" * 2_000, '[{"role": "user"}]', "[]",
          '[{"role": "user", "parts": [{"type": "text", "content": "\\ud800"}]}]']  # fmt: skip


def messages(rng: random.Random, role: str, text: str) -> str | None:
    """Lay out messages, mostly well, sometimes with other parts, sometimes broken."""
    if rng.random() < 0.1:
        return rng.choice(BROKEN)
    plain = [{"type": "text", "content": text}]
    parts = plain if rng.random() < 0.8 else rng.choices(PARTS, k=rng.randrange(4))
    return json.dumps([{"role": rng.choice([role] * 9 + ["tool", "function"]), "parts": parts}])


def some_answer(rng: random.Random, number: int) -> Answer:
    """Make an answer of anything."""
    context, text = rng.choice("xyz"), rng.choice(TEXTS)
    return Answer(
        interaction_id=f"r{number}",
        context_hash=rng.choice([context] * 9 + [None]),
        prompt_hash=rng.choice([context, None]),
        prompt_text=context,
        input_messages=messages(rng, "user", context),
        output_messages=messages(rng, "assistant", text),
        text=text,
        content_state=rng.choice(["full"] * 8 + ["redacted", "absent", ""]),
        finish_reason=rng.choice(["stop"] * 8 + [None, "length", "💥"]),
        error_type=rng.choice([None] * 9 + ["timeout"]),
        model=rng.choice(["gpt-4", "", None, "x" * 500]),
        user_id=rng.choice(["u", "", None]),
        conversation_id=rng.choice([None, "k", ""]),
        has_tools=rng.random() < 0.1,
        request_time=rng.choice(TIMES),
        tools=rng.choice([None, None, "[1]", "broken"]),
        n_tool_calls=rng.choice([0, 0, 1]),
        turn_index=rng.choice([None, 0, 1, 2, -3]),
        reference_answer=rng.choice([None, *TEXTS]),
    )


def some_vote(rng: random.Random, number: int) -> Vote:
    """Make a vote of anything on anything."""
    targets = [*(f"r{i}" for i in range(13)), None, "", "r💥"]
    candidates = tuple(rng.choices(targets, k=rng.randrange(5)))
    return Vote(
        feedback_id=f"v{number}",
        kind=rng.choice(KINDS),
        target=rng.choice(targets),
        polarity=rng.choice([1, -1, 0, None, 5]),
        rating=rng.choice(NUMBERS),
        text=rng.choice([None, *TEXTS]),
        annotator_id=rng.choice(["ann", "gpt-4o", "", None]),
        annotator_kind=rng.choice(["HUMAN", "HUMAN", "UNKNOWN", "LLM", "code", "💥"]),
        feedback_time=rng.choice(TIMES),
        candidates=candidates,
        winner=rng.choice([*candidates, None, "gone"]),
        tie=rng.random() < 0.1,
        name=rng.choice([None, "edited", "siblings", "toxicity", "\n"]),
        explanation=rng.choice([None, "slow_response", "other", "tags: a", ":,;\n" * 50]),
        source_format=rng.choice(["", "openassistant", "openwebui"]),
        score_value=rng.choice(NUMBERS),
        method=rng.choice([None, "interaction_id", "time"]),
        role=rng.choice([None, "expert", "end_user"]),
        label=rng.choice([None, "unsafe", "policy"]),
    )


@pytest.mark.parametrize("seed", range(150))
def test_nothing_that_people_or_programs_send_ends_in_a_crash(seed: int) -> None:
    rng = random.Random(seed)
    answers = [some_answer(rng, i) for i in range(12)]
    votes = tuple(some_vote(rng, i) for i in range(rng.randrange(80)))
    config = PairsConfig(
        allow_judge=rng.random() < 0.5,
        join_contexts=rng.choice(["off", "normalised", "similar"]),
        min_context_similarity=rng.choice([0.0, 1.0]),
        per_prompt=rng.randint(0, 5),
        per_user=rng.randint(0, 5),
    )
    built = build_pairs(
        Evidence({a.interaction_id: a for a in answers}, votes), config, Untouched()
    )
    used = {name for pair in (*built.train, *built.heldout) for name in pair.feedback_ids}
    said = [vote for vote in votes if vote.kind != "implicit"]
    assert len(said) == built.n_feedback == len(used) + sum(built.dropped.values())
    for pair in (*built.train, *built.heldout):
        assert pair.prompt
        assert pair.chosen or pair.chosen_calls
        assert (pair.chosen, pair.chosen_calls) != (pair.rejected, pair.rejected_calls)
    for one in built.unpaired:
        assert one.weight > 0
    for reason in built.dropped:
        assert reason.isprintable()
        assert len(reason) < 80
