"""OpenAI's Responses API to OpenTelemetry parts.

The instructions become the system message at the front. The items of one side (reasoning,
messages, calls) that follow each other become one message, as the model wrote them in one go.

Source: https://platform.openai.com/docs/api-reference/responses ; OpenTelemetry GenAI message
schema (`server_tool_call`: a tool that the provider itself runs).
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.fields import get_path, to_count, to_error, to_number, to_text, to_time
from loopllm_cli.sources.payloads import openai_chat
from loopllm_cli.sources.payloads.body import Answer, Request, Response
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Message, Row, digest, text_message, to_json

RUNNING = ("queued", "in_progress")
_ASKING = ("model", "instructions", "previous_response_id", "conversation", "max_output_tokens")
_INCOMPLETE = {"max_output_tokens": "length", "content_filter": "content_filter"}
# The caller runs these and sends back the output; every other call runs at the provider.
_CALLS = {
    *("function_call", "custom_tool_call", "computer_call", "local_shell_call", "shell_call"),
    "apply_patch_call",
}


def read_request(body: dict[str, Any]) -> Request | None:
    """Read a request; None where the body is none.

    Raises:
        BadLine: an input item is malformed.
    """
    if not (_is_input(body.get("input")) and any(key in body for key in _ASKING)):
        return None
    return to_request(body)


def to_request(body: dict[str, Any]) -> Request:
    """Read a body that is known to be a request of this API.

    Raises:
        BadLine: an input item is malformed.
    """
    get = body.get
    messages = to_items(get("input"))
    instructions = get("instructions")
    if isinstance(instructions, str) and instructions:
        messages.insert(0, text_message("system", instructions))
    conversation = get("conversation")
    tools, stream = get("tools"), get("stream")
    effort = get_path(body, "reasoning.effort")
    values: Row = {
        "request_model": to_text(get("model")),
        "request_temperature": to_number(get("temperature")),
        "request_top_p": to_number(get("top_p")),
        "request_max_tokens": to_count(get("max_output_tokens")),
        "request_stream": stream if isinstance(stream, bool) else None,
        "request_reasoning_level": effort if isinstance(effort, str) else None,
        "tool_definitions": to_json(tools) if isinstance(tools, list) and tools else None,
        "previous_response_id": to_text(get("previous_response_id")),
        "conversation_id": _conversation(conversation),
        "user_id": to_text(get("user")) or to_text(get("safety_identifier")),
        "prompt_name": to_text(get_path(body, "prompt.id")),
        "prompt_version": to_text(get_path(body, "prompt.version")),
    }
    return Request(messages, values)


def read_response(body: dict[str, Any]) -> Response | None:
    """Read a response object; None where the body is none.

    `content_state` says whether the request lacks what came before: an earlier response or a
    stored conversation.

    Raises:
        BadLine: an output item is malformed.
    """
    if body.get("object") != "response":
        return None
    output = body.get("output")
    if output is None:
        output = []
    if not isinstance(output, list):
        raise BadLine("an output that is no list of items")
    usage = body.get("usage")
    effort = get_path(body, "reasoning.effort")
    values: Row = {
        "response_id": to_text(body.get("id")),
        "response_model": to_text(body.get("model")),
        "request_time": to_time(body.get("created_at")),
        "previous_response_id": to_text(body.get("previous_response_id")),
        "conversation_id": _conversation(body.get("conversation")),
        "request_temperature": to_number(body.get("temperature")),
        "request_top_p": to_number(body.get("top_p")),
        "request_max_tokens": to_count(body.get("max_output_tokens")),
        "request_reasoning_level": effort if isinstance(effort, str) else None,
        "error_type": to_error(body.get("error")),
        **(_usage(usage) if isinstance(usage, dict) else {}),
    }
    if body.get("status") == "failed" and values["error_type"] is None:
        values["error_type"] = "failed"
    messages = to_items(output)
    if not messages and values["error_type"] is not None:
        return Response([], values)
    parts = [part for message in messages for part in message["parts"]]
    raw, reason = _finish(body, parts)
    return Response([Answer({"role": "assistant", "parts": parts}, reason, raw)], values)


def add_instructions(request: Request, body: dict[str, Any]) -> None:
    """Put the instructions that a response repeats in front of a request that lacks them."""
    instructions = body.get("instructions")
    if isinstance(instructions, str) and instructions:
        front = request.messages[0]["role"] if request.messages else None
        if front not in ("system", "developer"):
            request.messages.insert(0, text_message("system", instructions))


def lacks_context(values: Row, body: Any) -> bool:
    """Return whether the model saw more than the request holds."""
    if values.get("previous_response_id") or values.get("conversation_id"):
        return True
    items = body.get("input") if isinstance(body, dict) else None
    return isinstance(items, list) and any(
        isinstance(item, dict) and item.get("type") == "item_reference" for item in items
    )


def _is_input(value: Any) -> bool:
    if isinstance(value, list) and value:
        return all(isinstance(item, dict) and ("role" in item or "type" in item) for item in value)
    return isinstance(value, str)


def _conversation(value: Any) -> str | None:
    return to_text(value.get("id") if isinstance(value, dict) else value)


def _usage(usage: dict[str, Any]) -> Row:
    return {
        "input_tokens": to_count(usage.get("input_tokens")),
        "output_tokens": to_count(usage.get("output_tokens")),
        "cache_read_input_tokens": to_count(get_path(usage, "input_tokens_details.cached_tokens")),
        "reasoning_output_tokens": to_count(
            get_path(usage, "output_tokens_details.reasoning_tokens")
        ),
    }


def _finish(body: dict[str, Any], parts: list[dict[str, Any]]) -> tuple[str | None, str | None]:
    """Return the API's own word for how it ended, and OpenTelemetry's."""
    status = to_text(body.get("status"))
    if status == "incomplete":
        reason = to_text(get_path(body, "incomplete_details.reason")) or status
        return reason, _INCOMPLETE.get(reason, reason)
    if status == "completed":
        called = any(part["type"] == "tool_call" for part in parts)
        return status, "tool_call" if called else "stop"
    return status, "error" if status in ("failed", "cancelled") else None


def to_items(items: Any) -> list[Message]:
    """Turn input or output items into messages with parts.

    Raises:
        BadLine: it is neither a text nor a list of items.
    """
    if items is None:
        return []
    if isinstance(items, str):
        return [text_message("user", items)]
    if not isinstance(items, list):
        raise BadLine("an input that is neither text nor items")
    messages: list[Message] = []
    for item in items:
        role, parts = _item(item)
        if messages and messages[-1]["role"] == role == "assistant":
            messages[-1]["parts"] += parts
        else:
            messages.append({"role": role, "parts": parts})
    return messages


def _item(item: Any) -> tuple[str, list[dict[str, Any]]]:
    """Return an item's role and parts."""
    if not isinstance(item, dict):
        raise BadLine("an item that is no object")
    kind = item.get("type")
    if kind == "message" or (kind is None and "role" in item):
        message = openai_chat.to_message(item)
        return message["role"], message["parts"]
    if not isinstance(kind, str):
        raise BadLine("an item without a type")
    if kind == "reasoning":
        return "assistant", _reasoning(item)
    if kind in _CALLS:
        return "assistant", [_call(item, kind)]
    if kind.endswith("_output"):
        response = _plain(item.get("output"))
        call_id = to_text(item.get("call_id")) or to_text(item.get("id"))
        return "tool", [{"type": "tool_call_response", "id": call_id, "response": response}]
    if kind == "mcp_approval_response":
        return "user", [{"type": kind, "approve": item.get("approve")}]
    if kind == "item_reference":
        return "user", [{"type": kind, "id": to_text(item.get("id"))}]
    return "assistant", [_server_call(item, kind)]


