"""Errors of the parts of a change: what each would be without one bucket of users at a time.

Leaving a bucket out of both windows at once and splitting the change again gives every part's
error with all that goes into it: the means, the traffic, and the weights that depend on it.

Source: Shao & Tu (1995), "The Jackknife and Bootstrap", ch. 2 (delete-a-group); MacKinnon,
Nielsen & Webb (2023), J. Econometrics 232:272-299 (clusters, CV3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loopllm_cli.drift.influence import ratio
from loopllm_cli.profiles.profile import Profile

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_MOST_CELLS = 2_000_000
"""Sums of this many (segment, bucket, signal) cells are split at a time: some 200 MB."""


@dataclass(frozen=True)
class Split:
    """A change in parts; all arrays have one shape.

    total = behaviour + mix + new - vanished; `level_*` are the windows' means at the shared mix.
    """

    total: FloatArray
    level_baseline: FloatArray
    level_current: FloatArray
    new: FloatArray
    vanished: FloatArray

    @property
    def mix(self) -> FloatArray:
        """What traffic that moved between shared segments adds to the total."""
        behaviour = self.level_current - self.level_baseline
        return self.total - behaviour - self.new + self.vanished


@dataclass(frozen=True)
class PartErrors:
    """Influence of every bucket on the parts, shape (n_buckets, n_signals); squares add up to
    variances."""

    total: FloatArray
    mix: FloatArray
    new: FloatArray
    vanished: FloatArray


def split(
    baseline: tuple[FloatArray, FloatArray],
    current: tuple[FloatArray, FloatArray],
    shared: BoolArray,
) -> Split:
    """Split a change.

    Args:
        baseline: rows and sums, each with the segments as first axis.
        current: likewise.
        shared: which segments both windows have, broadcast to the sums' shape.
    """
    (n_b, t_b), (n_c, t_c) = baseline, current
    weights = np.where(shared, ratio(n_b * n_c, n_b + n_c), 0.0)
    weights = ratio(weights, weights.sum(axis=0))
    return Split(
        ratio(t_c.sum(0), n_c.sum(0)) - ratio(t_b.sum(0), n_b.sum(0)),
        (weights * ratio(t_b, n_b)).sum(axis=0),
        (weights * ratio(t_c, n_c)).sum(axis=0),
        _outside(n_c, t_c, shared),
        _outside(n_b, t_b, shared),
    )


def part_errors(baseline: Profile, current: Profile, shared: BoolArray) -> PartErrors:
    """Compute the parts' errors by leaving out one bucket after the other.

    Args:
        shared: shape (n_segments, n_signals). A segment stays shared when a bucket is left out.
    """
    n_segments, n_buckets, n_signals = baseline.n.shape
    step = max(1, _MOST_CELLS // (n_segments * n_buckets))
    parts = [
        _errors_of(baseline, current, shared, slice(start, start + step))
        for start in range(0, n_signals, step)
    ]
    if not parts:
        return PartErrors(*(np.zeros((n_buckets, 0)) for _ in range(4)))
    names = ("total", "mix", "new", "vanished")
    return PartErrors(*(np.hstack([getattr(p, name) for p in parts]) for name in names))


def _errors_of(base: Profile, cur: Profile, shared: BoolArray, at: slice) -> PartErrors:
    n_b, n_c = base.n[:, :, at], cur.n[:, :, at]
    t_b, t_c = base.total[:, :, at], cur.total[:, :, at]
    whole = split((n_b.sum(1), t_b.sum(1)), (n_c.sum(1), t_c.sum(1)), shared[:, at])
    left = split(
        (_without_each(n_b), _without_each(t_b)),
        (_without_each(n_c), _without_each(t_c)),
        shared[:, None, at],
    )
    occupied = ((n_b > 0) | (n_c > 0)).any(axis=0)
    count = occupied.sum(axis=0).astype(float)
    factor = np.sqrt(ratio(count - 1, count))

    def influence(name: str) -> FloatArray:
        moved = getattr(whole, name) - getattr(left, name)
        return np.asarray(factor * np.where(occupied, moved, 0.0))

    return PartErrors(*(influence(name) for name in ("total", "mix", "new", "vanished")))


def _without_each(sums: FloatArray) -> FloatArray:
    """Return the sums over all buckets but each one."""
    return np.asarray(sums.sum(axis=1, keepdims=True) - sums)


def _outside(n: FloatArray, total: FloatArray, shared: BoolArray) -> FloatArray:
    """Return what rows outside the shared segments add to a window's mean."""
    inside_n, outside_n = (n * shared).sum(axis=0), (n * ~shared).sum(axis=0)
    inside = ratio((total * shared).sum(axis=0), inside_n)
    outside = ratio((total * ~shared).sum(axis=0), outside_n)
    return ratio(outside_n, n.sum(axis=0)) * (outside - inside)
