"""Answers as columns of facts; their texts are read from the store when they are asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopllm_cli.pairs.evidence import UNREAD, Answer
from loopllm_cli.pairs.vote_columns import (
    Column,
    Ints,
    Moments,
    Numbers,
    Texts,
    Values,
    Words,
    times_of,
)
from loopllm_cli.store import tables
from loopllm_cli.store.arrays import arrow_mask, numpy_ints, numpy_mask, one_array
from loopllm_cli.store.link_index import NEVER
from loopllm_cli.store.locations import Location
from loopllm_cli.store.memory import give_back

_FACTS = (
    *("interaction_id", "context_hash", "prompt_hash", "content_state", "finish_reason"),
    *("error_type", "request_model", "response_model", "user_id", "conversation_id"),
    *("request_time", "n_tool_calls", "turn_index", "previous_response_id", "source_format"),
    "redaction",
)
_TEXTS = ("input_messages", "output_messages", "response_text", "tool_definitions")
_READ = (*_TEXTS, "reference_answer")
_FIELDS = ("input_messages", "output_messages", "text", "tools", "reference_answer", "prompt_text")
_MIN_BLOCK = 1 << 17
_ROWS = 1 << 14
# An answer of one text, as `ingest` writes it, and what is kept of it: the text stands in `text`.
_START, _END = '[{"parts":[{"content":"', '","type":"text"}],"role":"assistant"}]'
PLAIN = '[{"parts":[{"content":"","type":"text"}],"role":"assistant"}]'

Segmenter = Callable[[Sequence[Answer]], Sequence[str | None]]


class StoredAnswers(Mapping[str, Answer]):
    """The answers of a store that matter to some vote, in order of time.

    All are made on the first look at any of them. After `keep`, only some are held, and the others
    are made anew whenever they are looked at.
    """

    def __init__(self, names: list[str], columns: dict[str, Column]) -> None:
        self._names = names
        self._columns = columns
        self._held: dict[str, Answer] | None = None
        self._rows: dict[str, int] | None = None

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
        return name in (self._all() if self._rows is None else self._rows)

    def get(self, name: str, default: Any = None) -> Any:
        """Return an answer, or something else where there is none."""
        found = self._all().get(name, default)
        if found is default and self._rows is not None and name in self._rows:
            return next(iter(self._made(np.array([self._rows[name]]))))
        return found

    def _all(self) -> dict[str, Answer]:
        if self._held is None:
            self._held = {}
            for start in range(0, len(self._names), _ROWS):
                rows = np.arange(start, min(start + _ROWS, len(self._names)))
                self._held.update((made.interaction_id, made) for made in self._made(rows))
        return self._held

    def _made(self, rows: Numbers) -> Iterator[Answer]:
        taken = (self._columns[name].take(rows) for name in Answer.__dataclass_fields__)
        return (Answer(*values) for values in zip(*taken, strict=True))

    def keep(self, answers: Iterable[Answer]) -> None:
        """Let go of all answers but some."""
        self._rows = {name: row for row, name in enumerate(self._names)}
        self._held = {answer.interaction_id: answer for answer in answers}


class StoredTexts:
    """The texts of a store's answers.

    Args:
        segmenter: says in which segment an answer lies, once its texts are there.
    """

    def __init__(
        self, place: Location, answers: StoredAnswers, segmenter: Segmenter | None = None
    ) -> None:
        self._place = place
        self._answers = answers
        self._segmenter = segmenter

    def with_segments(self, segmenter: Segmenter) -> StoredTexts:
        """Return the same texts, whose answers get their segments when they are read."""
        return StoredTexts(self._place, self._answers, segmenter)

    def keep(self, answers: Iterable[Answer]) -> None:
        """Let go of all answers but some."""
        self._answers.keep(answers)

    def load(self, answers: Iterable[Answer]) -> None:
        """Fill in the texts of some answers, in one pass over the store."""
        wanted: dict[str, list[Answer]] = defaultdict(list)
        seen: set[int] = set()
        for answer in answers:
            if answer.text is UNREAD and id(answer) not in seen:
                seen.add(id(answer))
                wanted[answer.interaction_id].append(answer)
        if not wanted:
            return
        contexts: dict[str, str] = {}
        columns = _READ if self._segmenter is None else (*_READ, "prompt_text")
        sql = f"SELECT interaction_id, {', '.join(columns)} FROM rows"
        for batch in tables.iter_select(self._place, sql):
            if isinstance(batch, pa.RecordBatch) and batch.num_rows:
                for name, texts in _hits(batch, columns, wanted):
                    for answer in wanted[name]:
                        _fill(answer, texts, contexts)
        give_back()
        if self._segmenter is not None:
            self._set_segments([answer for group in wanted.values() for answer in group])

    def _set_segments(self, answers: list[Answer]) -> None:
        assert self._segmenter is not None
        for start in range(0, len(answers), _ROWS):
            some = answers[start : start + _ROWS]
            for answer, segment in zip(some, self._segmenter(some), strict=True):
                object.__setattr__(answer, "segment", segment)


def _hits(
    batch: pa.RecordBatch, names: Sequence[str], wanted: Mapping[str, Any]
) -> Iterator[tuple[str, list[Any]]]:
    columns = [batch.column(name) for name in names]
    for place, name in enumerate(batch.column("interaction_id").to_pylist()):
        if name in wanted:
            yield name, [column[place].as_py() for column in columns]


def _fill(answer: Answer, texts: list[Any], contexts: dict[str, str]) -> None:
    """Put its texts into an answer, which is frozen otherwise: nobody has read one before."""
    inputs, outputs, text, tools, reference, *prompt = texts
    if inputs is not None:
        # Answers to one context share its text.
        inputs = contexts.setdefault(inputs, inputs)
    if outputs is not None and is_plain_json(outputs):
        outputs = PLAIN
    values = (inputs, outputs, text or "", tools, reference, *prompt)
    # The prompt apart stands in the messages too, and is read for its segment alone.
    for field, value in zip(_FIELDS, values, strict=False):
        object.__setattr__(answer, field, value)


def is_plain_json(output: str) -> bool:
    """Say of a stored answer, without parsing it, whether it is one text; never wrongly so."""
    return (
        output.startswith(_START)
        and output.endswith(_END)
        and output.count('"type":') == 1
        and output.count('"parts":') == 1
    )


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
        return StoredAnswers([], {})
    table = pa.concat_tables(kept)
    keys = [("request_time", "ascending"), ("interaction_id", "ascending")]
    return _to_answers(table.take(pc.sort_indices(table, sort_keys=keys)), segment)


_TALK = "conversation_id"


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
    facts: dict[str, Column] = {
        name: Words.read(rows.column(name))
        for name in (
            *("content_state", "finish_reason", "error_type", "user_id"),
            *("source_format", "redaction"),
        )
    }
    columns: dict[str, Column] = {
        **facts,
        **dict.fromkeys(_FIELDS, unread),
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
    return StoredAnswers(names, columns)


def _filled(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Turn empty texts into nulls."""
    empty = numpy_ints(pc.binary_length(column), 0) == 0
    return pc.if_else(arrow_mask(empty), pa.nulls(len(column), column.type), column)


def _segments(rows: pa.Table, segment: str | None) -> Column:
    if segment is None:
        return Values((None,), np.zeros(rows.num_rows, np.int64))
    return Words.read(rows.column(segment).cast(pa.large_string()))
