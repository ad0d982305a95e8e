"""Decode one chunk of a file: a pure function of its bytes and the settings, for any process.

What comes back is small and flat (Arrow tables, digests, counts), so that it crosses a process
boundary cheaply. Whether a row is new is decided elsewhere, by the one who writes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loopllm_cli.sources.columns import PLAIN, Mapping
from loopllm_cli.sources.containers import Chunk, Item
from loopllm_cli.sources.decode import Router
from loopllm_cli.sources.endings import mine_endings
from loopllm_cli.sources.fields import read_stored
from loopllm_cli.sources.formats import Format
from loopllm_cli.sources.identity import UserHasher, drop_ips, hash_users
from loopllm_cli.sources.implicit import implicit_feedback
from loopllm_cli.sources.reading import BadLine, is_blank, parse_record
from loopllm_cli.sources.redaction import Redactor
from loopllm_cli.sources.rows import Decoded, Origin, Part, Record, Row, digest, text_hash, to_json
from loopllm_cli.sources.unwrap import unwrap
from loopllm_cli.store import tables
from loopllm_cli.store.ids import digests
from loopllm_cli.store.known import UInt64, hash_text
from loopllm_cli.store.project import Project
from loopllm_cli.store.schema import FEEDBACK, INTERACTIONS, PARTS

ROW_CONTENT = ("content_digest", "source_version", "redaction")
_HEAD_BYTES = 200


@dataclass(frozen=True, slots=True)
class Settings:
    """How records are read; the same for every process of one ingest.

    `key` is the project's secret for pseudonyms and tokens.
    """

    ingest_id: str
    mapping: Mapping = PLAIN
    only_format: str | None = None
    date_format: str | None = None
    redact: str = "secrets"
    key: bytes = b""


@dataclass(slots=True)
class Rows:
    """Rows of one table out of one chunk, with what de-duplication needs.

    Shapes: `ids`, `contents` and `records` have one element per row; `records` says from which
    record (counted from 0) of the chunk a row came, -1 where it is derived from others.
    """

    table: pa.Table
    ids: UInt64
    contents: UInt64
    records: npt.NDArray[np.int64]


@dataclass(slots=True)
class Reject:
    """A record that could not be read: where it stood, why, and how it begins."""

    number: int
    reason: str
    head: bytes


@dataclass
class Batch:
    """Everything that one chunk held, and an account of each of its records.

    `has_rows` and `has_votes` say per record what it gave; a record that gave neither gave
    parts, or was skipped.
    """

    n_records: int = 0
    n_blank: int = 0
    n_parts: int = 0
    n_skipped: int = 0
    interactions: Rows | None = None
    feedback: Rows | None = None
    parts: pa.Table | None = None
    groups: set[tuple[str, str]] = field(default_factory=set)
    has_rows: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    has_votes: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    rejects: list[Reject] = field(default_factory=list)
    shapes: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    redacted: Counter[str] = field(default_factory=Counter)
    models: set[str] = field(default_factory=set)
    conversations: set[str] = field(default_factory=set)
    first_time: datetime | None = None
    last_time: datetime | None = None
    n_bytes_read: int = 0
    n_bytes_total: int = 0


@dataclass
class _Found:
    """What the records of a chunk held, in their order, and the parts among them as rows."""

    decoded: list[Decoded] = field(default_factory=list)
    parts: list[Row] = field(default_factory=list)


class Decoder:
    """Decode chunks, one after the other, in one process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._router = Router(settings.mapping, settings.only_format)
        self._redactor = Redactor(settings.redact, settings.key)
        self._hash_user = None if settings.redact == "off" else UserHasher(settings.key)

    def decode(self, path: str, chunk: Chunk) -> Batch:
        """Decode a chunk of the file that is called `path`."""
        batch = Batch(n_bytes_read=chunk.n_bytes_read, n_bytes_total=chunk.n_bytes_total)
        found = _Found()
        origin = self.origin(path)
        numbered = list(chunk.numbered())
        for (number, item), dirty in zip(numbered, self._dirty(chunk, numbered), strict=True):
            if isinstance(item, bytes) and is_blank(item):
                batch.n_blank += 1
                continue
            origin.line = number
            try:
                records = self._records(item, dirty, batch)
            except BadLine as reason:
                self._reject(item, number, str(reason), batch)
                continue
            for record in records:
                try:
                    self._decode(record, origin, found, batch)
                except BadLine as reason:
                    self._reject(record, number, str(reason), batch)
        return self._gather(batch, found, origin)

    def assemble(
        self, shape: Format, group: str, parts: Sequence[Record], place: tuple[str, int]
    ) -> Batch:
        """Put one group's parts together, and account for it as one record.

        Args:
            place: the path and the line of one of the parts.
        """
        assert shape.assemble is not None
        origin = self.origin(place[0])
        origin.line = place[1]
        batch = Batch()
        try:
            decoded = shape.assemble(group, parts, origin)
        except BadLine as reason:
            decoded = Decoded(skipped=[f"a group that cannot be put together: {reason}"])
        # A secret may only show once the chunks of a stream are joined.
        decoded.interactions = [self._masked(row, batch) for row in decoded.interactions]
        return self._gather(batch, _Found([decoded]), origin)

    def endings(self, project: Project, conversations: set[str]) -> Batch:
        """Mine what conversations as a whole show, as feedback that is derived from others."""
        batch = Batch()
        votes = mine_endings(project, conversations, self.origin(""))
        batch.feedback = _rows(votes, FEEDBACK, "feedback_id", (), [-1] * len(votes))
        return batch

    def _masked(self, row: Row, batch: Batch) -> Row:
        masked, hits = self._redactor.redact_record(row)
        if hits:
            batch.redacted.update(hits)
            for text, name in (("prompt_text", "prompt_hash"), ("response_text", "response_hash")):
                if masked.get(text) is not None:
                    masked[name] = text_hash(masked[text])
        return masked

    def origin(self, path: str) -> Origin:
        """Return where records of a file stand, with how their values are to be read."""
        settings = self._settings
        return Origin(
            path,
            0,
            settings.ingest_id,
            settings.date_format or settings.mapping.date_format,
            self._hash_user,
            self._redactor.stamp,
        )

    def _dirty(self, chunk: Chunk, numbered: list[Item]) -> Iterable[bool]:
        """Say of each item whether it may hold something to mask."""
        if chunk.block and not self._redactor.may_hold(chunk.block):
            return [False] * len(numbered)
        lines = [item if isinstance(item, bytes) else b"" for _, item in numbered]
        found = self._redactor.lines_that_may_hold(lines)
        return [
            hit or isinstance(item, dict) for hit, (_, item) in zip(found, numbered, strict=True)
        ]

    def _records(self, item: bytes | Record, dirty: bool, batch: Batch) -> Iterator[Record]:
        """Parse, mask and unwrap what stands at one place.

        Secrets are masked before anything else sees the record: a format cannot forget it.
        """
        record = item if isinstance(item, dict) else parse_record(item)
        if self._hash_user is not None:
            record = drop_ips(record)
        if dirty:
            record, hits = self._redactor.redact_record(record)
            batch.redacted.update(hits)
        return unwrap(record)

    def _decode(self, record: Record, origin: Origin, found: _Found, batch: Batch) -> None:
        """Decode one record.

        Raises:
            BadLine: no format fits, or the record is malformed.
        """
        name, decoded = self._router.decode(record, origin)
        # What cannot be written is found here, where one record can be rejected for it.
        parts = [self._part_row(name, part, origin) for part in decoded.parts]
        found.decoded.append(decoded)
        found.parts += parts
        batch.shapes[name] += 1

    def _reject(self, item: bytes | Record, number: int, reason: str, batch: Batch) -> None:
        head = item[: 4 * _HEAD_BYTES] if isinstance(item, bytes) else _shown(item)
        masked = self._redactor.redact_bytes(bytes(head))
        batch.rejects.append(Reject(number, reason, masked[:_HEAD_BYTES]))
        batch.n_records += 1

    def _part_row(self, name: str, part: Part, origin: Origin) -> Row:
        hasher = self._hash_user
        content = to_json(hash_users(part.content, hasher) if hasher else part.content)
        return {
            "source_format": name,
            "group_key": part.group,
            "part_key": part.key,
            "source_version": part.version,
            "source_path": origin.path,
            "source_line": origin.line,
            "ingest_id": origin.ingest_id,
            "content_digest": digest(name, part.group, part.key, part.version, content),
            "content_json": content,
        }

    def _gather(self, batch: Batch, found: _Found, origin: Origin) -> Batch:
        rows: list[Row] = []
        votes: list[Row] = []
        rows_from: list[int] = []
        votes_from: list[int] = []
        n_records = len(found.decoded)
        has_rows, has_votes = np.zeros(n_records, dtype=bool), np.zeros(n_records, dtype=bool)
        for index, decoded in enumerate(found.decoded):
            rows += decoded.interactions
            votes += decoded.feedback
            rows_from += [index] * len(decoded.interactions)
            votes_from += [index] * len(decoded.feedback)
            has_rows[index] = bool(decoded.interactions)
            has_votes[index] = bool(decoded.feedback)
            batch.skipped.update(decoded.skipped)
            if not decoded.interactions and not decoded.feedback:
                batch.n_parts += bool(decoded.parts)
                batch.n_skipped += not decoded.parts
        derived = [vote for row in rows for vote in _implicit(origin, row)]
        for decoded in found.decoded:
            for row, messages in decoded.closing:
                origin.line = row["source_line"]
                derived += implicit_feedback(origin, row, messages)
        votes += derived
        votes_from += [-1] * len(derived)
        batch.n_records += n_records
        batch.has_rows, batch.has_votes = has_rows, has_votes
        batch.interactions = _rows(rows, INTERACTIONS, "interaction_id", ROW_CONTENT, rows_from)
        batch.feedback = _rows(votes, FEEDBACK, "feedback_id", (), votes_from)
        if found.parts:
            batch.groups = {(row["source_format"], row["group_key"]) for row in found.parts}
            batch.parts = tables.to_table(found.parts, PARTS)
        _note(batch, rows)
        return batch


