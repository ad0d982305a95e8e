"""Slices of traffic: the rows with one attribute value or a pair of them, and their sums.

Attributes are what was logged and the prompt clusters. Sums are kept per slice and cluster
bucket, so that a random half of the clusters is a choice of buckets, and errors hold where a
user's rows are alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from loopllm_cli.profiles.attributes import Attribute
from loopllm_cli.profiles.sample import RowSample

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Parts = tuple[tuple[str, str], ...]

N_BUCKETS = 128
MIN_ROWS = 30
"""Rows of a slice in each window at least: the half that judges needs about fifteen."""
_LARGEST_SHARE = 2 / 3
_SAME = 0.95
"""A pair with this share of one part's rows says no more than the part alone."""
_MAX_SLICES = 1_000
_TAIL = 0.99


@dataclass(frozen=True)
class Slice:
    """A group of rows by its attributes' values.

    `rows` are row numbers over both windows, the baseline's first.
    """

    parts: Parts
    rows: IntArray

    @property
    def name(self) -> str:
        """The slice in words, such as `route=refund & language=de`."""
        return " & ".join(f"{attribute}={value}" for attribute, value in self.parts)


@dataclass(frozen=True)
class Table:
    """Both windows' rows, the baseline's first, with signals freed of their segment's level.

    Shapes: `residuals` (n, n_signals), NaN where a signal does not apply; `levels` (n_signals,)
    are the baseline's means; `buckets` and `is_current` (n,).
    """

    residuals: FloatArray
    raw: FloatArray
    buckets: IntArray
    is_current: BoolArray


@dataclass(frozen=True)
class Sums:
    """Sums of slices, the whole as the last one; `total` of residuals, `raw` of values.

    Shapes: `n`, `total` and `raw` (2, n_slices + 1, N_BUCKETS, n_signals), the baseline first;
    `level` (n_slices + 1, n_signals) are raw means in the baseline; `row_variance` the same
    shape, the spread of single rows over both windows.
    """

    n: FloatArray
    total: FloatArray
    raw: FloatArray
    level: FloatArray
    row_variance: FloatArray


def attributes_of(sample: RowSample, basis: str, labels: tuple[str, ...]) -> list[Attribute]:
    """Return a sample's attributes, its segments as the first.

    Args:
        basis: what the segments are: "prompts", or the column they were made from.
        labels: the segments' words, in the sample's numbering.
    """
    segments = Attribute(basis, labels, sample.segments)
    return [segments, *(a for a in sample.attributes if a.name != basis)]


def rows_of(parts: Parts, attributes: list[Attribute]) -> BoolArray:
    """Find the rows of a slice in one sample."""
    by_name = {a.name: a for a in attributes}
    inside = np.ones(len(attributes[0].codes), dtype=bool)
    for name, value in parts:
        attribute = by_name[name]
        inside &= attribute.codes == attribute.labels.index(value)
    return inside


def enumerate_slices(before: list[Attribute], after: list[Attribute]) -> tuple[Slice, ...]:
    """List the slices that both windows have enough rows of, single values first.

    Args:
        before, after: both windows' attributes, in the same order and with the same labels.
    """
    codes = [np.concatenate([b.codes, a.codes]) for b, a in zip(before, after, strict=True)]
    sizes = (len(before[0].codes), len(after[0].codes))
    known: set[bytes] = set()
    found: list[Slice] = []
    for one in _candidates(before, codes, sizes):
        digest = one.rows.tobytes()
        if digest not in known:
            known.add(digest)
            found.append(one)
        if len(found) == _MAX_SLICES:
            break
    return tuple(found)


def _candidates(
    attributes: list[Attribute], codes: list[npt.NDArray[np.int16]], sizes: tuple[int, int]
) -> Iterator[Slice]:
    for attribute, column in zip(attributes, codes, strict=True):
        for k, label in enumerate(attribute.labels):
            rows = np.flatnonzero(column == k)
            if _fits(rows, sizes):
                yield Slice(((attribute.name, label),), rows)
    for i, j in combinations(range(len(attributes)), 2):
        first, second = attributes[i], attributes[j]
        width = len(second.labels) + 1
        both = (codes[i].astype(np.int64) + 1) * width + codes[j] + 1
        order = np.argsort(both, kind="stable")
        values, starts, counts = np.unique(both[order], return_index=True, return_counts=True)
        for value, start, n in zip(values, starts, counts, strict=True):
            a, b = value // width - 1, value % width - 1
            largest = max((codes[i] == a).sum(), (codes[j] == b).sum()) if n >= 2 * MIN_ROWS else 0
            if a < 0 or b < 0 or not largest:
                continue
            smallest = min((codes[i] == a).sum(), (codes[j] == b).sum())
            rows = order[start : start + n]
            if n < _SAME * smallest and _fits(rows, sizes):
                parts = ((first.name, first.labels[a]), (second.name, second.labels[b]))
                yield Slice(parts, rows)


