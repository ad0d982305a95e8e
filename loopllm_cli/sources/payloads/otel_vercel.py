"""The `ai.*` attributes of the Vercel AI SDK.

Source: https://ai-sdk.dev/docs/ai-sdk-core/telemetry
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.fields import as_json, first_of, to_text
from loopllm_cli.sources.payloads.body import Answer, Request, Response
from loopllm_cli.sources.payloads.otel_attributes import finish_reasons
from loopllm_cli.sources.payloads.otel_parts import (
    media,
    to_finish,
    to_message,
    tool_call,
    tool_response,
)
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Message, Record, text_message, to_json


def read_vercel(attributes: Record) -> tuple[Request | None, Response | None]:
    """Read the `ai.*` attributes of the Vercel AI SDK, older names included.

    Raises:
        BadLine: the messages are malformed.
    """
    prompt = as_json(attributes.get("ai.prompt"))
    asked = attributes.get("ai.prompt.messages")
    system = None
    if isinstance(prompt, dict):
        asked = asked or prompt.get("messages") or prompt.get("prompt")
        system = to_text(prompt.get("system"))
    elif isinstance(prompt, str):
        asked = asked or prompt
    asked = as_json(asked)
    items = asked if isinstance(asked, list) else [asked] if isinstance(asked, str) else []
    messages = [_vercel_message(item) for item in items]
    if system and not (messages and messages[0]["role"] == "system"):
        messages.insert(0, text_message("system", system))
    parts = _vercel_output(attributes)
    answer = Answer({"role": "assistant", "parts": parts})
    answer.finish_reason, answer.finish_reason_raw = to_finish(
        next(iter(finish_reasons(attributes)), None)
    )
    return Request(messages) if messages else None, Response([answer]) if parts else None


def _vercel_output(attributes: Record) -> list[dict[str, Any]]:
    def get(name: str) -> Any:
        return first_of(attributes, f"ai.response.{name}", f"ai.result.{name}")

    parts = []
    for name, kind in (("reasoning", "reasoning"), ("text", "text")):
        text = to_text(get(name))
        if text:
            parts.append({"type": kind, "content": text})
    made = get("object")
    if made is not None and not any(part["type"] == "text" for part in parts):
        parts.append({"type": "text", "content": made if isinstance(made, str) else to_json(made)})
    calls = as_json(get("toolCalls"))
    for call in calls if isinstance(calls, list) else []:
        if isinstance(call, dict):
            given = call.get("input", call.get("args"))
            parts.append(tool_call(call.get("toolCallId"), call.get("toolName"), given))
    return parts


def _vercel_message(item: Any) -> Message:
    item = as_json(item)
    if not isinstance(item, dict) or not isinstance(item.get("content"), list):
        return to_message(item, "user")
    parts = [_vercel_part(part) for part in item["content"]]
    return {"role": to_text(item.get("role")) or "user", "parts": parts}


def _vercel_part(part: Any) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "content": part}
    if not isinstance(part, dict):
        raise BadLine("a message part that is no object")
    kind = to_text(part.get("type")) or "unknown"
    if kind in ("text", "reasoning"):
        return {"type": kind, "content": to_text(part.get("text")) or ""}
    if kind == "tool-call":
        given = part.get("input", part.get("args"))
        return tool_call(part.get("toolCallId"), part.get("toolName"), given)
    if kind == "tool-result":
        return tool_response(part.get("toolCallId"), part.get("output", part.get("result")))
    address = first_of(part, "image", "data", "url")
    where = address if isinstance(address, str) and "://" in address[:12] else None
    return media(kind, where, part)
