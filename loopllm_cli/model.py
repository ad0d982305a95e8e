"""The data that rooms hand to each other: frozen dataclasses, no behaviour, no heavy imports.

Vocabulary: a *row* is one model response; a *signal* is one number per row; a *segment* is a
group of rows with like prompts (or a logged attribute); a *cluster* is the unit whose rows
depend on each other (a user, else a conversation, else a prompt).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

Message = dict[str, Any]
"""One chat message, `{"role": ..., "content": ...}`, as TRL and chat templates take it."""


# --- capture -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IngestSummary:
    """What became of every line that was read.

    A line is a line of JSON, a row of a table or an element of an array. Always
    `n_lines = n_blank + n_kept + n_duplicates + n_feedback + n_feedback_duplicates + n_parts +
    n_skipped + n_rejected`. Beyond the first row of a record, `n_extra_rows` counts its further
    responses and votes, and what was put together from parts; `n_replaced` the stored rows that
    gave way to a newer or fuller record; `n_conflicts` the rows kept beside one of the same id;
    `n_implicit` what was mined from users' next messages. `columns_filled` counts, for a dry run's
    sample, per format the rows and how many of them fill each column.
    """

    n_lines: int
    n_blank: int
    n_kept: int
    n_duplicates: int
    n_feedback: int
    n_feedback_duplicates: int
    n_feedback_linked: int
    n_feedback_orphans: int
    n_feedback_ambiguous: int
    n_feedback_of_conversations: int
    orphans_because: str
    n_parts: int
    n_skipped: int
    n_rejected: int
    n_extra_rows: int
    n_replaced: int
    n_conflicts: int
    n_implicit: int
    skipped_by_reason: dict[str, int]
    rejected_by_reason: dict[str, int]
    redacted_by_type: dict[str, int]
    format_reasons: dict[str, str]
    columns_filled: dict[str, dict[str, int]]
    n_lines_by_format: dict[str, int]
    first_time: datetime | None
    last_time: datetime | None
    models: tuple[str, ...]
    rejects_path: str | None
    sources: tuple[str, ...]
    n_sources_unchanged: int
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ForgetSummary:
    """What was erased, or would be in a dry run; whom it was about is not repeated.

    `datasets` were removed; `datasets_elsewhere` hold some of it too and lie outside of the
    project. `records` are runs whose ids of rows were taken out. `adapters` were trained on a
    dataset that held some of it, and are still there.
    """

    selector: str
    n_interactions: int
    n_feedback: int
    n_parts: int
    n_rejects: int
    datasets: tuple[str, ...]
    datasets_elsewhere: tuple[str, ...]
    records: tuple[str, ...]
    adapters: tuple[str, ...]
    n_baselines: int
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the store, as asked for. Times are UTC; `until` is exclusive."""

    since: datetime | None = None
    until: datetime | None = None
    model: str | None = None
    where: str | None = None


@dataclass(frozen=True, slots=True)
class WindowSummary:
    """What a window turned out to hold."""

    n_rows: int
    n_users: int
    n_clusters: int
    first_time: datetime | None
    last_time: datetime | None
    models: tuple[str, ...]


# --- evaluate ----------------------------------------------------------------------------------


class SignalKind(StrEnum):
    """How a signal's mean is compared."""

    RATE = "rate"  # 0/1 per row; judged by the difference of the rates (in points)
    AMOUNT = "amount"  # a non-negative number per row; judged by the ratio of the means


class Worse(StrEnum):
    """Which way a signal moves when quality falls."""

    UP = "up"
    DOWN = "down"
    EITHER = "either"  # no direction is worse: such a signal informs and never pages


@dataclass(frozen=True, slots=True)
class SignalInfo:
    """What a signal measures and how much of a change matters.

    Units: `tolerance` is a difference of rates for RATE (0.01 is one percentage point) and a
    relative change of the mean for AMOUNT (0.10 is ten percent). `levels` is set for one value of
    a category: what the baseline knew of its values (see `signals.categories`). `fingerprint`
    stands for what a user's signal measures, code and files included.
    """

    name: str
    kind: SignalKind
    worse: Worse
    tolerance: float
    definition: str
    unit: str = ""
    version: int = 1
    tolerance_source: str = "default"
    levels: tuple[str, ...] = ()
    fingerprint: str = ""


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
class SignalPlan:
    """What windows of a size would show of one signal, and how many rows a wanted change takes.

    Units: changes as in `Comparison`, as sizes; NaN where none is visible or too few users are
    known. `visible_larger_baseline` is with a baseline ten times as large; `baseline_share` is
    how much of the change's variance is the baseline's. `rows_needed` is infinite where no window
    would do beside this baseline. `within_nights` maps a number of nights to the change that
    looking every night shows by then, where the baseline holds nights.
    """

    signal: SignalInfo
    baseline: float
    design_effect: float
    visible: float
    visible_larger_baseline: float
    baseline_share: float
    wanted: float
    rows_needed: float
    within_nights: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlanResult:
    """What it takes to see changes against a baseline, before the window is there."""

    baseline_name: str
    baseline_hash: str
    n_baseline: int
    n_nights: int
    n_rows: int
    rows_per_night: float
    alpha: float
    power: float
    family_size: int
    signals: tuple[SignalPlan, ...]
    version: str


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
class DriftResult:
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


