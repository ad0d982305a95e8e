"""Requests and responses whose API is not named: tracing tools log whatever a function took.

Tried in turn: the body of a known API, a list of messages, a dict with one of the usual names
for a question or an answer, plain text. What is none of these is kept as its JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loopllm_cli.sources.columns import ALIASES
from loopllm_cli.sources.fields import as_json, to_text
from loopllm_cli.sources.payloads import (
    anthropic,
    bedrock,
    gemini,
    langchain,
    openai_chat,
    openai_responses,
    openai_stream,
)
from loopllm_cli.sources.payloads.body import Answer, Request, Response, plain_response
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import text_message, to_json

# Each takes a dict and returns None where the body is not of its API. OpenAI's chat is last: any
# messages are a request to it, and any error is its error.
REQUESTS: tuple[Callable[[dict[str, Any]], Request | None], ...] = (
    langchain.read_request,
    gemini.read_request,
    bedrock.read_request,
    anthropic.read_request,
    openai_responses.read_request,
    openai_chat.read_request,
)
RESPONSES: tuple[Callable[[dict[str, Any]], Response | None], ...] = (
    langchain.read_response,
    openai_responses.read_response,
    gemini.read_response,
    anthropic.read_response,
    bedrock.read_response,
    openai_chat.read_response,
)
# Streams that were logged as a list: whether it is one, and how to put it together.
STREAMS: tuple[tuple[Callable[[Any], bool], Callable[[list[Any]], Response | None]], ...] = (
    (openai_stream.is_chunks, openai_stream.read_chunks),
    (anthropic.is_events, anthropic.read_events),
    (gemini.is_chunks, gemini.read_chunks),
    (bedrock.is_chunks, bedrock.read_chunks),
)


def read_request(value: Any) -> Request | None:
    """Read what a call was given; None where nothing was logged.

    Raises:
        BadLine: it has the shape of an API's request and is malformed.
    """
    logged, value = value, as_json(value)
    if value is None or value in ("", {}, []):
        return None
    if isinstance(value, dict):
        for read in REQUESTS:
            request = read(value)
            if request is not None:
                return request
        text = logged if isinstance(logged, str) else _named(value, "prompt")
        return Request([text_message("user", to_json(value) if text is None else text)])
    if langchain.is_messages(value):
        return langchain.read_request({"messages": value})
    if isinstance(value, list) and isinstance(value[0], dict) and "role" in value[0]:
        try:
            return Request(openai_chat.to_messages(value))
        except BadLine:
            pass
    text = logged if isinstance(logged, str) else to_json(value)
    return Request([text_message("user", value if isinstance(value, str) else text)])


def read_response(value: Any) -> Response | None:
    """Read what a call returned; None where nothing was logged.

    Raises:
        BadLine: it has the shape of an API's response and is malformed.
    """
    logged, value = value, as_json(value)
    if value is None or value in ("", {}, []):
        return None
    if isinstance(value, dict):
        for read in RESPONSES:
            response = read(value)
            if response is not None:
                return response
        if isinstance(value.get("role"), str) and ("content" in value or "tool_calls" in value):
            message = openai_chat.to_message({**value, "role": "assistant"})
            return Response([Answer(message)])
        # A model may answer in JSON: a text that is no API's response stays that text.
        text = logged if isinstance(logged, str) else _named(value, "response")
        return plain_response(to_json(value) if text is None else text)
    for is_stream, read_stream in STREAMS:
        if is_stream(value):
            return read_stream(value)
    if isinstance(value, list) and isinstance(value[-1], dict) and "role" in value[-1]:
        return read_response(value[-1])
    text = logged if isinstance(logged, str) else to_json(value)
    return plain_response(value if isinstance(value, str) else text)


def _named(value: dict[str, Any], name: str) -> str | None:
    """Return the text under one of the usual names; a dict of one text is that text."""
    for key in ALIASES[name]:
        text = to_text(value.get(key))
        if text is not None:
            return text
    if len(value) == 1:
        (only,) = value.values()
        return only if isinstance(only, str) else None
    return None
