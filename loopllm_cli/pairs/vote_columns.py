"""Feedback as columns, turned into votes when they are asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loopllm_cli.pairs.evidence import MINED, Vote, VoteTable
from loopllm_cli.store.arrays import arrow_ints, numpy_floats, numpy_ints, numpy_mask
from loopllm_cli.store.link_attempts import METHODS
from loopllm_cli.store.link_index import NEVER
from loopllm_cli.store.linking import Links

Numbers = npt.NDArray[np.signedinteger[Any]]
VOTE_COLUMNS = (
    *("feedback_id", "kind", "polarity", "score_value", "scale_min", "scale_max", "text"),
    *("annotator_id", "annotator_kind", "annotator_role", "feedback_time", "candidate_ids"),
    *("winner_id", "tie", "name", "explanation", "source_format", "score_label"),
)
_BLOCK = 1 << 14
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Column(ABC):
    """Values of one field, by row."""

    @abstractmethod
    def take(self, rows: Numbers) -> Iterable[Any]:
        """Return the values of some rows."""


@dataclass(frozen=True)
class Words(Column):
    """Texts of which many are the same: each is held once; null is -1."""

    numbers: Numbers
    values: list[str]

    @classmethod
    def read(cls, column: pa.ChunkedArray) -> Words:
        """Number the distinct texts of a column."""
        coded = column.cast(pa.large_string()).dictionary_encode()
        values = coded.chunk(0).dictionary.to_pylist() if coded.num_chunks else []
        chunks = [numpy_ints(chunk.indices) for chunk in coded.chunks]
        numbers = np.concatenate([np.empty(0, np.int64), *chunks]).astype(np.int32)
        return cls(numbers, values)

    def take(self, rows: Numbers) -> Iterable[str | None]:
        """Return the texts of some rows."""
        if not self.values:
            return repeat(None, len(rows))
        values = [*self.values, None]
        return [values[number] for number in self.numbers[rows].tolist()]


@dataclass(frozen=True)
class Texts(Column):
    """Texts of which each is another, or few are there at all."""

    column: pa.ChunkedArray

    def take(self, rows: Numbers) -> Iterable[str | None]:
        """Return the texts of some rows."""
        if self.column.null_count == len(self.column):
            return repeat(None, len(rows))
        found: list[str | None] = self.column.take(arrow_ints(rows)).to_pylist()
        return found


@dataclass(frozen=True)
class Values(Column):
    """Python values as they are, one per row or per number."""

    values: Sequence[Any]
    numbers: Numbers | None = None

    def take(self, rows: Numbers) -> Iterable[Any]:
        """Return the values of some rows."""
        places = rows if self.numbers is None else self.numbers[rows]
        return [self.values[place] for place in places.tolist()]


@dataclass(frozen=True)
class Floats(Column):
    """Numbers, None where they are NaN."""

    values: npt.NDArray[np.float64]

    def take(self, rows: Numbers) -> Iterable[float | None]:
        """Return the numbers of some rows."""
        return [None if x != x else x for x in self.values[rows].tolist()]


@dataclass(frozen=True)
class Ints(Column):
    """Whole numbers, None where they are `NEVER`."""

    values: Numbers

    def take(self, rows: Numbers) -> Iterable[int | None]:
        """Return the numbers of some rows."""
        return [None if x == NEVER else x for x in self.values[rows].tolist()]


@dataclass(frozen=True)
class Moments(Column):
    """Times in microseconds, None where they are `NEVER`."""

    values: Numbers

    def take(self, rows: Numbers) -> Iterable[datetime | None]:
        """Return the times of some rows."""
        return [
            None if x == NEVER else _EPOCH + timedelta(microseconds=x)
            for x in self.values[rows].tolist()
        ]


def times_of(column: pa.ChunkedArray) -> Numbers:
    """Return a column of times in microseconds, `NEVER` where null."""
    return numpy_ints(column.cast(pa.timestamp("us", column.type.tz), safe=False), NEVER)


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


class StoredVotes(VoteTable):
    """The votes of a store, in their order; what one pass makes is not kept."""

    def __init__(
        self, columns: dict[str, Column], kinds: Words, targets: Numbers, rows: Numbers
    ) -> None:
        self._columns = columns
        self._kinds = kinds
        self._targets = targets
        self._rows = rows
        self._by_target: tuple[dict[str, int], Numbers, Numbers] | None = None

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
        taken = (self._columns[name].take(rows) for name in Vote.__dataclass_fields__)
        return (Vote(*values) for values in zip(*taken, strict=True))

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
        linked = self._rows[self._targets[self._rows] >= 0]
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
        kept = np.fromiter((name in feedback_ids for name in ids), bool, len(self._rows))
        return StoredVotes(self._columns, self._kinds, self._targets, self._rows[kept])


def to_votes(rows: pa.Table, links: Links, names: Sequence[str | None]) -> StoredVotes:
    """Lay out feedback as votes.

    Args:
        names: the id of each linked answer, and None at the end for those that are not linked.
    """
    low, high, score = (
        numpy_floats(rows.column(name)) for name in ("scale_min", "scale_max", "score_value")
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        rating = np.where(high > low, (score - low) / (high - low), np.nan)
    by_time = links.methods == METHODS.index("time")
    # The nearest answer in time is good enough to count with, not to train on.
    targets = np.where(by_time, -1, links.targets)
    kinds = Words.read(rows.column("kind"))
    methods = np.where(links.n_candidates > 0, links.methods, -1)
    columns: dict[str, Column] = {
        "feedback_id": Values(rows.column("feedback_id").to_pylist()),
        "kind": kinds,
        "target": Values(names, targets),
        "polarity": Ints(numpy_ints(rows.column("polarity"), NEVER)),
        "rating": Floats(rating),
        "text": Texts(rows.column("text").cast(pa.large_string())),
        "annotator_id": Words.read(rows.column("annotator_id")),
        "annotator_kind": Words.read(rows.column("annotator_kind")),
        "feedback_time": Moments(times_of(rows.column("feedback_time"))),
        "candidates": _Sides(links.starts, links.candidates, names),
        "winner": Values(names, links.winners),
        "tie": Values((False, True), numpy_mask(rows.column("tie")).astype(np.int64)),
        "name": Words.read(rows.column("name")),
        "explanation": Texts(rows.column("explanation").cast(pa.large_string())),
        "source_format": Words.read(rows.column("source_format")),
        "score_value": Floats(score),
        "method": Values((*METHODS, None), methods),
        "role": Words.read(rows.column("annotator_role")),
        "label": Words.read(rows.column("score_label")),
    }
    return StoredVotes(columns, kinds, targets, np.arange(rows.num_rows))
