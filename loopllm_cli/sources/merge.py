"""Exactly once: which of the rows read are new, which replace one, which are there already.

Rows are known by their id. The same content again is a duplicate. Other content under a known id
is settled by what the exporter says of the record's age, else by which of the two says more; two
that cannot be told apart are both kept, the later one under `<id>~<digest>`. Writers take turns
for each commit, and each first learns what the others have committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loopllm_cli.sources.chunk import ROW_CONTENT, Batch, Rows
from loopllm_cli.store import tables
from loopllm_cli.store.ids import TableIds, digests
from loopllm_cli.store.known import UInt64
from loopllm_cli.store.project import Project
from loopllm_cli.store.schema import INTERACTIONS

_IDS_PER_QUESTION = 500
# How much of a response is there: a fuller record replaces a lesser one of the same id.
_FULLNESS = {"absent": 0, "redacted": 1, "partial_stream": 2, "partial_context": 3, "truncated": 3}
_FULL = 4
_STRICTNESS = {"off": 0, "secrets": 1, "basic": 2, "presidio": 3}
_STORED = ("interaction_id", *ROW_CONTENT, "content_state", "redaction")
Mask = npt.NDArray[np.bool_]


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
            nothing = tables.to_table([], INTERACTIONS)
            tables.append(self._project.interactions, nothing, app_ids=app_ids)
        return tally

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
        self._parts.refresh()
        parts = pa.concat_tables(found)
        ids, contents = digests(parts, "content_digest", ())
        new = _first_of_each(ids) & ~self._parts.known.find(ids)[0]
        self._append(self._project.parts, self._parts, parts, ids, contents, new)

    def _write_votes(self, votes: Rows | None) -> Mask:
        if votes is None:
            return np.zeros(0, dtype=bool)
        self._votes.refresh()
        new = _first_of_each(votes.ids) & ~self._votes.known.find(votes.ids)[0]
        self._append(
            self._project.feedback, self._votes, votes.table, votes.ids, votes.contents, new
        )
        return new

    def _write_rows(self, rows: Rows | None, tally: Tally) -> Mask:
        if rows is None:
            return np.zeros(0, dtype=bool)
        self._rows.refresh()
        known, contents = self._rows.known.find(rows.ids)
        first = _first_of_each(rows.ids)
        new = first & ~known
        # What a row meets: the stored one of its id, or the first one beside it.
        met = np.where(known, contents, rows.contents[_first_index(rows.ids)])
        contested = ~new & (met != rows.contents)
        self._append(
            self._project.interactions, self._rows, rows.table, rows.ids, rows.contents, new
        )
        if contested.any():
            settled = self._settle(rows.table.filter(pa.array(contested)), tally)
            new[np.flatnonzero(contested)[settled]] = True
        return new

    def _append(
        self,
        location: tables.Location,
        known: TableIds,
        table: pa.Table,
        ids: UInt64,
        contents: UInt64,
        new: Mask,
    ) -> None:
        if not new.any():
            return
        if self._dry_run:
            known.known.add(ids[new], contents[new])
            return
        tables.append(location, table if new.all() else table.filter(pa.array(new)))
        known.took(ids[new], contents[new])

    def _settle(self, rows: pa.Table, tally: Tally) -> list[int]:
        """Settle rows whose id is known with other content.

        Returns:
            The places of those that are kept as rows of their own.
        """
        stored = self._stored(rows.column("interaction_id").to_pylist())
        replacing: dict[str, int] = {}
        own: list[int] = []
        renamed: list[str] = []
        for place, row in enumerate(rows.select(_STORED).to_pylist()):
            key = row["interaction_id"]
            before = stored.get(key)
            if before is None:  # only the ids' digests are alike
                own.append(place)
                renamed.append(key)
                stored[key] = row
            elif _is_newer(row, before):
                replacing[key] = place
                stored[key] = row
            elif _differs(row, before):
                own.append(place)
                renamed.append(f"{key}~{row['content_digest'][:8]}")
        tally.replaced += len(replacing)
        if replacing and not self._dry_run:
            self._replace(rows.take(pa.array(sorted(replacing.values()))))
        return self._keep_both(rows, own, renamed, tally)

    def _keep_both(
        self, rows: pa.Table, own: list[int], names: list[str], tally: Tally
    ) -> list[int]:
        if not own:
            return []
        both = rows.take(pa.array(own))
        at = both.schema.get_field_index("interaction_id")
        both = both.set_column(at, both.schema.field(at), pa.array(names, pa.string()))
        ids, contents = digests(both, "interaction_id", ROW_CONTENT)
        new = _first_of_each(ids) & ~self._rows.known.find(ids)[0]
        self._append(self._project.interactions, self._rows, both, ids, contents, new)
        tally.conflicts += int(new.sum())
        return [place for place, is_new in zip(own, new, strict=True) if is_new]

    def _replace(self, rows: pa.Table) -> None:
        tables.replace(self._project.interactions, rows, "interaction_id")
        self._rows.took(*digests(rows, "interaction_id", ROW_CONTENT))

    def _stored(self, ids: list[str]) -> dict[str, dict[str, Any]]:
        """Look at the stored rows of some ids."""
        found: dict[str, dict[str, Any]] = {}
        unique = list(dict.fromkeys(ids))
        for start in range(0, len(unique), _IDS_PER_QUESTION):
            listed = ", ".join(map(tables.quoted, unique[start : start + _IDS_PER_QUESTION]))
            rows = tables.select(
                self._project.interactions,
                f"SELECT {', '.join(_STORED)} FROM rows WHERE interaction_id IN ({listed})",
            )
            found.update((r["interaction_id"], r) for r in (rows.to_pylist() if rows else []))
        return found


def _is_newer(row: dict[str, Any], stored: dict[str, Any]) -> bool:
    """Return whether a row is to stand in the place of the stored one."""
    age, stored_age = row["source_version"], stored["source_version"]
    if age is not None and stored_age is not None and age != stored_age:
        return bool(age > stored_age)
    fullness, stored_fullness = _fullness(row), _fullness(stored)
    if fullness != stored_fullness:
        return fullness > stored_fullness
    if _strictness(row) != _strictness(stored):
        # The same record, read again with more masked: what was too much goes.
        return _strictness(row) > _strictness(stored)
    return age is not None and stored_age is None


def _differs(row: dict[str, Any], stored: dict[str, Any]) -> bool:
    """Return whether two rows of one id are equally good and yet not the same."""
    return (
        row["content_digest"] != stored["content_digest"]
        and row["source_version"] == stored["source_version"]
        and _fullness(row) == _fullness(stored)
        and _strictness(row) == _strictness(stored)
    )


def _fullness(row: dict[str, Any]) -> int:
    return _FULLNESS.get(row["content_state"], _FULL)


def _strictness(row: dict[str, Any]) -> int:
    return _STRICTNESS.get((row["redaction"] or "off").split("/")[0], 0)


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


def _first_of_each(ids: UInt64) -> Mask:
    return _first_index(ids) == np.arange(len(ids))


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
        counted = new_votes & (votes.records >= 0)
        voted[votes.records[counted]] = True
        tally.extra += int((counted & has_rows[votes.records]).sum())
        tally.implicit += int((new_votes & (votes.records < 0)).sum())
    only_votes = has_votes & ~has_rows
    tally.kept += int(kept.sum())
    tally.duplicates += int((has_rows & ~kept).sum())
    tally.feedback += int((voted & only_votes).sum())
    tally.feedback_duplicates += int((only_votes & ~voted).sum())
