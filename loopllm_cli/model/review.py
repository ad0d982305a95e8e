"""What people say of pairs before a model learns them, and a pair with its evidence."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from loopllm_cli.model.drift import SegmentChange
from loopllm_cli.model.pairs import Pair


class Choice(StrEnum):
    """What a reviewer says of a pair, in the words of the pair as the votes made it.

    `skipped` and `undone` say nothing; the latter takes back the same reviewer's last word.
    """

    CHOSEN = "chosen"
    REJECTED = "rejected"
    BOTH_GOOD = "both good"
    BOTH_BAD = "both bad"
    SKIPPED = "skipped"
    UNDONE = "undone"


class Reply(StrEnum):
    """What a reviewer does with a pair whose sides are shown in random order."""

    FIRST = "first"
    SECOND = "second"
    BOTH_GOOD = "both good"
    BOTH_BAD = "both bad"
    SKIP = "skip"
    UNDO = "undo"
    QUIT = "quit"


@dataclass(frozen=True, slots=True)
class ReviewDecision:
    """One reviewer's word on one pair.

    `content` is a digest of the texts that were shown, `queue` why the pair was asked about
    ("random" where it was drawn), `source` the tool, such as "terminal" or "argilla".
    `feedback_ids` and `interaction_ids` are the pair's, so that forgetting reaches the decision.
    """

    pair_id: str
    choice: Choice
    reviewer: str
    time: datetime | None
    content: str = ""
    queue: str = ""
    source: str = "terminal"
    feedback_ids: tuple[str, ...] = ()
    interaction_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of n, with a 95% interval; None where n is 0."""

    n: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class ReviewerTally:
    """What one reviewer has said, each pair counted once, by their last word.

    `with_votes` is how often they agree with the users' votes where they see a difference, and
    `first_shown` how often they prefer the side that happened to stand first: half, if that
    plays no part.
    """

    reviewer: str
    n_pairs: int
    by_choice: dict[str, int]
    with_votes: Rate
    first_shown: Rate


@dataclass(frozen=True, slots=True)
class ReviewerAgreement:
    """How far two reviewers agree on the pairs that both have judged; kappa is Cohen's."""

    first: str
    second: str
    agreement: Rate
    kappa: float | None


@dataclass(frozen=True, slots=True)
class ReviewSummary:
    """How far a review is and what it says of the dataset.

    `noise` is the share of pairs whose better side is the rejected one and `undecidable` the
    share in which neither is better, both among the pairs that were drawn at random.
    """

    path: str
    reviewer: str | None
    n_pairs: int
    n_open: int
    n_uncertain: int
    n_now: int
    n_broken: int
    tallies: tuple[ReviewerTally, ...]
    agreements: tuple[ReviewerAgreement, ...]
    noise: Rate
    undecidable: Rate


@dataclass(frozen=True, slots=True)
class ReviewCard:
    """A pair as a reviewer sees it: two sides in random order, nothing that tells which is which.

    `number` of `total` in this sitting.
    """

    pair_id: str
    prompt: tuple[tuple[str, str], ...]
    first: str
    second: str
    number: int
    total: int


@dataclass(frozen=True, slots=True)
class ReviewImport:
    """What an import of reviewed records brought; `skipped` counts what it left out, by reason."""

    path: str
    n_records: int
    n_decisions: int
    n_known: int
    n_reviewers: int
    skipped: dict[str, int]


@dataclass(frozen=True, slots=True)
class ShownFeedback:
    """One piece of feedback behind a pair, or against it.

    `forgotten` where the store does not hold it any more; `says` is "for", "against" or "other".
    """

    feedback_id: str
    says: str
    kind: str = ""
    annotator: str | None = None
    annotator_kind: str = ""
    time: datetime | None = None
    score: str = ""
    text: str | None = None
    explanation: str | None = None
    source: str = ""
    forgotten: bool = False


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    """One logged answer behind a pair: the side it is on, and where it came from."""

    interaction_id: str
    side: str
    model: str | None = None
    time: datetime | None = None
    finish_reason: str | None = None
    user_id: str | None = None
    conversation_id: str | None = None
    source: str = ""
    forgotten: bool = False


@dataclass(frozen=True, slots=True)
class ShownPair:
    """A pair of a dataset with everything it was made of.

    `split_keys` say which keys it shares with how many other pairs, which is why they are on the
    same side of the split. `details` are further columns of the dataset's provenance.
    """

    pair: Pair
    split: str
    split_keys: dict[str, int]
    feedback: tuple[ShownFeedback, ...]
    answers: tuple[ShownAnswer, ...]
    decisions: tuple[ReviewDecision, ...]
    findings: tuple[str, ...] = ()
    segment_change: SegmentChange | None = None
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a dataset says of an id: the pairs that came of it, or why none did.

    `found` says what the id names: a pair, a piece of feedback or an answer.
    """

    identifier: str
    found: str
    path: str
    content_hash: str
    drift_run_id: str | None
    pairs: tuple[ShownPair, ...]
    n_more: int
    feedback: ShownFeedback | None = None
    reason: str | None = None
