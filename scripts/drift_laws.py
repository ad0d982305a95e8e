"""The laws of the null matrix, and windows of them drawn as sums per cluster bucket.

Rows of one user are alike in the same way for every law: with probability sqrt(ICC) a row takes
its user's own value, else a fresh one. Its law is unchanged, and any two rows of a user have the
intra-class correlation ICC whatever the law. Users' activity is lognormal (sigma 0.5).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loopllm_cli.model import SignalInfo, SignalKind, Worse
from loopllm_cli.profiles.clusters import N_BUCKETS
from loopllm_cli.profiles.profile import Profile

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Draw = Callable[[np.random.Generator, int], FloatArray]

ICC = 0.5
ACTIVITY_SIGMA = 0.5
LEVELS_SHOWN = 12
LEAST_HOLDERS = 20
"""A level is judged by itself if so many buckets of the baseline have it. Taking the most frequent
levels of a small baseline takes the lucky ones: with 500 rows of 60 users, the 12 most frequent of
200 levels fall by 12 points in all in the next window, into "other", and 23-66% of runs say so."""
_POOL_CHUNK = 1_024


@dataclass(frozen=True)
class Law:
    """One measured signal: a rate, an amount, or one level of a categorical."""

    info: SignalInfo
    family: str
    rate: float = 0.0
    mean: float = 0.0
    draw: Draw | None = None


def _rate(family: str, rate: float, worse: Worse, tolerance: float) -> Law:
    name = f"{rate:.4g} {worse}"
    return Law(SignalInfo(name, SignalKind.RATE, worse, tolerance, name), family, rate=rate)


def _amounts(family: str, name: str, mean: float, draw: Draw) -> list[Law]:
    """Return a law twice: worse upwards (tolerance 20%) and worse downwards (10%)."""
    return [
        Law(
            SignalInfo(f"{name} {worse}", SignalKind.AMOUNT, worse, tolerance, name),
            family,
            mean=mean,
            draw=draw,
        )
        for worse, tolerance in ((Worse.UP, 0.2), (Worse.DOWN, 0.1))
    ]


def _pareto(shape: float) -> tuple[float, Draw]:
    return shape / (shape - 1), lambda rng, n: rng.random(n) ** (-1 / shape)


def _lognormal(sigma: float, share: float = 1.0) -> tuple[float, Draw]:
    def draw(rng: np.random.Generator, n: int) -> FloatArray:
        if share == 1.0:
            return np.exp(sigma * rng.standard_normal(n))
        occurs = rng.random(n) < share
        values = np.zeros(n)
        values[occurs] = np.exp(sigma * rng.standard_normal(int(occurs.sum())))
        return values

    return share * float(np.exp(sigma**2 / 2)), draw


def _steps(values: tuple[float, ...], shares: tuple[float, ...]) -> tuple[float, Draw]:
    edges = np.cumsum(shares)[:-1]
    levels = np.array(values)
    return float(levels @ np.array(shares)), lambda rng, n: levels[
        np.searchsorted(edges, rng.random(n))
    ]


CATEGORIES = {
    "2 categories": np.array([0.7, 0.3]),
    "10 categories": np.array([0.3, 0.2, 0.15, 0.1, 0.08, 0.06, 0.05, 0.03, 0.02, 0.01]),
    "Zipf-200": (1 / np.arange(1, 201)) / (1 / np.arange(1, 201)).sum(),
}
LEVEL_TOLERANCE = 0.02

_MEASURED = [
    *(_rate("rates 0.1-2%", r, Worse.UP, 0.005) for r in (0.001, 0.002, 0.005)),
    *(_rate("rates 0.1-2%", r, Worse.UP, 0.01) for r in (0.01, 0.02)),
    *(_rate("rates 0.1-2%", r, Worse.DOWN, 0.01) for r in (0.98, 0.99)),
    *_amounts("heavy tails", "Pareto 1.5", *_pareto(1.5)),
    *_amounts("heavy tails", "Pareto 2.5", *_pareto(2.5)),
    *_amounts("heavy tails", "lognormal 2", *_lognormal(2.0)),
    *_amounts("zero-inflated", "70% zero", *_lognormal(0.7, 0.3)),
    *_amounts("zero-inflated", "98% zero", *_lognormal(1.0, 0.02)),
    *_amounts("ties", "1 to 5", *_steps((1.0, 2.0, 3.0, 4.0, 5.0), (0.4, 0.1, 0.1, 0.1, 0.3))),
    *_amounts("ties", "1, rarely 11", *_steps((1.0, 11.0), (0.98, 0.02))),
]


def _level_laws() -> list[Law]:
    laws = []
    for family, shares in CATEGORIES.items():
        names = [f"level {k}" for k in range(min(len(shares), LEVELS_SHOWN))] + ["other", "new"]
        for name in names:
            info = SignalInfo(
                f"{family} {name}", SignalKind.RATE, Worse.EITHER, LEVEL_TOLERANCE, name
            )
            laws.append(Law(info, family))
    return laws


LAWS: tuple[Law, ...] = (*_MEASURED, *_level_laws())
SIGNALS: tuple[SignalInfo, ...] = tuple(law.info for law in LAWS)
FAMILIES: tuple[str, ...] = tuple(dict.fromkeys(law.family for law in LAWS))


@dataclass(frozen=True)
class Sums:
    """Windows as sums per bucket.

    Shapes: `n` (runs, buckets); `total` and `total_sq` (runs, buckets, measured laws); `levels`
    maps a categorical to (runs, buckets, its levels).
    """

    n: FloatArray
    total: FloatArray
    total_sq: FloatArray
    levels: dict[str, FloatArray]


def draw_sums(
    n: int,
    design_effect: float,
    at_edge: bool,
    shape: tuple[int, int | None],
    rng: np.random.Generator,
) -> Sums:
    """Draw windows of about n rows.

    Args:
        shape: how many windows; or (1, how many buckets) for a pool of buckets, each holding
            the share of a window's rows that one of `N_BUCKETS` does. A pool's amounts are
            scaled to their law's mean, so that windows taken from it have exactly that.
    """
    runs, pooled = shape
    if pooled is None:
        return _draw(n, design_effect, at_edge, runs, rng)
    parts = [
        _draw_buckets(n, design_effect, at_edge, min(_POOL_CHUNK, pooled - start), rng)
        for start in range(0, pooled, _POOL_CHUNK)
    ]
    joined = Sums(
        *(np.concatenate([getattr(p, f) for p in parts], 1) for f in ("n", "total", "total_sq")),
        {f: np.concatenate([p.levels[f] for p in parts], axis=1) for f in CATEGORIES},
    )
    return _centred(joined, at_edge)


def take(pool: Sums, runs: int, rng: np.random.Generator) -> Sums:
    """Put windows together from a pool's buckets."""
    at = rng.integers(0, pool.n.shape[1], (runs, N_BUCKETS))
    return Sums(
        pool.n[0, at].astype(float),
        pool.total[0, at].astype(float),
        pool.total_sq[0, at].astype(float),
        {f: levels[0, at].astype(float) for f, levels in pool.levels.items()},
    )


