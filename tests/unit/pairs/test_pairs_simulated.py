"""Pairs of simulated stores are as right as they claim to be; a small store on every run."""

from __future__ import annotations

import numpy as np
import pytest

from loopllm_cli.config import PairsConfig
from scripts.pair_worlds import WORLDS, World, draw_store
from scripts.simulate_pairs import Made, Outcome, count_leaks, simulate
from tests.levels import mostly_long

CONFIG = PairsConfig(per_user=10_000)
BY_NAME = {world.name: world for world in WORLDS}
NOISY = [name for name in BY_NAME if name.startswith("20% wrong") and "no overlap" not in name]
PLANTED = [world.name for world in WORLDS if world.bad]


def test_a_store_without_errors_becomes_pairs_whole() -> None:
    done = simulate(BY_NAME["clean"], 200, [0], CONFIG)
    assert (200, 0, 0) == (done.right, done.wrong, done.leaks)


def test_of_one_vote_in_five_wrong_few_reach_the_pairs() -> None:
    """One small store; the slow tests have the figures."""
    done = simulate(BY_NAME["20% wrong, 1 to 5 votes"], 300, [0], CONFIG)
    assert ([True], [True]) == (done.known, done.covered)
    assert 80 < done.right + done.wrong
    assert 0.93 < done.precision[0]
    assert 0 == done.leaks


def test_the_commands_make_the_same_of_a_store_on_disk() -> None:
    world = BY_NAME["20% wrong, 1 to 5 votes"]
    direct, stored = (simulate(world, 120, [1], CONFIG, store=store) for store in (False, True))
    assert (direct.right, direct.wrong) == (stored.right, stored.wrong)
    assert (direct.noise, direct.leaks) == (stored.noise, stored.leaks)


def test_leaks_are_seen_where_there_are_some() -> None:
    """The count itself is checked: both sides of a split by rows share prompts and users."""
    store = draw_store(World("leaky", copies=3), 60, np.random.default_rng(0))
    sides = [(item.better, item.worse) for item in store.items]
    assert 30 == count_leaks(store, Made(sides[:30], sides[30:], None))
    assert 0 == count_leaks(store, Made(sides, [], None))


def test_wrong_pairs_are_counted_as_wrong() -> None:
    store = draw_store(BY_NAME["clean"], 10, np.random.default_rng(0))
    outcome = Outcome()
    flipped = [(item.worse, item.better) for item in store.items]
    outcome.add(store, Made(flipped[:4], [], None))
    assert (0, 4, 0.0) == (outcome.right, outcome.wrong, outcome.precision[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", mostly_long(NOISY, slow=NOISY[:2]))
def test_at_20_percent_wrong_votes_95_percent_of_pairs_are_right(name: str) -> None:
    """Over five stores of 1,000 items; two standard errors of luck are allowed for.

    Two votes that agree are right in 94% of cases, so that there nearly all pairs are left out.
    """
    done = simulate(BY_NAME[name], 1000, range(5), CONFIG)
    n = done.right + done.wrong
    assert n > (0 if name.endswith(" 2 votes") else 100)
    assert 0.95 - 2 * np.sqrt(0.95 * 0.05 / n) <= done.precision[0]
    assert 0 == done.leaks


@pytest.mark.slow
@pytest.mark.parametrize("name", mostly_long(PLANTED, slow=PLANTED[:1]))
def test_planted_bad_people_are_found(name: str) -> None:
    done = simulate(BY_NAME[name], 1000, range(5), CONFIG)
    assert 0.95 <= min(done.aucs)
    assert 0.95 <= done.precision[0]


@pytest.mark.slow
def test_where_two_in_five_votes_are_wrong_nothing_is_trained_on() -> None:
    done = simulate(BY_NAME["40% flipped"], 1000, range(5), CONFIG)
    assert 0 == done.right + done.wrong
