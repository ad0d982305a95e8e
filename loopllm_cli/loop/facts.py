"""What a store says about the loop that would suit it, for a first config."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from loopllm_cli.model import ProjectFacts
from loopllm_cli.profiles.baseline import list_baselines
from loopllm_cli.profiles.segments import MAX_SEGMENTS
from loopllm_cli.store import tables
from loopllm_cli.store.locations import Location
from loopllm_cli.store.project import Project

_SEGMENT_COLUMNS = ("prompt_name", "agent_name", "service_name", "operation_name")
_MIN_FILLED = 0.9
"""A column that names the segments of nine rows in ten resolves traffic; less leaves a pile."""
_MOST_MODELS, _MOST_SOURCES = 5, 20


def read_facts(project: Project) -> ProjectFacts:
    """Look at what has been ingested so far; an empty project gives empty facts."""
    counts = ", ".join(
        f"COUNT({name}) AS {name}_n, COUNT(DISTINCT {name}) AS {name}_kinds"
        for name in _SEGMENT_COLUMNS
    )
    span = "CAST(MIN(request_time) AS DATE) AS first, CAST(MAX(request_time) AS DATE) AS last"
    whole = _rows(project, f"SELECT COUNT(*) AS n, {span}, {counts} FROM rows")
    found = whole[0] if whole else {"n": 0}
    n = int(found["n"])
    names = "COALESCE(response_model, request_model)"
    models = _rows(
        project,
        f"SELECT {names} AS name, COUNT(*) AS n FROM rows WHERE {names} IS NOT NULL "
        f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {_MOST_MODELS}",
    )
    paths = [path for table in (project.interactions, project.feedback) for path in _paths(table)]
    votes = tables.select(project.feedback, "SELECT COUNT(*) AS n FROM rows")
    return ProjectFacts(
        n_responses=n,
        n_votes=int(votes.column("n")[0].as_py()) if votes else 0,
        first_day=str(found.get("first") or ""),
        last_day=str(found.get("last") or ""),
        sources=_sources(paths),
        models=tuple(str(row["name"]) for row in models),
        columns={
            name: int(found[f"{name}_kinds"])
            for name in _SEGMENT_COLUMNS
            if n
            and found[f"{name}_n"] >= _MIN_FILLED * n
            and 2 <= found[f"{name}_kinds"] <= MAX_SEGMENTS
        },
        baselines=tuple(list_baselines(project)),
    )


def _rows(project: Project, sql: str) -> list[dict[str, Any]]:
    found = tables.select(project.interactions, sql)
    return [] if found is None else found.to_pylist()


def _paths(table: Location) -> list[str]:
    found = tables.select(table, "SELECT DISTINCT source_path AS path FROM rows ORDER BY 1")
    return [] if found is None else [str(path) for path in found.column("path").to_pylist()]


def _sources(paths: list[str]) -> tuple[str, ...]:
    """Name the folders that several files came from, and the single files."""
    files = [Path(path) for path in dict.fromkeys(paths) if path != "-"]
    per_folder = Counter(path.parent for path in files)
    named = (path.parent if per_folder[path.parent] > 1 else path for path in files)
    return tuple(dict.fromkeys(map(str, named)))[:_MOST_SOURCES]