def draw_rate(
    n: int, design_effect: float, rate: float, runs: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Draw rows and events of one rate per bucket, shapes (1, N_BUCKETS, runs).

    Args:
        design_effect: 1, or 2 by pairs of equal rows.
    """
    pairs = int(design_effect)
    shares = np.full(N_BUCKETS, 1 / N_BUCKETS)
    units = rng.multinomial(n // pairs, shares, runs)
    events = rng.binomial(units, rate)
    rows, hits = (np.asarray(x.T[None] * pairs, dtype=float) for x in (units, events))
    return rows, hits


def _draw(n: int, design_effect: float, at_edge: bool, runs: int, rng: np.random.Generator) -> Sums:
    """Draw whole windows: a fixed number of users (or of rows), hashed into buckets."""
    n_cells = runs * N_BUCKETS
    offset = np.arange(runs)[:, None] * N_BUCKETS
    if design_effect == 1.0:
        cells = (rng.integers(0, N_BUCKETS, (runs, n)) + offset).ravel()
        rows = np.bincount(cells, minlength=n_cells)
        users = np.zeros(0, dtype=np.int64)
        sizes = users
    else:
        per_user = _rows_per_user(design_effect)
        n_users = max(2, round(n / per_user))
        users = (rng.integers(0, N_BUCKETS, (runs, n_users)) + offset).ravel()
        sizes = _sizes(len(users), n / n_users, rng)
        rows = np.bincount(users, weights=sizes, minlength=n_cells).astype(np.int64)
    return _fill((users, sizes, rows), at_edge, rng, (runs, N_BUCKETS))


def _draw_buckets(
    n: int, design_effect: float, at_edge: bool, buckets: int, rng: np.random.Generator
) -> Sums:
    """Draw buckets that are independent of each other, each with its share of n rows."""
    if design_effect == 1.0:
        rows = rng.poisson(n / N_BUCKETS, buckets)
        users = np.zeros(0, dtype=np.int64)
        sizes = users
    else:
        per_user = _rows_per_user(design_effect)
        users = np.repeat(np.arange(buckets), rng.poisson(n / per_user / N_BUCKETS, buckets))
        sizes = _sizes(len(users), per_user, rng)
        rows = np.bincount(users, weights=sizes, minlength=buckets).astype(np.int64)
    return _fill((users, sizes, rows), at_edge, rng, (1, buckets))


def _rows_per_user(design_effect: float) -> float:
    # A Poisson number of rows with lognormal activity a has E[m^2]/E[m] = 1 + E[m] exp(sigma^2).
    return (design_effect - 1) / (ICC * float(np.exp(ACTIVITY_SIGMA**2)))


def _sizes(n_users: int, per_user: float, rng: np.random.Generator) -> IntArray:
    sigma = ACTIVITY_SIGMA
    activity = np.exp(sigma * rng.standard_normal(n_users) - sigma**2 / 2)
    return np.asarray(rng.poisson(per_user * activity), dtype=np.int64)


def _fill(
    layout: tuple[IntArray, IntArray, IntArray],
    at_edge: bool,
    rng: np.random.Generator,
    shape: tuple[int, int],
) -> Sums:
    """Draw the values of a layout: users' cells, users' rows, and all rows of each cell."""
    users, sizes, rows = layout
    n_cells = len(rows)
    columns, squares = [], []
    for law in _MEASURED:
        own = rng.binomial(sizes, np.sqrt(ICC))
        fresh = rows - np.bincount(users, weights=own, minlength=n_cells).astype(np.int64)
        total, square = _sums_of(law, at_edge, (users, own, fresh), rng)
        columns.append(total)
        squares.append(square)
    levels = {}
    for family, shares in CATEGORIES.items():
        own = rng.binomial(sizes, np.sqrt(ICC))
        fresh = rows - np.bincount(users, weights=own, minlength=n_cells).astype(np.int64)
        counts = rng.multinomial(fresh, shares).astype(np.float32)
        level = np.searchsorted(np.cumsum(shares)[:-1], rng.random(len(users)))
        np.add.at(counts, (users, level), own)
        levels[family] = counts.reshape(*shape, -1)
    return Sums(
        rows.astype(float).reshape(shape),
        np.stack(columns, axis=1).reshape(*shape, -1),
        np.stack(squares, axis=1).reshape(*shape, -1),
        levels,
    )


def _sums_of(
    law: Law,
    at_edge: bool,
    layout: tuple[IntArray, IntArray, IntArray],
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    """Return one law's total and sum of squares in every cell."""
    users, own, fresh = layout
    n_cells = len(fresh)
    change = law.info.tolerance * (1 if law.info.worse is Worse.UP else -1) * at_edge
    if law.draw is None:
        rate = law.rate + change
        happens = rng.random(len(users)) < rate
        total = np.bincount(users[happens], weights=own[happens], minlength=n_cells)
        total = total + rng.binomial(fresh, rate)
        return total, total
    factor = 1 + change
    mine = law.draw(rng, len(users)) * factor
    values = law.draw(rng, int(fresh.sum())) * factor
    cells = np.repeat(np.arange(n_cells), fresh)
    total = np.bincount(cells, weights=values, minlength=n_cells)
    square = np.bincount(cells, weights=values**2, minlength=n_cells)
    if len(users):
        total = total + np.bincount(users, weights=own * mine, minlength=n_cells)
        square = square + np.bincount(users, weights=own * mine**2, minlength=n_cells)
    return total, square


def _centred(pool: Sums, at_edge: bool) -> Sums:
    n = pool.n.sum()
    factors = np.ones(len(_MEASURED))
    for j, law in enumerate(_MEASURED):
        if law.draw is not None:
            change = law.info.tolerance * (1 if law.info.worse is Worse.UP else -1) * at_edge
            factors[j] = law.mean * (1 + change) * n / pool.total[..., j].sum()
    return Sums(pool.n, pool.total * factors, pool.total_sq * factors**2, pool.levels)


def to_signals(baseline: Sums, current: Sums) -> tuple[Profile, Profile]:
    """Bring windows to profiles whose signals are all laws in all runs, laws varying fastest.

    Levels of a categorical are those most frequent in the baseline, "other" and "new"; see
    `_shown` for what counts as new.
    """
    shown = [_shown(baseline.levels[f], current.levels[f]) for f in CATEGORIES]
    profiles = []
    for side, window in enumerate((baseline, current)):
        levels = [pair[side] for pair in shown]
        total = np.concatenate([window.total, *levels], axis=2)
        square = np.concatenate([window.total_sq, *levels], axis=2)
        profiles.append(_profile(window.n, total, square))
    return profiles[0], profiles[1]


def _profile(n: FloatArray, total: FloatArray, square: FloatArray) -> Profile:
    runs, buckets, n_laws = total.shape
    names = tuple(f"{law.info.name} #{run}" for run in range(runs) for law in LAWS)

    def signals(values: FloatArray) -> FloatArray:
        return np.ascontiguousarray(values.transpose(1, 0, 2)).reshape(1, buckets, runs * n_laws)

    rows = np.repeat(n[:, :, None], n_laws, axis=2)
    return Profile(names, n.mean(axis=0)[None], signals(rows), signals(total), signals(square))


def _shown(baseline: FloatArray, current: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Reduce levels to the most frequent ones of each baseline, "other" and "new".

    A row of the baseline is new if no other bucket has its level: what the rest of the baseline
    has not seen, as a later window's new rows are what the baseline has not seen (Good 1953,
    "The population frequencies of species", Biometrika 40:237-264). Counting no baseline row as
    new would find new levels wherever many levels are rare.
    """
    totals = baseline.sum(axis=1)
    n_shown = min(baseline.shape[2], LEVELS_SHOWN)
    holders = (baseline > 0).sum(axis=1)
    known = holders >= LEAST_HOLDERS
    order = np.argsort(np.where(known, -totals, 1.0), axis=1, kind="stable")[:, :n_shown]
    sides = []
    for window, is_new in ((baseline, holders <= 1), (current, holders == 0)):
        top = np.take_along_axis(window * known[:, None, :], order[:, None, :], axis=2)
        # A level among the most frequent is never new.
        rare = np.ones(totals.shape, dtype=bool)
        np.put_along_axis(rare, order, False, axis=1)
        rare |= ~known
        new = (window * (is_new & rare)[:, None, :]).sum(axis=2, keepdims=True)
        other = window.sum(axis=2, keepdims=True) - top.sum(axis=2, keepdims=True) - new
        sides.append(np.concatenate([top, other, new], axis=2))
    return sides[0], sides[1]
