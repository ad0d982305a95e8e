"""Intervals and p-values against published examples and scipy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from loopllm_cli.drift.effects import estimate
from loopllm_cli.drift.family import holm
from loopllm_cli.drift.intervals import (
    Changes,
    Limits,
    effective_sizes,
    jeffreys,
    square_and_add,
    t_quantile,
    to_changes,
    wilson,
)
from tests.unit.drift.drift_rows import profile_of, rate

FloatArray = npt.NDArray[np.float64]
Z95 = np.array([stats.norm.ppf(0.975)])
NONE = np.zeros(1)
OTHERS = np.arange(128, 256)
"""Clusters that do not occur in the baseline."""


def wilson_limits(events: int, n: int) -> Limits:
    """Return a rate with its Wilson limits at 95%."""
    share = np.array([events / n])
    return (share, *wilson(share, np.array([float(n)]), Z95))


@pytest.mark.parametrize(("events", "n"), [(0, 10), (1, 29), (81, 263), (148, 148), (15, 148)])
def test_wilson_limits_are_scipys(events: int, n: int) -> None:
    """The limits are those of scipy, at no events and at nothing but events too."""
    expected = stats.binomtest(events, n).proportion_ci(method="wilson")
    _, low, high = wilson_limits(events, n)
    assert pytest.approx((expected.low, expected.high), abs=1e-12) == (low[0], high[0])


@pytest.mark.parametrize(
    ("after", "before", "expected"),
    [
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((6, 7), (2, 7), (0.0582, 0.8062)),
        ((5, 56), (0, 29), (-0.0381, 0.1926)),
        ((0, 10), (0, 20), (-0.1611, 0.2775)),
        ((0, 10), (0, 10), (-0.2775, 0.2775)),
        ((10, 10), (0, 20), (0.6791, 1.0000)),
        ((10, 10), (0, 10), (0.6075, 1.0000)),
    ],
)
def test_squares_add_up_to_newcombes_published_limits(
    after: tuple[int, int], before: tuple[int, int], expected: tuple[float, float]
) -> None:
    """Newcombe (1998), table II, method 10: his eight contrasts, to four places."""
    low, high = square_and_add(wilson_limits(*before), wilson_limits(*after), NONE)
    assert pytest.approx(expected, abs=6e-5) == (low[0], high[0])


def test_perfect_correlation_leaves_the_difference_of_the_parts() -> None:
    """Two rates that move together have a difference that hardly moves."""
    part = wilson_limits(50, 100)
    low, high = square_and_add(part, part, np.ones(1))
    assert pytest.approx((0.0, 0.0), abs=1e-9) == (low[0], high[0])


@pytest.mark.parametrize(("events", "n"), [(3, 50), (25, 50), (499, 500), (0.4, 3.7)])
def test_jeffreys_limits_are_quantiles_of_the_beta_law(events: float, n: float) -> None:
    """Each limit leaves its tail of Beta(x + 1/2, n - x + 1/2), at fractional sizes too."""
    law = stats.beta(events + 0.5, n - events + 0.5)
    low, high = jeffreys(np.array([events / n]), np.array([float(n)]), np.array([0.004]))
    assert pytest.approx((law.ppf(0.004), law.isf(0.004))) == (low[0], high[0])


def test_jeffreys_limits_reach_the_ends_at_no_and_at_all_events() -> None:
    """No event allows a rate of 0, nothing but events a rate of 1."""
    low, high = jeffreys(np.array([0.0, 1.0]), np.array([10.0, 10.0]), np.array([0.025, 0.025]))
    expected = stats.beta(0.5, 10.5).isf(0.025)
    assert pytest.approx([0.0, 1 - expected]) == low.tolist()
    assert pytest.approx([expected, 1.0]) == high.tolist()


def test_limits_always_hold_their_estimate() -> None:
    """At any rate, size and tail below a half: low <= rate <= high, all in 0..1."""
    shares = np.linspace(0, 1, 101)
    for size in (0.01, 1.0, 30.0, 1e6):
        for tail in (1e-12, 0.004, 0.499):
            low, high = jeffreys(shares, np.full(101, size), np.full(101, tail))
            assert np.all((low >= 0) & (low <= shares) & (shares <= high) & (high <= 1))


def test_holm_multiplies_the_smallest_by_the_whole_family() -> None:
    """Holm (1979) by hand: 4 x .005, 3 x .01, 2 x .03, 1 x .04, never falling."""
    expected = [0.03, 0.06, 0.06, 0.02]
    assert pytest.approx(expected) == holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist()


def test_holm_never_exceeds_one_and_of_one_is_the_same() -> None:
    """Adjusted p-values are p-values, and a family of one costs nothing."""
    assert [1.0, 1.0] == holm(np.array([0.9, 0.6])).tolist()
    assert [0.03] == holm(np.array([0.03])).tolist()


def test_t_quantiles_are_scipys_to_the_far_tail() -> None:
    """Tails as small as 1e-12 keep their digits."""
    for tail in (0.025, 1e-6, 1e-12):
        expected = stats.t.isf(tail, 12.5)
        assert pytest.approx(expected, rel=1e-6) == float(t_quantile(tail, np.array([12.5]))[0])


def amounts(n: int, factor: float = 1.0) -> tuple[FloatArray, FloatArray, Changes, float]:
    """Draw two windows of n rows by different users; return them, their change and Welch's df."""
    rng = np.random.default_rng(0)
    before, after = rng.gamma(4.0, size=(2, n))
    after = factor * after
    effects = estimate(profile_of([before]), profile_of([after], clusters=OTHERS[:n]))
    return before, after, to_changes(effects, np.array([False])), float(effects.df[0])


