"""Reduced versions of `scripts/prove_exactly_once.py` with assertions."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.large_files import LARGE_FILES
from scripts.prove_exactly_once import at_once, fill_disk, kill_many_times, peak_bytes
from tests.levels import mostly_long

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("jobs", mostly_long((1, 2), slow=(2,)))
def test_killed_at_any_moment_ingest_stores_the_same_once_run_again(
    jobs: int, tmp_path: Path
) -> None:
    seen = kill_many_times(tmp_path, 3_000_000, 10, seed=jobs, commit_bytes=1 << 18, jobs=jobs)
    assert (10, 0, 0) == (seen.n, seen.n_unlike, seen.n_doubled)


def test_eight_ingests_of_overlapping_files_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    same, n_doubled, rows = at_once(tmp_path, 4_000_000)
    assert (True, 0) == (same, n_doubled)
    assert all(rows.values())


@pytest.mark.parametrize("disk_kb", mostly_long((16, 300, 900), slow=(300,)))
def test_a_full_disk_is_named_and_loses_nothing(disk_kb: int, tmp_path: Path) -> None:
    try:
        code, said, _, same = fill_disk(tmp_path, 3_000_000, disk_kb)
    except PermissionError as error:
        pytest.skip(str(error))
    assert code == 4
    assert "disk full" in said
    assert same


@pytest.mark.parametrize("jobs", mostly_long((1, 2), slow=(2,)))
@pytest.mark.parametrize("what", mostly_long(LARGE_FILES, slow=("lines", "line of text")))
def test_large_files_take_bounded_memory(what: str, jobs: int, tmp_path: Path) -> None:
    path = tmp_path / "logs.json"
    LARGE_FILES[what](path, 300_000_000)
    peak, _, _ = peak_bytes(tmp_path, path, jobs)
    path.unlink()
    assert peak < 1_000_000_000
