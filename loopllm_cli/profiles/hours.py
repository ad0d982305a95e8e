"""How much a window's hours differ: residuals per hour, over all segments.

What is judged within minutes has to know how far one hour lies from another on an ordinary day:
people who write at night, a provider's busy hours. Days do not show that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loopllm_cli.profiles.profile import measurable

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MINUTES_PER_HOUR = 60
UNKNOWN = np.iinfo(np.int64).min


@dataclass(frozen=True)
class HourSums:
    """Residuals of a window's signals about their segments' means, summed by hour.

    Shapes: `hours` (n_hours,), hours since 1970 UTC that have rows, sorted; `n`, `rest`,
    `rest_sq` (n_hours, n_signals): rows, sums of residuals and of their squares.
    """

    signal_names: tuple[str, ...]
    hours: IntArray
    n: FloatArray
    rest: FloatArray
    rest_sq: FloatArray

    def columns(self, names: tuple[str, ...]) -> HourSums:
        """Return the sums of some signals only, in their order."""
        at = [self.signal_names.index(name) for name in names]
        return HourSums(names, self.hours, self.n[:, at], self.rest[:, at], self.rest_sq[:, at])

    def moments(self) -> FloatArray:
        """Return the hours as nights of one segment; shape (4, n_hours, 1, n_signals)."""
        return np.stack([self.n, self.rest, self.rest_sq, np.zeros_like(self.n)])[:, :, None, :]

    def to_arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return the sums as plain arrays, for a file."""
        return {
            "hours_at": self.hours,
            "hours_n": self.n,
            "hours_rest": self.rest,
            "hours_rest_sq": self.rest_sq,
        }

    @classmethod
    def from_arrays(
        cls, signal_names: tuple[str, ...], arrays: dict[str, npt.NDArray[np.generic]]
    ) -> HourSums:
        """Read what `to_arrays` gave.

        Raises:
            KeyError, ValueError: the arrays are not those of such sums.
        """
        hours = np.asarray(arrays["hours_at"], dtype=np.int64)
        n, rest, rest_sq = (
            np.asarray(arrays[f"hours_{name}"], dtype=float) for name in ("n", "rest", "rest_sq")
        )
        if not n.shape == rest.shape == rest_sq.shape == (len(hours), len(signal_names)):
            raise ValueError("the arrays do not fit each other")
        return cls(signal_names, hours, n, rest, rest_sq)


def build_hours(
    signal_names: tuple[str, ...],
    values: FloatArray,
    segments: IntArray,
    minutes: IntArray,
    n_segments: int,
) -> HourSums:
    """Sum a window's residuals by hour; rows without a time are left out.

    Args:
        values: shape (n_rows, n_signals), NaN where a signal does not apply.
        segments: shape (n_rows,), each row's segment number.
        minutes: shape (n_rows,), minutes since 1970 UTC, `UNKNOWN` where there is no time.
    """
    timed = minutes != UNKNOWN
    values, segments = values[timed], segments[timed]
    hours, at = np.unique(minutes[timed] // MINUTES_PER_HOUR, return_inverse=True)
    measured, clean = measurable(values)
    applies = measured.astype(float)
    n, total = (_sums(segments, part, n_segments) for part in (applies, clean))
    means = np.divide(total, n, out=np.zeros_like(n), where=n > 0)
    residuals = (clean - means[segments]) * applies
    return HourSums(
        signal_names,
        hours.astype(np.int64),
        _sums(at, applies, len(hours)),
        _sums(at, residuals, len(hours)),
        _sums(at, residuals**2, len(hours)),
    )


def _sums(cells: IntArray, weights: FloatArray, n_cells: int) -> FloatArray:
    out = np.zeros((n_cells, weights.shape[1]))
    np.add.at(out, cells, weights)
    return out
