"""Caps: what one user or one prompt may contribute, first come, first served."""

from __future__ import annotations

import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from loopllm_cli.config import PairsConfig
from loopllm_cli.model import Pair
from loopllm_cli.pairs.selection.caps import OVER_PROMPT, OVER_USER, PASTED, REPEATED, select_pairs

START = datetime(2026, 10, 1, tzinfo=UTC)


def pair(number: int, text: str | None = None, **fields: Any) -> Pair:
    """Make a pair of its own user, prompt and answers."""
    text = text or f"question {number}"
    values: dict[str, Any] = {
        "pair_id": f"{number:06}",
        "prompt": ({"role": "user", "content": text},),
        "chosen": f"better {number}",
        "rejected": "worse",
        "rule": "correction",
        "feedback_ids": (f"v{number}",),
        "interaction_ids": (),
        "user_id": f"u{number}",
        "conversation_id": None,
        "context_hash": "",
        "prompt_hash": text,
        "segment": None,
        "chosen_model": None,
        "rejected_model": None,
        "margin": 1.0,
        "feedback_time": START + timedelta(minutes=number),
    }
    return Pair(**values | fields)


def reasons(pairs: list[Pair], **caps: int) -> list[str]:
    """Return the reasons for which pairs are left out."""
    return [reason for reason, _ in select_pairs(pairs, PairsConfig(**caps))[1]]


def test_a_user_counts_on_either_side() -> None:
    pairs = [pair(i, user_id="u") for i in range(2)]
    pairs += [pair(2, chosen_user_id="u"), pair(3)]
    kept, dropped = select_pairs(pairs, PairsConfig(per_user=2))
    assert [pairs[0], pairs[1], pairs[3]] == kept
    assert [(OVER_USER, ("v2",))] == dropped


def test_a_conversation_stands_for_a_user_who_is_not_known() -> None:
    pairs = [pair(i, user_id=None, conversation_id="k") for i in range(3)]
    assert [OVER_USER] == reasons(pairs, per_user=2)
    assert [] == reasons([pair(i, user_id=None) for i in range(3)], per_user=2)


def test_near_duplicates_count_as_one_prompt() -> None:
    texts = ["Where is it?", "where is it", "Hello. Where is it? Thanks!", "Where is 5?"]
    kept, dropped = select_pairs(
        [pair(i, t) for i, t in enumerate(texts)], PairsConfig(per_prompt=2)
    )
    assert [texts[0], texts[1], texts[3]] == [p.prompt[0]["content"] for p in kept]
    assert [(OVER_PROMPT, ("v2",))] == dropped


def test_prompts_without_text_count_by_their_hash() -> None:
    pairs = [pair(i, prompt=(), prompt_hash="h") for i in range(3)]
    assert [OVER_PROMPT] == reasons(pairs, per_prompt=2)


def test_what_a_user_repeats_is_kept_once_per_prompt() -> None:
    """Another user may say the same, and the same user something else."""
    first = pair(0, "Where is it?", user_id="u", chosen="Here.")
    again = pair(1, "where is it", user_id="u", chosen="Here. ")
    others = [
        pair(2, "Where is it?", user_id="v", chosen="Here."),
        pair(3, "Where is it?", user_id="u", chosen="There."),
        pair(4, "Where is it?", user_id="u", chosen="Here.", rejected="even worse"),
    ]
    kept, dropped = select_pairs([first, again, *others], PairsConfig())
    assert [first, *others] == kept
    assert [(REPEATED, ("v1",))] == dropped


def test_the_same_text_for_many_prompts_is_taken_as_often_as_a_prompt_may_be() -> None:
    pairs = [pair(i, user_id="u", chosen="buy this") for i in range(7)]
    assert [PASTED] * 4 == reasons(pairs, per_prompt=3)
    assert [] == reasons([pair(i, chosen="Yes.") for i in range(7)], per_prompt=3)


@pytest.mark.parametrize("seed", range(100))
def test_later_pairs_and_the_order_given_change_nothing(seed: int) -> None:
    rng = random.Random(seed)
    pairs = [
        pair(
            i,
            rng.choice(["Where is it?", "where is it", "Is it 5?", "Is it 6?"]),
            user_id=rng.choice([None, "u", "v", "w"]),
            chosen=rng.choice("abc"),
            feedback_time=rng.choice([None, START, START + timedelta(hours=1)]),
        )
        for i in range(40)
    ]
    config = PairsConfig(per_user=rng.randint(1, 6), per_prompt=rng.randint(1, 6))
    kept, dropped = select_pairs(rng.sample(pairs, len(pairs)), config)
    assert 40 == len(kept) + len(dropped)
    counts = Counter(p.user_id for p in kept if p.user_id)
    assert all(n <= config.per_user for n in counts.values())
    n = rng.randint(0, 40)
    order = sorted(pairs, key=lambda p: (p.feedback_time or START + timedelta(9), p.pair_id))
    early = select_pairs(order[:n], config)[0]
    assert early == kept[: len(early)]


def test_a_hundred_thousand_pairs_of_one_user_take_no_time() -> None:
    few = [pair(i, user_id="u") for i in range(100)]
    pairs = few * 1000
    started = time.process_time()
    kept, _ = select_pairs(pairs, PairsConfig())
    assert time.process_time() - started < 5
    assert 50 == len(kept)
