"""Export a dataset of pairs to the files of another tool."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq

from loopllm_cli.errors import AlreadyExists, BadPairs, UsageError
from loopllm_cli.model import ExportSummary
from loopllm_cli.pairs.exports import load_targets
from loopllm_cli.pairs.exports.target import Part, Row, Target, Writing
from loopllm_cli.pairs.stored import StoredPairs, latest_pairs
from loopllm_cli.pairs.stored_rows import iter_rows
from loopllm_cli.store.project import Project

SPLITS = ("train", "test", "all")
_FILES = {"train": "train", "test": "test", "unpaired": "unpaired"}
_MARK = "export.json"


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to export: to which tool, from which dataset (the newest, if None), and where to.

    With `suggest`, people who are to judge the pairs are shown what the votes say.
    """

    target: str
    pairs: Path | None = None
    out: Path | None = None
    split: str = "train"
    suggest: bool = False


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
    out = (request.out or project.folder("exports") / digest / target.name).absolute()
    _refuse_foreign(out)
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    writing = Writing(part, request.suggest)
    target.write(writing, list(_parts(stored, target, request.split)))
    # By it, what is to be forgotten is found here too.
    shutil.copyfile(stored.folder / "provenance.parquet", part / "provenance.parquet")
    writing.json(_MARK, {"target": target.name, "content_hash": digest, "split": request.split})
    shutil.rmtree(out, ignore_errors=True)
    part.replace(out)
    return ExportSummary(
        target=target.name,
        reader=target.reader,
        path=project.shown(out),
        pairs=project.shown(stored.folder),
        n_rows={name: n for name, n in writing.n_rows.items() if n},
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
    for row in iter_rows(path):
        origin = next(origins, None)
        if origin is None:
            raise BadPairs(
                f"{folder}: data and provenance do not fit", "make it anew: loopllm pairs"
            )
        kept = {name: value for name, value in row.items() if value is not None}
        yield {**kept, "origin": origin}


def _origins(folder: Path, split: str) -> Iterator[Row]:
    for batch in pq.ParquetFile(folder / "provenance.parquet").iter_batches(4_096):
        yield from (row for row in batch.to_pylist() if row["split"] == split)


def _refuse_foreign(out: Path) -> None:
    """Refuse to replace a folder that is not an export of ours.

    Raises:
        AlreadyExists: it is something else.
    """
    empty = out.is_dir() and not any(out.iterdir())
    if out.exists() and not empty and not (out / _MARK).is_file():
        raise AlreadyExists(
            f"{out} is there and no export of loopllm", "choose another place with --out"
        )
