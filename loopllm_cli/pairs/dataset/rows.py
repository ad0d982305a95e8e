"""Rows of a dataset folder as Arrow: chat messages as TRL takes them, and where they come from.

Tool definitions and messages with tool calls differ in their keys. In a dataset that
has any, messages and `tools` are Arrow's JSON type, which `datasets` decodes when it loads them: as
structs, every message would get the keys of all others, filled with None, and templates that ask
whether a message has `tool_calls` would find some. A dataset without tools has plain messages.

Source: TRL, "Dataset formats and types", https://huggingface.co/docs/trl/dataset_formats, and
`trl.trainer.utils.remove_none_values`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from loopllm_cli.model import Message, Pair, Retained, Unpaired
from loopllm_cli.pairs.dataset.stored_rows import MESSAGES
from loopllm_cli.pairs.dataset.tool_definitions import as_functions

Row = dict[str, Any]

_BLOCK = 2_048
_PLAIN = pa.struct([("role", pa.string()), ("content", pa.string())])
_JSON = pa.json_()
_TEXTS = ("pair_id", "rule", "user_id", "chosen_user_id", "conversation_id")
_MORE_TEXTS = ("chosen_conversation_id", "context_hash", "prompt_hash", "segment")
_MODELS = ("chosen_model", "rejected_model")
_LISTS = ("feedback_ids", "interaction_ids", "annotator_ids", "votes_against", "signals")
_NUMBERS = ("margin", "confidence", "weight")

PROVENANCE = pa.schema(
    [
        *((name, pa.string()) for name in ("split", *_TEXTS, *_MORE_TEXTS, *_MODELS)),
        *((name, pa.list_(pa.string())) for name in _LISTS),
        *((name, pa.float64()) for name in _NUMBERS),
        ("chosen_place", pa.int64()),
        ("feedback_time", pa.timestamp("us", tz="UTC")),
    ]
)


def write_pairs(path: Path, pairs: Sequence[Pair], *, tools: bool) -> None:
    """Write pairs: `prompt`, `chosen`, `rejected`, and `tools` where any row needs them."""
    _write(
        path, (pair_row(pair) for pair in pairs), _schema(("prompt", "chosen", "rejected"), tools)
    )


def write_retained(path: Path, retained: Sequence[Retained], *, tools: bool) -> None:
    """Write answers that must not change: `prompt` and `chosen`."""
    rows = (
        {"prompt": r.prompt, "chosen": [_answer(r.chosen, r.chosen_calls)], "tools": r.tools}
        for r in retained
    )
    _write(path, rows, _schema(("prompt", "chosen"), tools))


def write_unpaired(path: Path, unpaired: Sequence[Unpaired], *, tools: bool) -> None:
    """Write single judged answers: `prompt`, `completion`, `label`, and their `weight`."""
    schema = _schema(("prompt", "completion"), tools)
    schema = schema.append(pa.field("label", pa.bool_())).append(pa.field("weight", pa.float64()))
    _write(path, map(unpaired_row, unpaired), schema)


def pair_row(pair: Pair) -> Row:
    """Lay a pair out in TRL's conversational preference format."""
    return {
        "prompt": list(pair.prompt),
        "chosen": [_answer(pair.chosen, pair.chosen_calls)],
        "rejected": [_answer(pair.rejected, pair.rejected_calls)],
        "tools": pair.tools,
    }


def unpaired_row(one: Unpaired) -> Row:
    """Lay a judged answer out in TRL's conversational unpaired format."""
    return {
        "prompt": list(one.prompt),
        "completion": [_answer(one.completion, one.completion_calls)],
        "label": one.label,
        "weight": one.weight,
        "tools": one.tools,
    }


def write_provenance(path: Path, rows: Iterable[Row]) -> None:
    """Write where rows come from, in the order of the data."""
    _write(path, rows, PROVENANCE)


def pair_origin(split: str, pair: Pair) -> Row:
    """Say where a pair comes from."""
    return {"split": split, **{name: getattr(pair, name, None) for name in PROVENANCE.names[1:]}}


def retained_origin(one: Retained) -> Row:
    """Say where a retained answer comes from."""
    known = {name: getattr(one, name, None) for name in PROVENANCE.names[1:]}
    return {**known, "split": "retention", "rule": one.source, "chosen_model": one.model}


def unpaired_origin(one: Unpaired) -> Row:
    """Say where a judged answer comes from; its model is that of the one side there is."""
    known = {name: getattr(one, name, None) for name in PROVENANCE.names[1:]}
    model = "chosen_model" if one.label else "rejected_model"
    return {
        **known,
        "split": "unpaired",
        "pair_id": one.example_id,
        "rule": one.source,
        "interaction_ids": (one.interaction_id,),
        model: one.model,
    }


def needs_tools(rows: Iterable[Any]) -> bool:
    """Say whether any pair, retained or judged answer has tools, or calls one."""
    return any(
        row.tools is not None
        or any(getattr(row, name, None) for name in ("chosen_calls", "rejected_calls"))
        or getattr(row, "completion_calls", None) is not None
        or any(message.keys() - {"role", "content"} for message in row.prompt)
        for row in rows
    )


def _answer(text: str, calls: str | None) -> Message:
    message: Message = {"role": "assistant", "content": text}
    return {**message, "tool_calls": json.loads(calls)} if calls else message


def _schema(sides: Iterable[str], tools: bool) -> pa.Schema:
    chat = pa.list_(_JSON if tools else _PLAIN)
    columns = [(side, chat) for side in sides]
    return pa.schema([*columns, ("tools", _JSON)] if tools else columns)


def _write(path: Path, rows: Iterable[Row], schema: pa.Schema) -> None:
    # Arrow builds no JSON values from Python's; it takes their texts and is told what they are.
    built = pa.schema([(field.name, _spelled(field.type)) for field in schema])
    with pq.ParquetWriter(path, schema) as writer:
        for block in _blocks(rows, lambda row: _plain(row, schema)):
            writer.write_table(pa.Table.from_pylist(block, schema=built).cast(schema))


def _spelled(kind: pa.DataType) -> pa.DataType:
    if kind == _JSON:
        return pa.string()
    return pa.list_(pa.string()) if kind == pa.list_(_JSON) else kind


def _plain(row: Row, schema: pa.Schema) -> Row:
    """Write JSON values as the text that Arrow keeps."""
    kept: dict[str, Any] = {name: row.get(name) for name in schema.names}
    if "tools" in kept:
        functions = as_functions(kept["tools"])
        kept["tools"] = None if functions is None else _as_json(functions)
        for name in MESSAGES:
            if name in kept:
                kept[name] = [_as_json(message) for message in kept[name]]
    return kept


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _blocks(rows: Iterable[Row], change: Callable[[Row], Row]) -> Iterator[list[Row]]:
    waiting = iter(rows)
    while block := [change(row) for row in islice(waiting, _BLOCK)]:
        yield block
