"""Sums per day: counts and the first three moments by day, segment and signal.

A monitor that looks every night needs the baseline day by day: how much days differ among
themselves, and which weekday they were, cannot be seen in the sums of the whole window. The third
moment is for the tail correction of skewed signals. A day is a day in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date

import numpy as np
import numpy.typing as npt

from loopllm_cli.errors import SchemaMismatch
from loopllm_cli.profiles.clusters import N_BUCKETS
from loopllm_cli.profiles.profile import measurable

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class DaySums:
    """Sums of a window's signals by day.

    `days` are ISO dates, sorted, each with at least one row. `n` counts the rows where a signal
    applies. `clumped` adds, over the cluster buckets of a day, the square of the sum of a bucket's
    residuals (about the segment's mean over the whole window); next to the sum of squares of single
    residuals it tells how much rows of one cluster are alike within a day.

    Shapes: `n_rows` (n_days, n_segments); `n`, `total`, `total_sq`, `total_cu` (n_days, n_segments,
    n_signals); `clumped` (n_days, n_signals).
    """

    signal_names: tuple[str, ...]
    days: tuple[str, ...]
    n_rows: FloatArray
    n: FloatArray
    total: FloatArray
    total_sq: FloatArray
    total_cu: FloatArray
    clumped: FloatArray

    @property
    def weekdays(self) -> IntArray:
        """Each day's weekday, 0 for Monday."""
        return np.array([date.fromisoformat(d).weekday() for d in self.days], dtype=np.int64)

    def merge(self, other: DaySums) -> DaySums:
        """Return the sums of both windows together; days that both have are added.

        `clumped` stays about each part's own segment means, which differs from the union's only
        as much as those means differ.

        Raises:
            SchemaMismatch: the sums have other signals or segments.
        """
        if self.signal_names != other.signal_names or self.n.shape[1:] != other.n.shape[1:]:
            raise SchemaMismatch(
                "sums of different signals or segments cannot be added",
                "build both from the same baseline",
            )
        days = tuple(sorted({*self.days, *other.days}))
        at = {day: place for place, day in enumerate(days)}
        joined = {}
        for name in _ARRAYS:
            mine, theirs = getattr(self, name), getattr(other, name)
            out = np.zeros((len(days), *mine.shape[1:]))
            out[[at[d] for d in self.days]] += mine
            out[[at[d] for d in other.days]] += theirs
            joined[name] = out
        return DaySums(self.signal_names, days, **joined)

    def columns(self, names: tuple[str, ...]) -> DaySums:
        """Return the sums of some signals only, in their order; unknown ones apply nowhere."""
        known = [name in self.signal_names for name in names]
        at = [self.signal_names.index(n) if k else 0 for n, k in zip(names, known, strict=True)]
        kept = np.array(known, dtype=float)
        sums = {name: getattr(self, name)[..., at] * kept for name in _ARRAYS if name != "n_rows"}
        return DaySums(names, self.days, self.n_rows, **sums)

    def day(self, day: str) -> DaySums:
        """Return one day's sums, all zero where the day has no rows."""
        at = [self.days.index(day)] if day in self.days else []
        sums = {name: getattr(self, name)[at].sum(axis=0, keepdims=True) for name in _ARRAYS}
        return DaySums(self.signal_names, (day,), **sums)

    def zeros(self) -> DaySums:
        """Return sums of the same shape with nothing in them."""
        return DaySums(
            self.signal_names,
            self.days,
            **{name: np.zeros_like(getattr(self, name)) for name in _ARRAYS},
        )

    def to_arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return the sums as plain arrays, without the empty cells, for a file."""
        cells = np.argwhere(self.n_rows > 0)
        where = (cells[:, 0], cells[:, 1])
        arrays: dict[str, npt.NDArray[np.generic]] = {
            f"days_{name}": getattr(self, name)[where] for name in _ARRAYS if name != "clumped"
        }
        arrays["days_cells"] = cells
        arrays["days_clumped"] = self.clumped
        arrays["days_dates"] = np.array([date.fromisoformat(d).toordinal() for d in self.days])
        return arrays

    @classmethod
    def from_arrays(
        cls,
        signal_names: tuple[str, ...],
        n_segments: int,
        arrays: dict[str, npt.NDArray[np.generic]],
    ) -> DaySums:
        """Read what `to_arrays` gave.

        Raises:
            KeyError, ValueError, IndexError: the arrays are not those of such sums.
        """
        ordinals = np.asarray(arrays["days_dates"], dtype=np.int64)
        days = tuple(date.fromordinal(int(o)).isoformat() for o in ordinals)
        cells = np.asarray(arrays["days_cells"], dtype=np.int64).reshape(-1, 2)
        where = (cells[:, 0], cells[:, 1])
        sums: dict[str, FloatArray] = {}
        for name in _ARRAYS:
            if name == "clumped":
                sums[name] = np.asarray(arrays["days_clumped"], float)
                continue
            tail = () if name == "n_rows" else (len(signal_names),)
            sums[name] = np.zeros((len(days), n_segments, *tail))
            sums[name][where] = np.asarray(arrays[f"days_{name}"], float)
        if sums["clumped"].shape != (len(days), len(signal_names)):
            raise ValueError("the arrays do not fit each other")
        return cls(signal_names, days, **sums)


_ARRAYS = tuple(f.name for f in fields(DaySums) if f.name not in ("signal_names", "days"))


def build_days(
    signal_names: tuple[str, ...],
    values: FloatArray,
    segments: IntArray,
    dates: npt.NDArray[np.datetime64],
    n_segments: int,
    *,
    buckets: IntArray | None = None,
) -> DaySums:
    """Sum a window's signals by day; rows without a time are left out.

    Args:
        values: shape (n_rows, n_signals), NaN where a signal does not apply.
        segments: shape (n_rows,), each row's segment number.
        dates: shape (n_rows,), each row's day, NaT where unknown.
        buckets: shape (n_rows,), each row's cluster bucket; without, every row is a cluster.
    """
    timed = ~np.isnat(dates)
    values, segments = values[timed], segments[timed]
    known, number = np.unique(dates[timed].astype("datetime64[D]"), return_inverse=True)
    measured, clean = measurable(values)
    applies = measured.astype(float)
    cells = number * n_segments + segments
    shape = (len(known), n_segments)

    def by_cell(weights: FloatArray) -> FloatArray:
        return _sums(cells, weights, shape[0] * shape[1]).reshape(*shape, len(signal_names))

    n, total = by_cell(applies), by_cell(clean)
    seen = n.sum(axis=0)
    means = np.divide(total.sum(axis=0), seen, out=np.zeros_like(seen), where=seen > 0)
    residuals = (clean - means[segments]) * applies
    if buckets is None:
        clumped = _sums(number, residuals**2, len(known))
    else:
        clumps = _sums(number * N_BUCKETS + buckets[timed], residuals, len(known) * N_BUCKETS)
        clumped = (clumps**2).reshape(len(known), N_BUCKETS, len(signal_names)).sum(axis=1)
    return DaySums(
        signal_names,
        tuple(str(day) for day in known),
        np.bincount(cells, minlength=shape[0] * shape[1]).astype(float).reshape(shape),
        n,
        total,
        by_cell(clean**2),
        by_cell(clean**3),
        clumped,
    )


def _sums(cells: IntArray, weights: FloatArray, n_cells: int) -> FloatArray:
    columns = [
        np.bincount(cells, weights=weights[:, j], minlength=n_cells)[:n_cells]
        for j in range(weights.shape[1])
    ]
    if not columns:
        return np.zeros((n_cells, 0))
    return np.stack(columns, axis=1).astype(np.float64)
