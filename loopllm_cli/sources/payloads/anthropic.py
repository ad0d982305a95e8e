"""Anthropic's Messages API to OpenTelemetry parts, whole messages and streams of events.

The system prompt, which stands outside the messages, becomes the message at the front. Results
of tools stand in the user's message; they become messages of the tool, so that the last user
message is what the user asked.

Source: https://docs.anthropic.com/en/api/messages and its streaming page.
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.fields import as_json, get_path, to_count, to_error, to_number, to_text
from loopllm_cli.sources.payloads.body import Answer, Request, Response
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Message, Row, digest, to_json

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_call",
    "refusal": "content_filter",
    # Not final: the caller sends the message back and the model goes on.
    "pause_turn": None,
}
_OWN_BLOCKS = {"thinking", "redacted_thinking", "tool_use", "tool_result", "document"}
_OWN_KEYS = ("anthropic_version", "system", "stop_sequences", "thinking")
_PICTURES = ("image", "document", "container_upload")


def read_request(body: dict[str, Any]) -> Request | None:
    """Read a Messages request; None where nothing tells it from another API's messages.

    Raises:
        BadLine: a message is malformed.
    """
    messages = body.get("messages")
    if not isinstance(messages, list):
        return None
    own = any(body.get(key) is not None for key in _OWN_KEYS)
    if not own and not any(_has_own_block(message) for message in messages):
        return None
    return to_request(body)


def to_request(body: dict[str, Any]) -> Request:
    """Read a body that is known to be a Messages request.

    Raises:
        BadLine: a message is malformed.
    """
    get = body.get
    messages = [turn for message in _list(get("messages")) for turn in to_turns(message)]
    if get("system"):
        messages.insert(0, {"role": "system", "parts": to_parts(get("system"))})
    tools, stream = get("tools"), get("stream")
    values: Row = {
        "request_model": to_text(get("model")),
        "request_temperature": to_number(get("temperature")),
        "request_top_p": to_number(get("top_p")),
        "request_top_k": to_number(get("top_k")),
        "request_max_tokens": to_count(get("max_tokens")),
        "request_stream": stream if isinstance(stream, bool) else None,
        "request_reasoning_level": to_text(get_path(body, "output_config.effort")),
        "tool_definitions": to_json(tools) if isinstance(tools, list) and tools else None,
        "user_id": to_text(get_path(body, "metadata.user_id")),
    }
    return Request(messages, values)


def read_response(body: dict[str, Any]) -> Response | None:
    """Read a message, or the error in its place; None where the body is neither.

    Raises:
        BadLine: a content block is malformed.
    """
    if body.get("type") == "error":
        # The outer type says only that it is an error, the inner one says which.
        inner = body.get("error")
        kind = to_text(inner.get("type")) if isinstance(inner, dict) else to_error(inner)
        request_id = to_text(body.get("request_id"))
        return Response([], {"error_type": kind or "error", "request_id": request_id})
    if body.get("type") != "message" or not isinstance(body.get("content"), list):
        return None
    raw, usage = to_text(body.get("stop_reason")), body.get("usage")
    values: Row = {
        "response_id": to_text(body.get("id")),
        "response_model": to_text(body.get("model")),
        **(to_usage(usage) if isinstance(usage, dict) else {}),
    }
    if raw == "pause_turn":
        values["is_visible"] = False
    message = {"role": "assistant", "parts": _joined(to_parts(body["content"]))}
    return Response([Answer(message, to_finish_reason(raw), raw)], values)


def to_finish_reason(raw: str | None) -> str | None:
    """Map Anthropic's stop reasons to OpenTelemetry's; unknown ones pass as they are."""
    return None if raw is None else _FINISH.get(raw, raw)


def to_usage(usage: dict[str, Any]) -> Row:
    """Read the token counts; Anthropic counts the input without what it wrote or read cached."""
    read = to_count(usage.get("cache_read_input_tokens"))
    written = to_count(usage.get("cache_creation_input_tokens"))
    fresh = to_count(usage.get("input_tokens"))
    details = usage.get("output_tokens_details")
    thought = details if isinstance(details, dict) else {}
    reasoning = to_count(thought.get("thinking_tokens"))
    if reasoning is None:
        reasoning = to_count(thought.get("reasoning_tokens"))
    return {
        "input_tokens": None if fresh is None else to_count(fresh + (read or 0) + (written or 0)),
        "output_tokens": to_count(usage.get("output_tokens")),
        "cache_read_input_tokens": read,
        "cache_write_input_tokens": written,
        "reasoning_output_tokens": reasoning,
    }


def is_events(value: Any) -> bool:
    """Return whether a value is the list of a stream's events."""
    return (
        isinstance(value, list)
        and bool(value)
        and any(isinstance(e, dict) and e.get("type") == "message_start" for e in value[:3])
    )


