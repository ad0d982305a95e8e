"""Signals about agents: whether tool calls are sound, repeated, many, and whether tools failed.

They read one row at a time: the answer's own calls, and those in its input since the user last
spoke, which is how agents log their steps. `tool_call` (how often any tool is called) is among
the signals of serving.

Why these tolerances: a call that no tool can take breaks what follows, so unknown tools and
arguments that do not parse are incidents at one in two hundred calls, as errors are; arguments
against the schema, repeated calls and failing tools at one in a hundred, because tools and
models recover from some; the number of steps is time, and a fifth more of it is noticed, as for
latency.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import orjson

from loopllm_cli.model import SignalKind, Worse
from loopllm_cli.signals.batch import FloatArray, RowBatch
from loopllm_cli.signals.json_schema import satisfies
from loopllm_cli.signals.registry import signal
from loopllm_cli.signals.turns import UNREADABLE, Call, Tools, Turn, offered, parse, turns

_ERROR_TEXT = re.compile(
    r"\s*(?:<error>|error\b|exception\b|traceback \(most recent|failed to |(?:\w+\.)*\w+error:"
    r"|tool execution failed|http error|\d{3} (?:client|server) error)",
    re.IGNORECASE,
)
_ERROR_STATES = ("error", "failed", "failure")
_RESULT_CHARS = 4_000  # of a tool's result, to tell an error: they say so at once


def _per_answer(
    batch: RowBatch, measure: Callable[[Turn, Tools | None], float | None]
) -> FloatArray:
    rows = zip(turns(batch), offered(batch), strict=True)
    measured = (None if turn is None else measure(turn, tools) for turn, tools in rows)
    return np.array([np.nan if m is None else float(m) for m in measured], dtype=np.float64)


@signal("tool_unknown", SignalKind.RATE, Worse.UP, 0.005)
def tool_unknown(batch: RowBatch) -> FloatArray:
    """Answers that call a tool that was not offered, among those that call tools.

    Applies where the tools on offer were logged.

    Blind spots: logs without tool definitions; tools that an agent's framework adds without
    logging them count as unknown in both windows alike.
    """

    def measure(turn: Turn, tools: Tools | None) -> float | None:
        if not turn.now or tools is None or not tools.whole:
            return None
        return float(any(call.name not in tools.schemas for call in turn.now))

    return _per_answer(batch, measure)


@signal("tool_arguments_broken", SignalKind.RATE, Worse.UP, 0.005)
def tool_arguments_broken(batch: RowBatch) -> FloatArray:
    """Answers with a tool call whose arguments are no JSON object, among those that call tools.

    Blind spots: libraries that repair or drop broken arguments before they log; tools that take
    free text (custom tools) count as broken in both windows alike.
    """

    def measure(turn: Turn, tools: Tools | None) -> float | None:
        if not turn.now:
            return None
        return float(any(not isinstance(call.arguments, Mapping) for call in turn.now))

    return _per_answer(batch, measure)


@signal("tool_arguments_invalid", SignalKind.RATE, Worse.UP, 0.01)
def tool_arguments_invalid(batch: RowBatch) -> FloatArray:
    """Answers with a tool call whose arguments do not satisfy the tool's logged schema.

    Among those that call a tool with a schema by arguments that parse.

    Blind spots: values that satisfy the schema and are wrong; keywords that are not followed
    (patterns and formats among them, see `json_schema`); schemas that were not logged.
    """
    return _per_answer(batch, _invalid)


def _invalid(turn: Turn, tools: Tools | None) -> float | None:
    if tools is None:
        return None
    said = [
        satisfies(call.arguments, tools.schemas[call.name])
        for call in turn.now
        if call.name is not None
        and tools.schemas.get(call.name) is not None
        and isinstance(call.arguments, Mapping)
    ]
    known = [fits for fits in said if fits is not None]
    return float(not all(known)) if known else None


@signal("tool_repeated", SignalKind.RATE, Worse.UP, 0.01)
def tool_repeated(batch: RowBatch) -> FloatArray:
    """Answers that call a tool once more with the same arguments, among those that call tools.

    The same call earlier in the answer, or in its input since the user last spoke.

    Blind spots: loops whose arguments differ a little, and rows that log no earlier steps;
    polling a job until it is done looks like a loop.
    """

    def measure(turn: Turn, tools: Tools | None) -> float | None:
        if not turn.now:
            return None
        before = {_key(call) for call in turn.before}
        now = [_key(call) for call in turn.now]
        return float(len(set(now)) < len(now) or bool(before.intersection(now)))

    return _per_answer(batch, measure)


def _key(call: Call) -> tuple[str | None, bytes]:
    if call.arguments is UNREADABLE:
        return call.name, b""
    try:
        return call.name, orjson.dumps(call.arguments, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # nested too deeply for any tool: such calls are taken for different ones
        return call.name, str(id(call)).encode()


@signal("tool_steps", SignalKind.AMOUNT, Worse.UP, 0.20, unit="calls")
def tool_steps(batch: RowBatch) -> FloatArray:
    """Tool calls between the user's message and the final answer, where tools are in play.

    Measured on answers that call no tool, whose row offers tools or shows calls.

    Blind spots: calls made by other rows whose input does not repeat them; a turn that never
    reached a final answer, which `tool_repeated` and `error` may show. Fewer steps show as
    "better", also where the model guesses instead of looking up.
    """

    def measure(turn: Turn, tools: Tools | None) -> float | None:
        if turn.now or (tools is None and not turn.before):
            return None
        return float(len(turn.before))

    return _per_answer(batch, measure)


@signal("tool_error", SignalKind.RATE, Worse.UP, 0.01)
def tool_error(batch: RowBatch) -> FloatArray:
    """Turns with a tool result that is an error, among those with a tool result.

    An error is a result marked so (is_error, status, an `error` that says something), or a text
    that begins as error messages do.

    Blind spots: errors told in other words or another language; an exporter that drops the
    mark; the fault may be the tool's and not the model's.
    """

    def measure(turn: Turn, tools: Tools | None) -> float | None:
        return float(any(map(is_error, turn.results))) if turn.results else None

    return _per_answer(batch, measure)


def is_error(part: Mapping[str, Any]) -> bool:
    """Say whether the part of a message with a tool's result tells of an error."""
    if _marked(part):
        return True
    response = part.get("response")
    if isinstance(response, str):
        text = response
        response = parse(text) if text.lstrip()[:1] in ("{", "[") else text
        if response is None or isinstance(response, str):
            return _ERROR_TEXT.match(text[:_RESULT_CHARS]) is not None
    return isinstance(response, Mapping) and _marked(response)


def _marked(said: Mapping[str, Any]) -> bool:
    if said.get("is_error") is True or said.get("isError") is True:
        return True
    status = said.get("status")
    if isinstance(status, str) and status.lower() in _ERROR_STATES:
        return True
    error = said.get("error")
    return error is True or (isinstance(error, str | Mapping | list) and bool(error))
