"""Comparisons: the winner of an A/B vote is better than each loser, on the same context."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from loopllm_cli.config import PairsConfig
from loopllm_cli.pairs.candidates import Candidate, Dropped, Outcome
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.evidence.vote import REPLACED, Vote, last_words
from loopllm_cli.pairs.judges import by_people

TIE = "comparison that ended in a tie"


def build(evidence: Evidence, config: PairsConfig) -> Iterator[Outcome]:
    """Pair the winner of every comparison with its losers; ties and near-ties make no pair."""
    by_sides: dict[object, list[Vote]] = defaultdict(list)
    for place, vote in enumerate(by_people(evidence, "comparison")):
        whole = len(vote.candidates) > 1 and None not in vote.candidates
        by_sides[frozenset(vote.candidates) if whole else place].append(vote)
    for votes in by_sides.values():
        last, replaced = last_words(votes) if len(votes) > 1 else (tuple(votes), ())
        if replaced:
            yield Dropped(REPLACED, replaced)
        for vote in last:
            yield from _of_vote(evidence, vote, config)


def _of_vote(evidence: Evidence, vote: Vote, config: PairsConfig) -> Iterator[Outcome]:
    grade = vote.rating
    if vote.tie:
        yield Dropped(TIE, (vote,))
    elif grade is not None and not grade >= config.min_judge_margin:
        yield Dropped("comparison that nearly ended in a tie", (vote,))
    else:
        margin = 1.0 if grade is None else grade
        yield from against_losers(evidence, (vote,), rule_of(vote), margin)


def rule_of(vote: Vote) -> str:
    """Name the rule, by what the vote was at first.

    Programs that show answers side by side make comparisons of a thumb on one of them; a grade
    is a share or a probability, which no single person gives.
    """
    if vote.name == "siblings":
        return "siblings"
    return "comparison" if vote.rating is None else "graded comparison"


def against_losers(
    evidence: Evidence, votes: tuple[Vote, ...], rule: str, margin: float
) -> Iterator[Outcome]:
    """Pair the winner that votes agree on with each of the losers."""
    vote = votes[0]
    answers = [evidence.answers.get(c or "") for c in vote.candidates]
    winner = evidence.answers.get(vote.winner or "")
    losers = [a for a in answers if a is not None and a.interaction_id != vote.winner]
    if winner is None or not losers or len(losers) != len(answers) - 1:
        yield Dropped("comparison of answers that are not in the window", votes)
        return
    for loser in losers:
        if loser.context_hash != winner.context_hash:
            yield Dropped("comparison of answers to different contexts", votes)
        else:
            yield Candidate(rule, loser, winner, None, votes, margin)
