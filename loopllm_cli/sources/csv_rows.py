"""Rows of a CSV or TSV file as records, one per row, cells as text."""

from __future__ import annotations

import codecs
import csv
import itertools
from collections import deque
from collections.abc import Iterator
from typing import Any

from loopllm_cli.sources.columns import ALIASES
from loopllm_cli.sources.reading import unreadable

CUT_CELL_CHARS = 32_767  # what a spreadsheet keeps of a longer cell
CUT_MARK = "[truncated]"
_MAX_ROW_CHARS = 32 * 1024 * 1024
_TOO_LONG = "a row that is too long"
# How far ahead is looked for rows behind a quote that does not close, and how often in all.
_MAX_LINES_OF_A_CELL = 1000
_LINES_AHEAD = 50
_MAX_TIMES_AGAIN = 32
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

    A row that cannot be read (more cells than the header, a quote that does not close) is handed
    out as text that no decoder accepts, and the rows that such a quote has swallowed are read. A
    cell of exactly 32,767 characters was cut by a spreadsheet: it is marked as truncated.
    """
    csv.field_size_limit(_MAX_ROW_CHARS)
    found = _text_lines(blocks)
    header = next(found, "")
    delimiter, _ = _split_header(header.strip())
    lines = _Lines(itertools.chain([header], found))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    names: list[str] = []
    while True:
        number = lines.begin_row()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            only = _mended(lines.taken, delimiter)
            if only is None:
                head = lines.taken[0][:1024].encode("utf-8", "replace") if lines.taken else b""
                yield number, unreadable(head, _reason(error))
                lines.read_again(len(names), delimiter)
                continue
            cells = only
        if not names:
            names = [cell.strip().lstrip("\ufeff") for cell in cells]
        elif not any(cells):
            continue
        elif any(cells[len(names) :]):
            head = delimiter.join(cells)[:1024].encode("utf-8", "replace")
            yield number, unreadable(head, "a row with more cells than the header")
        else:
            yield number, _record(names, cells)


class _TooLong(str):
    """The beginning of a line that is too long to be kept."""


class _Lines:
    """Lines for the CSV reader, which remember what the row at hand has taken of them."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._again: deque[str] = deque()
        self._number = 1
        self._n_chars = 0
        self._n_chars_again = 0
        self.taken: list[str] = []

    def begin_row(self) -> int:
        """Return the number of the line that comes next."""
        self._number += len(self.taken)
        self.taken, self._n_chars = [], 0
        return self._number

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.taken.append(line)
        self._n_chars += len(line)
        if isinstance(line, _TooLong) or self._n_chars > _MAX_ROW_CHARS:
            raise csv.Error(_TOO_LONG)
        return line

    def read_again(self, n_cells: int, delimiter: str) -> None:
        """Give back the lines that a broken row has swallowed, from where rows begin again.

        Those before are the lines of a cell, which could pass for rows one by one.
        """
        self._n_chars_again += self._n_chars
        if self._n_chars_again > _MAX_TIMES_AGAIN * _MAX_ROW_CHARS:
            return
        for at in range(1, min(len(self.taken), _MAX_LINES_OF_A_CELL)):
            if _begins_rows(self.taken[at : at + _LINES_AHEAD], n_cells, delimiter):
                self._again.extendleft(reversed(self.taken[at:]))
                del self.taken[at:]
                return


def _begins_rows(lines: list[str], n_cells: int, delimiter: str) -> bool:
    """Return whether the next rows, three if there are so many, are as long as the header."""
    n = 0
    try:
        for cells in csv.reader(lines, delimiter=delimiter, strict=True):
            if len(cells) != n_cells or n_cells < 2:
                return False
            n += 1
            if n == 3:
                return True
    except csv.Error:
        pass  # the row goes on behind these lines
    return n > 0


def _mended(taken: list[str], delimiter: str) -> list[str] | None:
    """Read a line with text beside its quotes, or carriage returns, as it is meant."""
    if len(taken) != 1 or isinstance(taken[0], _TooLong) or taken[0].count('"') % 2:
        return None
    line = taken[0].rstrip("\r\n").replace("\r", " ")
    try:
        return next(csv.reader([line], delimiter=delimiter), None)
    except csv.Error:
        return None


def _reason(error: csv.Error) -> str:
    said = str(error)
    return _TOO_LONG if said == _TOO_LONG or "limit" in said else "a quote that does not close"


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
    rest, skipping = "", False
    for block in blocks:
        text = rest + decoder.decode(block).replace("\x00", "\ufffd")
        *whole, rest = text.split("\n")
        if skipping and whole:
            skipping = False
            del whole[0]
        yield from (line + "\n" for line in whole)
        if skipping:
            rest = ""
        elif len(rest) > _MAX_ROW_CHARS:
            yield _TooLong(rest[:1024])
            rest, skipping = "", True
    if rest:
        yield rest
