"""Keep an unfinished run in a folder of its own, and find out whether it may be continued.

The Trainer resumes from any checkpoint it is given, also from one of other data or settings; so
every unfinished run carries a binding, and one that differs is thrown away.

Must not import: torch and its relatives.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopllm_cli.correct.processes import is_main
from loopllm_cli.errors import AlreadyExists


@dataclass(frozen=True, slots=True)
class Workplace:
    """The folders of one run: `finished` appears in one step, when everything is in it."""

    root: Path
    checkpoints: Path
    adapter: Path
    finished: Path
    is_new: bool = True

    def publish(self) -> None:
        """Move the finished adapter into place and remove what was only needed to make it."""
        self.finished.parent.mkdir(parents=True, exist_ok=True)
        self.adapter.rename(self.finished)
        shutil.rmtree(self.root)

    def discard_if_new(self) -> None:
        """Remove the folder of a run that was refused before it began."""
        if self.is_new and is_main():
            shutil.rmtree(self.root, ignore_errors=True)


def refuse_existing(adapter_out: Path) -> None:
    """Refuse to write over an adapter.

    Raises:
        AlreadyExists: something is there.
    """
    if adapter_out.exists():
        raise AlreadyExists(
            f"{adapter_out} exists already", "choose another --adapter-out, or remove it first"
        )


def open_workplace(adapter_out: Path, binding: dict[str, Any]) -> tuple[Workplace, list[str]]:
    """Make or reuse the folder of an unfinished run beside the adapter that is to be made.

    Args:
        adapter_out: where the adapter will be.
        binding: everything that the run's result depends on.

    Returns:
        The folders, and notes on what was found there.
    """
    refuse_existing(adapter_out)
    root = adapter_out.with_name(adapter_out.name + ".partial")
    notes = []
    is_new = not root.exists()
    if root.exists() and _read(root / "binding.json") != _plain(binding):
        changed = _changed(_read(root / "binding.json"), _plain(binding))
        notes.append(f"started fresh: an unfinished run was there with other {changed}")
        shutil.rmtree(root)
        is_new = True
    place = Workplace(root, root / "checkpoints", root / "adapter", adapter_out, is_new)
    if place.adapter.exists():
        shutil.rmtree(place.adapter)
    place.checkpoints.mkdir(parents=True, exist_ok=True)
    (root / "binding.json").write_text(json.dumps(_plain(binding), indent=2, sort_keys=True))
    return place, notes


def last_checkpoint(checkpoints: Path) -> Path | None:
    """Return the newest whole checkpoint; the Trainer writes trainer_state.json last."""
    found = []
    for folder in checkpoints.glob("checkpoint-*"):
        step = folder.name.removeprefix("checkpoint-")
        if step.isdecimal() and _read(folder / "trainer_state.json"):
            found.append((int(step), folder))
    return max(found)[1] if found else None


def read_fixed(place: Workplace) -> dict[str, Any]:
    """Return the choices of the hardware that an earlier part of the run was made with.

    Free memory differs from day to day; a run that goes on must not choose anew.
    """
    return _read(place.root / "fixed.json")


def write_fixed(place: Workplace, fixed: dict[str, Any]) -> None:
    """Keep the choices that the rest of the run must be made with."""
    part = place.root / "fixed.part"
    part.write_text(json.dumps(fixed, sort_keys=True), encoding="utf-8")
    part.replace(place.root / "fixed.json")


def pairs_digest(folder: Path) -> str:
    """Return a fingerprint of the Parquet files of a pairs folder."""
    digest = hashlib.sha256()
    provenance = folder / "provenance.parquet"
    read = [*sorted((folder / "data").glob("*.parquet")), *([provenance] * provenance.is_file())]
    for path in read:
        digest.update(path.name.encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return f"sha256:{digest.hexdigest()}"


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _plain(binding: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(binding, sort_keys=True))
    return plain


def _changed(old: dict[str, Any], new: dict[str, Any]) -> str:
    keys = [key for key in new if old.get(key) != new[key]]
    return ", ".join(keys) if old else "settings (its binding is missing)"
