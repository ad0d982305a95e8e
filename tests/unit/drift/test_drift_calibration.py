"""Clean splits and planted changes: who goes where, what is changed, and how it is counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from loopllm_cli.drift.calibration import (
    BoolArray,
    CleanRows,
    Parts,
    Refit,
    Split,
    day_parts,
    draw_clusters,
    draw_splits,
    frequency,
    judge_planted,
    judge_split,
    part_splits,
)
from loopllm_cli.drift.verdict import JudgeSettings
from loopllm_cli.model import SignalInfo, SignalKind, Verdict, Worse

SIGNALS = (
    SignalInfo("refusal", SignalKind.RATE, Worse.UP, 0.01, "Refusals."),
    SignalInfo("solved", SignalKind.RATE, Worse.DOWN, 0.03, "Right answers."),
    SignalInfo("latency", SignalKind.AMOUNT, Worse.UP, 0.2, "Seconds."),
    SignalInfo("length", SignalKind.AMOUNT, Worse.EITHER, 0.1, "Words."),
)
SETTINGS = JudgeSettings()


def clean(n_rows: int = 4_000, n_clusters: int = 800, seed: int = 0) -> CleanRows:
    """Draw rows in which nothing changes, of users with a share of their own."""
    rng = np.random.default_rng(seed)
    clusters = rng.integers(0, n_clusters, n_rows)
    values = np.stack(
        [
            rng.random(n_rows) < 0.02,
            rng.random(n_rows) < 0.8,
            rng.lognormal(0, 0.5, n_rows),
            rng.lognormal(0, 0.5, n_rows),
        ],
        axis=1,
    ).astype(float)
    days = np.datetime64("2026-10-01") + np.sort(rng.integers(0, 20, n_rows))
    segments = rng.integers(0, 3, n_rows)
    return CleanRows(SIGNALS, values, segments, 3, clusters, clusters % 256, days)


@pytest.mark.parametrize(("hits", "runs"), [(0, 200), (1, 200), (17, 100), (200, 200)])
def test_frequencies_carry_exact_intervals(hits: int, runs: int) -> None:
    """As scipy's binomial test gives them."""
    expected = stats.binomtest(hits, runs).proportion_ci(0.95, "exact")
    found = frequency(hits, runs)
    assert pytest.approx((hits / runs, expected.low, expected.high)) == (
        found.rate,
        found.low,
        found.high,
    )


def test_without_a_run_nothing_is_known() -> None:
    """The interval is everything."""
    found = frequency(0, 0)
    assert (0.0, 1.0, True) == (found.low, found.high, np.isnan(found.rate))


def test_whole_clusters_go_to_one_part_of_about_the_size_asked_for() -> None:
    """No user is in both parts, and the last one makes the part a little larger."""
    rows = clean()
    for part in draw_clusters(rows.clusters, 500, 5, np.random.default_rng(1)):
        assert set() == set(rows.clusters[part]) & set(rows.clusters[~part])
        assert 500 <= part.sum() < 500 + np.bincount(rows.clusters).max()


def test_a_baseline_part_always_remains() -> None:
    """However large one user is."""
    clusters = np.array([0] * 98 + [1, 2])
    for part in draw_clusters(clusters, 50, 20, np.random.default_rng(0)):
        assert 0 < part.sum() < 100


def test_days_and_weeks_are_parts_of_their_own() -> None:
    """Rows without a time are in none, and a week that is cut off is left out."""
    days = np.array(["2026-10-01", "2026-10-03", "NaT", "2026-10-08"], dtype="datetime64[D]")
    found = {name: part.tolist() for name, part in day_parts(days, 1)}
    assert ["2026-10-01", "2026-10-03", "2026-10-08"] == list(found)
    assert [False, True, False, False] == found["2026-10-03"]
    weeks = [(name, part.tolist()) for name, part in day_parts(days, 7)]
    assert [("2026-10-01", [True, True, False, False])] == weeks
    assert [] == day_parts(np.array(["NaT"], dtype="datetime64[D]"), 1)


def judged(rows: CleanRows, part: BoolArray) -> Split:
    """Judge a part against the rest."""
    return judge_split(rows, Parts(~part, part), SETTINGS)


def test_clean_splits_are_seldom_called_worse() -> None:
    """In 60 splits without a change, the promise of 5% lets no more than eight pass."""
    rows, rng = clean(), np.random.default_rng(2)
    parts = draw_clusters(rows.clusters, 600, 60, rng)
    worse = sum(
        any(c.verdict is Verdict.WORSE for c in judged(rows, part).comparisons) for part in parts
    )
    # 9 of 60 or more has a chance of 0.4% at a true rate of 5%.
    assert worse <= 8