def _implicit(origin: Origin, row: Row) -> list[Row]:
    """Mine what the user's last message says of the answer before it, where there is one."""
    messages = row.get("input_messages")
    if messages is None or '"role":"assistant"' not in messages:
        return []
    origin.line = row["source_line"]
    return implicit_feedback(origin, row, read_stored(messages))


def _rows(
    rows: list[Row], schema: pa.Schema, key: str, content: tuple[str, ...], records: list[int]
) -> Rows | None:
    if not rows:
        return None
    table = tables.to_table(rows, schema)
    ids, contents = digests(table, key, content)
    return Rows(table, ids, contents, np.array(records, dtype=np.int64))


def part_digest(name: str, group: str) -> int:
    """Return the 64-bit digest by which a group is known while an ingest runs."""
    return hash_text(f"{name}\x1f{group}")


def _note(batch: Batch, rows: list[Row]) -> None:
    """Keep what the summary says of the rows."""
    times = [moment for row in rows if (moment := row.get("request_time")) is not None]
    batch.first_time = min(times, default=None)
    batch.last_time = max(times, default=None)
    models = (row.get("response_model") or row.get("request_model") for row in rows)
    batch.models = {model for model in models if model}
    batch.conversations = {name for row in rows if (name := row.get("conversation_id"))}


def _shown(record: Any) -> bytes:
    try:
        return to_json(record).encode()[: 4 * _HEAD_BYTES]
    except BadLine:
        return b"<nested too deeply>"
