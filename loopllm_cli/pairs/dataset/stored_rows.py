"""Read the rows of a dataset folder: messages, tool calls and tool definitions as plain objects.

What Arrow keeps as JSON is decoded here, and keys that a tabular file filled up with nothing are
taken out, so that every reader sees what was written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from loopllm_cli.errors import BadPairs

Row = dict[str, Any]
MESSAGES = ("prompt", "chosen", "rejected", "completion")
_BLOCK = 1_024


def iter_rows(path: Path, columns: Sequence[str] | None = None) -> Iterator[Row]:
    """Yield the rows of a data file in their order; of columns it does not have, nothing.

    Raises:
        BadPairs: the file is missing or damaged.
    """
    try:
        file = pq.ParquetFile(path)
        names = [name for name in columns or file.schema_arrow.names if name in _names(file)]
        for batch in file.iter_batches(_BLOCK, columns=names):
            yield from map(decoded, batch.to_pylist())
    except (OSError, pa.ArrowException) as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise BadPairs(f"cannot read {path} ({said})", "make it anew: loopllm pairs") from error


def decoded(row: Row) -> Row:
    """Turn a row as Arrow holds it into one as it was written.

    What cannot be read as a message stays as it is, for the caller to refuse.
    """
    made = dict(row)
    for name in MESSAGES:
        if isinstance(made.get(name), list):
            made[name] = [_message(message) for message in made[name]]
    if "tools" in made:
        made["tools"] = _from_json(made["tools"]) or None
    return made


def _names(file: pq.ParquetFile) -> list[str]:
    return list(file.schema_arrow.names)


def _message(message: Any) -> Any:
    message = _from_json(message)
    if not isinstance(message, dict):
        return message
    kept = {k: v for k, v in message.items() if v is not None or k in ("role", "content")}
    if isinstance(kept.get("tool_calls"), list):
        calls = [_from_json(call) for call in kept.pop("tool_calls")]
        kept |= {"tool_calls": calls} if calls else {}
    return kept


def _from_json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
