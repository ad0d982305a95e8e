"""Anthropic's Messages API: requests beside messages, and messages alone.

The API's bodies hold no time: it is the wrapper's, if there is one.
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.anthropic import is_events, read_events, read_response, to_request
from loopllm_cli.sources.payloads.body import exchange
from loopllm_cli.sources.payloads.pieces import leftover
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin
from loopllm_cli.sources.wrapped import decode_sides, find_sides

NAME = "anthropic_messages"
_ALONE, _WITH_REQUEST = 1, 2
_READ = {"id", "type", "role", "model", "content", "stop_reason", "usage"}


def _fits(request: dict[str, Any], response: Any) -> bool:
    if not isinstance(request.get("messages"), list):
        return False
    if not isinstance(response, dict):
        return is_events(response)
    failed = response.get("type") == "error" and "error" in response
    return failed or _is_message(response)


def _is_message(body: dict[str, Any]) -> bool:
    return body.get("type") == "message" and body.get("role") == "assistant" and "content" in body


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record is a pair, or a message as the API returned it."""
    alone = _is_message(record) and "stop_reason" in record and "usage" in record
    return alone or find_sides(record, _fits) is not None


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one pair, or one message, into one row.

    Raises:
        BadLine: a message or a content block is malformed.
    """
    found = find_sides(record, _fits)
    answered = record if found is None else record[found[1]]
    response = read_events(answered) if isinstance(answered, list) else read_response(answered)
    if response is None:
        raise BadLine("a message without content blocks")
    response.values["provider_name"] = "anthropic"
    if found is None:
        values = {"source_version": _ALONE, "attributes_json": leftover(record, _READ)}
        return Decoded(exchange(origin, NAME, None, response, values))
    decoded = decode_sides(record, origin, NAME, found, (to_request(record[found[0]]), response))
    for row in decoded.interactions:
        row["source_version"] = _WITH_REQUEST
    return decoded


FORMAT = Format(
    NAME,
    "Anthropic messages",
    "a message of the Messages API",
    Rank.API,
    recognises,
    decode,
)
