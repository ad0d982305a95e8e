"""Records of runs: what was decided, kept as the same JSON that users get."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from loopllm_cli.correct.card import write_verification
from loopllm_cli.errors import StoreUnavailable, UsageError
from loopllm_cli.model import (
    AdapterCard,
    DriftResult,
    PairsSummary,
    RunParts,
    RunResult,
    VerifyResult,
)
from loopllm_cli.render.as_json import drift_from_json, from_json
from loopllm_cli.store.project import Project

T = TypeVar("T", DriftResult, PairsSummary, AdapterCard, VerifyResult)


def write_run(project: Project, kind: str, run_id: str, text: str) -> Path:
    """Keep a run's record, replacing the record of the very same run.

    Raises:
        StoreUnavailable: the place cannot be written.
    """
    path = project.folder(kind) / f"{run_id}.json"
    part = path.with_suffix(".part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot write {path} ({error.strerror})", "free some space and run it again"
        ) from error
    return path


def keep_verification(project: Project, adapter: Path, run_id: str, text: str) -> None:
    """Keep a verification in the project and, where it may be written, beside the adapter.

    Raises:
        StoreUnavailable: the project cannot be written.
    """
    write_run(project, "verify", run_id, text)
    with suppress(OSError):
        (adapter / "verification.json").write_text(text, encoding="utf-8")
    write_verification(adapter, json.loads(text))


def latest_verification(project: Project, adapter_hash: str) -> str | None:
    """Return the newest record of a proof of exactly these weights, None where there is none."""
    texts = [path.read_text("utf-8") for path in (project.home / "verify").glob("*.json")]
    found = [text for text in texts if json.loads(text).get("adapter_hash") == adapter_hash]
    return max(found, key=lambda text: str(json.loads(text).get("created")), default=None)


def latest_run(project: Project) -> RunResult | None:
    """Return the newest record of an unattended run, None where there has been none."""
    runs = [from_json(p.read_bytes(), RunResult) for p in (project.home / "run").glob("*.json")]
    return max(runs, key=lambda run: run.created, default=None)


def read_parts(project: Project, run: RunResult) -> RunParts:
    """Read the full results of a run's steps, as far as it got and they are still there."""
    made = {kind: name for step in run.steps for kind, name in step.made.items()}

    def read(kind: str, name: str, result: type[T]) -> T | None:
        path = project.home / kind / f"{name}.json"
        return from_json(path.read_bytes(), result) if name and path.is_file() else None

    pairs = Path(made.get("pairs", "")).name
    return RunParts(
        read("drift", made.get("drift", ""), DriftResult),
        read("pair-sets", pairs, PairsSummary),
        read("corrections", made.get("correction", ""), AdapterCard),
        read("verify", made.get("verify", ""), VerifyResult),
    )


def read_drift_run(project: Project, run_id: str) -> DriftResult:
    """Read a drift run by its id.

    Raises:
        UsageError: there is no such run.
    """
    path = project.home / "drift" / f"{run_id}.json"
    if "/" in run_id or not path.is_file():
        raise UsageError(f"no drift run {run_id!r}", "see the ids in .loopllm/drift")
    return drift_from_json(path.read_bytes())


def latest_drift_run(project: Project) -> DriftResult | None:
    """Return the newest drift run, None where there has been none."""
    runs = [drift_from_json(p.read_bytes()) for p in (project.home / "drift").glob("*.json")]
    return max(runs, key=lambda run: run.created, default=None)
