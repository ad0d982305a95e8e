"""LLaMA-Factory: ShareGPT conversations with two ranked answers, or one with a KTO tag.

Its loader wants the user (or a tool's result) and the assistant (or a call) to take turns; what
does not fit it drops with a line in the log. A call is a turn of its own, and ids have no place:
they only join calls and results, which stand next to each other here.

Source: LLaMA-Factory 0.9.5, `llamafactory/data/converter.py`, `formatter.py`, `tool_utils.py`, and
https://github.com/hiyouga/LLaMA-Factory, data/README.md
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from loopllm_cli.pairs.dataset.tool_definitions import is_function
from loopllm_cli.pairs.exports.target import (
    NotExpressible,
    Part,
    Row,
    Target,
    Writing,
    answer_of,
)

_FROM = {"user": "human", "assistant": "gpt", "tool": "observation"}
_TURNS = (("human", "observation"), ("gpt", "function_call"))


def _write(writing: Writing, parts: Iterable[Part]) -> None:
    info: Row = {}
    for part in parts:
        name, change = f"{part.kind}_{part.split}", _pair if part.kind == "pairs" else _judged
        if writing.lines(f"{name}.jsonl", part.rows(), change):
            info[f"loopllm_{name}"] = _info(f"{name}.jsonl", part.kind == "pairs")
    writing.json("dataset_info.json", info)


def _info(name: str, paired: bool) -> Row:
    sides = {"chosen": "chosen", "rejected": "rejected"} if paired else {"kto_tag": "label"}
    columns = {"messages": "conversations", "system": "system", "tools": "tools", **sides}
    ranking = {"ranking": True} if paired else {}
    return {"file_name": name, "formatting": "sharegpt", **ranking, "columns": columns}


def _pair(row: Row) -> Row:
    chosen, rejected = _turn(answer_of(row["chosen"])), _turn(answer_of(row["rejected"]))
    return {**_context(row), "chosen": chosen, "rejected": rejected}


def _judged(row: Row) -> Row:
    made = _context(row)
    made["conversations"].append(_turn(answer_of(row["completion"])))
    return {**made, "label": row["label"]}


def _context(row: Row) -> Row:
    """Return the turns of a context, its system message and its tools.

    Raises:
        NotExpressible: its messages do not stand in the order that the loader wants.
    """
    messages = row["prompt"]
    system = messages[0]["content"] if messages[0]["role"] == "system" else ""
    turns = [_turn(message) for message in messages[bool(system) :]]
    if any(turn["from"] not in _TURNS[i % 2] for i, turn in enumerate(turns)):
        raise NotExpressible("turns that do not alternate")
    if len(turns) % 2 == 0:
        raise NotExpressible("a context that does not end with the user or a tool's result")
    return {"conversations": turns, "system": system, "tools": _tools(row.get("tools"))}


def _turn(message: Row) -> Row:
    calls, text = message.get("tool_calls") or [], message["content"]
    if calls and text:
        raise NotExpressible("a message with both text and tool calls")
    if calls:
        return {"from": "function_call", "value": _spelled([_call(call) for call in calls])}
    if message["role"] not in _FROM:
        raise NotExpressible("a system message in the middle of a conversation")
    if not text:
        raise NotExpressible("a message without text")
    return {"from": _FROM[message["role"]], "value": text}


def _call(call: Row) -> Row:
    function = call["function"]
    if not isinstance(function.get("arguments"), dict):
        raise NotExpressible("a tool call with arguments that are no JSON object")
    return {"name": function["name"], "arguments": function["arguments"]}


def _spelled(calls: list[Row]) -> str:
    return json.dumps(calls[0] if len(calls) == 1 else calls, ensure_ascii=False)


def _tools(tools: list[Row] | None) -> str:
    """Spell tool definitions as text, an empty one where there are none.

    Raises:
        NotExpressible: one of them is no function whose arguments are listed.
    """
    functions: list[Any] = []
    for tool in tools or []:
        parameters = tool["function"].get("parameters") if is_function(tool) else None
        if not isinstance(parameters, dict) or not isinstance(parameters.get("properties"), dict):
            raise NotExpressible("a tool that is no function with listed arguments")
        functions.append(tool["function"])
    return json.dumps(functions, ensure_ascii=False) if functions else ""


TARGET = Target("llamafactory", "LLaMA-Factory: dpo, kto", ("pairs", "unpaired"), _write)
