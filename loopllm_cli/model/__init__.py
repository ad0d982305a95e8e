"""The data that rooms hand to each other: frozen dataclasses, no behaviour, no heavy imports.

Vocabulary: a *row* is one model response; a *signal* is one number per row; a *segment* is a
group of rows with like prompts (or a logged attribute); a *cluster* is the unit whose rows
depend on each other (a user, else a conversation, else a prompt).
"""

from loopllm_cli.model.baselines import (
    BaselineDiff,
    BaselineRemoval,
    Calibration,
    Difference,
    Frequency,
    PlanResult,
    Planted,
    SignalCalibration,
    SignalPlan,
    SplitCalibration,
)
from loopllm_cli.model.capture import (
    ForgetSummary,
    IngestSummary,
    Message,
    Window,
    WindowSummary,
)
from loopllm_cli.model.correction import (
    AdapterCard,
    Check,
    Gate,
    Pair,
    PairsSummary,
    Repair,
    VerifyResult,
)
from loopllm_cli.model.drift import (
    Comparison,
    DailyPoint,
    DriftResult,
    Interval,
    Omnibus,
    OmnibusPart,
    PartIntervals,
    ScoreChange,
    SegmentChange,
    SliceChange,
    Status,
    Telling,
    Verdict,
)
from loopllm_cli.model.nights import (
    NightPage,
    NightSignal,
    NightsResult,
)
from loopllm_cli.model.signals import (
    SignalInfo,
    SignalKind,
    Worse,
)

__all__ = [
    "AdapterCard",
    "BaselineDiff",
    "BaselineRemoval",
    "Calibration",
    "Check",
    "Comparison",
    "DailyPoint",
    "Difference",
    "DriftResult",
    "ForgetSummary",
    "Frequency",
    "Gate",
    "IngestSummary",
    "Interval",
    "Message",
    "NightPage",
    "NightSignal",
    "NightsResult",
    "Omnibus",
    "OmnibusPart",
    "Pair",
    "PairsSummary",
    "PartIntervals",
    "PlanResult",
    "Planted",
    "Repair",
    "ScoreChange",
    "SegmentChange",
    "SignalCalibration",
    "SignalInfo",
    "SignalKind",
    "SignalPlan",
    "SliceChange",
    "SplitCalibration",
    "Status",
    "Telling",
    "Verdict",
    "VerifyResult",
    "Window",
    "WindowSummary",
    "Worse",
]
