"""OpenAI chat request/response pairs, as gateways and home-made wrappers log them.

Recognised by what is inside (`"object": "chat.completion"`, or a request with messages beside a
response with choices or an error), whatever the two sides are called.
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.columns import PLAIN, common_values, leftovers
from loopllm_cli.sources.fields import get_path, to_count, to_error, to_number, to_text, to_time
from loopllm_cli.sources.payloads.openai_chat import to_finish_reason, to_message, to_messages
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Row, interaction, to_json

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
    request, response = record[found[0]], record[found[1]]
    inputs = to_messages(request["messages"])
    values = _values(record, request, response, origin)
    values["attributes_json"] = leftovers(record, {*found}, values)
    # A failed call has no response id; the wrapper may have one for the call.
    native_id = values["response_id"] or to_text(PLAIN.get(record, "id"))
    choices = response.get("choices")
    if not choices and values["error_type"] is not None:
        row = interaction(
            origin, NAME, native_id=native_id, inputs=inputs, output=None, values=values
        )
        return Decoded([row])
    if not isinstance(choices, list) or not choices:
        raise BadLine("a response without choices")
    rows = []
    for place, choice in enumerate(choices):
        if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
            raise BadLine("a choice without a message")
        raw = to_text(choice.get("finish_reason"))
        index = to_count(choice.get("index"))
        own = {
            **values,
            "choice_index": place if index is None else index,
            "finish_reason": to_finish_reason(raw),
            "finish_reason_raw": raw,
        }
        output = to_message({"role": "assistant", **choice["message"]})
        rows.append(
            interaction(origin, NAME, native_id=native_id, inputs=inputs, output=output, values=own)
        )
    return Decoded(rows)


def _values(
    record: dict[str, Any], request: dict[str, Any], response: dict[str, Any], origin: Origin
) -> Row:
    tools = request.get("tools")
    values = common_values(record, origin)
    own = {
        "operation_name": "chat",
        "request_model": to_text(request.get("model")),
        "response_model": to_text(response.get("model")),
        "response_id": to_text(response.get("id")),
        "request_temperature": to_number(request.get("temperature")),
        "request_top_p": to_number(request.get("top_p")),
        "request_max_tokens": to_count(request.get("max_tokens")),
        "request_seed": to_count(request.get("seed")),
        "tool_definitions": to_json(tools) if isinstance(tools, list) and tools else None,
        "input_tokens": to_count(get_path(response, "usage.prompt_tokens")),
        "output_tokens": to_count(get_path(response, "usage.completion_tokens")),
        "cache_read_input_tokens": to_count(
            get_path(response, "usage.prompt_tokens_details.cached_tokens")
        ),
        "reasoning_output_tokens": to_count(
            get_path(response, "usage.completion_tokens_details.reasoning_tokens")
        ),
        "error_type": to_error(response.get("error")),
    }
    values.update({key: value for key, value in own.items() if value is not None})
    if values.get("user_id") is None:
        values["user_id"] = to_text(request.get("user"))
    if values.get("request_time") is None:
        values["request_time"] = to_time(response.get("created"))
    return values
