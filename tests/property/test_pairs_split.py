"""Splitting pairs: nothing on both sides, and what was decided once stays decided.

Numbered seeds, a thousand stores: users with many pairs, prompts that many ask in other words, and
pairs that bridge what is apart. What is a near-duplicate is known from how the prompts were made.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import product

import pytest

from loopllm_cli.config import PairsConfig
from loopllm_cli.model import Pair
from loopllm_cli.pairs.selection.power import pairs_needed
from loopllm_cli.pairs.selection.split import FIRST_SHARE, LEAK, Split, in_order, split_pairs

START = datetime(2026, 10, 1, tzinfo=UTC)
BLOCKS = [range(first, first + 50) for first in range(0, 1000, 50)]

# Each question with a value, and its one misspelt word: forms of it are one typing error apart.
QUESTIONS = [
    ("Where is my order {}?", "Where is my oredr {}?"),
    ("How long does shipping to {} take?", "How long does shiping to {} take?"),
    ("Is the warranty for {} still valid", "Is the waranty for {} still valid"),
]
VALUES = ["17", "18", "Oslo", "Lund", "AB-1", "AB-2", "it"]
BEFORE = ["", "Hello, ", "Hi there! ", "Could you please tell me: ", "  "]
AFTER = ["", " Thanks!", " please", " Many thanks.", "\n"]


@dataclass(frozen=True)
class Case:
    """A pair, and which question it asks whatever the words."""

    pair: Pair
    question: tuple[int, str] | None


def wording(rng: random.Random, question: int, value: str) -> str:
    """Ask a question in one of many ways."""
    text = rng.choice(BEFORE) + rng.choice(QUESTIONS[question]).format(value) + rng.choice(AFTER)
    return rng.choice([str, str.upper, str.lower])(text)


def somebody(rng: random.Random, letter: str, n: int, known: float) -> str | None:
    """Name one of n, or nobody."""
    return f"{letter}{rng.randrange(n)}" if rng.random() < known else None


def some_case(rng: random.Random, number: int, n_users: int) -> Case:
    """Make a pair of few users, conversations and questions, so that many touch."""
    known = rng.random() < 0.9
    question, value = rng.randrange(len(QUESTIONS)), rng.choice(VALUES)
    text = wording(rng, question, value) if known else ""
    hour = rng.choice([None, *range(20)])
    pair = Pair(
        pair_id=f"pair {rng.randrange(10**9)} {number}",
        prompt=({"role": "user", "content": text},) if known else (),
        chosen="better",
        rejected="worse",
        rule="comparison",
        feedback_ids=(f"vote {number}",),
        interaction_ids=(),
        user_id=somebody(rng, "u", n_users, 0.9),
        conversation_id=somebody(rng, "k", n_users, 0.7),
        context_hash="",
        prompt_hash=text or f"no text {rng.randrange(5)}",
        segment=rng.choice([None, "bills", "parcels"]),
        chosen_model=None,
        rejected_model=None,
        margin=1.0,
        feedback_time=None if hour is None else START + timedelta(hours=hour),
        chosen_conversation_id=somebody(rng, "k", n_users, 0.3),
        chosen_user_id=somebody(rng, "u", n_users, 0.3),
    )
    return Case(pair, (question, value) if known else None)


def some_store(seed: int) -> tuple[list[Case], PairsConfig]:
    """Make a store of up to 60 pairs, and a configuration."""
    rng = random.Random(seed)
    n_users = rng.choice([1, 5, 40, 400])
    cases = [some_case(rng, i, n_users) for i in range(rng.randrange(60))]
    share = rng.choice([0.0, 0.1, 0.2, 0.5, 1.0])
    return cases, PairsConfig(heldout_share=share, seed=rng.randrange(5))


@cache
def some_split(seed: int) -> tuple[list[Case], PairsConfig, Split]:
    """Make a store and split its pairs."""
    cases, config = some_store(seed)
    return cases, config, split_pairs([c.pair for c in cases], config)


def ids(pairs: list[Pair]) -> list[str]:
    """Return the pairs' ids in order."""
    return [pair.pair_id for pair in pairs]


def leak(a: Case, b: Case) -> str | None:
    """Name what two pairs share, the slow and obvious way."""
    users = [{c.pair.user_id, c.pair.chosen_user_id} - {None} for c in (a, b)]
    talks = [{c.pair.conversation_id, c.pair.chosen_conversation_id} - {None} for c in (a, b)]
    if users[0] & users[1]:
        return "user"
    if talks[0] & talks[1]:
        return "conversation"
    if a.pair.prompt_hash == b.pair.prompt_hash:
        return "prompt"
    return "question" if a.question is not None and a.question == b.question else None


def sides(cases: list[Case], split: Split) -> tuple[list[Case], list[Case]]:
    """Return the cases of training and of held-out pairs."""
    by_id = {case.pair.pair_id: case for case in cases}
    return [by_id[i] for i in ids(split.train)], [by_id[i] for i in ids(split.heldout)]


