"""Errors of a weighted mean over segments, from sums per cluster bucket.

Every bucket's residuals are scaled to what leaving the bucket out would change (the jackknife,
CV3). Where a window has too few rows in a segment to know its own mean, residuals are taken
about the other window's mean, moved by the change of the whole window: collapsing such segments
into one instead would let traffic that moves between them look like behaviour.

Source: MacKinnon, Nielsen & Webb (2023), "Cluster-robust inference: A guide to empirical
practice", J. Econometrics 232:272-299 (CV3); Carter, Schnepel & Steigerwald (2017),
"Asymptotic behavior of a t-test robust to cluster heterogeneity", Review of Economics and
Statistics 99:698-709 (effective number of clusters; we put the estimated instead of the greatest
within-cluster correlation); Moulton (1986), J. Econometrics 32:385-397 (its form).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loopllm_cli.profiles.profile import Profile

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

MIN_ROWS = 5
"""A segment with fewer rows or clusters than this in a window does not know its own spread: from
n rows a variance is known to a factor of about 1 ± sqrt(2 / (n − 1))."""


@dataclass(frozen=True)
class Errors:
    """One window's part of the error, by signal (or by segment and signal).

    `influence` has shape (n_buckets, ...); its squares sum to the variance. `iid_variance` is
    the variance that independent rows would have; `clusters` is the effective number of clusters.
    """

    influence: FloatArray
    variance: FloatArray
    iid_variance: FloatArray
    clusters: FloatArray
    crowding: FloatArray


def is_thin(profile: Profile) -> BoolArray:
    """Find segments where a signal has too few rows or clusters, shape (n_segments, n_signals)."""
    few_rows = profile.n.sum(axis=1) < MIN_ROWS
    few_clusters = (profile.n > 0).sum(axis=1) < MIN_ROWS
    return np.asarray(few_rows | few_clusters)


def level_errors(
    profile: Profile, weights: FloatArray, centres: FloatArray, borrowed: BoolArray
) -> Errors:
    """Compute the error of Σ weights · mean over segments.

    Args:
        weights: shape (n_segments, n_signals), summing to one over the segments.
        centres: same shape; what residuals are taken about.
        borrowed: same shape; where the centre is not the segment's own mean.
    """
    n = profile.n.sum(axis=1)
    used = weights > 0
    per_row = ratio(weights, n)[:, None, :]
    residuals = per_row * (profile.total - profile.n * centres[:, None, :])
    own_share = ratio(profile.n, n[:, None, :])
    whole_share = (per_row * profile.n).sum(axis=0)[None]
    share = np.where(borrowed[:, None, :], whole_share, own_share)
    occupied = (profile.n > 0) & used[:, None, :]
    whole_clusters = occupied.any(axis=0).sum(axis=0)
    clusters = np.where(borrowed, whole_clusters, occupied.sum(axis=1))
    influence = (residuals * _left_out(share, clusters[:, None, :])).sum(axis=0)
    variance = (influence**2).sum(axis=0)
    squares = _squares(profile, n, centres)
    freedom = np.where(borrowed, n * ratio(clusters - 1.0, clusters), n - 1.0)
    iid = (weights**2 * ratio(squares, n * freedom)).sum(axis=0)
    alone = (per_row**2 * profile.n).sum(axis=0)
    clusters_alike = _effective(alone, whole_share[0], variance, iid)
    return Errors(influence, variance, iid, clusters_alike, _crowding(alone, whole_share[0]))


def segment_errors(profile: Profile, means: FloatArray) -> Errors:
    """Compute the error of every segment's own mean; arrays of shape (n_segments, n_signals)."""
    n = profile.n.sum(axis=1)
    centres = np.nan_to_num(means)
    share = ratio(profile.n, n[:, None, :])
    clusters = (profile.n > 0).sum(axis=1, keepdims=True)
    residuals = ratio(profile.total - profile.n * centres[:, None, :], n[:, None, :])
    influence = (residuals * _left_out(share, clusters)).transpose(1, 0, 2)
    variance = (influence**2).sum(axis=0)
    iid = ratio(_squares(profile, n, centres), n * (n - 1.0))
    alone = ratio(share, n[:, None, :]).transpose(1, 0, 2)
    shares = share.transpose(1, 0, 2)
    clusters_alike = _effective(alone, shares, variance, iid)
    return Errors(influence, variance, iid, clusters_alike, _crowding(alone, shares))


def _left_out(share: FloatArray, clusters: npt.ArrayLike) -> FloatArray:
    """Return the jackknife's factor for a bucket with a share of the rows."""
    count = np.asarray(clusters, dtype=float)
    return np.sqrt(ratio(count - 1.0, count)) * ratio(1.0, np.where(share < 1, 1.0 - share, 1.0))


def _squares(profile: Profile, n: FloatArray, centres: FloatArray) -> FloatArray:
    total, total_sq = profile.total.sum(axis=1), profile.total_sq.sum(axis=1)
    squares: FloatArray = np.maximum(total_sq - 2 * centres * total + n * centres**2, 0.0)
    return np.where(squares > 1e-12 * total_sq, squares, 0.0)


def _effective(
    alone: FloatArray, share: FloatArray, variance: FloatArray, iid: FloatArray
) -> FloatArray:
    """Return how many clusters of equal weight would know the variance as well.

    A bucket's expected part of the variance is `alone` (rows that have nothing in common) plus
    the within-cluster correlation times what its rows' products add; the correlation is the one
    that explains the design effect.
    """
    products = np.maximum(share**2 - alone, 0.0)
    excess = np.maximum(ratio(variance, iid, 1.0) - 1.0, 0.0)
    correlation = np.clip(ratio(excess * alone.sum(axis=0), products.sum(axis=0)), 0.0, 1.0)
    parts = alone + correlation * products
    return ratio(parts.sum(axis=0) ** 2, (parts**2).sum(axis=0))


def _crowding(alone: FloatArray, share: FloatArray) -> FloatArray:
    """Return how many other rows of its own cluster a row has, on average.

    Clusters are hashed, so the weights of the buckets vary by the clusters' squared weights:
    E sum (share - 1/B)^2 = (1 - 1/B) sum over clusters of weight^2, however many share a bucket.
    """
    n_buckets = len(share)
    squares = ((share - 1 / n_buckets) ** 2).sum(axis=0) / (1 - 1 / n_buckets)
    return np.maximum(ratio(squares, alone.sum(axis=0)) - 1.0, 0.0)


def ratio(top: npt.ArrayLike, bottom: npt.ArrayLike, otherwise: float = 0.0) -> FloatArray:
    """Divide, with a value of its own where the divisor is not positive."""
    above, below = np.broadcast_arrays(np.asarray(top, float), np.asarray(bottom, float))
    out = np.full(above.shape, otherwise)
    np.divide(above, below, out=out, where=below > 0)
    return out
