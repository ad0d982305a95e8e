"""Opinions: all that was said of the same two answers to one context, for either of them.

Must not know: who can be relied on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from loopllm_cli.model import Pair
from loopllm_cli.pairs.agreement.reliability import IntArray, Votes
from loopllm_cli.pairs.candidates import WRITTEN
from loopllm_cli.pairs.chat import side_key
from loopllm_cli.sources.rows import digest

_UNMEASURED = WRITTEN | {"regeneration"}
"""Rules whose evidence is no vote: nobody else says the same of the same two texts."""


@dataclass(slots=True)
class Opinions:
    """What was said of two answers: pairs that choose the one, and pairs that choose the other."""

    one: list[Pair]
    other: list[Pair]

    def said(self) -> list[Pair]:
        """Return the pairs of both directions."""
        return [*self.one, *self.other]


@dataclass(frozen=True)
class Cast:
    """The votes among opinions, as numbers.

    `names` are the raters', "" for nobody known; `place` says per vote where the answer stood that
    it preferred (0 first, 1 second), -1 where that is unknown.
    """

    votes: Votes
    names: tuple[str, ...]
    place: IntArray


def gather(pairs: Iterable[Pair]) -> list[Opinions]:
    """Bring together what was said of the same two answers, in the order of first mention."""
    by_id: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_id.setdefault(pair.pair_id, []).append(pair)
    directions = Counter(said[0].context_hash for said in by_id.values())
    found: list[Opinions] = []
    known: dict[str, tuple[str, Opinions]] = {}
    for said in by_id.values():
        opinions = Opinions(said, [])
        if directions[said[0].context_hash] > 1:
            better, worse = sides_of(said[0])
            key = min(better, worse) + max(better, worse)
            if key in known:
                first, opinions = known[key]
                (opinions.one if first == better else opinions.other).extend(said)
                continue
            known[key] = better, opinions
        found.append(opinions)
    return found


def sides_of(pair: Pair) -> tuple[str, str]:
    """Return what tells the chosen and the rejected answer from all others, contexts included."""
    return (
        digest(pair.context_hash, side_key(pair.chosen, pair.chosen_calls)),
        digest(pair.context_hash, side_key(pair.rejected, pair.rejected_calls)),
    )


def is_vote(pair: Pair) -> bool:
    """Say whether a pair is one person's choice between two answers that were there."""
    return pair.rule not in _UNMEASURED and len(set(pair.annotator_ids)) == 1


def is_measured(pair: Pair) -> bool:
    """Say whether the reliability of votes tells how sure a pair is."""
    return pair.rule not in _UNMEASURED and bool(pair.annotator_ids)


def settle(opinions: Opinions) -> tuple[list[Pair], list[Pair]]:
    """Leave out what people took back.

    Returns:
        What people replaced by a later word for the other side; and all words of people who
        chose both sides, where no time tells which word was the last.
    """
    replaced: list[Pair] = []
    unclear: list[Pair] = []
    if not opinions.other:
        return replaced, unclear
    by_person: dict[str, tuple[list[Pair], list[Pair]]] = defaultdict(lambda: ([], []))
    for side, said in enumerate((opinions.one, opinions.other)):
        for pair in said:
            if len(set(pair.annotator_ids)) == 1 and pair.annotator_ids[0]:
                by_person[pair.annotator_ids[0]][side].append(pair)
    for one, other in by_person.values():
        if one and other:
            ends = _last(one), _last(other)
            if ends[0] is None or ends[1] is None or ends[0] == ends[1]:
                unclear += [*one, *other]
            else:
                replaced += other if ends[0] > ends[1] else one
    gone = {id(pair) for pair in (*replaced, *unclear)}
    opinions.one = [pair for pair in opinions.one if id(pair) not in gone]
    opinions.other = [pair for pair in opinions.other if id(pair) not in gone]
    return replaced, unclear


def _last(said: Sequence[Pair]) -> datetime | None:
    times = [pair.feedback_time for pair in said]
    known = [time for time in times if time is not None]
    return max(known) if len(known) == len(times) else None


def count_votes(opinions: Sequence[Opinions]) -> Cast:
    """Number the votes among opinions; one person's equal votes on one item are one.

    Votes of nobody known are of one person each.
    """
    numbers: dict[str, int] = {}
    names: list[str] = []
    rows: list[tuple[int, int, int, int]] = []
    for item, said in enumerate(opinions):
        heard: set[str] = set()
        for side, pairs in ((1, said.one), (-1, said.other)):
            for pair in pairs:
                if not is_vote(pair) or pair.annotator_ids[0] in heard:
                    continue
                name = pair.annotator_ids[0]
                number = numbers.get(name) if name else None
                if number is None:
                    number = len(names)
                    names.append(name)
                if name:
                    numbers[name] = number
                    heard.add(name)
                place = -1 if pair.chosen_place is None else pair.chosen_place
                rows.append((item, number, side, place))
    item_of, rater, side_of, places = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    return Cast(Votes(item_of, rater, side_of), tuple(names), places)


def in_circles(pairs: Sequence[Pair]) -> set[str]:
    """Return the ids of pairs that lie on a circle of preferences: a over b, b over c, c over a.

    These are the pairs whose two sides lie in one strongly connected component.
    """
    per_context = Counter(pair.context_hash for pair in pairs)
    # Fewer than three pairs make no circle.
    some = [pair for pair in pairs if per_context[pair.context_hash] > 2]
    if not some:
        return set()
    numbers: dict[str, int] = {}
    ends = [[numbers.setdefault(side, len(numbers)) for side in sides_of(pair)] for pair in some]
    better, worse = np.array(ends).T
    size = (len(numbers), len(numbers))
    graph = csr_array((np.ones(len(some)), (better, worse)), shape=size)
    _, component = connected_components(graph, directed=True, connection="strong")
    within = component[better] == component[worse]
    return {pair.pair_id for pair, circular in zip(some, within, strict=True) if circular}