@pytest.mark.parametrize("seeds", BLOCKS, ids=str)
def test_nothing_is_on_both_sides(seeds: range) -> None:
    for seed in seeds:
        cases, _, split = some_split(seed)
        train, heldout = sides(cases, split)
        assert [] == [(a, b) for a, b in product(train, heldout) if leak(a, b)]


@pytest.mark.parametrize("seeds", BLOCKS, ids=str)
def test_every_pair_is_on_one_side_or_dropped_because_it_would_leak(seeds: range) -> None:
    """What is dropped does touch both sides: nothing is given away."""
    for seed in seeds:
        cases, _, split = some_split(seed)
        gone = {name for reason, names in split.dropped for name in names if reason == LEAK}
        kept = {c.pair.feedback_ids[0] for side in sides(cases, split) for c in side}
        assert not gone & kept
        assert sorted(c.pair.feedback_ids[0] for c in cases) == sorted(gone | kept)
        for case in (c for c in cases if c.pair.feedback_ids[0] in gone):
            assert all(any(leak(case, other) for other in side) for side in sides(cases, split))


@pytest.mark.parametrize("seeds", BLOCKS, ids=str)
def test_later_pairs_and_the_order_given_change_nothing(seeds: range) -> None:
    for seed in seeds:
        cases, config, after = some_split(seed)
        rng = random.Random(-seed)
        whole = in_order(c.pair for c in cases)
        some = whole[: rng.randint(0, len(whole))]
        before = split_pairs(rng.sample(some, len(some)), config)
        assert before.train == after.train[: len(before.train)]
        assert before.heldout == after.heldout[: len(before.heldout)]
        assert before.dropped == after.dropped[: len(before.dropped)]


def test_the_seeds_reach_every_way_to_leak() -> None:
    """Else the tests above would hold for want of cases."""
    ways: Counter[str | None] = Counter()
    n_dropped = 0
    for seed in range(0, 1000, 20):
        cases, _, split = some_split(seed)
        n_dropped += len(split.dropped)
        for a, b in product(cases, cases):
            ways[leak(a, b)] += a is not b
    assert {"user", "conversation", "prompt", "question", None} == set(ways)
    assert min(ways.values()) > 50 < n_dropped


def independent(n: int) -> list[Pair]:
    """Make pairs that share nothing."""
    rng = random.Random(3)
    pairs = [some_case(rng, i, 1).pair for i in range(n)]
    return [
        replace(
            pair,
            user_id=f"u{i}",
            chosen_user_id=None,
            conversation_id=None,
            chosen_conversation_id=None,
            prompt=(),
            prompt_hash=f"p{i}",
            feedback_time=START + timedelta(minutes=i),
        )
        for i, pair in enumerate(pairs)
    ]


@pytest.mark.parametrize("share", [0.1, 0.2, 0.4])
def test_the_share_is_a_third_until_enough_are_held_out_and_then_what_is_asked(
    share: float,
) -> None:
    """Within four standard deviations of what chance gives."""
    n = 3000
    pairs = independent(n)
    held = ids(split_pairs(pairs, PairsConfig(heldout_share=share)).heldout)
    place = {pair.pair_id: i for i, pair in enumerate(pairs)}
    full = place[held[pairs_needed() - 1]] + 1
    assert abs(pairs_needed() - full * max(share, FIRST_SHARE)) < 4 * (full * 2 / 9) ** 0.5
    rest, late = n - full, len(held) - pairs_needed()
    assert abs(late - rest * share) < 4 * (rest * share * (1 - share)) ** 0.5


def test_another_seed_holds_out_others() -> None:
    pairs = independent(60)
    splits = {tuple(ids(split_pairs(pairs, PairsConfig(seed=s)).heldout)) for s in range(5)}
    assert 5 == len(splits)


def test_nothing_is_held_out_where_nothing_is_asked_for() -> None:
    split = split_pairs(independent(100), PairsConfig(heldout_share=0.0))
    assert (100, 0) == (len(split.train), len(split.heldout))
    assert "no pair is held out (29 needed): verify cannot judge preference" == split.power.words()


def test_a_log_with_one_user_for_all_pairs_trains_on_all() -> None:
    """Whatever the seed: held out, they would leave nothing to train on."""
    pairs = [replace(pair, user_id="api") for pair in independent(30)]
    for seed in range(20):
        split = split_pairs(pairs, PairsConfig(seed=seed))
        assert (30, 0) == (len(split.train), len(split.heldout))


def test_a_user_stays_held_out_when_the_first_of_the_pairs_vanishes() -> None:
    """As it does when somebody later contradicts it, or is forgotten."""
    pairs = [replace(p, user_id=f"u{i % 100}") for i, p in enumerate(independent(200))]
    config = PairsConfig(heldout_share=1 / 3)
    whole = set(ids(split_pairs(pairs, config).heldout))
    later = set(ids(split_pairs(pairs[100:], config).heldout))
    assert later == whole & set(ids(pairs[100:]))
