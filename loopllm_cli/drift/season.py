"""Which signals follow the week: an analysis of variance of the baseline's days.

Days, not rows, are the unit: whatever moves all rows of a day alike (load, an outage) must not
pass for a weekday. Each day's departure from the level of its own segments is compared between
weekdays, against the spread of the days of one weekday.

Source: one-way analysis of variance, e.g. Montgomery (2017), "Design and analysis of
experiments", ch. 3.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from loopllm_cli.profiles.days import DaySums
from loopllm_cli.profiles.season import N_WEEKDAYS, weekdays_of

FloatArray = npt.NDArray[np.float64]

MIN_DAYS_PER_WEEKDAY = 3
"""Three weeks: with two, a weekday's spread rests on seven differences and finds nothing."""
ALPHA = 0.01
"""A signal taken for seasonal by mistake only loses some precision; one in a hundred may."""


def seasonal_signals(days: DaySums) -> tuple[str, ...]:
    """Name the signals whose level clearly depends on the weekday."""
    found = weekday_p_values(days) < ALPHA
    return tuple(name for name, yes in zip(days.signal_names, found, strict=True) if yes)


def weekday_p_values(days: DaySums) -> FloatArray:
    """Return per signal the p-value of "all weekdays are alike"; 1 where it cannot be told.

    A day counts with the square root of its rows, so that a nearly empty day weighs little.
    """
    ones = np.ones(len(days.signal_names))
    if not days.days:
        return ones
    weekday = weekdays_of(np.array(days.days, dtype="datetime64[D]"))
    per_weekday = np.bincount(weekday, minlength=N_WEEKDAYS)
    if per_weekday.min() < MIN_DAYS_PER_WEEKDAY:
        return ones
    departure, weight = _departures(days)
    groups = (weekday[:, None] == np.arange(N_WEEKDAYS)).astype(float)
    known = weight > 0
    n_days = known.sum(axis=0)
    of_group = groups.T @ weight
    mean = _ratio(groups.T @ (weight * departure), of_group)
    whole = _ratio((weight * departure).sum(axis=0), weight.sum(axis=0))
    between = (of_group * (mean - whole) ** 2).sum(axis=0)
    within = (weight * (departure - mean[weekday]) ** 2).sum(axis=0)
    free = np.maximum(n_days - N_WEEKDAYS, 0)
    enough = (free >= N_WEEKDAYS) & (within > 0) & ((groups.T @ known) > 0).all(axis=0)
    statistic = _ratio(between / (N_WEEKDAYS - 1), _ratio(within, free))
    p_value = special.fdtrc(N_WEEKDAYS - 1, np.maximum(free, 1), statistic)
    found: FloatArray = np.where(enough, p_value, 1.0)
    return found


def _departures(days: DaySums) -> tuple[FloatArray, FloatArray]:
    """Return each day's mean departure from its segments' levels, and the day's weight."""
    level = _ratio(days.total.sum(axis=0), days.n.sum(axis=0))
    excess = (days.total - days.n * level).sum(axis=1)
    n = days.n.sum(axis=1)
    return _ratio(excess, n), np.sqrt(n)


def _ratio(top: FloatArray, bottom: npt.ArrayLike) -> FloatArray:
    above, below = np.broadcast_arrays(top, np.asarray(bottom, dtype=float))
    out = np.zeros(above.shape)
    np.divide(above, below, out=out, where=below > 0)
    return out
