"""Read exports into the store: every record is kept, merged, or rejected with its reason.

Files are cut into chunks, chunks decoded (in several processes where that pays), and batches of
decoded rows committed while the next chunks are read. A killed run leaves whole commits, and the
next run adds the rest: a file counts as read only when everything of it is in the store.
"""

from __future__ import annotations

import gc
import itertools
import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from loopllm_cli import __version__
from loopllm_cli.errors import DataError, EmptyInput, TooManyBadRows, UnknownFormat
from loopllm_cli.model import IngestSummary
from loopllm_cli.sources.assembly import assembled
from loopllm_cli.sources.chunk import Batch, Settings, part_digest
from loopllm_cli.sources.columns import PLAIN, Mapping
from loopllm_cli.sources.containers import Chunk, iter_chunks
from loopllm_cli.sources.decode import UNKNOWN_SHAPE
from loopllm_cli.sources.files import STDIN, expand_paths, file_digest, file_state
from loopllm_cli.sources.formats import all_formats
from loopllm_cli.sources.merge import Merger, Tally
from loopllm_cli.sources.rows import digest
from loopllm_cli.sources.workers import Workers
from loopllm_cli.store import tables
from loopllm_cli.store.linking import LinkCount, count_links
from loopllm_cli.store.project import Project
from loopllm_cli.store.rejects import Rejects
from loopllm_cli.store.schema import SCHEMA_VERSION
from loopllm_cli.store.secret import read_key

