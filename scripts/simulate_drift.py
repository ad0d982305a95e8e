"""How often the drift decision errs, by simulation: false alarms, coverage, power, traffic shifts.

    python -m scripts.simulate_drift --runs 1000 --jobs 2
    python -m scripts.simulate_drift --quick level mix

Every run draws two windows from an artificial service (`drift_worlds.py`) and decides with the
program's own code: profiles, effects, verdicts, status. Rates are printed with their Monte-Carlo
standard error; "!" marks false alarms above 5% by more than two of them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from loopllm_cli.drift.effects import estimate
from loopllm_cli.drift.verdict import JudgeSettings, judge, judge_status
from loopllm_cli.model import Status, Verdict
from scripts.drift_matrix import print_examples, print_matrix
from scripts.drift_tails import print_tails
from scripts.drift_visible import print_plan, print_visible
from scripts.drift_worlds import GROUPS, World, draw_windows

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

SETTINGS = JudgeSettings()
SIZES = tuple((b, c) for b in (500, 5000) for c in (50, 200, 1000, 5000))


@dataclass(frozen=True)
class Tally:
    """What many runs of one world decided; arrays have shape (n_runs, n_signals).

    `below` and `above` say that the true change lies under or over the 95% interval.
    """

    world: World
    degraded: BoolArray
    worse: BoolArray
    p_value: FloatArray
    below: BoolArray
    above: BoolArray
    usable: BoolArray
    visible: FloatArray
    design_effect: FloatArray
    moved_traffic: FloatArray

    def false_alarms(self, group: str | None = None) -> float:
        """Return how often any signal (of a group, as a family of its own) is called worse."""
        if group is None:
            return float(self.degraded.mean())
        inside = np.array([m.group == group for m in self.world.measures])
        family = np.maximum(self.usable[:, inside].sum(axis=1), 1)
        return float((self.p_value[:, inside].min(axis=1) * family < SETTINGS.alpha).mean())

    def coverage(self, group: str) -> float:
        """Return how often a group's 95% intervals hold the true change."""
        inside = np.array([m.group == group for m in self.world.measures])
        missed = (self.below | self.above)[:, inside]
        return 1 - float(missed.sum() / max(self.usable[:, inside].sum(), 1))


def simulate(world: World, n_runs: int, jobs: int = 1, seed: int = 0) -> Tally:
    """Run a world many times; run number r depends on (seed, r) alone."""
    if jobs == 1:
        runs = [_decide(world, (seed, r)) for r in range(n_runs)]
    else:
        with ProcessPoolExecutor(jobs) as pool:
            seeds = [(seed, r) for r in range(n_runs)]
            runs = list(pool.map(partial(_decide, world), seeds, chunksize=20))
    return Tally(world, *(np.array(column) for column in zip(*runs, strict=True)))


def _decide(world: World, seed: tuple[int, int]) -> tuple[object, ...]:
    baseline, current = draw_windows(world, np.random.default_rng(seed))
    infos = tuple(m.info for m in world.measures)
    # What compare_profiles decides by, without its search for segments, which decides nothing.
    found = judge(estimate(baseline, current), infos, SETTINGS)
    usable = np.array([not c.note for c in found])
    truth = world.true_changes()
    shares = [p.n_rows.sum(axis=1) / p.n_rows.sum() for p in (baseline, current)]
    return (
        judge_status(found, SETTINGS) is Status.DEGRADED,
        np.array([c.verdict is Verdict.WORSE for c in found]),
        np.where(usable, [c.p_value for c in found], 1.0),
        usable & (truth < np.array([c.low for c in found])),
        usable & (truth > np.array([c.high for c in found])),
        usable,
        np.array([c.visible_change for c in found]),
        np.array([c.design_effect for c in found]),
        np.abs(shares[0] - shares[1]).sum() / 2,
    )


def _se(rate: float, n_runs: int) -> float:
    return float(np.sqrt(max(rate * (1 - rate), 0.5 / n_runs) / n_runs))


def _cell(rate: float, n_runs: int) -> str:
    loud = "!" if rate > SETTINGS.alpha + 2 * np.sqrt(0.05 * 0.95 / n_runs) else " "
    return f"{rate:6.1%}{loud}(±{100 * _se(rate, n_runs):.1f})"


