"""Which pairs a reviewer is asked about first, and which side of each is shown first.

Must not know: texts. Everything here is read off a dataset's provenance.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

# Below the share of right pairs that a dataset should have, a pair is worth a look.
SURE = 0.95
# On a scale from 1 to 5, two steps are 0.5, the least that makes a pair, and three are 0.75.
CLOSE_MARGIN = 0.75
# Every fifth question is about a pair drawn at random, so that a sitting also says what share of
# all labels is wrong: coarsely after 100 (1 of 20 is 0.9% to 23.6%, Wilson's 95% interval), well
# enough after 500 (5 of 100 is 2.2% to 11.2%).
RANDOM_EVERY = 5
RANDOM = "random"
# Pairs that no person's choice between the two answers stands behind.
MACHINE_RULES = ("judge", "machine", "sampled", "replay", "recovered")
_DRAW_BYTES = 8


@dataclass(frozen=True, slots=True)
class Candidate:
    """What tells how sure a pair is, the way round in which the votes have it."""

    pair_id: str
    rule: str
    confidence: float | None
    margin: float
    flagged: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A place in the list of candidates, and why that pair is asked about."""

    place: int
    queue: str


def order_questions(candidates: Sequence[Candidate]) -> list[Asked]:
    """Put pairs in the order in which they are worth a reviewer's time.

    The kinds of doubt take turns, so that a kind with many pairs does not hide the others; of
    each kind, the most doubtful first. Every fifth question, and everything without any doubt,
    is drawn at random; the draw goes by the pair's id, so that it stays when pairs are added.
    """
    kinds: dict[str, list[int]] = {name: [] for name in _DOUBTS}
    for place, candidate in enumerate(candidates):
        name = _doubt(candidate)
        if name:
            kinds[name].append(place)
    for name, places in kinds.items():
        ranks = {p: (_DOUBTS[name](candidates[p]), draw(candidates[p])) for p in places}
        places.sort(key=ranks.__getitem__)
    doubtful = [
        Asked(place, name)
        for turn in zip_longest(*kinds.values())
        for name, place in zip(kinds, turn, strict=True)
        if place is not None
    ]
    drawn = sorted(range(len(candidates)), key=lambda p: draw(candidates[p]))
    return list(_mixed(doubtful, [Asked(p, RANDOM) for p in drawn]))


def is_doubtful(candidate: Candidate) -> bool:
    """Say whether there is any reason to doubt a pair."""
    return _doubt(candidate) is not None


def draw(candidate: Candidate | str) -> int:
    """Return a pair's place in the random order."""
    name = candidate if isinstance(candidate, str) else candidate.pair_id
    return _number(f"draw:{name}")


def shows_rejected_first(pair_id: str, reviewer: str) -> bool:
    """Say which side stands first: by chance, and by another chance for the next reviewer.

    Were it the same for all, a liking for what stands first would look like agreement.
    """
    return bool(_number(f"side:{reviewer}:{pair_id}") & 1)


def _number(text: str) -> int:
    content = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=_DRAW_BYTES).digest(), "big")


def _doubt(candidate: Candidate) -> str | None:
    """Return the first reason to doubt a pair, None where there is none."""
    if candidate.flagged:
        return "audit"
    if candidate.confidence is not None and candidate.confidence < SURE:
        return "low confidence"
    if any(word in candidate.rule for word in MACHINE_RULES):
        return "machine"
    if candidate.margin < CLOSE_MARGIN:
        return "small margin"
    return "unknown confidence" if candidate.confidence is None else None


def _confidence(candidate: Candidate) -> float:
    return 0.5 if candidate.confidence is None else candidate.confidence


# The kinds of doubt, in the order in which they take turns, and what ranks the pairs of each.
_DOUBTS: dict[str, Callable[[Candidate], float]] = {
    "low confidence": _confidence,
    "audit": _confidence,
    "machine": lambda c: c.margin,
    "small margin": lambda c: c.margin,
    "unknown confidence": lambda c: c.margin,
}


def _mixed(doubtful: Sequence[Asked], drawn: Sequence[Asked]) -> Iterator[Asked]:
    """Let every fifth be the next of the drawn, and after the doubtful all; none comes twice."""
    seen: set[int] = set()
    number = 0
    first, others = _fresh(doubtful, seen), _fresh(drawn, seen)
    while True:
        number += 1
        of_draw = number % RANDOM_EVERY == 0
        asked = next(others if of_draw else first, None) or next(others, None)
        if asked is None:
            return
        seen.add(asked.place)
        yield asked


def _fresh(questions: Iterable[Asked], seen: set[int]) -> Iterator[Asked]:
    return (asked for asked in questions if asked.place not in seen)
