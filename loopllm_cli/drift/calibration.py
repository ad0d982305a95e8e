"""A/A splits of clean rows, and changes of known size planted into them.

A window of normal behaviour is cut into a baseline part and a current part that differ in nothing
but chance, and judged as any two windows are. How often that is called worse is the false-alarm
rate of a set-up: of its signals, tolerances, segments and clusters. The same splits with a change
of known size in the current part show what the set-up finds.

Whole clusters go to one part, as rows of one user are alike. Segments that were fitted on the rows
of a current part know them, which no real window's rows are; so segments are fitted anew on rows
kept apart from all current parts that they are used for (a reserve). Splits of one window share
its rows: their rates are about these rows, and an interval about the number of splits alone.

Source: Kohavi, Tang & Xu (2020), "Trustworthy online controlled experiments", ch. 19 (A/A tests).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from scipy import special

from loopllm_cli.drift.compare import estimate_windows
from loopllm_cli.drift.effects import Effects
from loopllm_cli.drift.verdict import JudgeSettings, judge
from loopllm_cli.model import Comparison, Frequency, SignalInfo, SignalKind, Worse
from loopllm_cli.profiles.profile import Profile, build_profile
from loopllm_cli.profiles.season import build_weekly, weekdays_of

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

DAYS_PER_WEEK = 7

_SPLITS_PER_FIT, _RESERVED = 10, 4
"""Splits that share fitted segments, and how many current parts their reserve holds."""
_FOLDS = 5


@dataclass(frozen=True)
class CleanRows:
    """A measured window without any change, row by row.

    Shapes: `values` (n_rows, n_signals), NaN where a signal does not apply; `segments`,
    `clusters`, `buckets` (n_rows,) and `days` (n_rows,), NaT where unknown. `clusters` are any
    numbers, equal for rows of one cluster. `seasonal` names the signals that follow the week.
    """

    signals: tuple[SignalInfo, ...]
    values: FloatArray
    segments: IntArray
    n_segments: int
    clusters: IntArray
    buckets: IntArray
    days: npt.NDArray[np.datetime64]
    seasonal: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.segments)

    @property
    def names(self) -> tuple[str, ...]:
        """The signals' names, in the order of the columns."""
        return tuple(info.name for info in self.signals)


Refit = Callable[[BoolArray], CleanRows]
"""Fit segments on the marked rows alone, and place all rows in them."""


@dataclass(frozen=True)
class Parts:
    """The rows of a split's baseline part and current part, as marks of shape (n_rows,)."""

    baseline: BoolArray
    current: BoolArray


@dataclass(frozen=True)
class Split:
    """One split, judged; `rows` stand in the segments that its baseline part gave."""

    rows: CleanRows
    parts: Parts
    effects: Effects
    comparisons: tuple[Comparison, ...]


def frequency(n_hits: int, n_runs: int, level: float = 0.95) -> Frequency:
    """Return how often something happened, with its exact interval.

    Source: Clopper & Pearson (1934), Biometrika 26:404-413.

    Example:
        >>> found = frequency(0, 200)
        >>> round(found.high, 4)
        0.0183
    """
    if n_runs == 0:
        return Frequency(0, 0, float("nan"), 0.0, 1.0)
    tail = (1 - level) / 2
    low = special.betaincinv(n_hits, n_runs - n_hits + 1, tail) if n_hits else 0.0
    high = special.betaincinv(n_hits + 1, n_runs - n_hits, 1 - tail) if n_hits < n_runs else 1.0
    return Frequency(n_hits, n_runs, n_hits / n_runs, float(low), float(high))


def draw_clusters(
    clusters: IntArray, n_rows: int, n_splits: int, rng: np.random.Generator
) -> Iterator[BoolArray]:
    """Yield current parts of whole clusters at random, each of `n_rows` rows or just above.

    At least one cluster always stays in the baseline part.
    """
    _, number, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    for _ in range(n_splits):
        order = rng.permutation(len(sizes))
        n_taken = int(np.searchsorted(np.cumsum(sizes[order]), n_rows)) + 1
        chosen = np.zeros(len(sizes), dtype=bool)
        chosen[order[: min(n_taken, len(sizes) - 1)]] = True
        yield chosen[number]


