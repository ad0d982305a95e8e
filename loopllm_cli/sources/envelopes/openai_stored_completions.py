"""OpenAI's stored chat completions: the completion itself, with its messages where asked for.

The list of stored completions has no messages, those come from a second call. Whoever logs only
what the API returned has the same shape.

Source: https://platform.openai.com/docs/api-reference/chat/list
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.fields import to_text
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.labels import from_labels
from loopllm_cli.sources.payloads.body import Request, exchange
from loopllm_cli.sources.payloads.openai_chat import read_request, read_response
from loopllm_cli.sources.payloads.pieces import leftover
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Row
from loopllm_cli.sources.wrapped import known

NAME = "openai_stored_completions"
_OBJECTS = ("chat.completion", "text_completion")
_READ = {
    *("id", "object", "created", "model", "choices", "usage", "request_id", "tools", "functions"),
    *("temperature", "top_p", "seed", "input_user", "messages", "max_tokens", "error"),
    *("max_completion_tokens", "reasoning_effort", "stream"),
}


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record is a completion itself."""
    return record.get("object") in _OBJECTS and isinstance(record.get("choices"), list)


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one completion into one row per choice.

    Raises:
        BadLine: a message or a choice is malformed.
    """
    response = read_response(record)
    if response is None:
        raise BadLine("a response without choices")
    messages = record.get("messages")
    asked = [_with_parts(m) for m in messages] if isinstance(messages, list) else []
    parameters = {key: value for key, value in record.items() if key not in ("messages", "model")}
    # The parameters of the request stand beside the response.
    request = read_request({**parameters, "messages": asked}) if asked else None
    if request is None:
        beside = read_request({**parameters, "messages": [{"role": "user"}]})
        request = Request([], beside.values if beside else {})
    labels = from_labels(record.get("metadata"))
    values: Row = {
        "source_version": 2 if asked else 1,
        "time_basis": "response_created" if response.values["request_time"] else None,
        "request_id": to_text(record.get("request_id")),
        "conversation_id": labels.get("conversation_id"),
        "user_id": to_text(record.get("input_user")) or labels.get("user_id"),
        "attributes_json": leftover(record, _READ),
        "operation_name": None if record["object"] == "chat.completion" else "text_completion",
    }
    request.values = known(request.values)
    return Decoded(exchange(origin, NAME, request, response, values))


def _with_parts(message: Any) -> Any:
    """Return a message whose content is its parts, where the API has put them aside."""
    if isinstance(message, dict) and message.get("content_parts") and not message.get("content"):
        return {**message, "content": message["content_parts"]}
    return message


FORMAT = Format(
    NAME,
    "OpenAI stored completions",
    "a chat completion itself",
    Rank.API,
    recognises,
    decode,
)
