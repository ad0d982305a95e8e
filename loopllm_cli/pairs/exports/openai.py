"""OpenAI's preference fine-tuning: one answer of the assistant on each side.

Source: https://platform.openai.com/docs/guides/direct-preference-optimization: `input` with
`messages` and, where there are any, `tools`; `preferred_output` and `non_preferred_output` of
exactly one assistant message each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from loopllm_cli.pairs.exports.target import (
    NotExpressible,
    Part,
    Row,
    Target,
    Writing,
    answer_of,
)


def _write(writing: Writing, parts: Iterable[Part]) -> None:
    for part in parts:
        writing.lines(f"{part.split}.jsonl", part.rows(), _row)


def _row(row: Row) -> Row:
    asked: Row = {"messages": [_message(message) for message in row["prompt"]]}
    if row.get("tools"):
        asked["tools"] = row["tools"]
        asked["parallel_tool_calls"] = True
    return {
        "input": asked,
        "preferred_output": [_message(answer_of(row["chosen"]))],
        "non_preferred_output": [_message(answer_of(row["rejected"]))],
    }


def _message(message: Row) -> Row:
    """Spell a message as the API does: arguments as text, every call with an id.

    Raises:
        NotExpressible: a call or a result has no id, which the API needs to join them.
    """
    made = {"role": message["role"], "content": message["content"]}
    if message["role"] == "tool":
        if not message.get("tool_call_id"):
            raise NotExpressible("a tool's result without the id of its call")
        made["tool_call_id"] = message["tool_call_id"]
    calls = message.get("tool_calls") or []
    if not calls and not message["content"]:
        raise NotExpressible("a message without text")
    if calls:
        made["tool_calls"] = [_call(call, place) for place, call in enumerate(calls)]
    return made


def _call(call: Row, place: int) -> Row:
    function = call["function"]
    arguments = function.get("arguments")
    said = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
    # An answer's call that was logged without an id is answered by nobody, so any id will do.
    name = call.get("id") or f"call_{place}"
    return {
        "id": name,
        "type": "function",
        "function": {"name": function["name"], "arguments": said},
    }


TARGET = Target("openai", "OpenAI preference fine-tuning", ("pairs",), _write)
