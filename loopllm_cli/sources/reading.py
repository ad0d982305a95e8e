"""Bytes to records: lines, compression, and JSON with the repairs that real exports need.

Lines are split on the newline byte only: text functions also split on U+2028 and friends, which
are legal inside JSON strings and occur in real model answers.
"""

from __future__ import annotations

import gzip
import hashlib
import json
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
}


class BadLine(Exception):
    """A line that cannot become a record; the text is the reason kept in the rejects."""


def expand_paths(paths: list[str]) -> list[str]:
    """Turn files, folders and `-` into a sorted list of files to read.

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
            found = sorted(
                str(p)
                for p in path.rglob("*")
                if p.is_file() and p.name.endswith((".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz"))
            )
            if not found:
                raise DataError(
                    f"no .jsonl or .jsonl.gz file below {path}", "name the files themselves"
                )
            files.extend(found)
        else:
            raise UsageError(f"no such file: {given}", "check the path")
    return list(dict.fromkeys(files))


def file_digest(path: str) -> str:
    """Return a digest of a file's bytes, which names its content in the store's history."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def iter_lines(path: str) -> Iterator[tuple[int, bytes]]:
    """Yield each line's number (from 1) and its bytes, without line end; gzip is seen by itself.

    A gzip stream that ends in mid-air yields what could be read, then one last line of its own
    that no decoder accepts, so that the loss shows in the rejects.

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
                if number == 1:
                    line = line.removeprefix(_BOM)
                yield number, line.rstrip(b"\r\n")
        except (EOFError, zlib.error, gzip.BadGzipFile):
            yield number + 1, b"<the gzip stream ends or breaks here>"
        except OSError as error:
            raise DataError(f"cannot read {path} ({error.strerror})", "check the file") from error


def _open(path: str) -> IO[bytes]:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror})", "check the file") from error


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

    orjson is the fast path; NaN, lone surrogates and raw control characters go through the
    standard library and come out as null and U+FFFD.

    Raises:
        BadLine: the line is no JSON object.
    """
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        record = _parse_leniently(line)
    if not isinstance(record, dict):
        raise BadLine(f"not an object but {type(record).__name__}")
    return record


def _parse_leniently(line: bytes) -> Any:
    text = line.decode("utf-8", errors="replace").rstrip("\x00")
    try:
        value = json.loads(text, strict=False, parse_constant=lambda _: None)
    except (json.JSONDecodeError, RecursionError):
        raise BadLine("invalid JSON") from None
    return _without_surrogates(value)


def _without_surrogates(value: Any) -> Any:
    """Replace half characters (an emoji cut in two), which no Arrow string may hold."""
    try:
        dumped = json.dumps(value, ensure_ascii=False)
        dumped.encode("utf-8")
    except UnicodeEncodeError:
        return json.loads(dumped.encode("utf-8", "replace"))
    except RecursionError:
        raise BadLine("nested too deeply") from None
    return value
