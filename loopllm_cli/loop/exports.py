"""Export a dataset of pairs to the files of another tool."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from loopllm_cli.errors import AlreadyExists, BadPairs, UsageError
from loopllm_cli.model import ExportSummary
from loopllm_cli.pairs.dataset.stored import latest_pairs, read_card
from loopllm_cli.pairs.dataset.stored_rows import iter_rows
from loopllm_cli.pairs.exports import load_targets
from loopllm_cli.pairs.exports.target import ORIGIN, Part, Row, Target, Writing
from loopllm_cli.store.project import Project

SPLITS = ("train", "test", "all")
_FILES = {"train": "train", "test": "test", "unpaired": "unpaired"}
_MARK = "export.json"
_PROVENANCE = "provenance.parquet"


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
    folder = request.pairs or latest_pairs(project)
    if not (folder / _PROVENANCE).is_file():
        raise UsageError(f"{folder} is no dataset of pairs", "make one with: loopllm pairs")
    digest = str(read_card(folder).get("content_hash", ""))[:12] or "unknown"
    out = request.out or project.folder("exports") / digest / target.name
    _refuse_foreign(out)
    whole = out.absolute()
    part = whole.with_name(whole.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    writing = Writing(part, request.suggest)
    target.write(writing, list(_parts(folder, target, request.split)))
    # By it, what is to be forgotten is found here too.
    shutil.copyfile(folder / _PROVENANCE, part / _PROVENANCE)
    writing.json(_MARK, {"target": target.name, "content_hash": digest, "split": request.split})
    shutil.rmtree(whole, ignore_errors=True)
    part.replace(whole)
    return ExportSummary(
        target=target.name,
        reader=target.reader,
        path=project.shown(out),
        pairs=project.shown(folder),
        n_rows={name: n for name, n in writing.n_rows.items() if n},
        skipped=dict(writing.skipped.most_common()),
    )


def _parts(folder: Path, target: Target, split: str) -> Iterator[Part]:
    for name in ("train", "test"):
        if split in (name, "all"):
            yield Part("pairs", name, partial(_rows, folder, name))
    if "unpaired" in target.kinds and split in ("train", "all"):
        yield Part("unpaired", "train", partial(_rows, folder, "unpaired"))


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
    rows = iter_rows(folder / _PROVENANCE, ORIGIN)
    return (row for row in rows if row.get("split") == split)


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
