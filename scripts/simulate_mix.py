"""Traffic shifts on real prompts and answers: how often the model is blamed, and what is covered.

    python -m scripts.simulate_mix --runs 200 blame
    python -m scripts.simulate_mix --runs 200 cover
    python -m scripts.simulate_mix --runs 10 seen
    python -m scripts.simulate_mix --runs 200 rho

`blame`: one version answers everything and traffic moves between tasks; `cover`: a part of the
current answers is the newer version's, too; `seen`: what prompt clusters leave of a shift's
effect. The services are those of `mix_services.py`; prompts are clustered anew in every run, as
for a baseline. `rho`: an artificial service whose clusters see a known share of the shift. Rates
carry their Monte-Carlo standard error; "!" marks those that miss their goal (5% blamed, 93%
covered) by more than two of them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from loopllm_cli.drift.effects import Effects, estimate
from loopllm_cli.drift.verdict import UNRESOLVED, JudgeSettings, judge
from loopllm_cli.model import Comparison, SignalInfo, SignalKind, Verdict, Worse
from loopllm_cli.profiles.clusters import N_BUCKETS
from loopllm_cli.profiles.profile import Profile, build_profile
from loopllm_cli.profiles.segments import fit_prompts
from scripts.mix_seen import unresolved_shares
from scripts.mix_services import (
    Service,
    batch_of,
    draw_rows,
    profile_rows,
    services,
    true_change,
)

FloatArray = npt.NDArray[np.float64]

SHIFTS = (0.0, 0.05, 0.15, 0.30)
SIZES = ((800, 400), (3000, 2000))
NEWER = 0.3
UNRESOLVED_SHARE = 1.0
CALLED = (Verdict.WORSE, Verdict.BETTER, Verdict.CHANGED)


@dataclass(frozen=True)
class Plan:
    """How much to simulate; no names of services mean all of them."""

    runs: int
    services: list[str]
    sizes: tuple[tuple[int, int], ...]

    def cells(self) -> Iterable[tuple[Service, tuple[int, int]]]:
        """Yield the services with the sizes of their windows."""
        for name, build in services().items():
            if not self.services or name in self.services:
                service = build()
                for sizes in self.sizes:
                    yield service, sizes


@dataclass(frozen=True)
class Rate:
    """A share of runs (or of signals, counted run by run), with its Monte-Carlo error."""

    runs: list[float]

    @property
    def mean(self) -> float:
        """The share."""
        return float(np.mean(self.runs))

    @property
    def error(self) -> float:
        """The standard error over runs; where all agree, that of half an event."""
        n = len(self.runs)
        return float((np.std(self.runs) or np.sqrt(0.5 / n)) / np.sqrt(n))

    def cell(self, goal: float, *, at_most: bool = True) -> str:
        """Print the rate, marked where it misses the goal."""
        miss = (self.mean - goal) * (1 if at_most else -1)
        return f"{self.mean:6.1%} ({100 * self.error:.1f}){'!' if miss > 2 * self.error else ' '}"


def print_blame(plan: Plan) -> None:
    """Print how often a pure traffic shift is called a change of behaviour."""
    print(
        f"\nOnly traffic moves, {plan.runs} runs per cell: % of runs that call a signal worse (any"
    )
    print("verdict of change in brackets is another family), by tolerance and widening")
    heads = ("tasks known", "clusters, no widening", "clusters", "clusters, zero tolerance")
    print(f"{'service':<20}{'windows':>11}{'moved':>6}" + "".join(f"{h:>30}" for h in heads))
    for service, sizes in plan.cells():
        tallies: dict[float, list[list[float]]] = {shift: [] for shift in SHIFTS}
        for run in range(plan.runs):
            for shift, found in _blamed(service, sizes, run).items():
                tallies[shift].append(found)
        for shift, rows in tallies.items():
            columns = [Rate(list(c)) for c in zip(*rows, strict=True)]
            cells = "".join(
                f"{columns[k].cell(0.05)}{columns[k + 1].cell(0.10):>15}".rjust(30)
                for k in range(0, len(columns), 2)
            )
            print(f"{service.name:<20}{_sizes(sizes):>11}{shift:>6.0%}{cells}", flush=True)


def _blamed(service: Service, sizes: tuple[int, int], run: int) -> dict[float, list[float]]:
    """Decide one baseline against windows of every shift."""
    out = {}
    infos = service.pool.infos
    strict = tuple(replace(info, tolerance=0.0) for info in infos)
    for shift, (known, clustered, _) in _effects(service, sizes, run, 0.0).items():
        cases = (
            judge(known, infos, JudgeSettings()),
            judge(clustered, infos, JudgeSettings()),
            judge(clustered, infos, JudgeSettings(unresolved=UNRESOLVED_SHARE)),
            judge(clustered, strict, JudgeSettings(unresolved=UNRESOLVED_SHARE)),
        )
        out[shift] = [float(x) for case in cases for x in _called(case)]
    return out


def _called(found: tuple[Comparison, ...]) -> tuple[bool, bool]:
    verdicts = [c.verdict for c in found]
    return Verdict.WORSE in verdicts, Verdict.CHANGED in verdicts or Verdict.BETTER in verdicts


def print_cover(plan: Plan) -> None:
    """Print how often the behaviour interval holds the true change, and what is still seen."""
    print(
        f"\nTraffic moves and {NEWER:.0%} of the answers are the newer version's, {plan.runs} runs:"
    )
    print("% of 95% intervals that hold the true change of behaviour; truly changed signals called")
    heads = ("tasks known", "clusters, no widening", "clusters", "called: known", "called", "noted")
    print(f"{'service':<20}{'windows':>11}{'moved':>6}" + "".join(f"{h:>23}" for h in heads))
    for service, sizes in plan.cells():
        tallies: dict[float, list[list[float]]] = {shift: [] for shift in SHIFTS}
        for run in range(plan.runs):
            for shift, (known, clustered, truth) in _effects(service, sizes, run, NEWER).items():
                tallies[shift].append(_covered(service, (known, clustered), truth))
        for shift, rows in tallies.items():
            columns = [Rate(list(c)) for c in zip(*rows, strict=True)]
            cells = [c.cell(0.93, at_most=False) for c in columns[:3]]
            cells += [f"{c.mean:6.1%}" for c in columns[3:]]
            line = "".join(f"{cell:>23}" for cell in cells)
            print(f"{service.name:<20}{_sizes(sizes):>11}{shift:>6.0%}{line}", flush=True)


def _covered(service: Service, effects: tuple[Effects, Effects], truth: FloatArray) -> list[float]:
    infos = service.pool.infos
    widened = JudgeSettings(unresolved=UNRESOLVED_SHARE)
    cases = (
        judge(effects[0], infos, JudgeSettings()),
        judge(effects[1], infos, JudgeSettings()),
        judge(effects[1], infos, widened),
    )
    held = []
    for found in cases:
        usable = [(c, t) for c, t in zip(found, truth, strict=True) if np.isfinite(c.low)]
        held.append(float(np.mean([c.low <= t <= c.high for c, t in usable])))
    beyond = [j for j, info in enumerate(infos) if abs(truth[j]) > info.tolerance]
    for found in (cases[0], cases[2]):
        held.append(float(np.mean([found[j].verdict in CALLED for j in beyond] or [0.0])))
    held.append(float(np.mean([cases[2][j].note == UNRESOLVED for j in beyond] or [0.0])))
    return held


def _effects(
    service: Service, sizes: tuple[int, int], run: int, newer: float
) -> dict[float, tuple[Effects, Effects, FloatArray]]:
    """Return, by shift, the effects over known tasks and over clusters, and the true change."""
    pool, out = service.pool, {}
    model = None
    for shift in SHIFTS:
        # The seed alone draws the baseline, so all shifts share it and its clusters.
        draw = draw_rows(service, sizes, shift, newer, (run, *sizes))
        if model is None:
            model = fit_prompts(batch_of(pool, draw.baseline), draw.values_baseline)
            before = [profile_rows(service, draw, m, current=False) for m in (None, model)]
        after = [profile_rows(service, draw, m, current=True) for m in (None, model)]
        known, clustered = (estimate(b, c) for b, c in zip(before, after, strict=True))
        out[shift] = (known, clustered, true_change(service, draw, newer))
    return out


def print_seen(plan: Plan) -> None:
    """Print which part of a shift's effect is left as behaviour, without sampling noise."""
    print(
        f"\n30 points of traffic move, no change: sum of |D| over sum of |total|, {plan.runs} fits"
    )
    for service, sizes in plan.cells():
        left = [unresolved_shares(service, sizes, run) for run in range(plan.runs)]
        words = [f"{np.mean(c):6.1%} ({100 * np.std(c) / len(c) ** 0.5:.1f})" for c in zip(*left)]  # noqa: B905
        print(f"{service.name:<20}{_sizes(sizes):>11}  without signals{words[0]}, with{words[1]}")


