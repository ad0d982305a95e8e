"""Where an adapter comes from: its lineage, and the pairs that it was trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from loopllm_cli.errors import AdapterMismatch, UsageError
from loopllm_cli.loop.promotions import promotions, read_history
from loopllm_cli.store.project import Project

_NEEDED = {"model", "adapter_sha256", "pairs_path", "pairs_hash"}


def read_lineage(adapter: Path) -> dict[str, Any]:
    """Read what `loopllm correct` wrote of an adapter's origin.

    Raises:
        AdapterMismatch: there is no readable lineage.
        UsageError: it names no drift run, so there is nothing to compare with.
    """
    try:
        lineage = json.loads((adapter / "lineage.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise AdapterMismatch(
            f"{adapter} is no adapter of loopllm (no readable lineage.json)",
            "give the folder that loopllm correct has written",
        ) from error
    if not isinstance(lineage, dict) or not lineage.keys() >= _NEEDED:
        raise AdapterMismatch(
            f"the lineage.json in {adapter} is not one that loopllm correct writes",
            "make the adapter again: loopllm correct",
        )
    if not lineage.get("drift_run_id"):
        raise UsageError(
            f"the pairs behind {adapter} were built without a drift run",
            "run loopllm drift, then loopllm pairs and loopllm correct again",
        )
    return lineage


def find_pairs(project: Project, adapter: Path, lineage: dict[str, Any]) -> Path:
    """Find the pairs an adapter was trained on: where they were, or in the project by their hash.

    Raises:
        UsageError: they are gone, or are not the same any more.
    """
    wanted = str(lineage["pairs_hash"])
    for folder in (Path(lineage["pairs_path"]), project.home / "pairs" / wanted[:12]):
        card, provenance = folder / "card.json", folder / "provenance.parquet"
        whole = card.is_file() and provenance.is_file()
        if whole and json.loads(card.read_text("utf-8")).get("content_hash") == wanted:
            return folder
    raise UsageError(
        f"the pairs behind {adapter} are gone or have changed ({lineage['pairs_path']})",
        "build them again with loopllm pairs, or bring the folder back",
    )


def find_served(project: Project, lineage: dict[str, Any]) -> Path | None:
    """Find the adapter that production answers with, which a new one would take the place of.

    Args:
        lineage: of the new one. It is not compared with itself, nor with one for another base.

    Raises:
        AdapterMismatch: it is gone.
    """
    for event in reversed(promotions(read_history(project))):
        if event.adapter_hash == lineage["adapter_sha256"]:
            continue
        folder = Path(event.path)
        try:
            base = json.loads((folder / "lineage.json").read_text("utf-8")).get("model_hash")
        except (OSError, ValueError) as error:
            raise AdapterMismatch(
                f"the promoted adapter {folder} is gone or damaged",
                "bring it back, or say what is served: --served none",
            ) from error
        return folder if base == lineage.get("model_hash") else None
    return None
