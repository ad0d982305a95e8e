"""Objects out of an array, or one after the other, however they are laid out.

A line reader fails on a JSON array, on pretty-printed records and on pages glued together; a
JSON parser fails as a whole on the trailing comma, the `][` or the missing end that exporters
leave. This scanner only counts brackets outside strings, and hands out each object's bytes.

Each byte is looked at once. Only where an object does not end, what follows its beginning is
looked at again: a bounded number of bytes each time, and a bounded number in all.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

from loopllm_cli.sources.reading import MAX_RECORD_BYTES, unreadable

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{}\[\]"]', re.DOTALL)
_STRING_REST = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
# Between objects no string goes over several lines: a lone quote must not hide the rest.
_OUTER_STRING = rb'"(?:[^"\\\n]|\\[^\n]){0,4096}+"'
_TO_OBJECT = re.compile(rb'(?:[^"{]++|' + _OUTER_STRING + rb")*+")
_TO_OBJECT_OR_END = re.compile(rb'(?:[^"{\]]++|' + _OUTER_STRING + rb")*+")
_OUTER_REST = re.compile(rb'(?:[^"\\\n]++|\\[^\n])*+')
_BETWEEN = b" \t\r\n,[]\x00\xef\xbb\xbf"
_LISTS = rb"data|traces|results|items|records|observations|runs|value|rows|hits"
# An answer of an API: {"object": "list", "data": [ ...; the list's elements are the records.
_PAGE = re.compile(
    rb'\s*\{\s*(?:"[^"\\]{1,64}"\s*:\s*(?:"[^"\\]{0,256}"|[-\d.]+|true|false|null)\s*,\s*)*'
    rb'"(?:' + _LISTS + rb')"\s*:\s*\['
)
_MORE_LISTS = re.compile(rb'"(?:' + _LISTS + rb')"\s*:\s*\[\s*\{')
_PAGE_HEAD_BYTES = 64 * 1024
_PIECE_BYTES = 256 * 1024
_MAX_OBJECT_BYTES = 8 * MAX_RECORD_BYTES
_MAX_BETWEEN_BYTES = 1024 * 1024
_HEAD_BYTES = 1024
_MAX_RESCANNED_BYTES = 8 * 1024**3
Found = tuple[int, bytes]


def is_page(head: bytes) -> bool:
    """Return whether a file begins with an object that wraps a list of records."""
    return _PAGE.match(head) is not None


def iter_objects(blocks: Iterator[bytes]) -> Iterator[Found]:
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
    """Positions are places in the buffer, which begins with what is not handed out yet."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._waiting: deque[bytes] = deque()
        self._line, self._counted = 1, 0  # the line number at a position
        self._scanned = 0  # up to where the buffer has been looked at
        self._in_string = False
        self._start = -1  # where the object begins; -1 between objects
        self._depth = 0
        self._closed = 0  # up to where everything has been handed out
        self._page_may_begin = True
        self._in_page = False
        self._in_page_tail = False
        self._again: re.Pattern[bytes] | None = None  # how the next object's line begins
        self._n_rescanned = 0
        self._n_given_up = 0

    def feed(self, block: bytes) -> Iterator[Found]:
        """Take a block, and yield what is whole by now."""
        self._put_back(block)
        while self._waiting:
            self._buffer += self._waiting.popleft()
            yield from self._scan(is_end=False)
            yield from self._bound()
            self._drop_handed_out()

    def finish(self) -> Iterator[Found]:
        """Yield what is left."""
        yield from self._scan(is_end=True)
        while self._start >= 0 and not self._in_page_tail:
            yield from self._give_up("the file ends inside this object")
            yield from self.feed(b"")
            yield from self._scan(is_end=True)
        if not self._in_page_tail:
            yield from self._hand_out_garbage(len(self._buffer))

    def _put_back(self, block: bytes) -> None:
        starts = range(0, len(block), _PIECE_BYTES)
        self._waiting.extendleft(block[at : at + _PIECE_BYTES] for at in reversed(starts))

    def _scan(self, *, is_end: bool) -> Iterator[Found]:
        while self._scanned < len(self._buffer):
            if self._start >= 0:
                if not self._object_ends():
                    return
                yield from self._hand_out_object()
            elif self._page_may_begin:
                if len(self._buffer) - self._closed < _PAGE_HEAD_BYTES and not is_end:
                    return
                self._enter_page()
            elif self._in_string:
                if not self._outer_string_ends(is_end=is_end):
                    return
            else:
                yield from self._look_between()

    def _look_between(self) -> Iterator[Found]:
        """Go on to the next object, string or end of a page's list."""
        skip = _TO_OBJECT_OR_END if self._in_page else _TO_OBJECT
        skipped = skip.match(self._buffer, self._scanned)
        at = skipped.end() if skipped else self._scanned
        self._scanned = at + 1
        mark = self._buffer[at : at + 1]
        if mark == b"{":
            yield from self._begin(at)
        elif mark == b"]":
            # The page's list has ended; what follows tells about the page alone.
            yield from self._hand_out_garbage(at)
            self._in_page, self._in_page_tail = False, True
            self._start, self._depth = at + 1, 1
        self._scanned = min(self._scanned, len(self._buffer))
        self._in_string = mark == b'"'

    def _outer_string_ends(self, *, is_end: bool) -> bool:
        rest = _OUTER_REST.match(self._buffer, self._scanned)
        self._scanned = rest.end() if rest else self._scanned
        mark = self._buffer[self._scanned : self._scanned + 1]
        if not mark or (mark == b"\\" and self._scanned + 1 == len(self._buffer) and not is_end):
            return False
        self._scanned += 1
        self._in_string = mark == b"\\"
        return True

    def _enter_page(self) -> None:
        self._page_may_begin = False
        page = _PAGE.match(self._buffer, self._closed)
        if page:
            self._in_page = True
            self._scanned = self._closed = page.end()

    def _begin(self, start: int) -> Iterator[Found]:
        before = self._buffer[max(self._closed, start - 128) : start]
        indent = before.rpartition(b"\n")[2].strip(b",[")
        if (b"\n" in before or self._again is None) and not indent.strip():
            self._again = re.compile(rb"\n,?" + re.escape(bytes(indent)) + rb",?\{")
        yield from self._hand_out_garbage(start)
        self._start, self._depth = start, 1

    def _object_ends(self) -> bool:
        """Scan on to the object's end, if it is there."""
        buffer, depth = self._buffer, self._depth
        if self._in_string:
            rest = _STRING_REST.match(buffer, self._scanned)
            self._scanned = rest.end() if rest else self._scanned
            if buffer[self._scanned : self._scanned + 1] != b'"':
                return False
            self._in_string = False
            self._scanned += 1
        for token in _TOKEN.finditer(buffer, self._scanned):
            mark = token[0]
            if mark in (b"{", b"["):
                depth += 1
            elif mark in (b"}", b"]"):
                depth -= 1
                if not depth:
                    self._scanned = token.end()
                    return True
            elif mark == b'"':
                # It closes in a later block; a backslash may be the last byte of this one.
                rest = _STRING_REST.match(buffer, token.end())
                self._in_string, self._depth = True, depth
                self._scanned = rest.end() if rest else token.end()
                return False
        self._depth, self._scanned = depth, len(buffer)
        return False

    def _hand_out_object(self) -> Iterator[Found]:
        start, end = self._start, self._scanned
        self._start, self._depth, self._closed = -1, 0, end
        if not self._in_page_tail:
            yield self._line_at(start), bytes(self._buffer[start:end])
            return
        self._in_page_tail, self._page_may_begin = False, True
        if _MORE_LISTS.search(self._buffer, start, end):
            tail = bytes(self._buffer[start:end]).lstrip(b", \t\r\n")
            yield self._line_at(start), b"{" + tail

    def _hand_out_garbage(self, until: int) -> Iterator[Found]:
        between = bytes(self._buffer[self._closed : until].lstrip(_BETWEEN))
        if between:
            yield self._line_at(until - len(between)), between.rstrip(_BETWEEN)
        self._closed = until

    def _line_at(self, position: int) -> int:
        self._line += self._buffer.count(b"\n", self._counted, position)
        self._counted = position
        return self._line

    def _bound(self) -> Iterator[Found]:
        """Keep the buffer from growing without an end."""
        if self._start < 0:
            if self._scanned - self._closed > _MAX_BETWEEN_BYTES:
                yield from self._hand_out_garbage(self._scanned)
            return
        size = len(self._buffer) - self._start
        patience = _PIECE_BYTES if self._n_given_up else MAX_RECORD_BYTES
        if self._in_page_tail:
            if size > MAX_RECORD_BYTES:
                head = bytes(self._buffer[self._start : self._start + _HEAD_BYTES])
                reason = "what stands behind a page's list is too large"
                yield self._line_at(self._start), unreadable(head, reason)
                self._start = self._closed = self._scanned
        elif size > _MAX_OBJECT_BYTES:
            yield from self._give_up("an object that is too large or never ends")
        elif size > patience and self._again is not None:
            recent = max(self._start, len(self._buffer) - 2 * _PIECE_BYTES)
            if size < patience + 2 * _PIECE_BYTES:
                recent = self._start
            if self._again.search(self._buffer, recent):
                yield from self._give_up("an object that does not end before the next one")

    def _drop_handed_out(self) -> None:
        keep = self._start if self._start >= 0 else self._closed
        if keep:
            self._line_at(keep)
            del self._buffer[:keep]
            self._counted -= keep
            self._scanned = max(self._scanned - keep, 0)
            self._closed = max(self._closed - keep, 0)
            self._start = 0 if self._start >= 0 else -1

    def _give_up(self, reason: str) -> Iterator[Found]:
        """Hand out an object that does not end, and go on at the next one laid out like it."""
        start = self._start
        found = self._again.search(self._buffer, start + 1) if self._again else None
        self._n_given_up += 1
        self._n_rescanned += len(self._buffer) - start
        if self._n_rescanned > _MAX_RESCANNED_BYTES:
            found, reason = None, "too many objects that do not end: the rest is not read"
        head = bytes(self._buffer[start : start + _HEAD_BYTES])
        yield self._line_at(start), unreadable(head, reason)
        self._start, self._depth, self._in_string = -1, 0, False
        if found:
            rest = bytes(self._buffer[found.start() :])
            del self._buffer[found.start() :]
            self._put_back(rest)
        self._closed = self._scanned = len(self._buffer)