RHOS = (0.0, 0.25, 0.5, 0.75, 1.0)


def print_rho(plan: Plan) -> None:
    """Print blame and power where the clusters see a known share of the shift."""
    print(
        f"\nClusters see a share of a shift that moves a 20% rate (5,000 / 2,000 rows), {plan.runs}"
    )
    print("runs, tolerance 2 points: % called worse without a change, and with 6 points more")
    print(f"{'share seen':<12}{'moved by':>10}{'no widening':>18}{'widened':>18}{'+6 points':>18}")
    for rho in RHOS:
        for effect in (0.0, 0.03, 0.06):
            rows = [_rho_run(rho, effect, run) for run in range(plan.runs)]
            columns = [Rate(list(c)) for c in zip(*rows, strict=True)]
            cells = f"{columns[0].cell(0.05):>18}{columns[1].cell(0.05):>18}"
            cells += f"{columns[2].mean:>17.1%}"
            print(f"{rho:<12.2f}{100 * effect:>8.0f} pt{cells}", flush=True)


def _rho_run(rho: float, effect: float, run: int) -> list[float]:
    rng = np.random.default_rng((run, int(100 * rho), int(1000 * effect)))
    info = SignalInfo("rate", SignalKind.RATE, Worse.UP, 0.02, "")
    out = []
    for change, settings in (
        (0.0, (0.0, UNRESOLVED_SHARE)),
        (0.06, (UNRESOLVED_SHARE,)),
    ):
        found = estimate(*rho_windows(rho, effect, change, rng))
        for unresolved in settings:
            judged = judge(found, (info,), JudgeSettings(unresolved=unresolved))
            out.append(float(judged[0].verdict is Verdict.WORSE))
    return out


