"""How much a signal moved, split into behaviour and traffic, with errors clustered by user.

Strata s are prompt segments. With n rows and mean m per window and stratum:

    weights     w_s ∝ n_Bs n_Cs / (n_Bs + n_Cs) over the strata that both windows have
    behaviour   Σ w_s (m_Cs − m_Bs)
    new         q_C (mean of C on strata that only C has − mean of C on shared strata)
    vanished    q_B (mean of B on strata that only B has − mean of B on shared strata)
    mix         the rest, so that total = behaviour + mix + new − vanished exactly

The variance of the behaviour term sums each row's influence within its stratum per cluster
bucket, jointly over both windows, so that users (or prompts) that occur in both are paired.

Source: Cai, Namkoong & Yadlowsky (2023), "Diagnosing model performance under distribution
shift", https://arxiv.org/abs/2303.02011 (shared distribution, decomposition); Cameron & Miller
(2015), "A practitioner's guide to cluster-robust inference", J. Human Resources 50(2), eq. 11-12
(CR1). We differ in applying the G/(G−1) correction per stratum and in summing hashed buckets
instead of clusters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loopllm_cli.profiles.profile import Profile

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

MIN_ROWS = 5
"""A stratum with fewer rows or clusters than this in a window is pooled with its like: its own
variance could not be estimated."""


@dataclass(frozen=True)
class Effects:
    """Estimates per signal (or per segment and signal); all arrays have one shape.

    `level_*` are means at the shared mix; `size_*` are the numbers of rows that independent rows
    of equal weight would need for the same spread of weights (Kish); `clusters_*` are non-empty
    buckets.
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

    @property
    def behaviour(self) -> FloatArray:
        """Change at the shared mix, in the signal's unit."""
        return self.level_current - self.level_baseline

    @property
    def total(self) -> FloatArray:
        """Change of the whole windows' means."""
        return self.mean_current - self.mean_baseline

    @property
    def df(self) -> FloatArray:
        """Welch-Satterthwaite degrees of freedom from the numbers of clusters."""
        b, c = self.var_baseline, self.var_current
        parts = b**2 / np.maximum(self.clusters_baseline - 1, 1) + c**2 / np.maximum(
            self.clusters_current - 1, 1
        )
        fallback = np.minimum(self.clusters_baseline, self.clusters_current) - 1
        return np.where(parts > 0, _ratio((b + c) ** 2, parts), np.maximum(fallback, 1))

    @property
    def design_effect(self) -> FloatArray:
        """Variance of the current window's level over that of independent rows."""
        return _ratio(self.var_current, self.iid_var_current, 1.0)


def estimate(baseline: Profile, current: Profile) -> Effects:
    """Estimate every signal's effect over all segments; arrays of shape (n_signals,)."""
    base, cur = _pool_thin(baseline, current)
    n_b, n_c = base.n.sum(axis=1), cur.n.sum(axis=1)
    shared = (n_b > 0) & (n_c > 0)
    weights = np.where(shared, _ratio(n_b * n_c, n_b + n_c), 0.0)
    weights = _ratio(weights, weights.sum(axis=0, keepdims=True))
    side_b, side_c = _side(base, n_b, shared, weights), _side(cur, n_c, shared, weights)
    mean_b, mean_c = (_ratio(p.total.sum((0, 1)), p.n.sum((0, 1)), np.nan) for p in (base, cur))
    vanished, new = side_b.outside, side_c.outside
    behaviour = side_c.level - side_b.level
    mix = (mean_c - mean_b) - behaviour - new + vanished
    identical = (n_b == n_c).all(axis=0)
    return _combine(
        side_b, side_c, (mean_b, mean_c), (np.where(identical, 0.0, mix), new, vanished)
    )


def estimate_segments(baseline: Profile, current: Profile) -> Effects:
    """Estimate every signal's effect in each segment by itself; shape (n_segments, n_signals)."""
    sides = []
    for profile in (baseline, current):
        n = profile.n.sum(axis=1)
        mean = _ratio(profile.total.sum(axis=1), n, np.nan)
        psi = _influence(profile, n, mean, np.ones_like(n))
        sides.append(
            _Side(
                n=n,
                level=mean,
                outside=np.zeros_like(n),
                psi=psi.transpose(1, 0, 2),
                iid_var=_ratio(_sample_variance(profile, n, mean), n),
                size=n,
                clusters=(profile.n > 0).sum(axis=1).astype(float),
            )
        )
    means = (sides[0].level, sides[1].level)
    zero = np.zeros_like(means[0])
    return _combine(sides[0], sides[1], means, (zero, zero, zero))


