"""Preference data: pairs, single judged answers, liked answers, and what an audit finds in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from loopllm_cli.model.capture import Message
from loopllm_cli.model.display import Displayed


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to the same context, one better, and where that knowledge came from.

    `annotator_ids` say who gave each of the `feedback_ids` ("" where unknown). `confidence` is
    the estimated probability that the chosen side is the better one, None where nothing tells.
    `tools` are the context's tool definitions, `chosen_calls` and `rejected_calls` the tool calls
    of the answers beside their text, all as JSON. `votes_against` is feedback that preferred the
    other side and was outvoted; `chosen_place` where the chosen answer stood among two that were
    shown side by side (0 is first), None where nobody said; `signals` are the names of those on
    which the rejected side is bad and the chosen one is not, where signals told them apart.
    """

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
    chosen_user_id: str | None = None
    annotator_ids: tuple[str, ...] = ()
    confidence: float | None = None
    tools: str | None = None
    chosen_calls: str | None = None
    rejected_calls: str | None = None
    votes_against: tuple[str, ...] = ()
    chosen_place: int | None = None
    signals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unpaired:
    """One answer that somebody judged, with nothing to compare it with (TRL's unpaired format).

    `source` is the kind of feedback, such as "thumbs" or "implicit"; `weight` says how much it
    should count beside a person's vote, which counts 1.
    """

    example_id: str
    prompt: tuple[Message, ...]
    completion: str
    label: bool
    source: str
    weight: float
    feedback_ids: tuple[str, ...]
    interaction_id: str
    user_id: str | None
    conversation_id: str | None
    context_hash: str
    prompt_hash: str
    segment: str | None
    model: str | None
    feedback_time: datetime | None
    tools: str | None = None
    completion_calls: str | None = None


@dataclass(frozen=True, slots=True)
class Retained:
    """A good answer on traffic that must not change; `source` says why it counts as good."""

    prompt: tuple[Message, ...]
    chosen: str
    source: str
    feedback_ids: tuple[str, ...]
    interaction_ids: tuple[str, ...]
    user_id: str | None
    conversation_id: str | None
    context_hash: str
    prompt_hash: str
    segment: str | None
    model: str | None
    tools: str | None = None
    chosen_calls: str | None = None


@dataclass(frozen=True, slots=True)
class Annotator:
    """How often one person's votes are right, estimated, with a 95% interval."""

    annotator_id: str
    n_votes: int
    n_shared: int
    reliability: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far people who judged the same two answers agree, and the noise that follows from it.

    `agreement` is the share of agreeing pairs of votes, `noise` the estimated share of wrong
    votes, each with a 95% interval; NaN where nobody judged the same.
    """

    n_shared: int
    agreement: float
    low: float
    high: float
    noise: float
    noise_low: float
    noise_high: float
    annotators: tuple[Annotator, ...] = ()


class Severity(StrEnum):
    """How bad a finding is: `fail` means that training on it is a mistake."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that an audit looked at, against its threshold.

    `name` is a stable slug, `text` what was found in words, `remedy` what to do about it;
    `examples` are ids of pairs; `accepted` says that the configuration takes it as it is.
    """

    name: str
    severity: Severity
    text: str
    n: int = 0
    value: float | None = None
    low: float | None = None
    high: float | None = None
    threshold: float | None = None
    remedy: str = ""
    examples: tuple[str, ...] = ()
    accepted: bool = False


@dataclass(frozen=True, slots=True)
class PairsSummary(Displayed):
    """What became of every piece of feedback that was looked at.

    Every piece of feedback either stands in at least one pair or is counted once in `dropped`;
    some of the latter stand among the `n_unpaired` single judged answers. `n_new` and `n_gone`
    count pairs against the dataset before (`previous`, its hash).
    """

    path: str
    content_hash: str
    n_feedback: int
    n_candidates: int
    n_train: int
    n_heldout: int
    n_retention: int
    n_unpaired: int
    by_rule: dict[str, int]
    dropped: dict[str, int]
    by_segment: dict[str, int]
    findings: tuple[Finding, ...]
    agreement: Agreement | None = None
    previous: str | None = None
    n_new: int = 0
    n_gone: int = 0


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What was written for another tool: rows per file, and rows that it cannot express."""

    target: str
    reader: str
    path: str
    pairs: str
    n_rows: dict[str, int]
    skipped: dict[str, int]
