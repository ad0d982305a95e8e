"""How much a signal moved, split into behaviour and traffic, with errors clustered by user.

Strata s are prompt segments. With n rows and mean m per window and stratum:

    weights     w_s ∝ n_Bs n_Cs / (n_Bs + n_Cs) over the strata that both windows have
    behaviour   Σ w_s (m_Cs − m_Bs)
    new         q_C (mean of C on strata that only C has − mean of C on shared strata)
    vanished    q_B (mean of B on strata that only B has − mean of B on shared strata)
    mix         the rest, so that total = behaviour + mix + new − vanished exactly

The variance of the behaviour term sums each row's influence within its stratum per cluster
bucket, jointly over both windows, so that users (or prompts) that occur in both are paired
(`influence.py`); the other parts' variances come from leaving out bucket after bucket
(`parts.py`).

Source: Cai, Namkoong & Yadlowsky (2023), "Diagnosing model performance under distribution
shift", https://arxiv.org/abs/2303.02011 (shared distribution, decomposition).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loopllm_cli.drift.influence import Errors, is_thin, level_errors, ratio, segment_errors
from loopllm_cli.drift.parts import PartErrors, part_errors, split
from loopllm_cli.profiles.profile import Profile

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Effects:
    """Estimates per signal (or per segment and signal); all arrays have one shape.

    `level_*` are means at the shared mix; `size_*` are the numbers of rows that independent rows
    of equal weight would need for the same spread of weights (Kish); `clusters_*` are effective
    numbers of clusters. `covariance_mix_*` are the covariances of the mix with each level.
    """

    n_baseline: FloatArray
    n_current: FloatArray
    mean_baseline: FloatArray
    mean_current: FloatArray
    level_baseline: FloatArray
    level_current: FloatArray
    mix: FloatArray
    new_traffic: FloatArray
    vanished_traffic: FloatArray
    var_baseline: FloatArray
    var_current: FloatArray
    covariance: FloatArray
    iid_var_baseline: FloatArray
    iid_var_current: FloatArray
    size_baseline: FloatArray
    size_current: FloatArray
    clusters_baseline: FloatArray
    clusters_current: FloatArray
    crowding_baseline: FloatArray
    crowding_current: FloatArray
    var_total: FloatArray
    var_mix: FloatArray
    var_new: FloatArray
    var_vanished: FloatArray
    covariance_mix_baseline: FloatArray
    covariance_mix_current: FloatArray

    @property
    def behaviour(self) -> FloatArray:
        """Change at the shared mix, in the signal's unit."""
        return self.level_current - self.level_baseline

    @property
    def total(self) -> FloatArray:
        """Change of the whole windows' means."""
        return self.mean_current - self.mean_baseline

    @property
    def var_behaviour(self) -> FloatArray:
        """Variance of the change at the shared mix."""
        return np.maximum(self.var_baseline + self.var_current - 2 * self.covariance, 0.0)

    @property
    def df(self) -> FloatArray:
        """Welch-Satterthwaite degrees of freedom from the numbers of clusters."""
        b, c = self.var_baseline, self.var_current
        parts = b**2 / np.maximum(self.clusters_baseline - 1, 1) + c**2 / np.maximum(
            self.clusters_current - 1, 1
        )
        fallback = np.fmin(self.clusters_baseline, self.clusters_current) - 1
        return np.where(parts > 0, ratio((b + c) ** 2, parts), np.maximum(fallback, 1))

    @property
    def design_effect(self) -> FloatArray:
        """Variance of the current window's level over that of independent rows."""
        return ratio(self.var_current, self.iid_var_current, 1.0)


def estimate(baseline: Profile, current: Profile) -> Effects:
    """Estimate every signal's effect over all segments; arrays of shape (n_signals,)."""
    base, cur = _pool_thin(baseline, current)
    n_b, n_c = base.n.sum(axis=1), cur.n.sum(axis=1)
    shared = (n_b > 0) & (n_c > 0)
    weights = np.where(shared, ratio(n_b * n_c, n_b + n_c), 0.0)
    weights = ratio(weights, weights.sum(axis=0, keepdims=True))
    m_b, m_c = ratio(base.total.sum(axis=1), n_b), ratio(cur.total.sum(axis=1), n_c)
    moved = (weights * (m_c - m_b)).sum(axis=0)
    thin_b, thin_c = is_thin(base), is_thin(cur)
    lend_b, lend_c = shared & thin_b & ~thin_c, shared & thin_c & ~thin_b
    centre_b, centre_c = np.where(lend_b, m_c - moved, m_b), np.where(lend_c, m_b + moved, m_c)
    parts = split((n_b, base.total.sum(axis=1)), (n_c, cur.total.sum(axis=1)), shared)
    side_b = _side(base, weights, level_errors(base, weights, centre_b, lend_b))
    side_c = _side(cur, weights, level_errors(cur, weights, centre_c, lend_c))
    mean_b, mean_c = (ratio(p.total.sum((0, 1)), p.n.sum((0, 1)), np.nan) for p in (base, cur))
    known = np.where(shared.any(axis=0), 1.0, np.nan)
    mix = (mean_c - mean_b) - (side_c.level - side_b.level) - parts.new + parts.vanished
    identical = (n_b == n_c).all(axis=0)
    traffic = (np.where(identical, 0.0, mix), parts.new, parts.vanished)
    errors = _of_identical(part_errors(base, cur, shared), identical, (side_b, side_c))
    return _combine(
        (side_b, side_c), (mean_b, mean_c), tuple(part * known for part in traffic), errors
    )


