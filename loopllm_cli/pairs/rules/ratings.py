"""Ratings: a clearly higher and a clearly lower one, by the same person, on the same context.

Raters use scales differently, so ratings of different people are not compared; a rating whose
scale is unknown says nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations

from loopllm_cli.pairs.candidates import Candidate, Dropped, Outcome
from loopllm_cli.pairs.evidence import REPLACED, Evidence, Vote, last_words

_ROUNDING = 1e-9
Rated = tuple[str, tuple[Vote, ...]]


def build(evidence: Evidence, min_margin: float) -> Iterator[Outcome]:
    """Pair ratings that lie at least `min_margin` of the scale apart."""
    groups: dict[tuple[str, str], dict[str, list[Vote]]] = defaultdict(lambda: defaultdict(list))
    for vote in evidence.of_kind("rating"):
        answer = evidence.answers.get(vote.target or "")
        if answer is None:
            yield Dropped("rating of an answer that is not in the window", (vote,))
        elif vote.rating is None:
            yield Dropped("rating without a known scale", (vote,))
        elif answer.context_hash is None or vote.annotator_id is None:
            yield Dropped("rating by nobody known, or without logged context", (vote,))
        else:
            key = (answer.context_hash, vote.annotator_id)
            groups[key][answer.interaction_id].append(vote)
    for answers in groups.values():
        yield from _of_rater(evidence, answers, min_margin)


def _of_rater(
    evidence: Evidence, answers: dict[str, list[Vote]], min_margin: float
) -> Iterator[Outcome]:
    rated: list[Rated] = []
    for interaction_id, votes in answers.items():
        last, replaced = last_words(votes)
        if replaced:
            yield Dropped(REPLACED, replaced)
        if len({vote.rating for vote in last}) > 1:
            yield Dropped("ratings of one answer by one person differ", last)
        else:
            rated.append((interaction_id, last))
    if len(rated) == 1:
        yield Dropped("rating without another by the same person on the same context", rated[0][1])
    for first, second in combinations(rated, 2):
        yield _pair(evidence, first, second, min_margin)


def _pair(evidence: Evidence, first: Rated, second: Rated, min_margin: float) -> Outcome:
    (worse, low), (better, high) = sorted(
        (first, second), key=lambda rated: (rated[1][0].rating or 0.0, rated[0])
    )
    margin = (high[0].rating or 0.0) - (low[0].rating or 0.0)
    if margin < max(min_margin - _ROUNDING, _ROUNDING):
        return Dropped("ratings too close to each other", (*high, *low))
    chosen = evidence.answers[better]
    return Candidate("rating", evidence.answers[worse], chosen, chosen.text, (*high, *low), margin)
