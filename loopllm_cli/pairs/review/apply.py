"""What reviewers' decisions make of pairs: confirmed, exchanged, or left out.

Must not know: the terminal, files.

A decision is on two texts in one context. It holds for the pair of these texts whichever way
round the votes have it, so that it outlives a vote that turns the majority.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from loopllm_cli.model import Choice, Pair, ReviewDecision
from loopllm_cli.pairs.chat import side_key
from loopllm_cli.sources.rows import digest

if TYPE_CHECKING:
    # Weighing votes loads scipy, which a reviewer should not wait for.
    from loopllm_cli.pairs.agreement.weigh import Drop

REVIEWED = "review"
"""The rule of a pair whose sides a reviewer has exchanged."""

# Two people who judge the same two answers apart agree on 81% of those where both see a
# difference (Zheng et al. 2023, "Judging LLM-as-a-Judge", NeurIPS, section 4.2). If each is right
# with probability p, they agree with p^2 + (1-p)^2, so p is 0.89.
REVIEWER_RIGHT = 0.89

_FLIPPED = {Choice.CHOSEN: Choice.REJECTED, Choice.REJECTED: Choice.CHOSEN}
_NEITHER = {
    Choice.BOTH_GOOD: "reviewed: both sides are good",
    Choice.BOTH_BAD: "reviewed: both sides are bad",
}
_CONFLICT = "reviewers contradict each other"
_START = datetime.min.replace(tzinfo=UTC)


def apply_reviews(
    pairs: list[Pair], decisions: Sequence[ReviewDecision]
) -> tuple[list[Pair], list[Drop]]:
    """Let reviewers' last words decide: the order of the pairs stays as it is.

    Confirmed pairs become surer; where the rejected side is the better one, the sides are
    exchanged and the rule is "review"; where neither is, or where reviewers contradict each
    other, the pair is dropped. Decisions on other texts than the pair's count for nothing.

    Args:
        pairs: as the votes made them, one per two answers.
    """
    said = _by_pair(decisions)
    if not said:
        return pairs, []
    kept: list[Pair] = []
    dropped: list[Drop] = []
    for pair in pairs:
        words = _words_on(pair, said)
        if not words:
            kept.append(pair)
        elif len(words) == 1 and words <= set(_NEITHER):
            dropped.append((_NEITHER[next(iter(words))], pair.feedback_ids))
        elif len(words) == 1:
            n_reviewers = len(_last_words(pair, said))
            better = Choice.CHOSEN in words
            kept.append(_confirmed(pair, n_reviewers) if better else exchanged(pair, n_reviewers))
        else:
            dropped.append((_CONFLICT, pair.feedback_ids))
    return kept, dropped


def content_of(pair: Pair) -> str:
    """Return a digest of what a reviewer reads, whichever side is the better one."""
    sides = ((pair.chosen, pair.chosen_calls), (pair.rejected, pair.rejected_calls))
    return digest(pair.context_hash, *sorted(text + (calls or "") for text, calls in sides))


def mirror_id(pair: Pair) -> str:
    """Return the id that a pair has with its sides exchanged."""
    sides = (side_key(pair.rejected, pair.rejected_calls), side_key(pair.chosen, pair.chosen_calls))
    return digest(pair.context_hash, *sides)


def as_voted(pair: Pair) -> Pair:
    """Return a pair the way round in which the votes have it."""
    return exchanged(pair, 1, rule="voted") if pair.rule == REVIEWED else pair


def exchanged(pair: Pair, n_reviewers: int, rule: str = REVIEWED) -> Pair:
    """Exchange the sides of a pair, with what belongs to each of them."""
    return replace(
        pair,
        pair_id=mirror_id(pair),
        chosen=pair.rejected,
        rejected=pair.chosen,
        chosen_model=pair.rejected_model,
        rejected_model=pair.chosen_model,
        chosen_calls=pair.rejected_calls,
        rejected_calls=pair.chosen_calls,
        interaction_ids=pair.interaction_ids[::-1],
        # Of a correction, whose text was never an answer, both sides are of one conversation.
        user_id=pair.chosen_user_id or pair.user_id,
        chosen_user_id=pair.user_id,
        conversation_id=pair.chosen_conversation_id or pair.conversation_id,
        chosen_conversation_id=pair.conversation_id,
        confidence=_posterior(0.5, n_reviewers),
        rule=rule,
    )


def last_words(decisions: Iterable[ReviewDecision]) -> list[ReviewDecision]:
    """Return what stands: each reviewer's last word on each pair, nothing that was taken back."""
    latest: dict[tuple[str, str], ReviewDecision] = {}
    for decision in decisions:
        key = (decision.reviewer, decision.pair_id)
        latest.pop(key, None)
        if decision.choice is not Choice.UNDONE:
            latest[key] = decision
    return list(latest.values())


def flipped(decision: ReviewDecision, pair_id: str) -> ReviewDecision:
    """Say the same of the pair with its sides exchanged."""
    choice = _FLIPPED.get(decision.choice, decision.choice)
    return replace(decision, pair_id=pair_id, choice=choice)


def _by_pair(decisions: Sequence[ReviewDecision]) -> dict[str, list[ReviewDecision]]:
    said: dict[str, list[ReviewDecision]] = defaultdict(list)
    for decision in decisions:
        said[decision.pair_id].append(decision)
    return said


def _words_on(pair: Pair, said: dict[str, list[ReviewDecision]]) -> set[Choice]:
    return {decision.choice for decision in _last_words(pair, said)}


def _last_words(pair: Pair, said: dict[str, list[ReviewDecision]]) -> list[ReviewDecision]:
    """Return every reviewer's last word on a pair, in the words of this way round."""
    mirrored = said.get(mirror_id(pair), ())
    found = [*said.get(pair.pair_id, ()), *(flipped(d, pair.pair_id) for d in mirrored)]
    if not found:
        return []
    content = content_of(pair)
    current = [d for d in found if not d.content or d.content == content]
    current.sort(key=lambda d: d.time or _START)
    return [d for d in last_words(current) if d.choice is not Choice.SKIPPED]


def _confirmed(pair: Pair, n_reviewers: int) -> Pair:
    prior = 0.5 if pair.confidence is None else max(pair.confidence, 0.5)
    return replace(pair, confidence=_posterior(prior, n_reviewers))


def _posterior(prior: float, n_reviewers: int) -> float:
    """Return the probability that reviewers who all say the same are right, by Bayes' rule."""
    if prior >= 1.0:
        return 1.0
    odds = math.log(prior / (1 - prior))
    odds += n_reviewers * math.log(REVIEWER_RIGHT / (1 - REVIEWER_RIGHT))
    return 1 / (1 + math.exp(-odds))
