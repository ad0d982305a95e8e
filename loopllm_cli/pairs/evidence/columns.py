"""Columns of a store, of which Python values are made for the rows that are asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loopllm_cli.store.arrays import arrow_ints, numpy_ints
from loopllm_cli.store.link_index import NEVER

Numbers = npt.NDArray[np.signedinteger[Any]]
Mask = npt.NDArray[np.bool_]
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

    def are(self, some: Collection[str | None]) -> Mask:
        """Say of every row whether its text is one of some."""
        table = np.array([value in some for value in (*self.values, None)])
        return table[self.numbers]


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
