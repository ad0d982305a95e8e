"""Chunks of streamed OpenAI chat completions, one per record, put together by their id.

A stream that was cut off has no reason to finish; its row says `partial_stream`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loopllm_cli.sources.fields import to_text
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.body import exchange
from loopllm_cli.sources.payloads.openai_stream import CHUNK, check_chunk, read_chunks
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Part, Record, digest

NAME = "openai_stream_chunks"


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record is a chunk."""
    return record.get("object") == CHUNK


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Take one chunk as a part of its completion.

    Raises:
        BadLine: it is malformed.
    """
    check_chunk(record)
    completion = to_text(record.get("id"))
    if not completion:
        return Decoded(skipped=["a stream chunk without an id"])
    # Chunks have no number: their order is that of the lines. A copy of the file adds no part.
    return Decoded(parts=[Part(completion, f"{origin.line:012d}:{digest(record)[:8]}", record)])


def assemble(group: str, contents: Sequence[Record], origin: Origin) -> Decoded:
    """Put the chunks of one completion together."""
    try:
        response = read_chunks(_in_order(contents))
    except BadLine:
        return Decoded()
    if response is None:
        return Decoded()
    values = {
        "source_version": len(contents),
        "request_stream": True,
        "time_basis": "response_created" if response.values["request_time"] else None,
    }
    return Decoded(exchange(origin, NAME, None, response, values, native_id=group))


def _in_order(contents: Sequence[Record]) -> list[Record]:
    """Order chunks by line, also where a log was rotated during a stream.

    The stream's end then stands at the front of the next file, with smaller line numbers.
    """
    chunks = list(contents)
    begin = next((place for place, chunk in enumerate(chunks) if _begins(chunk)), 0)
    return chunks[begin:] + chunks[:begin] if any(map(_ends, chunks[:begin])) else chunks


def _begins(chunk: Record) -> bool:
    deltas = (choice.get("delta") or {} for choice in chunk["choices"])
    return any(delta.get("role") for delta in deltas)


def _ends(chunk: Record) -> bool:
    return any(choice.get("finish_reason") for choice in chunk["choices"])


FORMAT = Format(
    NAME,
    "OpenAI stream chunks",
    "a chunk of a chat completion",
    Rank.API,
    recognises,
    decode,
    assemble,
)