# One commit, and one Parquet file, per so many bytes of decoded rows.
COMMIT_BYTES = 32 * 1024 * 1024
# What a rejected line weighs in the decision to commit, and to refuse what is mostly bad.
_REJECT_BYTES = 200
_PARALLEL_BYTES = 64 * 1024 * 1024
_MAX_PROCESSES = 8
_MIN_REJECTS = 10
# A dry run looks at so many records of each file.
SAMPLE_RECORDS = 1000
_NO_RECORD = ("invalid JSON", "not an object")


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How to read, and how much bad input to accept.

    `max_reject_rate` is a share of the records; it counts from ten rejects on, but 0 means none.
    `redact` is off, secrets, basic or presidio. `n_processes` of None chooses by the size of
    the input.
    """

    mapping: Mapping = PLAIN
    only_format: str | None = None
    date_format: str | None = None
    encoding: str | None = None
    redact: str = "secrets"
    max_reject_rate: float = 0.05
    lock_wait_s: float = 600.0
    n_processes: int | None = None
    dry_run: bool = False
    on_progress: Callable[[str, int, int], None] | None = None
    """Called with a file, and how many of its bytes have been read, of how many."""


def ingest(project: Project, paths: list[str], options: IngestOptions) -> IngestSummary:
    """Read files (or stdin as `-`) into the project's store.

    Returns:
        The account of every record.

    Raises:
        EmptyInput: there was no record to read.
        UnknownFormat: no record had a known shape.
        TooManyBadRows: more records were bad than accepted; their batch was not stored.
        Locked: another process kept writing.
        StoreUnavailable: the store cannot be written.
    """
    files = expand_paths(paths)
    run = _Run(project, options, _choose_processes(files, options))
    with _no_garbage_collection():
        return run.read(files)


def _choose_processes(files: list[str], options: IngestOptions) -> int:
    if options.n_processes is not None:
        return max(options.n_processes, 1)
    n_bytes = sum(Path(f).stat().st_size for f in files if f != STDIN and Path(f).is_file())
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    return 1 if n_bytes < _PARALLEL_BYTES else min(n_cores, _MAX_PROCESSES)


def _sample(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """Take the first records of a file."""
    for chunk in chunks:
        chunk.items = list(itertools.islice(chunk.numbered(), SAMPLE_RECORDS))
        yield chunk
        return


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Spare the search for cycles: records have none, and there are millions of objects."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@dataclass
class _Account:
    """What the summary says beyond the tally of rows."""

    records: int = 0
    blank: int = 0
    parts: int = 0
    skipped_records: int = 0
    rejected: int = 0
    unchanged: int = 0
    shapes: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    redacted: Counter[str] = field(default_factory=Counter)
    models: set[str] = field(default_factory=set)
    first: datetime | None = None
    last: datetime | None = None

    def add(self, batch: Batch) -> None:
        self.records += batch.n_records
        self.blank += batch.n_blank
        self.parts += batch.n_parts
        self.skipped_records += batch.n_skipped
        self.rejected += len(batch.rejects)
        self.shapes.update(batch.shapes)
        self.skipped.update(batch.skipped)
        self.redacted.update(batch.redacted)
        self.note(batch)

    def note(self, batch: Batch) -> None:
        """Keep what the summary says of rows: their models and times."""
        self.models |= batch.models
        times = [t for t in (self.first, self.last, batch.first_time, batch.last_time) if t]
        self.first, self.last = min(times, default=None), max(times, default=None)

    @property
    def usable(self) -> int:
        return self.records - self.rejected


class _Run:
    """One ingest: its account, and the batches waiting to be committed."""

    def __init__(self, project: Project, options: IngestOptions, n_processes: int) -> None:
        self._project = project
        self._options = options
        self._id = uuid.uuid4().hex[:12]
        key = b"" if options.redact == "off" or options.dry_run else read_key(project)
        self._settings = Settings(
            self._id,
            options.mapping,
            options.only_format,
            options.date_format,
            options.redact,
            key,
        )
        self._workers = Workers(self._settings, n_processes)
        self._merger = Merger(project, options.lock_wait_s, options.dry_run)
        self._account = _Account()
        self._tally = Tally()
        self._waiting: list[Batch] = []
        self._waiting_bytes = 0
        self._groups: set[int] = set()
        self._conversations: set[str] = set()
        self._writer = ThreadPoolExecutor(1)
        self._writing: Future[Tally] | None = None
        self._columns: dict[str, Counter[str]] = {}
        path = None if options.dry_run else project.folder("rejects") / f"{self._id}.jsonl"
        self._rejects = Rejects(path)

    def read(self, files: list[str]) -> IngestSummary:
        account, whole = self._account, []
        with self._rejects, self._workers, self._writer:
            for path in files:
                state, app_id = file_state(path), self._source_id(path)
                if app_id and tables.has_transaction(self._project.interactions, app_id):
                    account.unchanged += 1
                    continue
                usable = account.usable
                self._read_file(path)
                # A file that gave nothing is read again, and complained about again, next time.
                # So is one that was written meanwhile: what was read may be other content.
                unchanged = state == file_state(path)
                if app_id and unchanged and account.usable > usable:
                    whole.append(app_id)
            self._finish(whole)
        if not account.records and not account.unchanged:
            raise EmptyInput(
                f"nothing to read in {', '.join(files)}", "check that the export holds records"
            )
        if account.records and not account.usable:
            raise self._unusable()
        return self._summary(files)

    def _source_id(self, path: str) -> str | None:
        """Name a file by its content and by how it is read: other options may read more of it."""
        content, settings = file_digest(path), self._settings
        if content is None:
            return None
        reading = (
            settings.mapping.columns,
            settings.date_format or settings.mapping.date_format,
            settings.only_format,
            settings.redact,
            self._options.encoding,
        )
        return f"source:{content}:{digest(reading, SCHEMA_VERSION, __version__)[:12]}"

    def _read_file(self, path: str) -> None:
        shown = os.fsencode(path).decode("utf-8", "replace")
        chunks = iter_chunks(path, self._options.encoding)
        if self._options.dry_run:
            chunks = _sample(chunks)
        for batch in self._workers.decode(shown, chunks):
            self._account.add(batch)
            for reject in batch.rejects:
                self._rejects.add(shown, reject.number, reject.reason, reject.head)
            # A file may hold nothing else; they are written now, and must not wait in memory.
            self._waiting_bytes += _REJECT_BYTES * len(batch.rejects)
            batch.rejects.clear()
            if self._options.dry_run:
                self._note_columns(batch)
            self._conversations |= batch.conversations
            self._groups.update(part_digest(*group) for group in batch.groups)
            self._take(batch)
            if self._options.on_progress:
                self._options.on_progress(path, batch.n_bytes_read, batch.n_bytes_total)

    def _note_columns(self, batch: Batch) -> None:
        """Count, per format, which columns a sample fills."""
        if batch.interactions is None:
            return
        table = batch.interactions.table
        formats = table.column("source_format").to_pylist()
        for name in set(formats):
            rows = table.filter(pa.array([f == name for f in formats]))
            filled = self._columns.setdefault(name, Counter())
            filled["rows"] += rows.num_rows
            for column in rows.schema.names:
                filled[column] += rows.num_rows - rows.column(column).null_count

    def _take(self, batch: Batch) -> None:
        self._waiting.append(batch)
        tables_of_batch = (batch.interactions, batch.feedback)
        self._waiting_bytes += sum(rows.table.nbytes for rows in tables_of_batch if rows)
        self._waiting_bytes += batch.parts.nbytes if batch.parts is not None else 0
        if self._waiting_bytes >= COMMIT_BYTES:
            self._commit()

    def _commit(self) -> None:
        """Hand the waiting batches to the writer, which works while the next ones are decoded."""
        self._refuse_too_many_bad()
        self._await_writer()
        if self._waiting:
            self._writing = self._writer.submit(self._merger.write, self._waiting)
            self._waiting, self._waiting_bytes = [], 0

    def _await_writer(self) -> None:
        if self._writing is not None:
            self._tally.add(self._writing.result())
            self._writing = None

    def _finish(self, whole: Sequence[str]) -> None:
        """Commit the rest, put parts together, and only then mark the files as read."""
        self._commit()
        self._await_writer()
        if self._account.records and not self._account.usable:
            return
        if self._groups and not self._options.dry_run:
            for batch in assembled(self._project, self._workers.local, self._groups):
                self._take_assembled(batch)
            self._write_assembled()
        if self._conversations and not self._options.dry_run:
            self._waiting = [self._workers.local.endings(self._project, self._conversations)]
            self._write_assembled()
        if whole and not self._options.dry_run:
            self._merger.write([], whole)

    def _take_assembled(self, batch: Batch) -> None:
        self._account.note(batch)
        self._conversations |= batch.conversations
        self._waiting.append(batch)
        if len(self._waiting) >= 2000:
            self._write_assembled()

    def _write_assembled(self) -> None:
        """Commit put-together rows; their records have been counted as parts already."""
        if not self._waiting:
            return
        tally = self._merger.write(self._waiting)
        self._waiting = []
        self._tally.add(
            Tally(
                extra=tally.kept + tally.extra + tally.feedback,
                replaced=tally.replaced,
                conflicts=tally.conflicts,
                implicit=tally.implicit,
            )
        )

    def _refuse_too_many_bad(self) -> None:
        account, rate = self._account, self._options.max_reject_rate
        allowed = max(rate * account.records, _MIN_REJECTS - 1 if rate else 0)
        if account.rejected > allowed:
            raise self._unusable()

    def _unusable(self) -> DataError:
        """Say why the input cannot be used: it is something else, or too much of it is bad."""
        n, reasons = self._account.records, self._rejects.by_reason
        if not self._account.usable and set(reasons) == {UNKNOWN_SHAPE}:
            return UnknownFormat(
                f"none of {n} records has a known shape",
                "name the fields in a mapping file and give it with --map FILE",
            )
        if not self._account.usable and all(r.startswith(_NO_RECORD) for r in reasons):
            return UnknownFormat(
                f"none of {n} lines is a JSON object",
                "give an export (JSON, JSON Lines, CSV or Parquet); for a server's text log, "
                "log through a gateway or OpenTelemetry instead",
            )
        common = ", ".join(f"{k} {reason}" for reason, k in reasons.most_common(3))
        return TooManyBadRows(
            f"{self._account.rejected} of {n} records cannot be read ({common})",
            f"look at {self._shown_rejects() or 'the lines'}; "
            "accept more with --max-reject-rate 1.0",
        )

    def _shown_rejects(self) -> str | None:
        return self._project.shown(self._rejects.path) if self._rejects.path else None

    def _summary(self, files: list[str]) -> IngestSummary:
        account, tally, rejects = self._account, self._tally, self._rejects
        links = LinkCount() if self._options.dry_run else count_links(self._project)
        return IngestSummary(
            n_lines=account.records + account.blank,
            n_blank=account.blank,
            n_kept=tally.kept,
            n_duplicates=tally.duplicates,
            n_feedback=tally.feedback,
            n_feedback_duplicates=tally.feedback_duplicates,
            n_feedback_linked=links.linked,
            n_feedback_orphans=links.orphans,
            n_feedback_ambiguous=links.ambiguous,
            n_feedback_of_conversations=links.of_conversations,
            orphans_because=links.why,
            n_parts=account.parts,
            n_skipped=account.skipped_records,
            n_rejected=account.rejected,
            n_extra_rows=tally.extra,
            n_replaced=tally.replaced,
            n_conflicts=tally.conflicts,
            n_implicit=tally.implicit,
            skipped_by_reason=dict(account.skipped.most_common()),
            rejected_by_reason=dict(rejects.by_reason.most_common()),
            columns_filled={name: dict(filled) for name, filled in self._columns.items()},
            format_reasons={
                shape.name: shape.reason for shape in all_formats() if shape.name in account.shapes
            },
            redacted_by_type=dict(account.redacted.most_common()),
            n_lines_by_format=dict(account.shapes.most_common()),
            first_time=account.first,
            last_time=account.last,
            models=tuple(sorted(account.models)),
            rejects_path=self._shown_rejects(),
            sources=tuple(files),
            n_sources_unchanged=account.unchanged,
            dry_run=self._options.dry_run,
        )
