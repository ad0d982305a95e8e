"""Forget a user, a conversation or a response: in the tables, and in what was made from them.

What was made goes first and the tables last: only the tables say which rows belonged to whom, so
a run that was interrupted can be repeated.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from loopllm_cli.errors import StoreUnavailable
from loopllm_cli.model import ForgetSummary
from loopllm_cli.profiles.baseline import list_baselines
from loopllm_cli.sources.redaction import Redactor, UserHasher
from loopllm_cli.sources.rows import safe_id
from loopllm_cli.store import erase, tables
from loopllm_cli.store.erase import Erasure
from loopllm_cli.store.project import Project
from loopllm_cli.store.secret import has_key, read_key

_RUNS = ("drift", "verify")


def forget(
    project: Project, selector: str, value: str, *, dry_run: bool, lock_wait_s: float = 60.0
) -> ForgetSummary:
    """Erase everything that a project holds of a user, a conversation or a response.

    Args:
        selector: user, conversation or id.
        value: the id, as the exporter wrote it or as the store has it.

    Raises:
        StoreUnavailable: nothing has been ingested, or something cannot be erased.
        Locked: another process kept writing.
    """
    if tables.open_table(project.interactions) is None:
        raise StoreUnavailable(
            f"nothing has been ingested into {project.place} yet", "check --project"
        )
    names = _names(project, selector, value)
    if dry_run:
        return _summary(_look(project, selector, names), project, dry_run=True)
    with project.writing(lock_wait_s):
        found = _look(project, selector, names)
        summary = _summary(found, project, dry_run=False)
        for path, text in found.records.items():
            _replace(path, text)
        for folder in found.datasets:
            _remove_dataset(folder)
        if found.rows.is_empty:
            erase.finish(project)
        else:
            erase.erase(project, found.rows)
    return summary


@dataclass
class _Found:
    """Everything in a project that holds, or was made from, what is to be forgotten."""

    rows: Erasure
    datasets: dict[Path, str] = field(default_factory=dict)
    elsewhere: dict[Path, str] = field(default_factory=dict)
    records: dict[Path, str] = field(default_factory=dict)
    adapters: list[Path] = field(default_factory=list)


def _names(project: Project, selector: str, value: str) -> set[str]:
    """Return every way in which the store may have written an id.

    A user's id is hashed; before that, one that looks like an address or a key was masked.
    """
    plain = {value, safe_id(value) or value}
    if selector == "id" or not has_key(project):
        return plain
    key = read_key(project)
    for level in ("secrets", "basic"):
        redactor = Redactor(level, key)
        for record in ({"user_id": value}, {"user": value}):
            plain.update(redactor.redact_record(record)[0].values())
    if selector == "user":
        hasher = UserHasher(key)
        return plain | {hasher(name) for name in plain}
    return plain


def _look(project: Project, selector: str, names: set[str]) -> _Found:
    found = _Found(erase.find(project, selector, names))
    for folder in _datasets(project):
        if _holds(folder, found.rows):
            inside = folder.parent == project.home / "pairs"
            where = found.datasets if inside else found.elsewhere
            where[folder] = _read(folder / "card.json").get("content_hash", "")
    for kind in _RUNS:
        for path in sorted((project.home / kind).glob("*.json")):
            record = _read(path)
            cleaned = _without(record, found.rows)
            if cleaned != record:
                found.records[path] = json.dumps(cleaned, sort_keys=True, indent=2) + "\n"
    found.adapters = _adapters(project, {**found.datasets, **found.elsewhere})
    return found


def _datasets(project: Project) -> Iterator[Path]:
    """Yield the folders of all datasets that the project knows of."""
    own = project.home / "pairs"
    written = (_read(path).get("path") for path in (project.home / "pair-sets").glob("*.json"))
    others = {Path(place) for place in written if isinstance(place, str)}
    resolved = {path.parent.resolve() for path in own.glob("*/provenance.parquet")}
    yield from sorted(path.parent for path in own.glob("*/provenance.parquet"))
    yield from sorted(p for p in others if p.resolve() not in resolved)


def _holds(folder: Path, gone: Erasure) -> bool:
    """Tell whether a dataset has a pair that was made from what is to be forgotten."""
    try:
        table = pq.read_table(folder / "provenance.parquet")
    except (OSError, pa.ArrowInvalid):
        return False
    people = {"user": ("user_id",), "conversation": ("conversation_id", "chosen_conversation_id")}
    known = set(table.column_names)
    for name in people.get(gone.selector, ()):
        if name in known and not gone.names.isdisjoint(table.column(name).to_pylist()):
            return True
    for name, ids in (("interaction_ids", gone.rows), ("feedback_ids", gone.votes)):
        lists = table.column(name).to_pylist() if name in known else []
        if any(not ids.isdisjoint(listed or ()) for listed in lists):
            return True
    return False


def _adapters(project: Project, datasets: dict[Path, str]) -> list[Path]:
    """Return the adapters that were trained on any of some datasets."""
    hashes = {digest for digest in datasets.values() if digest}
    places = {path.resolve() for path in datasets}
    candidates = {path.parent for path in (project.home / "adapters").glob("*/lineage.json")}
    verified = (_read(path).get("adapter") for path in (project.home / "verify").glob("*.json"))
    candidates |= {Path(place) for place in verified if isinstance(place, str)}
    found: dict[Path, Path] = {}
    for folder in sorted(candidates):
        lineage = _read(folder / "lineage.json")
        same_place = Path(str(lineage.get("pairs_path", ""))).resolve() in places
        if lineage.get("pairs_hash") in hashes or same_place:
            found.setdefault(folder.resolve(), folder)
    return sorted(found.values())


def _without(record: Any, gone: Erasure) -> Any:
    """Take the ids of rows out of a run's record, and a condition that names what is forgotten."""
    if isinstance(record, dict):
        return {
            name: None
            if name == "where" and isinstance(value, str) and _is_named(value, gone)
            else _without(value, gone)
            for name, value in record.items()
        }
    if isinstance(record, list):
        return [_without(v, gone) for v in record if not (isinstance(v, str) and v in gone.rows)]
    return record


def _is_named(condition: str, gone: Erasure) -> bool:
    either = "|".join(re.escape(name) for name in sorted({*gone.names, *gone.rows}))
    return re.search(rf"'(?:{either})'", condition) is not None


def _read(path: Path) -> dict[str, Any]:
    """Read a JSON object; an empty one where there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _replace(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot write {path} ({error.strerror})", "free some space and run it again"
        ) from error


def _remove_dataset(folder: Path) -> None:
    pointer = folder.parent / "latest"
    try:
        if pointer.is_file() and pointer.read_text(encoding="utf-8") == folder.name:
            pointer.unlink()
        shutil.rmtree(folder)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot remove {folder} ({error.strerror})", "check the permissions and run it again"
        ) from error


def _summary(found: _Found, project: Project, *, dry_run: bool) -> ForgetSummary:
    rows = found.rows
    return ForgetSummary(
        selector=rows.selector,
        n_interactions=len(rows.rows),
        n_feedback=len(rows.votes),
        n_parts=rows.n_parts,
        n_rejects=sum(rows.rejects.values()),
        datasets=tuple(str(path) for path in found.datasets),
        datasets_elsewhere=tuple(str(path) for path in found.elsewhere),
        records=tuple(str(path) for path in found.records),
        adapters=tuple(str(path) for path in found.adapters),
        n_baselines=len(list_baselines(project)),
        dry_run=dry_run,
    )
