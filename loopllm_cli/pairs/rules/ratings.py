"""Ratings: a clearly higher and a clearly lower one, by the same person, on the same context.

Raters use scales differently, so ratings of different people are not compared; a rating whose
scale is unknown says nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations

from loopllm_cli.pairs.candidates import Candidate, Dropped, Outcome
from loopllm_cli.pairs.evidence import Evidence, Vote


def build(evidence: Evidence, min_margin: float) -> Iterator[Outcome]:
    """Pair ratings that lie at least `min_margin` of the scale apart."""
    groups: dict[tuple[str, str], dict[str, Vote]] = defaultdict(dict)
    for vote in evidence.of_kind("rating"):
        answer = evidence.answers.get(vote.target or "")
        if answer is None:
            yield Dropped("rating of an answer that is not in the store")
        elif vote.rating is None:
            yield Dropped("rating without a known scale")
        elif answer.context_hash is None or vote.annotator_id is None:
            yield Dropped("rating by nobody known, or without logged context")
        else:
            # The last word of a rater about an answer counts.
            groups[(answer.context_hash, vote.annotator_id)][answer.interaction_id] = vote
    for rated in groups.values():
        if len(rated) < 2:
            yield Dropped("rating without another by the same person on the same context")
        for (a, vote_a), (b, vote_b) in combinations(rated.items(), 2):
            yield _pair(evidence, (a, vote_a), (b, vote_b), min_margin)


def _pair(
    evidence: Evidence, first: tuple[str, Vote], second: tuple[str, Vote], min_margin: float
) -> Outcome:
    (worse, low), (better, high) = sorted(
        (first, second), key=lambda rated: (rated[1].rating or 0.0, rated[0])
    )
    margin = (high.rating or 0.0) - (low.rating or 0.0)
    if margin < min_margin:
        return Dropped("ratings too close to each other")
    chosen = evidence.answers[better]
    return Candidate("rating", evidence.answers[worse], chosen, chosen.text, (high, low), margin)
