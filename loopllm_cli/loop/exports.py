"""Export a dataset of pairs to the files of another tool."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from loopllm_cli.errors import AlreadyExists, UsageError
from loopllm_cli.model import ExportSummary
from loopllm_cli.pairs.exports import load_targets
from loopllm_cli.pairs.exports.target import Part, Row, Target, Writing
from loopllm_cli.pairs.stored import StoredPairs, latest_pairs
from loopllm_cli.store.project import Project

SPLITS = ("train", "test", "all")
_FILES = {"train": "train", "test": "test", "unpaired": "unpaired"}
_SIDES = ("prompt", "chosen", "rejected", "completion")
_MARK = "export.json"


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to export: to which tool, from which dataset (the newest, if None), and where to."""

    target: str
    pairs: Path | None = None
    out: Path | None = None
    split: str = "train"


def export_pairs(project: Project, request: ExportRequest) -> ExportSummary:
    """Write a dataset in the files of another tool.

    Held-out pairs are written only when asked for, and then in files of their own.

    Raises:
        UsageError: no such tool, split or dataset.
        BadPairs: the dataset is damaged.
        AlreadyExists: the folder holds something else.
    """
    targets = load_targets()
    target = targets.get(request.target)
    if target is None:
        raise UsageError(f"no export {request.target!r}", f"there are: {', '.join(targets)}")
    if request.split not in SPLITS:
        raise UsageError(f"no split {request.split!r}", f"use one of {', '.join(SPLITS)}")
    stored = StoredPairs(request.pairs or latest_pairs(project))
    digest = str(stored.card.get("content_hash", ""))[:12] or "unknown"
    out = request.out or project.folder("exports") / digest / target.name
    _refuse_foreign(out)
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    writing = Writing(part)
    target.write(writing, list(_parts(stored, target, request.split)))
    # By it, what is to be forgotten is found here too.
    shutil.copyfile(stored.folder / "provenance.parquet", part / "provenance.parquet")
    writing.text(_MARK, json.dumps({"target": target.name, "content_hash": digest}) + "\n")
    shutil.rmtree(out, ignore_errors=True)
    part.replace(out)
    return ExportSummary(
        target=target.name,
        reader=target.reader,
        path=str(out),
        pairs=str(stored.folder),
        n_rows=dict(writing.n_rows),
        skipped=dict(writing.skipped.most_common()),
    )


def _parts(stored: StoredPairs, target: Target, split: str) -> Iterator[Part]:
    for name in ("train", "test"):
        if split in (name, "all"):
            yield Part("pairs", name, partial(_rows, stored.folder, name))
    if "unpaired" in target.kinds and split in ("train", "all"):
        yield Part("unpaired", "train", partial(_rows, stored.folder, "unpaired"))


def _rows(folder: Path, split: str) -> Iterator[Row]:
    """Yield a split's rows with their provenance, JSON decoded, absent keys left out."""
    path = folder / "data" / f"{_FILES[split]}.parquet"
    if not path.is_file():
        return
    origins = _origins(folder, split)
    for batch in pq.ParquetFile(path).iter_batches(1_024):
        for row in batch.to_pylist():
            plain = {name: _decoded(name, value) for name, value in row.items()}
            kept = {name: value for name, value in plain.items() if value is not None}
            yield {**kept, "origin": next(origins)}


def _origins(folder: Path, split: str) -> Iterator[Row]:
    for batch in pq.ParquetFile(folder / "provenance.parquet").iter_batches(4_096):
        yield from (row for row in batch.to_pylist() if row["split"] == split)


def _decoded(name: str, value: Any) -> Any:
    if name == "tools":
        return json.loads(value) if isinstance(value, str) else value
    if name not in _SIDES:
        return value
    return [_message(message) for message in value]


def _message(message: Row) -> Row:
    kept = {name: value for name, value in message.items() if value is not None}
    if "tool_calls" in kept:
        calls = kept["tool_calls"]
        kept["tool_calls"] = [json.loads(c) if isinstance(c, str) else c for c in calls]
    return kept


def _refuse_foreign(out: Path) -> None:
    """Refuse to replace a folder that is not an export of ours.

    Raises:
        AlreadyExists: it is something else.
    """
    if out.exists() and not (out / _MARK).is_file():
        raise AlreadyExists(
            f"{out} is there and no export of loopllm", "choose another place with --out"
        )
