"""What reviewers' decisions say together: agreement with each other, with the votes, and noise.

Must not know: pairs, files. Every decision is in the words of the pair as the votes made it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from loopllm_cli.drift.intervals import wilson
from loopllm_cli.model import Choice, Rate, ReviewDecision, ReviewerAgreement, ReviewerTally
from loopllm_cli.pairs.review.apply import last_words
from loopllm_cli.pairs.review.queue import RANDOM, draw, shows_rejected_first

_Z95 = 1.959963984540054
_SIDES = (Choice.CHOSEN, Choice.REJECTED)
_TERMINAL = "terminal"


def rate(n_hits: int, n: int) -> Rate:
    """Return a share with Wilson's 95% interval (Wilson 1927, JASA 22:209-212)."""
    if not n:
        return Rate(0, None, None, None)
    share = n_hits / n
    low, high = wilson(np.array([share]), np.array([float(n)]), np.array([_Z95]))
    return Rate(n, share, float(low[0]), float(high[0]))


def tally_reviewers(decisions: Sequence[ReviewDecision]) -> tuple[ReviewerTally, ...]:
    """Say of every reviewer what they said, by name."""
    by_reviewer: dict[str, list[ReviewDecision]] = defaultdict(list)
    for decision in last_words(decisions):
        by_reviewer[decision.reviewer].append(decision)
    return tuple(_tally(name, by_reviewer[name]) for name in sorted(by_reviewer))


def compare_reviewers(decisions: Sequence[ReviewDecision]) -> tuple[ReviewerAgreement, ...]:
    """Say how far any two reviewers agree on what both have judged."""
    said: dict[str, dict[str, Choice]] = defaultdict(dict)
    for decision in last_words(decisions):
        if decision.choice is not Choice.SKIPPED:
            said[decision.reviewer][decision.pair_id] = decision.choice
    found = []
    for first, second in combinations(sorted(said), 2):
        shared = sorted(said[first].keys() & said[second].keys())
        words = [(_word(said[first][k], k), _word(said[second][k], k)) for k in shared]
        if words:
            agreeing = rate(sum(a == b for a, b in words), len(words))
            found.append(ReviewerAgreement(first, second, agreeing, cohen_kappa(words)))
    return tuple(found)


def estimate_noise(decisions: Sequence[ReviewDecision]) -> tuple[Rate, Rate]:
    """Estimate the share of wrong labels, and the share of pairs of which neither side is better.

    Of each reviewer, all decisions count whose pair comes no later in the random order than the
    last one that was drawn for them: a pair that was asked about before, for a doubt, belongs to
    the random sample as much as one that was drawn. A pair that several judged counts once for
    each of them, in the interval too, which is then too narrow.

    Returns:
        The share of pairs whose better side is the rejected one, among those with a better side,
        and the share of those without.
    """
    by_reviewer: dict[str, list[ReviewDecision]] = defaultdict(list)
    for decision in last_words(decisions):
        by_reviewer[decision.reviewer].append(decision)
    sample: Counter[Choice] = Counter()
    for said in by_reviewer.values():
        end = max((draw(d.pair_id) for d in said if d.queue == RANDOM), default=-1)
        sample.update(d.choice for d in said if draw(d.pair_id) <= end)
    n_sided = sum(sample[choice] for choice in _SIDES)
    n_neither = sample[Choice.BOTH_GOOD] + sample[Choice.BOTH_BAD]
    return rate(sample[Choice.REJECTED], n_sided), rate(n_neither, n_sided + n_neither)


def cohen_kappa(words: Sequence[tuple[int, int]]) -> float | None:
    """Return Cohen's kappa; None where chance alone would always agree.

    Source: Cohen (1960), Educational and Psychological Measurement 20:37-46, equation 1.
    """
    n = len(words)
    first, second = (Counter(column) for column in zip(*words, strict=True))
    observed = sum(a == b for a, b in words) / n
    expected = sum(first[word] * second[word] for word in first) / n**2
    return None if expected >= 1 else (observed - expected) / (1 - expected)


def _tally(name: str, said: Sequence[ReviewDecision]) -> ReviewerTally:
    counts = Counter(d.choice for d in said)
    sided = [d for d in said if d.choice in _SIDES]
    # Only here is it known what stood first.
    seen = [d for d in sided if d.source == _TERMINAL]
    first = sum(
        (d.choice is Choice.REJECTED) == shows_rejected_first(d.pair_id, name) for d in seen
    )
    return ReviewerTally(
        reviewer=name,
        n_pairs=len(said),
        by_choice={choice.value: counts[choice] for choice in Choice if counts[choice]},
        with_votes=rate(counts[Choice.CHOSEN], len(sided)),
        first_shown=rate(first, len(seen)),
    )


def _word(choice: Choice, pair_id: str) -> int:
    """Name a choice by the text it is for, not by which of both the votes prefer.

    Reviewers do not see that, so agreeing with it is no agreement by chance; named by it, kappa
    would be near 0 wherever the votes are mostly right.
    """
    if choice not in _SIDES:
        return 2
    return int((choice is Choice.CHOSEN) != shows_rejected_first(pair_id, ""))
