"""OpenAI chat request/response pairs, as gateways and home-made wrappers log them.

Recognised by what is inside (`"object": "chat.completion"`, or a request with messages beside a
response with choices or an error), whatever the two sides are called.
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.columns import PLAIN, common_values, leftovers
from loopllm_cli.sources.fields import to_text
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.body import exchange
from loopllm_cli.sources.payloads.openai_chat import read_request, read_response
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin

NAME = "openai_chat"
SIDES = (
    ("request", "response"),
    ("input", "output"),
    ("req", "res"),
    ("request_body", "response_body"),
    ("body", "response"),
)


def sides(record: dict[str, Any]) -> tuple[str, str] | None:
    """Return the names of the request and the response side, or None where there are none."""
    for request_key, response_key in SIDES:
        request, response = record.get(request_key), record.get(response_key)
        if (
            isinstance(request, dict)
            and isinstance(request.get("messages"), list)
            and isinstance(response, dict)
            and ("choices" in response or "error" in response)
        ):
            return request_key, response_key
    return None


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record is a request/response pair."""
    return sides(record) is not None


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one pair into one row per choice (or one row for an error).

    Raises:
        BadLine: the messages or choices are malformed.
    """
    found = sides(record)
    if found is None:
        raise BadLine("no chat request beside a response")
    request, response = read_request(record[found[0]]), read_response(record[found[1]])
    if response is None:
        raise BadLine("a response without choices")
    values = common_values(record, origin)
    values["attributes_json"] = leftovers(record, {*found}, values)
    # A failed call has no response id; the wrapper may have one for the call.
    native_id = response.values.get("response_id") or to_text(PLAIN.get(record, "id"))
    return Decoded(exchange(origin, NAME, request, response, values, native_id=native_id))


FORMAT = Format(
    NAME,
    "OpenAI chat requests and responses",
    "a chat request beside its response",
    Rank.API,
    recognises,
    decode,
)
