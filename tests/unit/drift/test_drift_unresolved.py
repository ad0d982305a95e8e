"""Traffic that segments may not resolve: wider bounds, no blame, and intervals of all parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from loopllm_cli.drift.effects import estimate
from loopllm_cli.drift.unresolved import bounded_changes, part_intervals, without_mix
from loopllm_cli.drift.verdict import UNRESOLVED, JudgeSettings, family_size, judge
from loopllm_cli.model import Comparison, PartIntervals, Verdict
from loopllm_cli.profiles.profile import Profile
from tests.unit.drift.drift_rows import AMOUNT, BAD_RATE, FloatArray, profile_of, rate

PARTS = ("total", "behaviour", "mix", "new_traffic", "vanished_traffic")


def moved_traffic(seen: int, n_rows: int = 4000) -> tuple[Profile, Profile]:
    """Prompts of two kinds, 10% and 50% bad; a third of the traffic moves to the second kind.

    Clusters see the kind of `seen` in ten prompts; the others lie in a cluster of their own.
    """
    windows = []
    for first, share in ((0, 0.2), (1, 0.5)):
        rows = np.arange(n_rows)
        second = (rows * 7919 % n_rows) < share * n_rows
        told = rows % 10 < seen
        part = np.random.default_rng(first).random(n_rows)
        values = (part < np.where(second, 0.5, 0.1)).astype(float)
        segments = np.where(told, second, 2)
        windows.append(profile_of([values], segments, rows + 128 * first, 3))
    return windows[0], windows[1]


def compared(windows: tuple[Profile, Profile], unresolved: float) -> Comparison:
    """Judge one rate."""
    effects = estimate(*windows)
    return judge(effects, (BAD_RATE,), JudgeSettings(unresolved=unresolved))[0]


def test_traffic_of_which_clusters_see_most_is_not_blamed_on_the_model() -> None:
    """With six prompts in ten resolved, what is left looks worse; widened, it is unclear."""
    blamed, spared = (compared(moved_traffic(6), d) for d in (0.0, 1.0))
    assert (Verdict.WORSE, "") == (blamed.verdict, blamed.note)
    assert (Verdict.INCONCLUSIVE, UNRESOLVED) == (spared.verdict, spared.note)
    assert spared.low < 0 < blamed.low
    assert blamed.behaviour == spared.behaviour


def test_a_note_on_traffic_leaves_the_signal_in_the_family() -> None:
    """An unclear signal was judged: it counts among those that the level is shared by."""
    one = compared(moved_traffic(6), 1.0)
    assert (UNRESOLVED, 1) == (one.note, family_size((one,)))


def test_a_true_change_beyond_the_traffic_is_still_found() -> None:
    """Bad answers four times as often everywhere are no matter of unresolved traffic."""
    before, after = moved_traffic(9)
    worse = replace(after, total=after.n - (after.n - after.total) / 4, total_sq=after.n)
    assert Verdict.WORSE is compared((before, worse), 1.0).verdict


def test_without_moved_traffic_nothing_is_widened() -> None:
    """The same rows per segment: both ends are one, whatever the unresolved share."""
    values = [rate(600, 60)]
    segments = np.arange(600) % 6
    after = profile_of([rate(600, 90)], segments)
    effects = estimate(profile_of(values, segments), after)
    plain, widened = (
        bounded_changes(effects, np.array([True]), d).bounds(0.025) for d in (0.0, 3.0)
    )
    assert [x.tolist() for x in plain] == [x.tolist() for x in widened]


@pytest.mark.parametrize("is_rate", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_bounds_hold_every_unresolved_share_up_to_the_limit(seed: int, *, is_rate: bool) -> None:
    """What clusters may miss is any share up to δ; both ends' bounds cover what lies between."""
    effects = estimate(*_noisy_windows(seed))
    rates = np.array([is_rate])
    low, high = bounded_changes(effects, rates, 1.0).bounds(0.025)
    for share in (0.25, 0.5, 0.75):
        between = bounded_changes(without_mix(effects, share), rates, 0.0).bounds(0.025)
        assert low[0] <= between[0][0] + 1e-3
        assert high[0] >= between[1][0] - 1e-3


@pytest.mark.parametrize("seen", [3, 6, 9])
def test_widened_p_values_and_bounds_are_one_statement(seen: int) -> None:
    """p < α exactly when the one-sided bound of the wider interval lies beyond the limit."""
    changes = bounded_changes(estimate(*moved_traffic(seen)), np.array([True]), 1.0)
    for limit in np.linspace(0.005, 0.2, 12):
        above, below = changes.p_outside(np.array([limit]))
        for tail in (0.001, 0.05, 0.2):
            low, high = changes.bounds(tail)
            assert (above[0] < tail) == (low[0] > limit)
            assert (below[0] < tail) == (high[0] < -limit)


def test_visible_changes_grow_by_what_traffic_may_hide() -> None:
    """A window whose traffic moved sees less, by about the mix."""
    windows = moved_traffic(9)
    plain, widened = (compared(windows, d).visible_change for d in (0.0, 1.0))
    mix = estimate(*windows).mix[0]
    assert pytest.approx(mix, rel=0.25) == widened - plain


