"""Exports of pairs: what they share, whatever the tool that reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from exported_pairs import EVERY, answering, calling, exported, lines
from reviewed_pairs import pair, stored

from loopllm_cli.errors import AlreadyExists, BadPairs, UsageError
from loopllm_cli.loop.exports import ExportRequest, export_pairs
from loopllm_cli.pairs.exports import load_targets
from loopllm_cli.store.project import Project


def test_an_export_is_found_by_being_there() -> None:
    found = load_targets()
    assert list(EVERY) == list(found)
    assert all(name == target.name for name, target in found.items())


@pytest.mark.parametrize("target", EVERY)
def test_only_training_pairs_are_written_unless_asked(tmp_path: Path, target: str) -> None:
    """Held-out pairs stay out, and have their own file, or say so, when they are asked for."""
    train, heldout = [pair(i) for i in range(3)], [pair(i) for i in range(3, 5)]
    wanted = {"train": 3, "test": 2, "all": 5}
    for split, n in wanted.items():
        summary, out = exported(tmp_path, target, train, heldout, split=split)
        assert n == sum(summary.n_rows.values())
        written = "".join(p.read_text() for p in out.rglob("*.json*") if p.name != "export.json")
        for made in (*train, *heldout):
            inside = (made in train and split != "test") or (made in heldout and split != "train")
            assert inside == (made.chosen in written)


@pytest.mark.parametrize("target", EVERY)
def test_equal_datasets_give_equal_bytes(tmp_path: Path, target: str) -> None:
    made = []
    for name in ("one", "two"):
        _, out = exported(tmp_path / name, target, [pair(1), pair(2), calling()])
        made.append({p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()})
    assert made[0] == made[1]


@pytest.mark.parametrize("target", EVERY)
def test_every_row_is_written_or_counted_and_texts_stay_as_they_are(
    tmp_path: Path, target: str
) -> None:
    hostile = 'a "quote", a \\ slash,\u2028 a line\nbreak, \x1b[31mred\x1b[0m, 日本 🎉 {{7*7}}'
    pairs = [pair(1, chosen=hostile), pair(2, prompt=({"role": "user", "content": hostile},))]
    pairs += [calling(), answering()]
    summary, out = exported(tmp_path, target, pairs)
    assert len(pairs) == sum(summary.n_rows.values()) + sum(summary.skipped.values())
    (name,) = summary.n_rows
    text = (out / name).read_text(encoding="utf-8")
    rows = json.loads(text) if name.endswith(".json") else lines(out / name)
    assert summary.n_rows[name] == len(rows)
    assert 2 == sum(hostile in _texts(row) for row in rows)


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return [text for one in inner for text in _texts(one)]
    return [value] if isinstance(value, str) else []


def test_the_provenance_goes_along_so_that_what_is_forgotten_is_found(tmp_path: Path) -> None:
    summary, out = exported(tmp_path, "trl", [pair(1)])
    source = Path(summary.pairs) / "provenance.parquet"
    assert source.read_bytes() == (out / "provenance.parquet").read_bytes()
    assert tmp_path / ".loopllm" / "exports" == out.parents[1]


def test_unknown_tools_splits_and_damaged_datasets_are_refused(tmp_path: Path) -> None:
    project = Project(tmp_path)
    folder = stored(project, [pair(1), pair(2)])
    with pytest.raises(UsageError, match="no export 'excel'"):
        export_pairs(project, ExportRequest("excel"))
    with pytest.raises(UsageError, match="no split 'validation'"):
        export_pairs(project, ExportRequest("trl", split="validation"))
    with pytest.raises(UsageError, match="no dataset of pairs"):
        export_pairs(project, ExportRequest("trl", pairs=tmp_path / "nowhere"))
    origins = pq.ParquetFile(folder / "provenance.parquet").read()
    pq.write_table(origins.slice(0, 1), folder / "provenance.parquet")
    with pytest.raises(BadPairs, match="do not fit"):
        export_pairs(project, ExportRequest("trl"))
    (folder / "data" / "train.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(BadPairs, match="cannot read"):
        export_pairs(project, ExportRequest("trl"))


def test_a_folder_that_is_no_export_is_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    exported(tmp_path, "trl", [pair(1)], out=theirs)  # empty: nothing to lose
    exported(tmp_path, "trl", [pair(2)], out=theirs)  # an export: replaced
    assert "Good 2." in (theirs / "pairs_train.jsonl").read_text()
    (theirs / "export.json").unlink()
    with pytest.raises(AlreadyExists, match="no export of loopllm"):
        exported(tmp_path, "trl", [pair(3)], out=theirs)
    assert "Good 2." in (theirs / "pairs_train.jsonl").read_text()
