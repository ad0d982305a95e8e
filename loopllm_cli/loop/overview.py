"""Overview: one line about everything a project holds, each with its age."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loopllm_cli.loop.records import latest_drift_run, latest_run
from loopllm_cli.profiles.baseline import list_baselines
from loopllm_cli.store import tables
from loopllm_cli.store.locations import Location
from loopllm_cli.store.moments import to_moments
from loopllm_cli.store.project import Project

StatusRow = tuple[str, str, datetime | None]


def read_status(project: Project) -> list[StatusRow]:
    """Return name, words and time of everything in a project."""
    return [
        _table(project.interactions, "responses", "request_time"),
        _table(project.feedback, "feedback", "feedback_time"),
        ("baselines", ", ".join(list_baselines(project)) or "none yet", None),
        _drift(project),
        _pairs(project),
        _verify(project),
        *_run(project),
    ]


def _run(project: Project) -> list[StatusRow]:
    run = latest_run(project)
    if run is None:
        return []
    said = f"exit {run.exit_code}: {run.sentence}" if run.ended else f"{run.run_id} has not ended"
    return [("last run", said, run.created)]


def _table(location: Location, name: str, time_column: str) -> StatusRow:
    sql = f"SELECT COUNT(*) AS n, MAX({time_column}) AS last FROM rows"
    found = tables.select(location, sql)
    if found is None:
        return name, "none yet", None
    n_rows, newest = found.column("n").to_pylist()[0], to_moments(found.column("last"))[0]
    return name, f"{n_rows:,} rows, newest", newest


def _drift(project: Project) -> StatusRow:
    run = latest_drift_run(project)
    if run is None:
        return "drift", "never run", None
    return "drift", f"{run.status.value} against {run.baseline_name} ({run.run_id})", run.created


def _pairs(project: Project) -> StatusRow:
    cards = sorted((project.home / "pairs").glob("*/card.json"), key=lambda p: p.stat().st_mtime)
    if not cards:
        return "pairs", "none yet", None
    card = _read(cards[-1])
    said = f"{card['n_train']} train, {card['n_heldout']} held out ({cards[-1].parent.name})"
    return "pairs", said, datetime.fromtimestamp(cards[-1].stat().st_mtime, UTC)


def _verify(project: Project) -> StatusRow:
    records = [_read(p) for p in (project.home / "verify").glob("*.json")]
    if not records:
        n_adapters = len(list((project.home / "adapters").glob("*/lineage.json")))
        return "adapters", f"{n_adapters}, none verified" if n_adapters else "none yet", None
    last = max(records, key=lambda record: str(record["created"]))
    return "adapters", f"{last['gate']}: {last['adapter']}", datetime.fromisoformat(last["created"])


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
