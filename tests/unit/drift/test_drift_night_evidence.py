"""The budget's lanes, the e-process, the tail correction and the variance between nights."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from loopllm_cli.drift import night_evidence as evidence
from loopllm_cli.drift.night_plan import NightSettings
from loopllm_cli.drift.night_scores import correct_tail, to_normal, undo_tail
from loopllm_cli.drift.night_variance import growth_to_edge, moderate
from loopllm_cli.model import SignalInfo, SignalKind, Worse

SETTINGS = NightSettings()
ONE = np.ones(1)


def test_a_year_of_nights_spends_the_budget() -> None:
    assert pytest.approx(1.0, abs=0.005) == evidence.spent_by(SETTINGS, 365)


def test_the_budget_scales_what_is_spent() -> None:
    half = NightSettings(false_pages_per_year=0.5)
    assert pytest.approx(evidence.spent_by(SETTINGS, 100) / 2) == evidence.spent_by(half, 100)


def test_the_fast_lane_spends_its_share_over_a_year() -> None:
    tails = stats.norm.sf(evidence.fast_thresholds(SETTINGS, 20))
    assert pytest.approx(SETTINGS.fast) == tails.sum() * 20 * 365


def test_a_larger_family_asks_for_more() -> None:
    few, many = (evidence.slow_threshold(SETTINGS, n) for n in (5, 50))
    assert pytest.approx(np.log(10)) == many - few


@pytest.mark.parametrize(
    ("z", "clock", "rho"), [(0.5, 10.0, 3.0), (4.0, 50.0, 5.0), (-2.0, 7.0, 1.0)]
)
def test_the_mixture_is_the_integral_it_stands_for(z: float, clock: float, rho: float) -> None:
    score = z * np.sqrt(clock)

    def integrand(mu: float) -> float:
        density = 2 * np.sqrt(rho / (2 * np.pi)) * np.exp(-rho * mu**2 / 2)
        return float(np.exp(mu * score - mu**2 * clock / 2) * density)

    expected, _ = integrate.quad(integrand, 0, np.inf)
    found = evidence.log_evidence(z * ONE, clock * ONE, rho * np.ones((1, 1)))
    assert pytest.approx(expected, rel=1e-6) == np.exp(found).item()


def test_the_e_process_is_a_supermartingale() -> None:
    """Its mean is at most 1 at any night, here with increments of unequal size."""
    rng = np.random.default_rng(0)
    steps = rng.uniform(50, 400, 30)
    paths = np.cumsum(np.sqrt(steps) * rng.standard_normal((20_000, 30)), axis=1)
    clock = np.broadcast_to(np.cumsum(steps), paths.shape)
    rho = np.array([200.0, 20.0, 2.0])[:, None, None]
    values = np.exp(evidence.log_evidence(paths / np.sqrt(clock), clock, rho))
    error = values.std(axis=0) / np.sqrt(len(values))
    assert (values.mean(axis=0) <= 1 + 2 * error).all()


def test_the_e_process_rarely_ever_passes_its_threshold() -> None:
    rng = np.random.default_rng(1)
    paths = np.cumsum(rng.standard_normal((4000, 300)), axis=1)
    clock = np.broadcast_to(np.arange(1.0, 301.0), paths.shape)
    rho = evidence.tuned(np.array([1.0, 5.0, 25.0]), np.log(20))[:, None, None]
    values = evidence.log_evidence(paths / np.sqrt(clock), clock, rho)
    ever = (values >= np.log(20)).any(axis=1).mean()
    assert ever <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 4000)


def test_the_two_sided_boundary_is_kept_by_all_nights_together() -> None:
    rng = np.random.default_rng(2)
    paths = np.cumsum(rng.standard_normal((4000, 300)), axis=1)
    clock = np.arange(1.0, 301.0)
    wide = evidence.radius(clock, evidence.tuned(7.0 * ONE, np.log(20)), 0.95)
    outside = (np.abs(paths) / np.sqrt(clock) > wide).any(axis=1).mean()
    assert outside <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 4000)


def test_evidence_grows_with_the_score() -> None:
    z = np.linspace(-6, 8, 60)
    values = evidence.log_evidence(z, np.full(60, 30.0), np.full((1, 60), 3.0))
    assert (np.diff(values) > 0).all()


def test_the_score_needed_just_reaches_the_threshold() -> None:
    clock, rho = np.array([5.0, 500.0]), np.array([[1.0, 1.0], [30.0, 30.0]])
    z = evidence.score_needed(clock, rho, 7.0)
    assert pytest.approx([7.0, 7.0], abs=1e-5) == evidence.log_evidence(z, clock, rho).tolist()


@pytest.mark.parametrize("expected", [0.3, 1.0, 5.0, 40.0])
def test_the_tail_correction_is_never_far_below_the_poisson_tail(expected: float) -> None:
    """At scores that could page, the corrected score claims at most four times too much."""
    counts = np.arange(1, 200)
    exact = stats.poisson.sf(counts - 1, expected)
    x, skew = (counts - expected) / np.sqrt(expected), np.full(len(counts), expected**-0.5)
    claimed = stats.norm.sf(correct_tail(x, skew))
    relevant = (exact < 1e-3) & (exact > 1e-9)
    assert (claimed[relevant] >= exact[relevant] / 4).all()
    naive = stats.norm.sf(x)
    assert (claimed[relevant] >= naive[relevant]).all()


def test_undoing_the_tail_correction_gives_the_sum_back() -> None:
    x = np.array([3.0, 4.5, 8.0])
    assert pytest.approx(x) == undo_tail(correct_tail(x, np.full(3, 0.4)), np.full(3, 0.4))


@pytest.mark.parametrize("df", [4.0, 20.0, 300.0])
def test_a_t_score_becomes_a_normal_score(df: float) -> None:
    t = np.array([-5.0, 1.0, 3.0, 5.0])
    exact = stats.norm.isf(stats.t.sf(t, df))
    assert pytest.approx(exact, rel=0.03) == to_normal(t, np.full(4, df))


def test_calm_signals_lend_each_other_their_calm() -> None:
    rng = np.random.default_rng(3)
    df = np.full(30, 9.0)
    excess, free = moderate(rng.chisquare(9, 30) / 9, df, np.ones(30, dtype=bool))
    assert (excess.mean() < 0.15, free.max() > 30) == (True, True)


def test_a_signal_with_shocks_keeps_its_own_variance_among_calm_ones() -> None:
    rng = np.random.default_rng(4)
    statistic = rng.chisquare(9, 30) / 9
    statistic[7] = 6.0
    excess, free = moderate(statistic, np.full(30, 9.0), np.ones(30, dtype=bool))
    assert (True, 9.0) == (excess[7] >= 5.0, free[7])


def test_shocks_to_all_signals_are_found_on_average() -> None:
    rng = np.random.default_rng(5)
    found = [
        moderate(3.0 * rng.chisquare(9, 30) / 9, np.full(30, 9.0), np.ones(30, dtype=bool))[0]
        for _ in range(50)
    ]
    assert pytest.approx(2.0, abs=0.3) == np.mean(found)


def test_unknown_variance_between_nights_counts_as_none() -> None:
    excess, _ = moderate(np.full(8, 50.0), np.full(8, 3.0), np.zeros(8, dtype=bool))
    assert [0.0] * 8 == excess.tolist()


def test_rare_events_cluster_more_once_they_are_less_rare() -> None:
    infos = (
        SignalInfo("rare", SignalKind.RATE, Worse.UP, 0.01, "r"),
        SignalInfo("half", SignalKind.RATE, Worse.DOWN, 0.03, "h"),
        SignalInfo("long", SignalKind.AMOUNT, Worse.UP, 0.2, "l"),
    )
    grown = growth_to_edge(np.array([0.002, 0.5, 3.0]), infos)
    assert (True, True, 1.0) == (grown[0] > 2, grown[1] < 1.01, grown[2])
