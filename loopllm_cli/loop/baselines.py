"""Baselines as artefacts: written to a file, read from one, and removed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loopllm_cli.errors import BaselineNotFound, SchemaMismatch
from loopllm_cli.model import BaselineRemoval
from loopllm_cli.profiles.baseline import (
    Baseline,
    check_name,
    list_baselines,
    read_baseline,
    remove_baseline,
    write_baseline,
)
from loopllm_cli.profiles.baseline_artefact import MAX_FILE_BYTES, pack, unpack
from loopllm_cli.store.project import Project


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """A baseline to be written, and what of it."""

    name: str
    with_names: bool = True
    with_sample: bool = False


def export_baseline(project: Project, request: ExportRequest) -> bytes:
    """Return the bytes of a baseline's file.

    Raises:
        BaselineNotFound: there is none of that name.
        UsageError: its segments are people's, or cannot do without their names.
    """
    baseline = read_baseline(project, request.name)
    content = pack(baseline, with_names=request.with_names, with_sample=request.with_sample)
    if len(content) > MAX_FILE_BYTES:
        raise SchemaMismatch(
            f"the baseline {request.name!r} takes {len(content) >> 20} MB, more than a file may",
            "export it without its sample of rows",
        )
    return content


def import_baseline(
    project: Project, content: bytes, *, name: str | None = None, replace_it: bool = False
) -> Baseline:
    """Keep a baseline that was exported, under its own name or another.

    Raises:
        SchemaMismatch: the content is damaged, edited, hostile, or of another version.
        AlreadyExists: the name is taken and `replace_it` is false.
    """
    if name is not None:
        check_name(name)
    baseline = unpack(content)
    return write_baseline(
        project, replace(baseline, name=name or baseline.name), replace=replace_it
    )


def forget_baseline(project: Project, name: str, *, dry_run: bool = False) -> BaselineRemoval:
    """Remove a baseline and say what was made against it; none of that is removed.

    Args:
        dry_run: remove nothing.

    Raises:
        BaselineNotFound: there is none of that name.
    """
    check_name(name)
    if name not in list_baselines(project):
        raise BaselineNotFound(name, list_baselines(project))
    home = project.home

    def about(card: Any) -> bool:
        return isinstance(card, dict) and name in (card.get("baseline_name"), card.get("baseline"))

    removal = BaselineRemoval(
        name=name,
        drift_runs=_names((home / "drift").glob("*.json"), about, lambda p: p.stem),
        ledgers=_names((home / "nights").glob("**/*.json"), about, lambda p: p.stem),
        pairs=_names((home / "pairs").glob("*/card.json"), about, lambda p: p.parent.name),
        adapters=_names((home / "adapters").glob("*/lineage.json"), about, lambda p: p.parent.name),
        verify_runs=_names((home / "verify").glob("*.json"), about, lambda p: p.stem),
        dry_run=dry_run,
    )
    if not dry_run:
        remove_baseline(project, name)
    return removal


def _names(
    paths: Iterable[Path], about: Callable[[Any], bool], named: Callable[[Path], str]
) -> tuple[str, ...]:
    return tuple(sorted(named(path) for path in paths if about(_read(path))))


def _read(path: Path) -> Any:
    """Read a record; what cannot be read refers to nothing."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