def _fits(rows: IntArray, sizes: tuple[int, int]) -> bool:
    n_before = int(np.searchsorted(rows, sizes[0]))
    n_after = len(rows) - n_before
    return min(n_before, n_after) >= MIN_ROWS and n_after <= _LARGEST_SHARE * sizes[1]


def to_table(baseline: RowSample, current: RowSample) -> Table:
    """Put both windows together; amounts are cut at their 99% point, where tails would decide."""
    raw = np.concatenate([baseline.values, current.values]).astype(np.float64)
    for column in raw.T:
        kept = column[np.isfinite(column)]
        if len(kept) and not np.isin(kept, (0.0, 1.0)).all():
            np.minimum(column, np.quantile(kept, _TAIL), out=column)
    segments = np.concatenate([baseline.segments, current.segments]).astype(np.int64)
    clusters = np.concatenate([baseline.clusters, current.clusters])
    is_current = np.arange(len(raw)) >= len(baseline)
    return Table(
        residuals=raw - _segment_levels(raw, segments, is_current),
        raw=raw,
        # Other bits than those that number a profile's buckets: those go by the last byte.
        buckets=((clusters >> np.uint64(16)) % np.uint64(N_BUCKETS)).astype(np.int64),
        is_current=is_current,
    )


def _segment_levels(raw: FloatArray, segments: IntArray, is_current: BoolArray) -> FloatArray:
    """Return each row's segment level: the middle of both windows' means; NaN if one has none."""
    _, numbers = np.unique(segments, return_inverse=True)
    out = np.empty_like(raw)
    for j, column in enumerate(raw.T):
        applies = np.isfinite(column)
        means = []
        for side in (~is_current & applies, is_current & applies):
            n = np.bincount(numbers[side], minlength=numbers.max() + 1)
            total = np.bincount(numbers[side], column[side], minlength=numbers.max() + 1)
            means.append(np.where(n > 0, total / np.maximum(n, 1), np.nan))
        out[:, j] = ((means[0] + means[1]) / 2)[numbers]
    return out


def sum_slices(table: Table, slices: tuple[Slice, ...]) -> Sums:
    """Sum every signal over every slice, window and bucket."""
    everything = np.arange(len(table.buckets))
    rows = np.concatenate([*(s.rows for s in slices), everything])
    number = np.repeat(
        np.arange(len(slices) + 1), [*(len(s.rows) for s in slices), len(everything)]
    )
    n_slices, n_signals = len(slices) + 1, table.raw.shape[1]
    shape = (2, n_slices, N_BUCKETS)
    cells = (table.is_current[rows] * n_slices + number) * N_BUCKETS + table.buckets[rows]
    n, total, raw = (np.empty((*shape, n_signals)) for _ in range(3))
    squares = np.empty((n_slices, n_signals))
    for j in range(n_signals):
        residual = table.residuals[rows, j]
        applies = np.isfinite(residual)
        clean = np.where(applies, residual, 0.0)
        values = np.where(applies, table.raw[rows, j], 0.0)
        for out, weights in ((n, applies), (total, clean), (raw, values)):
            out[..., j] = np.bincount(cells, weights, 2 * n_slices * N_BUCKETS).reshape(shape)
        squares[:, j] = np.bincount(number, clean**2, n_slices)
    count = np.maximum(n.sum(axis=(0, 2)), 1)
    variance = np.maximum(squares / count - (total.sum(axis=(0, 2)) / count) ** 2, 0.0)
    level = raw[0].sum(axis=1) / np.maximum(n[0].sum(axis=1), 1)
    return Sums(n, total, raw, level, variance)
