"""Strict readings of single values: times, numbers, texts, each or a reason why not."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from loopllm_cli.sources.reading import BadLine

_EARLIEST = datetime(2018, 1, 1, tzinfo=UTC)
_INT64 = 2**63


def get_path(record: dict[str, Any], path: str) -> Any:
    """Follow a dotted path (`request.body.model`, `choices.0.text`); None where it ends early.

    Example:
        >>> get_path({"a": [{"b": 1}]}, "a.0.b")
        1
    """
    if path in record:
        return record[path]
    value: Any = record
    for step in path.split("."):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def to_text(value: Any) -> str | None:
    """Read a text or an id; numbers become their digits, everything else is missing."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return str(value)


def to_number(value: Any) -> float | None:
    """Read a finite number, also from strings such as "61" or "1,234"."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value.replace(",", "") if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def to_count(value: Any) -> int | None:
    """Read a non-negative whole number that fits the store."""
    number = to_number(value)
    if number is None or number < 0 or number != int(number) or number >= _INT64:
        return None
    return int(number)


def to_time(value: Any, date_format: str | None = None) -> datetime | None:
    """Read a time as UTC: ISO 8601, epoch in s, ms, µs or ns, or by an explicit format.

    Times without a zone are taken as UTC. Times before 2018 or in the future are missing: they
    are defaults and broken clocks.

    Args:
        date_format: a `strptime` format for texts; needed where day and month could be confused.

    Raises:
        BadLine: a date such as 07/02/2023 that has two readings.
    """
    if value is None or value == "":
        return None
    number = to_number(value)
    moment = _from_epoch(number) if number is not None else _from_text(str(value), date_format)
    if moment is None:
        return None
    latest = datetime.now(UTC) + timedelta(days=1)
    return moment if _EARLIEST <= moment <= latest else None


def _from_epoch(number: float) -> datetime | None:
    for limit, divisor in ((1e11, 1), (1e14, 1e3), (1e17, 1e6), (1e20, 1e9)):
        if number < limit:
            try:
                return datetime.fromtimestamp(number / divisor, UTC)
            except (ValueError, OverflowError, OSError):
                return None
    return None


def _from_text(text: str, date_format: str | None) -> datetime | None:
    if date_format:
        try:
            moment = datetime.strptime(text.strip(), date_format)
        except ValueError:
            raise BadLine(f"time does not match --date-format {date_format}") from None
    else:
        try:
            moment = datetime.fromisoformat(text.strip())
        except ValueError:
            if "/" in text:
                raise BadLine("date with / has two readings; give --date-format") from None
            return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
