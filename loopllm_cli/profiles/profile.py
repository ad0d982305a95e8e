"""A profile: counts, sums and sums of squares per segment, cluster bucket and signal.

Everything the drift decision needs, in numbers that add: profile(A and B) is
merge(profile(A), profile(B)), so windows can be profiled in parts, anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loopllm_cli.errors import SchemaMismatch
from loopllm_cli.profiles.clusters import N_BUCKETS

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_LARGEST, _SMALLEST = 1e50, 1e-50
"""Larger values (and infinite ones) are no measurements and do not apply; smaller ones are zero.
Ratios of squares of what is left stay finite."""


@dataclass(frozen=True)
class Profile:
    """Sums of a window's signals.

    Shapes: `n`, `total` and `total_sq` are (n_segments, N_BUCKETS, n_signals); `n_rows` is
    (n_segments, N_BUCKETS). `n` counts the rows where a signal applies.
    """

    signal_names: tuple[str, ...]
    n_rows: FloatArray
    n: FloatArray
    total: FloatArray
    total_sq: FloatArray

    def merge(self, other: Profile) -> Profile:
        """Return the profile of both windows together.

        Raises:
            SchemaMismatch: the profiles have other signals or segments.
        """
        if self.signal_names != other.signal_names or self.n.shape != other.n.shape:
            raise SchemaMismatch(
                "profiles of different signals or segments cannot be added",
                "build both from the same baseline",
            )
        return Profile(
            self.signal_names,
            self.n_rows + other.n_rows,
            self.n + other.n,
            self.total + other.total,
            self.total_sq + other.total_sq,
        )

    def columns(self, names: tuple[str, ...]) -> Profile:
        """Return the profile of some signals only, in their order."""
        at = [self.signal_names.index(name) for name in names]
        return Profile(
            names, self.n_rows, self.n[:, :, at], self.total[:, :, at], self.total_sq[:, :, at]
        )

    def select(self, segments: IntArray) -> Profile:
        """Return the profile of some segments only, with the same numbering."""
        keep = np.zeros(len(self.n))
        keep[segments] = 1.0
        cells = keep[:, None, None]
        return Profile(
            self.signal_names,
            self.n_rows * keep[:, None],
            self.n * cells,
            self.total * cells,
            self.total_sq * cells,
        )


def build_profile(
    signal_names: tuple[str, ...],
    values: FloatArray,
    segments: IntArray,
    buckets: IntArray,
    n_segments: int,
) -> Profile:
    """Sum a window's signals.

    Args:
        values: shape (n_rows, n_signals), NaN where a signal does not apply.
        segments: shape (n_rows,), each row's segment number.
        buckets: shape (n_rows,), each row's cluster bucket.
    """
    cells = segments * N_BUCKETS + buckets
    n_cells = n_segments * N_BUCKETS
    applies, clean = measurable(values)

    def sums(weights: FloatArray) -> FloatArray:
        columns = [np.bincount(cells, weights=w, minlength=n_cells) for w in weights.T]
        stacked = np.stack(columns, axis=1) if columns else np.zeros((n_cells, 0))
        return stacked.reshape(n_segments, N_BUCKETS, -1).astype(np.float64)

    return Profile(
        signal_names,
        np.bincount(cells, minlength=n_cells).astype(float).reshape(n_segments, N_BUCKETS),
        sums(applies.astype(float)),
        sums(clean),
        sums(clean**2),
    )


def measurable(values: FloatArray) -> tuple[npt.NDArray[np.bool_], FloatArray]:
    """Return where values are measurements, and the values with zeros elsewhere."""
    size = np.abs(values)
    applies = size < _LARGEST
    return applies, np.where(applies & (size > _SMALLEST), values, 0.0)
