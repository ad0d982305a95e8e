"""Pairs with and without tools, and their exports, for the tests of exports."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reviewed_pairs import pair, stored

from loopllm_cli.loop.exports import ExportRequest, export_pairs
from loopllm_cli.model import ExportSummary, Message, Pair
from loopllm_cli.store.project import Project

CALL = {"type": "function", "id": "c1", "function": {"name": "track", "arguments": {"order": 7}}}
OTHER = {"type": "function", "id": "c2", "function": {"name": "refund", "arguments": {"why": "x"}}}
TOOL = {
    "type": "function",
    "function": {
        "name": "track",
        "parameters": {"type": "object", "properties": {"order": {"type": "integer"}}},
    },
}
ASKED: Message = {"role": "user", "content": "Where is order 7?"}
CALLED: Message = {"role": "assistant", "content": "", "tool_calls": [CALL]}
RESULT: Message = {"role": "tool", "content": "on its way", "tool_call_id": "c1", "name": "track"}
EVERY = ("argilla", "axolotl", "llamafactory", "openai", "trl")


def calling(number: int = 90, **fields: Any) -> Pair:
    """Return a pair whose better side calls one tool and whose worse side another."""
    plain: dict[str, Any] = {
        "prompt": (ASKED,),
        "chosen": "",
        "rejected": "",
        "chosen_calls": json.dumps([CALL]),
        "rejected_calls": json.dumps([OTHER]),
        "tools": json.dumps([TOOL]),
        "context_hash": "with tools",
    }
    return pair(number, **{**plain, **fields})


def answering(number: int = 91, **fields: Any) -> Pair:
    """Return a pair of texts after a call and its result."""
    return pair(
        number, **{"prompt": (ASKED, CALLED, RESULT), "tools": json.dumps([TOOL]), **fields}
    )


def exported(
    folder: Path, target: str, pairs: Sequence[Pair], heldout: Sequence[Pair] = (), **more: Any
) -> tuple[ExportSummary, Path]:
    """Export pairs that are the newest dataset of a project."""
    project = Project(folder)
    stored(project, pairs, heldout)
    summary = export_pairs(project, ExportRequest(target, **more))
    return summary, Path(summary.path)


def lines(path: Path) -> list[dict[str, Any]]:
    """Read JSON Lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def one(folder: Path, target: str, made: Pair, name: str = "pairs_train.jsonl") -> dict[str, Any]:
    """Export a single pair and return its row."""
    summary, out = exported(folder, target, [made])
    assert {} == summary.skipped
    (row,) = lines(out / name)
    return row
