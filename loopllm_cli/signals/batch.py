"""Rows as signals see them: columns by canonical name, decoded once and kept.

Exists so that thirty signals reading the same text pay for one conversion from Arrow, one
lower-casing and one split into words. Must not import pandas.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loopllm_cli.store.moments import to_moments

FloatArray = npt.NDArray[np.float64]

T = TypeVar("T")


class RowBatch:
    """A window's rows, one Arrow table with the canonical columns (and feedback sums).

    Columns that a table lacks read as missing, so that a signal never has to ask.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self._lists: dict[str, list[Any]] = {}
        self._built: dict[str, Any] = {}

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def has(self, column: str) -> bool:
        """Say whether the table holds a column at all, whatever its values."""
        return column in self.table.column_names

    def values(self, column: str) -> list[Any]:
        """Return a column as Python values, None where missing."""
        if column not in self._lists:
            if self.has(column):
                found = self.table.column(column)
                timed = pa.types.is_timestamp(found.type)
                self._lists[column] = to_moments(found) if timed else found.to_pylist()
            else:
                self._lists[column] = [None] * len(self)
        return self._lists[column]

    def numbers(self, column: str) -> FloatArray:
        """Return a numeric or boolean column as float64, NaN where missing or not finite."""
        # By way of Python values: Arrow's own to_numpy imports pandas where it is installed.
        out = np.array(self.values(column), dtype=np.float64)
        out[~np.isfinite(out)] = np.nan
        return out

    def once(self, key: str, build: Callable[[RowBatch], T]) -> T:
        """Return what `build` makes of this batch, made at the first request and kept."""
        if key not in self._built:
            self._built[key] = build(self)
        return cast(T, self._built[key])

    @cached_property
    def responses(self) -> list[str | None]:
        """Answer texts that can be judged: None where content was not logged in full."""
        states = self.values("content_state")
        texts = self.values("response_text")
        return [t if s in (None, "full") else None for t, s in zip(texts, states, strict=True)]

    @cached_property
    def prompts(self) -> list[str | None]:
        """Last user texts."""
        return self.values("prompt_text")


def each(values: Sequence[T | None], measure: Callable[[T], float]) -> FloatArray:
    """Measure every value that is there; the missing ones give NaN."""
    numbers = (np.nan if value is None else measure(value) for value in values)
    return np.fromiter(numbers, np.float64, len(values))


def flag(numbers: FloatArray, hit: npt.NDArray[np.bool_]) -> FloatArray:
    """Return 1 where `hit` and 0 elsewhere, NaN where there is no number to judge."""
    return np.where(np.isnan(numbers), np.nan, hit.astype(np.float64))
