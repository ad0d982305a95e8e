"""Adapters: list, show, promote, roll back and prune them."""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from loopllm_cli.correct.card import write_verification
from loopllm_cli.correct.serving import check_serving
from loopllm_cli.errors import AdapterMismatch, StoreUnavailable, UsageError
from loopllm_cli.loop.adapter_shelf import (
    GOING,
    Shelf,
    adapter_folders,
    describe,
    find_adapter,
    open_shelf,
    read_object,
)
from loopllm_cli.loop.promotions import append, make_event, promotions, write_pointer
from loopllm_cli.model import (
    AdapterDetail,
    AdapterEntry,
    AdapterList,
    MergeResult,
    Promotion,
    PromotionEvent,
    PruneResult,
)
from loopllm_cli.store.project import Project

LOCK_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class PruneRequest:
    """What stays: the last so many of the history, and what is younger than so many days."""

    keep_last: int = 3
    older_than_days: float = 30.0
    dry_run: bool = False


def list_adapters(project: Project) -> AdapterList:
    """Return all adapters that the project holds or has recorded, newest first."""
    shelf = open_shelf(project)
    entries = [describe(shelf, folder) for folder in adapter_folders(shelf)]
    entries.sort(key=lambda one: (one.created or "", one.path), reverse=True)
    return AdapterList(tuple(entries), shelf.promoted.path if shelf.promoted else None)


def show_adapter(project: Project, name: str) -> AdapterDetail:
    """Return everything about an adapter, with its files' hashes taken now.

    Raises:
        UsageError: there is none of that name.
    """
    shelf = open_shelf(project)
    folder = find_adapter(shelf, name)
    entry = describe(shelf, folder)
    record = shelf.verification(entry.adapter_hash, entry.drift_run_id)
    reasons = record.get("reasons")
    return AdapterDetail(
        entry=entry,
        lineage=read_object(folder / "lineage.json"),
        recipe=_recipe(folder),
        verify_reasons=tuple(map(str, reasons)) if isinstance(reasons, list) else (),
        serving=check_serving(folder),
        history=tuple(one for one in shelf.history if one.path == str(folder.resolve())),
    )


def promote(project: Project, name: str, force: str | None = None) -> Promotion:
    """Promote an adapter that has been verified; nothing changes where it is promoted already.

    Args:
        force: why it is promoted without a passed verification; kept in the history.

    Raises:
        AdapterMismatch: it is damaged, or no verification of exactly these weights for its drift
            run has passed.
        Locked: another process kept writing.
    """
    with project.writing(LOCK_WAIT_S):
        shelf = open_shelf(project)
        entry = describe(shelf, find_adapter(shelf, name))
        return _serve(shelf, entry, "promote", (force, force))


def rollback(
    project: Project, to: str | None = None, reason: str = "", force: str | None = None
) -> Promotion:
    """Go back to the adapter that was promoted before, or to another one that was.

    Raises:
        UsageError: there is nothing to go back to.
        AdapterMismatch: what to go back to is gone, damaged, or was trained on erased rows.
    """
    with project.writing(LOCK_WAIT_S):
        shelf = open_shelf(project)
        earlier = promotions(shelf.history)[:-1]
        if not earlier:
            raise UsageError("nothing was promoted before", "serve the model without an adapter")
        target = _chosen(shelf, earlier, to)
        entry = describe(shelf, Path(target.path))
        if entry.adapter_hash != target.adapter_hash:
            raise AdapterMismatch(
                f"{target.path} no longer holds the weights that were promoted",
                "bring the folder back, or choose another one with --to",
            )
        # What was promoted once was verified, or forced with a reason, then.
        return _serve(shelf, entry, "rollback", (force or reason, force))


def prune(project: Project, request: PruneRequest) -> PruneResult:
    """Delete adapters of the project's own folder that nothing holds on to.

    The promoted one and the one before it always stay. What old searches for a learning rate left
    (the rungs that were not chosen) goes too.
    """
    with project.writing(LOCK_WAIT_S):
        shelf = open_shelf(project)
        removed, kept, n_bytes = [], [], 0
        home = (project.home / "adapters").resolve()
        for folder in adapter_folders(shelf):
            if folder.resolve().parent != home or folder.is_symlink():
                continue
            entry = describe(shelf, folder)
            why = _why_kept(shelf, entry, request)
            if why:
                kept.append((entry.path, why))
                continue
            if not request.dry_run:
                _remove(folder)
            removed.append(entry.path)
            n_bytes += entry.n_bytes
        for ladder in _old_ladders(project, request):
            n_bytes += sum(path.stat().st_size for path in ladder.rglob("*") if path.is_file())
            if not request.dry_run:
                _remove(ladder)
            removed.append(str(ladder))
    return PruneResult(tuple(removed), tuple(kept), n_bytes, request.dry_run)


def mark_erased(project: Project, folders: list[Path]) -> None:
    """Keep in the history that adapters were trained on rows that are erased now.

    Call it inside of `Project.writing`.
    """
    shelf = open_shelf(project)
    for folder in folders:
        entry = describe(shelf, folder)
        if entry.adapter_hash and not entry.erased_rows:
            append(project, make_event("erased", folder.resolve(), entry.adapter_hash))


