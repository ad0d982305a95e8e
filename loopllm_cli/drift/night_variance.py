"""How much nights differ by themselves, from the nights of a baseline.

Something hits all rows of a night alike, with variance s² between nights. Per signal, one-way
analysis of variance of the baseline's nights about the levels of their strata gives

    F = between / (within · design effect)     E F = 1 + n₀ λ     λ = s² / (v · design effect)

From ten nights F is known only to a factor of about two, so signals borrow from each other: F is
(1 + n₀ λ) times χ²_d / d, with a scaled inverse χ² law of 1 + n₀ λ over the signals whose two
parameters (s₀², d₀) follow from the mean and the variance of log F; the moderated value is

    F̃ = (d₀ s₀² + d F) / (d₀ + d)                    with d₀ + d degrees of freedom

(Smyth 2004). A signal whose own F is clearly above s₀² and 1 keeps its own, divided by the median
of its law: it must not be talked down by calm neighbours. λ is never taken below 0.

Both sources of excess variance are smaller for rare events. At a rate that has moved from p to the
edge of its tolerance, q, excess is taken to have grown as if users and nights moved a normal
liability: by [φ(Φ⁻¹(q))² / (q (1 − q))] / [φ(Φ⁻¹(p))² / (p (1 − p))].

Source: Searle, Casella & McCulloch (1992), "Variance components", ch. 3 (unbalanced one-way
analysis, n₀); Smyth (2004), "Linear models and empirical Bayes methods for assessing differential
expression", Statistical Applications in Genetics and Molecular Biology 3:3, sec. 6.2; Dempster &
Lerner (1950), Genetics 35:212-236 (variance on the scale of a liability and of the rate).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from loopllm_cli.drift.influence import ratio
from loopllm_cli.model import SignalInfo, SignalKind, Worse

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

MIN_NIGHTS = 5
"""With fewer baseline nights, the variance between nights is known to a factor of three or worse
(chi-squared with three degrees of freedom), so it is called unknown and taken as zero."""
OWN_LEVEL = 0.02
"""A signal keeps its own F where F would be as large by chance in one neighbour of fifty."""
MIN_SIGNALS = 6
"""Fewer signals say too little of how signals differ (Smyth's moments need a variance)."""
_MOST_DF = 1e6
_RAREST = 1e-4


class Between(NamedTuple):
    """The variance between nights over that of an independent row, and how well it is known."""

    ratio: FloatArray
    df: FloatArray


def between_nights(sums: FloatArray, axis: IntArray, n_axis: int, deff: FloatArray) -> Between:
    """Estimate λ per signal.

    Args:
        sums: shape (4, n_nights, n_segments, n_signals): counts and moments.
        axis: shape (n_nights,), each night's weekday where the strata know weekdays, else 0.
        n_axis: the number of values of `axis`.
        deff: shape (n_signals,), the design effect of one night.
    """
    member = (axis == np.arange(n_axis)[:, None]).astype(float)
    n, total, total_sq = (np.einsum("ad,dsj->asj", member, sums[k]) for k in range(3))
    mean = ratio(total, n)
    rest = (sums[1] - sums[0] * mean[axis]).sum(axis=1)
    rows = sums[0].sum(axis=1)
    n_nights = (rows > 0).sum(axis=0)
    df = (n_nights - n_axis).astype(float)
    squares = np.maximum((total_sq - n * mean**2).sum(axis=(0, 1)), 0.0)
    whole = rows.sum(axis=0)
    within = ratio(squares, whole - (n > 0).sum(axis=(0, 1))) * deff
    statistic = ratio(ratio(ratio(rest**2, rows).sum(axis=0), df), within)
    known = (n_nights >= MIN_NIGHTS) & (df >= MIN_NIGHTS - 1) & (statistic > 0)
    excess, free = moderate(statistic, df, known)
    per_night = ratio(whole - ratio((rows**2).sum(axis=0), whole), n_nights - 1.0)
    return Between(np.where(known, ratio(excess, per_night), 0.0), free)


def moderate(
    statistic: FloatArray, df: FloatArray, known: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Return each signal's n₀ λ, at least 0, and its degrees of freedom."""
    safe = np.maximum(df, 1.0)
    size = np.where(known, np.maximum(statistic, 1e-3), 1.0)
    median = special.chdtri(safe, 0.5) / safe
    own = size / median
    if known.sum() < MIN_SIGNALS:
        return np.where(known, np.maximum(own - 1, 0.0), 0.0), safe
    middle, prior_df = _prior(size[known], safe[known])
    weight = prior_df / (prior_df + safe)
    shared = weight * middle + (1 - weight) * size
    clear = special.chdtrc(safe, size / max(middle, 1.0) * safe) < OWN_LEVEL
    chosen = np.where(clear, np.maximum(own, shared), shared)
    free = np.where(clear, safe, np.minimum(prior_df + safe, _MOST_DF))
    return np.where(known, np.maximum(chosen - 1, 0.0), 0.0), free


def _prior(size: FloatArray, df: FloatArray) -> tuple[float, float]:
    """Return s₀² and d₀ by the moments of log F."""
    half = df / 2
    logs = np.log(size) - special.digamma(half) + np.log(half)
    excess = float(logs.var(ddof=1) - special.polygamma(1, half).mean())
    if excess <= 0:
        return float(np.exp(logs.mean())), _MOST_DF
    d_half = _trigamma_inverse(excess)
    middle = np.exp(logs.mean() + special.digamma(d_half) - np.log(d_half))
    return float(middle), min(2 * d_half, _MOST_DF)


def _trigamma_inverse(value: float) -> float:
    """Solve trigamma(y) = value by Newton's method (Smyth 2004, appendix)."""
    y = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(special.polygamma(1, y))
        step = trigamma * (1 - trigamma / value) / float(special.polygamma(2, y))
        y += step
        if -step / y < 1e-8:
            break
    return y


def growth_to_edge(level: FloatArray, infos: tuple[SignalInfo, ...]) -> FloatArray:
    """Return how much excess variance grows towards the edge of the tolerance, at least 1."""
    rates = np.array([info.kind is SignalKind.RATE for info in infos], dtype=bool)
    tolerance = np.array([info.tolerance for info in infos])
    sign = np.array([-1.0 if info.worse is Worse.DOWN else 1.0 for info in infos])
    before = np.clip(level, _RAREST, 1 - _RAREST)
    after = np.clip(before + sign * tolerance, _RAREST, 1 - _RAREST)

    def liability(rate: FloatArray) -> FloatArray:
        height: FloatArray = np.exp(-(special.ndtri(rate) ** 2)) / (rate * (1 - rate))
        return height

    return np.maximum(np.where(rates, liability(after) / liability(before), 1.0), 1.0)
