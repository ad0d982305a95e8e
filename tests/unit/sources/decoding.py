"""Decode and ingest records in tests without a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loopllm_cli.model import IngestSummary
from loopllm_cli.sources.columns import PLAIN, Mapping
from loopllm_cli.sources.decode import Router
from loopllm_cli.sources.ingest import IngestOptions, ingest
from loopllm_cli.sources.rows import Decoded, Origin
from loopllm_cli.store.project import Project


def decoded(
    record: dict[str, Any], mapping: Mapping = PLAIN, only: str | None = None, **origin: Any
) -> tuple[str, Decoded]:
    """Return the format's name and the rows of one record."""
    return Router(mapping, only).decode(record, Origin("a.jsonl", 1, "test", **origin))


def row_of(record: dict[str, Any], mapping: Mapping = PLAIN, **origin: Any) -> dict[str, Any]:
    """Return the one interaction of a record."""
    (row,) = decoded(record, mapping, **origin)[1].interactions
    return row


def vote_of(record: dict[str, Any]) -> dict[str, Any]:
    """Return the one piece of feedback of a record."""
    (vote,) = decoded(record)[1].feedback
    return vote


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
        + summary.n_rejected
    )
