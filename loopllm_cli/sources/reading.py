"""One line to one record: JSON with the repairs that real exports need.

orjson is the fast path. What it refuses goes through the standard library: NaN becomes null,
lone surrogates become U+FFFD, raw control characters stay, integers beyond 64 bits stay exact.
Python's own notation is read as a last resort, as literals and never as code.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from typing import Any

import orjson

from loopllm_cli.sources.python_repr import from_python_repr

MAX_RECORD_BYTES = 32 * 1024 * 1024
BOM = b"\xef\xbb\xbf"
NOTHING = b" \t\r\n\x0b\x0c\x00"  # NUL: what crashed writers leave
_HEAD_BYTES = 1024
_FIRST_ROUNDED = 2.0**63
_MAX_DIGITS = 4000  # Python itself refuses to read integers of more than 4300 digits
_MIN_BLOB_CHARS = 4096
# Some writers escape the slash, in JSON and so in base64.
_BLOB = re.compile(
    rb"data:([\w.+-]{1,100}\\?/[\w.+-]{1,100})?+(?:;[\w=.+-]{1,100}+){0,8};base64,"
    rb"((?:[\w+/=-]++|\\/)*+)"
)
_PREFIXED = (b"data:", b"event:", b"id:", b"retry:", b":")


class BadLine(Exception):
    """A line that cannot become a record; the text is the reason kept in the rejects."""


class UnreadableLine(bytes):
    """The beginning of a line that could not be read to its end, with the reason."""

    reason = ""


def unreadable(head: bytes, reason: str) -> UnreadableLine:
    """Return a line that `parse_record` rejects with the given reason."""
    line = UnreadableLine(head)
    line.reason = reason
    return line


def is_blank(line: bytes) -> bool:
    """Return whether a line holds nothing to read: space, NUL, or an event stream's marks."""
    if line[:1] == b"{":
        return False
    line = line.strip(NOTHING)
    if not line or line == b"data: [DONE]" or line == b"data:[DONE]":
        return True
    return line.startswith(_PREFIXED) and not line.startswith(b"data:")


def parse_record(line: bytes) -> dict[str, Any]:
    """Parse one line into an object, repairing what exporters are known to get wrong.

    Pictures and sounds written into the text as base64 become `blob:<type>:<sha256>:<bytes>`.

    Raises:
        BadLine: the line is no JSON object.
    """
    if isinstance(line, UnreadableLine):
        raise BadLine(line.reason)
    if len(line) > _MIN_BLOB_CHARS:
        line = without_blobs(line)
        if isinstance(line, UnreadableLine):
            raise BadLine(line.reason)
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        record = _parse_leniently(line)
    else:
        if b"\\u0000" in line or _has_rounded(record):
            record = _parse_leniently(line)
    if not isinstance(record, dict):
        raise BadLine(f"not an object but {type(record).__name__}")
    return record


def without_blobs(line: bytes | bytearray) -> bytes:
    """Return a line without its embedded files: those are the bulk of the longest lines.

    A line that is too long even so becomes one that `parse_record` rejects.
    """
    short = _BLOB.sub(_blob, line) if b";base64," in line else bytes(line)
    if len(short) > MAX_RECORD_BYTES:
        reason = f"a record of more than {MAX_RECORD_BYTES >> 20} MiB of text"
        return unreadable(short[:_HEAD_BYTES], reason)
    return short


def _blob(found: re.Match[bytes]) -> bytes:
    """Name an embedded file by type, digest and size instead of keeping it."""
    start, end = found.span(2)
    if end - start < _MIN_BLOB_CHARS:
        return bytes(found[0])
    with memoryview(found.string) as line, line[start:end] as content:
        n_escaped = found.string.count(b"\\", start, end)
        read = bytes(content).replace(b"\\/", b"/") if n_escaped else content
        sha = hashlib.sha256(read).hexdigest()[:32].encode()
    n_bytes = (end - start - n_escaped) * 3 // 4
    return b"blob:%s:%s:%d" % (found[1] or b"unknown", sha, n_bytes)


def _has_rounded(record: Any) -> bool:
    """Return whether orjson may have rounded an integer, which could be an id."""
    waiting = [record] if isinstance(record, dict | list) else []
    while waiting:
        value = waiting.pop()
        for inner in value.values() if type(value) is dict else value:
            kind = type(inner)
            if kind is float:
                if inner >= _FIRST_ROUNDED or inner <= -_FIRST_ROUNDED:
                    return True
            elif kind is dict or kind is list:
                waiting.append(inner)
    return False


def _parse_leniently(line: bytes) -> Any:
    # Crashed writers and truncated rotations leave blocks of NUL at the ends of lines.
    text = line.strip(b"\x00").decode("utf-8", errors="replace")
    if "\x00" in text:
        raise BadLine("NUL bytes inside")
    text = text.removeprefix("\ufeff")
    if text.startswith("data:"):
        text = text[5:]
    try:
        value = json.loads(
            text,
            strict=False,
            parse_constant=lambda _: None,
            parse_float=_finite,
            parse_int=_whole,
        )
    except json.JSONDecodeError:
        value = from_python_repr(text.strip())
        if not isinstance(value, dict | list):
            raise BadLine("invalid JSON") from None
    except RecursionError:
        raise BadLine("nested too deeply") from None
    try:
        return _storable(value)
    except RecursionError:
        raise BadLine("nested too deeply") from None


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _whole(digits: str) -> int | None:
    return int(digits) if len(digits) < _MAX_DIGITS else None


def _storable(value: Any) -> Any:
    """Replace half characters (an emoji cut in two) and NUL, which other tools choke on."""
    if isinstance(value, str):
        if value.isascii():
            return value.replace("\x00", "\ufffd")
        halves = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return halves.replace("\x00", "\ufffd")
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
