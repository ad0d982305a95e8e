"""Forget a user, a conversation or a response: in the tables, and in what was made from them.

What was made goes first and the tables last: only the tables say which rows belonged to whom, so
a run that was interrupted can be repeated.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from loopllm_cli.errors import StoreUnavailable
from loopllm_cli.loop.adapters import mark_erased, promoted_of
from loopllm_cli.loop.forget_traces import (
    DROPPED,
    cleaned_reviews,
    holds,
    read_record,
    samples,
    without,
    without_rows,
)
from loopllm_cli.model import ForgetSummary
from loopllm_cli.profiles.baseline import list_baselines
from loopllm_cli.sources.redaction import Redactor, UserHasher
from loopllm_cli.sources.rows import safe_id
from loopllm_cli.store import erase, tables
from loopllm_cli.store.erase import Erasure
from loopllm_cli.store.project import Project
from loopllm_cli.store.secret import has_key, read_key

_RUNS = ("drift", "verify", "pair-sets")


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
        for path, text in {**found.records, **found.reviews}.items():
            _replace(path, text)
        for path, table in found.tables.items():
            _replace_table(path, table)
        mark_erased(project, found.adapters)
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
    reviews: dict[Path, str] = field(default_factory=dict)
    tables: dict[Path, pa.Table] = field(default_factory=dict)
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
    gone = found.rows
    places = [p for kind in _RUNS for p in sorted((project.home / kind).glob("*.json"))]
    shortened, listed = list(samples(project)), dict[Path, str]()
    for folder in _datasets(project):
        inside = folder.is_relative_to(project.home)
        if holds(folder, gone):
            where = found.datasets if inside else found.elsewhere
            where[folder] = read_record(folder / "card.json").get("content_hash", "")
        elif inside:
            # Nothing that is trained on, and not in the dataset's hash.
            places.append(folder / "card.json")
            shortened.append(folder / DROPPED)
        elif without_rows(folder / DROPPED, gone) is not None:
            listed[folder] = ""
    for path in places:
        record = read_record(path)
        cleaned = without(record, gone)
        if cleaned != record:
            found.records[path] = json.dumps(cleaned, sort_keys=True, indent=2) + "\n"
    tables = ((path, without_rows(path, gone)) for path in shortened)
    found.tables = {path: table for path, table in tables if table is not None}
    found.reviews = cleaned_reviews(project, gone)
    # What stands in such a list alone has trained nothing.
    found.adapters = _adapters(project, {**found.datasets, **found.elsewhere})
    found.elsewhere |= listed
    return found


def _datasets(project: Project) -> Iterator[Path]:
    """Yield the folders of all datasets that the project knows of, and of exports of them."""
    own = sorted(path.parent for path in (project.home / "pairs").glob("*/provenance.parquet"))
    own += sorted(p.parent for p in (project.home / "exports").rglob("provenance.parquet"))
    written = (read_record(p).get("path") for p in (project.home / "pair-sets").glob("*.json"))
    others = {Path(place) for place in written if isinstance(place, str)}
    resolved = {folder.resolve() for folder in own}
    yield from own
    yield from sorted(p for p in others if p.resolve() not in resolved)


def _adapters(project: Project, datasets: dict[Path, str]) -> list[Path]:
    """Return the adapters that were trained on any of some datasets."""
    hashes = {digest for digest in datasets.values() if digest}
    places = {path.resolve() for path in datasets}
    patterns = ("adapters/*/lineage.json", "ladders/*/*/*/lineage.json")
    candidates = {path.parent for pattern in patterns for path in project.home.glob(pattern)}
    verified = (
        read_record(path).get("adapter") for path in (project.home / "verify").glob("*.json")
    )
    candidates |= {Path(place) for place in verified if isinstance(place, str)}
    found: dict[Path, Path] = {}
    for folder in sorted(candidates):
        lineage = read_record(folder / "lineage.json")
        same_place = Path(str(lineage.get("pairs_path", ""))).resolve() in places
        if lineage.get("pairs_hash") in hashes or same_place:
            found.setdefault(folder.resolve(), folder)
    return sorted(found.values())


def _replace(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    try:
        if not text:
            path.unlink()
            return
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot write {path} ({error.strerror})", "free some space and run it again"
        ) from error


def _replace_table(path: Path, table: pa.Table) -> None:
    part = path.with_suffix(".part")
    try:
        pq.write_table(table, part)
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
        rewritten=tuple(str(path) for path in (*found.reviews, *found.tables)),
        promoted=promoted_of(project, found.adapters),
    )
