"""LangChain's messages and results to OpenTelemetry parts, serialised or plain.

Seen in logs: `{"lc": 1, "kwargs": {...}}`, `{"type": "human", "data": {...}}`, the plain
`{"type": "human", "content": ...}` and pairs `["human", "..."]`.

Source: langchain_core's messages, `dumpd` and `LLMResult`,
https://python.langchain.com/api_reference/core/messages.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loopllm_cli.sources.fields import as_json, first_of, get_path, to_count, to_text
from loopllm_cli.sources.payloads import anthropic, gemini, openai_chat
from loopllm_cli.sources.payloads.body import Answer, Request, Response
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Message, Row, text_message

_ROLES = {
    **dict.fromkeys(("human", "user", "HumanMessage", "HumanMessageChunk"), "user"),
    **dict.fromkeys(("ai", "assistant", "AIMessage", "AIMessageChunk"), "assistant"),
    **dict.fromkeys(("system", "SystemMessage", "SystemMessageChunk", "developer"), "system"),
    **dict.fromkeys(("tool", "ToolMessage", "ToolMessageChunk"), "tool"),
    **dict.fromkeys(("function", "FunctionMessage"), "tool"),
}
_CHAT = ("chat", "ChatMessage", "generic")
_API_IDS = ("chatcmpl", "msg_", "resp_")
_THOUGHTS = ("thinking", "reasoning")


def read_request(body: dict[str, Any]) -> Request | None:
    """Read what a model or a chain was given; None where it holds no LangChain messages.

    Raises:
        BadLine: a message is malformed.
    """
    for key in ("messages", "input", "chat_history"):
        listed: Any = body.get(key)
        if is_messages(listed):
            # A model gets a list of lists: one of them per call, and each call is logged apart.
            return Request(to_messages(listed[0] if _is_nested(listed) else listed))
    prompts = body.get("prompts")
    if isinstance(prompts, list) and prompts and isinstance(prompts[0], str):
        return Request([text_message("user", prompts[0])], {"operation_name": "text_completion"})
    return None


def read_response(body: dict[str, Any]) -> Response | None:
    """Read a result, a message, or a state that ends with one; None where it is none of these.

    Raises:
        BadLine: a message is malformed.
    """
    generations = body.get("generations")
    if isinstance(generations, list) and generations and isinstance(generations[0], list):
        return _from_generations(generations[0], body.get("llm_output"))
    told: tuple[Any, ...] = (body, body.get("output"), _last(body.get("messages")))
    for message in told:
        if is_message(message) and to_role(message) == "assistant":
            if isinstance(message, list):
                message = {"type": "ai", "content": message[1]}
            return _from_message(message, {})
    return None


def is_message(value: Any) -> bool:
    """Return whether a value is one message in any of LangChain's forms."""
    if isinstance(value, dict):
        fields = _fields(value)
        named = value.get("type") if value.get("lc") is None else fields.get("type")
        if value.get("lc") is None and "role" in value:
            return False
        known = isinstance(named, str) and (named in _ROLES or named in _CHAT)
        return (known or "lc" in value) and ("content" in fields or "tool_calls" in fields)
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and (value[0] in _ROLES or value[0] == "placeholder")
    )


def is_messages(value: Any) -> bool:
    """Return whether a value is a list of LangChain's messages, or a list of such a list."""
    if not isinstance(value, list) or not value:
        return False
    return is_message(value[0]) or _is_nested(value)


def to_role(message: Any) -> str:
    """Return the role that a message's type or class stands for.

    Raises:
        BadLine: it has no type that is known.
    """
    if isinstance(message, list):
        return _ROLES.get(message[0], "user")
    fields = _fields(message)
    classes = message.get("id")
    last = classes[-1] if isinstance(classes, list) and classes else None
    for named in (fields.get("type"), message.get("type"), last, fields.get("role")):
        if isinstance(named, str) and named in _ROLES:
            return _ROLES[named]
    raise BadLine("a message of unknown type")


def to_messages(messages: Sequence[Any]) -> list[Message]:
    """Turn messages into messages with parts.

    Raises:
        BadLine: one of them is malformed.
    """
    return [to_message(message) for message in messages]


def to_message(message: Any) -> Message:
    """Turn one message into a message with parts.

    Raises:
        BadLine: it is no message, or its content is malformed.
    """
    if not is_message(message):
        # LangGraph's own clients mix in messages with roles.
        return openai_chat.to_message(message)
    role = to_role(message)
    if isinstance(message, list):
        return openai_chat.to_message({"role": role, "content": message[1]})
    fields = _fields(message)
    if role == "tool":
        call_id = to_text(fields.get("tool_call_id")) or to_text(fields.get("name"))
        told = {"role": role, "content": fields.get("content"), "tool_call_id": call_id}
        return openai_chat.to_message(told)
    calls = _calls(fields)
    parts = [part for block in _blocks(fields) for part in _part(block, bool(calls))]
    thought = get_path(fields, "additional_kwargs.reasoning_content")
    if isinstance(thought, str) and thought:
        parts.insert(0, {"type": "reasoning", "content": thought})
    return {"role": role, "parts": parts + calls}


