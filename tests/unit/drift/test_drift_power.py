"""Visible changes and plans: what they grow and shrink with, and when there are none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from loopllm_cli.drift.effects import Effects, estimate
from loopllm_cli.drift.intervals import to_changes
from loopllm_cli.drift.plan import expected_effects, plan_signals
from loopllm_cli.drift.power import MIN_CLUSTERS, Goal, is_visible, visible_change
from loopllm_cli.drift.verdict import JudgeSettings
from loopllm_cli.model import SignalInfo, SignalKind, SignalPlan, Worse
from loopllm_cli.profiles.profile import Profile, build_profile

REFUSAL = SignalInfo("refusal", SignalKind.RATE, Worse.UP, 0.01, "refusals")
LATENCY = SignalInfo("latency", SignalKind.AMOUNT, Worse.UP, 0.2, "latency")
LENGTH = SignalInfo("length", SignalKind.AMOUNT, Worse.EITHER, 0.1, "length")
GOAL = Goal(np.array([0.01, 0.2]), np.array([True, True]), 0.005, 0.8)
IS_RATE = np.array([True, False])


def window(n: int, users: int, seed: int, rate: float = 0.05) -> Profile:
    """Draw refusals and latencies of users whose rows are alike."""
    rng = np.random.default_rng(seed)
    user = rng.integers(0, users, n) if users < n else np.arange(n)
    own = rng.random(user.max() + 1) < rate
    keeps = rng.random(n) < (0.6 if users < n else 0.0)
    refusal = np.where(keeps, own[user], rng.random(n) < rate).astype(float)
    latency = np.exp(0.5 * rng.standard_normal(n) + 0.3 * rng.standard_normal(user.max() + 1)[user])
    values = np.stack([refusal, latency], axis=1)
    buckets = rng.integers(0, 256, user.max() + 1)[user]
    return build_profile(("refusal", "latency"), values, np.zeros(n, int), buckets, 1)


def seen(n_current: int, users: int, *, n_baseline: int = 5000) -> np.ndarray:
    """Return the visible changes of both signals."""
    effects = estimate(window(n_baseline, n_baseline, 1), window(n_current, users, 2))
    return visible_change(effects, to_changes(effects, IS_RATE), GOAL)


def compared() -> Effects:
    """Compare two windows of independent rows."""
    return estimate(window(5000, 5000, 1), window(1000, 1000, 2))


def test_rows_of_few_users_show_less_than_independent_rows() -> None:
    """The design effect widens what is visible, for rates and for amounts."""
    assert (seen(1000, 1000) < seen(1000, 60)).all()


def test_too_few_users_show_nothing_that_could_be_announced() -> None:
    """Below the least number of effective clusters there is no figure."""
    assert 5 < MIN_CLUSTERS
    assert np.isnan(seen(200, 5)).all()


@pytest.mark.parametrize("factor", [0.98, 1.02])
def test_exactly_the_changes_beyond_the_figure_are_visible(factor: float) -> None:
    """`is_visible` and `visible_change` are one statement."""
    effects = compared()
    changes = to_changes(effects, IS_RATE)
    edge = visible_change(effects, changes, GOAL)
    expected = [factor > 1, factor > 1]
    assert expected == is_visible(effects, changes, GOAL, edge * factor).tolist()


def test_more_power_and_a_smaller_tail_ask_for_larger_changes() -> None:
    """Both move the figure up."""
    effects = compared()
    changes = to_changes(effects, IS_RATE)
    plain = visible_change(effects, changes, GOAL)
    assert (plain < visible_change(effects, changes, replace(GOAL, power=0.95))).all()
    assert (plain < visible_change(effects, changes, replace(GOAL, tail=0.0005))).all()


def planned(n: int, users: int, n_rows: int, change: float | None = None) -> list[SignalPlan]:
    """Plan for windows of `n_rows` beside a baseline of n rows."""
    infos = (REFUSAL, LATENCY)
    return list(plan_signals(window(n, users, 3), infos, JudgeSettings(), n_rows, change))


def test_a_planned_window_shows_what_such_a_window_then_shows() -> None:
    """The plan of a baseline's own size agrees with a real window of that size to a tenth."""
    effects = estimate(window(4000, 4000, 3), window(4000, 4000, 4))
    goal = replace(GOAL, tail=0.05 / 2)
    real = visible_change(effects, to_changes(effects, IS_RATE), goal)
    assert pytest.approx(real, rel=0.1) == [p.visible for p in planned(4000, 4000, 4000)]


def test_the_rows_needed_show_the_change_and_fewer_do_not() -> None:
    """Planning for the rows needed gives the wanted change back."""
    for at, wanted in enumerate((0.03, 0.4)):
        needed = planned(4000, 4000, 100, wanted)[at].rows_needed
        assert pytest.approx(wanted, rel=0.02) == planned(4000, 4000, int(needed))[at].visible


def test_a_larger_baseline_buys_what_rows_cannot() -> None:
    """Beside a small baseline even many rows do not show a small change."""
    refusal = planned(500, 500, 100_000)[0]
    assert np.inf == refusal.rows_needed
    assert refusal.visible_larger_baseline < 0.6 * refusal.visible
    assert refusal.baseline_share > 0.9


def test_only_what_can_get_worse_is_planned() -> None:
    """No bad side, no rows, or as bad as can be everywhere: no plan, and no place in the family."""
    values = np.stack([np.ones(300), np.full(300, np.nan), np.arange(300.0)], axis=1)
    baseline = build_profile(("a", "b", "c"), values, np.zeros(300, int), np.arange(300) % 256, 1)
    infos = tuple(replace(i, name=n) for i, n in ((REFUSAL, "a"), (REFUSAL, "b"), (LENGTH, "c")))
    assert () == plan_signals(baseline, infos, JudgeSettings(), 100)


def test_clusters_are_counted_behind_their_buckets() -> None:
    """A tenth of 5,000 independent rows fills most of 256 buckets, not a tenth of those filled."""
    effects = estimate(window(5000, 5000, 1), window(5000, 5000, 1))
    tenth = expected_effects(effects, np.full(2, 0.1), 1.0)
    real = estimate(window(5000, 5000, 1), window(500, 500, 2))
    assert pytest.approx(real.clusters_current, rel=0.1) == tenth.clusters_current
