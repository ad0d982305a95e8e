"""The null matrix: how often a run without drift claims any, over sizes, laws and dependence.

Every cell draws windows straight as sums per cluster bucket, many runs at a time, and decides
with the program's own estimates and bounds (`tests/slow/test_drift_simulation.py` holds the
decisions against the judge's, run by run). Each family of laws is a run of its own, and all of
them together are one more. "Still" is no change; at the "edge" every signal with a bad side has
truly changed by exactly its tolerance, so that no claim "worse" is true yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from loopllm_cli.drift.effects import estimate
from loopllm_cli.drift.intervals import to_changes
from loopllm_cli.drift.unresolved import bounded_changes
from loopllm_cli.drift.verdict import JudgeSettings, _constant, _usable
from loopllm_cli.model import SignalKind, Worse
from loopllm_cli.profiles.profile import Profile
from scripts.drift_laws import (
    FAMILIES,
    LAWS,
    SIGNALS,
    Sums,
    draw_rate,
    draw_sums,
    take,
    to_signals,
)

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

SETTINGS = JudgeSettings()
CURRENT = (50, 200, 1_000, 5_000, 20_000, 100_000)
BASELINE = (500, 5_000, 50_000, 1_000_000)
DESIGN_EFFECTS = (1.0, 2.0, 5.0, 10.0)
CLAIMS = ("worse", "changed", "any")
_CHUNK = 50
_POOLED_FROM = 20_000
_POOL_BUCKETS = {20_000: 65_536, 50_000: 32_768, 100_000: 32_768, 1_000_000: 8_192}


@dataclass(frozen=True)
class Cell:
    """One cell of the matrix."""

    n_baseline: int
    n_current: int
    design_effect: float
    at_edge: bool

    @property
    def words(self) -> str:
        """Name the windows' sizes."""
        return f"{self.n_baseline:,}/{self.n_current:,}"


class Windows:
    """Draws windows of one design effect; large ones are put together from a pool of buckets."""

    def __init__(self, design_effect: float, seed: int) -> None:
        self._design_effect = design_effect
        self._seed = seed
        self._pools: dict[tuple[int, bool], Sums] = {}

    def draw(self, n: int, at_edge: bool, runs: int, rng: np.random.Generator) -> Sums:
        """Draw many windows of about n rows; shapes (runs, N_BUCKETS, ...)."""
        if n < _POOLED_FROM:
            return draw_sums(n, self._design_effect, at_edge, (runs, None), rng)
        key = (n, at_edge)
        if key not in self._pools:
            pool_rng = np.random.default_rng([self._seed, n, int(at_edge)])
            self._pools[key] = draw_sums(
                n, self._design_effect, at_edge, (1, _POOL_BUCKETS[n]), pool_rng
            )
        return take(self._pools[key], runs, rng)


def false_claims(
    cells: list[Cell], n_runs: int, seed: int, pools: int = 0
) -> dict[Cell, FloatArray]:
    """Return how often each family of laws made each claim.

    Args:
        cells: all of one design effect.

    Shapes: (n_families + 1, 3), the last row being all laws together; columns as in `CLAIMS`.
    """
    windows = Windows(cells[0].design_effect, pools)
    found = {}
    for cell in cells:
        key = [seed, cell.n_baseline, cell.n_current, int(cell.design_effect), int(cell.at_edge)]
        rng = np.random.default_rng(key)
        claims: FloatArray = np.zeros((len(FAMILIES) + 1, len(CLAIMS)))
        for start in range(0, n_runs, _CHUNK):
            runs = min(_CHUNK, n_runs - start)
            baseline = windows.draw(cell.n_baseline, False, runs, rng)
            current = windows.draw(cell.n_current, cell.at_edge, runs, rng)
            claims += decide(*to_signals(baseline, current)).sum(axis=1)
        found[cell] = claims / n_runs
    return found


def decide(baseline: Profile, current: Profile) -> BoolArray:
    """Decide many runs at once; every signal of the profiles is one law in one run, laws fastest.

    Shapes: (n_families + 1, n_runs, 3).
    """
    n_laws = len(SIGNALS)
    n_runs = len(baseline.signal_names) // n_laws
    effects = estimate(baseline, current)

    def every(values: list[bool] | list[float]) -> FloatArray:
        return np.tile(np.array(values), n_runs)

    is_rate = every([s.kind is SignalKind.RATE for s in SIGNALS]).astype(bool)
    changes = bounded_changes(effects, is_rate, JudgeSettings().unresolved)
    moving = (_usable(effects, changes) & ~_constant(effects)).reshape(n_runs, n_laws)
    tolerance = every([s.tolerance for s in SIGNALS])
    up = every([s.worse is Worse.UP for s in SIGNALS]).astype(bool)
    either = np.array([s.worse is Worse.EITHER for s in SIGNALS])
    families = [np.array([law.family == f for law in LAWS]) for f in FAMILIES]
    out = np.zeros((len(families) + 1, n_runs, 3), dtype=bool)
    whole = np.ones(n_laws, dtype=bool)
    # The families share no law, so that one set of bounds serves them all.
    for rows, groups in ((range(len(families)), families), ([len(families)], [whole])):
        tail = np.full((n_runs, n_laws), 0.25)
        for group in groups:
            for side, halves in ((~either, 1.0), (either, 2.0)):
                inside = group & side
                size = np.maximum((moving & inside).sum(axis=1, keepdims=True), 1)
                tail = np.where(inside, SETTINGS.alpha / size / halves, tail)
        low, high = changes.bounds(tail.ravel())
        above, below = low > tolerance, high < -tolerance
        bad = (np.where(up, above, below)).reshape(n_runs, n_laws) & moving & ~either
        good = (np.where(up, below, above)).reshape(n_runs, n_laws) & moving & ~either
        moved = (above | below).reshape(n_runs, n_laws) & moving & either
        for row, group in zip(rows, groups, strict=True):
            claims = [(kind & group).any(axis=1) for kind in (bad, moved, bad | moved | good)]
            out[row] = np.stack(claims, axis=1)
    return out


