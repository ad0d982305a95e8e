"""Exactly once: which of the rows read are new, which replace one, which are there already.

Rows are known by their id. The same content again is a duplicate. Other content under a known id
is settled by what the exporter says of the record's age, else by which of the two says more; two
that cannot be told apart are both kept, the later one under `<id>~<digest>`. Writers take turns
for each commit, and each first learns what the others have committed; where no lock is to be had
(an object store), a commit on what is no longer the newest version fails, and is made anew.

The rules order the versions of a row totally. That is what makes it harmless to read a file
again over a part of itself: whatever was stored of it stands, or is replaced by the same rows.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loopllm_cli.errors import Locked
from loopllm_cli.sources.chunk import ROW_CONTENT, Batch, Rows
from loopllm_cli.store import tables
from loopllm_cli.store.arrays import arrow_mask
from loopllm_cli.store.ids import TableIds, digests
from loopllm_cli.store.known import UInt64
from loopllm_cli.store.project import Project
from loopllm_cli.store.schema import INTERACTIONS

_IDS_PER_QUESTION = 10_000
_CONFLICT_DIGITS = 16
# How much of a response is there: a fuller record replaces a lesser one of the same id.
_FULLNESS = {"absent": 0, "redacted": 1, "partial_stream": 2, "partial_context": 3, "truncated": 3}
_FULL = 4
_STRICTNESS = {"off": 0, "secrets": 1, "basic": 2, "presidio": 3}
_STORED = ("interaction_id", *ROW_CONTENT, "content_state")
# Less than any version of an exporter (64 bits).
_NO_AGE = -(2**63) - 1
# Long enough for another writer's commit, and different each time, so that two do not keep step.
_PAUSE_S = (0.05, 0.5)
Mask = npt.NDArray[np.bool_]
T = TypeVar("T")


@dataclass(slots=True)
class Tally:
    """What became of records and rows; see `IngestSummary`."""

    kept: int = 0
    duplicates: int = 0
    feedback: int = 0
    feedback_duplicates: int = 0
    extra: int = 0
    replaced: int = 0
    conflicts: int = 0
    implicit: int = 0

    def add(self, other: Tally) -> None:
        """Add another tally to this one."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Merger:
    """Write batches into a project's tables, each row once.

    Args:
        lock_wait_s: how long to wait for another writer's commit.
        dry_run: find out everything, write nothing.
    """

    def __init__(self, project: Project, lock_wait_s: float, dry_run: bool = False) -> None:
        self._project = project
        self._lock_wait_s = lock_wait_s
        self._dry_run = dry_run
        self._rows = TableIds(project.interactions, "interaction_id", ROW_CONTENT)
        self._votes = TableIds(project.feedback, "feedback_id", ())
        self._parts = TableIds(project.parts, "content_digest", ())

    def write(self, batches: Sequence[Batch], app_ids: Sequence[str] = ()) -> Tally:
        """Commit what is new of some batches, and count what became of their records.

        Args:
            app_ids: contents that are in the store, whole, once this is written.

        Raises:
            Locked: another process kept writing.
            StoreUnavailable: the store cannot be written.
        """
        if self._dry_run:
            return self._write(batches, ())
        with self._project.writing(self._lock_wait_s):
            return self._write(batches, app_ids)

    def _write(self, batches: Sequence[Batch], app_ids: Sequence[str]) -> Tally:
        tally = Tally()
        if batches:
            self._write_rows_votes_and_parts(batches, tally)
        if app_ids:
            nothing, none = tables.to_table([], INTERACTIONS), np.zeros(0, dtype=np.uint64)
            self._commit(self._rows, lambda: self._rows.append(nothing, none, none, app_ids))
        return tally

    def _commit(self, known: TableIds, step: Callable[[], T]) -> T:
        """Look at a table and commit to it, again while other writers are faster.

        Raises:
            Locked: they were, all the time.
        """
        deadline = time.monotonic() + self._lock_wait_s
        while True:
            known.refresh()
            try:
                return step()
            except Locked:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(random.uniform(*_PAUSE_S))

    def _write_rows_votes_and_parts(self, batches: Sequence[Batch], tally: Tally) -> None:
        self._write_parts(batches)
        votes = _joined([batch.feedback for batch in batches], batches)
        new_votes = self._write_votes(votes)
        rows = _joined([batch.interactions for batch in batches], batches)
        new_rows = self._write_rows(rows, tally)
        _count(batches, rows, new_rows, votes, new_votes, tally)

    def _write_parts(self, batches: Sequence[Batch]) -> None:
        found = [batch.parts for batch in batches if batch.parts is not None]
        if not found:
            return
        parts = pa.concat_tables(found)
        ids, contents = digests(parts, "content_digest", ())
        self._commit(self._parts, lambda: self._add_new(self._parts, parts, ids, contents))

    def _write_votes(self, votes: Rows | None) -> Mask:
        if votes is None:
            return np.zeros(0, dtype=bool)
        table, ids, contents = votes.table, votes.ids, votes.contents
        return self._commit(self._votes, lambda: self._add_new(self._votes, table, ids, contents))

    def _add_new(self, known: TableIds, table: pa.Table, ids: UInt64, contents: UInt64) -> Mask:
        """Append the rows that are new, where the id says everything about a row.

        Returns:
            Which ones they are.
        """
        new, contested = _compare(known, ids, contents)
        if contested.any():  # the digests of two different ids are alike
            names = table.column(known.key).filter(arrow_mask(contested)).to_pylist()
            there = _stored(known, names, (known.key,))
            places = np.flatnonzero(contested).tolist()
            first = dict(zip(reversed(names), reversed(places), strict=True))
            new[[at for name, at in first.items() if name not in there]] = True
        self._append(known, table, ids, contents, new)
        return new

    def _write_rows(self, rows: Rows | None, tally: Tally) -> Mask:
        if rows is None:
            return np.zeros(0, dtype=bool)
        table, ids, contents = rows.table, rows.ids, rows.contents

        def add() -> tuple[Mask, Mask]:
            new, contested = _compare(self._rows, ids, contents)
            self._append(self._rows, table, ids, contents, new)
            return new, contested

        new, contested = self._commit(self._rows, add)
        if contested.any():
            # What a dry run would have stored by now.
            beside = table.filter(arrow_mask(new & self._dry_run)).select(_STORED)
            open_rows = table.filter(arrow_mask(contested))
            settled = self._commit(self._rows, lambda: self._settle(open_rows, beside, tally))
            new[np.flatnonzero(contested)[settled]] = True
        return new

    def _append(
        self, known: TableIds, table: pa.Table, ids: UInt64, contents: UInt64, new: Mask
    ) -> None:
        if not new.any():
            return
        if self._dry_run:
            known.known.add(ids[new], contents[new])
            return
        rows = table if new.all() else table.filter(arrow_mask(new))
        known.append(rows, ids[new], contents[new])

    def _settle(self, rows: pa.Table, beside: pa.Table, tally: Tally) -> list[int]:
        """Settle rows whose id is known, in the store or beside them, with other content.

        Returns:
            The places of those that are kept as rows of their own.
        """
        names = rows.column("interaction_id").to_pylist()
        stored = _stored(self._rows, names, _STORED)
        stored.update((row["interaction_id"], row) for row in beside.to_pylist())
        replacing: dict[str, int] = {}
        own: dict[str, int] = {}
        conflicts: dict[str, int] = {}
        for place, row in enumerate(rows.select(_STORED).to_pylist()):
            key = row["interaction_id"]
            before = stored.get(key)
            if before is None:  # only the ids' digests are alike
                own[key] = place
                stored[key] = row
            elif _standing(row) > _standing(before):
                (own if key in own else replacing)[key] = place
                stored[key] = row
            elif _standing(row) == _standing(before) and _says(row) != _says(before):
                conflicts.setdefault(f"{key}~{_says(row)[:_CONFLICT_DIGITS]}", place)
        if conflicts:
            there = _stored(self._rows, list(conflicts), ("interaction_id",))
            conflicts = {name: place for name, place in conflicts.items() if name not in there}
        # First what a second turn finds done: another writer may come between the two commits.
        if replacing and not self._dry_run:
            self._replace(rows.take(pa.array(sorted(replacing.values()))))
        tally.replaced += len(replacing)
        self._add_under(rows, {**own, **conflicts})
        tally.conflicts += len(conflicts)
        return sorted([*own.values(), *conflicts.values()])

    def _add_under(self, rows: pa.Table, places: dict[str, int]) -> None:
        """Append some of the rows, under the names given."""
        if not places:
            return
        added = rows.take(pa.array(list(places.values())))
        at = added.schema.get_field_index("interaction_id")
        added = added.set_column(at, added.schema.field(at), pa.array(list(places), pa.string()))
        ids, contents = digests(added, "interaction_id", ROW_CONTENT)
        every = np.ones(len(ids), dtype=bool)
        self._append(self._rows, added, ids, contents, every)

    def _replace(self, rows: pa.Table) -> None:
        self._rows.replace(rows, *digests(rows, "interaction_id", ROW_CONTENT))


