"""Each row is stored once, whatever is repeated, runs at the same time or is killed."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from factories import chat_pair, feedback_record, flat_record, write_jsonl
from filelock import FileLock
from store_runs import KEY, ids_of, read_in, start

from loopllm_cli.errors import Locked, StoreUnavailable
from loopllm_cli.sources import files
from loopllm_cli.sources import ingest as ingest_room
from loopllm_cli.store import tables
from loopllm_cli.store.project import Project


def test_a_second_ingest_of_a_file_is_skipped_by_its_transaction(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [flat_record(k) for k in range(20)])
    read_in(tmp_path, path)
    again = read_in(tmp_path, path)
    assert (0, 0, 1) == (again.n_lines, again.n_kept, again.n_sources_unchanged)


def test_the_same_content_under_another_name_is_skipped_too(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [flat_record(1)])
    read_in(tmp_path, path)
    assert 1 == read_in(tmp_path, path.rename(tmp_path / "b.jsonl")).n_sources_unchanged


def test_a_file_that_grew_adds_only_its_new_lines(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [flat_record(k) for k in range(20)])
    read_in(tmp_path, path)
    write_jsonl(path, [flat_record(k) for k in range(30)])
    again = read_in(tmp_path, path)
    assert (10, 20, 30) == (again.n_kept, again.n_duplicates, len(ids_of(tmp_path)))


def test_after_a_run_that_broke_off_the_next_one_adds_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [flat_record(k, feedback="up") for k in range(50)]
    path = write_jsonl(tmp_path / "a.jsonl", records)
    monkeypatch.setattr(ingest_room, "COMMIT_BYTES", 1)
    monkeypatch.setattr(files, "BLOCK_BYTES", 4000)
    calls = []

    def fail_third(*args: object, **kwargs: object) -> None:
        calls.append(args)
        if len(calls) > 3:
            raise StoreUnavailable("disk full")
        append(*args, **kwargs)  # type: ignore[arg-type]

    append = tables.append
    monkeypatch.setattr(tables, "append", fail_third)
    with pytest.raises(StoreUnavailable):
        read_in(tmp_path, path)
    monkeypatch.setattr(tables, "append", append)
    broken = len(ids_of(tmp_path))
    summary = read_in(tmp_path, path)
    assert 0 < broken < 50
    assert (50 - broken, broken) == (summary.n_kept, summary.n_duplicates)
    assert sorted(f"flat:r-{k}" for k in range(50)) == ids_of(tmp_path)
    votes = ids_of(tmp_path, "feedback", "feedback_id")
    assert (50, 50) == (len(votes), len(set(votes)))


def test_a_dry_run_leaves_no_trace(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [flat_record(1), {"x": 1}])
    summary = read_in(tmp_path, path, dry_run=True)
    assert (1, 1, None) == (summary.n_kept, summary.n_rejected, summary.rejects_path)
    assert ["a.jsonl"] == [p.name for p in tmp_path.iterdir()]


def test_two_writers_at_once_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    files = [
        write_jsonl(
            tmp_path / f"{name}.jsonl", [chat_pair(k) for k in range(start_at, start_at + 2000)]
        )
        for name, start_at in (("a", 0), ("b", 1000))
    ]
    runs = [start("ingest", path.name, "-q", cwd=tmp_path) for path in files]
    said = [run.communicate(timeout=60) for run in runs]
    assert [0, 0] == [run.returncode for run in runs], said
    assert sorted(f"openai_chat:chatcmpl-{k}" for k in range(3000)) == ids_of(tmp_path)


def test_a_writer_that_must_not_wait_gives_up_with_the_remedy(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [flat_record(1)])
    home = Project(tmp_path).folder("")
    with FileLock(home / "write.lock"):
        run = start("ingest", "a.jsonl", "--lock-wait", "0", cwd=tmp_path)
        out, err = run.communicate(timeout=60)
        with pytest.raises(Locked):
            read_in(tmp_path, tmp_path / "a.jsonl", lock_wait_s=0.0)
    assert (4, b"") == (run.returncode, out)
    assert b"another loopllm process" in err
    assert b"--lock-wait" in err


def kill_and_repeat(folder: Path, n_rows: int, n_kills: int, seed: int) -> None:
    """Kill ingest at random moments, run it to its end, and compare with an undisturbed run."""
    records = [chat_pair(k) for k in range(n_rows)]
    records += [feedback_record(f"chatcmpl-{k}") for k in range(0, n_rows, 10)]
    path = write_jsonl(folder / "a.jsonl", records)
    rng = random.Random(seed)
    begun = time.monotonic()
    clean = folder / "clean"
    run = start("ingest", "../a.jsonl", "-q", cwd=_made(clean))
    run.communicate(timeout=120)
    assert 0 == run.returncode
    took = time.monotonic() - begun
    killed = _made(folder / "killed")
    for _ in range(n_kills):
        run = start("ingest", "../a.jsonl", "-q", cwd=killed)
        # The last third is where rows are written and committed.
        time.sleep(took * rng.uniform(0.5, 1.02))
        run.kill()
        run.communicate(timeout=30)
    read_in(killed, path)
    assert ids_of(clean) == ids_of(killed)
    assert ids_of(clean, "feedback", "feedback_id") == ids_of(killed, "feedback", "feedback_id")
    assert read_in(killed, path).n_sources_unchanged == 1


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_killed_writer_leaves_a_store_that_the_next_run_completes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPLLM_KEY", KEY)
    kill_and_repeat(tmp_path, n_rows=2000, n_kills=2, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_writer_killed_many_times_leaves_a_store_that_the_next_run_completes(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPLLM_KEY", KEY)
    kill_and_repeat(tmp_path, n_rows=20_000, n_kills=8, seed=seed)


def test_any_parquet_reader_sees_the_rows(tmp_path: Path) -> None:
    read_in(tmp_path, write_jsonl(tmp_path / "a.jsonl", [flat_record(k) for k in range(9)]))
    files = sorted(Project(tmp_path).interactions.glob("*.parquet"))
    found = [i for path in files for i in pq.ParquetFile(path).read()["interaction_id"].to_pylist()]
    assert ids_of(tmp_path) == sorted(found)


def test_pandas_reads_the_table_folder(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    read_in(tmp_path, write_jsonl(tmp_path / "a.jsonl", [flat_record(k) for k in range(9)]))
    frames = [pandas.read_parquet(p) for p in Project(tmp_path).interactions.glob("*.parquet")]
    assert 9 == sum(len(frame) for frame in frames)


@pytest.mark.parametrize("name", ["with space", "50% off", "a#b", "a?b=c", "ü", "c:d", "s3"])
def test_a_project_may_have_any_name(name: str, tmp_path: Path) -> None:
    root = _made(tmp_path / name)
    read_in(root, write_jsonl(root / "a.jsonl", [flat_record(1)]))
    assert ["flat:r-1"] == ids_of(root)
    assert (root / ".loopllm" / "interactions" / "_delta_log").is_dir()


def test_rejects_name_place_and_reason(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [flat_record(1), "{" + "x" * 500])
    summary = read_in(tmp_path, path)
    (entry,) = map(json.loads, Path(summary.rejects_path).read_text().splitlines())
    assert {"path": str(path), "line": 2, "reason": "invalid JSON"} == {
        k: entry[k] for k in ("path", "line", "reason")
    }
    assert 200 == len(entry["head"])


def test_a_place_that_cannot_be_written_is_a_matter_of_setup(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [flat_record(1)])
    (tmp_path / ".loopllm").write_text("a file where a folder should be")
    with pytest.raises(StoreUnavailable):
        read_in(tmp_path, path)