def _is_nested(value: list[Any]) -> bool:
    first = value[0]
    return isinstance(first, list) and bool(first) and is_message(first[0])


def _last(messages: Any) -> Any:
    return messages[-1] if isinstance(messages, list) and messages else None


def _fields(message: dict[str, Any]) -> dict[str, Any]:
    for key in ("kwargs", "data"):
        if isinstance(message.get(key), dict):
            fields: dict[str, Any] = message[key]
            return fields
    return message


def _blocks(fields: dict[str, Any]) -> list[Any]:
    content: Any = fields.get("content")
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise BadLine("a message content that is neither text nor blocks")
    return list(content)


def _part(block: Any, has_calls: bool) -> list[dict[str, Any]]:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind in _THOUGHTS:
        text = first_of(block, "thinking", "reasoning", "text")
        return [{"type": "reasoning", "content": text}] if isinstance(text, str) else []
    if kind in ("tool_use", "tool_call", "function_call", "input_json_delta") and has_calls:
        return []  # the same call stands in `tool_calls`
    if kind in ("tool_use", "tool_result"):
        return anthropic.to_parts([block])
    return list(openai_chat.to_message({"role": "user", "content": [block]})["parts"])


def _calls(fields: dict[str, Any]) -> list[dict[str, Any]]:
    calls = fields.get("tool_calls") or get_path(fields, "additional_kwargs.tool_calls") or []
    legacy = get_path(fields, "additional_kwargs.function_call")
    listed = [*calls, legacy] if isinstance(calls, list) else [legacy]
    found = []
    for call in listed:
        if isinstance(call, dict):
            function = call.get("function")
            inner = function if isinstance(function, dict) else call
            arguments = first_of(inner, "args", "arguments")
            part = {"type": "tool_call", "id": to_text(call.get("id"))}
            found.append({**part, "name": to_text(inner.get("name")), "arguments": arguments})
    return found


def _from_generations(generations: list[Any], llm_output: Any) -> Response:
    """Read the candidates of the first (and only) call of a result."""
    whole = Response()
    told = llm_output if isinstance(llm_output, dict) else {}
    for index, generation in enumerate(generations):
        if not isinstance(generation, dict):
            raise BadLine("a generation that is no object")
        message = as_json(generation.get("message"))
        info = generation.get("generation_info")
        if not is_message(message):
            if not isinstance(generation.get("text"), str):
                raise BadLine("a generation without a text")
            message = {"type": "ai", "content": generation["text"]}
        one = _from_message(message, {**told, **(info if isinstance(info, dict) else {})})
        one.answers[0].choice_index = index
        whole.answers += one.answers
        for key, value in one.values.items():
            if whole.values.get(key) is None:
                whole.values[key] = value
    return whole


def _from_message(message: dict[str, Any], told: dict[str, Any]) -> Response:
    """Read an answer; `told` is what stood about it outside of the message."""
    fields = _fields(message)
    about = fields.get("response_metadata")
    about = {**told, **(about if isinstance(about, dict) else {})}
    raw = to_text(first_of(about, "finish_reason", "stop_reason", "stopReason", "done_reason"))
    answer = Answer(to_message(message), _finish_reason(raw), raw)
    native = to_text(about.get("id")) or to_text(fields.get("id"))
    usage = fields.get("usage_metadata") or first_of(about, "token_usage", "usage")
    values: Row = {
        "response_id": native if native and native.startswith(_API_IDS) else None,
        "response_model": to_text(first_of(about, "model_name", "model", "model_id")),
        **(to_usage(usage) if isinstance(usage, dict) else {}),
    }
    return Response([answer], values)


def to_usage(usage: dict[str, Any]) -> Row:
    """Read LangChain's token counts, or the provider's where it kept those."""
    if "input_tokens" not in usage:
        return openai_chat.to_usage(usage)
    if "cache_read_input_tokens" in usage:
        return anthropic.to_usage(usage)
    return {
        "input_tokens": to_count(usage["input_tokens"]),
        "output_tokens": to_count(usage.get("output_tokens")),
        "cache_read_input_tokens": to_count(get_path(usage, "input_token_details.cache_read")),
        "cache_write_input_tokens": to_count(get_path(usage, "input_token_details.cache_creation")),
        "reasoning_output_tokens": to_count(get_path(usage, "output_token_details.reasoning")),
    }


def _finish_reason(raw: str | None) -> str | None:
    """Map the reason of whichever provider is behind."""
    if raw is not None and raw.isupper():
        return gemini.to_finish_reason(raw)
    reason = openai_chat.to_finish_reason(raw)
    return anthropic.to_finish_reason(raw) if reason == raw else reason
