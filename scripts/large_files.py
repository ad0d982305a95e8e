"""Write the files whose reading could take too much memory."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.bench_logs import SHAPES, Texts, write_logs

# The longest line that these write; beyond 256 MiB a line is not gathered at all.
LINE_BYTES = 200_000_000


def _record(number: int, prompt: str, response: str) -> bytes:
    record: dict[str, Any] = {"id": f"r-{number}", "model": "m-1", "timestamp": 1_790_000_000}
    return json.dumps({**record, "prompt": prompt, "response": response}).encode()


def _between(path: Path, line: bytes, opening: bytes, comma: bytes, closing: bytes) -> None:
    """Write a long record between two short ones."""
    short = [_record(number, "Is it long?", "No.") for number in (1, 3)]
    path.write_bytes(opening + short[0] + comma + line + comma + short[1] + closing)


def _text(n_bytes: int) -> bytes:
    return _record(2, "Is it long?", "word " * (n_bytes // 5))


def _picture(n_bytes: int) -> bytes:
    content = base64.b64encode(random.Random(0).randbytes(n_bytes * 3 // 4)).decode()
    return _record(2, f"What is on it? data:image/png;base64,{content}", "A kettle.")


def lines(path: Path, n_bytes: int) -> None:
    """Write chat calls, one per line."""
    write_logs(path, "openai", n_bytes)


def array(path: Path, n_bytes: int) -> None:
    """Write flat records as one array on one line."""
    texts, n_written = Texts(0), 0
    with path.open("wb") as stream:
        stream.write(b"[")
        while n_written < n_bytes:
            record = json.dumps(SHAPES["flat"](n_written, texts)).encode()
            n_written += stream.write(b"," + record if n_written else record)
        stream.write(b"]")


def line_of_text(path: Path, n_bytes: int) -> None:
    """Write one line of text between two short ones."""
    _between(path, _text(min(n_bytes, LINE_BYTES)), b"", b"\n", b"\n")


def line_with_picture(path: Path, n_bytes: int) -> None:
    """Write one line that is mostly a picture between two short ones."""
    _between(path, _picture(min(n_bytes, LINE_BYTES)), b"", b"\n", b"\n")


def array_with_picture(path: Path, n_bytes: int) -> None:
    """Write one array on one line, one of whose records is mostly a picture."""
    _between(path, _picture(min(n_bytes, LINE_BYTES)), b"[", b",", b"]")


def array_of_numbers(path: Path, n_bytes: int) -> None:
    """Write an array of numbers behind one record: nothing of it can be used."""
    path.write_bytes(b"[" + _record(1, "p", "r") + b",1234567" * (n_bytes // 8) + b"]")


LARGE_FILES: dict[str, Callable[[Path, int], None]] = {
    "lines": lines,
    "array on one line": array,
    "line of text": line_of_text,
    "line with a picture": line_with_picture,
    "array with a picture": array_with_picture,
    "array of numbers": array_of_numbers,
}
