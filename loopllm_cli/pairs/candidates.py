"""What rules hand over: a candidate pair, or the reason why a piece of feedback makes none."""

from __future__ import annotations

from dataclasses import dataclass

from loopllm_cli.pairs.evidence.answer import Answer
from loopllm_cli.pairs.evidence.vote import Vote

WRITTEN = frozenset(("correction", "expert rewrite", "user edit"))
"""Rules whose better side was written by a person, not answered by a model."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Two texts on the same context, before the guards.

    `chosen` is None where the better text was never an answer of a model (a correction); then
    `chosen_text` is that text. Else `chosen_text` may be None, and the answer's own text counts:
    rules look at facts, and texts are read of candidates only. `signals` told the sides apart,
    where no vote did.
    """

    rule: str
    rejected: Answer
    chosen: Answer | None
    chosen_text: str | None
    votes: tuple[Vote, ...]
    margin: float = 1.0
    signals: tuple[str, ...] = ()

    @property
    def better(self) -> str:
        """The text of the better side."""
        if self.chosen_text is not None:
            return self.chosen_text
        return self.chosen.text if self.chosen else ""


@dataclass(frozen=True, slots=True)
class Dropped:
    """Pieces of feedback that make no pair, and why."""

    reason: str
    votes: tuple[Vote, ...]


Outcome = Candidate | Dropped
