"""A stream of logs watched minute by minute."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from loopllm_cli.model.display import Displayed
from loopllm_cli.model.drift import Status
from loopllm_cli.model.signals import SignalInfo


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """A signal that turned worse, or that is back.

    `before` and `after` are the baseline's level and that of the window, at the segments that both
    have; the window holds the `n_rows` of the last `window_seconds`. `where` names the segment
    that most of the change lies in, "" where it is spread or there is one only.
    """

    at: datetime
    signal: SignalInfo
    worse: bool
    window_seconds: int
    n_rows: int
    before: float
    after: float
    where: str


@dataclass(frozen=True, slots=True)
class WatchResult(Displayed):
    """How a watch stands after its newest slot.

    `worse` holds, of every signal that is worse now, the event in which it turned; `events` the
    newest events of all. `spent` bounds the expected number of false alarms so far, of `budget`
    a year. Rows that come in pieces (`n_parts`) and unreadable lines (`n_rejected`) are left to
    `ingest`; `n_unmatched` rows were of another model than the one that is watched.
    """

    baseline_name: str
    baseline_hash: str
    sources: tuple[str, ...]
    status: Status
    at: datetime
    n_slots: int
    slot_seconds: float
    n_rows: int
    n_parts: int
    n_rejected: int
    n_unmatched: int
    budget: float
    spent: float
    worse: tuple[WatchEvent, ...]
    events: tuple[WatchEvent, ...]
    version: str
