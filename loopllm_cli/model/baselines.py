"""Baselines side by side, calibrated, and what windows against them will see."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from loopllm_cli.model.drift import Comparison
from loopllm_cli.model.signals import SignalInfo


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
