"""OpenAI's preference fine-tuning: one answer of the assistant on each side.

`input` holds `messages` and, where there are any, `tools`; `preferred_output` and
`non_preferred_output` exactly one assistant message each. Messages are those of the chat API:
arguments are text, every call has an id, and every call in the context is followed by its result.

Sources: OpenAI, "Direct preference optimization",
https://platform.openai.com/docs/guides/direct-preference-optimization; OpenAI's API reference,
`FineTunePreferenceRequestInput` and `ChatCompletionRequestMessage`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from loopllm_cli.pairs.dataset.tool_definitions import is_function
from loopllm_cli.pairs.exports.target import (
    NotExpressible,
    Part,
    Row,
    Target,
    Writing,
    answer_of,
)

MAX_TOOLS = 128
"""API reference, `tools`: "A max of 128 functions are supported"."""
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def _write(writing: Writing, parts: Iterable[Part]) -> None:
    for part in parts:
        writing.lines(f"pairs_{part.split}.jsonl", part.rows(), _row)


def _row(row: Row) -> Row:
    _check_turns(row["prompt"])
    asked: Row = {"messages": [_message(message) for message in row["prompt"]]}
    if row.get("tools"):
        _check_tools(row["tools"])
        # The API's default; logs do not keep it.
        asked |= {"tools": row["tools"], "parallel_tool_calls": True}
    return {
        "input": asked,
        "preferred_output": [_message(answer_of(row["chosen"]))],
        "non_preferred_output": [_message(answer_of(row["rejected"]))],
    }


def _check_tools(tools: list[Row]) -> None:
    if len(tools) > MAX_TOOLS:
        raise NotExpressible(f"more than {MAX_TOOLS} tools")
    for tool in tools:
        if not is_function(tool):
            raise NotExpressible("a tool that is no function")
        if not _NAME.fullmatch(tool["function"]["name"]):
            raise NotExpressible("a tool with a name that the API refuses")


def _check_turns(messages: Sequence[Row]) -> None:
    """Refuse calls in the context that are not followed by their results, and results of none.

    Raises:
        NotExpressible: there are some.
    """
    waiting: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            if message.get("tool_call_id") not in waiting:
                raise NotExpressible("a tool's result without the id of its call")
            waiting.discard(message["tool_call_id"])
            continue
        if waiting:
            break
        waiting = {call.get("id") for call in message.get("tool_calls") or []}
        if None in waiting:
            raise NotExpressible("a tool call without an id")
    if waiting:
        raise NotExpressible("a tool call without its result")


def _message(message: Row) -> Row:
    """Spell a message as the API does: arguments as text, every call with an id."""
    made: Row = {"role": message["role"], "content": message["content"]}
    if message["role"] == "tool":
        return {**made, "tool_call_id": message["tool_call_id"]}
    calls = message.get("tool_calls") or []
    if not calls and not message["content"]:
        raise NotExpressible("a message without text")
    if not calls:
        return made
    spelled = [_call(call, place) for place, call in enumerate(calls)]
    return {**made, "content": message["content"] or None, "tool_calls": spelled}


def _call(call: Row, place: int) -> Row:
    function = call["function"]
    arguments = function.get("arguments")
    if not _NAME.fullmatch(function["name"]):
        raise NotExpressible("a tool with a name that the API refuses")
    said = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
    return {
        # An answer's call is answered by nobody, so any id will do where none was logged.
        "id": call.get("id") or f"call_{place}",
        "type": "function",
        "function": {"name": function["name"], "arguments": said},
    }


TARGET = Target("openai", "OpenAI preference fine-tuning", ("pairs",), _write)
