"""Signals about the form of answers: JSON, code fences, lists, links, closing questions.

Why these tolerances: JSON feeds programs, so one answer in a hundred that stops being JSON is
an incident; fences two points, because parsers downstream strip or expect them; lists and
closing questions are style, where five points is what a reader would call a new style; links
two points, because each is a claim to check.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson

from loopllm_cli.model import SignalKind, Worse
from loopllm_cli.signals.batch import FloatArray, RowBatch, each
from loopllm_cli.signals.registry import signal
from loopllm_cli.signals.texts import Fence, answer_fences, answers_lowered

_QUOTED = r"""(?:"[^"\n]{0,200}"|'[^'\n]{0,200}')"""
# Openings that only JSON has; "[Yes]", "[a link](…)", "[1] a source" and "{name}" are not here.
_OBJECT_OPENS = re.compile(rf"\{{\s*{_QUOTED}\s*:")
_LOOSE_OBJECT_OPENS = re.compile(r"\{\s*[A-Za-z_$][\w$-]{0,80}\s*:")
_NESTED_ARRAY_OPENS = re.compile(r"""\[\s*(?:\{\s*["'}]|\[\s*["'\d{[-])""")
_PLAIN_ARRAY_OPENS = re.compile(rf"\[\s*(?:{_QUOTED}|-?\d[\d.eE+-]{{0,40}})\s*,")

_LIST_LINE = re.compile(r"^[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t]+\S", re.MULTILINE)
_MIN_LIST_LINES = 2
_AFTER_QUESTION = " \t\r\n\"'*_)]»”’`"


def parse_container(text: str) -> Any | None:
    """Return the one JSON object or array that a text consists of, None where it is not one."""
    stripped = text.strip()
    if not stripped or stripped[0] not in "{[" or stripped[-1] not in "}]":
        return None
    try:
        return orjson.loads(stripped)
    except orjson.JSONDecodeError:
        return None


def find_json(text: str, fences: list[Fence]) -> Any | None:
    """Return the JSON object or array that an answer, or its only fence, consists of."""
    parsed = parse_container(text)
    if parsed is None and len(fences) == 1:
        parsed = parse_container(fences[0].body)
    return parsed


def is_broken_json(text: str, fences: list[Fence]) -> bool:
    """Say whether an answer was meant as JSON, in whole or in a json fence, and does not parse."""
    stripped = text.strip()
    if _opens_as_json(stripped):
        return not _parses(stripped)
    if len(fences) == 1 and not fences[0].label and _opens_as_json(fences[0].body.strip()):
        return not _parses(fences[0].body)
    return any(fence.label == "json" and not _parses(fence.body) for fence in fences)


def _opens_as_json(stripped: str) -> bool:
    if stripped[:1] == "{":
        if _OBJECT_OPENS.match(stripped):
            return True
        return stripped[-1] == "}" and _LOOSE_OBJECT_OPENS.match(stripped) is not None
    if stripped[:1] == "[":
        if _NESTED_ARRAY_OPENS.match(stripped):
            return True
        # "[1, 2, 3] is the sorted list" is a sentence; "[1, 2," was cut off.
        whole = stripped[-1] == "]" or "]" not in stripped
        return whole and _PLAIN_ARRAY_OPENS.match(stripped) is not None
    return False


def _parses(text: str) -> bool:
    try:
        orjson.loads(text.strip())
    except orjson.JSONDecodeError:
        return _is_json_lines(text)
    return True


def _is_json_lines(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.strip()]
    return len(lines) > 1 and all(parse_container(line) is not None for line in lines)


@signal("json_answer", SignalKind.RATE, Worse.DOWN, 0.01)
def json_answer(batch: RowBatch) -> FloatArray:
    """Answers that are, or whose only fenced block is, one JSON object or array that parses.

    Applies to every answer, so that an answer that stops being JSON is seen.

    Blind spots: JSON inside a sentence without a fence, JSON with comments, single values (a
    number, a text), and an object with the wrong keys: only the syntax is judged.
    """
    return _with_fences(batch, lambda text, fences: find_json(text, fences) is not None)


@signal("json_broken", SignalKind.RATE, Worse.UP, 0.01)
def json_broken(batch: RowBatch) -> FloatArray:
    """Answers that open like JSON, or have a block marked json, that does not parse.

    Blind spots: broken JSON after a sentence without a fence, and JSON Lines cut off in the middle.
    Python's dictionaries and JavaScript's objects count as broken JSON.
    """
    return _with_fences(batch, is_broken_json)


def _with_fences(batch: RowBatch, says: Callable[[str, list[Fence]], bool]) -> FloatArray:
    rows = zip(batch.responses, answer_fences(batch), strict=True)
    return np.array(
        [np.nan if t is None or f is None else float(says(t, f)) for t, f in rows],
        dtype=np.float64,
    )


@signal("code_fence", SignalKind.RATE, Worse.EITHER, 0.02)
def code_fence(batch: RowBatch) -> FloatArray:
    """Answers with a fenced block (between lines that begin with ``` or ~~~).

    Blind spots: code without a fence, or indented by four blanks, is not seen; a fence around prose
    is.
    """
    return each(answer_fences(batch), lambda fences: bool(fences))


@signal("list_answer", SignalKind.RATE, Worse.EITHER, 0.05)
def list_answer(batch: RowBatch) -> FloatArray:
    """Answers with two or more lines that begin with a bullet or a number.

    Blind spots: lists written as prose or as HTML are not seen; a diff or a dialogue with dashes
    is.
    """
    return each(batch.responses, _has_list)


def _has_list(text: str) -> bool:
    lines = _LIST_LINE.finditer(text)
    return sum(1 for _ in zip(lines, range(_MIN_LIST_LINES), strict=False)) == _MIN_LIST_LINES


@signal("link", SignalKind.RATE, Worse.EITHER, 0.02)
def link(batch: RowBatch) -> FloatArray:
    """Answers with a web address (http://, https:// or www.).

    Blind spots: addresses without http:// or www., and whether the address exists.
    """
    return each(
        answers_lowered(batch),
        lambda t: ("://" in t and ("http://" in t or "https://" in t)) or "www." in t,
    )


@signal("question_back", SignalKind.RATE, Worse.EITHER, 0.05)
def question_back(batch: RowBatch) -> FloatArray:
    """Answers whose last sentence is a question.

    Blind spots: a question that is followed by another sentence is not seen; one that ends a poem
    or a quiz is.
    """
    return each(batch.responses, lambda t: t.rstrip(_AFTER_QUESTION).endswith(("?", "？", "؟")))