def read_events(events: list[Any]) -> Response | None:
    """Put a stream's events together; without its end, `content_state` is partial_stream.

    Raises:
        BadLine: an event is malformed.
    """
    message: dict[str, Any] = {"type": "message", "content": []}
    usage: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    for event in events:
        if not isinstance(event, dict):
            raise BadLine("a stream event that is no object")
        kind = event.get("type")
        if kind == "message_start" and isinstance(event.get("message"), dict):
            message = {**message, **event["message"], "type": "message"}
            _count(usage, event["message"].get("usage"))
        elif kind == "content_block_start" and isinstance(event.get("content_block"), dict):
            blocks[to_count(event.get("index")) or 0] = dict(event["content_block"])
        elif kind == "content_block_delta" and isinstance(event.get("delta"), dict):
            _extend(blocks.setdefault(to_count(event.get("index")) or 0, {}), event["delta"])
        elif kind == "message_delta":
            message["stop_reason"] = get_path(event, "delta.stop_reason")
            _count(usage, event.get("usage"))
        elif kind == "error":
            return read_response(event)
    message["content"] = [_closed(blocks[index]) for index in sorted(blocks)]
    response = read_response({**message, "usage": usage})
    if response is not None and message.get("stop_reason") is None:
        response.values["content_state"] = "partial_stream"
    return response


def _count(usage: dict[str, Any], more: Any) -> None:
    if isinstance(more, dict):  # the later count is of everything so far
        usage.update((key, value) for key, value in more.items() if value is not None)


def _extend(block: dict[str, Any], delta: dict[str, Any]) -> None:
    for name, key, kind in (
        ("text", "text", "text"),
        ("thinking", "thinking", "thinking"),
        ("partial_json", "partial_json", "tool_use"),
    ):
        if isinstance(delta.get(name), str):
            before = block.get(key)
            block[key] = (before if isinstance(before, str) else "") + delta[name]
            block.setdefault("type", kind)


def _closed(block: dict[str, Any]) -> dict[str, Any]:
    partial = block.pop("partial_json", None)
    return {**block, "input": as_json(partial)} if partial else block


def _has_own_block(message: Any) -> bool:
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return False
    return any(
        isinstance(block, dict)
        and isinstance(block.get("type"), str)
        and (block["type"] in _OWN_BLOCKS or (block["type"] == "image" and "source" in block))
        for block in content
    )


def _list(messages: Any) -> list[Any]:
    if not isinstance(messages, list) or not messages:
        raise BadLine("messages is no list of messages")
    return messages


def to_turns(message: Any) -> list[Message]:
    """Turn one message into one or two: results of tools go before what the user adds.

    Raises:
        BadLine: it has no role, or a malformed content.
    """
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise BadLine("a message without a role")
    parts = to_parts(message.get("content"))
    if message["role"] != "user":
        return [{"role": message["role"], "parts": _joined(parts)}]
    results = [part for part in parts if part["type"] == "tool_call_response"]
    others = [part for part in parts if part["type"] != "tool_call_response"]
    turns: list[Message] = [{"role": "tool", "parts": results}] if results else []
    return [*turns, {"role": "user", "parts": others}] if others or not results else turns


def to_parts(content: Any) -> list[dict[str, Any]]:
    """Turn a content (a text or blocks) into parts.

    Raises:
        BadLine: it is neither.
    """
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "content": content}]
    if not isinstance(content, list):
        raise BadLine("a message content that is neither text nor blocks")
    return [_part(block) for block in content]


def _part(block: Any) -> dict[str, Any]:
    if isinstance(block, str):
        return {"type": "text", "content": block}
    if not isinstance(block, dict) or not isinstance(block.get("type"), str):
        raise BadLine("a content block without a type")
    kind, block_id = block["type"], to_text(block.get("id"))
    if kind == "text":
        return {"type": "text", "content": to_text(block.get("text")) or ""}
    if kind == "thinking" and isinstance(block.get("thinking"), str):
        return {"type": "reasoning", "content": block["thinking"]}
    if kind == "tool_use":
        name = to_text(block.get("name"))
        return {"type": "tool_call", "id": block_id, "name": name, "arguments": block.get("input")}
    if kind == "tool_result":
        part = {"type": "tool_call_response", "id": to_text(block.get("tool_use_id"))}
        failed = {"is_error": True} if block.get("is_error") is True else {}
        return {**part, **failed, "response": _plain(block.get("content"))}
    if kind in ("server_tool_use", "mcp_tool_use"):
        call = {"type": to_text(block.get("name")), "input": block.get("input")}
        part = {"type": "server_tool_call", "id": block_id, "name": to_text(block.get("name"))}
        return {**part, "server_tool_call": call}
    if kind.endswith("_tool_result"):
        part = {"type": "server_tool_call_response", "id": to_text(block.get("tool_use_id"))}
        return {
            **part,
            "server_tool_call_response": {"type": kind, "content": block.get("content")},
        }
    # Pictures and documents are kept by digest, hidden thoughts and unknown blocks too.
    modality = {"modality": kind} if kind in _PICTURES else {}
    return {"type": "blob" if modality else kind, **modality, "sha": digest(block)}


def _plain(content: Any) -> Any:
    if not isinstance(content, list):
        return content
    texts: list[Any] = [b.get("text") if isinstance(b, dict) else b for b in content]
    if all(isinstance(text, str) for text in texts):
        return "\n".join(texts)
    return [_part(block) for block in content if isinstance(block, dict) and "type" in block]


def _joined(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join texts that follow each other: an answer with citations is cut in mid-sentence."""
    joined: list[dict[str, Any]] = []
    for part in parts:
        if joined and part["type"] == joined[-1]["type"] == "text":
            joined[-1] = {"type": "text", "content": joined[-1]["content"] + part["content"]}
        else:
            joined.append(part)
    return joined
