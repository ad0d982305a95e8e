"""Answers as columns of facts, turned into answers when they are asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopllm_cli.pairs.evidence.answer import UNREAD, Answer, Place, Turn
from loopllm_cli.pairs.evidence.columns import (
    Column,
    Ints,
    Mask,
    Moments,
    Numbers,
    Texts,
    Values,
    Words,
    times_of,
)
from loopllm_cli.pairs.evidence.evidence import AnswerTable
from loopllm_cli.pairs.guards import FINISHED
from loopllm_cli.store import tables
from loopllm_cli.store.arrays import arrow_mask, numpy_ints, numpy_mask, one_array
from loopllm_cli.store.link_index import NEVER
from loopllm_cli.store.locations import Location

_FACTS = (
    *("interaction_id", "context_hash", "prompt_hash", "content_state", "finish_reason"),
    *("error_type", "request_model", "response_model", "user_id", "conversation_id"),
    *("request_time", "n_tool_calls", "turn_index", "previous_response_id", "source_format"),
    "redaction",
)
_TEXTS = (
    *("input_messages", "output_messages", "text", "tools", "reference_answer", "prompt_text"),
)
_MIN_BLOCK = 1 << 17
_ROWS = 1 << 14
_TALK = "conversation_id"
_NO_ROWS = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, bool))


@dataclass(frozen=True)
class AnswerFacts:
    """What can be asked of all answers at once, by row: times in microseconds, contexts by number.

    `is_usable` says whether nothing that is known without the texts speaks against an answer.
    """

    times: Numbers
    contexts: Numbers
    is_usable: Mask


class StoredAnswers(AnswerTable):
    """The answers of a store that matter to some vote, in order of time.

    They are made when they are looked at, many at a time by `hold`. After `keep`, only some are
    held, and the others are made anew whenever they are looked at.
    """

    def __init__(self, names: list[str], columns: dict[str, Column], facts: AnswerFacts) -> None:
        self._names = names
        self._columns = columns
        self.facts = facts
        self._held: dict[str, Answer] = {}
        self._rows = {name: row for row, name in enumerate(names)}
        self._holds_more = True

    def __getitem__(self, name: str) -> Answer:
        found: Answer | None = self.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def get(self, name: str, default: Any = None) -> Any:
        """Return an answer, or something else where there is none."""
        found = self._held.get(name)
        if found is not None or name not in self._rows:
            return default if found is None else found
        made = next(self._made(np.array([self._rows[name]])))
        if self._holds_more:
            self._held[name] = made
        return made

    def row_of(self, name: str) -> int:
        """Return the row of an answer in the facts, -1 where there is none."""
        return self._rows.get(name, -1)

    def values(self) -> ValuesView[Answer]:
        """Return all answers, made in one go."""
        if self._holds_more:
            self.hold(np.arange(len(self._names)))
        return super().values()

    def items(self) -> ItemsView[str, Answer]:
        """Return all answers with their ids, made in one go."""
        self.values()
        return super().items()

    def hold(self, rows: Numbers) -> None:
        """Make some answers, which is far quicker for many together than for each alone."""
        some = np.unique(rows)
        if self._held:
            some = some[[self._names[row] not in self._held for row in some.tolist()]]
        self._held.update((answer.interaction_id, answer) for answer in self._blocks(some))

    def some(self, names: Collection[str]) -> dict[str, Answer]:
        """Return some of the answers, in their order."""
        rows = sorted(row for row in map(self._rows.get, names) if row is not None)
        if self._holds_more:
            self.hold(np.array(rows, np.int64))
        missing = [row for row in rows if self._names[row] not in self._held]
        made = self._blocks(np.array(missing, np.int64))
        new = {answer.interaction_id: answer for answer in made}
        some = (self._names[row] for row in rows)
        return {name: self._held.get(name) or new[name] for name in some}

    def _blocks(self, rows: Numbers) -> Iterator[Answer]:
        for start in range(0, len(rows), _ROWS):
            yield from self._made(rows[start : start + _ROWS])

    def _made(self, rows: Numbers) -> Iterator[Answer]:
        taken = (self._columns[name].take(rows) for name in Answer.__dataclass_fields__)
        return (Answer(*values) for values in zip(*taken, strict=True))

    def keep(self, answers: Iterable[Answer]) -> None:
        """Let go of all answers but some."""
        self._holds_more = False
        self._held = {answer.interaction_id: answer for answer in answers}

    def turns_of(self, talks: Collection[str]) -> dict[str, list[Turn]]:
        """Return the turns of some conversations."""
        found: dict[str, list[Turn]] = defaultdict(list)
        for talk, *turn in self._within(talks, ("turn_index", "request_time")):
            found[talk].append((turn[0], turn[1]))
        return found

    def attempts_at(self, places: Collection[Place]) -> list[Answer]:
        """Return the answers to some contexts, each in some conversation."""
        found = self._within({talk for talk, _ in places}, ("context_hash", "interaction_id"))
        names = [name for talk, context, name in found if (talk, context) in places]
        self.hold(np.array([self._rows[name] for name in names], np.int64))
        return [self[name] for name in names]

    def _within(self, talks: Collection[str], fields: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield fields of all answers in some conversations, behind the name of each."""
        column = self._columns[_TALK]
        if not talks or not isinstance(column, Texts):
            return iter(())
        wanted = pa.array(sorted(talks), column.column.type)
        (rows,) = np.nonzero(numpy_mask(pc.is_in(column.column, value_set=wanted)))
        return zip(*(self._columns[name].take(rows) for name in (_TALK, *fields)), strict=True)


