"""Thumbs: a liked and a disliked answer to exactly the same context.

A thumb alone says nothing about what would have been better, so it makes no pair.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from loopllm_cli.config import PairsConfig
from loopllm_cli.pairs.candidates import Candidate, Dropped, Outcome
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.evidence.vote import REPLACED, Vote, last_words
from loopllm_cli.pairs.judges import by_people
from loopllm_cli.pairs.rules.matching import far_apart, opposed, tries_of

NOT_THERE = "thumb on an answer that is not in the window"
NO_CONTEXT = "thumb on an answer without logged context"
NO_DIRECTION = "thumb that is neither up nor down"
ALONE = "thumb without an opposite one on the same context"
Thumbed = tuple[str, tuple[Vote, ...]]


def build(evidence: Evidence, config: PairsConfig) -> Iterator[Outcome]:
    """Pair liked with disliked answers of one context."""
    by_context: dict[str, list[Vote]] = defaultdict(list)
    for vote in by_people(evidence, "thumbs"):
        reason = unusable(evidence, vote)
        if reason:
            yield Dropped(reason, (vote,))
        else:
            by_context[evidence.answers[vote.target or ""].context_hash or ""].append(vote)
    for votes in by_context.values():
        yield from of_context(evidence, votes, "votes", config)


def unusable(evidence: Evidence, vote: Vote) -> str | None:
    """Return why a thumb says nothing of an answer to a known context, None if it does."""
    answer = evidence.answers.get(vote.target or "")
    if answer is None:
        return NOT_THERE
    if answer.context_hash is None:
        return NO_CONTEXT
    return None if vote.polarity in (1, -1) else NO_DIRECTION


def of_context(
    evidence: Evidence, votes: Iterable[Vote], rule: str, config: PairsConfig
) -> Iterator[Outcome]:
    """Pair the liked with the disliked answers among those to one context."""
    by_answer: dict[str, list[Vote]] = defaultdict(list)
    for vote in votes:
        by_answer[vote.target or ""].append(vote)
    liked: list[tuple[int, Thumbed]] = []
    disliked: list[tuple[int, Thumbed]] = []
    for place, (interaction_id, said) in enumerate(by_answer.items()):
        last, replaced = last_words(said)
        if replaced:
            yield Dropped(REPLACED, replaced)
        directions = {vote.polarity for vote in last}
        if len(directions) > 1:
            yield Dropped("users disagree about the answer", last)
        else:
            (liked if 1 in directions else disliked).append((place, (interaction_id, last)))
    paired: set[str] = set()
    for one, other in opposed(liked, disliked, tries_of(config)):
        paired |= {one[0], other[0]}
        yield _outcome(evidence, one, other, (rule, config.max_vote_days))
    reason = "thumb over the cap per prompt" if liked and disliked else ALONE
    alone = [said for _, (name, said) in (*liked, *disliked) if name not in paired]
    if alone:
        yield Dropped(reason, tuple(vote for said in alone for vote in said))


def _outcome(
    evidence: Evidence, liked: Thumbed, disliked: Thumbed, how: tuple[str, int]
) -> Outcome:
    rule, max_days = how
    better, worse = evidence.answers[liked[0]], evidence.answers[disliked[0]]
    votes = (*liked[1], *disliked[1])
    if far_apart(better, worse, [vote.feedback_time for vote in votes], max_days):
        return Dropped("thumbs too many days apart", votes)
    return Candidate(rule, worse, better, None, votes)