def test_every_part_has_an_interval_that_holds_it() -> None:
    """Intervals are ordered, hold their estimates, and stand in the result."""
    one = compared(_noisy_windows(4), 1.0)
    assert isinstance(one.parts, PartIntervals)
    for name in PARTS:
        interval = getattr(one.parts, name)
        assert interval.low <= getattr(one, name) <= interval.high
    assert one.parts.new_traffic.high > one.parts.new_traffic.low
    assert 0 < one.effective_n_current <= one.n_current
    assert 0 < one.effective_n_baseline <= one.n_baseline


def test_identical_prompts_have_a_mix_without_any_width() -> None:
    """Replayed prompts: mix, new and vanished traffic are exactly 0, and known to be."""
    rng = np.random.default_rng(3)
    segments = rng.integers(0, 7, 300)
    before, after = (profile_of(rng.gamma(1.0, size=(1, 300)), segments) for _ in range(2))
    parts = part_intervals(estimate(before, after), 1.0)[0]
    for name in ("mix", "new_traffic", "vanished_traffic"):
        interval = getattr(parts, name)
        assert (0.0, 0.0) == (interval.low, interval.high)
    expected = (parts.behaviour.low, parts.behaviour.high)
    assert pytest.approx(expected) == (parts.total.low, parts.total.high)


def test_the_total_of_single_rows_has_welchs_error() -> None:
    """Leaving out one row at a time gives s²/n of each window."""
    rng = np.random.default_rng(5)
    before, after = rng.normal(5, 2, 100), rng.normal(5, 1, 80)
    e = estimate(profile_of([before]), profile_of([after], clusters=np.arange(80) + 128))
    expected = before.var(ddof=1) / 100 + after.var(ddof=1) / 80
    assert pytest.approx(expected, rel=0.02) == e.var_total[0]
    assert pytest.approx(expected) == e.var_behaviour[0]


def test_part_intervals_cover_the_parts() -> None:
    """95% intervals of total, behaviour and mix hold the truth in 90% to 99% of 200 draws.

    Two segments with means 1 and 3, half of the traffic each; a fifth moves, and all rows rise
    by 0.5. At the shared mix behaviour is 0.5 whatever the weights.
    """
    truth = {"total": 0.5 + 0.2 * 2, "behaviour": 0.5, "mix": 0.4}
    held = dict.fromkeys(truth, 0)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        windows = []
        for n, share, rise, first in ((600, 0.5, 0.0, 0), (300, 0.7, 0.5, 40)):
            segments = (rng.random(n) < share).astype(int)
            users = rng.integers(0, 100, n) + first
            traits = rng.normal(0, 0.3, 200)
            values = 1 + 2 * segments + rise + traits[users] + rng.normal(0, 1, n)
            windows.append(profile_of([values], segments, users + 101 * first))
        parts = part_intervals(estimate(*windows), 0.0)[0]
        for name, value in truth.items():
            held[name] += getattr(parts, name).low <= value <= getattr(parts, name).high
    assert all(180 <= count <= 198 for count in held.values()), held


def test_amounts_that_traffic_could_explain_altogether_are_unclear() -> None:
    """Where the mix is as large as the whole level, nothing is certain, and nothing breaks."""
    segments = [0] * 300 + [1] * 20
    values: FloatArray = np.where(np.array(segments) == 1, 100.0, 1.0)
    noise = np.random.default_rng(6).random(320)
    before = profile_of([values + noise], segments)
    after = profile_of([values[::-1] + noise], segments[::-1])
    found = judge(estimate(before, after), (AMOUNT,), JudgeSettings(unresolved=5.0))[0]
    assert found.verdict in (Verdict.INCONCLUSIVE, Verdict.UNCHANGED)
    assert found.low <= found.change <= found.high


def _noisy_windows(seed: int) -> tuple[Profile, Profile]:
    """Draw windows of rates with users, moved traffic, and a new and a vanished segment."""
    rng = np.random.default_rng(seed)
    windows = []
    for n, shares, first in ((900, (0.5, 0.3, 0.1, 0.1, 0), 0), (400, (0.2, 0.5, 0.1, 0, 0.2), 90)):
        segments = rng.choice(5, n, p=shares)
        values = (rng.random(n) < 0.1 + 0.1 * segments).astype(float)
        windows.append(profile_of([values], segments, rng.integers(0, 90, n) + first, 5))
    return windows[0], windows[1]


def test_the_noise_of_traffic_does_not_pass_for_rows_that_are_alike() -> None:
    """A rate that its segment determines stays sharp while traffic wobbles a little."""
    rng = np.random.default_rng(0)
    segments = [rng.random(n) < share for n, share in ((3_000, 0.06), (3_000, 0.07))]
    profiles = [
        profile_of([s.astype(float)], segments=s.astype(int), clusters=rng.integers(0, 256, len(s)))
        for s in segments
    ]
    effects = estimate(profiles[0], profiles[1])
    low, high = bounded_changes(effects, np.array([True]), 1.0).interval(0.95)
    assert -0.04 < low[0] < 0 < high[0] < 0.02
