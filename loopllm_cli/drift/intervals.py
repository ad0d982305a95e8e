"""Intervals for a change, and the p-values that belong to them.

Rates: Jeffreys limits for each window at its effective sample size, joined by the square-and-add
rule (Newcombe 1998, "Interval estimation for the difference between independent proportions",
Statistics in Medicine 17:873-890, method 10; for paired data with the correlation, Newcombe
1998, 17:2635-2650; general form MOVER, Zou & Donner 2008, Statistics in Medicine 27:1693-1702).
Effective sizes from clustered variances: Korn & Graubard (1998), Survey Methodology 24:193-201.
They hold up at 0 or 1 events, where Wald intervals have no width. We differ from Newcombe in the
limits that are joined: his Wilson limits are one-sided off centre near 0 and 1 (Cai 2005,
"One-sided confidence intervals in discrete distributions", J. Statistical Planning and Inference
131:63-88, who recommends Jeffreys' instead), and rejected a true change at the tolerance up to
nine times too often at a tail of 0.4% (50 rows against 5,000, rate 0.2%).

Amounts: the log ratio of the means, each window's limits joined by squares. Downwards they are the
delta method's with t quantiles. Upwards, where a mean may be low because a window missed the rare
large rows, they are those of a gamma distribution with as many events as the relative standard
error is worth (1 / se^2), which agree with the delta method's where events are many. A window's
design effect is never taken as less than both windows' within-cluster correlation, pooled by
rows, makes of its own cluster sizes: few events in few clusters look independent. A window's
relative variance is never taken as less than both windows' together show: in skewed data a low
mean comes with a low variance, and a small window that missed the tail would look certain.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from scipy import special

from loopllm_cli.drift.effects import Effects

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_LEAST_TAIL, _GREATEST_TAIL = 1e-12, 0.499
"""p-values are not followed beyond these: no family is so large, and at a half bounds meet."""
_ROUNDS = 32
_CROWDED = 0.05
_WIDEST = 50.0
"""Log ratios are cut here: a mean known to within a factor of e^50 is not known."""


@dataclass(frozen=True)
class Changes:
    """Changes on the scale on which they are judged, ready for bounds at any level.

    Units: differences of rates, or relative changes of means. All arrays have one shape.
    """

    is_rate: BoolArray
    baseline: FloatArray
    current: FloatArray
    size_baseline: FloatArray
    size_current: FloatArray
    correlation: FloatArray
    se_baseline: FloatArray
    se_current: FloatArray
    df: FloatArray

    @property
    def log_se(self) -> FloatArray:
        """Standard error of the log ratio of amounts, infinite where one is zero."""
        b, c = self.se_baseline, self.se_current
        known = np.isfinite(b) & np.isfinite(c)
        b, c = np.where(known, b, 0.0), np.where(known, c, 0.0)
        variance = b**2 + c**2 - 2 * self.correlation * b * c
        return np.where(known, np.sqrt(np.maximum(variance, 0.0)), np.inf)

    @property
    def change(self) -> FloatArray:
        """Point estimate of the change."""
        still = (self.baseline == 0) & (self.current == 0)
        base = np.where(self.baseline > 0, self.baseline, np.nan)
        relative = np.where(still, 0.0, self.current / base - 1)
        return np.where(self.is_rate, self.current - self.baseline, relative)

    def bounds(self, tail: float | FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return lower and upper bounds that each leave a tail (broadcast over the signals)."""
        tail = np.broadcast_to(tail, self.df.shape)
        quantile = t_quantile(tail, self.df)
        low_rate, high_rate = self._rate_bounds(tail, quantile)
        # A mean that falls to nothing has no logarithm: its bounds are as wide as they get.
        known = np.isfinite(self.log_se) & ~self.is_rate & (self.change > -1)
        change = np.where(known, self.change, 0.0)
        ratio = np.log1p(change)
        below, above = self._log_widths(quantile)
        # The logarithm and back loses a last digit; a bound is never inside its estimate.
        low_amount = np.minimum(np.expm1(ratio - np.where(known, below, _WIDEST)), change)
        high_amount = np.maximum(np.expm1(ratio + np.where(known, above, _WIDEST)), change)
        return (
            np.where(self.is_rate, low_rate, low_amount),
            np.where(self.is_rate, high_rate, high_amount),
        )

    def interval(self, level: float) -> tuple[FloatArray, FloatArray]:
        """Return the two-sided interval at a confidence level."""
        return self.bounds((1 - level) / 2)

    def p_beyond(self, limit: FloatArray, *, upwards: BoolArray) -> FloatArray:
        """Return the one-sided p-value of "the change is not beyond the limit".

        It is the level at which the bound just touches the limit, so that p < alpha and "the
        interval lies beyond the limit" are the same statement.

        Args:
            limit: shape of the signals; the change that is still tolerated.
            upwards: whether "beyond" means above the limit or below it.
        """
        estimate = self.change
        p_values = np.ones_like(estimate)
        beyond = np.flatnonzero(np.where(upwards, estimate > limit, estimate < limit))
        if not len(beyond):
            return p_values
        part, limit, upwards = self._take(beyond), limit[beyond], upwards[beyond]
        low = np.full(len(beyond), np.log(_LEAST_TAIL))
        high = np.full(len(beyond), np.log(_GREATEST_TAIL))
        for _ in range(_ROUNDS):
            middle = (low + high) / 2
            lower, upper = part.bounds(np.exp(middle))
            still = np.where(upwards, lower > limit, upper < limit)
            low, high = np.where(still, low, middle), np.where(still, middle, high)
        p_values[beyond] = np.exp(high)
        return p_values

    def p_outside(self, tolerance: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the one-sided p-values of "not above +tolerance" and "not below −tolerance"."""
        rising = self.change > 0
        p_values = self.p_beyond(np.where(rising, tolerance, -tolerance), upwards=rising)
        return np.where(rising, p_values, 1.0), np.where(rising, 1.0, p_values)

    def _take(self, at: npt.NDArray[np.int64]) -> Changes:
        return Changes(**{f.name: getattr(self, f.name)[at] for f in fields(self)})

    def _log_widths(self, quantile: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return how far the log ratio's bounds lie below and above it."""
        downs, ups = [], []
        for se in (self.se_baseline, self.se_current):
            down = np.minimum(quantile * np.minimum(se, _WIDEST), _WIDEST)
            events = 1 / np.clip(se, 1e-4, _WIDEST) ** 2
            low = special.gammaincinv(events, special.ndtr(-quantile))
            up = np.log(events) - np.log(np.maximum(low, 1e-300))
            downs.append(down)
            ups.append(np.clip(np.where(se > 1e-4, up, down), down, _WIDEST))

        def joined(x: FloatArray, y: FloatArray) -> FloatArray:
            square = x**2 + y**2 - 2 * self.correlation * x * y
            return np.minimum(np.sqrt(np.maximum(square, 0.0)), _WIDEST)

        return joined(downs[1], ups[0]), joined(ups[1], downs[0])

    def _rate_bounds(self, tail: FloatArray, quantile: FloatArray) -> tuple[FloatArray, FloatArray]:
        b, c = (np.clip(np.nan_to_num(x), 0.0, 1.0) for x in (self.baseline, self.current))
        # Korn & Graubard: few clusters count as fewer rows, by the square of normal over t.
        worth = (special.ndtri(tail) / quantile) ** 2
        of_b = jeffreys(b, self.size_baseline * worth, tail)
        of_c = jeffreys(c, self.size_current * worth, tail)
        return square_and_add((b, *of_b), (c, *of_c), self.correlation)


Limits = tuple[FloatArray, FloatArray, FloatArray]
"""An estimate with its lower and its upper limit."""


def square_and_add(
    before: Limits, after: Limits, correlation: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the limits of a difference from the limits of its parts."""
    (b, low_b, high_b), (c, low_c, high_c) = before, after

    def joined(x: FloatArray, y: FloatArray) -> FloatArray:
        return np.sqrt(np.maximum(x**2 + y**2 - 2 * correlation * x * y, 0.0))

    return c - b - joined(c - low_c, high_b - b), c - b + joined(high_c - c, b - low_b)


def to_changes(effects: Effects, is_rate: BoolArray, clustered: Effects | None = None) -> Changes:
    """Bring effects to the scale of the verdict.

    Args:
        is_rate: which signals are rates, broadcast to the effects' shape.
        clustered: what to take design effects from, where the current level has an error beside
            that of its clusters; its rate then counts as no more rows than its variance is worth.
    """
    e = effects
    is_rate = np.broadcast_to(is_rate, e.n_current.shape)
    still = (e.level_baseline == 0) & (e.level_current == 0)
    deff = _design_effects(clustered or e)
    se_b, se_c = (np.where(still, 0.0, se) for se in _relative_errors(e, deff))
    size_b, size_c = effective_sizes(clustered or e)
    if clustered:
        size_c = np.minimum(size_c, _worth(e.level_current, e.var_current, e.size_current))
    return Changes(
        is_rate,
        e.level_baseline,
        e.level_current,
        size_b,
        size_c,
        _correlation(e),
        se_b,
        se_c,
        e.df,
    )


def effective_sizes(e: Effects) -> tuple[FloatArray, FloatArray]:
    """Return how many independent rows each window's rate is worth, never more than it has.

    A window whose rate is 0 or 1 shows no variance of its own; it borrows the other's design
    effect.
    """
    own_b, own_c = _design_effects(e)
    return (
        np.maximum(e.size_baseline / np.maximum(own_b, 1.0), 1e-9),
        np.maximum(e.size_current / np.maximum(own_c, 1.0), 1e-9),
    )


def _design_effects(e: Effects) -> tuple[FloatArray, FloatArray]:
    deff_b = np.where(e.iid_var_baseline > 0, e.var_baseline / _positive(e.iid_var_baseline), 0.0)
    deff_c = np.where(e.iid_var_current > 0, e.var_current / _positive(e.iid_var_current), 0.0)
    own = (np.where(deff_b > 0, deff_b, deff_c), np.where(deff_c > 0, deff_c, deff_b))
    crowds, sizes = (e.crowding_baseline, e.crowding_current), (e.size_baseline, e.size_current)
    # Where hardly two rows share a cluster their likeness is not known, and does not matter.
    likeness = [
        np.clip(np.maximum(deff - 1, 0.0) / np.maximum(crowd, _CROWDED), 0.0, 1.0)
        for deff, crowd in zip((deff_b, deff_c), crowds, strict=True)
    ]
    weighted = likeness[0] * sizes[0] + likeness[1] * sizes[1]
    pooled = weighted / _positive(sizes[0] + sizes[1])
    floored = [np.maximum(o, 1 + pooled * crowd) for o, crowd in zip(own, crowds, strict=True)]
    return floored[0], floored[1]


def _worth(rate: FloatArray, variance: FloatArray, size: FloatArray) -> FloatArray:
    """Return how many independent rows know a rate with this variance."""
    inside = (np.clip(np.nan_to_num(rate), 0.0, 1.0) * size + 0.5) / (size + 1)
    known = variance > 0
    return np.where(known, inside * (1 - inside) / np.where(known, variance, 1.0), np.inf)


def _relative_errors(
    e: Effects, design_effects: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Return the windows' relative standard errors, infinite where a level is zero."""
    positive = (e.level_baseline > 0) & (e.level_current > 0)
    deff = [np.maximum(d, 1.0) for d in design_effects]
    parts = ("baseline", "current")
    levels, own, rows, sizes = (
        [getattr(e, f"{name}_{part}") for part in parts]
        for name in ("level", "var", "iid_var", "size")
    )
    # Divided twice: the square of a tiny level would be zero.
    safe = [_positive(x) for x in levels]
    spread = [v / x / x * n for v, x, n in zip(rows, safe, sizes, strict=True)]
    pooled = sum(s * n for s, n in zip(spread, sizes, strict=True)) / _positive(sum(sizes))
    floored = [
        np.maximum(v / x / x, pooled * d / _positive(n))
        for v, x, d, n in zip(own, safe, deff, sizes, strict=True)
    ]
    b, c = (np.where(positive, np.sqrt(v), np.inf) for v in floored)
    return b, c


def _correlation(e: Effects) -> FloatArray:
    spread = np.sqrt(e.var_baseline * e.var_current)
    result: FloatArray = np.clip(np.where(spread > 0, e.covariance / _positive(spread), 0.0), -1, 1)
    return result


def jeffreys(rate: FloatArray, size: FloatArray, tail: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the limits of a rate that each leave a tail, from Jeffreys' beta distribution.

    Source: Brown, Cai & DasGupta (2001), "Interval estimation for a binomial proportion",
    Statistical Science 16:101-133, section 4.1.3 (0 and 1 as limits at 0 or all events).
    """
    a, b = rate * size + 0.5, (1 - rate) * size + 0.5
    low = np.where(rate > 0, special.betaincinv(a, b, tail), 0.0)
    high = np.where(rate < 1, special.betainccinv(a, b, tail), 1.0)
    return np.minimum(low, rate), np.maximum(high, rate)


def wilson(
    rate: FloatArray, size: FloatArray, quantile: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return Wilson's score limits of a rate.

    Example:
        >>> low, high = wilson(np.array([0.5]), np.array([100.0]), np.array([1.96]))
        >>> [round(float(x[0]), 4) for x in (low, high)]
        [0.4038, 0.5962]
    """
    square = quantile**2 / size
    centre = (rate + square / 2) / (1 + square)
    half = quantile / (1 + square) * np.sqrt(rate * (1 - rate) / size + square / (4 * size))
    low, high = np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)
    return np.minimum(low, rate), np.maximum(high, rate)


def t_quantile(tail: float | FloatArray, df: FloatArray) -> FloatArray:
    """Return the t value that leaves `tail` above it."""
    result: FloatArray = -special.stdtrit(df, np.asarray(tail))
    return result


def _positive(values: FloatArray) -> FloatArray:
    return np.where(values > 0, values, 1.0)
