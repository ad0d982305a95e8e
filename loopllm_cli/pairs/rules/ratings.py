"""Ratings: a clearly higher and a clearly lower one, by the same person, on the same context.

Raters use scales differently, so ratings of different people are not compared, nor are those of
two aspects; a rating whose scale is unknown says nothing. Thirds of one person's own ratings
would not help: they need a scale that does not change, which is what an unknown one may do, and
with a known one the margin is the stricter of the two.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from loopllm_cli.config import PairsConfig
from loopllm_cli.pairs.candidates import Candidate, Dropped, Outcome
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.evidence.vote import REPLACED, Vote, last_words
from loopllm_cli.pairs.judges import by_people
from loopllm_cli.pairs.rules.matching import tries_of

ROUNDING = 1e-9
ALONE = "rating without another by the same person on the same context"
Rated = tuple[str, tuple[Vote, ...]]


@dataclass(frozen=True, slots=True)
class Scale:
    """How ratings of one sort are paired: the rule's name, the margin, the most pairs of each."""

    rule: str
    margin: float
    most: int


def build(evidence: Evidence, config: PairsConfig) -> Iterator[Outcome]:
    """Pair ratings that lie at least `min_rating_margin` of the scale apart."""
    ratings = by_people(evidence, "rating")
    # Programs send their measurements under no name; a score that a person gave is a rating.
    scores = [v for v in by_people(evidence, "score") if v.annotator_kind.upper() == "HUMAN"]
    scale = Scale("rating", config.min_rating_margin, tries_of(config))
    yield from of_raters(evidence, (*ratings, *scores), scale)


def of_raters(evidence: Evidence, votes: Iterable[Vote], scale: Scale) -> Iterator[Outcome]:
    """Pair what one rater said of one aspect of two answers to one context."""
    groups: dict[tuple[str, str, str], dict[str, list[Vote]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for vote in votes:
        answer = evidence.answers.get(vote.target or "")
        if answer is None:
            yield Dropped("rating of an answer that is not in the window", (vote,))
        elif not is_on_scale(vote):
            yield Dropped("rating without a known scale", (vote,))
        elif answer.context_hash is None or vote.annotator_id is None:
            yield Dropped("rating by nobody known, or without logged context", (vote,))
        else:
            key = (answer.context_hash, vote.annotator_id, vote.name or "")
            groups[key][answer.interaction_id].append(vote)
    for answers in groups.values():
        yield from _of_rater(evidence, answers, scale)


def is_on_scale(vote: Vote) -> bool:
    """Say whether a rating is a number within a known scale."""
    share = vote.rating
    return share is not None and math.isfinite(share) and -ROUNDING <= share <= 1 + ROUNDING


def _of_rater(
    evidence: Evidence, answers: dict[str, list[Vote]], scale: Scale
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
        yield Dropped(ALONE, rated[0][1])
    elif rated:
        yield from _compared(evidence, rated, scale)


def _compared(evidence: Evidence, rated: list[Rated], scale: Scale) -> Iterator[Outcome]:
    """Pair each rating with the earliest ones before it, as far as the cap may let through."""
    paired: set[str] = set()
    left = scale.most
    for place, one in enumerate(rated):
        for other in rated[: min(place, scale.most)]:
            if not left:
                break
            candidate = _pair(evidence, other, one, scale)
            if candidate is not None:
                paired |= {one[0], other[0]}
                left -= 1
                yield candidate
    alone = tuple(vote for name, votes in rated if name not in paired for vote in votes)
    if alone:
        reason = "ratings too close to each other" if left else "rating over the cap per prompt"
        yield Dropped(reason, alone)


def _pair(evidence: Evidence, first: Rated, second: Rated, scale: Scale) -> Candidate | None:
    """Pair two ratings; None where they are too close to each other."""
    (worse, low), (better, high) = sorted(
        (first, second), key=lambda rated: (rated[1][0].rating or 0.0, rated[0])
    )
    margin = (high[0].rating or 0.0) - (low[0].rating or 0.0)
    if margin < max(scale.margin - ROUNDING, ROUNDING):
        return None
    chosen, rejected = evidence.answers[better], evidence.answers[worse]
    return Candidate(scale.rule, rejected, chosen, None, (*high, *low), margin)
