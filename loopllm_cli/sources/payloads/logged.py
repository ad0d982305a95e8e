"""Messages as tracing SDKs log them: the bodies of APIs, bent by the library in between.

Read here is what `anything` would keep as plain text: messages with parts (OpenTelemetry and
Gemini), older OpenTelemetry events, the Vercel AI SDK's parts and tool calls, LangChain's
`additional_kwargs`, tool calls that were logged as a text, and printed Python objects.

Source: fixtures and source of the frameworks' instrumentations that Langfuse documents,
https://langfuse.com/integrations
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.fields import as_json, to_text
from loopllm_cli.sources.payloads import anything, openai_chat, otel_parts, printed
from loopllm_cli.sources.payloads.body import Answer, Request, Response, plain_response
from loopllm_cli.sources.payloads.otel_adk import read_adk
from loopllm_cli.sources.payloads.otel_dialects import from_events
from loopllm_cli.sources.payloads.otel_vercel import read_vercel
from loopllm_cli.sources.payloads.pieces import is_question
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Message, text_message, to_json


def read_request(value: Any) -> Request | None:
    """Read what a call was given, whatever it is; None where nothing was logged.

    Messages that cannot be read are kept as their JSON.
    """
    logged, value = value, as_json(value)
    try:
        if isinstance(value, list) and value:
            return _from_messages(value) or anything.read_request(logged)
        if isinstance(value, dict):
            # A function's arguments are an object even where they were logged as its JSON.
            return _from_body(value) or anything.read_request(
                value if is_question(value) else logged
            )
        return anything.read_request(logged)
    except BadLine:
        return Request(
            [text_message("user", logged if isinstance(logged, str) else to_json(value))]
        )


def read_response(value: Any) -> Response | None:
    """Read what a call returned, whatever it is; None where nothing was logged.

    An answer that cannot be read is kept as its JSON.
    """
    logged, value = value, as_json(value)
    try:
        if isinstance(value, list) and value:
            return _from_output_list(value) or anything.read_response(logged)
        if isinstance(value, dict):
            return _from_output(value) or anything.read_response(logged)
        return anything.read_response(logged)
    except BadLine:
        return plain_response(logged if isinstance(logged, str) else to_json(value))


def _from_body(body: dict[str, Any]) -> Request | None:
    contents = body.get("contents")
    if isinstance(contents, list) and isinstance(body.get("config"), dict):
        request = read_adk({"gcp.vertex.agent.llm_request": body})[0]
        tools = body["config"].get("tools")
        if request is not None and isinstance(tools, list) and tools:
            request.values["tool_definitions"] = to_json(tools)
        return request
    if isinstance(body.get("system"), str) and body.get("prompt"):
        return read_vercel({"ai.prompt": body})[0]
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return None
    request = _from_messages(messages)
    if request is not None:
        # The messages are ours; what stands beside them is read as in any chat request.
        plain = {**body, "messages": [{"role": "user", "content": ""}]}
        beside = openai_chat.read_request(plain)
        known = {k: v for k, v in request.values.items() if v is not None}
        request.values = {**(beside.values if beside else {}), **known}
    return request


def _from_messages(items: list[Any]) -> Request | None:
    """Read a list of messages; None where it is one that `anything` reads."""
    if not _are_messages(items) or not any(_is_bent(item) for item in items):
        return None
    tools = [item["content"] for item in items if _is_definition(item)]
    messages = [to_message(item, "user") for item in items if not _is_definition(item)]
    return Request(messages, {"tool_definitions": to_json(tools) if tools else None})


def _are_messages(items: list[Any]) -> bool:
    """Return whether all items are messages, and none of them is LangChain's own."""
    return all(
        printed.role_of(item) is not None
        if isinstance(item, str)
        else isinstance(item, dict)
        and "lc" not in item
        and (isinstance(item.get("role"), str) or _event_name(item) is not None)
        for item in items
    )


def _is_bent(item: Any) -> bool:
    """Return whether a message is in one of the shapes that only this module knows."""
    if not isinstance(item, dict):
        return True
    content = item.get("content")
    return (
        isinstance(item.get("parts"), list)
        or isinstance(item.get("additional_kwargs"), dict)
        or isinstance(content, dict)
        or _event_name(item) is not None
        or _calls_in_text(content) is not None
        or (isinstance(content, list) and any(_is_vercel(part) for part in content))
    )


def _is_definition(item: Any) -> bool:
    """Return whether an item is the definition of a tool, which Langfuse's handler appends."""
    content = item.get("content") if isinstance(item, dict) else None
    return (
        isinstance(content, dict)
        and item.get("role") == "tool"
        and content.get("type") == "function"
        and "tool_call_id" not in item
    )


def _event_name(item: dict[str, Any]) -> str | None:
    name = item.get("event.name")
    return name if isinstance(name, str) and name.startswith("gen_ai.") else None


