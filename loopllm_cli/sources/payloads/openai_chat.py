"""OpenAI chat messages and completions to OpenTelemetry parts.

Source: OpenAI chat completion object, https://platform.openai.com/docs/api-reference/chat ;
OpenTelemetry GenAI message schema (roles, parts, finish reasons).
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.fields import (
    first_of,
    get_path,
    to_count,
    to_error,
    to_number,
    to_text,
    to_time,
)
from loopllm_cli.sources.payloads.body import Answer, Request, Response
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Message, Row, digest, text_message, to_json

_PLAIN = frozenset(("role", "content"))
_FINISH = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "error": "error",
}


def read_request(body: dict[str, Any]) -> Request | None:
    """Read a chat completion request; None where the body is none.

    Raises:
        BadLine: a message is malformed.
    """
    get = body.get
    if not isinstance(get("messages"), list):
        return _completion_request(body)
    tools = get("tools") or get("functions")
    effort = get("reasoning_effort")
    limit = get("max_completion_tokens")
    values: Row = {
        "request_model": to_text(get("model")),
        "request_temperature": to_number(get("temperature")),
        "request_top_p": to_number(get("top_p")),
        "request_max_tokens": to_count(get("max_tokens") if limit is None else limit),
        "request_seed": to_count(get("seed")),
        "request_stream": get("stream") if isinstance(get("stream"), bool) else None,
        "request_reasoning_level": effort if isinstance(effort, str) else None,
        "tool_definitions": to_json(tools) if isinstance(tools, list) and tools else None,
        "user_id": to_text(get("user")),
    }
    return Request(to_messages(body["messages"]), values)


def _completion_request(body: dict[str, Any]) -> Request | None:
    """Read a request of the older API, which has one text for messages."""
    prompt, model = body.get("prompt"), body.get("model")
    if not isinstance(prompt, str) or not isinstance(model, str):
        return None
    values: Row = {
        "operation_name": "text_completion",
        "request_model": model,
        "request_temperature": to_number(body.get("temperature")),
        "request_top_p": to_number(body.get("top_p")),
        "request_max_tokens": to_count(body.get("max_tokens")),
        "request_seed": to_count(body.get("seed")),
        "user_id": to_text(body.get("user")),
    }
    return Request([text_message("user", prompt)], values)


def read_response(body: dict[str, Any]) -> Response | None:
    """Read a chat completion (or the error in its place); None where the body is neither.

    Raises:
        BadLine: a choice is malformed.
    """
    choices = body.get("choices")
    error = to_error(body.get("error"))
    if not isinstance(choices, list) or not choices:
        if error is None:
            return None
        return Response([], {"error_type": error})
    usage = body.get("usage") or body.get("usage_metadata")  # the latter: LangSmith's wrapper
    values: Row = {
        "response_id": to_text(body.get("id")),
        "response_model": to_text(body.get("model")),
        "request_time": to_time(body.get("created")),
        "error_type": error,
        **(to_usage(usage) if isinstance(usage, dict) else {}),
    }
    return Response([_answer(choice, place) for place, choice in enumerate(choices)], values)


def to_usage(usage: dict[str, Any]) -> Row:
    """Read OpenAI's token counts into canonical columns; other servers use the newer names."""
    return {
        "input_tokens": to_count(first_of(usage, "prompt_tokens", "input_tokens")),
        "output_tokens": to_count(first_of(usage, "completion_tokens", "output_tokens")),
        "cache_read_input_tokens": to_count(get_path(usage, "prompt_tokens_details.cached_tokens")),
        "reasoning_output_tokens": to_count(
            get_path(usage, "completion_tokens_details.reasoning_tokens")
        ),
    }


def _answer(choice: Any, place: int) -> Answer:
    if not isinstance(choice, dict):
        raise BadLine("a choice that is no object")
    message = choice.get("message")
    if message is None and isinstance(choice.get("text"), str):
        message = {"content": choice["text"]}
    if not isinstance(message, dict):
        raise BadLine("a choice without a message")
    raw = to_text(first_of(choice, "finish_reason", "stop_reason"))
    index = to_count(choice.get("index"))
    return Answer(
        message=to_message(_without_nulls(message)),
        finish_reason=to_finish_reason(raw),
        finish_reason_raw=raw,
        choice_index=place if index is None else index,
    )


def _without_nulls(message: dict[str, Any]) -> dict[str, Any]:
    said = {key: value for key, value in message.items() if value is not None}
    said.setdefault("role", "assistant")
    return said


def to_finish_reason(raw: str | None) -> str | None:
    """Map OpenAI's finish reasons to OpenTelemetry's; unknown ones pass as they are."""
    return None if raw is None else _FINISH.get(raw, raw)


def to_messages(messages: Any) -> list[Message]:
    """Turn a list of chat messages into messages with parts.

    Raises:
        BadLine: it is no list of messages.
    """
    if not isinstance(messages, list) or not messages:
        raise BadLine("messages is no list of messages")
    return [to_message(message) for message in messages]


def to_message(message: Any) -> Message:
    """Turn one chat message into a message with parts.

    Raises:
        BadLine: it has no role, or a content of unknown type.
    """
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise BadLine("a message without a role")
    role, content = message["role"], message.get("content")
    if role != "tool" and type(content) is str and _PLAIN.issuperset(message):
        return {"role": role, "parts": [{"type": "text", "content": content}]}
    if role == "tool":
        response = _plain(message.get("content"))
        return {
            "role": role,
            "parts": [
                {
                    "type": "tool_call_response",
                    "id": to_text(message.get("tool_call_id")),
                    "response": response,
                }
            ],
        }
    parts = _reasoning(message) + _content(message.get("content"))
    if isinstance(message.get("refusal"), str):
        parts.append({"type": "text", "content": message["refusal"]})
    parts.extend(_tool_call(call) for call in _calls(message))
    return {"role": role, "parts": parts}


def _calls(message: dict[str, Any]) -> list[Any]:
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise BadLine("tool calls that are no list")
    legacy = message.get("function_call")
    return [*calls, legacy] if isinstance(legacy, dict) else calls


def _reasoning(message: dict[str, Any]) -> list[dict[str, Any]]:
    text = message.get("reasoning_content")
    return [{"type": "reasoning", "content": text}] if isinstance(text, str) and text else []


def _content(content: Any) -> list[dict[str, Any]]:
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "content": content}]
    if not isinstance(content, list):
        raise BadLine("a message content that is neither text nor parts")
    return [_part(part) for part in content]


def _part(part: Any) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "content": part}
    if not isinstance(part, dict):
        raise BadLine("a content part that is no object")
    for key in ("text", "refusal"):
        if isinstance(part.get(key), str):
            return {"type": "text", "content": part[key]}
    # Pictures and sounds are kept by digest: the store judges text, and they may be megabytes.
    kind = to_text(part.get("type")) or "unknown"
    return {"type": "blob", "modality": kind.split("_")[0], "sha": digest(part)}


def _plain(content: Any) -> Any:
    if isinstance(content, list):
        return "\n".join(p["content"] for p in _content(content) if p["type"] == "text")
    return content


def _tool_call(call: Any) -> dict[str, Any]:
    if not isinstance(call, dict):
        raise BadLine("a tool call that is no object")
    function = call.get("function")
    if not isinstance(function, dict):
        function = call
    # Arguments stay as sent: they may be invalid JSON, and that is worth seeing.
    return {
        "type": "tool_call",
        "id": to_text(call.get("id")),
        "name": to_text(function.get("name")),
        "arguments": function.get("arguments"),
    }
