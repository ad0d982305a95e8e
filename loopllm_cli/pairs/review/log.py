"""Reviewers' decisions on disk: one line each, added at once, a file of its own per sitting.

No sitting writes to another's file, so that any number of reviewers may work at the same time,
also with a project in an object store, and a line that a crash cut short ends its file.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loopllm_cli.errors import StoreUnavailable
from loopllm_cli.model import Choice, ReviewDecision
from loopllm_cli.store.project import Project

FOLDER = "reviews"
_MAX_LINE = 1 << 20
_START = datetime.min.replace(tzinfo=UTC)


class ReviewLog:
    """Where one sitting writes its decisions; the file is made with the first of them."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._path: Path | None = None

    def append(self, *decisions: ReviewDecision) -> None:
        """Keep decisions for good: they are on the disk when this returns.

        Raises:
            StoreUnavailable: they cannot be written.
        """
        if self._path is None:
            name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(6)}.jsonl"
            self._path = self._project.folder(FOLDER) / name
        # In ASCII, and one call for a whole line: a process that is killed has written it or not.
        lines = [json.dumps(asdict(d), default=_plain, sort_keys=True) + "\n" for d in decisions]
        try:
            with self._path.open("ab", buffering=0) as stream:
                for line in lines:
                    stream.write(line.encode("ascii"))
                os.fsync(stream.fileno())
        except OSError as error:
            raise StoreUnavailable(
                f"cannot write {self._path} ({error.strerror})",
                "free some space and go on: what was decided before is kept",
            ) from error


def read_decisions(project: Project) -> list[ReviewDecision]:
    """Read all decisions on a project's pairs, by time.

    Raises:
        StoreUnavailable: a file of them cannot be read.
    """
    return read_log(project)[0]


def read_log(project: Project) -> tuple[list[ReviewDecision], int]:
    """Read all decisions by time, and how many lines are none.

    Raises:
        StoreUnavailable: a file of them cannot be read.
    """
    found: list[ReviewDecision] = []
    n_broken = 0
    for path in log_files(project):
        for line in read_lines(path):
            decision = read_line(line)
            if decision is None:
                n_broken += 1
            else:
                found.append(decision)
    # Sorting keeps the order of a file among decisions of the same moment.
    return sorted(found, key=lambda d: d.time or _START), n_broken


def log_files(project: Project) -> list[Path]:
    """Return the files with decisions."""
    return sorted((project.home / FOLDER).glob("*.jsonl"))


def read_lines(path: Path) -> list[str]:
    """Return the lines of a file that are not blank.

    Raises:
        StoreUnavailable: it cannot be read.
    """
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise StoreUnavailable(
            f"cannot read {path} ({error.strerror})", "check the permissions"
        ) from error
    return [line for line in text.split("\n") if line.strip()]


def read_line(line: str) -> ReviewDecision | None:
    """Read one decision; None where the line is none."""
    try:
        row = json.loads(line) if len(line) <= _MAX_LINE else None
        if not isinstance(row, dict):
            return None
        return ReviewDecision(
            pair_id=_text(row["pair_id"]),
            choice=Choice(row["choice"]),
            reviewer=_text(row["reviewer"]),
            time=_moment(row.get("time")),
            content=_text(row.get("content", "")),
            queue=_text(row.get("queue", "")),
            source=_text(row.get("source", "")),
            feedback_ids=_texts(row.get("feedback_ids", [])),
            interaction_ids=_texts(row.get("interaction_ids", [])),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise TypeError
    return tuple(_text(value) for value in values)


def _moment(value: Any) -> datetime | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(_text(value))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    raise TypeError(type(value).__name__)