def print_level(n_runs: int, jobs: int) -> None:
    """False alarms without a change and with every signal's true change at its tolerance, and
    how often the 95% intervals hold that change."""
    print(f"\nFalse alarms (degraded), {n_runs} runs per cell; nominal: at most 5%")
    head = "".join(f"{g:>16}" for g in GROUPS)
    print(f"{'rows':<18}{'windows':>11}{'no change':>16}{'at tolerance':>16}{head}{'deff':>6}"
          "   coverage of the 95% intervals")  # fmt: skip
    for kind, options in _kinds().items():
        for n_baseline, n_current in SIZES:
            world = replace(World(n_baseline, n_current), **options)  # type: ignore[arg-type]
            still = simulate(world, n_runs, jobs)
            edge = simulate(replace(world, edge=1.0), n_runs, jobs, seed=1)
            rates = [still.false_alarms(), *(edge.false_alarms(g) for g in (None, *GROUPS))]
            cells = "".join(f"{_cell(rate, n_runs):>16}" for rate in rates)
            deff = np.nanmean(still.design_effect[:, 4:8])
            held = "".join(f"{edge.coverage(g):>9.1%}" for g in GROUPS)
            windows = f"{n_baseline}/{n_current}"
            print(f"{kind:<18}{windows:>11}{cells}{deff:>6.1f}   {held}", flush=True)


def print_power(n_runs: int, jobs: int) -> None:
    """How often a planted change in one of twelve signals is found."""
    print(f"\nPower, family of 12, {n_runs} runs per cell; baseline 5000 rows")
    cases = (
        ("2% up", 4.0, "2% -> 6%"),
        ("98% down", 4.0, "98% -> 94%"),
        ("80% down", 10 / 3, "80% -> 70%"),
        ("lognormal 1.0 up", 2.5, "mean +50%"),
    )
    sizes = (50, 200, 1000, 5000)
    print(f"{'rows':<22}{'change':>12}" + "".join(f"{f'n={n}':>16}" for n in sizes))
    for kind, options in list(_kinds().items())[:2]:
        for name, edge, words in cases:
            cells = ""
            for n_current in sizes:
                world = World(5000, n_current, edge=edge, moved=(name,))
                found = simulate(replace(world, **options), n_runs, jobs, seed=3)  # type: ignore[arg-type]
                at = world.names.index(name)
                power = float(found.worse[:, at].mean())
                cells += f"{f'{power:.0%} (±{100 * _se(power, n_runs):.0f})':>16}"
            print(f"{kind:<22}{words:>12}{cells}", flush=True)


def print_mix(n_runs: int, jobs: int) -> None:
    """Traffic that moves towards segments which always looked worse, without any change."""
    print(f"\nTraffic shifts between segments, no change: degraded, {n_runs} runs per cell")
    tilts = (0.0, 0.3, 0.6, 1.0)
    kinds = {**_kinds(), "indep., unresolved": {"user_share": 0.0, "resolved": False}}
    print(f"{'rows':<22}{'windows':>13}" + "".join(f"{f'tilt {t}':>26}" for t in tilts))
    for kind, options in kinds.items():
        for sizes in ((5000, 50), (5000, 200), (5000, 1000), (5000, 5000)):
            cells = ""
            for tilt in tilts:
                world = replace(World(*sizes, tilt=tilt), **options)  # type: ignore[arg-type]
                found = simulate(world, n_runs, jobs, seed=6)
                moved = float(found.moved_traffic.mean())
                cells += f"{f'{moved:.0%} moved {_cell(found.false_alarms(), n_runs)}':>26}"
            print(f"{kind:<22}{f'{sizes[0]}/{sizes[1]}':>13}{cells}", flush=True)


def _kinds() -> dict[str, dict[str, object]]:
    return {
        "independent": {"user_share": 0.0},
        "users, all new": {"clustered": True},
        "users, returning": {"clustered": True, "returning": True},
    }


PARTS = {
    "level": print_level,
    "power": print_power,
    "visible": print_visible,
    "mix": print_mix,
    "tails": print_tails,
    "plan": print_plan,
    "examples": print_examples,
    "matrix": print_matrix,
}


def main(arguments: Iterable[str] | None = None) -> None:
    """Read the command line and print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--runs", type=int, default=1000, help="runs per cell")
    parser.add_argument("--quick", action="store_true", help="100 runs per cell")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    chosen = parser.parse_args(None if arguments is None else list(arguments))
    unknown = set(chosen.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    started = time.monotonic()
    for part in chosen.parts or PARTS:
        PARTS[part](100 if chosen.quick else chosen.runs, chosen.jobs)
    print(f"\n{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
