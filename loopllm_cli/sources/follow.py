"""Follow files that are being written to, line by line, over rotations and restarts.

A file is known by its inode and how far it has been read, and only whole lines are taken. After a
rotation by renaming, the rest of the old file is looked for beside the new one; a file that was cut
(copytruncate) is read from its start. What a rotation compresses or moves away before it has been
read is not seen. No handle stays open between two looks, so nothing is held up.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopllm_cli.errors import UsageError
from loopllm_cli.sources.files import STDIN, cannot_read, expand_paths
from loopllm_cli.sources.reading import MAX_RECORD_BYTES

SUFFIXES = (".jsonl", ".ndjson", ".json", ".log")
"""Files of a folder that are followed; rotated ones (`x.jsonl.1`, `x-2026.jsonl`) too."""
BLOCK_BYTES = 4 * 1024 * 1024
_HEAD_BYTES = 64
_PIPE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Lines:
    """Whole lines of a file: where they come from, and the bytes."""

    path: str
    block: bytes


@dataclass(slots=True)
class _Place:
    """How far a file has been read, and how it began, which tells it from a later one."""

    path: str
    offset: int = 0
    head: str = ""


@dataclass
class Follower:
    """Files, folders and patterns, or `-` for stdin, followed from look to look.

    Args:
        sources: what to follow; files and patterns may come to be later, folders are there.
        from_start: read what is there at the first look; else only what comes.
        places: what an earlier follower's `state` said, None at the first look ever.

    Raises:
        UsageError: a folder does not exist.
    """

    sources: Sequence[str]
    from_start: bool = False
    places: dict[str, Any] | None = None
    ended: bool = False

    def __post_init__(self) -> None:
        for source in self.sources:
            parent = Path(source).parent
            if source != STDIN and not parent.is_dir() and not _has_pattern(source):
                raise UsageError(f"no such folder: {parent}", "check the path")
        self._places = {key: _Place(*values) for key, values in (self.places or {}).items()}
        self._first = self.places is None and not self.from_start
        self._pipe = bytearray()

    def state(self) -> dict[str, Any]:
        """Return what a later follower needs to go on from here."""
        return {key: [p.path, p.offset, p.head] for key, p in self._places.items()}

    def look(self) -> Iterator[Lines]:
        """Yield the lines that have come since the last look, in blocks of bounded size.

        Raises:
            DataError: a file cannot be read.
        """
        if STDIN in self.sources:
            yield from self._look_at_pipe()
        found = self._find()
        for key, path in found.items():
            place = self._places.get(key)
            if place is None:
                place = _Place(path, _end_of_lines(path) if self._first else 0)
                self._places[key] = place
            place.path = path
            yield from self._read(place)
        # What was rotated away has been read to its end by now.
        self._places = {key: self._places[key] for key in found}
        self._first = False

    def _find(self) -> dict[str, str]:
        """Return files by inode: those that are named, and known ones under another name."""
        found: dict[str, str] = {}
        for source in self.sources:
            for path in _files_of(source):
                if key := _key(path):
                    found.setdefault(key, path)
        for key, place in self._places.items():
            if key not in found and (path := _renamed(key, place.path)):
                found[key] = path
        return found

    def _read(self, place: _Place) -> Iterator[Lines]:
        try:
            with Path(place.path).open("rb") as stream:
                head = stream.read(_HEAD_BYTES)
                size = os.fstat(stream.fileno()).st_size
                if size < place.offset or not head.startswith(bytes.fromhex(place.head)):
                    place.offset, place.head = 0, ""
                if not place.head and len(head) == _HEAD_BYTES:
                    place.head = head.hex()
                stream.seek(place.offset)
                while block := _whole_lines(stream.read(BLOCK_BYTES), stream):
                    place.offset += len(block)
                    stream.seek(place.offset)
                    yield Lines(place.path, block)
        except FileNotFoundError:
            return
        except OSError as error:
            raise cannot_read(place.path, error) from error

    def _look_at_pipe(self) -> Iterator[Lines]:
        """Take what waits on stdin now; the rest of a line waits for its end."""
        source = sys.stdin.fileno()
        while not self.ended and select.select([source], [], [], 0)[0]:
            piece = os.read(source, _PIPE_BYTES)
            self.ended = not piece
            self._pipe += piece if piece else b"\n"
            if len(self._pipe) >= BLOCK_BYTES:
                yield from self._drain()
        yield from self._drain()

    def _drain(self) -> Iterator[Lines]:
        end = self._pipe.rfind(b"\n") + 1
        if not end and len(self._pipe) > MAX_RECORD_BYTES:
            end = len(self._pipe)
        if end:
            block = bytes(self._pipe[:end])
            del self._pipe[:end]
            if block.strip():
                yield Lines(STDIN, block)


def _whole_lines(block: bytes, stream: Any) -> bytes:
    """Cut a block after its last line's end; a line beyond the limit is taken as it is."""
    while block and b"\n" not in block and len(block) <= MAX_RECORD_BYTES:
        more = stream.read(BLOCK_BYTES)
        if not more:
            return b""
        block += more
    end = block.rfind(b"\n") + 1
    return block[:end] if end else block


def _files_of(source: str) -> list[str]:
    path = Path(source)
    if source == STDIN:
        return []
    if path.is_dir():
        return sorted(str(p) for p in path.iterdir() if _is_followed(p))
    if path.is_file():
        return [source]
    try:
        return expand_paths([source]) if _has_pattern(source) else []
    except UsageError:
        return []  # a pattern that nothing fits yet


def _is_followed(path: Path) -> bool:
    kinds = [suffix.lower() for suffix in path.suffixes[-2:]]
    plain = not path.name.startswith(".") and not path.is_symlink() and path.is_file()
    packed = path.suffix.lower() in (".gz", ".zst", ".bz2", ".xz")
    return plain and not packed and any(kind in SUFFIXES for kind in kinds)


def _has_pattern(source: str) -> bool:
    return any(mark in source for mark in "*?[")


def _key(path: str) -> str:
    try:
        found = Path(path).stat()
    except OSError:
        return ""
    return f"{found.st_dev}:{found.st_ino}"


def _end_of_lines(path: str) -> int:
    """Return where the last whole line of a file ends."""
    try:
        with Path(path).open("rb") as stream:
            start = max(0, stream.seek(0, os.SEEK_END) - BLOCK_BYTES)
            stream.seek(start)
            return start + stream.read(BLOCK_BYTES).rfind(b"\n") + 1
    except OSError:
        return 0


def _renamed(key: str, path: str) -> str:
    """Return the name that a file has now in its folder, nothing where it is gone."""
    try:
        beside = list(os.scandir(Path(path).parent))
    except OSError:
        return ""
    inode = int(key.partition(":")[2])
    return next((entry.path for entry in beside if entry.inode() == inode), "")
