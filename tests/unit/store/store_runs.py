"""Run the command line in other processes, and look at what a store holds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from loopllm_cli.sources.ingest import IngestOptions, ingest
from loopllm_cli.store import tables
from loopllm_cli.store.project import Project

# One key for all projects, so that their pseudonyms can be compared.
KEY = "a key for tests, not a secret"


def start(*args: str, cwd: Path) -> subprocess.Popen[bytes]:
    """Start a command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "loopllm_cli", *args],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "LOOPLLM_KEY": KEY},
    )


def read_in(root: Path, *paths: Path, **options: Any) -> Any:
    """Ingest files into the project at a folder."""
    settings = IngestOptions(**{"max_reject_rate": 1.0, **options})
    return ingest(Project(root), [str(path) for path in paths], settings)


def ids_of(root: Path, table: str = "interactions", key: str = "interaction_id") -> list[str]:
    """Return the ids that a table holds, sorted, with repetitions."""
    found = tables.select(Project(root).home / table, f"SELECT {key} AS id FROM rows")
    return sorted(found.column("id").to_pylist()) if found else []
