"""Every other segment by itself: what a mean over all untouched traffic would hide.

An adapter that pushes one tool call may break its neighbour: on the sample world one intent of
twelve fell from 100% to 72% of right answers while all others stayed. Each prompt is answered with
and without the adapter, so that a segment's losses can be counted in pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from loopllm_cli.model import Check, Gate, SignalInfo, SignalKind, Worse
from loopllm_cli.verify.gate import RIGHT
from loopllm_cli.verify.tarone import family_size

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

POWER = 0.80
BROKEN = 0.5
_MOST_ROWS = 1_000
_MOST_NAMED = 3
NAME = "every other segment"


@dataclass(frozen=True, slots=True)
class Cell:
    """One signal in one segment: how many prompts, and how many got worse and better.

    `usual` is the share that may get worse: the signal's tolerance, or what it loses in all other
    segments where that is more. `drawn` says that answers are drawn at random, so that flips both
    ways are noise; without that every flip is the adapter's doing.
    """

    segment: int
    info: SignalInfo
    n: int
    worse: int
    better: int
    usual: float
    drawn: bool = False

    @property
    def p_value(self) -> float:
        """Test that the net loss is no more than usual; of drawn answers, that flips are noise.

        Source: the exact binomial tail; McNemar (1947), Psychometrika 12:153-157.
        """
        net = self.worse - self.better
        if net <= 0:
            return 1.0
        beyond = float(stats.binom.sf(net - 1, self.n, self.usual))
        if not self.drawn:
            return beyond
        return max(beyond, float(stats.binom.sf(self.worse - 1, self.worse + self.better, 0.5)))

    @property
    def least_p(self) -> float:
        """The smallest p-value that so many prompts (or flips) can give."""
        flips = 0.5 ** (self.worse + self.better) if self.drawn else 0.0
        return max(self.usual**self.n, flips)


def count_cells(
    infos: tuple[SignalInfo, ...],
    sides: tuple[FloatArray, FloatArray],
    segments: IntArray,
    where: list[int],
    *,
    drawn: bool = False,
) -> tuple[Cell, ...]:
    """Count per segment and signal how many prompts got worse and better.

    Args:
        sides: without and with the adapter, each of shape (n_prompts, n_signals): shares over a
            prompt's answers, NaN where a signal does not apply. Amounts and signals without a bad
            side are passed over.
        where: the segments to look at.
        drawn: whether answers are drawn at random.
    """
    before, after = sides
    cells: list[Cell] = []
    for j, info in enumerate(infos):
        if info.kind is not SignalKind.RATE or info.worse is Worse.EITHER:
            continue
        known = np.isfinite(before[:, j]) & np.isfinite(after[:, j])
        was, now = before[:, j] >= 0.5, after[:, j] >= 0.5
        up, down = known & ~was & now, known & was & ~now
        bad, good = (up, down) if info.worse is Worse.UP else (down, up)
        counts = {}
        for k in where:
            here = segments == k
            counts[k] = tuple(int((x & here).sum()) for x in (known, bad, good))
        n_all, bad_all = (sum(c[i] for c in counts.values()) for i in (0, 1))
        for k, (n, worse, better) in counts.items():
            if n:
                elsewhere = (bad_all - worse) / (n_all - n) if n_all > n else 0.0
                usual = max(info.tolerance, elsewhere)
                cells.append(Cell(k, info, n, worse, better, usual, drawn))
    return tuple(cells)


def find_broken(cells: tuple[Cell, ...], alpha: float) -> tuple[Cell, ...]:
    """Return the cells that got worse, with the chance of any false one at most alpha."""
    level = _level(cells, alpha)
    found = [(c.p_value, c) for c in cells if c.worse > c.better and c.least_p <= level]
    ranked = sorted(found, key=lambda item: (item[0], item[1].segment, item[1].info.name))
    return tuple(cell for p_value, cell in ranked if p_value <= level)


def _level(cells: tuple[Cell, ...], alpha: float) -> float:
    return alpha / family_size([cell.least_p for cell in cells], alpha)


def rows_needed(level: float, usual: float, broken: float) -> int:
    """Return how many prompts a segment needs to show, at a level, that a share of them broke.

    With probability `POWER`, where nothing got better.
    """
    for n in range(1, _MOST_ROWS):
        least = int(stats.binom.isf(level, n, usual)) + 1
        if least <= n and float(stats.binom.sf(least - 1, n, broken)) >= POWER:
            return n
    return _MOST_ROWS


def check_segments(cells: tuple[Cell, ...], label: Callable[[int], str], alpha: float) -> Check:
    """Judge whether any single segment got worse in any signal, and how much could be seen.

    It is no proof where most of the traffic lies in segments that could break wholly unseen.
    """
    sizes = _largest(cells)
    total = sum(sizes.values())
    if not total:
        return Check(NAME, Gate.INCONCLUSIVE, "no prompt of untouched traffic to try", 0)
    broken = find_broken(cells, alpha)
    if broken:
        return Check(NAME, Gate.FAIL, "worse: " + _named(broken, label), total)
    level = _level(cells, alpha)
    usual = max(c.usual for c in cells)
    wholly, half = (rows_needed(level, usual, share) for share in (1.0, BROKEN))
    # Other signals show some breaks only; right answers show each, where they are known.
    told = _largest(tuple(c for c in cells if c.info.name == RIGHT)) or sizes
    text = (
        f"none of {len(sizes)} worse in any signal; right answers lost wholly would show in "
        f"{sum(n >= wholly for n in told.values())} of them, by half in "
        f"{sum(n >= half for n in told.values())}"
    )
    enough = sum(n for n in sizes.values() if n >= wholly) * 2 > total
    return Check(NAME, Gate.PASS if enough else Gate.INCONCLUSIVE, text, total)


def _largest(cells: tuple[Cell, ...]) -> dict[int, int]:
    sizes: dict[int, int] = {}
    for c in cells:
        sizes[c.segment] = max(c.n, sizes.get(c.segment, 0))
    return sizes


def _named(broken: tuple[Cell, ...], label: Callable[[int], str]) -> str:
    said = [
        f"{c.info.name.replace('_', ' ')} in {label(c.segment)} ({c.worse} of {c.n} worse, "
        f"{c.better} better)"
        for c in broken[:_MOST_NAMED]
    ]
    more = len(broken) - len(said)
    return ", ".join(said) + (f" and {more} more" if more else "")
