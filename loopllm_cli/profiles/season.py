"""Weekdays: strata of their own for the signals that follow the week.

A Monday is not worse than the week before it, only a Monday. Signals whose level follows the
weekday (`drift/season.py` decides, on the baseline's days) are compared weekday by weekday.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from loopllm_cli.profiles.profile import FloatArray, IntArray, Profile, build_profile

N_WEEKDAYS = 7
_MONDAY = np.datetime64("1970-01-05", "D")


def weekdays_of(days: npt.NDArray[np.datetime64]) -> IntArray:
    """Return weekdays (UTC, 0 is Monday); a row without a time counts as Monday's.

    Example:
        >>> weekdays_of(np.array(["2026-11-22", "2026-11-23"], dtype="datetime64[D]")).tolist()
        [6, 0]
    """
    known = np.where(np.isnat(days), _MONDAY, days)
    result: IntArray = ((known - _MONDAY).astype(np.int64) % N_WEEKDAYS).astype(np.int64)
    return result


def build_weekly(
    names: Sequence[str],
    values: FloatArray,
    places: tuple[IntArray, IntArray, IntArray],
    n_segments: int,
) -> Profile:
    """Sum signals by weekday and segment: stratum weekday * n_segments + segment.

    Args:
        values: shape (n_rows, n_signals).
        places: each row's weekday, segment and cluster bucket.
    """
    weekdays, segments, buckets = places
    strata = weekdays * n_segments + segments
    return build_profile(tuple(names), values, strata, buckets, N_WEEKDAYS * n_segments)
