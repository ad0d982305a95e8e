"""Chunks of a streamed OpenAI chat completion, put together to the completion.

Source: https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.fields import to_count
from loopllm_cli.sources.payloads import openai_chat
from loopllm_cli.sources.payloads.body import Response
from loopllm_cli.sources.reading import BadLine

CHUNK = "chat.completion.chunk"
_TEXTS = ("content", "reasoning_content", "refusal")
_REST = ("model", "created", "id", "service_tier", "system_fingerprint")


def is_chunks(value: Any) -> bool:
    """Return whether a value is a list of chunks."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(chunk, dict) and chunk.get("object") == CHUNK for chunk in value)
    )


def check_chunk(chunk: dict[str, Any]) -> None:
    """Refuse a chunk that could not be put together with others.

    Raises:
        BadLine: its choices or a delta are malformed.
    """
    choices = chunk.get("choices")
    if not isinstance(choices, list):
        raise BadLine("a chunk without choices")
    for choice in choices:
        if not isinstance(choice, dict) or not isinstance(choice.get("delta") or {}, dict):
            raise BadLine("a chunk with a malformed choice")


def read_chunks(chunks: list[dict[str, Any]]) -> Response | None:
    """Put chunks together, in order; None where they hold no choice.

    Where a choice has no reason to finish, `content_state` is partial_stream.

    Raises:
        BadLine: a chunk is malformed.
    """
    body: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        check_chunk(chunk)
        body.update((key, chunk[key]) for key in _REST if chunk.get(key) is not None)
        if isinstance(chunk.get("usage"), dict):
            body["usage"] = chunk["usage"]
        for piece in chunk["choices"]:
            index = to_count(piece.get("index")) or 0
            choice = choices.setdefault(index, {"index": index, "message": {}, "calls": {}})
            _extend(choice, piece.get("delta") or {})
            if piece.get("finish_reason") is not None:
                choice["finish_reason"] = piece["finish_reason"]
    if not choices:
        return None
    body["choices"] = [_closed(choices[index]) for index in sorted(choices)]
    response = openai_chat.read_response(body)
    if response is not None and any(a.finish_reason_raw is None for a in response.answers):
        response.values["content_state"] = "partial_stream"
    return response


def _extend(choice: dict[str, Any], delta: dict[str, Any]) -> None:
    message = choice["message"]
    for key in _TEXTS:
        if isinstance(delta.get(key), str):
            message[key] = message.get(key, "") + delta[key]
    pieces = delta.get("tool_calls")
    for place, piece in enumerate(pieces if isinstance(pieces, list) else []):
        if isinstance(piece, dict):
            index = to_count(piece.get("index"))
            number = place if index is None else index
            _extend_call(choice["calls"].setdefault(number, {"function": {}}), piece)
    if isinstance(delta.get("function_call"), dict):
        call = choice["calls"].setdefault(-1, {"function": {}})
        _extend_call(call, {"function": delta["function_call"]})


def _extend_call(call: dict[str, Any], piece: dict[str, Any]) -> None:
    if isinstance(piece.get("id"), str) and piece["id"]:
        call["id"] = piece["id"]
    function = piece.get("function")
    if isinstance(function, dict):
        if isinstance(function.get("name"), str) and function["name"]:
            call["function"]["name"] = function["name"]
        if isinstance(function.get("arguments"), str):
            before = call["function"].get("arguments", "")
            call["function"]["arguments"] = before + function["arguments"]


def _closed(choice: dict[str, Any]) -> dict[str, Any]:
    calls = choice.pop("calls")
    if calls:
        choice["message"]["tool_calls"] = [calls[index] for index in sorted(calls)]
    return choice
