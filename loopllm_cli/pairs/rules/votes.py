"""Thumbs: a liked and a disliked answer to exactly the same context.

A thumb alone says nothing about what would have been better, so it makes no pair.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from loopllm_cli.pairs.candidates import Candidate, Dropped, Outcome
from loopllm_cli.pairs.evidence import REPLACED, Evidence, Vote, last_words

Voted = dict[str, tuple[Vote, ...]]


def build(evidence: Evidence, min_margin: float) -> Iterator[Outcome]:
    """Pair liked with disliked answers of one context."""
    by_context: dict[str, dict[str, list[Vote]]] = defaultdict(lambda: defaultdict(list))
    for vote in evidence.of_kind("thumbs"):
        answer = evidence.answers.get(vote.target or "")
        if answer is None:
            yield Dropped("thumb on an answer that is not in the window", (vote,))
        elif answer.context_hash is None:
            yield Dropped("thumb on an answer without logged context", (vote,))
        elif vote.polarity not in (1, -1):
            yield Dropped("thumb that is neither up nor down", (vote,))
        else:
            by_context[answer.context_hash][answer.interaction_id].append(vote)
    for answers in by_context.values():
        yield from _of_context(evidence, answers)


def _of_context(evidence: Evidence, answers: dict[str, list[Vote]]) -> Iterator[Outcome]:
    liked: Voted = {}
    disliked: Voted = {}
    for interaction_id, votes in answers.items():
        last, replaced = last_words(votes)
        if replaced:
            yield Dropped(REPLACED, replaced)
        said = {vote.polarity for vote in last}
        if len(said) > 1:
            yield Dropped("users disagree about the answer", last)
        else:
            (liked if 1 in said else disliked)[interaction_id] = last
    if not liked or not disliked:
        alone = tuple(vote for votes in (liked | disliked).values() for vote in votes)
        if alone:
            yield Dropped("thumb without an opposite one on the same context", alone)
        return
    for better, ups in liked.items():
        for worse, downs in disliked.items():
            chosen = evidence.answers[better]
            yield Candidate("votes", evidence.answers[worse], chosen, chosen.text, (*ups, *downs))
