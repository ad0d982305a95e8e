"""What a window could have shown: the smallest true change it would have called worse.

For a tolerance τ and a family of J signals, a change x is called worse with the wanted power when
the window that lies the unlucky distance on the harmless side of x still has its adjusted bound
beyond τ. Bonferroni's α/J is the first (hardest) step of Holm, so the figure errs on the cautious
side. Bounds are not symmetric, so x is searched for, with the bounds that decide. Three things
make the figure agree with simulation where users are few:

* The standard error is itself an estimate. The unlucky distance is δ − t of a noncentral t
  distribution with P(T_ν(δ) > t_{1−α/J}) = power, and the error is divided by its median over its
  root mean square, so that it is right on average.
* Its degrees of freedom ν are fewer than the effective clusters say, because the next window draws
  other users: of what the interval uses, `_SURE` is left (measured, `scripts/drift_visible.py`).
* Rare events cluster more when they become less rare. With a latent normal trait that users share
  (a probit random effect), the intra-class correlation at a rate p is proportional to
  φ(Φ⁻¹(p))² / (p (1 − p)), and the design effect follows it; the effective number of clusters
  falls with its root.

With fewer than `MIN_CLUSTERS` effective clusters the figure is not known, and not given.

Source: Chow, Shao, Wang & Lokhnygina (2017), "Sample size calculations in clinical research",
ch. 4 (non-inferiority margins); Wilson & Hilferty (1931), PNAS 17:684-688 (median of chi-square);
Eldridge, Ukoumunne & Carlin (2009), International Statistical Review 77:378-394 (intra-class
correlation of rates by a latent trait).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from loopllm_cli.drift.effects import Effects
from loopllm_cli.drift.intervals import BoolArray, Changes, FloatArray, t_quantile

_ROUNDS = 20
_UNKNOWN = 5.0
"""A log ratio as large as this (a factor of 148) says that nothing can be seen."""
_SURE = 0.4
"""Degrees of freedom of the variance over those of the interval: 0.27 to 0.58 in windows of 100
and 500 users of lognormal activity (sigma 1, 300 runs each), and where rows are independent
there are so many that it does not matter."""
MIN_CLUSTERS = 8.0
"""At 5 (twenty users of lognormal activity) announced changes were a sixth to nine tenths of those
found 80% of the time, at 8 and more 0.83 to 1.05 of them (`scripts/drift_visible.py`)."""


@dataclass(frozen=True)
class Goal:
    """What is to be seen, and how surely; arrays of one shape with the signals.

    `tail` is the one-sided level of one test (alpha over the family's size), `power` the wanted
    chance to see the change, `upwards` whether worse means up.
    """

    tolerance: FloatArray
    upwards: BoolArray
    tail: float
    power: float


def visible_change(effects: Effects, changes: Changes, goal: Goal) -> FloatArray:
    """Return the smallest visible change as a size (>= tolerance), NaN where none is known.

    Args:
        effects: of the windows, for their rows and clusters.
        changes: the same effects on the scale of the verdict.
        goal: arrays of the changes' shape.
    """
    start = _starting_point(changes)
    low, room = _search_range(start, goal)
    high = room
    for _ in range(_ROUNDS):
        size = (low + high) / 2
        found = _is_found(effects, start, goal, size)
        low, high = np.where(found, low, size), np.where(found, size, high)
    known = (high < room) & _is_known(effects, start, goal, high)
    size = np.where(known, high, np.nan)
    up, down = np.expm1(size), -np.expm1(-size)
    return np.where(changes.is_rate, size, np.where(goal.upwards, up, down))


def is_visible(effects: Effects, changes: Changes, goal: Goal, change: FloatArray) -> BoolArray:
    """Tell whether a true change of a size would be found, and enough users are there to say so."""
    start = _starting_point(changes)
    low, room = _search_range(start, goal)
    fall = -np.log1p(-np.minimum(change, 1 - 1e-12))
    size = np.where(start.is_rate, change, np.where(goal.upwards, np.log1p(change), fall))
    inside = (size > low) & (size < room)
    size = np.clip(size, low, room)
    found = _is_found(effects, start, goal, size) & _is_known(effects, start, goal, size)
    return np.asarray(inside & found)


def _starting_point(changes: Changes) -> Changes:
    """Return the changes as if nothing had moved, with rates that are neither 0 nor 1."""
    rate, size = np.clip(np.nan_to_num(changes.baseline), 0.0, 1.0), changes.size_baseline
    # A rate of 0 in a finite window does not mean a true rate of 0 (Jeffreys' half event).
    base = np.where(changes.is_rate, (rate * size + 0.5) / (size + 1), changes.baseline)
    return replace(changes, baseline=base)


def _search_range(start: Changes, goal: Goal) -> tuple[FloatArray, FloatArray]:
    """Return the smallest and the largest change to think of: of rates, or of logarithms."""
    room = np.where(goal.upwards, 1 - start.baseline, start.baseline)
    fall = -np.log1p(-np.minimum(goal.tolerance, 0.99))
    low = np.where(goal.upwards, np.log1p(goal.tolerance), fall)
    return (
        np.where(start.is_rate, np.minimum(goal.tolerance, room), low),
        np.where(start.is_rate, room, _UNKNOWN),
    )


def _is_found(effects: Effects, start: Changes, goal: Goal, size: FloatArray) -> BoolArray:
    """Tell whether the unlucky window of a true change of this size is called worse."""
    sign = np.where(goal.upwards, 1.0, -1.0)
    moved = _moved(start, size * sign)
    worth, rows = _design_effect(effects, start, moved), _rows(effects)
    se_b = _rate_error(start.baseline, start.size_baseline)
    se_c = _rate_error(moved, rows / worth)
    variance = se_b**2 + se_c**2 - 2 * start.correlation * se_b * se_c
    df = np.where(start.is_rate, _df(effects, start, goal, size, (se_b, se_c)), start.df)
    sure = np.maximum(df * _SURE, 1.5)
    low_median = (1 - 2 / (9 * sure)) ** 1.5
    quantile = t_quantile(goal.tail, df)
    distance = _noncentrality(sure, quantile, goal.power) - quantile
    own = np.where(start.is_rate, np.sqrt(np.maximum(variance, 0.0)), _log_error(start))
    # Amounts bring their error with them; the bound gets the rest of what it lacks.
    lacking = np.where(start.is_rate, 0.0, quantile * own * (1 / low_median - 1))
    unlucky = _shifted(start.is_rate, moved, -sign * (distance * own / low_median + lacking))
    there = replace(
        start,
        current=unlucky,
        size_current=np.where(start.is_rate, rows / worth * low_median**2, start.size_current),
        df=df,
    )
    lower, upper = there.bounds(goal.tail)
    return np.asarray(np.where(goal.upwards, lower > goal.tolerance, upper < -goal.tolerance))


def _noncentrality(df: FloatArray, quantile: FloatArray, power: float) -> FloatArray:
    """Solve P(T_df(δ) > quantile) = power for δ, to 1% from one and a half degrees of freedom.

    The root of chi-square over its degrees of freedom has mean b and variance 1 - b².

    Source: Johnson & Welch (1940), "Applications of the non-central t-distribution", Biometrika
    31:362-389 (normal approximation).
    """
    b = np.sqrt(2 / df) * np.exp(special.gammaln((df + 1) / 2) - special.gammaln(df / 2))
    spread = np.sqrt(1 + quantile**2 * np.maximum(1 - b**2, 0.0))
    return np.asarray(quantile * b + special.ndtri(power) * spread)


def _rate_error(rate: FloatArray, size: FloatArray) -> FloatArray:
    rate = np.clip(rate, 0.0, 1.0)
    error: FloatArray = np.sqrt(rate * (1 - rate) / size)
    return error


def _log_error(start: Changes) -> FloatArray:
    return np.where(np.isfinite(start.log_se), start.log_se, 10 * _UNKNOWN)


def _moved(start: Changes, by: FloatArray) -> FloatArray:
    return _shifted(start.is_rate, start.baseline, by)


def _shifted(is_rate: BoolArray, level: FloatArray, by: FloatArray) -> FloatArray:
    """Move rates by a difference, amounts by a log ratio."""
    return np.where(
        is_rate, np.clip(level + by, 1e-12, 1 - 1e-12), level * np.exp(np.clip(by, -50, 50))
    )


def _rows(effects: Effects) -> FloatArray:
    return np.maximum(effects.size_current, 1e-9)


def _design_effect(effects: Effects, start: Changes, moved: FloatArray) -> FloatArray:
    """Predict the current window's design effect at another rate."""
    now = np.maximum(_rows(effects) / start.size_current, 1.0)
    size = start.size_current
    rate = (np.clip(np.nan_to_num(start.current), 0.0, 1.0) * size + 0.5) / (size + 1)
    # Amounts keep theirs: a factor leaves correlations as they are.
    growth = np.where(start.is_rate, _likeness(moved) / _likeness(rate), 1.0)
    return np.asarray(1.0 + (now - 1.0) * growth)


def _likeness(rate: FloatArray) -> FloatArray:
    """Return the intra-class correlation of a rate, up to the factor of its latent trait."""
    rate = np.clip(rate, 1e-9, 1 - 1e-9)
    density: FloatArray = np.exp(-(special.ndtri(rate) ** 2))
    return density / (rate * (1 - rate))


def _current_clusters(effects: Effects, start: Changes, moved: FloatArray) -> FloatArray:
    now = np.maximum(_rows(effects) / start.size_current, 1.0)
    growth = np.maximum(_design_effect(effects, start, moved) / now, 1.0)
    return np.asarray(effects.clusters_current / np.sqrt(growth))


def _is_known(effects: Effects, start: Changes, goal: Goal, size: FloatArray) -> BoolArray:
    moved = _moved(start, size * np.where(goal.upwards, 1.0, -1.0))
    clusters = np.minimum(effects.clusters_baseline, _current_clusters(effects, start, moved))
    return np.asarray(clusters >= MIN_CLUSTERS)


def _df(
    effects: Effects,
    start: Changes,
    goal: Goal,
    size: FloatArray,
    errors: tuple[FloatArray, FloatArray],
) -> FloatArray:
    """Return Welch and Satterthwaite's degrees of freedom at the moved rate."""
    moved = _moved(start, size * np.where(goal.upwards, 1.0, -1.0))
    b, c = errors[0] ** 2, errors[1] ** 2
    clusters = _current_clusters(effects, start, moved)
    parts = b**2 / np.maximum(effects.clusters_baseline - 1, 1) + c**2 / np.maximum(clusters - 1, 1)
    return np.where(parts > 0, (b + c) ** 2 / np.where(parts > 0, parts, 1.0), start.df)
