"""Rows of a CSV or TSV file as records, one per row, cells as text."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from typing import Any

from loopllm_cli.sources.columns import ALIASES
from loopllm_cli.sources.files import BLOCK_BYTES
from loopllm_cli.sources.reading import unreadable

CUT_CELL_CHARS = 32_767  # what a spreadsheet keeps of a longer cell
CUT_MARK = "[truncated]"
_MAX_CELL_CHARS = 32 * 1024 * 1024
_DELIMITERS = (",", ";", "\t")
_KNOWN_COLUMNS = {name for names in ALIASES.values() for name in names} | {
    *("traceId", "trace_id", "request_body", "trace_input", "messages", "prompt", "response"),
}


def looks_like_csv(head: bytes, is_stream: bool) -> bool:
    """Return whether a text begins with a header of columns that we know."""
    line = head.split(b"\n", 1)[0].decode("utf-8", "replace").strip()
    if len(line) > 10_000 or line[:1] in "{[":
        return False
    names = _split_header(line)[1]
    return len(names) > 1 and bool(_KNOWN_COLUMNS & set(names))


def iter_csv_rows(blocks: Iterator[bytes]) -> Iterator[tuple[int, bytes | dict[str, Any]]]:
    """Yield each row's line number (from 1, the header's) and its record; empty cells are left out.

    A row with more cells than the header is handed out as text that no decoder accepts. A cell
    of exactly 32,767 characters was cut by a spreadsheet: it is marked as truncated.
    """
    csv.field_size_limit(_MAX_CELL_CHARS)
    lines = _text_lines(blocks)
    header = next(lines, "")
    delimiter, _ = _split_header(header.strip())
    reader = csv.reader(_again(header, lines), delimiter=delimiter)
    names: list[str] = []
    while True:
        before = reader.line_num
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield before + 1, unreadable(b"<csv>", f"a broken CSV row ({error})")
            continue
        if not names:
            names = [cell.strip().lstrip("\ufeff") for cell in cells]
        elif not any(cells):
            continue
        elif len(cells) > len(names):
            head = delimiter.join(cells)[:1024].encode("utf-8", "replace")
            yield before + 1, unreadable(head, "a row with more cells than the header")
        else:
            yield before + 1, _record(names, cells)


def _record(names: list[str], cells: list[str]) -> dict[str, Any]:
    return {
        name: cell + CUT_MARK if len(cell) == CUT_CELL_CHARS else cell
        for name, cell in zip(names, cells, strict=False)
        if cell != ""
    }


def _split_header(line: str) -> tuple[str, list[str]]:
    """Return the delimiter that splits a header into most names, and the names."""
    found = []
    for delimiter in _DELIMITERS:
        try:
            cells = next(csv.reader([line], delimiter=delimiter), [])
        except csv.Error:
            cells = []
        found.append((len(cells), delimiter, [cell.strip() for cell in cells]))
    _, delimiter, names = max(found, key=lambda f: (f[0], -_DELIMITERS.index(f[1])))
    return delimiter, names


def _text_lines(blocks: Iterator[bytes]) -> Iterator[str]:
    """Yield lines with their ends, split on newlines only (csv joins quoted ones again)."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
    rest = ""
    for block in blocks:
        text = rest + decoder.decode(block).replace("\x00", "\ufffd")
        *whole, rest = text.split("\n")
        yield from (line + "\n" for line in whole)
        if len(rest) > 4 * BLOCK_BYTES:
            yield rest
            rest = ""
    if rest:
        yield rest


def _again(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest
