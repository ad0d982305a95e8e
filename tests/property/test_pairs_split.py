"""Splitting pairs: no conversation and no prompt on both sides, and always the same split."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from loopllm_cli.model import Pair
from loopllm_cli.pairs.split import conversations_of, split_pairs

Keys = tuple[str, str | None, str | None]
_NAMES = st.sampled_from([f"n{i}" for i in range(12)])
KEYS = st.lists(st.tuples(_NAMES, st.none() | _NAMES, st.none() | _NAMES), max_size=40)
SHARES = st.floats(0.0, 1.0)
SEEDS = st.integers(0, 5)


def to_pairs(keys: list[Keys]) -> list[Pair]:
    """Make pairs from prompts and the conversations of the rejected and the chosen side."""
    return [
        Pair(
            pair_id=f"pair {i}",
            prompt=(),
            chosen="",
            rejected="",
            rule="comparison",
            feedback_ids=(),
            interaction_ids=(),
            user_id=None,
            conversation_id=conversation,
            context_hash="",
            prompt_hash=prompt,
            segment=None,
            chosen_model=None,
            rejected_model=None,
            margin=1.0,
            feedback_time=None,
            chosen_conversation_id=chosen_conversation,
        )
        for i, (prompt, conversation, chosen_conversation) in enumerate(keys)
    ]


def groups(pairs: list[Pair]) -> list[set[str]]:
    """Join pairs that share anything, the slow and obvious way."""
    found: list[tuple[set[str], set[tuple[str, str]]]] = []
    for pair in pairs:
        ids = {pair.pair_id}
        keys = {("prompt", pair.prompt_hash)} | {("talk", c) for c in conversations_of(pair)}
        for other in [group for group in found if group[1] & keys]:
            found.remove(other)
            ids, keys = ids | other[0], keys | other[1]
        found.append((ids, keys))
    return [ids for ids, _ in found]


@settings(deadline=None)
@given(KEYS, SHARES, SEEDS)
def test_no_conversation_and_no_prompt_is_on_both_sides(
    keys: list[Keys], share: float, seed: int
) -> None:
    train, heldout = split_pairs(to_pairs(keys), share, seed)
    assert not {p.prompt_hash for p in train} & {p.prompt_hash for p in heldout}
    talks = [{c for p in side for c in conversations_of(p)} for side in (train, heldout)]
    assert not talks[0] & talks[1]


@settings(deadline=None)
@given(KEYS, SHARES, SEEDS)
def test_every_pair_is_on_one_side_in_the_order_given(
    keys: list[Keys], share: float, seed: int
) -> None:
    pairs = to_pairs(keys)
    train, heldout = split_pairs(pairs, share, seed)
    assert len(pairs) == len(train) + len(heldout)
    assert [p for p in pairs if p in train] == train
    assert [p for p in pairs if p in heldout] == heldout


@settings(deadline=None)
@given(KEYS, SHARES, SEEDS)
def test_the_share_is_never_exceeded_and_met_but_for_less_than_a_group(
    keys: list[Keys], share: float, seed: int
) -> None:
    """What is missing of the share is less than any group that stayed in training."""
    pairs = to_pairs(keys)
    train, heldout = split_pairs(pairs, share, seed)
    missing = round(share * len(pairs)) - len(heldout)
    assert missing >= 0
    left = {p.pair_id for p in train}
    assert all(missing < len(ids) for ids in groups(pairs) if ids <= left)


@settings(deadline=None)
@given(KEYS, SHARES, SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_the_pairs_does_not_matter(
    keys: list[Keys], share: float, seed: int, rng: random.Random
) -> None:
    pairs = to_pairs(keys)
    shuffled = list(pairs)
    rng.shuffle(shuffled)
    first, second = (split_pairs(p, share, seed)[1] for p in (pairs, shuffled))
    assert {p.pair_id for p in first} == {p.pair_id for p in second}


def test_another_seed_holds_out_other_pairs() -> None:
    pairs = to_pairs([(f"prompt {i}", None, None) for i in range(50)])
    splits = {tuple(p.pair_id for p in split_pairs(pairs, 0.2, seed)[1]) for seed in range(5)}
    assert 5 == len(splits)
    assert {10} == {len(held) for held in splits}
