"""The request and the response on the spans of Google's Agent Development Kit.

Source: https://github.com/google/adk-python, `telemetry.py`; contents are Gemini's, in snake_case
or camelCase.
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.fields import as_json, first_of, to_count, to_text
from loopllm_cli.sources.payloads.body import Answer, Request, Response
from loopllm_cli.sources.payloads.otel_parts import media, to_finish, tool_call, tool_response
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Message, Record, Row, text_message


def read_adk(attributes: Record) -> tuple[Request | None, Response | None]:
    """Read the request and the response that Google's Agent Development Kit logs.

    Raises:
        BadLine: the contents are malformed.
    """
    asked = as_json(attributes.get("gcp.vertex.agent.llm_request"))
    said = as_json(attributes.get("gcp.vertex.agent.llm_response"))
    request = response = None
    if isinstance(asked, dict) and isinstance(asked.get("contents"), list):
        messages = [_gemini_message(content) for content in asked["contents"]]
        system = first_of(asked, "config.system_instruction", "config.systemInstruction")
        if isinstance(system, str) and system:
            messages.insert(0, text_message("system", system))
        elif isinstance(system, dict):
            messages.insert(0, {**_gemini_message(system), "role": "system"})
        request = Request(messages, {"request_model": to_text(asked.get("model"))})
    if isinstance(said, dict) and isinstance(said.get("content"), dict):
        finish, raw = to_finish(first_of(said, "finish_reason", "finishReason"))
        usage = first_of(said, "usage_metadata", "usageMetadata")
        values = _gemini_usage(usage) if isinstance(usage, dict) else {}
        message = {**_gemini_message(said["content"]), "role": "assistant"}
        response = Response([Answer(message, finish, raw)], values)
    return request, response


def _gemini_usage(usage: Record) -> Row:
    def count(name: str, camel: str) -> int | None:
        return to_count(first_of(usage, f"{name}_token_count", f"{camel}TokenCount"))

    said, thought = count("candidates", "candidates"), count("thoughts", "thoughts")
    return {
        "input_tokens": count("prompt", "prompt"),
        "output_tokens": None if said is None else to_count(said + (thought or 0)),
        "reasoning_output_tokens": thought,
        "cache_read_input_tokens": count("cached_content", "cachedContent"),
    }


def _gemini_message(content: Any) -> Message:
    if not isinstance(content, dict) or not isinstance(content.get("parts"), list | None):
        raise BadLine("a content without parts")
    role = to_text(content.get("role")) or "user"
    parts = [_gemini_part(part) for part in content.get("parts") or []]
    if any(part["type"] == "tool_call_response" for part in parts):
        role = "tool"
    return {"role": "assistant" if role == "model" else role, "parts": parts}


def _gemini_part(part: Any) -> dict[str, Any]:
    if not isinstance(part, dict):
        raise BadLine("a message part that is no object")
    text = to_text(part.get("text"))
    if text is not None:
        kind = "reasoning" if part.get("thought") is True else "text"
        return {"type": kind, "content": text}
    call = first_of(part, "function_call", "functionCall")
    if isinstance(call, dict):
        return tool_call(call.get("id"), call.get("name"), call.get("args"))
    result = first_of(part, "function_response", "functionResponse")
    if isinstance(result, dict):
        return tool_response(result.get("id"), result.get("response"))
    kind = next(iter(part), "unknown")
    return media(kind, first_of(part, "file_data.file_uri", "fileData.fileUri"), part)
