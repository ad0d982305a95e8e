"""What a span with OpenInference attributes says: its messages, tools and parameters.

Messages are flattened into numbered attributes, or nested in Phoenix's tables; `input.value` and
`output.value` hold whatever the function took and gave, and are read where no messages are.

Source: https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.fields import as_json, first_of, get_path, to_count, to_number, to_text
from loopllm_cli.sources.payloads import anything
from loopllm_cli.sources.payloads.body import Answer, Request, Response, plain_response
from loopllm_cli.sources.payloads.flattened import nested
from loopllm_cli.sources.payloads.otel_attributes import finish_reasons
from loopllm_cli.sources.payloads.otel_parts import (
    media,
    to_finish,
    to_role,
    tool_call,
    tool_response,
)
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Message, Record, Row, text_message, to_json

CONTENT = (
    *("llm.input_messages", "llm.output_messages", "llm.prompts", "llm.choices", "llm.tools"),
    *("input.value", "input.mime_type", "output.value", "output.mime_type"),
    "openinference.span.kind",
)


def read(attributes: Record) -> tuple[Request | None, Response | None]:
    """Read the two sides of a call; None for a side of which nothing was logged.

    Raises:
        BadLine: the messages are malformed.
    """
    return _request(attributes), _response(attributes)


def _request(attributes: Record) -> Request | None:
    values = _parameters(attributes)
    messages = _messages(nested(attributes, "llm.input_messages"), "user")
    if not messages:
        messages = _texts(nested(attributes, "llm.prompts"), "prompt.text")
    if not messages:
        found = read_value(attributes, "input")
        if found is None:
            return Request([], values) if any(v is not None for v in values.values()) else None
        messages, values = found.messages, {**found.values, **_present(values)}
    return Request(messages, values)


def _response(attributes: Record) -> Response | None:
    logged = _output_value(attributes)
    said = _messages(nested(attributes, "llm.output_messages"), "assistant")
    if not said:
        said = _texts(nested(attributes, "llm.choices"), "completion.text", "assistant")
    if not said:
        return logged
    values = dict(logged.values) if logged else {}
    reasons: list[Any] = [a.finish_reason_raw for a in logged.answers] if logged else []
    return Response(_answers(said, finish_reasons(attributes) or reasons), values)


def _answers(said: list[Message], reasons: list[Any]) -> list[Answer]:
    """Take each message as one choice, but put together the items of one response.

    An API whose response is a list of items (reasoning, tool calls, a message) is logged with a
    message for each; choices all have a text of their own.
    """
    with_text = [m for m in said if any(p["type"] == "text" for p in m["parts"])]
    if len(said) > 1 and len(with_text) <= 1 and len(reasons) < len(said):
        parts = [part for message in said for part in message["parts"]]
        said = [{"role": "assistant", "parts": parts}]
    answers = []
    for place, message in enumerate(said):
        finish, raw = to_finish(reasons[place] if place < len(reasons) else None)
        answers.append(Answer(message, finish, raw, place))
    return answers


def read_value(attributes: Record, side: str = "input") -> Request | None:
    """Read `input.value` as a request; None where it is not there."""
    value = attributes.get(f"{side}.value")
    if value is None or value == "":
        return None
    if isinstance(value, str) and attributes.get(f"{side}.mime_type") == "text/plain":
        return Request([text_message("user", value)])
    try:
        return anything.read_request(value)
    except BadLine:
        return Request([text_message("user", value if isinstance(value, str) else to_json(value))])


def _output_value(attributes: Record) -> Response | None:
    value = attributes.get("output.value")
    if value is None or value == "":
        return None
    if isinstance(value, str) and attributes.get("output.mime_type") == "text/plain":
        return plain_response(value)
    try:
        return anything.read_response(value)
    except BadLine:
        return plain_response(value if isinstance(value, str) else to_json(value))


def _texts(items: Any, path: str, role: str = "user") -> list[Message]:
    if not isinstance(items, list):
        return []
    texts = (to_text(get_path(i, path)) if isinstance(i, dict) else to_text(i) for i in items)
    return [text_message(role, text) for text in texts if text]


def _messages(items: Any, role: str) -> list[Message]:
    if items is None:
        return []
    if not isinstance(items, list):
        raise BadLine("llm messages that are no list")
    messages = [_message(item, role) for item in items]
    return [message for message in messages if message["parts"]]


def _message(item: Any, role: str) -> Message:
    message = item.get("message", item) if isinstance(item, dict) else None
    if not isinstance(message, dict):
        raise BadLine("an llm message that is no object")
    said = to_role(message.get("role"), role)
    if said in ("tool", "function") or message.get("tool_call_id"):
        content = message.get("content")
        if content is None:
            content = "\n".join(p["content"] for p in _parts(message) if p["type"] == "text")
        return {"role": said, "parts": [tool_response(message.get("tool_call_id"), content)]}
    parts = _parts(message)
    for call in _list(message.get("tool_calls")):
        inner = call.get("tool_call", call) if isinstance(call, dict) else None
        if not isinstance(inner, dict):
            raise BadLine("a tool call that is no object")
        function = inner.get("function")
        named = function if isinstance(function, dict) else {}
        parts.append(tool_call(inner.get("id"), named.get("name"), named.get("arguments")))
    legacy = to_text(message.get("function_call_name"))
    if legacy:
        parts.append(tool_call(None, legacy, message.get("function_call_arguments_json")))
    return {"role": said, "parts": parts}


def _parts(message: Record) -> list[dict[str, Any]]:
    """Read `contents`, and `content` where it says something that those do not."""
    parts = [_part(item) for item in _list(message.get("contents"))]
    content = message.get("content")
    if isinstance(content, list):
        return parts or [_part(item) for item in content]
    if isinstance(content, dict):
        content = to_json(content)
    text = to_text(content)
    if text and not any(part.get("content") == text for part in parts):
        parts.insert(0, {"type": "text", "content": text})
    return parts


def _part(item: Any) -> dict[str, Any]:
    inner = item.get("message_content", item) if isinstance(item, dict) else None
    if isinstance(item, str):
        return {"type": "text", "content": item}
    if not isinstance(inner, dict):
        raise BadLine("a message content that is no object")
    kind = to_text(inner.get("type")) or "text"
    text = to_text(inner.get("text"))
    if text is not None:
        shown = "reasoning" if kind in ("reasoning", "thinking") else "text"
        return {"type": shown, "content": text}
    address = first_of(inner, "image.image.url", "image.url", "audio.audio.url", "audio.url")
    return media(kind.split("_")[0], address, inner)


def _list(value: Any) -> list[Any]:
    value = as_json(value)
    return value if isinstance(value, list) else []


def _parameters(attributes: Record) -> Row:
    """Read the invocation parameters, which are the arguments of the API, and the tools."""
    given = as_json(attributes.get("llm.invocation_parameters"))
    known = given if isinstance(given, dict) else {}
    stream = known.get("stream")
    limit = first_of(known, "max_completion_tokens", "max_output_tokens", "max_tokens")
    schemas = [
        as_json(first_of(item, "tool.json_schema", "json_schema"))
        for item in _list(nested(attributes, "llm.tools"))
        if isinstance(item, dict)
    ]
    tools = [schema for schema in schemas if schema] or known.get("tools")
    return {
        "request_model": to_text(known.get("model")),
        "request_temperature": to_number(known.get("temperature")),
        "request_top_p": to_number(known.get("top_p")),
        "request_top_k": to_number(known.get("top_k")),
        "request_max_tokens": to_count(limit),
        "request_seed": to_count(known.get("seed")),
        "request_stream": stream if isinstance(stream, bool) else None,
        "request_reasoning_level": to_text(known.get("reasoning_effort")),
        "tool_definitions": to_json(tools) if isinstance(tools, list) and tools else None,
    }


def _present(values: Row) -> Row:
    return {key: value for key, value in values.items() if value is not None}
