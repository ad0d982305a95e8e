"""Read exports into the store: every line is kept, a duplicate, or rejected with its reason.

A line's rows are identified by id; a row whose id is in the store already is a duplicate when
its content is the same, and is rejected when it is not. Rows are appended in batches, each in
one atomic commit, so a killed run leaves whole batches and the next run adds the rest.
"""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from loopllm_cli import __version__
from loopllm_cli.errors import DataError, EmptyInput, TooManyBadRows, UnknownFormat
from loopllm_cli.model import IngestSummary
from loopllm_cli.sources.columns import PLAIN, Mapping
from loopllm_cli.sources.decode import UNKNOWN_SHAPE, Router
from loopllm_cli.sources.reading import (
    BadLine,
    expand_paths,
    file_digest,
    iter_lines,
    parse_record,
)
from loopllm_cli.sources.rows import Decoded, Origin, Row, digest
from loopllm_cli.store import tables
from loopllm_cli.store.linking import count_links
from loopllm_cli.store.project import Project
from loopllm_cli.store.rejects import Rejects
from loopllm_cli.store.schema import FEEDBACK, INTERACTIONS, SCHEMA_VERSION

BATCH_ROWS = 50_000
_MIN_REJECTS = 10
_NO_RECORD = ("invalid JSON", "not an object")
_NOTHING = b" \t\r\n\x0b\x0c\x00"  # NUL: what crashed writers leave


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How to read, and how much bad input to accept.

    `max_reject_rate` is a share of the non-blank lines; it counts from ten rejects on.
    """

    mapping: Mapping = PLAIN
    only_format: str | None = None
    date_format: str | None = None
    max_reject_rate: float = 0.05
    lock_wait_s: float = 60.0
    dry_run: bool = False
    on_progress: Callable[[str, int], None] | None = None


def ingest(project: Project, paths: list[str], options: IngestOptions) -> IngestSummary:
    """Read files (or stdin as `-`) into the project's store.

    Returns:
        The account of every line.

    Raises:
        EmptyInput: there was no line to read.
        UnknownFormat: no line had a known shape.
        TooManyBadRows: more lines were bad than accepted; their batch was not stored.
        Locked: another process kept writing.
        StoreUnavailable: the store cannot be written.
    """
    files = expand_paths(paths)
    if options.dry_run:
        return _Run(project, options).read(files)
    with project.writing(options.lock_wait_s):
        return _Run(project, options).read(files)


@dataclass
class _Counts:
    lines: int = 0
    blank: int = 0
    kept: int = 0
    duplicates: int = 0
    feedback: int = 0
    feedback_duplicates: int = 0
    extra: int = 0
    rejected: int = 0
    unchanged: int = 0
    formats: Counter[str] = field(default_factory=Counter)

    @property
    def read(self) -> int:
        return self.lines - self.blank

    @property
    def usable(self) -> int:
        return self.read - self.rejected


class _Run:
    """One ingest: its counts, the ids seen so far, and the rows waiting to be committed."""

    def __init__(self, project: Project, options: IngestOptions) -> None:
        self._project = project
        self._options = options
        self._id = uuid.uuid4().hex[:12]
        self._router = Router(options.mapping, options.only_format)
        self._counts = _Counts()
        self._known = _read_ids(project.interactions, "interaction_id", "content_digest")
        self._known_feedback = set(_read_ids(project.feedback, "feedback_id", "feedback_id"))
        self._rows: list[Row] = []
        self._votes: list[Row] = []
        self._first: datetime | None = None
        self._last: datetime | None = None
        self._models: set[str] = set()
        path = None if options.dry_run else project.folder("rejects") / f"{self._id}.jsonl"
        self._rejects = Rejects(path)

    def read(self, files: list[str]) -> IngestSummary:
        with self._rejects:
            for path in files:
                app_id = self._source_id(path)
                if app_id and tables.has_transaction(self._project.interactions, app_id):
                    self._counts.unchanged += 1
                    continue
                usable = self._counts.usable
                self._read_file(path)
                # A file that gave nothing is read again, and complained about again, next time.
                self._commit(app_id if self._counts.usable > usable else None)
        counts = self._counts
        if not counts.read and not counts.unchanged:
            raise EmptyInput(
                f"nothing to read in {', '.join(files)}", "check that the export holds records"
            )
        if counts.read and not counts.usable:
            raise self._unusable()
        return self._summary(files)

    def _source_id(self, path: str) -> str | None:
        """Name a file by its content and by how it is read: other options may read more of it."""
        content, options = file_digest(path), self._options
        if content is None:
            return None
        reading = (options.mapping.columns, self._date_format, options.only_format)
        return f"source:{content}:{digest(reading, SCHEMA_VERSION, __version__)[:12]}"

    @property
    def _date_format(self) -> str | None:
        """The flag goes before the mapping file."""
        return self._options.date_format or self._options.mapping.date_format

    def _read_file(self, path: str) -> None:
        shown = os.fsencode(path).decode("utf-8", "replace")
        for number, line in iter_lines(path):
            self._counts.lines += 1
            if not line.strip(_NOTHING):
                self._counts.blank += 1
                continue
            origin = Origin(shown, number, self._id, self._date_format)
            try:
                shape, decoded = self._router.decode(parse_record(line), origin)
                self._take(decoded)
                self._counts.formats[shape] += 1
            except BadLine as reason:
                self._counts.rejected += 1
                self._rejects.add(shown, number, str(reason), line)
            if len(self._rows) + len(self._votes) >= BATCH_ROWS:
                self._commit(None)
            if self._options.on_progress and self._counts.lines % 1000 == 0:
                self._options.on_progress(path, self._counts.lines)

    def _take(self, decoded: Decoded) -> None:
        """Keep a record's new rows; its first row stands for the line in the counts.

        Raises:
            BadLine: an id is there already with other content. Nothing of the record is kept.
        """
        new_rows: dict[str, Row] = {}
        for row in decoded.interactions:
            key, content = row["interaction_id"], row["content_digest"]
            before = new_rows[key]["content_digest"] if key in new_rows else self._known.get(key)
            if before is None:
                new_rows[key] = row
            elif before != content:
                raise BadLine("id conflicts with an earlier record of other content")
        new_votes = {
            v["feedback_id"]: v
            for v in decoded.feedback
            if v["feedback_id"] not in self._known_feedback
        }
        self._rows.extend(new_rows.values())
        self._votes.extend(new_votes.values())
        self._known.update((key, row["content_digest"]) for key, row in new_rows.items())
        self._known_feedback.update(new_votes)
        self._note(new_rows.values())
        self._count(decoded, len(new_rows), len(new_votes))

    def _note(self, rows: Iterable[Row]) -> None:
        """Keep what the summary says of the rows."""
        for row in rows:
            moment, model = row["request_time"], row["response_model"] or row["request_model"]
            if moment:
                self._first = min(self._first or moment, moment)
                self._last = max(self._last or moment, moment)
            if model:
                self._models.add(model)

    def _count(self, decoded: Decoded, n_rows: int, n_votes: int) -> None:
        counts = self._counts
        if decoded.interactions:
            counts.kept += n_rows > 0
            counts.duplicates += n_rows == 0
            counts.extra += max(n_rows - 1, 0) + n_votes
        else:
            counts.feedback += n_votes > 0
            counts.feedback_duplicates += n_votes == 0

    def _commit(self, app_id: str | None) -> None:
        self._refuse_too_many_bad()
        if self._options.dry_run:
            return
        # Feedback first: once the file's own commit stands, a re-run skips the whole file.
        if self._votes:
            votes = pa.Table.from_pylist(self._votes, schema=FEEDBACK)
            tables.append(self._project.feedback, votes)
        if self._rows or app_id:
            rows = pa.Table.from_pylist(self._rows, schema=INTERACTIONS)
            tables.append(self._project.interactions, rows, app_id=app_id)
        self._rows, self._votes = [], []

    def _refuse_too_many_bad(self) -> None:
        counts = self._counts
        allowed = self._options.max_reject_rate * counts.read
        if counts.rejected > max(allowed, _MIN_REJECTS - 1):
            raise self._unusable()

    def _unusable(self) -> DataError:
        """Say why the input cannot be used: it is something else, or too much of it is bad."""
        n, reasons = self._counts.read, self._rejects.by_reason
        if not self._counts.usable and set(reasons) == {UNKNOWN_SHAPE}:
            return UnknownFormat(
                f"none of {n} records has a known shape",
                "name the fields in a mapping file and give it with --map FILE",
            )
        if not self._counts.usable and all(r.startswith(_NO_RECORD) for r in reasons):
            return UnknownFormat(
                f"none of {n} lines is a JSON object",
                "give JSON Lines, one object per line; an array becomes that with jq -c '.[]'",
            )
        common = ", ".join(f"{k} {reason}" for reason, k in reasons.most_common(3))
        return TooManyBadRows(
            f"{self._counts.rejected} of {n} lines cannot be read ({common})",
            f"look at {self._rejects.path or 'the lines'}; accept more with --max-reject-rate 1.0",
        )

    def _summary(self, files: list[str]) -> IngestSummary:
        counts, rejects = self._counts, self._rejects
        linked, orphans = count_links(self._project) if not self._options.dry_run else (0, 0)
        return IngestSummary(
            n_lines=counts.lines,
            n_blank=counts.blank,
            n_kept=counts.kept,
            n_duplicates=counts.duplicates,
            n_feedback=counts.feedback,
            n_feedback_duplicates=counts.feedback_duplicates,
            n_feedback_linked=linked,
            n_feedback_orphans=orphans,
            n_rejected=counts.rejected,
            n_extra_rows=counts.extra,
            rejected_by_reason=dict(rejects.by_reason.most_common()),
            n_lines_by_format=dict(counts.formats.most_common()),
            first_time=self._first,
            last_time=self._last,
            models=tuple(sorted(self._models)),
            rejects_path=str(rejects.path) if rejects.path else None,
            sources=tuple(files),
            n_sources_unchanged=counts.unchanged,
            dry_run=self._options.dry_run,
        )


def _read_ids(path: Path, key: str, value: str) -> dict[str, str]:
    """Read which ids are in the store."""
    found = tables.select(path, f"SELECT {key}, {value} AS content FROM rows")
    if found is None:
        return {}
    return dict(
        zip(found.column(key).to_pylist(), found.column("content").to_pylist(), strict=True)
    )