def rho_windows(
    rho: float, effect: float, change: float, rng: np.random.Generator
) -> tuple[Profile, Profile]:
    """Draw windows whose traffic moves a 20% rate by `effect`, of which clusters see `rho`.

    Two kinds of prompts, ten clusters: a prompt's kind sets its rate (10% or 30%), half of the
    traffic is of each, and effect / 0.2 of it moves. For a share `rho` of the prompts the cluster
    follows from the kind, for the others it is drawn at random.
    """
    profiles = []
    for n_rows, share, more in ((5000, 0.5, 0.0), (2000, 0.5 + effect / 0.2, change)):
        kind = rng.random(n_rows) < share
        told = rng.random(n_rows) < np.sqrt(rho)
        seen = np.where(told, kind, rng.random(n_rows) < 0.5)
        segments = rng.integers(0, 5, n_rows) + 5 * seen
        values = (rng.random(n_rows) < np.where(kind, 0.3, 0.1) + more).astype(float)
        buckets = rng.integers(0, N_BUCKETS, n_rows)
        profiles.append(build_profile(("rate",), values[:, None], segments, buckets, 10))
    return profiles[0], profiles[1]


def _sizes(sizes: tuple[int, int]) -> str:
    return f"{sizes[0]}/{sizes[1]}"


PARTS = {"blame": print_blame, "cover": print_cover, "seen": print_seen, "rho": print_rho}


def main(arguments: Iterable[str] | None = None) -> None:
    """Read the command line and print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--runs", type=int, default=200, help="runs per cell")
    parser.add_argument("--service", action="append", default=[], help="only this service")
    parser.add_argument("--windows", action="append", default=[], help="sizes, e.g. 800/400")
    chosen = parser.parse_args(None if arguments is None else list(arguments))
    unknown = set(chosen.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    started = time.monotonic()
    asked = [tuple(map(int, text.split("/"))) for text in chosen.windows]
    plan = Plan(chosen.runs, chosen.service, tuple((b, c) for b, c in asked) or SIZES)
    for part in chosen.parts or PARTS:
        PARTS[part](plan)
    print(f"\n{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
