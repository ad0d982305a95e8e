"""How often a watch raises a false alarm, and how soon it raises a break, by simulation.

    python -m scripts.simulate_watch --runs 10 --jobs 2 level
    python -m scripts.simulate_watch --runs 200 --jobs 2 delay

A run draws a service (`night_worlds.py`: twenty one-sided signals among thirty), freezes a baseline
and judges minute after minute with the program's own code. Traffic follows the hour of the day;
something moves all rows of an hour alike; segments, sessions and weeks as for the nights.

`level` watches services that do not change for 30 days each and counts alarms. `delay` breaks one
signal at a random second and measures the time until the end of the slot that raises it, and until
the nightly job would: at 3 o'clock, if that night's ledger pages.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from loopllm_cli.drift.night_plan import NightSettings, Plan, make_plan
from loopllm_cli.drift.nights import History, NightState, judge_night
from loopllm_cli.drift.season import seasonal_signals
from loopllm_cli.drift.slots import (
    REACH,
    WINDOWS,
    SlotState,
    by_hours,
    judge_slot,
    slot_scores,
    threshold,
)
from loopllm_cli.profiles.days import build_days
from loopllm_cli.profiles.hours import build_hours
from loopllm_cli.profiles.profile import build_profile
from scripts.night_worlds import INFOS, NAMES, PAGING, Service, Source

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MINUTES = 60
HOURS = 24
SLOT_SECONDS = 60.0
BUDGET = 2.0
BROKEN = 4
"""The signal that breaks: a rate of 2%, up is worse, tolerance one point, as refusals are."""
JOB_HOUR = 3
_REACH_HOURS = -(-REACH // MINUTES)


@dataclass(frozen=True)
class Traffic:
    """A service and how many rows a second of it come.

    They swing by the share `wave` about their mean over the day. `baseline_days` of the service are
    the baseline, thinned to `n_baseline` rows.
    """

    service: Service
    per_second: float
    n_baseline: int = 50_000
    baseline_days: int = 14
    wave: float = 0.8

    def per_hour(self, hour: int) -> float:
        """Return the expected rows of an hour of the day: quiet at night, busy in the afternoon."""
        wave = 1 + self.wave * np.sin((hour % HOURS - 9) / HOURS * 2 * np.pi)
        return float(self.per_second * MINUTES * MINUTES * wave)


@dataclass(frozen=True)
class Watched:
    """A frozen baseline, and the service that goes on."""

    traffic: Traffic
    source: Source
    rng: np.random.Generator
    plan: Plan

    @classmethod
    def begin(cls, traffic: Traffic, seed: tuple[int, int]) -> Watched:
        """Draw the baseline hour by hour, and plan."""
        rng = np.random.default_rng(seed)
        source = Source(traffic.service, rng)
        n_hours = traffic.baseline_days * HOURS
        share = traffic.n_baseline / sum(traffic.per_hour(h) for h in range(n_hours))
        parts, minutes = [], []
        for hour in range(n_hours):
            n = int(rng.poisson(traffic.per_hour(hour) * share))
            parts.append(source.rows(hour // HOURS, n, changed=False))
            minutes.append(np.full(n, hour * MINUTES))
        values, segments, buckets = (np.concatenate(p) for p in zip(*parts, strict=True))
        at = np.concatenate(minutes)
        n_segments = traffic.service.n_segments
        dates = (at // (MINUTES * HOURS)).astype("datetime64[D]")
        days = build_days(NAMES, values, segments, dates, n_segments, buckets=buckets)
        profile = build_profile(NAMES, values, segments, buckets, n_segments)
        plan = make_plan(days, profile, INFOS, seasonal_signals(days), NightSettings())
        hours = build_hours(NAMES, values, segments, at, n_segments)
        return cls(traffic, source, rng, by_hours(plan, hours.moments()))

    def hour(self, hour: int, onset_second: int | None = None) -> FloatArray:
        """Draw an hour's sums by minute, shape (4, 60, n_segments, n_signals).

        Args:
            onset_second: from which second of the hour the service is broken; None for never.
        """
        rng, whole = self.rng, MINUTES * MINUTES
        n = int(rng.poisson(self.traffic.per_hour(hour)))
        seconds = np.sort(rng.integers(0, whole, n))
        broken = 0 if onset_second is None else int((seconds >= onset_second).sum())
        day = self.traffic.baseline_days + hour // HOURS
        with self.source.one_shock():
            sound = self.source.rows(day, n - broken, changed=False)
            parts = [sound, self.source.rows(day, broken, changed=True)] if broken else [sound]
        values, segments, _ = (np.concatenate(p) for p in zip(*parts, strict=True))
        return minute_sums(values, segments, seconds // MINUTES, self.traffic.service.n_segments)

    def weekday(self, hour: int) -> int:
        """Return the weekday of an hour after the baseline."""
        return (self.traffic.baseline_days + hour // HOURS) % 7


def minute_sums(
    values: FloatArray, segments: IntArray, minutes: IntArray, n_segments: int
) -> FloatArray:
    """Sum rows by minute and segment."""
    cells = minutes * n_segments + segments
    order = np.argsort(cells, kind="stable")
    bounds = np.searchsorted(cells[order], np.arange(MINUTES * n_segments + 1))
    ones = np.ones_like(values)
    out = []
    for moment in (ones, values, values**2, values**3):
        running = np.concatenate([np.zeros((1, values.shape[1])), moment[order].cumsum(axis=0)])
        out.append(running[bounds[1:]] - running[bounds[:-1]])
    return np.stack(out).reshape(4, MINUTES, n_segments, -1)


def windows_of(slots: FloatArray, newest: IntArray) -> FloatArray:
    """Return the windows that end with some slots, (4, len(newest) * len(WINDOWS), ...)."""
    running = np.concatenate([np.zeros_like(slots[:, :1]), slots.cumsum(axis=1)], axis=1)
    parts = [running[:, newest + 1] - running[:, np.maximum(newest + 1 - w, 0)] for w in WINDOWS]
    return np.stack(parts, axis=2).reshape(4, -1, *slots.shape[2:])


def clean_days(traffic: Traffic, n_days: int, seed: tuple[int, int]) -> int:
    """Watch a service that does not change; return the number of alarms."""
    watched = Watched.begin(traffic, seed)
    limit = threshold(watched.plan, BUDGET, SLOT_SECONDS)
    state = SlotState.new(len(NAMES))
    kept = np.zeros((4, 0, traffic.service.n_segments, len(NAMES)))
    n_alarms = slot = 0
    for hour in range(n_days * HOURS):
        slots = np.concatenate([kept, watched.hour(hour)], axis=1)
        first = kept.shape[1]
        newest = np.arange(first, slots.shape[1])
        windows, weekday = windows_of(slots, newest), watched.weekday(hour)
        z = slot_scores(watched.plan, windows, np.full(windows.shape[1], weekday))
        if (z[:, PAGING] > limit).any() or (state.since >= 0).any():
            by_slot = windows.reshape(4, len(newest), len(WINDOWS), *windows.shape[2:])
            for k in range(len(newest)):
                found = judge_slot(watched.plan, limit, (slot + k, weekday), by_slot[:, k], state)
                state = found.state
                n_alarms += int(found.turned.sum())
        slot += MINUTES
        kept = slots[:, -REACH:]
    return n_alarms


def break_delay(traffic: Traffic, seed: tuple[int, int]) -> tuple[float, float]:
    """Break a service; return the seconds until the watch, and the nightly job, raise it.

    The watch is followed for four hours, the nights for one.
    """
    watched = Watched.begin(traffic, seed)
    limit = threshold(watched.plan, BUDGET, SLOT_SECONDS)
    begin = int(watched.rng.integers(_REACH_HOURS, 2 * HOURS - _REACH_HOURS))
    onset = int(watched.rng.integers(0, MINUTES * MINUTES))
    hours = range(begin - _REACH_HOURS, begin + _REACH_HOURS + 1)
    slots = np.concatenate(
        [watched.hour(h, None if h < begin else onset if h == begin else 0) for h in hours],
        axis=1,
    )
    begun = _REACH_HOURS * MINUTES
    newest = np.arange(begun + onset // MINUTES, slots.shape[1])
    delay = np.inf
    for k in newest:
        windows = windows_of(slots, np.array([k]))
        z = slot_scores(watched.plan, windows, np.full(len(WINDOWS), watched.weekday(begin)))
        if (z[:, BROKEN] > limit).any():
            delay = (k - begun + 1) * SLOT_SECONDS - onset
            break
    return delay, _night_delay(watched, begin, onset)


def _night_delay(watched: Watched, begin: int, onset: int) -> float:
    """Return the seconds until the ledger of the day of the break is judged, if it pages.

    Nights are drawn with at most a row a second, which is plenty for them.
    """
    day, traffic = begin // HOURS, watched.traffic
    watched = replace(watched, traffic=replace(traffic, per_second=min(traffic.per_second, 1.0)))
    sums = sum(
        watched.hour(h, None if h < begin else onset if h == begin else 0).sum(axis=1)
        for h in range(day * HOURS, (day + 1) * HOURS)
    )
    weekday = np.array([watched.weekday(begin)])
    history = History(np.asarray(sums)[:, None], weekday)
    found = judge_night(watched.plan, history, NightState.new(len(NAMES)))
    judged_at = ((day + 1) * HOURS + JOB_HOUR) * MINUTES * MINUTES
    wait = judged_at - (begin * MINUTES * MINUTES + onset)
    return float(wait) if found.paged[BROKEN] else np.inf


KINDS = {
    "independent rows": Service(n_segments=6),
    "sessions, wobbling mix": Service(session=8, wobble=25.0, spread=0.6),
    "shocks every hour": Service(shock=0.1),
    "all of these and a week": Service(session=8, wobble=25.0, week=0.15, shock=0.05),
}


def print_level(n_runs: int, n_days: int, jobs: int) -> None:
    """Alarms on services that do not change."""
    print(f"\nFalse alarms in {n_days} days without a change, {n_runs} services per cell")
    bound = BUDGET * n_days / 365
    print(f"(the budget of {BUDGET:g} a year bounds the mean at {bound:.2f})")
    print(f"{'service':<28}{'rows a second':>14}{'alarms':>8}{'per 30 days':>13}")
    for name, service in KINDS.items():
        for per_second in (0.1, 1.0):
            traffic = Traffic(service, per_second)
            work = partial(clean_days, traffic, n_days)
            counts = list(_map(work, n_runs, jobs))
            mean = sum(counts) / n_runs / n_days * 30
            print(f"{name:<28}{per_second:>14g}{sum(counts):>8}{mean:>13.2f}", flush=True)


def print_delay(n_runs: int, jobs: int) -> None:
    """Seconds until a break is raised."""
    print(f"\nFrom the break of a rate of 2% to its alarm, {n_runs} services per line")
    print(f"{'rise':>7}{'rows a second':>15}{'median':>9}{'95%':>8}{'within 3 min':>14}", end="")
    print(f"{'within 1 h':>12}{'next job, median':>19}")
    for rise in (0.10, 0.05):
        sizes = tuple(rise if k == BROKEN else 0.0 for k in range(len(NAMES)))
        for per_second in (20.0, 1.0, 0.1):
            service = replace(Service(session=8, wobble=25.0, shock=0.05), sizes=sizes)
            work = partial(break_delay, Traffic(service, per_second, wave=0.0))
            found = np.array(list(_map(work, n_runs, jobs)))
            watch, night = found[:, 0], found[:, 1]
            print(
                f"{rise:>+7.0%}{per_second:>15g}{_time(np.median(watch)):>9}"
                f"{_time(float(np.quantile(watch, 0.95, method='higher'))):>8}"
                f"{(watch <= 180).mean():>14.0%}{(watch <= 3600).mean():>12.0%}"
                f"{_time(np.median(night)):>19}",
                flush=True,
            )


def _time(seconds: float) -> str:
    if not np.isfinite(seconds):
        return "not seen"
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 3600:.1f} h"


def _map(work: Callable[[tuple[int, int]], object], n_runs: int, jobs: int) -> Iterator[object]:
    seeds = [(7, run) for run in range(n_runs)]
    if jobs == 1:
        yield from map(work, seeds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(work, seeds)


def main() -> None:
    """Print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=("level", "delay"))
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--jobs", type=int, default=1)
    asked = parser.parse_args()
    begun = time.monotonic()
    if asked.table == "level":
        print_level(asked.runs, asked.days, asked.jobs)
    else:
        print_delay(asked.runs, asked.jobs)
    print(f"\n{time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
