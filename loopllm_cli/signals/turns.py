"""What a row's logged messages say of its turn: tool calls, their results, tools on offer.

A turn is what follows the last thing the user said. Exists so that the signals about tools and
about retrieved context parse each row's messages once, and only those of rows that hold any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from loopllm_cli.signals.batch import RowBatch

_CALL = '"tool_call'  # also opens "tool_call_response"
_NAMING = ("function", "toolSpec")
_SCHEMAS = ("parameters", "input_schema", "inputSchema", "parametersJsonSchema")
_DECLARED = ("function_declarations", "functionDeclarations")
UNREADABLE = object()
"""Arguments that are no JSON."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call: the tool's name and its arguments, parsed where they were sent as a text."""

    name: str | None
    arguments: Any


@dataclass(frozen=True, slots=True)
class Turn:
    """A row's turn: `before` are the calls that led to the answer, `now` those in the answer.

    `results` are the parts with what tools sent back, in order.
    """

    before: list[Call] = field(default_factory=list)
    now: list[Call] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Tools:
    """The tools a row's model was offered, with their schemas (None where none was logged).

    `whole` is false where a definition is of an unknown shape, and may be any tool.
    """

    schemas: dict[str, Any]
    whole: bool


def turns(batch: RowBatch) -> list[Turn | None]:
    """Return each row's turn; None where neither its input nor its answer was logged."""
    return batch.once("turns", _turns)


def offered(batch: RowBatch) -> list[Tools | None]:
    """Return the tools each row's model was offered; None where no definition was logged."""
    return batch.once("tools offered", _offered)


def parse(text: Any) -> Any:
    """Return what JSON says, None where it is none."""
    try:
        return orjson.loads(text) if isinstance(text, str | bytes) else text
    except orjson.JSONDecodeError:
        return None


def _turns(batch: RowBatch) -> list[Turn | None]:
    columns = (batch.values("input_messages"), batch.values("output_messages"))
    return [
        None if asked is None and given is None else _turn(asked, given)
        for asked, given in zip(*columns, strict=True)
    ]


def _turn(asked: str | None, given: str | None) -> Turn:
    turn = Turn()
    for message in _messages(asked):
        parts = list(_parts(message))
        results = [part for part in parts if part.get("type") == "tool_call_response"]
        if message.get("role") == "user" and not results:
            turn.before.clear()
            turn.results.clear()
        turn.results.extend(results)
        turn.before.extend(_calls(parts))
    for message in _messages(given):
        turn.now.extend(_calls(list(_parts(message))))
    return turn


def _messages(text: str | None) -> list[dict[str, Any]]:
    if text is None or _CALL not in text:
        return []
    found = parse(text)
    return [m for m in found if isinstance(m, dict)] if isinstance(found, list) else []


def _parts(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    parts = message.get("parts")
    yield from (p for p in parts if isinstance(p, dict)) if isinstance(parts, list) else ()


def _calls(parts: list[dict[str, Any]]) -> Iterator[Call]:
    for part in parts:
        if part.get("type") == "tool_call":
            name = part.get("name")
            yield Call(name if isinstance(name, str) else None, _arguments(part.get("arguments")))


def _arguments(sent: Any) -> Any:
    if sent is None or sent == "":
        return {}  # a call of a tool without parameters
    if not isinstance(sent, str):
        return sent
    try:
        return orjson.loads(sent)
    except orjson.JSONDecodeError:
        return UNREADABLE


def _offered(batch: RowBatch) -> list[Tools | None]:
    known: dict[str, Tools | None] = {}  # a service offers the same few tools in every row
    found = []
    for text in batch.values("tool_definitions"):
        if text is not None and text not in known:
            known[text] = _tools(parse(text))
        found.append(None if text is None else known[text])
    return found


def _tools(definitions: Any) -> Tools | None:
    if not isinstance(definitions, list) or not definitions:
        return None
    schemas: dict[str, Any] = {}
    whole = True
    for one in _flattened(definitions):
        name = one.get("name")
        if isinstance(name, str):
            schemas[name] = _schema(one)
        else:
            whole = False
    return Tools(schemas, whole)


def _flattened(definitions: list[Any]) -> Iterator[Mapping[str, Any]]:
    for one in definitions:
        one = parse(one)
        if not isinstance(one, Mapping):
            yield {}
            continue
        declared = next((one[key] for key in _DECLARED if isinstance(one.get(key), list)), None)
        inner = next((one[key] for key in _NAMING if isinstance(one.get(key), Mapping)), one)
        yield from (inner,) if declared is None else _flattened(declared)


def _schema(tool: Mapping[str, Any]) -> Any:
    found = parse(next((tool[key] for key in _SCHEMAS if key in tool), None))
    if isinstance(found, Mapping) and set(found) == {"json"}:
        found = found["json"]  # as Bedrock wraps it
    return found if isinstance(found, Mapping) else None
