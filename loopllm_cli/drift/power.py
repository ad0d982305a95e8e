"""What a window could have shown: the smallest true change it would have called worse.

For a tolerance τ and a family of J signals, a change x is called worse with the wanted power when
the window that lies z_power standard errors on the harmless side of x still has its adjusted
bound beyond τ. Bonferroni's α/J is the first (hardest) step of Holm, so the figure errs on the
cautious side. For an amount this is the usual formula, log(1 + x) = log(1 + τ) + (t_{1−α/J} +
t_power) se; a rate's bounds are not symmetric, so x is searched for.

Source: e.g. Chow, Shao, Wang & Lokhnygina (2017), "Sample size calculations in clinical
research", ch. 4 (non-inferiority margins).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from loopllm_cli.drift.intervals import BoolArray, Changes, FloatArray, t_quantile

_ROUNDS = 16
_UNKNOWN = 5.0
"""A log ratio as large as this (a factor of 148) says that nothing can be seen."""


def visible_change(
    changes: Changes, tolerance: FloatArray, upwards: BoolArray, tail: float, power: float
) -> FloatArray:
    """Return the smallest visible change as a size (>= tolerance), NaN where none is visible.

    Args:
        tolerance: shape of the signals, as in `SignalInfo`.
        upwards: whether worse means up.
        tail: the one-sided level of one test, alpha / family size.
        power: the wanted chance to see the change, e.g. 0.8.
    """
    z_power = t_quantile(1 - power, changes.df)
    z = t_quantile(tail, changes.df) + z_power
    rate = _visible_rate(changes, tolerance, upwards, (tail, z_power))
    log_tolerance = np.where(upwards, np.log1p(tolerance), -np.log1p(-np.minimum(tolerance, 0.99)))
    log_change = np.minimum(log_tolerance + z * changes.log_se, _UNKNOWN)
    amount = np.where(upwards, np.expm1(log_change), -np.expm1(-log_change))
    amount = np.where(log_change < _UNKNOWN, amount, np.nan)
    return np.where(changes.is_rate, rate, amount)


def _visible_rate(
    changes: Changes, tolerance: FloatArray, upwards: BoolArray, wanted: tuple[float, FloatArray]
) -> FloatArray:
    tail, z_power = wanted
    # A rate of 0 in a finite window does not mean a true rate of 0 (Jeffreys' half event).
    size_b, size_c = changes.size_baseline, changes.size_current
    rate = np.clip(np.nan_to_num(changes.baseline), 0.0, 1.0)
    base = (rate * size_b + 0.5) / (size_b + 1)
    sign = np.where(upwards, 1.0, -1.0)
    room = np.where(upwards, 1 - base, base)
    low, high = np.minimum(np.broadcast_to(tolerance, base.shape), room), room
    se_b = np.sqrt(base * (1 - base) / size_b)
    for _ in range(_ROUNDS):
        x = (low + high) / 2
        moved = np.clip(base + sign * x, 0.0, 1.0)
        se_c = np.sqrt(moved * (1 - moved) / size_c)
        noise = np.sqrt(np.maximum(se_b**2 + se_c**2 - 2 * changes.correlation * se_b * se_c, 0))
        unlucky = np.clip(moved - sign * z_power * noise, 0.0, 1.0)
        lower, upper = replace(
            changes,
            baseline=np.where(changes.is_rate, base, changes.baseline),
            current=np.where(changes.is_rate, unlucky, changes.current),
        ).bounds(tail)
        found = np.where(upwards, lower > tolerance, upper < -tolerance)
        low, high = np.where(found, low, x), np.where(found, x, high)
    return np.where(high < room, high, np.nan)
