"""One-sided error rates of single tests deep in the tail, where families of signals live.

For rates: the limits that are joined, Wilson's (as Newcombe does) and Jeffreys'. For amounts: each
window's own relative variance, and the floor by both windows' pooled one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import special

from loopllm_cli.drift.effects import estimate
from loopllm_cli.drift.intervals import jeffreys, square_and_add, to_changes, wilson
from loopllm_cli.profiles.clusters import N_BUCKETS
from loopllm_cli.profiles.profile import build_profile

FloatArray = npt.NDArray[np.float64]

TAIL = 0.05 / 12
RATES = ((0.002, 0.005), (0.02, 0.01), (0.2, 0.02), (0.8, 0.03), (0.95, 0.03))
AMOUNTS = ("lognormal 1.0", "lognormal 0.5", "mostly zero", "one in ten is 11, else 1")
_CHUNK = 500


def rate_errors(rate: float, tolerance: float, sizes: tuple[int, int], draws: int) -> FloatArray:
    """Return how often a rise exactly at the tolerance is found, over the nominal tail.

    Shapes: (2,), with Wilson's and with Jeffreys' limits.
    """
    rng = np.random.default_rng([sizes[0], sizes[1], int(rate * 1000)])
    (n_b, n_c) = sizes
    b = rng.binomial(n_b, rate, draws) / n_b
    c = rng.binomial(n_c, rate + tolerance, draws) / n_c
    quantile, tail = np.full(draws, -special.ndtri(TAIL)), np.full(draws, TAIL)
    size_b, size_c = np.full(draws, float(n_b)), np.full(draws, float(n_c))
    limits = (
        ((b, *wilson(b, size_b, quantile)), (c, *wilson(c, size_c, quantile))),
        ((b, *jeffreys(b, size_b, tail)), (c, *jeffreys(c, size_c, tail))),
    )
    none = np.zeros(draws)
    found = [(square_and_add(*pair, none)[0] > tolerance).mean() for pair in limits]
    return np.array(found) / TAIL


def amount_errors(law: str, sizes: tuple[int, int], draws: int) -> FloatArray:
    """Return how often a rise and a fall of an unchanged mean are found, over the nominal tail.

    Shapes: (2, 2), without and with the floor, by rise and fall.
    """
    rng = np.random.default_rng([*sizes, AMOUNTS.index(law)])
    found = np.zeros((2, 2))
    chunks = max(draws // _CHUNK, 1)
    for _ in range(chunks):
        profiles = []
        for n in sizes:
            names = tuple(map(str, range(_CHUNK)))
            buckets = rng.integers(0, N_BUCKETS, n) if n > N_BUCKETS else np.arange(n)
            values = _draw(law, (n, _CHUNK), rng)
            profiles.append(build_profile(names, values, np.zeros(n, int), buckets, 1))
        effects = estimate(*profiles)
        floored = to_changes(effects, np.zeros(_CHUNK, dtype=bool))
        level = np.where(effects.level_current > 0, effects.level_current, np.nan)
        own = replace(
            floored,
            se_baseline=np.sqrt(effects.var_baseline) / effects.level_baseline,
            se_current=np.nan_to_num(np.sqrt(effects.var_current) / level, nan=np.inf),
        )
        for row, changes in enumerate((own, floored)):
            low, high = changes.bounds(TAIL)
            found[row] += (low > 0).sum(), (high < 0).sum()
    return found / (chunks * _CHUNK) / TAIL


def _draw(law: str, shape: tuple[int, int], rng: np.random.Generator) -> FloatArray:
    normal = rng.standard_normal(shape)
    if law == AMOUNTS[2]:
        return np.where(rng.random(shape) < 0.3, np.exp(0.7 * normal), 0.0)
    if law == AMOUNTS[3]:
        return np.where(rng.random(shape) < 0.1, 11.0, 1.0)
    return np.asarray(np.exp(float(law.split()[1]) * normal))


def print_tails(n_runs: int, jobs: int) -> None:
    """Print both tables, with a hundred draws per run for rates and twenty for amounts."""
    print(f"\nOne test at a one-sided {TAIL:.2%}: false alarms over nominal (1.0 is right)")
    print(f"{'rate, rise':<28}{'windows':>13}{'Wilson':>10}{'Jeffreys':>10}")
    for rate, tolerance in RATES:
        for sizes in ((500, 50), (5000, 50), (5000, 200), (5000, 1000), (500, 5000)):
            wilson_rate, jeffreys_rate = rate_errors(rate, tolerance, sizes, 100 * n_runs)
            windows, words = f"{sizes[0]}/{sizes[1]}", f"{rate:.1%} + {tolerance:.1%}"
            print(f"{words:<28}{windows:>13}{wilson_rate:>10.1f}{jeffreys_rate:>10.1f}")
    print(f"{'amount, unchanged':<28}{'windows':>13}{'own: rise':>10}{'fall':>7}"
          f"{'floor: rise':>13}{'fall':>7}")  # fmt: skip
    for law in AMOUNTS:
        for sizes in ((500, 20), (500, 50), (500, 200), (500, 1000)):
            own, floor = amount_errors(law, sizes, 20 * n_runs)
            cells = f"{own[0]:>10.1f}{own[1]:>7.1f}{floor[0]:>13.1f}{floor[1]:>7.1f}"
            print(f"{law:<28}{f'{sizes[0]}/{sizes[1]}':>13}{cells}", flush=True)
