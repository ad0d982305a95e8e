"""Watch a stream of logs: judge what came in since the last slot, minute by minute.

Rows are decoded as `ingest` does and measured as the baseline was, then forgotten: a watch keeps
sums. They count in the slot in which they are *read*, so neither late lines nor wrong clocks move a
verdict. Keeping rows, days and feedback is the work of the nightly run, on the same files.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loopllm_cli import __version__
from loopllm_cli.config import Config
from loopllm_cli.drift.night_plan import Plan, make_plan
from loopllm_cli.drift.slots import (
    SECONDS_PER_YEAR,
    WINDOWS,
    SlotFindings,
    by_hours,
    judge_slot,
    threshold,
)
from loopllm_cli.errors import ConfigError
from loopllm_cli.loop.comparable import comparable_signals
from loopllm_cli.loop.config_secrets import refuse_secrets
from loopllm_cli.loop.watch_state import WatchState, read_state, write_state
from loopllm_cli.model import Status, WatchEvent, WatchResult
from loopllm_cli.profiles.baseline import Baseline, read_baseline
from loopllm_cli.profiles.measure import measure
from loopllm_cli.signals.registry import Signal
from loopllm_cli.sources.chunk import Decoder, Settings
from loopllm_cli.sources.columns import PLAIN, read_mapping
from loopllm_cli.sources.containers import Chunk
from loopllm_cli.sources.follow import Follower, Lines
from loopllm_cli.store.project import Project
from loopllm_cli.store.secret import read_key

FloatArray = npt.NDArray[np.float64]

MOST_EVENTS = 200
_LOOK_EVERY_S = 1.0
_LEAST_SECONDS, _MOST_SECONDS = 1.0, 3600.0
_MOST_ALARMS = 365.0
_MAIN_SHARE = 0.5
"""A segment is named where it holds at least half of what is too much."""


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """What to watch, and against which baseline; `model` keeps to the answers of one model."""

    sources: tuple[str, ...]
    baseline: str
    model: str = ""
    from_start: bool = False


@dataclass
class Watcher:
    """A watch in progress: `look` reads what has come, `judge` ends the slot."""

    project: Project
    request: WatchRequest
    config: Config
    key: str
    baseline: Baseline
    signals: dict[str, Signal]
    plan: Plan
    limit: float
    decoder: Decoder
    follower: Follower
    state: WatchState
    slot_sums: FloatArray
    read: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def look(self) -> None:
        """Read the lines that have come, and add up what they hold.

        Raises:
            DataError: a file cannot be read.
        """
        for lines in self.follower.look():
            self._add(lines)

    def judge(self, now: datetime) -> list[WatchEvent]:
        """End the slot, keep the state, and return what turned worse or is back."""
        self.state.slot += self._slots_since(now)
        before, events = self._result(now), []
        if self.slot_sums[0].any():
            self.state.add(self.slot_sums)
            newest = (self.state.slot, now.astimezone(UTC).weekday())
            windows = self.state.windows()
            found = judge_slot(self.plan, self.limit, newest, windows, self.state.judged)
            self.state.judged = found.state
            events = list(self._events(found, windows, now))
        self.state.result = self._next(before, events, now)
        self.state.places = self.follower.state()
        write_state(self.project, self.key, self.state)
        self.slot_sums = np.zeros_like(self.slot_sums)
        self.read.clear()
        return events

    def _add(self, lines: Lines) -> None:
        batch = self.decoder.decode(lines.path, Chunk(1, block=lines.block))
        self.read["parts"] += batch.n_parts
        self.read["rejected"] += len(batch.rejects)
        self.reasons.update(reject.reason for reject in batch.rejects)
        rows = batch.interactions.table if batch.interactions is not None else None
        if rows is None or not rows.num_rows:
            return
        kept = _of_model(rows, self.request.model)
        self.read["unmatched"] += rows.num_rows - kept.num_rows
        self.read["rows"] += kept.num_rows
        if not kept.num_rows:
            return
        base = self.baseline
        measured = measure(kept, self.signals, base.segments, base.cluster_by)
        at = [base.profile.signal_names.index(name) for name in self.signals]
        self.slot_sums[..., at] += measured.sums()

    def _slots_since(self, now: datetime) -> int:
        """Return how many slots have passed; at least one, also where a clock was set back."""
        if self.state.result is None:
            return 1
        passed = (now - self.state.result.at).total_seconds()
        return max(1, round(passed / self.config.watch.slot_seconds))

    def _events(
        self, found: SlotFindings, windows: FloatArray, now: datetime
    ) -> Iterator[WatchEvent]:
        for k in np.flatnonzero(found.turned | found.recovered):
            place = int(found.window[k])
            yield WatchEvent(
                at=now,
                signal=self.plan.infos[k],
                worse=bool(found.turned[k]),
                window_seconds=int(WINDOWS[place] * self.config.watch.slot_seconds),
                n_rows=int(found.n[k]),
                before=float(found.before[k]),
                after=float(found.after[k]),
                where=self._where(windows[:, place, :, k], int(k)) if found.turned[k] else "",
            )

    def _where(self, window: FloatArray, signal: int) -> str:
        """Name the segment in which most of the change lies; `window` is (4, n_segments)."""
        base = self.baseline.profile
        n, total = (part[..., signal].sum(axis=1) for part in (base.n, base.total))
        level = np.divide(total, n, out=np.zeros_like(n), where=n > 0)
        sign = 1.0 if self.plan.worse_up[signal] else -1.0
        excess = np.maximum(sign * (window[1] - window[0] * level), 0.0)
        most = int(excess.argmax())
        if len(excess) < 2 or excess[most] < _MAIN_SHARE * excess.sum():
            return ""
        return self.baseline.labels[most]

    def _result(self, now: datetime) -> WatchResult:
        """Return the result so far, at the beginning one in which nothing has happened."""
        if self.state.result is not None:
            return self.state.result
        asked = self.config.watch
        return WatchResult(
            baseline_name=self.baseline.name,
            baseline_hash=self.baseline.content_hash,
            sources=self.request.sources,
            status=Status.OK,
            at=now,
            n_slots=0,
            slot_seconds=asked.slot_seconds,
            n_rows=0,
            n_parts=0,
            n_rejected=0,
            n_unmatched=0,
            budget=asked.false_alarms_per_year,
            spent=0.0,
            worse=(),
            events=(),
            version=__version__,
        )

    def _next(self, before: WatchResult, events: list[WatchEvent], now: datetime) -> WatchResult:
        worse = {event.signal.name: event for event in before.worse}
        for event in events:
            worse.pop(event.signal.name, None)
            if event.worse:
                worse[event.signal.name] = event
        n_slots = before.n_slots + 1
        return replace(
            before,
            status=Status.DEGRADED if worse else Status.OK,
            at=now,
            n_slots=n_slots,
            n_rows=before.n_rows + self.read["rows"],
            n_parts=before.n_parts + self.read["parts"],
            n_rejected=before.n_rejected + self.read["rejected"],
            n_unmatched=before.n_unmatched + self.read["unmatched"],
            spent=before.budget * n_slots * before.slot_seconds / SECONDS_PER_YEAR,
            worse=tuple(worse.values()),
            events=(*before.events, *events)[-MOST_EVENTS:],
        )


@contextmanager
def watching(project: Project, config: Config, request: WatchRequest) -> Iterator[Watcher]:
    """Begin a watch, or take up the one that watched the same before.

    Raises:
        BaselineNotFound: there is no such baseline.
        ConfigError: a setting is out of range, or a signal's definition is not the baseline's.
        Locked: the same is being watched already.
        SchemaMismatch: what the last watch left is damaged.
        UsageError: a folder does not exist.
    """
    _check(config)
    baseline = read_baseline(project, request.baseline)
    signals, _ = comparable_signals(project, config, baseline)
    plan = _plan(baseline, signals)
    key = _key(baseline, request)
    with project.watching(key):
        shape = (baseline.profile.n.shape[0], len(baseline.signals))
        state = read_state(project, key, shape)
        yield Watcher(
            project=project,
            request=request,
            config=config,
            key=key,
            baseline=baseline,
            signals=signals,
            plan=plan,
            limit=threshold(plan, config.watch.false_alarms_per_year, config.watch.slot_seconds),
            decoder=_decoder(project, config),
            follower=Follower(request.sources, request.from_start, state.places),
            state=state,
            slot_sums=np.zeros((4, *shape)),
        )


def _check(config: Config) -> None:
    refuse_secrets(config)
    asked = config.watch
    if not _LEAST_SECONDS <= asked.slot_seconds <= _MOST_SECONDS:
        raise ConfigError(
            f"[watch] slot_seconds = {asked.slot_seconds:g} is out of range",
            f"{_LEAST_SECONDS:g} to {_MOST_SECONDS:g}; 60 is a minute",
        )
    if not 0 < asked.false_alarms_per_year <= _MOST_ALARMS:
        raise ConfigError(
            f"[watch] false_alarms_per_year = {asked.false_alarms_per_year:g} is out of range",
            "try 2, or 12 to hear of smaller changes",
        )


def _plan(baseline: Baseline, signals: dict[str, Signal]) -> Plan:
    infos = tuple(
        signals[info.name].info if info.name in signals else info for info in baseline.signals
    )
    seasonal = baseline.weekly.signal_names
    plan = make_plan(baseline.days, baseline.profile, infos, seasonal)
    return by_hours(plan, baseline.hours.moments())


def _key(baseline: Baseline, request: WatchRequest) -> str:
    said = repr((sorted(request.sources), request.model)).encode()
    return f"{baseline.content_hash[:16]}-{hashlib.blake2b(said, digest_size=4).hexdigest()}"


def _decoder(project: Project, config: Config) -> Decoder:
    asked = config.run
    mapping = read_mapping(project.root / Path(asked.map)) if asked.map else PLAIN
    key = b"" if asked.redact == "off" else read_key(project)
    return Decoder(Settings("watch", mapping, redact=asked.redact, key=key))


def _of_model(rows: pa.Table, model: str) -> pa.Table:
    if not model:
        return rows
    served = pc.coalesce(rows.column("response_model"), rows.column("request_model"))
    return rows.filter(pc.fill_null(pc.equal(served, model), False))


def keep_watching(
    watcher: Watcher,
    listen: Callable[[list[WatchEvent], WatchResult], None],
    *,
    once: bool = False,
) -> WatchResult:
    """Judge slot after slot, until stdin ends; with `once`, only what has come so far.

    A process that is stopped in between loses nothing: what it had read of an unfinished slot is
    read again.

    Args:
        listen: called after every slot with what turned, and how things stand.
    """
    while True:
        begun = time.monotonic()
        watcher.look()
        while not once and not watcher.follower.ended:
            left = begun + watcher.config.watch.slot_seconds - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(left, _LOOK_EVERY_S))
            watcher.look()
        events = watcher.judge(datetime.now(UTC))
        result = watcher.state.result
        assert result is not None
        listen(events, result)
        if once or watcher.follower.ended:
            return result
