"""Strict readings of single values: times, numbers, texts, each or a reason why not."""

from __future__ import annotations

import base64
import json
import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from loopllm_cli.sources.reading import BadLine

_EARLIEST = datetime(2018, 1, 1, tzinfo=UTC)
_INT64 = 2**63
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
_YEAR_FIRST = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})(?=\D|$)")
_TWO_READINGS = re.compile(r"\d{1,2}([/.-])\d{1,2}\1\d{2,4}(?=\D|$)")
_NO_ERROR = ("", "0", "none", "null", "false")


def get_path(record: dict[str, Any], path: str) -> Any:
    """Follow a dotted path (`request.body.model`, `choices.0.text`); None where it ends early.

    Example:
        >>> get_path({"a": [{"b": 1}]}, "a.0.b")
        1
    """
    if path in record:
        return record[path]
    if "." not in path:
        return None
    value: Any = record
    for step in path.split("."):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def to_text(value: Any) -> str | None:
    """Read a text or an id; numbers become their digits, everything else is missing."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # A whole number may be too large for the question whether it is finite.
    return str(value) if isinstance(value, int) or math.isfinite(value) else None


def to_error(value: Any) -> str | None:
    """Read what a record calls its error; empty, false and "none" mean that there was none."""
    if isinstance(value, dict):
        named = (to_text(value.get(key)) for key in ("code", "type", "message"))
        return next((name for name in named if name), "error") if value else None
    if isinstance(value, bool | list):
        return "error" if value else None
    text = to_text(value)
    return None if text is None or text.strip().lower() in _NO_ERROR else text


def to_number(value: Any) -> float | None:
    """Read a finite number, also from strings such as "61" or "1,234".

    A comma counts only where it groups thousands: "0,5" is missing rather than 5.
    """
    kind = type(value)
    if kind is int or kind is float:
        return _finite(value)
    if value is None or kind is bool:
        return None
    if kind is str and _GROUPED.fullmatch(value.strip()):
        value = value.replace(",", "")
    return _finite(value)


def _finite(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def to_count(value: Any) -> int | None:
    """Read a non-negative whole number that fits the store."""
    if type(value) is int:
        return value if 0 <= value < _INT64 else None
    if value is None:
        return None
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
    if isinstance(value, str) and value.strip() and (date_format or to_number(value) is None):
        moment = _from_text(value.strip(), date_format)
    elif isinstance(value, datetime):  # a column of a Parquet file
        moment = _to_utc(value)
    else:
        number = to_number(value)
        moment = _from_epoch(number) if number is not None else None
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
        return _by_format(text, date_format)
    plain = _YEAR_FIRST.sub(_with_dashes, text).removesuffix(" UTC").removesuffix(" GMT")
    try:
        return _to_utc(datetime.fromisoformat(plain))
    except ValueError:
        if _TWO_READINGS.match(text):
            raise BadLine("date that has two readings; give --date-format") from None
        return None


def _by_format(text: str, date_format: str) -> datetime | None:
    try:
        return _to_utc(datetime.strptime(text, date_format))
    except ValueError:
        number = to_number(text)
        if number is None:
            raise BadLine(f"time does not match --date-format {date_format}") from None
        return _from_epoch(number)


def _with_dashes(match: re.Match[str]) -> str:
    return f"{match[1]}-{match[2]:0>2}-{match[3]:0>2}"


def _to_utc(moment: datetime) -> datetime | None:
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:  # the first and the last day of the calendar: a default, not a time
        return None


def as_json(value: Any, levels: int = 3) -> Any:
    """Undo JSON that an exporter wrote into a string, up to three times over.

    A text that only looks like JSON comes back as it is.

    Example:
        >>> as_json('"{\\\\"a\\\\": 1}"')
        {'a': 1}
    """
    while levels and isinstance(value, str) and value[:1] in _OPENINGS and value:
        try:
            inner = orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
        if not isinstance(inner, dict | list | str):
            return value
        value, levels = inner, levels - 1
    return value


_OPENINGS = ("{", "[", '"')


def read_stored(text: str) -> Any:
    """Read JSON that `to_json` wrote; whole numbers beyond 64 bits come back exact."""
    if not _LONG_NUMBER.search(text):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:  # NaN out of a Parquet file
            pass
    return json.loads(text)


def first_of(record: dict[str, Any], *paths: str) -> Any:
    """Return the first value that is there among dotted paths; None where none is."""
    for path in paths:
        value = get_path(record, path)
        if value is not None:
            return value
    return None


def to_hex_id(value: Any) -> str | None:
    """Read a trace or span id as lower-case hex: also from `0x...`, upper case and base64.

    OTLP's JSON has hex, protobuf's own JSON mapping has base64; an id in neither form (another
    vendor's) stays as it is.

    Example:
        >>> to_hex_id("fB8KUua5TQ+aO10hyOT2EA==")
        '7c1f0a52e6b94d0f9a3b5d21c8e4f610'
    """
    text = to_text(value)
    if not text:
        return None
    plain = text.lower().removeprefix("0x")
    if _HEX.fullmatch(plain):
        return plain
    if len(text) in (12, 24) and text.endswith("="):
        try:
            return base64.b64decode(text, validate=True).hex()
        except ValueError:
            return text
    return text


_LONG_NUMBER = re.compile(r"\d{19}")
_HEX = re.compile(r"[0-9a-f]{16}|[0-9a-f]{32}")
