"""Objects out of an array, or one after the other, however they are laid out.

A line reader fails on a JSON array, on pretty-printed records and on pages glued together; a
JSON parser fails as a whole on the trailing comma, the `][` or the missing end that exporters
leave. This scanner only counts brackets outside strings, and hands out each object's bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from loopllm_cli.sources.reading import MAX_RECORD_BYTES, unreadable

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{}\[\]"]', re.DOTALL)
_BETWEEN = b" \t\r\n,[]\xef\xbb\xbf"
_LISTS = rb"data|traces|results|items|records|observations|runs|value|rows|hits"
# An answer of an API: {"object": "list", "data": [ ...; the list's elements are the records.
_PAGE = re.compile(
    rb'\s*\{\s*(?:"[^"\\]{1,64}"\s*:\s*(?:"[^"\\]{0,256}"|[-\d.]+|true|false|null)\s*,\s*)*'
    rb'"(?:' + _LISTS + rb')"\s*:\s*\['
)
_MAX_RESYNCS = 1000


def is_page(head: bytes) -> bool:
    """Return whether a file begins with an object that wraps a list of records."""
    return _PAGE.match(head) is not None


def iter_objects(blocks: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield each object's line number (from 1) and its bytes.

    What stands between objects and is no separator comes out as an item of its own, and so
    does an object that never ends; after it, reading goes on at the next line that begins like
    it.
    """
    scanner = _Scanner()
    for block in blocks:
        yield from scanner.feed(block)
    yield from scanner.finish()


class _Scanner:
    def __init__(self) -> None:
        self._buffer = b""
        self._line = 1
        self._scanned = 0  # up to where the buffer has been looked at
        self._start = -1  # where the object begun; -1 between objects
        self._depth = 0
        self._closed = 0  # up to where everything has been handed out
        self._is_first = True
        self._in_page = False
        self._n_resyncs = 0
        self._indent = b""

    def feed(self, block: bytes) -> Iterator[tuple[int, bytes]]:
        self._buffer += block
        if self._is_first:
            self._enter_page()
        yield from self._scan()
        self._drop_handed_out()
        if self._start >= 0 and len(self._buffer) - self._start > 8 * MAX_RECORD_BYTES:
            yield from self._give_up("an object that is too large or never ends")

    def _enter_page(self) -> None:
        self._is_first = False
        page = _PAGE.match(self._buffer)
        if page:
            self._in_page = True
            self._scanned = self._closed = page.end()

    def _scan(self) -> Iterator[tuple[int, bytes]]:
        for token in _TOKEN.finditer(self._buffer, self._scanned):
            mark = token[0]
            if mark == b'"':
                # A string that is not closed yet: look again when more has come.
                self._scanned = token.start()
                return
            self._scanned = token.end()
            if mark in (b"{", b"["):
                if self._start >= 0:
                    self._depth += 1
                elif mark == b"{":
                    yield from self._garbage(token.start())
                    self._start, self._depth = token.start(), 1
                    line_start = self._buffer.rfind(b"\n", 0, self._start) + 1
                    self._indent = self._buffer[line_start : self._start][-64:].strip(b",[")
            elif mark in (b"}", b"]") and self._start >= 0:
                self._depth -= 1
                if self._depth == 0:
                    yield self._line_at(self._start), self._buffer[self._start : token.end()]
                    self._move_to(token.end())
            elif mark == b"]" and self._in_page:
                # The page's list has ended; what follows tells about the page alone.
                yield from self._garbage(token.start())
                self._in_page = False
                self._skip_page_tail(token.end())
                yield from self._scan()
                return
        self._scanned = max(self._scanned, len(self._buffer) if self._start < 0 else self._scanned)

    def _skip_page_tail(self, at: int) -> None:
        end = self._buffer.find(b"}", at)
        self._move_to(len(self._buffer) if end < 0 else end + 1)
        self._scanned = self._closed
        page = _PAGE.match(self._buffer, self._closed)
        if page:
            self._in_page = True
            self._scanned = self._closed = page.end()

    def _garbage(self, until: int) -> Iterator[tuple[int, bytes]]:
        between = self._buffer[self._closed : until].strip(_BETWEEN)
        if between.strip(b"\x00"):
            yield self._line_at(self._closed), between
        self._closed = until

    def _line_at(self, position: int) -> int:
        return self._line + self._buffer.count(b"\n", 0, position)

    def _move_to(self, position: int) -> None:
        self._start, self._depth, self._closed = -1, 0, position

    def _drop_handed_out(self) -> None:
        keep = self._start if self._start >= 0 else self._closed
        if keep:
            self._line += self._buffer.count(b"\n", 0, keep)
            self._buffer = self._buffer[keep:]
            self._scanned = max(self._scanned - keep, 0)
            self._closed = max(self._closed - keep, 0)
            self._start = 0 if self._start >= 0 else -1

    def _give_up(self, reason: str) -> Iterator[tuple[int, bytes]]:
        """Hand out an object that does not end, and go on at the next one laid out like it."""
        start = self._start
        yield self._line_at(start), unreadable(self._buffer[start : start + 1024], reason)
        self._n_resyncs += 1
        again = re.compile(rb"\n,?" + re.escape(self._indent) + rb",?\{")
        found = again.search(self._buffer, start + 1)
        if found is None or self._n_resyncs > _MAX_RESYNCS:
            self._move_to(len(self._buffer))
            self._scanned = len(self._buffer)
            return
        self._move_to(found.end() - 1)
        self._scanned = found.end() - 1
        self._drop_handed_out()
        yield from self._scan()
        self._drop_handed_out()

    def finish(self) -> Iterator[tuple[int, bytes]]:
        while self._start >= 0:
            yield from self._give_up("the file ends inside this object")
        yield from self._garbage(len(self._buffer))
