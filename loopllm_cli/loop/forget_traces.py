"""Find what is to be forgotten in what was made from it: datasets, records, reviews, samples."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from loopllm_cli.pairs.dataset.stored import logged_id
from loopllm_cli.pairs.review.log import log_files, read_line, read_lines
from loopllm_cli.store.erase import Erasure
from loopllm_cli.store.project import Project

DROPPED = "dropped.parquet"
# A dataset's folder may hold several tables with provenance (pairs, single judged answers).
_ANSWERS = ("interaction_ids", "interaction_id")
_FEEDBACK = ("feedback_ids", "feedback_id")
_PEOPLE = {
    "user": ("user_id", "chosen_user_id", "annotator_ids", "annotator_id"),
    "conversation": ("conversation_id", "chosen_conversation_id"),
}
_FORGOTTEN = "(forgotten)"


def holds(folder: Path, gone: Erasure) -> bool:
    """Tell whether a dataset has a row that was made from what is to be forgotten."""
    tables = (path for path in sorted(folder.rglob("*.parquet")) if path.name != DROPPED)
    return any(any(hits(table, gone)) for table in map(_read_ids, tables) if table is not None)


def without_rows(path: Path, gone: Erasure) -> pa.Table | None:
    """Return a table without the rows that are to be forgotten; None where it has none of them."""
    ids = _read_ids(path)
    if ids is None:
        return None
    hit = hits(ids, gone)
    if not any(hit):
        return None
    table = pq.ParquetFile(path).read()
    return table.filter(pa.array([not one for one in hit]))


def hits(table: pa.Table, gone: Erasure) -> list[bool]:
    """Say of every row of a table whether it names what is to be forgotten."""
    found = [False] * len(table)
    wanted = [(name, gone.rows) for name in _ANSWERS]
    wanted += [(name, gone.votes) for name in _FEEDBACK]
    wanted += [(name, gone.names) for name in _PEOPLE.get(gone.selector, ())]
    if gone.selector == "id":
        wanted += [(name, gone.names) for name in _ANSWERS]
    for name, ids in wanted:
        if name not in table.column_names or not ids:
            continue
        for place, value in enumerate(table.column(name).to_pylist()):
            named = value if isinstance(value, list) else [value]
            if name in _ANSWERS:
                named = [logged_id(one) for one in named if one is not None]
            found[place] = found[place] or not ids.isdisjoint(named)
    return found


def samples(project: Project) -> Iterator[Path]:
    """Yield the tables of answers that were drawn from a model for logged prompts."""
    yield from sorted((project.home / "samples").glob("*.parquet"))


def cleaned_reviews(project: Project, gone: Erasure) -> dict[Path, str]:
    """Return the files of reviewers' decisions of which lines go, as they are to be.

    Decisions by the user go, and those on pairs that were made from what goes.
    """
    found = {}
    for path in log_files(project):
        lines = read_lines(path)
        kept = [line for line in lines if not _decides(line, gone)]
        if len(kept) < len(lines):
            found[path] = "".join(f"{line}\n" for line in kept)
    return found


def without(record: Any, gone: Erasure) -> Any:
    """Take out of a record the ids of rows, people, and sentences that name what is forgotten."""
    return _Cleaning(gone).of(record)


def _decides(line: str, gone: Erasure) -> bool:
    decision = read_line(line)
    if decision is None:
        # What cannot be read may hold anything; it counts for nothing in any case.
        return any(name in line for name in (*gone.names, *gone.rows, *gone.votes))
    if gone.selector == "user" and decision.reviewer in gone.names:
        return True
    on_rows = not gone.rows.isdisjoint(map(logged_id, decision.interaction_ids))
    return on_rows or not gone.votes.isdisjoint(decision.feedback_ids)


class _Cleaning:
    """What taking traces out of a record needs to know."""

    def __init__(self, gone: Erasure) -> None:
        self._gone = gone
        either = "|".join(re.escape(name) for name in sorted({*gone.names, *gone.rows}))
        self._quoted = re.compile(rf"'(?:{either})'")
        self._mentioned = re.compile(rf"(?<![\w-])(?:{either})(?![\w-])")

    def of(self, record: Any) -> Any:
        if isinstance(record, dict):
            return {name: self._field(name, value) for name, value in record.items()}
        if isinstance(record, list):
            return [self.of(value) for value in record if not self._goes(value)]
        return record

    def _field(self, name: str, value: Any) -> Any:
        if isinstance(value, str):
            if name == "where" and self._quoted.search(value):
                return None
            # What an audit found is a sentence, and may name the annotator it is about.
            if name in ("text", "remedy") and self._mentioned.search(value):
                return _FORGOTTEN
        return self.of(value)

    def _goes(self, value: Any) -> bool:
        gone = self._gone
        if isinstance(value, str):
            return value in gone.rows or value in gone.votes
        person = value.get("annotator_id") if isinstance(value, dict) else None
        return gone.selector == "user" and person in gone.names


def read_record(path: Path) -> dict[str, Any]:
    """Read a JSON object; an empty one where there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _read_ids(path: Path) -> pa.Table | None:
    """Read the columns of a table that name answers, feedback or people; None without any."""
    known = {*_ANSWERS, *_FEEDBACK, *(name for names in _PEOPLE.values() for name in names)}
    try:
        file = pq.ParquetFile(path)
        names = [name for name in file.schema_arrow.names if name in known]
        return file.read(columns=names) if names else None
    except (OSError, pa.ArrowException):
        return None