def to_message(item: Any, role: str) -> Message:
    """Read one message in any of the shapes.

    Args:
        role: whose message it is where that is not said.

    Raises:
        BadLine: it is no message.
    """
    if isinstance(item, str):
        return openai_chat.to_message(printed.to_chat(item))
    if not isinstance(item, dict):
        raise BadLine("a message that is no object")
    if _event_name(item):
        return _event_message(item) or {"role": role, "parts": []}
    parts = item.get("parts")
    if isinstance(parts, list):
        return _with_parts(item, parts, role)
    content = item.get("content")
    if isinstance(content, list) and any(_is_vercel(part) for part in content):
        return _vercel_message(item)
    return openai_chat.to_message(_chat_message(item, role))


def _event_message(item: dict[str, Any]) -> Message | None:
    request, response = from_events([(_event_name(item) or "", item)])
    if request is not None and request.messages:
        return request.messages[0]
    return response.answers[0].message if response is not None and response.answers else None


def _with_parts(item: dict[str, Any], parts: list[Any], role: str) -> Message:
    if all(isinstance(part, dict) and "type" not in part for part in parts):
        request = read_adk({"gcp.vertex.agent.llm_request": {"contents": [item]}})[0]
        if request is not None and request.messages:
            return request.messages[0]
    message = otel_parts.to_message(item, role)
    kinds = {part.get("type") for part in message["parts"]}
    # What tools answered is sent in the user's name.
    return {**message, "role": "tool"} if kinds == {"tool_call_response"} else message


def _is_vercel(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") in ("tool-call", "tool-result")


def _vercel_message(item: dict[str, Any]) -> Message:
    request = read_vercel({"ai.prompt.messages": [item]})[0]
    if request is None:
        raise BadLine("a message that is no object")
    return request.messages[0]


def _chat_message(item: dict[str, Any], role: str) -> dict[str, Any]:
    """Bring one message into the shape of OpenAI's chat messages."""
    message = {**item, "role": to_text(item.get("role")) or role}
    if message["role"] == "model":
        message["role"] = "assistant"
    more = item.get("additional_kwargs")
    if isinstance(more, dict) and not item.get("tool_calls") and more.get("tool_calls"):
        message["tool_calls"] = more["tool_calls"]
    calls = _calls_in_text(item.get("content"))
    if calls and message["role"] in ("assistant", "tool"):
        return {"role": "assistant", "content": None, "tool_calls": calls}
    if isinstance(item.get("content"), dict):
        message["content"] = to_json(item["content"])
    if message.get("tool_calls") and message.get("content") == "":
        message["content"] = None
    return message


def _calls_in_text(content: Any) -> list[Any] | None:
    """Return the tool calls that a library logged as the text of a message."""
    if not isinstance(content, str) or not content.startswith("[{"):
        return None
    items = as_json(content)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return None
    are_calls = all(
        isinstance(item.get("function"), dict)
        and "arguments" in item["function"]
        and item.get("type") == "function"
        for item in items
    )
    return items if are_calls else None


def _from_output_list(items: list[Any]) -> Response | None:
    if all(isinstance(item, dict) and "toolCallId" in item for item in items):
        return read_vercel({"ai.response.toolCalls": items})[1]
    if not _are_messages(items):
        return None
    last = len(items)
    while last and _role(items[last - 1]) in ("assistant", "model"):
        last -= 1
    said = items[last:] or items[-1:]
    answers = [_answer(item, place) for place, item in enumerate(said)]
    only_calls = all(
        part.get("type") == "tool_call" for a in answers if a.message for part in a.message["parts"]
    )
    if len(answers) > 1 and only_calls:
        # Parallel tool calls that were logged one by one are one answer.
        calls = [part for a in answers if a.message for part in a.message["parts"]]
        answers[0].message = {"role": "assistant", "parts": calls}
        return Response(answers[:1])
    # Behind other messages stands a whole run: its answer is the last one.
    if last and len(answers) > 1:
        answers = [_answer(said[-1], 0)]
    return Response(answers)


def _role(item: Any) -> str | None:
    if isinstance(item, str):
        return printed.role_of(item)
    if _event_name(item) == "gen_ai.choice":
        return "assistant"
    return to_text(item.get("role"))


def _answer(item: Any, place: int) -> Answer:
    message = {**to_message(item, "assistant"), "role": "assistant"}
    raw = item.get("finish_reason") if isinstance(item, dict) else None
    finish, raw = otel_parts.to_finish(raw)
    return Answer(message, finish, raw, place)


def _from_output(body: dict[str, Any]) -> Response | None:
    if _event_name(body):
        return from_events([(_event_name(body) or "", body)])[1]
    for key in ("messages", "message"):
        inner = body.get(key)
        items = [inner] if isinstance(inner, dict) else inner
        if isinstance(items, list) and items and "choices" not in body:
            return _from_output_list(items)
    content = body.get("content")
    if isinstance(content, dict) and isinstance(content.get("parts"), list):
        return read_adk({"gcp.vertex.agent.llm_response": body})[1]
    if isinstance(body.get("toolCalls"), list) and "role" not in body:
        named = {f"ai.response.{key}": body[key] for key in ("text", "toolCalls") if key in body}
        return read_vercel(named)[1]
    if _are_messages([body]) and (_is_bent(body) or "finish_reason" in body):
        return Response([_answer(body, 0)])
    return None
