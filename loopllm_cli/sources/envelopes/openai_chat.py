"""OpenAI chat request/response pairs, as gateways and home-made wrappers log them.

Recognised by what is inside (a request with messages beside a response with choices or an
error), whatever the two sides are called.
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.openai_chat import read_request, read_response
from loopllm_cli.sources.payloads.openai_stream import is_chunks, read_chunks
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin
from loopllm_cli.sources.wrapped import decode_sides, find_sides

NAME = "openai_chat"


def _fits(request: dict[str, Any], response: Any) -> bool:
    if not isinstance(request.get("messages"), list):
        return False
    if not isinstance(response, dict):
        return is_chunks(response)
    # Another API's error, or its response, has an error, too.
    other = response.get("type") in ("error", "message") or response.get("object") == "response"
    return not other and ("choices" in response or "error" in response)


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record is a request/response pair."""
    return find_sides(record, _fits) is not None


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one pair into one row per choice (or one row for an error).

    Raises:
        BadLine: the messages or choices are malformed.
    """
    found = find_sides(record, _fits)
    if found is None:
        raise BadLine("no chat request beside a response")
    answered = record[found[1]]
    request = read_request(record[found[0]])
    response = read_chunks(answered) if isinstance(answered, list) else read_response(answered)
    if request is None or response is None:
        raise BadLine("a response without choices")
    return decode_sides(record, origin, NAME, found, (request, response))


FORMAT = Format(
    NAME,
    "OpenAI chat requests and responses",
    "a chat request beside its response",
    Rank.API,
    recognises,
    decode,
)
