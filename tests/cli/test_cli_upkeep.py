"""`loopllm upkeep`: many small files become few, and nobody can tell from what is in the tables."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from command_line import loopllm
from factories import feedback_record, flat_record, write_jsonl

from loopllm_cli.store import tables
from loopllm_cli.store.project import Project
from loopllm_cli.store.upkeep import FEWEST_SMALL, KEEP_HOURS

N_FILES = FEWEST_SMALL + 1


@pytest.fixture
def busy(project_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Make a project that was written to every night."""
    monkeypatch.chdir(project_dir)
    for night in range(N_FILES):
        rows = [flat_record(night * 10 + k) for k in range(10)]
        votes = [feedback_record(f"r-{night * 10}", "thumbs", "down")]
        path = write_jsonl(project_dir / f"{night}.jsonl", [*rows, *votes])
        assert 0 == loopllm("ingest", str(path), "-q").code
    return Project(project_dir)


def content(project: Project) -> list[object]:
    """Return the rows and votes, in the order of their ids."""
    found: list[object] = []
    for place, key in ((project.interactions, "interaction_id"), (project.feedback, "feedback_id")):
        table = tables.select(place, f"SELECT * FROM rows ORDER BY {key}")
        assert table is not None
        found.append(table.to_pylist())
    return found


def n_files(project: Project) -> int:
    """Count the files of the newest version."""
    table = tables.open_table(project.interactions)
    assert table is not None
    return len(table.file_uris())


def test_many_small_files_become_one_with_the_same_rows(busy: Project) -> None:
    before = content(busy)
    assert N_FILES == n_files(busy)
    said = loopllm("upkeep", "--json")
    assert (0, 1) == (said.code, n_files(busy))
    first = next(t for t in said.document["tables"] if t["name"] == "responses")
    assert (N_FILES, 1, N_FILES) == (first["n_files_before"], first["n_files"], first["n_joined"])
    assert before == content(busy)
    again = loopllm("upkeep")
    assert "1 file · nothing to do" in again.out


def test_files_that_were_read_before_are_not_read_again_after_it(busy: Project) -> None:
    assert 0 == loopllm("upkeep").code
    before = content(busy)
    said = loopllm("ingest", *(f"{night}.jsonl" for night in range(N_FILES)), "--json").document
    assert (0, N_FILES) == (said["n_kept"], said["n_sources_unchanged"])
    assert before == content(busy)


def test_old_files_go_after_a_week_and_not_before(busy: Project) -> None:
    loopllm("upkeep")
    folder = busy.home / "interactions"
    assert N_FILES + 1 == len(list(folder.glob("*.parquet")))
    long_ago = time.time() - (KEEP_HOURS + 1) * 3600
    for path in (folder / "_delta_log").glob("*.json"):
        text = path.read_text("utf-8")
        stamped = text.replace(
            '"deletionTimestamp":', f'"deletionTimestamp":{int(long_ago * 1000)},"x":'
        )
        path.write_text(stamped, "utf-8")
        os.utime(path, (long_ago, long_ago))
    said = loopllm("upkeep", "--json").document
    first = next(t for t in said["tables"] if t["name"] == "responses")
    assert N_FILES == first["n_removed"]
    assert 1 == len(list(folder.glob("*.parquet")))


def test_a_dry_run_changes_nothing(busy: Project) -> None:
    said = loopllm("upkeep", "--dry-run")
    assert f"{N_FILES} files · {N_FILES} small ones would be put together" in said.out
    assert N_FILES == n_files(busy)


def test_a_project_without_tables_is_said_so(project_dir: Path) -> None:
    said = loopllm("upkeep", "--project", str(project_dir))
    assert (0, True) == (said.code, "there are no tables yet" in said.out)
