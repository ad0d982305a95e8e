"""Comparisons: the winner of an A/B vote is better than each loser, on the same context."""

from __future__ import annotations

from collections.abc import Iterator

from loopllm_cli.pairs.candidates import Candidate, Dropped, Outcome
from loopllm_cli.pairs.evidence import Evidence


def build(evidence: Evidence, min_margin: float) -> Iterator[Outcome]:
    """Pair the winner of every comparison with its losers; ties make no pair."""
    for vote in evidence.of_kind("comparison"):
        if vote.tie:
            yield Dropped("comparison that ended in a tie", (vote,))
            continue
        answers = [evidence.answers.get(c or "") for c in vote.candidates]
        winner = evidence.answers.get(vote.winner or "")
        losers = [a for a in answers if a is not None and a is not winner]
        if winner is None or not losers or len(losers) != len(answers) - 1:
            yield Dropped("comparison of answers that are not in the window", (vote,))
            continue
        for loser in losers:
            if loser.context_hash != winner.context_hash:
                yield Dropped("comparison of answers to different contexts", (vote,))
            else:
                yield Candidate("comparison", loser, winner, winner.text, (vote,))
