"""Erase rows from the tables so that their bytes are gone, not only their names.

Deleting from a Delta table writes new files and keeps the old ones for time travel, and the log
keeps the smallest and largest value of every column of every file. So a deletion is followed by
a vacuum without any retention, a checkpoint, and the removal of the older log. Earlier versions
of the tables cannot be read any more after that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable
from deltalake._internal import DeltaFileSystemHandler
from deltalake.exceptions import DeltaError

from loopllm_cli.errors import StoreUnavailable
from loopllm_cli.store import tables
from loopllm_cli.store.locations import Location
from loopllm_cli.store.project import Project

SELECTORS = {"user": "user_id", "conversation": "conversation_id", "id": "interaction_id"}
"""What may be forgotten, and the column of the interactions that names it."""

_ROW_IDS = ("interaction_id", "source_record_id", "response_id", "request_id", "span_id")
# What may be shared with rows that stay: a vote on it goes when its last row goes.
_SHARED = {
    "trace_id": "target_trace_id",
    "conversation_id": "target_conversation_id",
    "response_hash": "target_response_hash",
}
_AT_ONCE = 1000
_KEEP_LOG = "interval 30 days"
_PIECES = re.compile(r"[/\x1f|\s]+")


@dataclass
class Erasure:
    """What is to go: everything that names one user, conversation or response.

    Args:
        selector: user, conversation or id.
        names: the ways in which the store may have written it.
    """

    selector: str
    names: frozenset[str]
    rows: frozenset[str] = frozenset()
    votes: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    n_parts: int = 0
    rejects: dict[Path, int] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether the tables and the rejects hold nothing of it."""
        return not (self.rows or self.votes or self.n_parts or self.rejects)


def find(project: Project, selector: str, names: Iterable[str]) -> Erasure:
    """Find what the tables and the rejects hold of a user, a conversation or a response.

    Raises:
        StoreUnavailable: nothing has been ingested, or a table cannot be read.
    """
    found = Erasure(selector, frozenset(names))
    column = SELECTORS[selector]
    listed = ", ".join(tables.quoted(name) for name in sorted(found.names))
    wanted = f"COALESCE({column} IN ({listed}), FALSE)"
    columns = ", ".join((*_ROW_IDS, *_SHARED))
    rows = tables.select(project.interactions, f"SELECT {columns} FROM rows WHERE {wanted}")
    if rows is None:
        raise StoreUnavailable(
            f"nothing has been ingested into {project.place} yet", "check --project"
        )
    ids = {value for name in _ROW_IDS for value in _values(rows, name)}
    gone = _gone(project, rows, wanted)
    if selector == "conversation":
        gone["conversation_id"] |= found.names
    elif selector == "id":
        ids |= found.names
    found.rows = frozenset(rows.column("interaction_id").to_pylist())
    found.votes = _votes(project, found, ids, gone)
    found.groups, found.n_parts = _groups(project, found, ids | _values(rows, "trace_id"))
    found.rejects = _rejects(project, found.names)
    return found


def erase(project: Project, found: Erasure) -> None:
    """Erase what was found, for good.

    A mark is left until it is done, so that `finish` completes what was interrupted.

    Raises:
        StoreUnavailable: a table cannot be written.
    """
    _mark(project).touch()
    for path in found.rejects:
        _rewrite_rejects(path, found.names)
    _delete(project.parts, "group_key", found.groups)
    _delete(project.feedback, "feedback_id", found.votes)
    _delete(project.interactions, "interaction_id", found.rows)
    finish(project)


def finish(project: Project) -> None:
    """Remove the old files and logs of a deletion, if there has been one.

    Raises:
        StoreUnavailable: a table cannot be written.
    """
    if not _mark(project).exists():
        return
    for location in (project.parts, project.feedback, project.interactions):
        _purge(location)
    _mark(project).unlink()


def _mark(project: Project) -> Path:
    return project.home / "forget.unfinished"


def _values(rows: pa.Table, name: str) -> set[str]:
    return {value for value in rows.column(name).to_pylist() if value is not None}


def _gone(project: Project, rows: pa.Table, wanted: str) -> dict[str, set[str]]:
    """Return the traces, conversations and texts of which no row stays."""
    gone = {name: _values(rows, name) for name in _SHARED}
    if any(gone.values()):
        columns = ", ".join(_SHARED)
        kept = tables.select(project.interactions, f"SELECT {columns} FROM rows WHERE NOT {wanted}")
        assert kept is not None
        for name in _SHARED:
            again = kept.column(name).filter(pc.is_in(kept.column(name), _set(gone[name])))
            gone[name] -= set(again.to_pylist())
    return gone


