"""A baseline watched night by night."""

from __future__ import annotations

from dataclasses import dataclass

from loopllm_cli.model.display import Displayed
from loopllm_cli.model.drift import Status, Verdict
from loopllm_cli.model.signals import SignalInfo


@dataclass(frozen=True, slots=True)
class NightSignal:
    """One signal after the newest night: what can be said of it, and in which window.

    Units: as in `Comparison`; `baseline` and `current` are levels at the shared mix. The window
    reaches from `first_day` to the newest night and has `n_nights` of them. `since` is the day of
    the page of a signal that is worse. `visible` holds the smallest change that would page with
    80% probability tonight, within a week and within four weeks (NaN: none would).
    """

    signal: SignalInfo
    verdict: Verdict
    paged: bool
    recovered: bool
    since: str | None
    first_day: str
    n_nights: int
    n_baseline: int
    n_window: int
    baseline: float
    current: float
    change: float
    low: float
    high: float
    design_effect: float
    weekly: bool
    visible: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class NightPage:
    """One page: the day a signal turned worse, and the day it was back (None: it is not)."""

    signal: str
    day: str
    until: str | None


@dataclass(frozen=True, slots=True)
class NightsResult(Displayed):
    """The state of a nightly watch after its newest night.

    `spent` is the bound on the expected number of false pages so far, of `budget` per 365 nights.
    Days are ISO dates in UTC: `new_days` were judged by this run, `missing_days` had no rows,
    `late_days` came after a later day had been judged, `changed_days` were measured again because
    their rows had changed.
    """

    baseline_name: str
    baseline_hash: str
    scope: str
    status: Status
    night: str
    n_nights: int
    n_rows: int
    first_day: str
    budget: float
    spent: float
    family_size: int
    signals: tuple[NightSignal, ...]
    pages: tuple[NightPage, ...]
    new_days: tuple[str, ...]
    missing_days: tuple[str, ...]
    late_days: tuple[str, ...]
    changed_days: tuple[str, ...]
    notes: tuple[str, ...]
    version: str
