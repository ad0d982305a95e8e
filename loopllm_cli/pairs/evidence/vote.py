"""Votes as the rules see them, and which of one person's votes stands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

MINED = "implicit"
MACHINES = frozenset(("LLM", "CODE"))
REPLACED = "vote that the same person replaced by a later one"


class Vote(NamedTuple):
    """One piece of feedback, with its targets resolved to interaction ids."""

    feedback_id: str
    kind: str
    target: str | None
    polarity: int | None
    rating: float | None
    text: str | None
    annotator_id: str | None
    annotator_kind: str
    feedback_time: datetime | None
    candidates: tuple[str | None, ...] = ()
    winner: str | None = None
    tie: bool = False
    name: str | None = None
    explanation: str | None = None
    source_format: str = ""
    score_value: float | None = None
    method: str | None = None
    role: str | None = None
    label: str | None = None

    @property
    def confidence(self) -> float | None:
        """How sure the finding of mined feedback is; None for what people said."""
        return self.score_value if self.kind == "implicit" else None


def last_words(votes: Sequence[Vote]) -> tuple[tuple[Vote, ...], tuple[Vote, ...]]:
    """Split votes on one answer into what stands and what the same person replaced later.

    Votes of nobody known all stand; so do those of one person where no time tells which of
    them was the last.
    """
    latest: dict[str, datetime] = {}
    for vote in votes:
        if vote.annotator_id and vote.feedback_time:
            known = latest.get(vote.annotator_id, vote.feedback_time)
            latest[vote.annotator_id] = max(known, vote.feedback_time)
    last: list[Vote] = []
    replaced: list[Vote] = []
    for vote in votes:
        time, end = vote.feedback_time, latest.get(vote.annotator_id or "")
        (replaced if time and end and time < end else last).append(vote)
    return tuple(last), tuple(replaced)
