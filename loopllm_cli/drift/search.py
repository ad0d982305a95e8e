"""Search for slices where behaviour changed, and judge them on rows the search has not seen.

A slice is named when a signal moved in it, and more than in the rest of the traffic: both have
to hold (an intersection-union test), so a change that is everywhere names no slice. Clusters are
split into random halves many times: one half ranks all slices, and the best few are tested on
the other with Holm's correction. A slice is named when its adjusted p-value is below alpha in
three of ten splits; it counts as 1 where the slice was not among the best. For p-values of any
dependence they would have to be below 0.3 alpha; those of halves of the same rows are far from
that worst case, and how often clean data name a slice is measured: `scripts/simulate_where.py`.

Rates are tested by the signed root of the likelihood ratio at the effective numbers of rows,
which holds where a window has few events or none; amounts by a studentised difference.

Source: Meinshausen, Meier & Bühlmann (2009), "p-values for high-dimensional regression", JASA
104:1671-1681 (many splits, quantiles of p-values); Berger (1982), "Multiparameter hypothesis
testing and acceptance sampling", Technometrics 24:295-300 (intersection-union); Barndorff-Nielsen
& Cox (1994), "Inference and Asymptotics", section 4.4 (signed root).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import special

from loopllm_cli.drift.family import holm
from loopllm_cli.drift.slices import N_BUCKETS, Slice, Sums

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

N_SPLITS = 20
ENOUGH = 6
"""Splits in which a slice must be called. Measured at 2,000 rows a window: called in a fifth of
the splits, some slice was named on clean data in 3 of 60 runs; called in half of 30 splits, with
quality down from 90% to 60% in one value, any slice was named in 62% of 40 runs, in a fifth 85%."""
N_SINGLES, N_PAIRS = 4, 6
"""How many slices of each kind a search hands on; pairs must not crowd out single values."""
_LEAST_SCORE = 1.0
_SECOND_SCORE = 2.0
_ALIKE = 0.8
_FLOOR = 0.5


@dataclass(frozen=True)
class Question:
    """Whether a signal moved to one side: its column, +1 or −1, and the tolerance.

    `is_rate` says that the tolerance is a difference, not a part of the baseline's mean.
    """

    column: int
    side: int
    tolerance: float
    is_rate: bool


@dataclass(frozen=True)
class Found:
    """A slice that changed: `p_adjusted` for each question (by number) that named it, the
    smallest first, and the buckets that judged it in the split that this p-value is from."""

    number: int
    p_adjusted: dict[int, float]
    judged_on: BoolArray


def search_slices(
    slices: tuple[Slice, ...],
    sums: Sums,
    questions: tuple[Question, ...],
    seed: int,
    alpha: float,
) -> list[Found]:
    """Search and judge slices over many random splits of the clusters."""
    rng = np.random.default_rng(seed)
    is_pair = np.array([len(s.parts) > 1 for s in slices])
    halves = np.array([rng.permutation(N_BUCKETS) < N_BUCKETS // 2 for _ in range(N_SPLITS)])
    searched = moments_of(sums, questions, halves)
    judging = moments_of(sums, questions, ~halves)
    p_values: dict[tuple[int, int], dict[int, float]] = {}
    for split in range(N_SPLITS):
        chosen = _choose(score_slices(searched.of(split)).apart, slices, is_pair)
        if not chosen:
            continue
        k, q = np.array(chosen).T
        judged = score_slices(judging.of(split).take(k))
        at = np.arange(len(k))
        adjusted = holm(special.stdtr(judged.df[at, q], -judged.apart[at, q]))
        for pair, p in zip(chosen, adjusted, strict=True):
            p_values.setdefault(pair, {})[split] = float(p)
    return _aggregate(p_values, halves, alpha)


_SUMS = ("rows", "total", "rows_squared", "product", "total_squared", "used", "raw")


@dataclass(frozen=True)
class Moments:
    """Sums over chosen buckets of what means and their errors need.

    Shapes: `rows`, `total`, `rows_squared`, `product`, `total_squared`, `used`, `raw` are
    (n_choices, 2, n_slices + 1, n_questions); `floor` is (n_slices + 1, n_questions); `side`,
    `tolerance` and `is_rate` broadcast to the slices.
    """

    rows: FloatArray
    total: FloatArray
    rows_squared: FloatArray
    product: FloatArray
    total_squared: FloatArray
    used: FloatArray
    raw: FloatArray
    floor: FloatArray
    side: FloatArray
    tolerance: FloatArray
    is_rate: BoolArray

    def of(self, choice: int) -> Moments:
        """Return the moments of one choice of buckets."""
        return replace(self, **{name: getattr(self, name)[choice] for name in _SUMS})

    def take(self, slices: IntArray) -> Moments:
        """Return the moments of some slices, of one choice of buckets."""
        with_whole = np.append(slices, len(self.floor) - 1)
        return replace(
            self,
            floor=self.floor[with_whole],
            tolerance=self.tolerance[slices],
            **{name: getattr(self, name)[:, with_whole] for name in _SUMS},
        )


def moments_of(sums: Sums, questions: tuple[Question, ...], choices: BoolArray) -> Moments:
    """Sum over choices of buckets, all at once.

    Shapes: `choices` (n_choices, N_BUCKETS).
    """
    columns = np.array([q.column for q in questions])
    unique, back = np.unique(columns, return_inverse=True)
    weights = choices.astype(float)
    n = np.ascontiguousarray(sums.n[..., unique].swapaxes(2, 3))
    total = np.ascontiguousarray(sums.total[..., unique].swapaxes(2, 3))

    def over(values: FloatArray) -> FloatArray:
        return np.asarray(np.moveaxis(values @ weights.T, -1, 0)[..., back])

    is_rate = np.array([q.is_rate for q in questions])
    tolerance = np.array([q.tolerance for q in questions])
    return Moments(
        rows=over(n),
        total=over(total),
        rows_squared=over(n * n),
        product=over(n * total),
        total_squared=over(total * total),
        used=over((n > 0).astype(float)),
        raw=over(np.ascontiguousarray(sums.raw[..., unique].swapaxes(2, 3))),
        floor=_FLOOR * sums.row_variance[:, columns],
        side=np.array([q.side for q in questions], dtype=float),
        tolerance=np.where(is_rate, tolerance, tolerance * sums.level[:-1][:, columns]),
        is_rate=is_rate,
    )


@dataclass(frozen=True)
class Scores:
    """Studentised changes of slices; all arrays have shape (n_slices, n_questions).

    `apart` is the lesser of two: the slice's change against no change, and against the rest's
    change; `beyond` is the slice's change against the tolerance.
    """

    apart: FloatArray
    beyond: FloatArray
    df: FloatArray


def score_slices(m: Moments) -> Scores:
    """Score every slice on one choice of buckets."""
    rows = np.maximum(m.rows, 1)
    mean = m.total / rows
    squares = m.total_squared - 2 * mean * m.product + mean**2 * m.rows_squared
    own = np.maximum(squares, 0.0) / rows**2 * m.used / np.maximum(m.used - 1, 1)
    variance = np.maximum(own, m.floor / rows).sum(axis=0)
    change = mean[1] - mean[0]
    rest_rows = m.rows[:, -1:] - m.rows[:, :-1]
    rest_mean = (m.total[:, -1:] - m.total[:, :-1]) / np.maximum(rest_rows, 1)
    grown = (m.rows[:, -1:] / np.maximum(rest_rows, 1)).max(axis=0)
    error = np.sqrt(np.maximum(variance[:-1], 1e-18))
    wider = np.sqrt(error**2 + variance[-1] * grown) / error
    moved = m.side * change[:-1]
    more = moved - m.side * (rest_mean[1] - rest_mean[0])
    fewest = m.used[:, :-1].min(axis=0)
    known = (fewest > 1) & (rest_rows.min(axis=0) > 0)
    level = np.clip(m.raw[0, :-1] / rows[0, :-1], 0.0, 1.0)
    deff = np.maximum(own / np.maximum(2 * m.floor / rows, 1e-18), 1.0)[:, :-1]
    least = np.minimum(moved, more)
    studentised = np.minimum(moved, more / wider) / error
    rising = np.flatnonzero(np.broadcast_to(m.is_rate, least.shape) & (least > 0) & known)
    sides = np.broadcast_to(m.side, least.shape).ravel()[rising]
    roots = _root(
        level.ravel()[rising],
        sides * least.ravel()[rising],
        m.rows[:, :-1].reshape(2, -1)[:, rising] / deff.reshape(2, -1)[:, rising],
    )
    apart = studentised.copy()
    apart.ravel()[rising] = roots / np.where(more < moved, wider, 1.0).ravel()[rising]
    return Scores(
        apart=np.where(known, apart, -np.inf),
        beyond=np.where(known, (moved - m.tolerance) / error, -np.inf),
        df=np.maximum(fewest - 1.0, 1.0),
    )


def _root(level: FloatArray, change: FloatArray, sizes: FloatArray) -> FloatArray:
    """Return the root of the likelihood ratio of two rates against one rate for both."""
    after = np.clip(level + change, 0.0, 1.0)
    before, now = sizes
    pooled = (before * level + now * after) / np.maximum(before + now, 1e-9)

    def divergence(rate: FloatArray) -> FloatArray:
        return np.asarray(special.rel_entr(rate, pooled) + special.rel_entr(1 - rate, 1 - pooled))

    ratio = 2 * (before * divergence(level) + now * divergence(after))
    return np.asarray(np.sqrt(np.maximum(ratio, 0.0)))


def score_all_rows(sums: Sums, questions: tuple[Question, ...]) -> Scores:
    """Score every slice on all clusters."""
    return score_slices(moments_of(sums, questions, np.ones((1, N_BUCKETS), dtype=bool)).of(0))


def _choose(
    scores: FloatArray, slices: tuple[Slice, ...], is_pair: BoolArray
) -> list[tuple[int, int]]:
    """Choose the best slices with their best question, without near-duplicates."""
    best = scores.max(axis=1)
    chosen: list[int] = []
    left = {False: N_SINGLES, True: N_PAIRS}
    for k in np.argsort(-best, kind="stable"):
        pair = bool(is_pair[k])
        if best[k] < _LEAST_SCORE or not any(left.values()):
            break
        if not left[pair] or any(
            is_pair[c] == pair and _alike(slices[k], slices[c]) for c in chosen
        ):
            continue
        left[pair] -= 1
        chosen.append(int(k))
    return [(k, int(q)) for k in chosen for q in _best_questions(scores[k])]


def _best_questions(scores: FloatArray) -> IntArray:
    """Return the best question, and the second where it stands out by itself as well."""
    best = np.argsort(-scores, kind="stable")[:2]
    return best if len(best) > 1 and scores[best[1]] >= _SECOND_SCORE else best[:1]


def _alike(one: Slice, other: Slice) -> bool:
    shorter, longer = sorted((len(one.rows), len(other.rows)))
    if shorter < _ALIKE * longer:
        return False
    common = len(np.intersect1d(one.rows, other.rows, assume_unique=True))
    return common > _ALIKE * (shorter + longer - common)


def _aggregate(
    p_values: dict[tuple[int, int], dict[int, float]], halves: BoolArray, alpha: float
) -> list[Found]:
    found: dict[int, Found] = {}
    for (number, question), by_split in sorted(p_values.items()):
        ranked = sorted(((p, split) for split, p in by_split.items()), key=lambda t: t[0])
        if len(ranked) < ENOUGH or ranked[ENOUGH - 1][0] > alpha:
            continue
        p, split = ranked[ENOUGH - 1]
        known = found.get(number)
        both = {**(known.p_adjusted if known else {}), question: p}
        first = known is None or p < min(known.p_adjusted.values())
        judged_on = ~halves[split] if first or known is None else known.judged_on
        ordered = dict(sorted(both.items(), key=lambda item: item[1]))
        found[number] = Found(number, ordered, judged_on)
    return list(found.values())


def seed_of(clusters: npt.NDArray[np.uint64]) -> int:
    """Return a seed that follows from whose rows are compared."""
    return int.from_bytes(hashlib.blake2b(np.sort(clusters).tobytes(), digest_size=8).digest())