def promoted_of(project: Project, folders: list[Path]) -> str | None:
    """Return which one of some adapters is promoted."""
    now = open_shelf(project).promoted
    places = {str(folder.resolve()) for folder in folders}
    return now.path if now and now.path in places else None


def _serve(
    shelf: Shelf, entry: AdapterEntry, action: str, why: tuple[str | None, str | None]
) -> Promotion:
    reason, force = why
    now = shelf.promoted
    path = Path(entry.path).resolve()
    if entry.adapter_hash is None:
        raise AdapterMismatch(f"{entry.path}: {'; '.join(entry.problems)}", "copy it again")
    objection = _objection(entry, needs_pass=action == "promote")
    same = now is not None and (now.path, now.adapter_hash) == (str(path), entry.adapter_hash)
    if objection and force is None and not (same and not entry.problems):
        raise AdapterMismatch(objection, _remedy(entry))
    previous = now.path if now else None
    if same and now is not None:
        return Promotion(now, False, previous, str(write_pointer(shelf.project)))
    event = make_event(
        action,
        path,
        entry.adapter_hash,
        reason=reason or "",
        forced=bool(objection),
        verify_id=entry.verify_id,
        drift_run_id=entry.drift_run_id,
    )
    append(shelf.project, event)
    record = shelf.verification(entry.adapter_hash, entry.drift_run_id)
    write_verification(path, record)
    return Promotion(event, True, previous, str(write_pointer(shelf.project)))


def _objection(entry: AdapterEntry, *, needs_pass: bool) -> str:
    if entry.problems:
        return f"{entry.path}: {'; '.join(entry.problems)}"
    if entry.erased_rows:
        return f"{entry.path} was trained on rows that have been erased"
    if needs_pass and entry.verdict is None:
        return f"{entry.path} has not been verified with these weights for its drift run"
    if needs_pass and entry.verdict != "pass":
        return f"the verification {entry.verify_id} of {entry.path} says {entry.verdict}"
    return ""


def _remedy(entry: AdapterEntry) -> str:
    do = "verify it: loopllm verify" if entry.verdict is None else "train another one"
    return f'{do}; or promote it all the same with --force "REASON", which is recorded'


def _chosen(shelf: Shelf, earlier: list[PromotionEvent], to: str | None) -> PromotionEvent:
    if to is None:
        return earlier[-1]
    folder = str(find_adapter(shelf, to).resolve())
    found = [event for event in earlier if event.path == folder]
    if not found:
        raise UsageError(
            f"{to} was not promoted before", f"promote it: loopllm adapters promote {to}"
        )
    return found[-1]


def _why_kept(shelf: Shelf, entry: AdapterEntry, request: PruneRequest) -> str:
    stack = promotions(shelf.history)
    recent = [Path(event.path) for event in stack[::-1]]
    path = Path(entry.path).resolve()
    if path in recent[:1]:
        return "promoted"
    if path in recent[1:2]:
        return "promoted before: a rollback goes back to it"
    if entry.erased_rows:
        return ""
    served = [Path(one.path) for one in shelf.history[::-1] if one.action != "erased"]
    if path in list(dict.fromkeys(served))[: request.keep_last]:
        return f"among the last {request.keep_last} promoted"
    limit = datetime.now(UTC) - timedelta(days=request.older_than_days)
    made = _moment(entry.created)
    return "" if made is not None and made < limit else "younger than the limit"


def _old_ladders(project: Project, request: PruneRequest) -> list[Path]:
    limit = datetime.now(UTC).timestamp() - 86_400 * request.older_than_days
    ended = (project.home / "ladders").glob("*/ladder.json")
    return sorted(path.parent for path in ended if path.stat().st_mtime < limit)


def _moment(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _remove(folder: Path) -> None:
    # Out of the way in one step: nothing half-deleted looks like an adapter.
    going = folder.with_name(folder.name + GOING)
    try:
        shutil.rmtree(going, ignore_errors=True)
        folder.rename(going)
        shutil.rmtree(going)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot remove {folder} ({error.strerror})", "check the permissions and run it again"
        ) from error


def _recipe(folder: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads((folder / "recipe.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    found = content.get("correct")
    return found if isinstance(found, dict) else {}


def merge(project: Project, name: str, out: Path, model: str | None = None) -> MergeResult:
    """Merge an adapter into its base model and write a plain model folder.

    Raises:
        UsageError: there is no such adapter.
        LoopllmError: see `correct.merging.merge_adapter`.
    """
    from loopllm_cli.correct.extra import require_extra

    require_extra()
    from loopllm_cli.correct.merging import merge_adapter

    folder = find_adapter(open_shelf(project), name)
    base = model or read_object(folder / "lineage.json").get("model")
    if not isinstance(base, str):
        raise AdapterMismatch(f"{folder} does not say what it was trained on", "give --model")
    return merge_adapter(folder, base, out)