def read_answers(
    place: Location, condition: str, wanted: tuple[pa.Array, pa.Array], segment: str | None
) -> StoredAnswers:
    """Read the facts of the answers that fit a SQL condition and matter.

    Args:
        wanted: ids of answers; and conversations of which all answers matter.
        segment: a column whose value is every answer's segment.
    """
    columns = dict.fromkeys((*_FACTS, *([segment] if segment else [])))
    extra = "tool_definitions IS NOT NULL AS has_tools"
    sql = f"SELECT {', '.join(columns)}, {extra} FROM rows WHERE {condition}"
    ids, talks = wanted
    kept = [
        rows.filter(arrow_mask(_is_in(rows, "interaction_id", ids) | _is_in(rows, _TALK, talks)))
        for rows in blocks(place, sql, max(len(ids), len(talks)) // 4)
    ]
    if not kept:
        return StoredAnswers([], {}, AnswerFacts(*_NO_ROWS))
    table = pa.concat_tables(kept)
    keys = [("request_time", "ascending"), ("interaction_id", "ascending")]
    return _to_answers(table.take(pc.sort_indices(table, sort_keys=keys)), segment)


def _is_in(rows: pa.Table, column: str, wanted: pa.Array) -> Any:
    if not len(wanted):
        return np.zeros(rows.num_rows, bool)
    held = rows.column(column).cast(pa.large_string())
    return numpy_mask(pc.is_in(held, value_set=wanted, skip_nulls=True))


def blocks(place: Location, sql: str, n_rows: int) -> Iterator[pa.Table]:
    """Read rows in blocks that are not small beside what is looked for in each of them."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in tables.iter_select(place, sql):
        if isinstance(batch, pa.RecordBatch) and batch.num_rows:
            held.append(batch)
            count += batch.num_rows
            if count >= max(n_rows, _MIN_BLOCK):
                yield tables.plain_strings(pa.Table.from_batches(held))
                held, count = [], 0
    if held:
        yield tables.plain_strings(pa.Table.from_batches(held))


def conversations_of(place: Location, condition: str, ids: pa.Array) -> pa.Array:
    """Return the conversations in which some answers stand."""
    if not len(ids):
        return ids
    sql = f"SELECT interaction_id, conversation_id FROM rows WHERE {condition}"
    found = [
        rows.column(_TALK).filter(arrow_mask(_is_in(rows, "interaction_id", ids))).drop_null()
        for rows in blocks(place, sql, len(ids) // 4)
    ]
    chunks = [chunk for column in found for chunk in column.chunks]
    return one_array(pa.chunked_array(chunks, pa.string())).unique()


def _to_answers(rows: pa.Table, segment: str | None) -> StoredAnswers:
    names = rows.column("interaction_id").to_pylist()
    model = pc.coalesce(_filled(rows.column("response_model")), rows.column("request_model"))
    unread = Values((UNREAD,), np.zeros(len(names), np.int64))
    words = {
        name: Words.read(rows.column(name))
        for name in (
            *("content_state", "finish_reason", "error_type", "user_id"),
            *("source_format", "redaction"),
        )
    }
    columns: dict[str, Column] = {
        **words,
        **dict.fromkeys(_TEXTS, unread),
        "interaction_id": Values(names),
        "model": Words.read(model),
        "has_tools": Values((False, True), numpy_mask(rows.column("has_tools")).astype(np.int64)),
        "request_time": Moments(times_of(rows.column("request_time"))),
        "segment": _segments(rows, segment),
        "n_tool_calls": Ints(numpy_ints(rows.column("n_tool_calls"), 0)),
        "turn_index": Ints(numpy_ints(rows.column("turn_index"), NEVER)),
        **{
            name: Texts(rows.column(name))
            for name in ("context_hash", "prompt_hash", "conversation_id", "previous_response_id")
        },
    }
    return StoredAnswers(names, columns, _facts(rows, words))


def _facts(rows: pa.Table, words: Mapping[str, Words]) -> AnswerFacts:
    contexts = Words.read(rows.column("context_hash")).numbers
    usable = (
        (contexts >= 0)
        & (words["error_type"].numbers < 0)
        & words["content_state"].are(("full",))
        & words["finish_reason"].are(FINISHED)
    )
    return AnswerFacts(times_of(rows.column("request_time")), contexts, usable)


def _filled(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Turn empty texts into nulls."""
    empty = numpy_ints(pc.binary_length(column), 0) == 0
    return pc.if_else(arrow_mask(empty), pa.nulls(len(column), column.type), column)


def _segments(rows: pa.Table, segment: str | None) -> Column:
    if segment is None:
        return Values((None,), np.zeros(rows.num_rows, np.int64))
    return Words.read(rows.column(segment).cast(pa.large_string()))
