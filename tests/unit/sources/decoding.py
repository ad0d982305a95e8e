"""Decode and ingest records in tests without a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from loopllm_cli.model import IngestSummary
from loopllm_cli.sources.columns import PLAIN, Mapping
from loopllm_cli.sources.decode import Router
from loopllm_cli.sources.formats import format_by_name
from loopllm_cli.sources.ingest import IngestOptions, ingest
from loopllm_cli.sources.rows import Decoded, Origin, Part, Record, Row
from loopllm_cli.store.project import Project
from loopllm_cli.store.schema import FEEDBACK, INTERACTIONS


def decoded(
    record: dict[str, Any], mapping: Mapping = PLAIN, only: str | None = None, **origin: Any
) -> tuple[str, Decoded]:
    """Return the format's name and the rows of one record."""
    return Router(mapping, only).decode(record, Origin("a.jsonl", 1, "test", **origin))


def decode_all(
    records: Iterable[Record], mapping: Mapping = PLAIN, only: str | None = None
) -> tuple[Counter[str], Decoded]:
    """Decode records as one ingest would, parts put together: formats counted, and all rows."""
    router, found, shapes = Router(mapping, only), Decoded(), Counter[str]()
    groups: dict[tuple[str, str], dict[str, Part]] = {}
    for number, record in enumerate(records, 1):
        name, one = router.decode(record, Origin("a.jsonl", number, "test"))
        shapes[name] += 1
        found.add(one)
        for part in one.parts:
            group = groups.setdefault((name, part.group), {})
            if part.key not in group or group[part.key].version <= part.version:
                group[part.key] = part
    for (name, group_name), group in sorted(groups.items()):
        # Through JSON, as the store keeps them.
        contents = [orjson.loads(orjson.dumps(group[key].content)) for key in sorted(group)]
        assemble = format_by_name(name).assemble
        assert assemble is not None, f"{name} has parts and cannot assemble them"
        found.add(assemble(group_name, contents, Origin("a.jsonl", 0, "test")))
    found.interactions = [full(row, INTERACTIONS.names) for row in found.interactions]
    found.feedback = [full(vote, FEEDBACK.names) for vote in found.feedback]
    return shapes, found


def full(row: Row, names: list[str]) -> Row:
    """Return a row with every column; one that the table does not have is a mistake."""
    assert set() == set(row) - set(names)
    return {name: row.get(name) for name in names}


def row_of(record: dict[str, Any], mapping: Mapping = PLAIN, **origin: Any) -> dict[str, Any]:
    """Return the one interaction of a record."""
    (row,) = decoded(record, mapping, **origin)[1].interactions
    return full(row, INTERACTIONS.names)


def vote_of(record: dict[str, Any]) -> dict[str, Any]:
    """Return the one piece of feedback of a record."""
    (vote,) = decoded(record)[1].feedback
    return full(vote, FEEDBACK.names)


def ingest_file(path: Path, **options: Any) -> IngestSummary:
    """Read one file into a project beside it."""
    settings = IngestOptions(**{"max_reject_rate": 1.0, **options})
    return ingest(Project(path.parent), [str(path)], settings)


def total(summary: IngestSummary) -> int:
    """Add up what became of the lines."""
    return (
        summary.n_blank
        + summary.n_kept
        + summary.n_duplicates
        + summary.n_feedback
        + summary.n_feedback_duplicates
        + summary.n_parts
        + summary.n_skipped
        + summary.n_rejected
    )
