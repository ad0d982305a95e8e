"""Bytes to records: lines, compression, and JSON with the repairs that real exports need.

Lines are split on the newline byte only: text functions also split on U+2028 and friends, which
are legal inside JSON strings and occur in real model answers.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import orjson

from loopllm_cli.errors import DataError, UnknownFormat, UsageError

STDIN = "-"
MAX_LINE_BYTES = 64 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_GZIP_MAGIC = b"\x1f\x8b"
_REFUSED_MAGIC = {
    b"PAR1": "a Parquet file",
    b"PK\x03\x04": "a zip archive",
    b"SQLite": "an SQLite database",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
_SUFFIXES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
_MAX_DIGITS = 4000  # Python itself refuses to read integers of more than 4300 digits


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


def expand_paths(paths: list[str]) -> list[str]:
    """Turn files, folders and `-` into a sorted list of files to read.

    Hidden files and folders below a folder are left out: the project's own state, with its
    rejects, is one of them.

    Raises:
        UsageError: a path does not exist.
        DataError: a folder holds no JSON Lines file.
    """
    files: list[str] = []
    for given in paths:
        path = Path(given)
        if given == STDIN or path.is_file() or path.is_fifo():
            files.append(given)
        elif path.is_dir():
            found = sorted(str(p) for p in path.rglob("*") if _is_export(p, path))
            if not found:
                raise DataError(
                    f"no .jsonl or .jsonl.gz file below {path}", "name the files themselves"
                )
            files.extend(found)
        else:
            raise UsageError(f"no such file: {given}", "check the path")
    return list(dict.fromkeys(files))


def _is_export(path: Path, below: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(below).parts)
    return not hidden and path.name.endswith(_SUFFIXES) and path.is_file()


def file_digest(path: str) -> str | None:
    """Return a digest of a file's bytes, which names its content in the store's history.

    Returns:
        None for stdin and pipes, which can be read only once.

    Raises:
        DataError: the file cannot be read.
    """
    if path == STDIN or not Path(path).is_file():
        return None
    with _open(path) as stream:
        try:
            return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
        except OSError as error:
            raise _cannot_read(path, error) from error


def iter_lines(path: str) -> Iterator[tuple[int, bytes]]:
    """Yield each line's number (from 1) and its bytes, without line end; gzip is seen by itself.

    A gzip stream that ends in mid-air yields what could be read, then one last line of its own
    that no decoder accepts, so that the loss shows in the rejects. A line beyond the limit is
    one such line, too.

    Raises:
        UnknownFormat: the file is of a kind that is not JSON Lines.
        DataError: the file cannot be read.
    """
    raw: IO[bytes] = sys.stdin.buffer if path == STDIN else _open(path)
    with raw:
        stream = _unpack(raw, path)
        number = 0
        try:
            while line := stream.readline(MAX_LINE_BYTES):
                number += 1
                if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
                    _skip_line(stream)
                    limit = f"line longer than {MAX_LINE_BYTES >> 20} MiB"
                    yield number, unreadable(line[:1024], limit)
                else:
                    # Concatenated parts bring their byte order marks along.
                    yield number, line.rstrip(b"\r\n").removeprefix(_BOM)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            yield number + 1, unreadable(b"<gzip>", "the gzip stream ends or breaks here")
        except OSError as error:
            raise _cannot_read(path, error) from error


def _skip_line(stream: IO[bytes]) -> None:
    while (rest := stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
        pass


def _open(path: str) -> IO[bytes]:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise _cannot_read(path, error) from error


def _cannot_read(path: str, error: OSError) -> DataError:
    return DataError(f"cannot read {path} ({error.strerror or error})", "check the file")


def _unpack(raw: IO[bytes], path: str) -> IO[bytes]:
    head = raw.peek(8)[:8] if hasattr(raw, "peek") else b""
    for magic, what in _REFUSED_MAGIC.items():
        if head.startswith(magic):
            raise UnknownFormat(
                f"{path} is {what}, not JSON Lines",
                "export JSON Lines (.jsonl or .jsonl.gz), or convert it first",
            )
    if head.startswith(_GZIP_MAGIC):
        return gzip.open(raw, "rb")  # type: ignore[return-value]
    return raw


def parse_record(line: bytes) -> dict[str, Any]:
    """Parse one line into an object, repairing what exporters are known to get wrong.

    orjson is the fast path. NaN, lone surrogates, raw control characters and integers beyond 64
    bits go through the standard library: they come out as null, U+FFFD, themselves, and exact.

    Raises:
        BadLine: the line is no JSON object.
    """
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


def _has_rounded(record: Any) -> bool:
    """Return whether orjson may have rounded an integer, which could be an id."""
    if not isinstance(record, dict):
        return False
    return any(
        _is_big(value)
        or (isinstance(value, dict) and any(_is_big(inner) for inner in value.values()))
        for value in record.values()
    )


def _is_big(value: Any) -> bool:
    return isinstance(value, float) and abs(value) >= 2**63


def _parse_leniently(line: bytes) -> Any:
    # Crashed writers and truncated rotations leave blocks of NUL at the ends of lines.
    text = line.strip(b"\x00").decode("utf-8", errors="replace")
    if "\x00" in text:
        raise BadLine("NUL bytes inside")
    try:
        value = json.loads(
            text,
            strict=False,
            parse_constant=lambda _: None,
            parse_float=_finite,
            parse_int=_whole,
        )
        return _storable(value)
    except json.JSONDecodeError:
        raise BadLine("invalid JSON") from None
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
    return value


def iter_records(path: str) -> Iterator[dict[str, Any]]:
    """Yield a file's records."""
    if path.endswith(".csv"):
        import csv

        with Path(path).open(newline="", encoding="utf-8") as stream:
            yield from csv.DictReader(stream)
        return
    if path.endswith(".json"):
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        yield from content if isinstance(content, list) else [content]
        return
    for _, line in iter_lines(path):
        if line.strip():
            yield parse_record(line)
