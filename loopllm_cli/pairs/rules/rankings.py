"""Rankings: an answer is better than the one on the next rank, by the same ranking.

Only neighbours are paired: those of one rank apart are what a ranking was asked for, and all of
them would let one ranking of eight answers make 28 pairs (HALOs' loader of OpenAssistant does the
same, https://github.com/ContextualAI/HALOs).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from loopllm_cli.config import PairsConfig
from loopllm_cli.pairs.candidates import Candidate, Dropped, Outcome
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.evidence.vote import REPLACED, Vote, last_words
from loopllm_cli.pairs.judges import by_people
from loopllm_cli.pairs.rules.matching import opposed, tries_of

# Their neighbours are compared when they are read, but for answers that were deleted or made up.
_COMPARED_ALREADY = frozenset(("openassistant",))
_OVER = "rank over the cap per prompt"
_ALONE = "rank without the next one on the same context"
Ranked = tuple[int, tuple[str, tuple[Vote, ...]]]


def build(evidence: Evidence, config: PairsConfig) -> Iterator[Outcome]:
    """Pair the answers on neighbouring ranks; a missing rank between two makes no pair."""
    rankings: dict[tuple[str, str, str], dict[str, list[Vote]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for vote in by_people(evidence, "ranking"):
        answer = evidence.answers.get(vote.target or "")
        rank = vote.score_value
        if vote.source_format in _COMPARED_ALREADY:
            yield Dropped("rank that is counted as a comparison", (vote,))
        elif answer is None:
            yield Dropped("rank of an answer that is not in the window", (vote,))
        elif rank is None or rank != rank // 1 or abs(rank) > 1e9:
            yield Dropped("rank that is no whole number", (vote,))
        elif answer.context_hash is None:
            yield Dropped("rank of an answer without logged context", (vote,))
        else:
            key = (answer.context_hash, vote.annotator_id or "", vote.name or "")
            rankings[key][answer.interaction_id].append(vote)
    for ranking in rankings.values():
        yield from _of_ranking(evidence, ranking, config)


def _of_ranking(
    evidence: Evidence, ranking: dict[str, list[Vote]], config: PairsConfig
) -> Iterator[Outcome]:
    by_rank: dict[int, list[Ranked]] = defaultdict(list)
    for place, (name, votes) in enumerate(ranking.items()):
        last, replaced = last_words(votes)
        if replaced:
            yield Dropped(REPLACED, replaced)
        ranks = {int(vote.score_value or 0) for vote in last}
        if len(ranks) > 1:
            yield Dropped("ranks of one answer differ", last)
        else:
            by_rank[ranks.pop()].append((place, (name, last)))
    paired: set[str] = set()
    for rank, following in pairwise(sorted(by_rank)):
        if following != rank + 1:
            continue
        for (one, high), (other, low) in opposed(
            by_rank[rank], by_rank[following], tries_of(config)
        ):
            paired |= {one, other}
            better, worse = evidence.answers[one], evidence.answers[other]
            yield Candidate("ranking", worse, better, None, (*high, *low))
    for rank, group in by_rank.items():
        has_next = rank + 1 in by_rank or rank - 1 in by_rank
        for _, (name, said) in group:
            if name not in paired:
                yield Dropped(_OVER if has_next else _ALONE, said)