def _votes(
    project: Project, found: Erasure, ids: set[str], gone: dict[str, set[str]]
) -> frozenset[str]:
    """Return the votes of the user, and those on what goes."""
    one_row = ("target_id", "target_span_id", "target_response_id")
    columns = ", ".join(("feedback_id", "annotator_id", *one_row, *_SHARED.values(), "winner_id"))
    votes = tables.select(project.feedback, f"SELECT {columns}, candidate_ids FROM rows")
    if votes is None:
        return frozenset()
    hit = pc.is_in(votes.column("winner_id"), _set(ids))
    for name in one_row:
        hit = pc.or_(hit, pc.is_in(votes.column(name), _set(ids)))
    for name, target in _SHARED.items():
        # Some exporters name a trace or a conversation in the target's own id.
        for column in (target, "target_id"):
            hit = pc.or_(hit, pc.is_in(votes.column(column), _set(gone[name])))
    if found.selector == "user":
        hit = pc.or_(hit, pc.is_in(votes.column("annotator_id"), _set(found.names)))
    every = votes.column("feedback_id")
    candidates = votes.column("candidate_ids").to_pylist()
    compared = {
        vote
        for vote, compared in zip(every.to_pylist(), candidates, strict=True)
        if compared and not ids.isdisjoint(compared)
    }
    return frozenset(every.filter(hit).to_pylist()) | compared


def _groups(project: Project, found: Erasure, ids: set[str]) -> tuple[frozenset[str], int]:
    """Return the groups of pieces that belong to what goes, and how many pieces they have."""
    parts = tables.select(project.parts, "SELECT group_key, content_json FROM rows")
    if parts is None:
        return frozenset(), 0
    keys = parts.column("group_key")
    names = {*ids, *found.names}
    by_key = {
        key
        for key in keys.unique().to_pylist()
        if key in names or not names.isdisjoint(_PIECES.split(key))
    }
    inside = pc.match_substring_regex(parts.column("content_json"), _mention(found.names))
    groups = by_key | set(keys.filter(inside).to_pylist())
    return frozenset(groups), int(pc.sum(pc.is_in(keys, _set(groups))).as_py() or 0)


def _set(values: Iterable[str]) -> pa.Array:
    return pa.array(sorted(values), pa.string())


def _mention(names: Iterable[str]) -> str:
    """Return a pattern that finds a name in JSON, where it is no part of a longer word."""
    written = sorted(json.dumps(name, ensure_ascii=False)[1:-1] for name in names)
    either = "|".join(re.escape(name) for name in written)
    return rf"(?:^|[^A-Za-z0-9_-])(?:{either})(?:$|[^A-Za-z0-9_-])"


def _rejects(project: Project, names: frozenset[str]) -> dict[Path, int]:
    """Return how many rejected lines of each file mention a name."""
    pattern = re.compile(_mention(names))
    counts = {
        path: sum(_mentions(line, pattern) for line in _lines(path))
        for path in sorted((project.home / "rejects").glob("*.jsonl"))
    }
    return {path: n for path, n in counts.items() if n}


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", errors="replace") as stream:
        yield from stream


def _mentions(line: str, pattern: re.Pattern[str]) -> bool:
    try:
        entry: Any = json.loads(line)
        head = str(entry["head"])
    except (ValueError, TypeError, KeyError):
        head = line
    return pattern.search(head) is not None


def _rewrite_rejects(path: Path, names: frozenset[str]) -> None:
    pattern = re.compile(_mention(names))
    kept = [line for line in _lines(path) if not _mentions(line, pattern)]
    part = path.with_suffix(".part")
    try:
        part.write_text("".join(kept), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot write {path} ({error.strerror})", "free some space and run it again"
        ) from error


def _delete(location: Location, column: str, values: frozenset[str]) -> None:
    """Delete rows by the values of a column, some at a time: conditions are kept in memory."""
    ordered = sorted(values)
    for start in range(0, len(ordered), _AT_ONCE):
        table = tables.open_table(location)
        if table is None:
            return
        listed = ", ".join(tables.quoted(value) for value in ordered[start : start + _AT_ONCE])
        try:
            properties = CommitProperties(app_transactions=[tables.MARK])
            table.delete(f"{column} IN ({listed})", commit_properties=properties)
        except (DeltaError, OSError) as error:
            raise _unfinished(location, error) from error


def _purge(location: Location) -> None:
    """Remove what only earlier versions of a table need: data files and log entries."""
    table = tables.open_table(location)
    if table is None:
        return
    try:
        # In full: what a killed writer has left behind is in no version, and goes too.
        if isinstance(location, Path):
            table.vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)
        else:
            _purge_unlocked(location, table)
        table = tables.open_table(location)
        assert table is not None
        table.alter.set_table_properties({"delta.logRetentionDuration": "interval 0 days"})
        table = tables.open_table(location)
        assert table is not None
        table.create_checkpoint()
        table.cleanup_metadata()
        table.alter.set_table_properties({"delta.logRetentionDuration": _KEEP_LOG})
    except (DeltaError, OSError) as error:
        raise _unfinished(location, error) from error


def _purge_unlocked(location: str, table: DeltaTable) -> None:
    """Remove a table's old files where other writers cannot be locked out.

    A file that is in no version may be one that another writer is about to commit. So a commit
    comes between finding such files and removing them: it fails if another writer has committed
    meanwhile, and those who have not will fail, and write their file again.

    Raises:
        Locked: another writer has been faster.
    """
    doomed = table.vacuum(0, dry_run=True, enforce_retention_duration=False, full=True)
    schema = pa.schema(table.schema().to_arrow())
    tables.append(location, schema.empty_table(), table=table)
    files = DeltaFileSystemHandler(location)
    for name in doomed:
        files.delete_file(name)


def _unfinished(location: Location, error: Exception) -> StoreUnavailable:
    said = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return StoreUnavailable(
        f"cannot erase from the table at {location} ({said})",
        "run the same command again: it completes what was interrupted",
    )
