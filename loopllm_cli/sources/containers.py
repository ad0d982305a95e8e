"""What a file is made of: lines of JSON, one array, loose objects, CSV or Parquet, in chunks.

A chunk is what one process decodes at a time; its size bounds the memory of the whole ingest.
Lines are split on the newline byte only: text functions also split on U+2028 and friends, which
are legal inside JSON strings and occur in real model answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from loopllm_cli.errors import DataError, UnknownFormat
from loopllm_cli.sources.csv_rows import iter_csv_rows, looks_like_csv
from loopllm_cli.sources.files import STDIN, ByteSource
from loopllm_cli.sources.objects import is_page, iter_objects
from loopllm_cli.sources.reading import (
    BOM,
    NOTHING,
    BadLine,
    is_blank,
    parse_record,
    unreadable,
    without_blobs,
)

MAX_LINE_BYTES = 256 * 1024 * 1024
_ITEMS_PER_CHUNK = 2000
_BYTES_PER_CHUNK = 8 * 1024 * 1024
_SNIFFED_LINES = 5
# A record of this size travels without its embedded files.
_LONG_BYTES = 4 * 1024 * 1024
Item = tuple[int, "bytes | dict[str, Any]"]


@dataclass(slots=True)
class Chunk:
    """Some records of one file, in order.

    Either `block` (whole lines, from line `first` on) or `items` (numbered records, as bytes or
    parsed) is set. `n_bytes_read` is how far the file, as it lies on disk, has been read.
    """

    first: int
    block: bytes = b""
    items: list[Item] | None = None
    n_bytes_read: int = 0
    n_bytes_total: int = 0

    def numbered(self) -> Iterator[Item]:
        """Yield each record's number (from 1) and what stands there."""
        if self.items is not None:
            yield from self.items
        else:
            yield from enumerate(self.block.split(b"\n"), self.first)


def iter_chunks(path: str, encoding: str | None = None) -> Iterator[Chunk]:
    """Read a file, of whatever kind, as chunks of records.

    A stream that ends in mid-air gives what could be read, then one item that no decoder
    accepts, so that the loss shows in the rejects. A line beyond the limit is one such item.

    Raises:
        UnknownFormat: the file is of a kind that cannot be read.
        DataError: the file cannot be read.
    """
    source = ByteSource(path, encoding)
    try:
        blocks = source.blocks()
        head = next(blocks, b"")
        if head.startswith(b"PAR1"):
            yield from _parquet(path)
            return
        chunks = _chunks_of(_again(head.removeprefix(BOM), blocks), head, path)
        for chunk in chunks:
            chunk.n_bytes_read, chunk.n_bytes_total = source.n_bytes_read, source.size_bytes
            yield chunk
        if source.broken:
            item = unreadable(b"<compressed>", source.broken)
            yield Chunk(0, items=[(0, item)], n_bytes_read=source.n_bytes_read)
    finally:
        source.close()


def iter_records(path: str) -> Iterator[dict[str, Any]]:
    """Yield a file's records, without those that cannot be read."""
    for chunk in iter_chunks(path):
        for _, item in chunk.numbered():
            if isinstance(item, dict):
                yield item
            elif not is_blank(item):
                try:
                    yield parse_record(item)
                except BadLine:
                    continue


