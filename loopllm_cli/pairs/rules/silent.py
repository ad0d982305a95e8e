"""Feedback that never makes a pair by itself: it does not say which answer would be better.

Some of it stands among the single judged answers (`pairs/unpaired.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

from loopllm_cli.config import PairsConfig
from loopllm_cli.pairs.candidates import Dropped, Outcome
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.judges import is_machine

REASONS = {
    "comment": "comment, which is no answer",
    "label": "label, which names no better answer",
    "copy": "copied answer: no sign of approval by itself",
    "accept": "accepted answer, without another to compare it with",
    "escalation": "hand-over to a person, which names no better answer",
    "abandon": "conversation that was left, which names no better answer",
}
_SCORE = "score that no person gave"
_OF_JUDGE = "judge's feedback of a kind that makes no pair"


def build(evidence: Evidence, config: PairsConfig) -> Iterator[Outcome]:
    """Say of each such kind why it makes no pair."""
    for kind, reason in REASONS.items():
        votes = tuple(evidence.of_kind(kind))
        people = tuple(vote for vote in votes if not is_machine(vote))
        if people:
            yield Dropped(reason, people)
        if len(people) < len(votes):
            yield Dropped(_OF_JUDGE, tuple(vote for vote in votes if is_machine(vote)))
    nobody = [v for v in evidence.of_kind("score") if v.annotator_kind.upper() == "UNKNOWN"]
    if nobody:
        yield Dropped(_SCORE, tuple(nobody))
    written = [
        vote
        for kind in ("correction", "ranking", "regeneration")
        for vote in evidence.of_kind(kind)
        if is_machine(vote)
    ]
    if written:
        yield Dropped(_OF_JUDGE, tuple(written))
