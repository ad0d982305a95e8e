"""Watches of artificial nights for the tests: sums are drawn directly, signals are few."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from loopllm_cli.drift.night_plan import NightSettings, Plan, make_plan
from loopllm_cli.drift.nights import History, NightFindings, NightState, judge_night
from loopllm_cli.model import SignalInfo, SignalKind, Worse
from loopllm_cli.profiles.days import DaySums, build_days
from loopllm_cli.profiles.profile import build_profile

INFOS = (
    SignalInfo("refusal", SignalKind.RATE, Worse.UP, 0.01, "r"),
    SignalInfo("right", SignalKind.RATE, Worse.DOWN, 0.03, "a"),
    SignalInfo("latency", SignalKind.AMOUNT, Worse.UP, 0.10, "l"),
    SignalInfo("words", SignalKind.AMOUNT, Worse.EITHER, 0.10, "w"),
)
NAMES = tuple(info.name for info in INFOS)
N_SEGMENTS = 3


def draw(
    rng: np.random.Generator, n: int, day: str, level: tuple[float, ...] = (0.02, 0.8, 1.0, 1.0)
) -> DaySums:
    """Draw one day of rows that share levels."""
    values, segments = draw_rows(rng, n, level)
    return build_days(NAMES, values, segments, np.full(n, np.datetime64(day)), N_SEGMENTS)


def draw_rows(
    rng: np.random.Generator, n: int, level: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Draw values and segments of rows."""
    values = np.stack(
        [
            rng.random(n) < level[0],
            rng.random(n) < level[1],
            level[2] * rng.lognormal(0.0, 0.5, n),
            level[3] * rng.lognormal(0.0, 0.5, n),
        ],
        axis=1,
    ).astype(float)
    return values, rng.integers(0, N_SEGMENTS, n)


def plan_of(
    seed: int = 0,
    n_days: int = 14,
    per_day: int = 500,
    infos: tuple[SignalInfo, ...] = INFOS,
    settings: NightSettings | None = None,
) -> Plan:
    """Return a plan over a calm baseline."""
    rng = np.random.default_rng(seed)
    values, segments = draw_rows(rng, n_days * per_day, (0.02, 0.8, 1.0, 1.0))
    dates = np.repeat(np.datetime64("2026-09-01") + np.arange(n_days), per_day)
    buckets = rng.integers(0, 256, len(dates))
    days = build_days(NAMES, values, segments, dates, N_SEGMENTS, buckets=buckets)
    profile = build_profile(NAMES, values, segments, buckets, N_SEGMENTS)
    return make_plan(days, profile, infos, (), settings)


@dataclass
class Watch:
    """A plan and the nights judged so far."""

    plan: Plan
    nights: list[DaySums] = field(default_factory=list)
    state: NightState = field(default_factory=lambda: NightState.new(len(INFOS)))
    found: list[NightFindings] = field(default_factory=list)

    @property
    def history(self) -> History:
        """All nights as a history."""
        parts = [np.stack([d.n, d.total, d.total_sq, d.total_cu]) for d in self.nights]
        weekdays = np.concatenate([d.weekdays for d in self.nights])
        return History(np.concatenate(parts, axis=1), weekdays)

    def judge(self, night: DaySums) -> NightFindings:
        """Judge one more night."""
        self.nights.append(night)
        found = judge_night(self.plan, self.history, self.state)
        self.state = found.state
        self.found.append(found)
        return found


def day(number: int) -> str:
    """Return the ISO day of a night."""
    return str(np.datetime64("2026-10-01") + number)