def draw_splits(
    rows: CleanRows, refit: Refit | None, n_current: int, n_splits: int, rng: np.random.Generator
) -> Iterator[tuple[CleanRows, Parts]]:
    """Yield splits by clusters, with the rows in the segments to judge them in.

    Where segments have to be fitted, several splits share a reserve of clusters: segments are
    fitted on the other rows, which are their baseline part, and each current part is drawn from
    the reserve. Else the baseline part is all that is not in the current part.
    """
    if refit is None:
        for current in draw_clusters(rows.clusters, n_current, n_splits, rng):
            yield rows, Parts(~current, current)
        return
    n_reserve = min(_RESERVED * n_current, len(rows) // 2)
    per_fit = _SPLITS_PER_FIT if n_reserve >= 2 * n_current else 1
    n_fits = -(-n_splits // per_fit)
    for number, reserve in enumerate(draw_clusters(rows.clusters, n_reserve, n_fits, rng)):
        placed = refit(~reserve)
        inside = np.flatnonzero(reserve)
        left = min(per_fit, n_splits - number * per_fit)
        if per_fit == 1:
            yield placed, Parts(~reserve, reserve)
            continue
        for chosen in draw_clusters(rows.clusters[inside], n_current, left, rng):
            current = np.zeros(len(rows), dtype=bool)
            current[inside[chosen]] = True
            yield placed, Parts(~reserve, current)


def part_splits(
    rows: CleanRows,
    refit: Refit | None,
    currents: Sequence[BoolArray],
    rng: np.random.Generator,
) -> Iterator[tuple[int, CleanRows, Parts]]:
    """Yield splits by given current parts (days), each against the rest, with its number.

    Where segments have to be fitted, a fifth of the parts at a time is kept apart, and each of
    these is compared with the other four fifths.
    """
    if refit is None:
        for number, current in enumerate(currents):
            yield number, rows, Parts(~current, current)
        return
    for fold in np.array_split(rng.permutation(len(currents)), min(_FOLDS, len(currents))):
        reserve = np.any([currents[k] for k in fold], axis=0)
        placed = refit(~reserve)
        for k in fold:
            yield int(k), placed, Parts(~reserve, currents[k])


def day_parts(days: npt.NDArray[np.datetime64], n_days: int) -> list[tuple[str, BoolArray]]:
    """Return every stretch of so many days as a current part, named by its first day.

    Stretches begin at the first day; one that is cut off at the end is left out.
    """
    known = ~np.isnat(days)
    if not known.any():
        return []
    first = days[known].min()
    since = np.where(known, (days - first).astype(np.int64), -n_days)
    n_parts = int(since.max() + 1) // n_days
    parts = [(str(first + k * n_days), since // n_days == k) for k in range(n_parts)]
    return [(name, part) for name, part in parts if part.any()]


def judge_split(rows: CleanRows, parts: Parts, settings: JudgeSettings) -> Split:
    """Judge a current part against a baseline part."""
    effects = _estimate(rows, parts, rows.values[parts.current])
    return Split(rows, parts, effects, judge(effects, rows.signals, settings))


def judge_planted(
    split: Split, sizes: FloatArray, settings: JudgeSettings, rng: np.random.Generator
) -> dict[str, Comparison]:
    """Judge each signal with a change for the worse in it and all others as they are.

    In a rate, rows chosen at random turn from good to bad; an amount is scaled as a whole.

    Args:
        sizes: shape (n_signals,): changes as in `Comparison.change`, without a sign; NaN for
            none.

    Returns:
        The changed signals' comparisons, by name. A signal is left out in which the change does
        not fit: a rate of 1% cannot fall by two points.
    """
    rows = split.rows
    values = rows.values[split.parts.current].copy()
    planted = [
        k
        for k, (info, size) in enumerate(zip(rows.signals, sizes, strict=True))
        if np.isfinite(size) and _plant(values[:, k], info, float(size), rng)
    ]
    changed = _estimate(rows, split.parts, values)
    found = {}
    for k in planted:
        only = np.arange(len(sizes)) == k
        mixed = Effects(
            **{
                f.name: np.where(only, getattr(changed, f.name), getattr(split.effects, f.name))
                for f in fields(Effects)
            }
        )
        found[rows.names[k]] = judge(mixed, rows.signals, settings)[k]
    return found


def _plant(column: FloatArray, info: SignalInfo, size: float, rng: np.random.Generator) -> bool:
    """Change a column for the worse in place; say whether the change fits."""
    up = info.worse is Worse.UP
    if info.kind is SignalKind.AMOUNT:
        if not up and size >= 1:
            return False
        column *= 1 + size if up else 1 - size
        return bool(np.isfinite(column).any())
    good = np.flatnonzero(column == (0.0 if up else 1.0))
    wanted = size * np.isfinite(column).sum()
    n_turned = int(wanted) + int(rng.random() < wanted % 1)
    if not wanted > 0 or n_turned > len(good):
        return False
    column[rng.choice(good, n_turned, replace=False)] = 1.0 if up else 0.0
    return True


def _estimate(rows: CleanRows, parts: Parts, values: FloatArray) -> Effects:
    """Estimate the effects of a split whose current part has these values."""
    before = rows.values[parts.baseline]
    whole = (_profile(rows, parts.baseline, before), _profile(rows, parts.current, values))
    if not rows.seasonal:
        return estimate_windows(*whole, None)
    weekly = (_weekly(rows, parts.baseline, before), _weekly(rows, parts.current, values))
    return estimate_windows(*whole, weekly)


def _profile(rows: CleanRows, part: BoolArray, values: FloatArray) -> Profile:
    return build_profile(
        rows.names, values, rows.segments[part], rows.buckets[part], rows.n_segments
    )


def _weekly(rows: CleanRows, part: BoolArray, values: FloatArray) -> Profile:
    at = [rows.names.index(name) for name in rows.seasonal]
    places = (weekdays_of(rows.days[part]), rows.segments[part], rows.buckets[part])
    return build_weekly(rows.seasonal, values[:, at], places, rows.n_segments)
