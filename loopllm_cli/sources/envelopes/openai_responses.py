"""OpenAI's Responses API: requests beside responses, response objects alone, and its streams.

A response that continues another (`previous_response_id`, `conversation`) was given more than
its request holds: its row says `partial_context`. So does a response whose request is not known.
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.fields import to_error
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.labels import from_labels
from loopllm_cli.sources.payloads.body import Response, exchange
from loopllm_cli.sources.payloads.openai_chat import read_response as read_error
from loopllm_cli.sources.payloads.openai_responses import (
    RUNNING,
    add_instructions,
    lacks_context,
    read_response,
    to_request,
)
from loopllm_cli.sources.payloads.pieces import leftover
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Row, to_json
from loopllm_cli.sources.wrapped import decode_sides, find_sides

NAME = "openai_responses"
_ALONE, _WITH_REQUEST = 1, 2
_READ = {
    *("object", "id", "created_at", "status", "model", "output", "instructions", "usage", "error"),
    *("previous_response_id", "conversation", "incomplete_details", "temperature", "top_p"),
    *("max_output_tokens", "output_text"),
}


def _fits(request: dict[str, Any], response: Any) -> bool:
    if not isinstance(response, dict) or "messages" in request:
        return False
    if response.get("object") == "response":
        return True
    failed = to_error(response.get("error")) is not None and "choices" not in response
    return failed and isinstance(request.get("input"), str | list)


def _is_event(record: dict[str, Any]) -> bool:
    kind = record.get("type")
    return isinstance(kind, str) and kind.startswith("response.") and "sequence_number" in record


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record is a pair, a response object or an event of a stream."""
    alone = record.get("object") == "response" and "output" in record
    return alone or _is_event(record) or find_sides(record, _fits) is not None


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one pair, or one response object, into one row.

    Raises:
        BadLine: an item is malformed.
    """
    found = find_sides(record, _fits)
    if found is None:
        if _is_event(record):
            whole = record.get("response")
            if not isinstance(whole, dict) or whole.get("status") in RUNNING:
                return Decoded(skipped=["stream event"])
            return _decode_alone(whole, origin)
        return _decode_alone(record, origin)
    asked, answered = record[found[0]], record[found[1]]
    if answered.get("status") in RUNNING:
        return Decoded(skipped=["a response that is not finished"])
    request = to_request(asked)
    add_instructions(request, answered)
    response = read_response(answered) or read_error(answered)
    if response is None:
        raise BadLine("no response object")
    if lacks_context({**response.values, **_known(request.values)}, asked):
        _mark(response)
    decoded = decode_sides(record, origin, NAME, found, (request, response))
    for row in decoded.interactions:
        row["source_version"] = _WITH_REQUEST
    return decoded


def _known(values: Row) -> Row:
    return {column: value for column, value in values.items() if value is not None}


def _mark(response: Response) -> None:
    if response.answers:
        response.values["content_state"] = "partial_context"


def _decode_alone(body: dict[str, Any], origin: Origin) -> Decoded:
    """Decode a response object without its request, which holds the instructions at most."""
    if body.get("status") in RUNNING:
        return Decoded(skipped=["a response that is not finished"])
    response = read_response(body)
    if response is None:
        raise BadLine("no response object")
    _mark(response)
    system = body.get("instructions")
    labels = from_labels(body.get("metadata"))
    told = isinstance(system, str) and bool(system)
    values: Row = {
        "source_version": _ALONE,
        "time_basis": "response_created" if response.values["request_time"] else None,
        "system_instructions": to_json([{"type": "text", "content": system}]) if told else None,
        "conversation_id": response.values["conversation_id"] or labels.get("conversation_id"),
        "user_id": labels.get("user_id"),
        "attributes_json": leftover(body, _READ),
    }
    return Decoded(exchange(origin, NAME, None, response, values))


FORMAT = Format(
    NAME,
    "OpenAI Responses API",
    "an object of the Responses API",
    Rank.API,
    recognises,
    decode,
)
