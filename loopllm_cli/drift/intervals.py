"""Intervals for a change, and the p-values that belong to them.

Rates: Wilson score limits for each window at its effective sample size, joined by the
square-and-add rule (Newcombe 1998, "Interval estimation for the difference between independent
proportions", Statistics in Medicine 17:873-890, method 10; for paired data with the correlation,
Newcombe 1998, 17:2635-2650; general form MOVER, Zou & Donner 2008, Statistics in Medicine
27:1693-1702). Effective sizes from clustered variances: Korn & Graubard (1998), Survey
Methodology 24:193-201. They hold up at 0 or 1 events, where Wald intervals have no width.

Amounts: the log ratio of the means by the delta method, with t quantiles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from loopllm_cli.drift.effects import Effects

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_MAX_QUANTILE = 60.0
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
    log_se: FloatArray
    df: FloatArray

    @property
    def change(self) -> FloatArray:
        """Point estimate of the change."""
        still = (self.baseline == 0) & (self.current == 0)
        base = np.where(self.baseline > 0, self.baseline, np.nan)
        relative = np.where(still, 0.0, self.current / base - 1)
        return np.where(self.is_rate, self.current - self.baseline, relative)

    def bounds(self, quantile: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return lower and upper bounds at a t quantile (broadcast over the signals)."""
        low_rate, high_rate = self._rate_bounds(quantile)
        known = np.isfinite(self.log_se) & ~self.is_rate
        ratio = np.log1p(np.where(known, self.change, 0.0))
        width = np.minimum(quantile * np.where(known, self.log_se, np.inf), _WIDEST)
        low_amount, high_amount = np.expm1(ratio - width), np.expm1(ratio + width)
        return (
            np.where(self.is_rate, low_rate, low_amount),
            np.where(self.is_rate, high_rate, high_amount),
        )

    def interval(self, level: float) -> tuple[FloatArray, FloatArray]:
        """Return the two-sided interval at a confidence level."""
        return self.bounds(t_quantile((1 - level) / 2, self.df))

    def p_beyond(self, limit: FloatArray, *, upwards: BoolArray) -> FloatArray:
        """Return the one-sided p-value of "the change is not beyond the limit".

        It is the level at which the bound just touches the limit, so that p < alpha and "the
        interval lies beyond the limit" are the same statement.

        Args:
            limit: shape of the signals; the change that is still tolerated.
            upwards: whether "beyond" means above the limit or below it.
        """
        estimate = self.change
        beyond = np.where(upwards, estimate > limit, estimate < limit)
        low, high = np.zeros_like(estimate), np.full_like(estimate, _MAX_QUANTILE)
        for _ in range(50):
            middle = (low + high) / 2
            lower, upper = self.bounds(middle)
            still = np.where(upwards, lower > limit, upper < limit)
            low, high = np.where(still, middle, low), np.where(still, high, middle)
        return np.where(beyond, t_tail(low, self.df), 1.0)

    def _rate_bounds(self, quantile: FloatArray) -> tuple[FloatArray, FloatArray]:
        b, c = (np.clip(np.nan_to_num(x), 0.0, 1.0) for x in (self.baseline, self.current))
        low_b, high_b = wilson(b, self.size_baseline, quantile)
        low_c, high_c = wilson(c, self.size_current, quantile)

        def joined(x: FloatArray, y: FloatArray) -> FloatArray:
            return np.sqrt(np.maximum(x**2 + y**2 - 2 * self.correlation * x * y, 0.0))

        return c - b - joined(c - low_c, high_b - b), c - b + joined(high_c - c, b - low_b)


def to_changes(effects: Effects, is_rate: BoolArray) -> Changes:
    """Bring effects to the scale of the verdict.

    Args:
        is_rate: which signals are rates, broadcast to the effects' shape.
    """
    e = effects
    is_rate = np.broadcast_to(is_rate, e.n_current.shape)
    spread = np.sqrt(e.var_baseline * e.var_current)
    correlation = np.clip(np.where(spread > 0, e.covariance / _positive(spread), 0.0), -1, 1)
    positive = (e.level_baseline > 0) & (e.level_current > 0)
    relative_var = (
        e.var_current / _positive(e.level_current) ** 2
        + e.var_baseline / _positive(e.level_baseline) ** 2
        - 2 * e.covariance / (_positive(e.level_current) * _positive(e.level_baseline))
    )
    still = (e.level_baseline == 0) & (e.level_current == 0)
    log_se = np.where(positive, np.sqrt(np.maximum(relative_var, 0.0)), np.inf)
    log_se = np.where(still, 0.0, log_se)
    size_b, size_c = effective_sizes(e)
    return Changes(
        is_rate, e.level_baseline, e.level_current, size_b, size_c, correlation, log_se, e.df
    )


def effective_sizes(e: Effects) -> tuple[FloatArray, FloatArray]:
    """Return how many independent rows each window's rate is worth, never more than it has.

    A window whose rate is 0 or 1 shows no variance of its own; it borrows the other's design
    effect.
    """
    deff_b = np.where(e.iid_var_baseline > 0, e.var_baseline / _positive(e.iid_var_baseline), 0.0)
    deff_c = np.where(e.iid_var_current > 0, e.var_current / _positive(e.iid_var_current), 0.0)
    own_b, own_c = np.where(deff_b > 0, deff_b, deff_c), np.where(deff_c > 0, deff_c, deff_b)
    return (
        np.maximum(e.size_baseline / np.maximum(own_b, 1.0), 1e-9),
        np.maximum(e.size_current / np.maximum(own_c, 1.0), 1e-9),
    )


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
    result: FloatArray = special.stdtrit(df, 1 - np.asarray(tail))
    return result


def t_tail(value: FloatArray, df: FloatArray) -> FloatArray:
    """Return the upper tail of Student's t."""
    result: FloatArray = special.stdtr(df, -value)
    return result


def _positive(values: FloatArray) -> FloatArray:
    return np.where(values > 0, values, 1.0)
