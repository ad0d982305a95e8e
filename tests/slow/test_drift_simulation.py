"""Reduced versions of `scripts/simulate_drift.py` with assertions: levels, coverage, power."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from scripts.drift_tails import AMOUNTS, RATES, amount_errors, rate_errors
from scripts.drift_worlds import GROUPS, World
from scripts.simulate_drift import main, simulate, visible_power

pytestmark = pytest.mark.slow

INDEPENDENT = World(500, 200, user_share=0.0)
USERS = World(500, 1000, clustered=True)
RETURNING = replace(USERS, returning=True)
WORLDS = {
    "few rows": replace(INDEPENDENT, n_baseline=5000, n_current=50),
    "independent": INDEPENDENT,
    "users": USERS,
    "returning users": RETURNING,
    "few users": replace(USERS, n_current=50),
}


def highest(n_runs: int, nominal: float = 0.05) -> float:
    """Return the nominal rate plus two Monte-Carlo standard errors."""
    return nominal + 2 * math.sqrt(nominal * (1 - nominal) / n_runs)


@pytest.mark.parametrize("name", WORLDS)
def test_changes_at_the_tolerance_are_rarely_called_worse(name: str) -> None:
    """With every signal's true change exactly at its tolerance, 5% of windows at most degrade."""
    found = simulate(replace(WORLDS[name], edge=1.0), 300, seed=11)
    assert found.false_alarms() <= highest(300)
    assert all(found.coverage(group) > 0.93 for group in GROUPS)


@pytest.mark.parametrize("name", WORLDS)
def test_windows_without_a_change_hardly_ever_degrade(name: str) -> None:
    """The tolerance keeps noise well under the nominal rate."""
    found = simulate(WORLDS[name], 150, seed=12)
    assert found.false_alarms() <= 0.03


def test_traffic_that_moves_between_segments_is_not_called_worse() -> None:
    """Two fifths of the traffic move to segments that always looked worse."""
    world = World(5000, 200, user_share=0.0, tilt=1.0)
    found = simulate(world, 150, seed=13)
    assert 0.35 < found.moved_traffic.mean()
    assert found.false_alarms() <= 0.03


def test_traffic_and_tolerated_changes_together_keep_the_level() -> None:
    """Shifting traffic does not turn a tolerated change into drift."""
    found = simulate(World(500, 200, user_share=0.0, tilt=0.6, edge=1.0), 300, seed=14)
    assert found.false_alarms() <= highest(300)


@pytest.mark.parametrize(
    ("signal", "least"), [("2% up", 0.9), ("98% down", 0.9), ("lognormal 1.0 up", 0.6)]
)
def test_real_changes_are_found(signal: str, least: float) -> None:
    """Refusals from 2% to 6% (or failures, or costs half as high again) in a thousand rows."""
    edge = 2.5 if signal == "lognormal 1.0 up" else 4.0
    world = World(5000, 1000, user_share=0.0, edge=edge, moved=(signal,))
    found = simulate(world, 60, seed=15)
    assert found.worse[:, world.names.index(signal)].mean() >= least


@pytest.mark.parametrize("signal", ["2% up", "80% down", "lognormal 0.5 up"])
def test_the_announced_visible_change_is_found_as_often_as_announced(signal: str) -> None:
    """Independent rows: 80% of the time, within ten points and two standard errors."""
    _, power = visible_power(replace(INDEPENDENT, n_current=1000), signal, 150)
    assert pytest.approx(0.8, abs=0.1 + 2 * math.sqrt(0.8 * 0.2 / 150)) == power


@pytest.mark.parametrize("sizes", [(5000, 50), (5000, 200), (500, 5000)])
def test_rates_keep_their_level_deep_in_the_tail(sizes: tuple[int, int]) -> None:
    """At a one-sided 0.42%, Jeffreys' limits err at most half as often again as they say."""
    assert max(rate_errors(*case, sizes, 100_000)[1] for case in RATES) < 1.5


@pytest.mark.parametrize("law", AMOUNTS)
def test_amounts_keep_their_level_deep_in_the_tail(law: str) -> None:
    """Fifty skewed rows against five hundred: no direction errs more than about twice."""
    assert amount_errors(law, (500, 50), 10_000)[1].max() < 2.5


def test_the_script_prints_its_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """The command line runs one part with a few runs."""
    main(["--runs", "2", "--jobs", "1", "mix"])
    printed = capsys.readouterr().out
    assert "Traffic shifts between segments" in printed
    assert 16 == sum("/" in line and "%" in line for line in printed.splitlines()[2:])
