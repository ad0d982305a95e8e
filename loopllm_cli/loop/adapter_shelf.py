"""Find the adapters of a project, and describe each as it lies there now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loopllm_cli.correct.model_files import file_sha256
from loopllm_cli.correct.serving import weight_names
from loopllm_cli.errors import UsageError
from loopllm_cli.loop.promotions import erased_hashes, promotions, read_history
from loopllm_cli.model import AdapterEntry, PromotionEvent
from loopllm_cli.store.project import Project

WEIGHTS = "adapter_model.safetensors"
PROMOTED = "promoted"
GOING = ".deleted"
_RECORDS = {"verify": "adapter", "corrections": "path"}


@dataclass(frozen=True)
class Shelf:
    """The records of a project that say something about adapters."""

    project: Project
    history: list[PromotionEvent]
    verified: list[dict[str, Any]]

    @property
    def promoted(self) -> PromotionEvent | None:
        """The event that promoted the adapter which is promoted now."""
        stack = promotions(self.history)
        return stack[-1] if stack else None

    def verification(self, adapter_hash: str | None, drift_run_id: str | None) -> dict[str, Any]:
        """Return the newest record of exactly these weights and drift run; {} where none is."""
        found = [
            one
            for one in self.verified
            if adapter_hash
            and (one.get("adapter_hash"), one.get("drift_run_id")) == (adapter_hash, drift_run_id)
        ]
        return max(found, key=lambda one: str(one.get("created")), default={})


def open_shelf(project: Project) -> Shelf:
    """Read the history of promotions and the records of verifications."""
    verified = [read_object(path) for path in sorted((project.home / "verify").glob("*.json"))]
    return Shelf(project, read_history(project), verified)


def adapter_folders(shelf: Shelf) -> list[Path]:
    """Return the folders of all adapters that the project holds or has recorded."""
    found: dict[Path, Path] = {}
    for folder in _named(shelf):
        found.setdefault(folder.resolve(), folder)
    return sorted(found.values())


def find_adapter(shelf: Shelf, name: str) -> Path:
    """Return the folder of an adapter: a path, a name, or "promoted".

    Raises:
        UsageError: there is none, or several have the name.
    """
    if name == PROMOTED:
        if shelf.promoted is None:
            raise UsageError("no adapter is promoted", "promote one: loopllm adapters promote NAME")
        return Path(shelf.promoted.path)
    found = [folder for folder in adapter_folders(shelf) if folder.name == name]
    if not found and Path(name).is_dir():
        return Path(name)
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"{len(found)} adapters are named {name!r}",
            f"give the path: {', '.join(map(str, found))}",
        )
    raise UsageError(f"no adapter {name!r}", "see their names with: loopllm adapters list")


def describe(shelf: Shelf, folder: Path) -> AdapterEntry:
    """Describe an adapter from its files as they are now."""
    lineage, problems = read_object(folder / "lineage.json"), []
    if not lineage:
        problems.append("lineage.json is missing or cannot be read")
    digest = _digest(folder, lineage, problems)
    run = _text(lineage.get("drift_run_id"))
    record = shelf.verification(digest, run)
    now = shelf.promoted
    return AdapterEntry(
        name=folder.resolve().name,
        path=str(folder),
        created=_text(lineage.get("created")) or _time_of(folder),
        model=_text(lineage.get("model")),
        pairs_path=_text(lineage.get("pairs_path")),
        drift_run_id=run,
        adapter_hash=digest,
        verify_id=_text(record.get("run_id")),
        verdict=_text(record.get("gate")),
        n_bytes=size_of(folder),
        promoted=now is not None and Path(now.path) == folder.resolve(),
        erased_rows=digest in erased_hashes(shelf.history),
        problems=tuple(problems),
    )


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object; an empty one where there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def size_of(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    files = (path for path in folder.rglob("*") if not path.is_symlink() and path.is_file())
    return sum(path.stat().st_size for path in files)


def _named(shelf: Shelf) -> Iterator[Path]:
    home = shelf.project.home
    for path in sorted((home / "adapters").glob("*")):
        if path.is_dir() and not path.name.endswith((".partial", ".part", GOING)):
            yield path
    for kind, key in _RECORDS.items():
        for path in sorted((home / kind).glob("*.json")):
            place = read_object(path).get(key)
            if isinstance(place, str) and "\0" not in place and Path(place).is_dir():
                yield Path(place)
    for event in shelf.history:
        if "\0" not in event.path and Path(event.path).is_dir():
            yield Path(event.path)


def _digest(folder: Path, lineage: dict[str, Any], problems: list[str]) -> str | None:
    weights, config = folder / WEIGHTS, folder / "adapter_config.json"
    try:
        digest = file_sha256(weights)
        weight_names(weights)
    except (OSError, ValueError) as error:
        problems.append(f"{WEIGHTS} cannot be read: {error}")
        return None
    if lineage and digest != lineage.get("adapter_sha256"):
        problems.append(f"{WEIGHTS} is not the file that lineage.json describes")
    if not read_object(config):
        problems.append("adapter_config.json is missing or cannot be read")
    elif lineage.get("adapter_config_sha256", found := file_sha256(config)) != found:
        problems.append("adapter_config.json is not the file that lineage.json describes")
    return digest


def _time_of(folder: Path) -> str | None:
    try:
        moment = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
    except OSError:
        return None
    return moment.isoformat(timespec="seconds")


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
