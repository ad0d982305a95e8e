"""What a window could have shown: the smallest true change it would have called worse.

For a tolerance τ and a family of J signals, a change x is called worse with the wanted power
when x = τ + z_{1−α/J} se(x) + z_power se(x), with se at the rates that x implies. Bonferroni's
α/J is the first (hardest) step of Holm, so the figure errs on the cautious side.

Source: the usual two-sample formula, e.g. Chow, Shao, Wang & Lokhnygina (2017), "Sample size
calculations in clinical research", ch. 4 (non-inferiority margins).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from loopllm_cli.drift.intervals import BoolArray, Changes, FloatArray, t_quantile

_ROUNDS = 60
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
    z = t_quantile(tail, changes.df) + t_quantile(1 - power, changes.df)
    rate = _visible_rate(changes, tolerance, upwards, z)
    log_tolerance = np.where(upwards, np.log1p(tolerance), -np.log1p(-np.minimum(tolerance, 0.99)))
    log_change = np.minimum(log_tolerance + z * changes.log_se, _UNKNOWN)
    amount = np.where(upwards, np.expm1(log_change), -np.expm1(-log_change))
    amount = np.where(log_change < _UNKNOWN, amount, np.nan)
    return np.where(changes.is_rate, rate, amount)


def _visible_rate(
    changes: Changes, tolerance: FloatArray, upwards: BoolArray, z: FloatArray
) -> npt.NDArray[np.float64]:
    # A rate of 0 in a finite window does not mean a true rate of 0 (Agresti & Coull's +2/+4).
    size_b, size_c = changes.size_baseline, changes.size_current
    rate = np.clip(np.nan_to_num(changes.baseline), 0.0, 1.0)
    base = (rate * size_b + 0.5) / (size_b + 1)
    room = np.where(upwards, 1 - base, base)
    x = np.array(np.broadcast_to(tolerance, base.shape), dtype=float)
    for _ in range(_ROUNDS):
        moved = np.clip(np.where(upwards, base + x, base - x), 0.0, 1.0)
        se_b = np.sqrt(base * (1 - base) / size_b)
        se_c = np.sqrt(np.maximum(moved * (1 - moved), 0.25 / (size_c + 1)) / size_c)
        se = np.sqrt(np.maximum(se_b**2 + se_c**2 - 2 * changes.correlation * se_b * se_c, 0.0))
        x = np.minimum(tolerance + z * se, 1.0)
    return np.where(x < room, x, np.nan)