def limit(n_runs: int) -> float:
    """Return the nominal rate plus two Monte-Carlo standard errors."""
    return float(SETTINGS.alpha + 2 * np.sqrt(SETTINGS.alpha * (1 - SETTINGS.alpha) / n_runs))


def _cells(
    design_effect: float, baseline: tuple[int, ...], current: tuple[int, ...]
) -> Iterator[Cell]:
    for at_edge in (False, True):
        for n_baseline in baseline:
            for n_current in current:
                yield Cell(n_baseline, n_current, design_effect, at_edge)


def print_matrix(n_runs: int, jobs: int) -> None:
    """Every cell of the null matrix; cells above the limit are run again, four times as often."""
    print(f"\nNull matrix, {n_runs} runs per cell, degraded / changed / any claim in % of runs")
    print(f"at most {limit(n_runs):.1%} is within two standard errors of 5% ('!': above)")
    print(
        f"{'deff':>5}{'windows':>18} {'truth':<6}" + "".join(f"{f:>16}" for f in (*FAMILIES, "all"))
    )
    groups = [list(_cells(d, BASELINE, CURRENT)) for d in DESIGN_EFFECTS]
    work = partial(_first_and_again, n_runs=n_runs)
    if jobs == 1:
        done = map(work, groups)
        for found in done:
            _print_cells(found, n_runs)
        return
    with ProcessPoolExecutor(jobs) as pool:
        for found in pool.map(work, groups):
            _print_cells(found, n_runs)


def _first_and_again(cells: list[Cell], n_runs: int) -> dict[Cell, FloatArray]:
    """Run all cells, and those above the limit again with fresh draws that replace the first."""
    found = false_claims(cells, n_runs, seed=1)
    loud = [cell for cell, claims in found.items() if claims[:, :2].max() > limit(n_runs)]
    again = false_claims(loud, 4 * n_runs, seed=2, pools=1) if loud else {}
    return {**found, **again}


def _print_cells(found: dict[Cell, FloatArray], n_runs: int) -> None:
    for cell, claims in found.items():
        cells = ""
        for row in claims:
            loud = "!" if row[:2].max() > limit(n_runs) else " "
            cells += f"{'/'.join(f'{100 * x:.1f}' for x in row) + loud:>16}"
        truth = "edge" if cell.at_edge else "still"
        print(f"{cell.design_effect:>5.0f}{cell.words:>18} {truth:<6}{cells}", flush=True)


EXAMPLES = (
    ("refusals 2% -> 4%", 0.02, 0.04, Worse.UP, 0.01, 20_000, 20_000),
    ("right answers 90% -> 80%", 0.9, 0.8, Worse.DOWN, 0.03, 5_000, 5_000),
    ("refusals 2%, up 0.02 sd", 0.02, 0.02 + 0.02 * 0.14, Worse.UP, 0.01, 1_000_000, 1_000_000),
    ("right 50%, down 0.02 sd", 0.5, 0.5 - 0.02 * 0.5, Worse.DOWN, 0.03, 1_000_000, 1_000_000),
)
EXAMPLE_FAMILY = 24


def example_power(case: int, design_effect: float, n_runs: int) -> float:
    """Return how often one of the named examples is called worse, in a family of 24 signals."""
    _, before, after, worse, tolerance, n_baseline, n_current = EXAMPLES[case]
    rng = np.random.default_rng([case, int(design_effect)])
    profiles = []
    for n, rate in ((n_baseline, before), (n_current, after)):
        rows, events = draw_rate(n, design_effect, rate, n_runs, rng)
        names = tuple(str(run) for run in range(n_runs))
        profiles.append(Profile(names, rows.mean(axis=2), rows, events, events))
    changes = to_changes(estimate(*profiles), np.ones(n_runs, dtype=bool))
    low, high = changes.bounds(SETTINGS.alpha / EXAMPLE_FAMILY)
    found = low > tolerance if worse is Worse.UP else high < -tolerance
    return float(found.mean())


def print_examples(n_runs: int, jobs: int) -> None:
    """Named changes: those that matter are found, those that do not are not."""
    print(f"\nExamples, called worse in % of {n_runs} runs, family of {EXAMPLE_FAMILY}")
    print(f"{'change':<28}{'windows':>22}" + "".join(f"{f'deff {d:.0f}':>10}" for d in (1.0, 2.0)))
    for case, (words, *_, n_baseline, n_current) in enumerate(EXAMPLES):
        cells = "".join(f"{example_power(case, d, n_runs):>10.1%}" for d in (1.0, 2.0))
        print(f"{words:<28}{f'{n_baseline:,}/{n_current:,}':>22}{cells}", flush=True)