def _again(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from rest


def _chunks_of(blocks: Iterator[bytes], head: bytes, path: str) -> Iterator[Chunk]:
    kind = _kind_of(head.removeprefix(BOM), path)
    if kind == "csv":
        return _in_chunks(iter_csv_rows(blocks))
    if kind == "objects":
        return _in_chunks(iter_objects(blocks))
    return _lines(blocks)


def _kind_of(head: bytes, path: str) -> str:
    """Tell lines of JSON from an array, from objects over several lines, and from CSV."""
    start = head.lstrip(NOTHING)
    name = re.sub(r"\.(gz|zst|bz2|xz)$", "", path.lower())
    if name.endswith((".csv", ".tsv")):
        return "csv"
    lines = [line for line in start[: 1 << 20].split(b"\n", 50)[:50] if line.strip()]
    if start[:1] == b"[":
        # Lines that each hold an array are no array file.
        whole = len(lines) > 1 and _is_json(lines[0]) and lines[1][:1] == b"["
        return "lines" if whole else "objects"
    if start[:1] == b"{":
        if is_page(start) or lines[0].strip() == b"{":
            return "objects"
        broken = not any(_is_json(line) for line in lines[:_SNIFFED_LINES])
        over_lines = len(lines) > 1 and not start.startswith(b"{'") and _opens_only(lines)
        return "objects" if broken and over_lines else "lines"
    if looks_like_csv(start, path == STDIN):
        return "csv"
    return "lines"


def _opens_only(lines: list[bytes]) -> bool:
    """Return whether the first lines open objects that later lines close: pretty-printed."""
    return not any(
        line.lstrip().startswith(b"{") and line.rstrip().endswith(b"}") for line in lines[:3]
    )


def _is_json(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


def _in_chunks(items: Iterator[Item]) -> Iterator[Chunk]:
    """Gather numbered records until they are worth a chunk."""
    gathered: list[Item] = []
    n_bytes = 0
    for number, item in items:
        if isinstance(item, bytes) and len(item) > _LONG_BYTES:
            item = without_blobs(item)
        gathered.append((number, item))
        n_bytes += len(item) if isinstance(item, bytes) else _n_bytes(item)
        if len(gathered) >= _ITEMS_PER_CHUNK or n_bytes >= _BYTES_PER_CHUNK:
            yield Chunk(gathered[0][0], items=gathered)
            gathered, n_bytes = [], 0
    if gathered:
        yield Chunk(gathered[0][0], items=gathered)


def _n_bytes(record: dict[str, Any]) -> int:
    return sum(len(cell) if isinstance(cell, str) else 8 for cell in record.values())


def _lines(blocks: Iterator[bytes]) -> Iterator[Chunk]:
    """Cut blocks at their last newline; a long line is gathered from several, up to a limit."""
    number, rest = 1, bytearray()
    skipping = False
    for block in blocks:
        at, first = 0, block.find(b"\n")
        n_more = len(block) if first < 0 else first
        if skipping or len(rest) + n_more > min(_LONG_BYTES, MAX_LINE_BYTES):
            if not skipping:
                rest += block[:n_more]
                if len(rest) > MAX_LINE_BYTES:
                    yield _too_long(number, rest)
                    rest, skipping = bytearray(), True
            if first < 0:
                continue
            if not skipping:
                yield Chunk(number, items=[(number, without_blobs(rest))])
            number, rest, skipping = number + 1, bytearray(), False
            at = first + 1
        end = block.rfind(b"\n", at)
        if end >= 0:
            whole = bytes(rest) + block[at:end]
            yield Chunk(number, whole)
            number += whole.count(b"\n") + 1
            rest, at = bytearray(), end + 1
        rest += block[at:]
    if rest:
        yield Chunk(number, items=[(number, without_blobs(rest))])


def _too_long(number: int, head: bytearray) -> Chunk:
    reason = f"line longer than {MAX_LINE_BYTES >> 20} MiB"
    return Chunk(number, items=[(number, unreadable(bytes(head[:1024]), reason))])


def _parquet(path: str) -> Iterator[Chunk]:
    """Read a Parquet file's rows as records.

    Raises:
        UnknownFormat: it comes from a stream, or is compressed as a whole.
        DataError: it is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path == STDIN or not Path(path).is_file():
        raise UnknownFormat("Parquet cannot be read from a stream", "give the file itself")
    number, size = 1, Path(path).stat().st_size
    try:
        with pq.ParquetFile(path) as file:
            total = max(file.metadata.num_rows, 1)
            for batch in file.iter_batches(batch_size=_ITEMS_PER_CHUNK):
                rows = batch.to_pylist(maps_as_pydicts="lossy")
                items: list[Item] = list(enumerate(rows, number))
                number += len(items)
                yield Chunk(
                    items[0][0],
                    items=items,
                    n_bytes_read=size * (number - 1) // total,
                    n_bytes_total=size,
                )
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path} is a damaged Parquet file ({str(error).splitlines()[0][:200]})",
            "export it again",
        ) from error
