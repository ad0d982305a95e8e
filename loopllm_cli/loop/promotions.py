"""Which adapter is promoted, and which were: a history that only grows, and a pointer to its end.

The history is the truth. `promoted.json`, which serving programs read, is made from it and put in
place in one step; where a process died between the two, the next change makes it again.
"""

from __future__ import annotations

import getpass
import json
import os
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loopllm_cli.errors import StoreUnavailable
from loopllm_cli.model import PromotionEvent
from loopllm_cli.store.project import Project

FOLDER = "promotions"
_FIELDS = {one.name for one in fields(PromotionEvent)}
_TEXTS = ("at", "action", "path", "adapter_hash", "by", "reason")
_SERVED = ("promote", "rollback")


def read_history(project: Project) -> list[PromotionEvent]:
    """Read all events, oldest first; a line that was cut off by a crash counts for nothing.

    Raises:
        StoreUnavailable: the history cannot be read.
    """
    path = project.home / FOLDER / "history.jsonl"
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreUnavailable(
            f"cannot read {path} ({error.strerror})", "check the permissions"
        ) from error
    return [event for event in map(_read_event, lines) if event is not None]


def promotions(history: list[PromotionEvent]) -> list[PromotionEvent]:
    """Return what was promoted, one after the other; a rollback takes off what came after.

    The last one is promoted now, the one before it is what a rollback goes back to.
    """
    stack: list[PromotionEvent] = []
    for event in history:
        if event.action not in _SERVED:
            continue
        if event.action == "rollback":
            places = [i for i, one in enumerate(stack) if _same(one, event)]
            stack = stack[: places[-1]] if places else stack
        stack.append(event)
    return stack


def erased_hashes(history: list[PromotionEvent]) -> set[str]:
    """Return the hashes of the adapters that were trained on rows erased since."""
    return {event.adapter_hash for event in history if event.action == "erased"}


def make_event(action: str, path: Path, adapter_hash: str, **more: Any) -> PromotionEvent:
    """Return an event of now, by whoever runs this."""
    try:
        by = getpass.getuser()
    except (OSError, KeyError, ImportError):
        by = "unknown"
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return PromotionEvent(now, action, str(path), adapter_hash, by, **more)


def append(project: Project, event: PromotionEvent) -> None:
    """Add an event for good; it is on the disk when this returns.

    Call it inside of `Project.writing`.

    Raises:
        StoreUnavailable: it cannot be written.
    """
    path = project.folder(FOLDER) / "history.jsonl"
    line = json.dumps(asdict(event), sort_keys=True) + "\n"
    try:
        with path.open("ab+", buffering=0) as stream:
            end = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, end - 1))
            torn = end > 0 and stream.read(1) != b"\n"
            stream.write(("\n" * torn + line).encode("ascii"))
            os.fsync(stream.fileno())
    except OSError as error:
        raise StoreUnavailable(
            f"cannot write {path} ({error.strerror})", "free some space and run it again"
        ) from error


def write_pointer(project: Project) -> Path:
    """Make the pointer agree with the history, in one step.

    Raises:
        StoreUnavailable: it cannot be written.
    """
    path = project.folder(FOLDER) / "promoted.json"
    stack = promotions(read_history(project))
    if not stack:
        return path
    now = stack[-1]
    content = {
        "path": now.path,
        "adapter_sha256": now.adapter_hash,
        "since": now.at,
        "verify_id": now.verify_id,
        "drift_run_id": now.drift_run_id,
    }
    text = json.dumps(content, sort_keys=True, indent=2) + "\n"
    part = path.with_suffix(".part")
    try:
        if path.is_file() and path.read_text(encoding="utf-8", errors="replace") == text:
            return path
        with part.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot write {path} ({error.strerror})",
            "the history has the change; run the command again to bring the pointer up to it",
        ) from error
    return path


def _same(one: PromotionEvent, other: PromotionEvent) -> bool:
    return (one.path, one.adapter_hash) == (other.path, other.adapter_hash)


def _read_event(line: str) -> PromotionEvent | None:
    try:
        content = json.loads(line)
    except ValueError:
        return None
    if not isinstance(content, dict) or not all(isinstance(content.get(n), str) for n in _TEXTS):
        return None
    return PromotionEvent(**{name: content[name] for name in _FIELDS & content.keys()})
