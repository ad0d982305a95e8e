"""What was captured: what became of records, and parts of the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from loopllm_cli.model.display import Displayed

Message = dict[str, Any]
"""One chat message, `{"role": ..., "content": ...}`, as TRL and chat templates take it."""


@dataclass(frozen=True, slots=True)
class IngestSummary(Displayed):
    """What became of every line that was read.

    A line is a line of JSON, a row of a table or an element of an array. Always
    `n_lines = n_blank + n_kept + n_duplicates + n_feedback + n_feedback_duplicates + n_parts +
    n_skipped + n_rejected`. Beyond the first row of a record, `n_extra_rows` counts its further
    responses and votes, and what was put together from parts; `n_replaced` the stored rows that
    gave way to a newer or fuller record; `n_conflicts` the rows kept beside one of the same id;
    `n_implicit` what was mined from users' next messages. `columns_filled` counts, for a dry run's
    sample, per format the rows and how many of them fill each column.
    """

    n_lines: int
    n_blank: int
    n_kept: int
    n_duplicates: int
    n_feedback: int
    n_feedback_duplicates: int
    n_feedback_linked: int
    n_feedback_orphans: int
    n_feedback_ambiguous: int
    n_feedback_of_conversations: int
    orphans_because: str
    n_parts: int
    n_skipped: int
    n_rejected: int
    n_extra_rows: int
    n_replaced: int
    n_conflicts: int
    n_implicit: int
    skipped_by_reason: dict[str, int]
    rejected_by_reason: dict[str, int]
    redacted_by_type: dict[str, int]
    format_reasons: dict[str, str]
    columns_filled: dict[str, dict[str, int]]
    n_lines_by_format: dict[str, int]
    first_time: datetime | None
    last_time: datetime | None
    models: tuple[str, ...]
    rejects_path: str | None
    sources: tuple[str, ...]
    n_sources_unchanged: int
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ForgetSummary:
    """What was erased, or would be in a dry run; whom it was about is not repeated.

    `datasets` were removed; `datasets_elsewhere` hold some of it too and lie outside of the
    project. `records` are runs whose ids of rows were taken out, `rewritten` files whose lines or
    rows were: reviewers' decisions, sampled answers, lists of dropped feedback. `adapters` were
    trained on a dataset that held some of it, and are still there; `promoted` are the one of
    them that is promoted, if it is.
    """

    selector: str
    n_interactions: int
    n_feedback: int
    n_parts: int
    n_rejects: int
    datasets: tuple[str, ...]
    datasets_elsewhere: tuple[str, ...]
    records: tuple[str, ...]
    adapters: tuple[str, ...]
    n_baselines: int
    dry_run: bool = False
    rewritten: tuple[str, ...] = ()
    promoted: str | None = None


@dataclass(frozen=True, slots=True)
class TableUpkeep:
    """What was done for one table: its files before and after.

    `n_joined` small files were put together (0: not worth it); `n_removed` files had not been
    part of the table for a week.
    """

    name: str
    n_files_before: int
    n_files: int
    n_joined: int
    n_removed: int


@dataclass(frozen=True, slots=True)
class Upkeep(Displayed):
    """What was done to keep the tables fit."""

    tables: tuple[TableUpkeep, ...]
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the store, as asked for. Times are UTC; `until` is exclusive."""

    since: datetime | None = None
    until: datetime | None = None
    model: str | None = None
    where: str | None = None


@dataclass(frozen=True, slots=True)
class WindowSummary:
    """What a window turned out to hold."""

    n_rows: int
    n_users: int
    n_clusters: int
    first_time: datetime | None
    last_time: datetime | None
    models: tuple[str, ...]
