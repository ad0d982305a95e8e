"""Everything a project has recorded of its runs, comparisons and proofs."""

from __future__ import annotations

from typing import TypeVar

from loopllm_cli.errors import LoopllmError
from loopllm_cli.model import DriftResult, History, RunResult, VerifyResult
from loopllm_cli.render.as_json import from_json
from loopllm_cli.store.project import Project

MOST = 400
"""Records of a kind: a year of nights. A site of them is 400 small pages, whatever the traffic."""

T = TypeVar("T", RunResult, DriftResult, VerifyResult)


def read_history_of(project: Project) -> History:
    """Read the newest records; one that a newer version wrote, or that is damaged, is counted."""
    runs, bad_runs = _read(project, "run", RunResult)
    drifts, bad_drifts = _read(project, "drift", DriftResult)
    proofs, bad_proofs = _read(project, "verify", VerifyResult)
    return History(runs, drifts, proofs, bad_runs + bad_drifts + bad_proofs)


def _read(project: Project, kind: str, result: type[T]) -> tuple[tuple[T, ...], int]:
    found: list[T] = []
    n_unreadable = 0
    for path in sorted((project.home / kind).glob("*.json")):
        try:
            found.append(from_json(path.read_bytes(), result))
        except (LoopllmError, OSError):
            n_unreadable += 1
    newest = sorted(found, key=lambda one: one.created, reverse=True)
    return tuple(newest[:MOST]), n_unreadable
