"""The ledger of nights: appended in one step, checked when read, moved with the project."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from loopllm_cli.errors import SchemaMismatch
from loopllm_cli.store.ledger import Ledger
from loopllm_cli.store.project import Project

SUMS = {"n": np.arange(6.0).reshape(2, 3)}


def ledger_of(folder: Path, n_nights: int = 3) -> Ledger:
    """Write a ledger of some nights."""
    ledger = Ledger(Project(folder), "k")
    for k in range(n_nights):
        ledger.append({"day": f"2026-10-0{k + 1}"}, SUMS)
    return ledger


def test_nights_are_numbered_in_the_order_of_arrival(tmp_path: Path) -> None:
    ledger_of(tmp_path)
    found = Ledger(Project(tmp_path), "k")
    assert ["2026-10-01", "2026-10-02", "2026-10-03"] == [
        found.read(k).card["day"] for k in range(1, len(found) + 1)
    ]


def test_sums_come_back_as_they_were(tmp_path: Path) -> None:
    np.testing.assert_array_equal(SUMS["n"], ledger_of(tmp_path).read(2).arrays["n"])


def test_the_same_night_is_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        ledger_of(tmp_path / name, 1)
    first, second = (tmp_path / n / ".loopllm/nights/k/000001.npz" for n in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


def test_a_ledger_moves_with_its_project(tmp_path: Path) -> None:
    ledger_of(tmp_path / "here")
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert 3 == len(Ledger(Project(tmp_path / "there"), "k"))


def test_a_correction_leaves_the_night_as_it_was_judged(tmp_path: Path) -> None:
    ledger_of(tmp_path).correct(2, {"day": "2026-10-02", "digest": [1, "x"]}, SUMS)
    found = Ledger(Project(tmp_path), "k")
    assert ((2,), 3) == (found.corrected, len(found))
    assert (None, [1, "x"]) == (
        found.read(2).card.get("digest"), found.latest(2).card["digest"],
    )  # fmt: skip


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text"])
def test_a_damaged_night_is_an_error_with_a_remedy(tmp_path: Path, damage: str) -> None:
    ledger_of(tmp_path)
    path = tmp_path / ".loopllm/nights/k/000002.npz"
    content = path.read_bytes()
    middle = len(content) // 2
    damaged = {
        "cut": content[:middle],
        "flip": content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :],
        "empty": b"",
        "text": b"not an archive",
    }
    path.write_bytes(damaged[damage])
    with pytest.raises(SchemaMismatch) as raised:
        Ledger(Project(tmp_path), "k").read(2)
    assert "remove the folder" in raised.value.hint


def test_an_edited_night_is_noticed(tmp_path: Path) -> None:
    ledger_of(tmp_path)
    path = tmp_path / ".loopllm/nights/k/000002.npz"
    with np.load(path) as stored:
        arrays = {key: stored[key] for key in stored.files}
    np.savez_compressed(path, **{**arrays, "n": arrays["n"] + 1})
    with pytest.raises(SchemaMismatch):
        Ledger(Project(tmp_path), "k").read(2)


def test_a_lost_night_is_an_error(tmp_path: Path) -> None:
    ledger_of(tmp_path)
    (tmp_path / ".loopllm/nights/k/000002.npz").unlink()
    with pytest.raises(SchemaMismatch, match="night 2 is missing"):
        Ledger(Project(tmp_path), "k")


def test_leftovers_of_a_killed_run_are_no_nights(tmp_path: Path) -> None:
    ledger_of(tmp_path)
    (tmp_path / ".loopllm/nights/k/000004.part").write_bytes(b"half")
    assert 3 == len(Ledger(Project(tmp_path), "k"))