# --- pairs -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to the same context, one better, and where that knowledge came from."""

    pair_id: str
    prompt: tuple[Message, ...]
    chosen: str
    rejected: str
    rule: str
    feedback_ids: tuple[str, ...]
    interaction_ids: tuple[str, ...]
    user_id: str | None
    conversation_id: str | None
    context_hash: str
    prompt_hash: str
    segment: str | None
    chosen_model: str | None
    rejected_model: str | None
    margin: float
    feedback_time: datetime | None
    chosen_conversation_id: str | None = None


@dataclass(frozen=True, slots=True)
class PairsSummary:
    """What became of every piece of feedback that was looked at.

    Every piece of feedback either stands in at least one pair or is counted once in `dropped`.
    """

    path: str
    content_hash: str
    n_feedback: int
    n_candidates: int
    n_train: int
    n_heldout: int
    n_retention: int
    by_rule: dict[str, int]
    dropped: dict[str, int]
    by_segment: dict[str, int]
    warnings: tuple[str, ...]


# --- correct -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AdapterCard:
    """What was trained, on what, and how it went."""

    path: str
    model: str
    model_hash: str
    pairs_path: str
    pairs_hash: str
    baseline_name: str | None
    drift_run_id: str | None
    method: str
    n_train: int
    n_steps: int
    seconds: float
    device: str
    recipe: dict[str, Any]
    versions: dict[str, str]
    adapter_hash: str
    final_metrics: dict[str, float]
    notes: tuple[str, ...] = ()


# --- verify ------------------------------------------------------------------------------------


class Gate(StrEnum):
    """The verdict on an adapter."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing an adapter had to show, with the words that say whether it did."""

    name: str
    gate: Gate
    text: str
    n: int = 0
    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Repair:
    """One drifted signal in one segment: baseline, model as it is, model with the adapter."""

    signal: SignalInfo
    segment: str
    label: str
    n: int
    baseline: float
    before: float
    after: float
    low: float
    high: float
    gate: Gate
    reason: str


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """The proof (or its failure) that an adapter repairs the drift and breaks nothing else."""

    run_id: str
    created: datetime
    adapter: str
    adapter_hash: str
    model: str
    baseline_name: str
    drift_run_id: str
    gate: Gate
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]
    repairs: tuple[Repair, ...]
    untouched: tuple[Comparison, ...]
    n_prompts: dict[str, int] = field(default_factory=dict)
    version: str = ""


# --- nights ------------------------------------------------------------------------------------


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
class NightsResult:
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


# --- baselines, side by side and calibrated ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that two baselines hold differently, in words; `subject` is what it is about."""

    subject: str
    what: str
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class BaselineDiff:
    """What differs between two baselines.

    `facts` are about windows, rows and settings, `signals` about definitions. `comparisons` take
    `a` for the baseline and `b` for the current window, by segment where `by_segment`, else as
    whole windows, where traffic and behaviour cannot be told apart. `not_compared` says why a
    signal that either has was left out.
    """

    a: str
    b: str
    a_hash: str
    b_hash: str
    same_content: bool
    facts: tuple[Difference, ...]
    signals: tuple[Difference, ...]
    by_segment: bool
    segments_added: tuple[str, ...]
    segments_removed: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    not_compared: dict[str, str]
    notes: tuple[str, ...]
    version: str


@dataclass(frozen=True, slots=True)
class BaselineRemoval:
    """A baseline that was removed, or would be, and what was made against it and stays."""

    name: str
    drift_runs: tuple[str, ...]
    ledgers: tuple[str, ...]
    pairs: tuple[str, ...]
    adapters: tuple[str, ...]
    verify_runs: tuple[str, ...]
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Frequency:
    """How often something happened in a number of runs, with its 95% interval (Clopper-Pearson)."""

    n_hits: int
    n_runs: int
    rate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Planted:
    """A change of known size put into clean rows, and how often it was called worse.

    Units: `size` as in `Comparison.change`, without a sign. `announced` is the power that was
    announced for this size, NaN where none was. `kind` is "twice the tolerance" or "visible".
    """

    kind: str
    size: float
    announced: float
    found: Frequency


@dataclass(frozen=True, slots=True)
class SignalCalibration:
    """One signal on clean splits: how often it was called worse, how often anything at all."""

    signal: SignalInfo
    worse: Frequency
    claimed: Frequency
    visible_change: float
    planted: tuple[Planted, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class SplitCalibration:
    """One way of splitting clean rows, "clusters", "days" or "weeks", and what was claimed.

    `n_current` is the median number of rows of a current part; `degraded_parts` names the days
    or weeks that were called degraded against the rest.
    """

    split_by: str
    n_current: int
    degraded: Frequency
    claimed: Frequency
    inconclusive: Frequency
    degraded_parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a project's set-up does on its own clean rows, and to changes planted into them."""

    baseline_name: str
    baseline_hash: str
    created: datetime
    source: str
    n_rows: int
    n_clusters: int
    alpha: float
    power: float
    splits: tuple[SplitCalibration, ...]
    signals: tuple[SignalCalibration, ...]
    kept_level: bool
    notes: tuple[str, ...]
    seed: int
    version: str
