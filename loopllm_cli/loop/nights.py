"""Watch night after night: judge every complete day that the ledger does not hold yet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np

from loopllm_cli.config import Config
from loopllm_cli.drift.night_plan import NightSettings, Plan, make_plan
from loopllm_cli.drift.nights import History, NightState, judge_night, reach
from loopllm_cli.errors import ConfigError, EmptyWindow, UsageError
from loopllm_cli.loop.comparable import comparable_signals
from loopllm_cli.loop.night_records import (
    NewNight,
    arrays_of,
    ledger_key,
    record_night,
    result_of,
    sums_of,
)
from loopllm_cli.model import NightsResult, Window
from loopllm_cli.profiles.baseline import Baseline, read_baseline
from loopllm_cli.profiles.days import DaySums
from loopllm_cli.profiles.measure import measure
from loopllm_cli.signals.registry import Signal
from loopllm_cli.store.ledger import Ledger, day_digests
from loopllm_cli.store.project import Project
from loopllm_cli.store.windows import read_window

_LOCK_WAIT_S = 600.0
_DAY = timedelta(days=1)
_MOST_PAGES = 52.0
_LONGEST_WAIT = 365
Digest = list[Any]


def run_nights(
    project: Project,
    config: Config,
    name: str,
    asked: Window | None = None,
    *,
    now: datetime | None = None,
) -> NightsResult:
    """Judge the days that have come since the last run, and say how things stand.

    Args:
        asked: `model` and `where` choose what is watched, each choice with a ledger of its own;
            days that begin before `until` are judged even if they are not over.
        now: the present; days are complete before it.

    Raises:
        BaselineNotFound: there is no such baseline.
        EmptyWindow: no complete day has rows yet.
        ConfigError: a signal's definition is not the baseline's, or a setting is out of range.
        SchemaMismatch: the ledger is damaged.
        UsageError: a `since` was given, or the baseline's rows carry no times.
    """
    asked = asked or Window()
    if asked.since:
        raise UsageError(
            "a nightly watch begins after its baseline, so --since says nothing",
            "leave it out; --until judges up to a day",
        )
    settings = night_settings(config)
    baseline = read_baseline(project, name)
    span = (_first_day(baseline), _end(config, asked, now or datetime.now(UTC)))
    signals, _ = comparable_signals(project, config, baseline)
    with project.writing(_LOCK_WAIT_S):
        watch = _Watch.open(project, (baseline, signals, settings), asked)
        new_days = watch.catch_up(*span, config.drift.inconclusive)
    if not len(watch.ledger):
        raise EmptyWindow(
            "no complete day after the baseline has rows yet",
            "ingest what has come since; a day is judged once it is over (UTC)",
        )
    return result_of(watch.ledger, new_days)


def night_settings(config: Config) -> NightSettings:
    """Read the budget from the configuration.

    Raises:
        ConfigError: a value is out of range.
    """
    nights = config.nights
    if not 0 < nights.false_pages_per_year <= _MOST_PAGES:
        raise ConfigError(
            f"[nights] false_pages_per_year = {nights.false_pages_per_year:g} is out of range",
            "try 1, or 0.2 to be woken less often",
        )
    if not 0 <= nights.settle_days <= _LONGEST_WAIT:
        raise ConfigError(
            f"[nights] settle_days = {nights.settle_days} is out of range", "try 0 to 14"
        )
    return NightSettings(false_pages_per_year=nights.false_pages_per_year)


@dataclass
class _Watch:
    """A ledger, what is held of it in memory, and all that adding a night takes."""

    project: Project
    baseline: Baseline
    signals: dict[str, Signal]
    plan: Plan
    scope: Window
    ledger: Ledger
    held: dict[int, DaySums]
    card: dict[str, Any]

    @classmethod
    def open(
        cls,
        project: Project,
        measures: tuple[Baseline, dict[str, Signal], NightSettings],
        asked: Window,
    ) -> _Watch:
        baseline, signals, settings = measures
        scope = Window(model=asked.model, where=asked.where)
        infos = tuple(
            signals[info.name].info if info.name in signals else info for info in baseline.signals
        )
        seasonal = baseline.weekly.signal_names
        plan = make_plan(baseline.days, baseline.profile, infos, seasonal, settings)
        ledger = Ledger(project, ledger_key(baseline, scope))
        n = len(ledger)
        held = {
            k: sums_of(ledger.latest(k), baseline.days)
            for k in range(max(1, n - reach() + 1), n + 1)
        }
        card = ledger.read(n).card if n else {"days": [], "late": [], "spent": 0.0}
        return cls(project, baseline, signals, plan, scope, ledger, held, card)

    def catch_up(self, first: date, end: date, inconclusive: str) -> list[str]:
        """Measure changed days again and judge new ones, in order; return the new days."""
        judged = list(self.card["days"])
        newest = max((date.fromisoformat(day) + _DAY for day in judged), default=end)
        found = day_digests(self.project, self._window(first, max(end, newest)))
        self._correct_changed(found)
        new = [day for day in sorted(found) if day not in judged and day < end.isoformat()]
        for day in new:
            self._judge(day, list(found[day]), (first, inconclusive))
        return new

    def _window(self, since: date, until: date) -> Window:
        return replace(self.scope, since=_midnight(since), until=_midnight(until))

    def _measure(self, day: str) -> tuple[DaySums, dict[str, str]]:
        base, begin = self.baseline, date.fromisoformat(day)
        try:
            rows = read_window(self.project, self._window(begin, begin + _DAY), f"day {day}")
        except EmptyWindow:
            return base.days.day(day).zeros(), {}
        measured = measure(rows, self.signals, base.segments, base.cluster_by)
        return measured.days().columns(base.profile.signal_names).day(day), measured.failures

    def _correct_changed(self, found: dict[str, tuple[int, str]]) -> None:
        for number in self.held:
            day = self.card["days"][number - 1]
            digest = list(found.get(day, (0, "0")))
            if self.ledger.latest(number).card["digest"] != digest:
                sums, _ = self._measure(day)
                self.ledger.correct(number, {"day": day, "digest": digest}, arrays_of(sums))
                self.held[number] = sums

    def _judge(self, day: str, digest: Digest, context: tuple[date, str]) -> None:
        sums, failures = self._measure(day)
        number = len(self.ledger) + 1
        self.held[number] = sums
        self.held.pop(number - reach(), None)
        history = _history(self.held)
        before = NightState.new(len(self.plan.infos))
        if self.card["days"]:
            before = NightState(np.array(self.card["since"]), np.array(self.card["floor"]))
        night = NewNight(
            day=day,
            digest=digest,
            first=context[0],
            inconclusive=context[1],
            failures=failures,
            measured=tuple(self.signals),
            history=history,
            findings=judge_night(self.plan, history, before),
        )
        self.card = record_night(self.plan, (self.baseline, self.scope), self.card, night)
        self.ledger.append(self.card, arrays_of(sums))


def _history(held: dict[int, DaySums]) -> History:
    numbers = sorted(held)
    sums = np.concatenate(
        [np.stack([d.n, d.total, d.total_sq, d.total_cu]) for d in map(held.get, numbers) if d],
        axis=1,
    )
    weekdays = np.concatenate([held[k].weekdays for k in numbers])
    return History(sums, weekdays, numbers[0] - 1)


def _first_day(baseline: Baseline) -> date:
    """Return the first day that holds no row of the baseline."""
    last = baseline.summary.last_time
    if last is None:
        raise UsageError(
            "the baseline's rows carry no times, so no night comes after them",
            "make a baseline of rows with times",
        )
    return last.astimezone(UTC).date() + _DAY


def _end(config: Config, asked: Window, now: datetime) -> date:
    """Return the day before which days are judged."""
    if asked.until is None:
        return now.astimezone(UTC).date() - config.nights.settle_days * _DAY
    until = asked.until.astimezone(UTC)
    return until.date() + (_DAY if until.time() > time(0) else timedelta(0))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(0), UTC)