def estimate_segments(baseline: Profile, current: Profile) -> Effects:
    """Estimate every signal's effect in each segment by itself; shape (n_segments, n_signals)."""
    sides = []
    for profile in (baseline, current):
        n = profile.n.sum(axis=1)
        mean = ratio(profile.total.sum(axis=1), n, np.nan)
        sides.append(_Side(n, mean, n, segment_errors(profile, mean)))
    means = (sides[0].level, sides[1].level)
    zero = np.zeros_like(means[0])
    moved = sides[1].errors.influence - sides[0].errors.influence
    errors = PartErrors(moved, *(np.zeros_like(moved) for _ in range(3)))
    return _combine((sides[0], sides[1]), means, (zero, zero, zero), errors)


@dataclass(frozen=True)
class _Side:
    """One window's part of the estimate."""

    n: FloatArray
    level: FloatArray
    size: FloatArray
    errors: Errors


def _side(profile: Profile, weights: FloatArray, errors: Errors) -> _Side:
    n, total = profile.n.sum(axis=1), profile.total.sum(axis=1)
    any_shared = (weights > 0).any(axis=0)
    return _Side(
        n=n.sum(axis=0),
        level=np.where(any_shared, (weights * ratio(total, n)).sum(axis=0), np.nan),
        size=ratio(1.0, ratio(weights**2, n).sum(axis=0)),
        errors=errors,
    )


def _of_identical(
    errors: PartErrors, identical: BoolArray, sides: tuple[_Side, _Side]
) -> PartErrors:
    """Where both windows have the same prompts, nothing but behaviour can have moved."""
    moved = sides[1].errors.influence - sides[0].errors.influence
    return PartErrors(
        np.where(identical, moved, errors.total),
        *(np.where(identical, 0.0, part) for part in (errors.mix, errors.new, errors.vanished)),
    )


def _combine(
    sides: tuple[_Side, _Side],
    means: tuple[FloatArray, FloatArray],
    traffic: tuple[FloatArray, ...],
    errors: PartErrors,
) -> Effects:
    base, cur = sides
    of_b, of_c = base.errors.influence, cur.errors.influence
    return Effects(
        n_baseline=base.n,
        n_current=cur.n,
        mean_baseline=means[0],
        mean_current=means[1],
        level_baseline=base.level,
        level_current=cur.level,
        mix=traffic[0],
        new_traffic=traffic[1],
        vanished_traffic=traffic[2],
        var_baseline=base.errors.variance,
        var_current=cur.errors.variance,
        covariance=(of_b * of_c).sum(axis=0),
        iid_var_baseline=base.errors.iid_variance,
        iid_var_current=cur.errors.iid_variance,
        size_baseline=base.size,
        size_current=cur.size,
        clusters_baseline=base.errors.clusters,
        clusters_current=cur.errors.clusters,
        crowding_baseline=base.errors.crowding,
        crowding_current=cur.errors.crowding,
        var_total=(errors.total**2).sum(axis=0),
        var_mix=(errors.mix**2).sum(axis=0),
        var_new=(errors.new**2).sum(axis=0),
        var_vanished=(errors.vanished**2).sum(axis=0),
        covariance_mix_baseline=(of_b * errors.mix).sum(axis=0),
        covariance_mix_current=(of_c * errors.mix).sum(axis=0),
    )


def _pool_thin(baseline: Profile, current: Profile) -> tuple[Profile, Profile]:
    """Move strata that are thin in both windows (for a signal) into one stratum of their own."""
    shared = (baseline.n.sum(axis=1) > 0) & (current.n.sum(axis=1) > 0)
    thin = shared & is_thin(baseline) & is_thin(current)
    return _pooled(baseline, thin), _pooled(current, thin)


def _pooled(profile: Profile, thin: BoolArray) -> Profile:
    mask = thin[:, None, :]

    def move(sums: FloatArray) -> FloatArray:
        pool = (sums * mask).sum(axis=0, keepdims=True)
        return np.concatenate([sums * ~mask, pool])

    return Profile(
        profile.signal_names,
        profile.n_rows,
        move(profile.n),
        move(profile.total),
        move(profile.total_sq),
    )
