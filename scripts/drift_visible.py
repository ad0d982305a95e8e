"""Whether announced visible changes, and the plans made of them, hold: by simulation.

Announced is what windows without a change say (their median; "none" counts as infinite). Needed is
the size that is truly found in 80% of runs, from the same runs: amounts only shift on the log
scale, and for rates the planted size is searched for with the rows' latent values held fixed. Rows
belong to users of lognormal activity (sigma 1) who share 30% of a latent normal value, or are
independent; there is one segment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from loopllm_cli.drift.effects import Effects, estimate
from loopllm_cli.drift.intervals import Changes, to_changes
from loopllm_cli.drift.plan import plan_signals
from loopllm_cli.drift.power import Goal, visible_change
from loopllm_cli.drift.verdict import JudgeSettings
from loopllm_cli.model import SignalKind, Worse
from loopllm_cli.profiles.clusters import N_BUCKETS
from loopllm_cli.profiles.profile import Profile
from scripts.drift_worlds import MEASURES, Measure

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

SETTINGS = JudgeSettings()
NAMES = (
    *("2% up", "98% down", "80% down", "20% up", "50% down"),
    *("lognormal 1.0 up", "lognormal 1.0 down", "lognormal 0.5 up"),
)
MEASURED = tuple(m for m in MEASURES if m.info.name in NAMES)
SIZES = (
    ("independent", 500, 200, 0, 0),
    ("independent", 5000, 1000, 0, 0),
    ("20 users", 5000, 200, 500, 20),
    ("100 users", 1000, 1000, 100, 100),
    ("100 users", 5000, 1000, 500, 100),
    ("500 users", 5000, 5000, 500, 500),
)
USER_SHARE = 0.3
_STEPS = 9


@dataclass(frozen=True)
class Sizes:
    """Rows and users of a baseline and a current window; without users, rows are independent."""

    n_baseline: int
    n_current: int
    users_baseline: int = 0
    users_current: int = 0


@dataclass(frozen=True)
class Rows:
    """Many runs' rows: `cells` numbers bucket and run, `latent` maps a signal to normal values."""

    runs: int
    cells: IntArray
    latent: dict[str, FloatArray]

    def profile(self, measure: Measure, change: float = 0.0) -> Profile:
        """Return one signal's sums with a planted change; every run is a signal of its own."""
        values = _measured(self.latent[measure.info.name], measure, change)

        def sums(weights: FloatArray) -> FloatArray:
            flat = np.bincount(self.cells, weights=weights, minlength=N_BUCKETS * self.runs)
            return flat.reshape(1, N_BUCKETS, self.runs)

        n = sums(np.ones_like(values))
        names = tuple(str(run) for run in range(self.runs))
        return Profile(names, n.mean(axis=2), n, sums(values), sums(values**2))


def draw_rows(n: int, users: int, runs: int, rng: np.random.Generator) -> Rows:
    """Draw latent values of all signals."""
    run = np.arange(runs)[:, None]
    if not users:
        cells = rng.integers(0, N_BUCKETS, (runs, n)) * runs + run
        latent = {m.info.name: rng.standard_normal(runs * n) for m in MEASURED}
        return Rows(runs, cells.ravel(), latent)
    activity = np.exp(rng.standard_normal((runs, users)))
    steps = np.cumsum(activity / activity.sum(axis=1, keepdims=True), axis=1)
    drawn = np.stack([np.searchsorted(s, rng.random(n)) for s in steps]).clip(0, users - 1)
    buckets = np.take_along_axis(rng.integers(0, N_BUCKETS, (runs, users)), drawn, axis=1)
    latent = {}
    for measure in MEASURED:
        own = np.take_along_axis(rng.standard_normal((runs, users)), drawn, axis=1)
        fresh = rng.standard_normal((runs, n))
        mixed = np.sqrt(USER_SHARE) * own + np.sqrt(1 - USER_SHARE) * fresh
        latent[measure.info.name] = mixed.ravel()
    return Rows(runs, (buckets * runs + run).ravel(), latent)


def _measured(latent: FloatArray, measure: Measure, change: float) -> FloatArray:
    if measure.info.kind is SignalKind.RATE:
        rate = np.clip(measure.level + change, 0.0, 1.0)
        return np.asarray(special.ndtr(latent) > 1 - rate, dtype=float)
    return np.asarray(np.exp(measure.sigma * latent) * (1 + change))


def announced_and_needed(sizes: Sizes, runs: int, seed: int) -> dict[str, tuple[float, float]]:
    """Return, by signal, the announced visible change and the one found in 80% of runs."""
    rng = np.random.default_rng(seed)
    before = draw_rows(sizes.n_baseline, sizes.users_baseline, runs, rng)
    now = draw_rows(sizes.n_current, sizes.users_current, runs, rng)
    found = {}
    for measure in MEASURED:
        base = before.profile(measure)
        announced = _median(_announced(measure, *_compared(measure, base, now.profile(measure))))
        found[measure.info.name] = announced, _needed(measure, base, now)
    return found