def test_an_amounts_interval_is_the_delta_methods_and_wider_where_a_mean_may_be_low() -> None:
    """Log ratio of the means, both windows' errors, Welch's t; few rows may miss the large ones."""
    for n, most in ((20, 1.25), (120, 1.1)):
        before, after, changes, df = amounts(n)
        relative = [np.var(x, ddof=1) / n / x.mean() ** 2 for x in (before, after)]
        se = np.sqrt(sum(max(v, sum(relative) / 2) for v in relative))
        half = stats.t.isf(0.025, df) * se
        ratio = np.log(after.mean() / before.mean())
        low, high = (np.log1p(x[0]) for x in changes.interval(0.95))
        assert 1 <= (ratio - low) / half < most
        assert 1 <= (high - ratio) / half < most


def test_p_values_of_an_amount_are_near_welchs_t_on_logs_and_never_smaller() -> None:
    """The search for the level finds the closed form, where rows are many."""
    _, _, changes, df = amounts(120, factor=1.3)
    found = changes.p_beyond(np.array([0.1]), upwards=np.array([True]))[0]
    expected = stats.t.sf((np.log1p(changes.change[0]) - np.log(1.1)) / changes.log_se[0], df)
    assert expected <= found < 1.5 * expected


def test_few_events_in_few_clusters_are_not_taken_for_independent() -> None:
    """A window whose few events fell to different users borrows the likeness of the other."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(50), 20)
    alike = (rng.random(50) < 0.3)[users].astype(float)
    sparse = np.zeros(1_000)
    sparse[::200] = 1.0
    baseline = profile_of([alike], clusters=users)
    effects = estimate(baseline, profile_of([sparse], clusters=OTHERS[users]))
    alone = effects.var_current / effects.iid_var_current
    assert alone[0] < 1.5
    assert effective_sizes(effects)[1][0] < 1_000 / 3


@pytest.mark.parametrize("events", [(10, 30), (0, 20), (5, 30), (50, 75)])
def test_p_below_alpha_means_the_bound_lies_beyond_the_limit(events: tuple[int, int]) -> None:
    """The p-value is the level at which the bound touches the limit."""
    effects = estimate(profile_of([rate(100, events[0])]), profile_of([rate(100, events[1])]))
    changes = to_changes(effects, np.array([True]))
    limit = np.array([0.05])
    p_value = changes.p_beyond(limit, upwards=np.array([True]))
    looser, _ = changes.bounds(np.minimum(p_value * 1.001, 0.499))
    tighter, _ = changes.bounds(p_value * 0.999)
    assert looser[0] > limit[0] >= tighter[0]


def test_an_estimate_inside_the_limit_has_a_p_value_of_one() -> None:
    """No evidence beyond a limit comes from a change that has not reached it."""
    effects = estimate(profile_of([rate(100, 10)]), profile_of([rate(100, 12)]))
    above, below = to_changes(effects, np.array([True])).p_outside(np.array([0.05]))
    assert [1.0, 1.0] == [above[0], below[0]]


def test_few_clusters_count_as_fewer_rows() -> None:
    """The same rates with fewer degrees of freedom have wider limits (Korn & Graubard)."""
    effects = estimate(profile_of([rate(200, 20)]), profile_of([rate(200, 40)]))
    changes = to_changes(effects, np.array([True]))
    few = type(changes)(**{**changes.__dict__, "df": np.array([3.0])})
    low, high = changes.interval(0.95)
    low_few, high_few = few.interval(0.95)
    assert low_few[0] < low[0]
    assert high[0] < high_few[0]
