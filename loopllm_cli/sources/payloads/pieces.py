"""Readings that the records of several vendors need: parts of a record that are no payload."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from loopllm_cli.sources.columns import ALIASES
from loopllm_cli.sources.fields import as_json, to_error, to_text
from loopllm_cli.sources.rows import Record, Row, to_json

_EMPTY: tuple[Any, ...] = (None, "", {}, [])
_MAX_ERROR_CHARS = 80


def as_dict(value: Any) -> dict[str, Any]:
    """Return an object, also from JSON in a string; an empty one where there is none."""
    value = as_json(value)
    return value if isinstance(value, dict) else {}


def text_of_value(value: Any) -> str | None:
    """Read a text or an id; an empty one is missing."""
    return to_text(value) or None


def text_list(value: Any) -> list[str] | None:
    """Read a list of texts, such as tags; None where there is none."""
    value = as_json(value)
    texts = [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
    return texts or None


def leftover(record: Record, used: set[str]) -> str | None:
    """Serialise what was not read of a record, without what is empty."""
    rest = {k: v for k, v in record.items() if k not in used and v not in _EMPTY}
    return to_json(rest) if rest else None


def to_version(*times: datetime | None) -> int | None:
    """Return the latest of some times in microseconds: a version that grows with each change."""
    known = [int(time.timestamp() * 1_000_000) for time in times if time is not None]
    return max(known, default=None)


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """Return how long something took; None where an end is missing or before its start."""
    if start is None or end is None or end < start:
        return None
    return (end - start).total_seconds()


def exception_name(value: Any) -> str | None:
    """Read the name of an error from what was printed of it, which may be a whole traceback.

    Example:
        >>> exception_name("Traceback (most recent call last):\\nopenai.RateLimitError: 429")
        'openai.RateLimitError'
    """
    error = to_error(value)
    if error is None:
        return None
    lines = [line.strip() for line in error.split("\n") if line.strip()]
    return lines[-1].split(": ", 1)[0][:_MAX_ERROR_CHARS] if lines else "error"


def target_of(rows: list[Row], *, span: str | None, trace: str | None, is_root: bool) -> Row:
    """Name what a vote inside a span's record is about.

    A span with several answers is named by its id alone: which answer was meant is not known.
    The root's votes are the trace's where the root itself is no response.
    """
    if len(rows) == 1:
        return {"target_id": rows[0]["interaction_id"], "target_key": "interaction_id"}
    kind = "span" if rows or not is_root else "trace"
    return {"target_kind": kind, "target_span_id": span, "target_trace_id": trace}


def is_question(value: Any) -> bool:
    """Return whether a function was given one question: a text, messages, or a dict of these."""
    value = as_json(value)
    if isinstance(value, dict):
        return isinstance(value.get("messages"), list) or _has_text(value, "prompt")
    return _is_text(value) or _is_messages(value)


def is_answer(value: Any) -> bool:
    """Return whether a function returned one answer: a text, a message, or a dict of these."""
    value = as_json(value)
    if isinstance(value, dict):
        return _has_text(value, "response") or _is_text(value.get("content"))
    return _is_text(value) or (_is_messages(value) and value[-1].get("role") == "assistant")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_messages(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(message, dict) and "role" in message for message in value)
    )


def _has_text(value: dict[str, Any], name: str) -> bool:
    named = any(_is_text(value.get(key)) for key in ALIASES[name])
    return named or (len(value) == 1 and all(_is_text(only) for only in value.values()))