def _reasoning(item: dict[str, Any]) -> list[dict[str, Any]]:
    parts = []
    for key in ("summary", "content"):
        pieces = item.get(key)
        for piece in pieces if isinstance(pieces, list) else []:
            text = piece.get("text") if isinstance(piece, dict) else None
            if isinstance(text, str) and text:
                parts.append({"type": "reasoning", "content": text})
    return parts


def _call(item: dict[str, Any], kind: str) -> dict[str, Any]:
    given = (item.get(key) for key in ("arguments", "input", "action", "operation"))
    return {
        "type": "tool_call",
        "id": to_text(item.get("call_id")) or to_text(item.get("id")),
        "name": to_text(item.get("name")) or kind.removesuffix("_call"),
        "arguments": next((value for value in given if value is not None), None),
    }


def _server_call(item: dict[str, Any], kind: str) -> dict[str, Any]:
    call = {key: value for key, value in item.items() if key != "id" and value is not None}
    if isinstance(call.get("result"), str):  # a picture: kept by digest, as other pictures
        call["result"] = digest(call["result"])
    return {
        "type": "server_tool_call",
        "id": to_text(item.get("id")),
        "name": to_text(item.get("name")) or kind.removesuffix("_call"),
        "server_tool_call": call,
    }


def _plain(output: Any) -> Any:
    if isinstance(output, list):
        texts = [piece.get("text") for piece in output if isinstance(piece, dict)]
        return "\n".join(text for text in texts if isinstance(text, str))
    return output