def test_a_planted_change_has_the_size_that_was_asked_for() -> None:
    """Exactly so in whole rows of a rate, and as a factor of an amount."""
    rows = clean()
    part = next(draw_clusters(rows.clusters, 1_000, 1, np.random.default_rng(3)))
    split = judged(rows, part)
    sizes = np.array([0.04, 0.1, 0.5, np.nan])
    found = judge_planted(split, sizes, SETTINGS, np.random.default_rng(4))
    assert ["refusal", "solved", "latency"] == list(found)
    before = {c.signal.name: c.current for c in split.comparisons}
    n_rows = part.sum()
    assert pytest.approx(before["refusal"] + 0.04, abs=1 / n_rows) == found["refusal"].current
    assert pytest.approx(before["solved"] - 0.1, abs=1 / n_rows) == found["solved"].current
    assert pytest.approx(before["latency"] * 1.5) == found["latency"].current


def test_large_planted_changes_are_found_each_by_itself() -> None:
    """The others stay as they are, so the family is the usual one."""
    rows = clean()
    part = next(draw_clusters(rows.clusters, 1_500, 1, np.random.default_rng(3)))
    split = judged(rows, part)
    sizes = np.array([0.2, 0.3, 1.0, np.nan])
    found = judge_planted(split, sizes, SETTINGS, np.random.default_rng(4))
    assert {Verdict.WORSE} == {c.verdict for c in found.values()}
    assert Verdict.WORSE not in {c.verdict for c in split.comparisons}


def test_a_change_that_does_not_fit_is_not_planted() -> None:
    """A rate of 2% cannot fall by 10 points, nor an amount by all of itself."""
    down = tuple(replace(info, worse=Worse.DOWN) for info in SIGNALS)
    rows = replace(clean(), signals=down)
    part = next(draw_clusters(rows.clusters, 1_000, 1, np.random.default_rng(3)))
    split = judged(rows, part)
    sizes = np.array([0.1, 0.1, 1.0, 0.5])
    found = judge_planted(split, sizes, SETTINGS, np.random.default_rng(4))
    assert ["solved", "length"] == list(found)


def test_seasonal_signals_are_judged_weekday_by_weekday() -> None:
    """What follows the week is compared with its own weekdays; other signals as before."""
    rows = clean()
    weekday = (rows.days - np.datetime64("1970-01-05")).astype(int) % 7
    rows.values[:, 2] *= 1 + 3 * (weekday == 0)
    part = rows.days == rows.days[weekday == 0][0]
    plain, weekly = (
        judge_split(replace(rows, seasonal=names), Parts(~part, part), SETTINGS)
        for names in ((), ("latency",))
    )
    assert Verdict.WORSE is plain.comparisons[2].verdict
    assert Verdict.WORSE is not weekly.comparisons[2].verdict
    assert plain.comparisons[1] == weekly.comparisons[1]


def marking(rows: CleanRows, fits: list[BoolArray]) -> Refit:
    """Return a refit that remembers the rows it was given."""

    def refit(part: BoolArray) -> CleanRows:
        fits.append(part)
        return replace(rows, segments=part.astype(np.int64), n_segments=2)

    return refit


def test_segments_are_fitted_on_no_row_of_a_current_part() -> None:
    """Ten splits share a fit; each is judged against the rows of the fit."""
    rows, fits = clean(), list[BoolArray]()
    rng = np.random.default_rng(0)
    splits = list(draw_splits(rows, marking(rows, fits), 200, 25, rng))
    assert (25, 3) == (len(splits), len(fits))
    for number, (placed, parts) in enumerate(splits):
        fit = fits[number // 10]
        assert not (fit & parts.current).any()
        assert fit.tolist() == parts.baseline.tolist() == placed.segments.astype(bool).tolist()
        assert set() == set(rows.clusters[fit]) & set(rows.clusters[parts.current])
        assert 200 <= parts.current.sum() < 230


def test_halves_are_fitted_one_by_one() -> None:
    """A reserve of half the rows leaves one current part only."""
    rows, fits = clean(), list[BoolArray]()
    splits = list(draw_splits(rows, marking(rows, fits), 2_000, 4, np.random.default_rng(0)))
    assert (4, 4) == (len(splits), len(fits))
    assert all((parts.baseline | parts.current).all() for _, parts in splits)


def test_days_are_kept_apart_in_fifths() -> None:
    """Each day is judged once, against days of other fifths."""
    rows, fits = clean(), list[BoolArray]()
    days = [mask for _, mask in day_parts(rows.days, 1)]
    splits = list(part_splits(rows, marking(rows, fits), days, np.random.default_rng(0)))
    assert (sorted(range(20)), 5) == (sorted(number for number, _, _ in splits), len(fits))
    for number, _, parts in splits:
        assert days[number].tolist() == parts.current.tolist()
        assert not (parts.baseline & parts.current).any()
        assert 16 == len(np.unique(rows.days[parts.baseline]))