@dataclass(frozen=True)
class _Side:
    """One window's part of the estimate; `psi` has shape (n_buckets, ...)."""

    n: FloatArray
    level: FloatArray
    outside: FloatArray
    psi: FloatArray
    iid_var: FloatArray
    size: FloatArray
    clusters: FloatArray


def _side(profile: Profile, n: FloatArray, shared: BoolArray, weights: FloatArray) -> _Side:
    total = profile.total.sum(axis=1)
    mean = _ratio(total, n)
    inside_n, outside_n = (n * shared).sum(0), (n * ~shared).sum(0)
    inside = _ratio((total * shared).sum(0), inside_n)
    outside = _ratio((total * ~shared).sum(0), outside_n)
    share_outside = _ratio(outside_n, n.sum(0))
    any_shared = shared.any(axis=0)
    return _Side(
        n=n.sum(axis=0),
        level=np.where(any_shared, (weights * mean).sum(axis=0), np.nan),
        outside=np.where(any_shared, share_outside * (outside - inside), np.nan),
        psi=_influence(profile, n, mean, weights).sum(axis=0),
        iid_var=(weights**2 * _ratio(_sample_variance(profile, n, mean), n)).sum(axis=0),
        size=_ratio(np.ones(n.shape[1]), _ratio(weights**2, n).sum(axis=0)),
        clusters=((profile.n * shared[:, None, :]).sum(axis=0) > 0).sum(axis=0).astype(float),
    )


def _influence(
    profile: Profile, n: FloatArray, mean: FloatArray, weights: FloatArray
) -> FloatArray:
    """Return each bucket's influence on the weighted level, shape (n_segments, n_buckets, J)."""
    clusters = (profile.n > 0).sum(axis=1)
    correction = np.sqrt(np.where(clusters > 1, _ratio(clusters, clusters - 1.0, 1.0), 1.0))
    scale = _ratio(weights, n) * correction
    known = np.nan_to_num(mean)
    result: FloatArray = scale[:, None, :] * (profile.total - profile.n * known[:, None, :])
    return result


def _combine(
    base: _Side,
    cur: _Side,
    means: tuple[FloatArray, FloatArray],
    traffic: tuple[FloatArray, FloatArray, FloatArray],
) -> Effects:
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
        var_baseline=(base.psi**2).sum(axis=0),
        var_current=(cur.psi**2).sum(axis=0),
        covariance=(base.psi * cur.psi).sum(axis=0),
        iid_var_baseline=base.iid_var,
        iid_var_current=cur.iid_var,
        size_baseline=base.size,
        size_current=cur.size,
        clusters_baseline=base.clusters,
        clusters_current=cur.clusters,
    )


def _pool_thin(baseline: Profile, current: Profile) -> tuple[Profile, Profile]:
    """Move strata that are thin in either window (for a signal) into one stratum of their own."""
    n_b, n_c = baseline.n.sum(axis=1), current.n.sum(axis=1)
    k_b, k_c = (baseline.n > 0).sum(axis=1), (current.n > 0).sum(axis=1)
    shared = (n_b > 0) & (n_c > 0)
    thin = shared & (np.minimum(np.minimum(n_b, n_c), np.minimum(k_b, k_c)) < MIN_ROWS)
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


def _sample_variance(profile: Profile, n: FloatArray, mean: FloatArray) -> FloatArray:
    spread = profile.total_sq.sum(axis=1) - n * np.nan_to_num(mean) ** 2
    return _ratio(np.maximum(spread, 0.0), n - 1)


def _ratio(top: npt.ArrayLike, bottom: npt.ArrayLike, otherwise: float = 0.0) -> FloatArray:
    """Divide, with a value of its own where the divisor is not positive."""
    above, below = np.broadcast_arrays(np.asarray(top, float), np.asarray(bottom, float))
    out = np.full(above.shape, otherwise)
    np.divide(above, below, out=out, where=below > 0)
    return out
