"""Weekdays: signals that follow the week are found, and compared weekday by weekday."""

from __future__ import annotations

import numpy as np

from loopllm_cli.drift.compare import compare_profiles
from loopllm_cli.drift.season import seasonal_signals, weekday_p_values
from loopllm_cli.drift.verdict import JudgeSettings
from loopllm_cli.model import SignalInfo, SignalKind, Status, Worse
from loopllm_cli.profiles.days import DaySums, build_days
from loopllm_cli.profiles.profile import Profile, build_profile
from loopllm_cli.profiles.season import build_weekly, weekdays_of

NAMES = ("level", "monday")
INFOS = tuple(SignalInfo(n, SignalKind.RATE, Worse.UP, 0.01, n) for n in NAMES)
MONDAY = np.datetime64("2026-08-31")


def window(days: np.ndarray, rows_per_day: int, seed: int) -> tuple[Profile, DaySums, Profile]:
    """Draw a service of two segments: one signal is flat, one is high on Mondays."""
    rng = np.random.default_rng(seed)
    dates = np.repeat(days, rows_per_day)
    weekdays = weekdays_of(dates)
    rates = np.stack([np.full(len(dates), 0.1), np.where(weekdays == 0, 0.3, 0.1)], axis=1)
    values = (rng.random(rates.shape) < rates).astype(float)
    segments, buckets = rng.integers(0, 2, len(dates)), rng.integers(0, 256, len(dates))
    return (
        build_profile(NAMES, values, segments, buckets, 2),
        build_days(NAMES, values, segments, dates, 2),
        build_weekly(NAMES[1:], values[:, 1:], (weekdays, segments, buckets), 2),
    )


def test_only_signals_that_follow_the_week_are_seasonal() -> None:
    """Four weeks show which of two signals is high on Mondays."""
    _, days, _ = window(MONDAY + np.arange(28), 100, seed=0)
    assert ("monday",) == seasonal_signals(days)


def test_two_weeks_tell_nothing_about_weekdays() -> None:
    """With two days per weekday nothing is called seasonal."""
    _, days, _ = window(MONDAY + np.arange(14), 100, seed=0)
    assert [1.0, 1.0] == weekday_p_values(days).tolist()


def test_a_flat_signal_is_rarely_called_seasonal() -> None:
    """p-values are those of no difference: about one in a hundred is below 1%."""
    found = [
        weekday_p_values(window(MONDAY + np.arange(28), 40, seed)[1])[0] for seed in range(400)
    ]
    assert np.mean(np.array(found) < 0.01) <= 0.01 + 2 * np.sqrt(0.01 * 0.99 / 400)
    assert 0.4 < np.mean(np.array(found) < 0.5) < 0.6


def test_a_shock_that_hits_single_days_is_no_season() -> None:
    """Days differ from each other; weekdays do not."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        dates = np.repeat(MONDAY + np.arange(28), 200)
        rates = np.repeat(rng.uniform(0.05, 0.25, 28), 200)
        values = (rng.random(len(dates)) < rates).astype(float)[:, None]
        found.append(weekday_p_values(build_days(("a",), values, dates.astype(int) * 0, dates, 1)))
    assert np.mean(np.array(found) < 0.01) <= 0.01 + 2 * np.sqrt(0.01 * 0.99 / 200)


def test_a_monday_is_compared_with_mondays() -> None:
    """A clean Monday alarms against the whole week, and not against the baseline's Mondays."""
    before, _, weeks = window(MONDAY + np.arange(28), 200, seed=1)
    now, _, monday = window(MONDAY + np.arange(28, 29), 2_000, seed=2)
    settings = JudgeSettings()
    naive = compare_profiles(before, now, INFOS, ("a", "b"), settings)
    matched = compare_profiles(before, now, INFOS, ("a", "b"), settings, (weeks, monday))
    assert Status.DEGRADED == naive.status != matched.status
    assert abs(matched.comparisons[1].change) < 0.05
    assert naive.comparisons[0] == matched.comparisons[0]
