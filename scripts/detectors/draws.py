"""The windows of the comparison: what is drawn, and from where.

A cell is one line of a table. Its run number r depends on the cell's name and r alone, so that
runs can be added later and every tool sees the same windows.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from scripts.detectors.invented import Invented, draw_invented
from scripts.detectors.public import COLUMNS, Pool
from scripts.detectors.windows import IntArray, Windows

PARTS = ("null", "clusters", "mix", "power")
NULL_VERSIONS = (
    "alpacaeval gpt4_0314",
    "alpacaeval vicuna-7b-v1.3",
    "prime gpt-4-0314",
    "prime gpt-4-0613",
    "prime gpt-3.5-turbo-0301",
    "prime gpt-3.5-turbo-0613",
)
PAIRS = {
    "alpacaeval gpt-4": ("alpacaeval gpt4_0314", "alpacaeval gpt4_0613"),
    "alpacaeval vicuna": ("alpacaeval vicuna-7b-v1.3", "alpacaeval vicuna-7b-v1.5"),
    "prime gpt-4": ("prime gpt-4-0314", "prime gpt-4-0613"),
    "prime gpt-3.5": ("prime gpt-3.5-turbo-0301", "prime gpt-3.5-turbo-0613"),
    "sensitiveq gpt-4": ("sensitiveq gpt-4-0314", "sensitiveq gpt-4-0613"),
    "sensitiveq gpt-3.5": ("sensitiveq gpt-3.5-turbo-0301", "sensitiveq gpt-3.5-turbo-0613"),
    "leetcode gpt-4": ("leetcode gpt-4-0314", "leetcode gpt-4-0613"),
    "leetcode gpt-3.5": ("leetcode gpt-3.5-turbo-0301", "leetcode gpt-3.5-turbo-0613"),
}
SHARES = {25: (0.2, 0.5, 1.0), 50: (0.2, 0.5, 1.0), 100: (0.2, 0.5, 1.0),
          400: (0.1, 0.2, 0.5), 2000: (0.1, 0.2, 0.5)}  # fmt: skip
SIZES = {"alpacaeval": (100, 400), "prime": (100, 400, 2000), "sensitiveq": (50,),
         "leetcode": (25,)}  # fmt: skip
MIX = {"alpacaeval": 0.7, "prime": 0.2, "sensitiveq": 0.05, "leetcode": 0.05}
SERVICES = (
    {"alpacaeval": "gpt4_0314", "prime": "gpt-4-0314", "sensitiveq": "gpt-4-0314",
     "leetcode": "gpt-4-0314"},
    {"alpacaeval": "gpt4_0613", "prime": "gpt-4-0613", "sensitiveq": "gpt-4-0613",
     "leetcode": "gpt-4-0613"},
)  # fmt: skip
"""One model each, with all four sets of prompts."""
SHIFTS = (0.0, 0.05, 0.15, 0.30)
MIX_ROWS = 400

Draw = Callable[[np.random.Generator, int], Windows]


@dataclass(frozen=True)
class Cell:
    """A line of a table: `draw` makes its windows, from a generator and the run's number.

    `labels` say what it is; `runs` multiplies the asked number of runs; windows without texts are
    invented columns.
    """

    part: str
    table: str
    labels: tuple[str, ...]
    draw: Draw
    runs: int = 1
    has_texts: bool = True

    @property
    def key(self) -> str:
        """A name of its own, under which results are kept."""
        return " | ".join((self.part, self.table, *self.labels))

    def windows(self, run: int) -> Windows:
        """Draw the windows of one run."""
        return self.draw(np.random.default_rng([zlib.crc32(self.key.encode()), run]), run)


def list_cells(pool: Pool, parts: tuple[str, ...]) -> list[Cell]:
    """Return all cells of some parts."""
    made = {"null": _null, "clusters": _clusters, "mix": _mix, "power": _power}
    return [cell for part in parts for cell in made[part](pool)]


def _null(pool: Pool) -> list[Cell]:
    answers = [
        Cell("null", "answers", (f"{n:,}",), partial(_one_version, pool, n))
        for n in (100, 400, 1000)
    ]
    columns = [
        Cell(
            "null",
            "columns",
            (f"{b:,}", f"{c:,}"),
            partial(_columns, Invented(b, c)),
            has_texts=False,
        )
        for b in (500, 5_000, 50_000)
        for c in (50, 400, 5_000)
    ]
    return answers + columns


def _columns(sizes: Invented, rng: np.random.Generator, run: int) -> Windows:
    return draw_invented(sizes, rng)


def _one_version(pool: Pool, n: int, rng: np.random.Generator, run: int) -> Windows:
    version = pool.versions[NULL_VERSIONS[run % len(NULL_VERSIONS)]]
    return _diluted(pool, (version, version), (n, 0.0), rng)


def _diluted(
    pool: Pool,
    versions: tuple[IntArray, IntArray],
    size: tuple[int, float],
    rng: np.random.Generator,
) -> Windows:
    """Draw n rows of a version, and n of which a share comes from another, on other prompts.

    Where there are too few prompts for that, both windows are drawn with replacement from all:
    independent rows of one law, still without a change at share 0.
    """
    n, share = size
    before, after = versions
    if 2 * n <= len(before):
        order = rng.permutation(len(before))[: 2 * n]
    else:
        order = rng.integers(0, len(before), 2 * n)
    newer = np.arange(n) < round(share * n)
    now = np.where(newer, after[order[n:]], before[order[n:]])
    rows = (before[order[:n]], rng.permutation(now))
    return _pair(pool, rows, (np.arange(n), n + np.arange(n)))


def _pair(
    pool: Pool, rows: tuple[IntArray, IntArray], clusters: tuple[IntArray, IntArray]
) -> Windows:
    return Windows(
        tuple(COLUMNS),
        tuple(COLUMNS.values()),
        pool.window(rows[0], clusters[0]),
        pool.window(rows[1], clusters[1]),
        str(pool.path),
    )


def _clusters(pool: Pool) -> list[Cell]:
    people, sessions = (50, 20), (50, 8)
    return [
        Cell(
            "clusters",
            "alarms",
            ("invented columns, 50 users x 20 rows",),
            partial(_columns, Invented(1000, 1000, rows_per_user=20)),
            has_texts=False,
        ),
        Cell(
            "clusters",
            "alarms",
            ("answers, 50 users x 20 rows",),
            partial(_repeating, pool, people),
        ),
        Cell(
            "clusters",
            "alarms",
            ("answers, 50 sessions x 8 rows",),
            partial(_repeating, pool, sessions),
        ),
    ]


def _repeating(pool: Pool, shape: tuple[int, int], rng: np.random.Generator, run: int) -> Windows:
    """Draw users who get one answer again and again, and other answers in between.

    A row is its user's own answer with probability sqrt(0.5), else any: two rows of a user are
    the same with probability one half, which is the intra-class correlation of every measure.
    """
    version = pool.versions[NULL_VERSIONS[run % len(NULL_VERSIONS)]]
    n_users, each = shape
    windows, clusters = [], []
    for first in (0, n_users):
        users = rng.permutation(np.repeat(np.arange(n_users), each))
        own = rng.choice(version, n_users)[users]
        windows.append(
            np.where(rng.random(len(users)) < np.sqrt(0.5), own, rng.choice(version, len(users)))
        )
        clusters.append(first + users)
    return _pair(pool, (windows[0], windows[1]), (clusters[0], clusters[1]))


def _mix(pool: Pool) -> list[Cell]:
    return [
        Cell("mix", "shift", (f"{100 * shift:.0f} points",), partial(_shifted, pool, shift))
        for shift in SHIFTS
    ]


def _shifted(pool: Pool, shift: float, rng: np.random.Generator, run: int) -> Windows:
    """Draw two windows of one model; traffic moves from AlpacaEval to another set of prompts."""
    service = SERVICES[run % len(SERVICES)]
    other = ("prime", "sensitiveq", "leetcode")[(run // len(SERVICES)) % 3]
    moved = {**MIX, "alpacaeval": MIX["alpacaeval"] - shift, other: MIX[other] + shift}
    rows = []
    for mix in (MIX, moved):
        counts = rng.multinomial(MIX_ROWS, list(mix.values()))
        drawn = [
            rng.choice(pool.versions[f"{name} {service[name]}"], k)
            for name, k in zip(mix, counts, strict=True)
        ]
        rows.append(rng.permutation(np.concatenate(drawn)))
    return _pair(pool, (rows[0], rows[1]), (np.arange(MIX_ROWS), MIX_ROWS + np.arange(MIX_ROWS)))


def _power(pool: Pool) -> list[Cell]:
    cells = []
    for name, versions in PAIRS.items():
        places = (pool.versions[versions[0]], pool.versions[versions[1]])
        for n in SIZES[name.split()[0]]:
            for share in (0.0, *SHARES[n]):
                draw = partial(_of_pair, pool, places, (n, share))
                labels = (f"{n:,}", name, f"{share:.0%}")
                # The threshold is a 95% quantile of the runs without a change: twice as many.
                cells.append(Cell("power", "shares", labels, draw, 2 if share == 0 else 1))
    return cells


def _of_pair(
    pool: Pool,
    places: tuple[IntArray, IntArray],
    size: tuple[int, float],
    rng: np.random.Generator,
    run: int,
) -> Windows:
    return _diluted(pool, places, size, rng)
