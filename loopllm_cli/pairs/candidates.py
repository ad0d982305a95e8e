"""What rules hand over: a candidate pair, or the reason why a piece of feedback makes none."""

from __future__ import annotations

from dataclasses import dataclass

from loopllm_cli.pairs.evidence import Answer, Vote


@dataclass(frozen=True, slots=True)
class Candidate:
    """Two texts on the same context, before the guards.

    `chosen` is None where the better text was never an answer of a model (a correction).
    """

    rule: str
    rejected: Answer
    chosen: Answer | None
    chosen_text: str
    votes: tuple[Vote, ...]
    margin: float = 1.0


@dataclass(frozen=True, slots=True)
class Dropped:
    """Pieces of feedback that make no pair, and why."""

    reason: str
    votes: tuple[Vote, ...]


Outcome = Candidate | Dropped
