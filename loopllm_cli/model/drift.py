"""A window compared with a baseline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from loopllm_cli.model.capture import Window, WindowSummary
from loopllm_cli.model.display import Displayed
from loopllm_cli.model.signals import SignalInfo


class Verdict(StrEnum):
    """What can be said of one signal."""

    WORSE = "worse"
    BETTER = "better"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    INCONCLUSIVE = "unclear"


class Status(StrEnum):
    """What can be said of a whole comparison."""

    OK = "ok"
    DEGRADED = "degraded"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided 95% interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PartIntervals:
    """Intervals of the parts of a change, in the signal's own unit.

    That of `behaviour` holds what prompt clusters may leave unresolved, too.
    """

    total: Interval
    behaviour: Interval
    mix: Interval
    new_traffic: Interval
    vanished_traffic: Interval


@dataclass(frozen=True, slots=True)
class Comparison:
    """One signal in two windows (whole windows or one segment of them), judged.

    Units: rates and their differences are shares (0..1); amounts are in `signal.unit`. `change`,
    `low`, `high` and `visible_change` are differences for a RATE and relative changes for an
    AMOUNT. total = behaviour + mix + new_traffic - vanished_traffic, in the signal's own unit.
    `effective_n_*` is how many independent rows each window is worth.
    """

    signal: SignalInfo
    n_baseline: int
    n_current: int
    baseline: float
    current: float
    total: float
    behaviour: float
    mix: float
    new_traffic: float
    vanished_traffic: float
    change: float
    low: float
    high: float
    design_effect: float
    df: float
    p_value: float
    p_adjusted: float
    visible_change: float
    verdict: Verdict
    note: str = ""
    segment: str | None = None
    parts: PartIntervals | None = None
    effective_n_baseline: float = float("nan")
    effective_n_current: float = float("nan")


@dataclass(frozen=True, slots=True)
class SegmentChange:
    """One segment where something got worse, and how much of the whole change it explains."""

    segment: str
    label: str
    share_current: float
    n_current: int
    comparisons: tuple[Comparison, ...]
    share_of_change: float
    example_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SliceChange:
    """A group of rows where behaviour changed more than in the others, searched on one half of
    the users and judged on the other.

    `parts` are the attributes and their values, as in `name`; a prompt cluster's attribute is
    "prompts". `share_of_change` is the part of the whole behaviour change that the slice makes
    up, of the signal in the first comparison; `comparisons` stand on the judging half, with
    p-values adjusted for all slices judged. `share_of_change` is 1 where all else stood still.
    """

    name: str
    parts: tuple[tuple[str, str], ...]
    n_baseline: int
    n_current: int
    share_current: float
    share_of_change: float
    comparisons: tuple[Comparison, ...]
    example_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OmnibusPart:
    """One statistic of the omnibus test: how far apart, in its own steps from the middle to the
    95% point of its permutations, and its p-value by itself."""

    name: str
    distance: float
    p_value: float


@dataclass(frozen=True, slots=True)
class ScoreChange:
    """A score that tells two windows apart: its studentised change (positive: more now), and the
    p-value adjusted for all scores."""

    name: str
    z: float
    p_adjusted: float


@dataclass(frozen=True, slots=True)
class Telling:
    """A word whose share of the answers changed; `z` is the standardised change.

    `at_most` says that the baseline used the word too rarely to have kept it, and that
    `baseline_share` is the largest share it can have had.
    """

    word: str
    baseline_share: float
    current_share: float
    z: float
    at_most: bool = False


@dataclass(frozen=True, slots=True)
class Omnibus:
    """Whether two windows differ in anything at all, and what tells them apart; never pages."""

    p_value: float
    statistic: float
    n_permutations: int
    parts: tuple[OmnibusPart, ...]
    scores: tuple[ScoreChange, ...]
    differs: bool = False
    words: tuple[Telling, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class DailyPoint:
    """The mean of one signal on one day."""

    day: str
    mean: float
    n_rows: int
    window: str  # "baseline" or "current"


@dataclass(frozen=True, slots=True)
class DriftResult(Displayed):
    """The verdict of one comparison of a window with a baseline, with all that explains it."""

    run_id: str
    created: datetime
    baseline_name: str
    baseline_hash: str
    baseline_window: WindowSummary
    current_window: WindowSummary
    asked_window: Window
    status: Status
    comparisons: tuple[Comparison, ...]
    segments: tuple[SegmentChange, ...]
    segment_basis: str
    mix_note: str
    daily: dict[str, tuple[DailyPoint, ...]]
    alpha: float
    family_size: int
    skipped_signals: dict[str, str]
    settings: dict[str, Any]
    version: str
    slices: tuple[SliceChange, ...] = ()
    omnibus: Omnibus | None = None
    notes: tuple[str, ...] = ()
