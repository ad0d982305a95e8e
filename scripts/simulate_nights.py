"""How often a nightly watch pages falsely, and how soon it pages a change, by simulation.

    python -m scripts.simulate_nights --runs 40 --jobs 2
    python -m scripts.simulate_nights --runs 10 level

Every run draws a service (`night_worlds.py`), makes a plan of its baseline and judges night after
night with the program's own code. Pages per year are printed with their Monte-Carlo standard error
(from the spread between runs); "!" marks more than the budget by more than two of them.
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

from loopllm_cli.drift.night_evidence import NIGHTS_PER_YEAR
from loopllm_cli.drift.night_plan import NightSettings, make_plan
from loopllm_cli.drift.night_report import HORIZONS, describe_night
from loopllm_cli.drift.nights import History, NightState, judge_night, reach
from loopllm_cli.drift.season import seasonal_signals
from scripts.night_worlds import INFOS, IS_RATE, NAMES, PAGING, TOLERANCE, Service, Source

FloatArray = npt.NDArray[np.float64]
NEVER = 10_000


@dataclass(frozen=True)
class Year:
    """What one service's nights came to.

    `pages` are (night, signal) pairs; `informs` counts signals called better or changed at least
    once; `visible` is what was announced on the first night, shape (n_horizons, n_signals).
    """

    pages: tuple[tuple[int, int], ...]
    informs: int
    visible: FloatArray

    def first(self, onset: int) -> FloatArray:
        """Return how many nights after a change each signal paged, 1 for the very night."""
        delay = np.full(len(NAMES), float(NEVER))
        for night, signal in self.pages:
            if night >= onset:
                delay[signal] = min(delay[signal], night - onset + 1)
        return delay


def run_service(
    service: Service, n_nights: int, settings: NightSettings, seed: tuple[int, int]
) -> Year:
    """Watch one service for some nights; the outcome depends on the seed alone."""
    source = Source(service, np.random.default_rng(seed))
    days, profile = source.baseline()
    plan = make_plan(days, profile, INFOS, seasonal_signals(days), settings)
    sums = np.zeros((4, n_nights, service.n_segments, len(NAMES)))
    weekdays = np.zeros(n_nights, dtype=np.int64)
    state = NightState.new(len(NAMES))
    pages, informs = [], np.zeros(len(NAMES), dtype=bool)
    visible = np.full((len(HORIZONS), len(NAMES)), np.nan)
    for night in range(n_nights):
        sums[:, night], weekdays[night] = source.night(night)
        first = max(0, night + 1 - reach())
        history = History(sums[:, first : night + 1], weekdays[first : night + 1], first)
        found = judge_night(plan, history, state)
        state = found.state
        informs |= found.better | found.moved
        pages += [(night, int(k)) for k in np.flatnonzero(found.paged)]
        if night == 0:
            visible = describe_night(plan, history, found).visible
    return Year(tuple(pages), int(informs.sum()), visible)


def simulate(
    service: Service,
    n_runs: int,
    n_nights: int = NIGHTS_PER_YEAR,
    jobs: int = 1,
    settings: NightSettings | None = None,
) -> list[Year]:
    """Watch many services of one kind; run r depends on r alone."""
    work = partial(run_service, service, n_nights, settings or NightSettings())
    seeds = [(service.seed, r) for r in range(n_runs)]
    if jobs == 1:
        return [work(seed) for seed in seeds]
    with ProcessPoolExecutor(jobs) as pool:
        return list(pool.map(work, seeds))


def pages_per_year(years: list[Year], n_nights: int = NIGHTS_PER_YEAR) -> tuple[float, float]:
    """Return the mean number of pages a year and its standard error."""
    counts = np.array([len(year.pages) for year in years]) * NIGHTS_PER_YEAR / n_nights
    spread = max(float(counts.std(ddof=1)) if len(counts) > 1 else 0.0, 1 / np.sqrt(len(counts)))
    return float(counts.mean()), spread / float(np.sqrt(len(counts)))


KINDS = {
    "independent rows": Service(),
    "sessions of 3-8 rows": Service(session=8),
    "wobbling mix": Service(wobble=25.0, spread=0.6),
    "a week (4 weeks known)": Service(week=0.15, baseline_nights=28),
    "a week (10 nights known)": Service(week=0.15),
    "shocks (10 nights known)": Service(shock=0.1),
    "shocks (28 nights known)": Service(shock=0.1, baseline_nights=28),
    "200 a night of 5,000": Service(n_night=200, n_baseline=5000, baseline_nights=25),
    "20 a night of 1,000": Service(n_night=20, n_baseline=1000, baseline_nights=50),
    "all of these": Service(session=8, wobble=25.0, week=0.15, shock=0.05, baseline_nights=28),
}


def print_level(n_runs: int, jobs: int) -> None:
    """Pages in a year without a change, and with every one-sided signal at its tolerance."""
    print(f"\nFalse pages per year, {n_runs} years per cell; budget 1; in brackets the error")
    print(f"{'nights':<28}{'no change':>18}{'all 20 at tolerance':>22}{'informs, no change':>21}")
    for kind, service in KINDS.items():
        still = simulate(service, n_runs, jobs=jobs)
        edge = simulate(replace(service, edge=1.0, seed=1), n_runs, jobs=jobs)
        cells = [_cell(*pages_per_year(years)) for years in (still, edge)]
        informs = np.mean([year.informs for year in still])
        print(f"{kind:<28}{cells[0]:>18}{cells[1]:>22}{informs:>21.2f}", flush=True)


def _cell(mean: float, error: float, budget: float = 1.0) -> str:
    return f"{mean:.2f}{'!' if mean > budget + 2 * error else ' '}(±{error:.2f})"


def print_power(n_runs: int, jobs: int) -> None:
    """Nights until a change of two tolerances pages; it comes in mid-week of the slow lane."""
    sizes = (Service(edge=2.0, onset=15), KINDS["200 a night of 5,000"])
    sizes = (sizes[0], replace(sizes[1], edge=2.0, onset=15))
    print(f"\nNights until a change of two tolerances pages (1: the very night), {n_runs} runs")
    print(f"{'':<26}{'2,000 a night, 20,000 known':>34}{'200 a night, 5,000 known':>34}")
    print(f"{'signal':<26}" + f"{'median':>12}{'90%':>8}{'within 3':>14}" * 2)
    found = [simulate(s, n_runs, n_nights=75, jobs=jobs) for s in sizes]
    delays = [np.array([y.first(15) for y in years]) for years in found]
    for k in np.flatnonzero(PAGING):
        print(f"{NAMES[k]:<26}" + "".join(_delay(d[:, k]) for d in delays), flush=True)
    for name, chosen in (("all one-sided", PAGING), ("first of all twenty", None)):
        parts = [d[:, chosen].ravel() if chosen is not None else d.min(axis=1) for d in delays]
        print(f"{name:<26}" + "".join(_delay(part) for part in parts))


def _delay(nights: FloatArray) -> str:
    middle, late = np.quantile(nights, [0.5, 0.9], method="higher")
    said = [f"{x:.0f}" if x < NEVER else "> 60" for x in (middle, late)]
    return f"{said[0]:>12}{said[1]:>8}{np.mean(nights <= 3):>14.0%}"


def print_budget(n_runs: int, jobs: int) -> None:
    """Pages per year at several budgets, every one-sided signal at its tolerance."""
    print(f"\nFalse pages per year at other budgets, all at tolerance, {n_runs} years per cell")
    for budget in (0.2, 1.0, 5.0, 20.0):
        settings = NightSettings(false_pages_per_year=budget)
        years = simulate(Service(edge=1.0, seed=2), n_runs, jobs=jobs, settings=settings)
        print(f"budget {budget:>4g}: {_cell(*pages_per_year(years), budget)}", flush=True)


def print_visible(n_runs: int, jobs: int) -> None:
    """The announced visible changes, and how often changes so large page in time."""
    print(f"\nAnnounced visible change (80%): size in tolerances, and share paged, {n_runs} runs")
    print(f"{'signal':<26}" + "".join(f"{f'{h} nights':>18}" for h in HORIZONS))
    service = Service(seed=3)
    known = np.array([y.visible for y in simulate(service, min(n_runs, 30), 1, jobs)])
    announced = np.nanmedian(np.where(PAGING, known, TOLERANCE), axis=0)
    rows = []
    for place, horizon in enumerate(HORIZONS):
        changed = replace(service, sizes=tuple(np.nan_to_num(announced[place])), seed=4)
        years = simulate(changed, n_runs, horizon, jobs)
        rows.append(np.mean([y.first(0) <= horizon for y in years], axis=0))
    for k in np.flatnonzero(PAGING):
        cells = (f"{announced[h, k] / TOLERANCE[k]:.1f}: {rows[h][k]:.0%}" for h in range(3))
        print(f"{NAMES[k]:<26}" + "".join(f"{cell:>18}" for cell in cells), flush=True)
    chosen = PAGING & np.isfinite(announced)
    for kind, part in (("rates", IS_RATE), ("amounts", ~IS_RATE)):
        means = [np.mean(row[part & chosen[h]]) for h, row in enumerate(rows)]
        print(f"{kind:<26}" + "".join(f"{mean:>18.0%}" for mean in means))


PARTS = {
    "level": print_level,
    "power": print_power,
    "budget": print_budget,
    "visible": print_visible,
}


def main(arguments: Iterable[str] | None = None) -> None:
    """Read the command line and print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--runs", type=int, default=40, help="runs (years) per cell")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    chosen = parser.parse_args(None if arguments is None else list(arguments))
    unknown = set(chosen.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    started = time.monotonic()
    for part in chosen.parts or PARTS:
        PARTS[part](chosen.runs, chosen.jobs)
    print(f"\n{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
