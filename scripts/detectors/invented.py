"""Invented columns of known laws, without a change, of independent rows or of users."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scripts.detectors.windows import CATEGORY, NUMBER, RATE, FloatArray, IntArray, Window, Windows

ICC = 0.5
_ZIPF = 1 / np.arange(1, 201)

Law = Callable[[np.random.Generator, int], FloatArray]


def _levels(shares: FloatArray) -> Law:
    edges = np.cumsum(shares / shares.sum())[:-1]
    return lambda rng, n: np.searchsorted(edges, rng.random(n)).astype(float)


def _mostly_zero(rng: np.random.Generator, n: int) -> FloatArray:
    occurs = rng.random(n) < 0.3
    return np.where(occurs, np.exp(0.7 * rng.standard_normal(n)), 0.0)


def _ties(rng: np.random.Generator, n: int) -> FloatArray:
    return rng.choice(5, n, p=[0.4, 0.1, 0.1, 0.1, 0.3]) + 1.0


LAWS: dict[str, tuple[str, Law]] = {
    "2 categories": (CATEGORY, _levels(np.array([0.7, 0.3]))),
    "10 categories": (
        CATEGORY,
        _levels(np.array([0.3, 0.2, 0.15, 0.1, 0.08, 0.06, 0.05, 0.03, 0.02, 0.01])),
    ),
    "Zipf 200": (CATEGORY, _levels(_ZIPF)),
    "heavy tail": (NUMBER, lambda rng, n: np.exp(2.0 * rng.standard_normal(n))),
    "rate 0.5%": (RATE, lambda rng, n: (rng.random(n) < 0.005).astype(float)),
    "70% zero": (NUMBER, _mostly_zero),
    "ties 1 to 5": (NUMBER, _ties),
}


@dataclass(frozen=True)
class Invented:
    """Sizes of the windows; `rows_per_user` rows of one user are alike."""

    n_baseline: int
    n_current: int
    rows_per_user: int = 1


def draw_invented(sizes: Invented, rng: np.random.Generator) -> Windows:
    """Draw a baseline and a current window of the same laws."""
    before = _draw(sizes, sizes.n_baseline, 0, rng)
    after = _draw(sizes, sizes.n_current, 1 + int(before.clusters.max()), rng)
    kinds = tuple(kind for kind, _ in LAWS.values())
    return Windows(tuple(LAWS), kinds, before, after)


def _draw(sizes: Invented, n: int, first: int, rng: np.random.Generator) -> Window:
    users = rng.permutation(np.arange(n) // sizes.rows_per_user)
    columns = [_of_users(law, users, sizes.rows_per_user > 1, rng) for _, law in LAWS.values()]
    none: IntArray = np.zeros(0, dtype=np.int64)
    table = np.stack(columns, axis=1)
    return Window(table, first + users, none, np.zeros((0, 0)), np.zeros(n, dtype=np.int64))


def _of_users(law: Law, users: IntArray, alike: bool, rng: np.random.Generator) -> FloatArray:
    """Draw a column; a user's rows take its own value with probability sqrt(ICC), else a fresh one.

    The law stays the same, and two rows of a user correlate by the ICC whatever the law.
    """
    fresh = law(rng, len(users))
    if not alike:
        return fresh
    own = law(rng, int(users.max()) + 1)[users]
    return np.where(rng.random(len(users)) < np.sqrt(ICC), own, fresh)