def planned_and_needed(sizes: Sizes, runs: int, seed: int) -> dict[str, tuple[float, float]]:
    """Return the change a plan made of the baseline alone promises, and the one needed."""
    rng = np.random.default_rng(seed)
    before = draw_rows(sizes.n_baseline, sizes.users_baseline, runs, rng)
    now = draw_rows(sizes.n_current, sizes.users_current, runs, rng)
    found = {}
    for measure in MEASURED:
        base = before.profile(measure)
        found[measure.info.name] = (
            _median(_planned(measure, base, sizes)),
            _needed(measure, base, now),
        )
    return found


def _planned(measure: Measure, base: Profile, sizes: Sizes) -> FloatArray:
    """Plan for every run's baseline at once, each at the level of one of the measured signals."""
    runs = len(base.signal_names)
    tail = SETTINGS.alpha / len(MEASURED)
    plans = plan_signals(
        base, (measure.info,) * runs, JudgeSettings(tail * runs, SETTINGS.power), sizes.n_current
    )
    return np.array([plan.visible for plan in plans])


def _compared(measure: Measure, base: Profile, current: Profile) -> tuple[Effects, Changes]:
    effects = estimate(base, current)
    is_rate = np.full(effects.n_current.shape, measure.info.kind is SignalKind.RATE)
    return effects, to_changes(effects, is_rate)


def _goal(measure: Measure, runs: int) -> Goal:
    up = np.full(runs, measure.info.worse is Worse.UP)
    tail = SETTINGS.alpha / len(MEASURES)
    return Goal(np.full(runs, measure.info.tolerance), up, tail, SETTINGS.power)


def _announced(measure: Measure, effects: Effects, changes: Changes) -> FloatArray:
    return visible_change(effects, changes, _goal(measure, len(changes.df)))


def _median(values: FloatArray) -> float:
    return float(np.median(np.where(np.isfinite(values), values, np.inf)))


def _needed(measure: Measure, base: Profile, now: Rows) -> float:
    """Return the size that is called worse in 80% of runs, infinite where none is."""
    up = measure.info.worse is Worse.UP
    low = measure.info.tolerance
    if measure.info.kind is SignalKind.RATE:
        high = (1 - measure.level) if up else measure.level
    else:
        high = 30.0 if up else 0.999
    if _power(measure, base, now, high) < SETTINGS.power:
        return float("inf")
    for _ in range(_STEPS):
        middle = (low + high) / 2 if measure.info.kind is SignalKind.RATE or not up else (
            np.sqrt((1 + low) * (1 + high)) - 1
        )  # fmt: skip
        enough = _power(measure, base, now, middle) >= SETTINGS.power
        low, high = (low, middle) if enough else (middle, high)
    return float((low + high) / 2)


def _power(measure: Measure, base: Profile, now: Rows, size: float) -> float:
    sign = 1.0 if measure.info.worse is Worse.UP else -1.0
    _, changes = _compared(measure, base, now.profile(measure, sign * size))
    lower, upper = changes.bounds(SETTINGS.alpha / len(MEASURES))
    found = lower > measure.info.tolerance if sign > 0 else upper < -measure.info.tolerance
    return float(found.mean())


def print_visible(n_runs: int, jobs: int) -> None:
    """Announced smallest visible changes beside those found in 80% of runs, and their ratio."""
    print(f"\nVisible change, {n_runs} runs: announced / found in 80% of runs = ratio")
    _print(announced_and_needed, n_runs)


def print_plan(n_runs: int, jobs: int) -> None:
    """Planned visible changes (of the baseline alone) beside those found in 80% of runs."""
    print(f"\nPlan, {n_runs} runs: planned / found in 80% of runs = ratio")
    _print(planned_and_needed, n_runs)


def _print(study: object, n_runs: int) -> None:
    print(f"{'rows':<14}{'windows':>12}" + "".join(f"{m.info.name:>20}" for m in MEASURED))
    for words, *numbers in SIZES:
        sizes = Sizes(*numbers)
        cells = ""
        for announced, needed in study(sizes, n_runs, 7).values():  # type: ignore[operator]
            ratio = f"{announced / needed:.2f}" if np.isfinite(announced) else "none"
            cells += f"{f'{announced:.1%}/{needed:.1%}={ratio}':>20}"
        print(f"{words:<14}{f'{sizes.n_baseline}/{sizes.n_current}':>12}{cells}", flush=True)
