"""Baselines on disk: what is written is read, and what was touched is noticed."""

from __future__ import annotations

import io
import json
import re
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loopllm_cli.errors import AlreadyExists, BaselineNotFound, SchemaMismatch, UsageError
from loopllm_cli.profiles.baseline import check_name, list_baselines, read_baseline, write_baseline
from loopllm_cli.profiles.baseline_file import to_bytes
from loopllm_cli.profiles.segments import fit_column, fit_prompts
from tests.unit.profiles.profile_rows import baseline_of, batch_of, project_at, prompts


def test_a_baseline_reads_as_it_was_written(tmp_path: Path) -> None:
    """Every field and every number comes back."""
    written = baseline_of()
    stored = write_baseline(project_at(tmp_path), written)
    found = read_baseline(project_at(tmp_path), "v1")
    for name in ("name", "created", "window", "summary", "signals", "cluster_by"):
        assert getattr(written, name) == getattr(found, name)
    for part in ("profile", "weekly", "days", "sample", "answers"):
        assert_same(getattr(written, part), getattr(found, part))
    assert stored.content_hash == found.content_hash != ""


def assert_same(written: Any, found: Any) -> None:
    """Compare the fields of two dataclasses, arrays element by element."""
    for field in fields(written):
        if field.name != "positions":  # rows' numbers in a window are not kept
            expected, value = getattr(written, field.name), getattr(found, field.name)
            if isinstance(expected, np.ndarray):
                np.testing.assert_array_equal(expected, value)
            elif is_dataclass(expected):
                assert_same(expected, value)
            elif expected and isinstance(expected, tuple) and is_dataclass(expected[0]):
                for one, other in zip(expected, value, strict=True):
                    assert_same(one, other)
            else:
                assert expected == value


def test_equal_baselines_are_equal_bytes() -> None:
    """A file under version control changes only when its content does."""
    assert to_bytes(baseline_of()) == to_bytes(baseline_of())


def test_segments_survive_the_file(tmp_path: Path) -> None:
    """A read baseline puts prompts where the fitted model did; so does one by a column."""
    batch = batch_of(prompts(200, seed=5), route=["a", "b"] * 100)
    for model in (fit_prompts(batch), fit_column(batch, "route")):
        write_baseline(project_at(tmp_path), baseline_of("x", model), replace=True)
        found = read_baseline(project_at(tmp_path), "x").segments
        assert (model.basis, model.labels) == (found.basis, found.labels)
        assert model.assign(batch).tolist() == found.assign(batch).tolist()


def test_a_baseline_of_some_signals(tmp_path: Path) -> None:
    """Signals, sums and days are reduced together."""
    found = baseline_of().columns(("length",))
    assert ("length",) == tuple(s.name for s in found.signals) == found.profile.signal_names
    assert (("length",), (200, 1)) == (found.sample.signal_names, found.sample.values.shape)
    assert ((), ("length",)) == (found.weekly.signal_names, found.days.signal_names)


def test_a_name_is_taken_until_it_is_replaced(tmp_path: Path) -> None:
    """Overwriting a baseline needs the word for it."""
    project = project_at(tmp_path)
    first = write_baseline(project, baseline_of())
    other = replace(baseline_of(), cluster_by="team")
    with pytest.raises(AlreadyExists, match="v1"):
        write_baseline(project, other)
    assert first.content_hash == read_baseline(project, "v1").content_hash
    second = write_baseline(project, other, replace=True)
    assert first.content_hash != second.content_hash
    assert ["v1"] == list_baselines(project)


def test_a_missing_baseline_names_those_there_are(tmp_path: Path) -> None:
    """A slip of the name is answered with the names."""
    write_baseline(project_at(tmp_path), baseline_of())
    with pytest.raises(BaselineNotFound, match="v2"):
        read_baseline(project_at(tmp_path), "v2")


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "../v1", "a b", "ä", "x" * 65, "-v", "v\n"])
def test_unsafe_names_are_refused(name: str) -> None:
    """A name is a file name."""
    with pytest.raises(UsageError):
        check_name(name)


@pytest.mark.parametrize("name", ["v1", "2026-10-01", "A.b_c-d", "x" * 64])
def test_plain_names_are_accepted(name: str) -> None:
    """Letters, digits, dots, dashes and underscores."""
    check_name(name)
    assert re.fullmatch(r"[\w.-]+", name)


def test_a_damaged_file_is_noticed(tmp_path: Path) -> None:
    """Any changed byte, and any lost tail, reads as damaged or as what was written."""
    project = project_at(tmp_path)
    digest = write_baseline(project, baseline_of()).content_hash
    path = tmp_path / ".loopllm" / "baselines" / "v1.npz"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    damaged = [whole[: int(k)] for k in rng.integers(0, len(whole), 20)]
    for at in rng.integers(0, len(whole), 150).tolist():
        damaged.append(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
    noticed = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            harmless = digest == read_baseline(project, "v1").content_hash
        except SchemaMismatch:
            noticed += 1
        else:
            assert harmless
    assert noticed > 150


@pytest.mark.parametrize("field", ["signals", "card"])
def test_an_edited_file_is_noticed(tmp_path: Path, field: str) -> None:
    """Numbers or words changed by hand do not match the hash."""
    project = project_at(tmp_path)
    write_baseline(project, baseline_of())
    path = tmp_path / ".loopllm" / "baselines" / "v1.npz"
    with np.load(path) as stored:
        arrays = {key: stored[key] for key in stored.files}
    if field == "card":
        card = json.loads(arrays["card"].tobytes())
        card["signals"][0]["tolerance"] = 0.5
        arrays["card"] = np.frombuffer(json.dumps(card).encode(), dtype=np.uint8)
    else:
        arrays["profile_total"] = arrays["profile_total"] * 2
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    path.write_bytes(buffer.getvalue())
    with pytest.raises(SchemaMismatch, match="damaged, edited") as caught:
        read_baseline(project, "v1")
    assert "--replace" in str(caught.value.hint)


def test_a_baseline_holds_no_prompts(tmp_path: Path) -> None:
    """The file has no log text but its segments' names."""
    write_baseline(project_at(tmp_path), baseline_of())
    with np.load(tmp_path / ".loopllm" / "baselines" / "v1.npz") as stored:
        texts = [stored[k].tobytes() for k in stored.files if stored[k].dtype == np.uint8]
    assert not any(b"please refund my broken order number" in text for text in texts)


def test_a_card_says_what_there_is_to_say() -> None:
    """Rows, signals with versions, segments and means, as plain data."""
    card = baseline_of().card()
    assert (200, {"refusal": 1, "length": 2}) == (card["n_rows"], card["signals"])
    assert "user, else conversation, else prompt" == card["cluster_by"]
    assert 0 < card["means"]["refusal"] < 1
    assert 20 < card["means"]["length"] < 500
