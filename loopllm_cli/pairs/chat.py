"""Stored messages with parts, as chat messages: texts, tool calls and what tools answered.

Must not know: votes, rules. Pictures, sounds and reasoning have no place in a chat message that
every trainer takes, so a conversation that holds any of them is none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from loopllm_cli.model import Message
from loopllm_cli.sources.rows import digest, normalise

# Newer logs call the system's messages the developer's; chat templates do not know that name.
_ROLES = {r: r for r in ("system", "user", "assistant", "tool")} | {"developer": "system"}
_SPEAKING = {"text", "tool_call", "tool_call_response"}
Part = dict[str, Any]


def has_calls(messages: Iterable[Message]) -> bool:
    """Say whether messages hold tool calls, or what tools answered."""
    return any(m["role"] == "tool" or "tool_calls" in m for m in messages)


def said(message: Message) -> str:
    """Return what a message says: its text, and the tool calls that it makes."""
    content, calls = message.get("content"), message.get("tool_calls")
    text = content if isinstance(content, str) else ""
    return text if not calls else f"{text}\n{json.dumps(calls, default=str, ensure_ascii=False)}"


# Answers to one context share its text, and guards, pairs and splits ask for it in turn; what is
# returned is never changed.
@lru_cache(maxsize=64)
def to_messages(messages_json: str | None) -> tuple[Message, ...] | None:
    """Turn stored messages into chat messages, tool calls and tool results included.

    A call becomes an entry of `tool_calls` (`{"type": "function", "function": {"name",
    "arguments"}}`, with its `id` where it has one), a result a message of the role `tool`. Some
    programs keep a call, its result and the answer in one message; these become several.

    Returns:
        None where a message holds anything else (pictures, reasoning), was said by anybody but
        the system, the user, the assistant and tools, or is malformed.
    """
    chat: list[Message] = []
    for message in _read(messages_json) or ():
        role = _ROLES.get(str(message.get("role")))
        text = _only_text(message)
        if role is not None and text is not None:
            chat.append({"role": role, "content": text})
            continue
        parts = _parts(message)
        if role is None or parts is None:
            return None
        said = list(_turns(role, parts))
        if not said:
            return None
        chat += said
    return tuple(chat) if chat else None


@lru_cache(maxsize=64)
def calls_of(output_json: str | None) -> str | None:
    """Return an answer's tool calls as JSON, None where it makes none."""
    messages = _read(output_json)
    if not messages:
        return None
    parts = _parts(messages[-1]) or []
    calls = [_call(part) for part in parts if part["type"] == "tool_call"]
    return json.dumps(calls, ensure_ascii=False) if calls else None


@lru_cache(maxsize=64)
def is_answer(output_json: str | None) -> bool:
    """Say whether an answer is one message of the assistant, of text and tool calls alone."""
    messages = _read(output_json)
    if not messages or len(messages) != 1 or messages[0].get("role") != "assistant":
        return False
    parts = _parts(messages[0])
    return parts is not None and all(part["type"] != "tool_call_response" for part in parts)


def side_key(text: str, calls: str | None) -> str:
    """Return what tells one side of a pair from another: its text, and its calls without ids."""
    if calls is None:
        return normalise(text)
    try:
        bare = [call.get("function") for call in json.loads(calls)]
    except (ValueError, AttributeError, TypeError, RecursionError):
        bare = [calls]
    return digest(normalise(text), bare)


def _read(messages_json: str | None) -> list[dict[str, Any]] | None:
    """Read stored messages; None for what is none, or holds half a character."""
    return _parsed(messages_json) if messages_json else None


# Guards ask several things of the same text in turn. What is returned is never changed.
@lru_cache(maxsize=8)
def _parsed(messages_json: str) -> list[dict[str, Any]] | None:
    try:
        messages = json.loads(messages_json)
        if "\\u" in messages_json:
            json.dumps(messages, ensure_ascii=False).encode()
    except (ValueError, RecursionError):  # of which UnicodeEncodeError is one
        return None
    whole = isinstance(messages, list) and all(isinstance(m, dict) for m in messages)
    return messages if whole else None


def _only_text(message: dict[str, Any]) -> str | None:
    """Return what a message says that is one text, as most are; None of any other."""
    parts = message.get("parts")
    if not isinstance(parts, list) or len(parts) != 1 or not isinstance(parts[0], dict):
        return None
    text = parts[0].get("content")
    return text if parts[0].get("type") == "text" and isinstance(text, str) else None


def _parts(message: dict[str, Any]) -> list[Part] | None:
    """Return a message's parts, None where one of them can neither be said nor called."""
    parts = message.get("parts")
    if not isinstance(parts, list):
        return None
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in _SPEAKING or not isinstance(part.get("content"), str | None):
            return None
        if kind == "tool_call" and not isinstance(part.get("name"), str):
            return None
    return parts


def _turns(role: str, parts: list[Part]) -> Iterator[Message]:
    """Yield the messages of one stored message: what was said up to each tool's result, and it."""
    said: list[Part] = []
    for part in parts:
        if part["type"] == "tool_call_response":
            if said:
                yield from _message(role, said)
            said = []
            yield _result(part)
        else:
            said.append(part)
    if said or not parts:
        yield from _message(role, said)


def _message(role: str, parts: list[Part]) -> Iterator[Message]:
    calls = [_call(part) for part in parts if part["type"] == "tool_call"]
    text = "\n".join(part.get("content") or "" for part in parts if part["type"] == "text")
    if calls and role == "assistant":
        yield {"role": role, "content": text, "tool_calls": calls}
    elif not calls and (parts or role != "tool"):
        yield {"role": role, "content": text}


def _call(part: Part) -> dict[str, Any]:
    arguments = part.get("arguments")
    if isinstance(arguments, str):
        # Templates write arguments out as objects; what is no JSON object stays as it was sent.
        try:
            read = json.loads(arguments)
        except (ValueError, RecursionError):
            read = None
        arguments = read if isinstance(read, dict) else arguments
    function = {"name": part["name"], "arguments": {} if arguments is None else arguments}
    named = {"id": part["id"]} if isinstance(part.get("id"), str) else {}
    return {"type": "function", **named, "function": function}


def _result(part: Part) -> Message:
    response = part.get("response")
    content = response if isinstance(response, str) else json.dumps(response, ensure_ascii=False)
    message = {"role": "tool", "content": "" if response is None else content}
    if isinstance(part.get("id"), str):
        message["tool_call_id"] = part["id"]
    if isinstance(part.get("name"), str):
        message["name"] = part["name"]
    return message
