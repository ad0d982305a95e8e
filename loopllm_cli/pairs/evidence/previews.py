"""The part of the evidence from which liked and unpaired answers are chosen.

A store has far more liked answers than anybody retains; the texts of all would not fit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from heapq import nsmallest

from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.evidence.screening import Columns, judged_answers

# Two hundred are retained by default: the guards, the split and the window of the drifted traffic
# may refuse 99 of 100 of these.
MOST_LIKED = 20_000
_PER_UNPAIRED = 2


@dataclass(frozen=True)
class Previews:
    """Ids of answers: liked ones, of very many some by their hash; and judged ones in order.

    The hash is of the id, so that a larger store keeps most of a smaller one's. The order is that
    of each answer's last vote, as that of the single judged answers.
    """

    liked: frozenset[str]
    judged: tuple[str, ...]

    @classmethod
    def of(cls, evidence: Evidence, among: Collection[str] | None = None) -> Previews:
        """Look at all votes once, and at no text.

        Args:
            among: the only answers that are retained however much they are liked, None for all.
        """
        columns = Columns.of(evidence)
        if columns is not None:
            judged, some = judged_answers(columns)
            return cls(_first_liked(some, among), tuple(judged))
        last: dict[str, None] = {}
        liked: set[str] = set()
        for vote in evidence.votes:
            name = vote.target
            if name is None or name not in evidence.answers:
                continue
            # Votes come in order of time, so that the last one moves its answer to the end.
            last.pop(name, None)
            last[name] = None
            if vote.polarity == 1:
                liked.add(name)
        return cls(_first_liked(liked, among), tuple(last))

    def first(self, wanted: int) -> Collection[str]:
        """Return the ids that are looked at first, where so many single answers are wanted."""
        return frozenset((*self.liked, *self.judged[: _PER_UNPAIRED * wanted]))

    def earliest(self, wanted: int) -> Iterator[frozenset[str]]:
        """Yield the answers that were judged first, ever more of them."""
        n = _PER_UNPAIRED * max(wanted, 1)
        while n < len(self.judged):
            yield frozenset(self.judged[:n])
            n *= 4
        yield frozenset(self.judged)


def about(evidence: Evidence, names: Collection[str]) -> Evidence:
    """Return the evidence on some answers, with their texts."""
    answers = evidence.some(names)
    evidence.load(answers.values())
    return Evidence(answers, evidence.votes_on(names))


def _first_liked(liked: Collection[str], among: Collection[str] | None) -> frozenset[str]:
    some = liked if among is None else [name for name in liked if name in among]
    if len(some) <= MOST_LIKED:
        return frozenset(some)
    return frozenset(nsmallest(MOST_LIKED, some, key=_rank))


def _rank(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
