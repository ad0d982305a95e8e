"""Feedback as columns, turned into votes when they are asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loopllm_cli.pairs.evidence.columns import (
    Column,
    Floats,
    Ints,
    Mask,
    Moments,
    Numbers,
    Texts,
    Values,
    Words,
    times_of,
)
from loopllm_cli.pairs.evidence.evidence import VoteTable
from loopllm_cli.pairs.evidence.vote import MACHINES, MINED, Vote
from loopllm_cli.store.arrays import numpy_floats, numpy_ints, numpy_mask
from loopllm_cli.store.link_attempts import METHODS
from loopllm_cli.store.link_index import NEVER
from loopllm_cli.store.linking import Links

VOTE_COLUMNS = (
    *("feedback_id", "kind", "polarity", "score_value", "scale_min", "scale_max", "text"),
    *("annotator_id", "annotator_kind", "annotator_role", "feedback_time", "candidate_ids"),
    *("winner_id", "tie", "name", "explanation", "source_format", "score_label"),
)
_BLOCK = 1 << 14


@dataclass(frozen=True)
class _Sides(Column):
    """Candidates of comparisons, as ids of answers."""

    starts: Numbers
    candidates: Numbers
    names: Sequence[str | None]

    def take(self, rows: Numbers) -> Iterable[tuple[str | None, ...]]:
        """Return the candidates of some rows."""
        places = zip(self.starts[rows].tolist(), self.starts[rows + 1].tolist(), strict=True)
        return [
            tuple(self.names[k] for k in self.candidates[start:end].tolist()) if end > start else ()
            for start, end in places
        ]


@dataclass(frozen=True)
class VoteFacts:
    """What can be asked of all votes at once.

    A response is a number, -1 for none; `answers` says per response in which row of the answers it
    stands, -1 where it is not in the window. The other arrays go by vote: times in microseconds,
    and whether the time alone led to the answer (`by_time`) and reasons were given (`explained`).
    """

    answers: Numbers
    targets: Numbers
    starts: Numbers
    candidates: Numbers
    times: Numbers
    polarity: Numbers
    ratings: npt.NDArray[np.float64]
    kinds: Words
    people: Words
    are_machines: Mask
    names: Words
    by_time: Mask
    explained: Mask


class StoredVotes(VoteTable):
    """The votes of a store, in their order; what one pass makes is not kept.

    Args:
        aside: of the rows, those that are found by their answer alone.
    """

    def __init__(
        self,
        columns: dict[str, Column],
        facts: VoteFacts,
        rows: Numbers,
        aside: Mask | None = None,
    ) -> None:
        self._columns = columns
        self.facts = facts
        self._kinds, self._targets = facts.kinds, facts.targets
        self._linked = rows
        self._rows = rows if aside is None else rows[~aside]
        self._by_target: tuple[dict[str, int], Numbers, Numbers] | None = None

    @property
    def rows(self) -> Numbers:
        """The rows of these votes in the facts, in their order."""
        return self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Vote]:
        return self._made_of(self._rows)

    @overload
    def __getitem__(self, at: int) -> Vote: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Vote]: ...
    def __getitem__(self, at: int | slice) -> Vote | Sequence[Vote]:
        if isinstance(at, slice):
            return tuple(self._made(self._rows[at]))
        return next(iter(self._made(self._rows[[at]])))

    def _made_of(self, rows: Numbers) -> Iterator[Vote]:
        for start in range(0, len(rows), _BLOCK):
            yield from self._made(rows[start : start + _BLOCK])

    def _made(self, rows: Numbers) -> Iterable[Vote]:
        taken = (self._columns[name].take(rows) for name in Vote._fields)
        return map(Vote._make, zip(*taken, strict=True))

    def of_kind(self, kind: str) -> list[Vote]:
        """Return the votes of one kind."""
        if kind not in self._kinds.values:
            return []
        wanted = self._kinds.values.index(kind)
        rows = self._rows[self._kinds.numbers[self._rows] == wanted]
        return list(self._made_of(rows))

    def on(self, targets: Collection[str]) -> tuple[Vote, ...]:
        """Return the votes on some answers, in their order."""
        if self._by_target is None:
            self._by_target = self._index()
        numbers, sorted_targets, rows = self._by_target
        wanted = np.array(sorted(n for name in targets if (n := numbers.get(name)) is not None))
        if not len(wanted):
            return ()
        starts, ends = (np.searchsorted(sorted_targets, wanted + k) for k in (0, 1))
        places = np.concatenate([rows[a:b] for a, b in zip(starts, ends, strict=True)])
        return tuple(self._made_of(np.sort(places)))

    def _index(self) -> tuple[dict[str, int], Numbers, Numbers]:
        targets = self._columns["target"]
        assert isinstance(targets, Values)
        linked = self._linked[self._targets[self._linked] >= 0]
        linked = linked[np.argsort(self._targets[linked], kind="stable")]
        names = {name: number for number, name in enumerate(targets.values)}
        return names, self._targets[linked], linked

    def ids(self, *, mined: bool) -> list[str]:
        """Return the ids of all votes, without what is mined unless asked for."""
        rows = self._rows
        if not mined and MINED in self._kinds.values:
            rows = rows[self._kinds.numbers[rows] != self._kinds.values.index(MINED)]
        return list(self._columns["feedback_id"].take(rows))

    def only(self, feedback_ids: Collection[str]) -> StoredVotes:
        """Return some of the votes, in their order."""
        ids = self._columns["feedback_id"].take(self._rows)
        return self.where(
            np.fromiter((name in feedback_ids for name in ids), bool, len(self._rows))
        )

    def where(self, kept: Mask) -> StoredVotes:
        """Return some of the votes, in their order."""
        return StoredVotes(self._columns, self.facts, self._rows[kept])

    def without(self, aside: Mask) -> StoredVotes:
        """Return the votes without some, which are still found by their answers."""
        return StoredVotes(self._columns, self.facts, self._rows, aside)

    def made(self, rows: Numbers) -> Iterator[Vote]:
        """Yield the votes of some rows."""
        return self._made_of(rows)

    def ids_of(self, rows: Numbers) -> list[str]:
        """Return the ids of the votes of some rows."""
        return list(self._columns["feedback_id"].take(rows))

    def targets_of(self, responses: Numbers) -> list[str]:
        """Return the ids of some responses."""
        targets = self._columns["target"]
        assert isinstance(targets, Values)
        return [targets.values[response] for response in responses.tolist()]


def to_votes(
    rows: pa.Table, links: Links, names: Sequence[str | None], answers: Numbers
) -> StoredVotes:
    """Lay out feedback as votes.

    Args:
        names: the id of each linked answer, and None at the end for those that are not linked.
        answers: the row of each linked answer among the answers, -1 for none.
    """
    score = numpy_floats(rows.column("score_value"))
    facts = _facts(rows, links, answers)
    methods = np.where(links.n_candidates > 0, links.methods, -1)
    words = ("annotator_kind", "source_format")
    columns: dict[str, Column] = {
        "feedback_id": Values(rows.column("feedback_id").to_pylist()),
        "kind": facts.kinds,
        "target": Values(names, facts.targets),
        "polarity": Ints(facts.polarity),
        "rating": Floats(facts.ratings),
        "text": Texts(rows.column("text").cast(pa.large_string())),
        "annotator_id": facts.people,
        **{name: Words.read(rows.column(name)) for name in words},
        "feedback_time": Moments(facts.times),
        "candidates": _Sides(links.starts, links.candidates, names),
        "winner": Values(names, links.winners),
        "tie": Values((False, True), numpy_mask(rows.column("tie")).astype(np.int64)),
        "name": facts.names,
        "explanation": Texts(rows.column("explanation").cast(pa.large_string())),
        "score_value": Floats(score),
        "method": Values((*METHODS, None), methods),
        "role": Words.read(rows.column("annotator_role")),
        "label": Words.read(rows.column("score_label")),
    }
    return StoredVotes(columns, facts, np.arange(rows.num_rows))


def _facts(rows: pa.Table, links: Links, answers: Numbers) -> VoteFacts:
    low, high, score = (
        numpy_floats(rows.column(name)) for name in ("scale_min", "scale_max", "score_value")
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        ratings = np.where(high > low, (score - low) / (high - low), np.nan)
    by_time = links.methods == METHODS.index("time")
    judges = Words.read(rows.column("annotator_kind"))
    machines = {kind for kind in judges.values if kind.upper() in MACHINES}
    return VoteFacts(
        answers=np.append(answers, -1),
        # The nearest answer in time is good enough to count with, not to train on.
        targets=np.where(by_time, -1, links.targets),
        starts=links.starts,
        candidates=links.candidates,
        times=times_of(rows.column("feedback_time")),
        polarity=numpy_ints(rows.column("polarity"), NEVER),
        ratings=ratings,
        kinds=Words.read(rows.column("kind")),
        people=Words.read(rows.column("annotator_id")),
        are_machines=judges.are(machines),
        names=Words.read(rows.column("name")),
        by_time=by_time & (links.n_candidates > 0),
        explained=numpy_ints(pc.binary_length(rows.column("explanation")), 0) > 0,
    )
