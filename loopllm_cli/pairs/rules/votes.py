"""Thumbs: a liked and a disliked answer to exactly the same context.

A thumb alone says nothing about what would have been better, so it makes no pair.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from loopllm_cli.pairs.candidates import Candidate, Dropped, Outcome
from loopllm_cli.pairs.evidence import Evidence, Vote


def build(evidence: Evidence, min_margin: float) -> Iterator[Outcome]:
    """Pair liked with disliked answers of one context."""
    by_context: dict[str, dict[str, list[Vote]]] = defaultdict(lambda: defaultdict(list))
    for vote in evidence.of_kind("thumbs"):
        answer = evidence.answers.get(vote.target or "")
        if answer is None:
            yield Dropped("thumb on an answer that is not in the store")
        elif answer.context_hash is None:
            yield Dropped("thumb on an answer without logged context")
        else:
            by_context[answer.context_hash][answer.interaction_id].append(vote)
    for answers in by_context.values():
        yield from _of_context(evidence, answers)


def _of_context(evidence: Evidence, answers: dict[str, list[Vote]]) -> Iterator[Outcome]:
    liked, disliked = [], []
    for interaction_id, votes in answers.items():
        said = {vote.polarity for vote in votes}
        if said >= {1, -1}:
            yield from (Dropped("users disagree about the answer") for _ in votes)
        else:
            (liked if 1 in said else disliked).append(interaction_id)
    if not liked or not disliked:
        alone = sum(len(answers[i]) for i in (*liked, *disliked))
        yield from (Dropped("thumb without an opposite one on the same context"),) * alone
        return
    for better in liked:
        for worse in disliked:
            chosen = evidence.answers[better]
            votes = (answers[better][-1], answers[worse][-1])
            yield Candidate("votes", evidence.answers[worse], chosen, chosen.text, votes)