def _stored(
    known: TableIds, ids: Sequence[str], columns: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Look at the stored rows of some ids."""
    found: dict[str, dict[str, Any]] = {}
    unique = list(dict.fromkeys(ids))
    for start in range(0, len(unique), _IDS_PER_QUESTION):
        listed = ", ".join(map(tables.quoted, unique[start : start + _IDS_PER_QUESTION]))
        rows = tables.select(
            known.location,
            f"SELECT {', '.join(columns)} FROM rows WHERE {known.key} IN ({listed})",
        )
        found.update((r[known.key], r) for r in (rows.to_pylist() if rows else []))
    return found


def _compare(known: TableIds, ids: UInt64, contents: UInt64) -> tuple[Mask, Mask]:
    """Return which rows are new, and which have other content than the row of their id."""
    is_known, stored = known.known.find(ids)
    first = _first_index(ids)
    new = ~is_known & (first == np.arange(len(ids)))
    # What a row meets: the stored one of its id, or the first one beside it.
    met = np.where(is_known, stored, contents[first])
    return new, ~new & (met != contents)


def _standing(row: dict[str, Any]) -> tuple[int, int, int]:
    """Return what orders the versions of one row: age, then fullness, then how much is masked.

    The same record, read again with more masked, replaces the other: what was too much goes.
    """
    age = row["source_version"]
    fullness = _FULLNESS.get(row["content_state"], _FULL)
    strictness = _STRICTNESS.get((row["redaction"] or "off").split("/")[0], 0)
    return _NO_AGE if age is None else age, fullness, strictness


def _says(row: dict[str, Any]) -> str:
    return str(row["content_digest"])


def _joined(found: Sequence[Rows | None], batches: Sequence[Batch]) -> Rows | None:
    """Join the batches' rows; their records are counted through all batches."""
    offsets = np.cumsum([0, *(len(batch.has_rows) for batch in batches)])
    present = [(rows, offset) for rows, offset in zip(found, offsets, strict=False) if rows]
    if not present:
        return None
    records = [np.where(r.records < 0, -1, r.records + offset) for r, offset in present]
    return Rows(
        pa.concat_tables([rows.table for rows, _ in present]),
        np.concatenate([rows.ids for rows, _ in present]),
        np.concatenate([rows.contents for rows, _ in present]),
        np.concatenate(records),
    )


def _first_index(ids: UInt64) -> npt.NDArray[np.int64]:
    """Return for each id where it stands first."""
    _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    return np.asarray(first[inverse], dtype=np.int64)


def _count(
    batches: Sequence[Batch],
    rows: Rows | None,
    new_rows: Mask,
    votes: Rows | None,
    new_votes: Mask,
    tally: Tally,
) -> None:
    """Say of each record what became of it: its first new row, or its vote, stands for it."""
    has_rows = np.concatenate([batch.has_rows for batch in batches])
    has_votes = np.concatenate([batch.has_votes for batch in batches])
    kept = np.zeros(len(has_rows), dtype=bool)
    if rows is not None:
        kept[rows.records[new_rows]] = True
        tally.extra += int(new_rows.sum()) - int(kept.sum())
    voted = np.zeros(len(has_rows), dtype=bool)
    if votes is not None:
        counted = votes.records[new_votes & (votes.records >= 0)]
        voted[counted] = True
        tally.extra += int(has_rows[counted].sum())
        tally.implicit += int((new_votes & (votes.records < 0)).sum())
    only_votes = has_votes & ~has_rows
    tally.kept += int(kept.sum())
    tally.duplicates += int((has_rows & ~kept).sum())
    tally.feedback += int((voted & only_votes).sum())
    tally.feedback_duplicates += int((only_votes & ~voted).sum())
