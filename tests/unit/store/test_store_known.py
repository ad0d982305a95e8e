"""Rows are told apart by digests, versions of a row by rules, whatever the order and the batch."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from factories import chat_pair, feedback_record, flat_record, write_jsonl
from hypothesis import given, settings
from hypothesis import strategies as st
from store_runs import KEY, read_in

from loopllm_cli.sources import files
from loopllm_cli.sources import ingest as ingest_room
from loopllm_cli.store import ids as ids_room
from loopllm_cli.store import known as known_room
from loopllm_cli.store import tables
from loopllm_cli.store.ids import TableIds, digests
from loopllm_cli.store.known import KnownIds
from loopllm_cli.store.project import Project

PAIRS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 2**64 - 1)), max_size=12)
SETTINGS = settings(max_examples=200, deadline=None, derandomize=True)


def arrays(pairs: Iterable[tuple[int, int]]) -> tuple[Any, Any]:
    """Return ids and contents as arrays."""
    found = list(pairs)
    return tuple(np.array([pair[k] for pair in found], dtype=np.uint64) for k in (0, 1))


@SETTINGS
@given(st.lists(PAIRS, max_size=30))
def test_known_ids_are_a_dictionary(batches: list[list[tuple[int, int]]]) -> None:
    known, model = KnownIds(), dict[int, int]()
    asked = np.arange(14, dtype=np.uint64)
    for batch in batches:
        known.add(*arrays(batch))
        model.update(batch)
        is_known, contents = known.find(asked)
        assert [k in model for k in range(14)] == is_known.tolist()
        assert [model.get(k, 0) for k in range(14)] == contents.tolist()


def test_the_runs_stay_few_and_each_id_is_moved_seldom() -> None:
    known, n_moved = KnownIds(), 0
    merge = known._merge_last_two

    def counted() -> None:
        nonlocal n_moved
        n_moved += sum(len(ids) for ids, _ in known._runs[-2:])
        merge()

    known._merge_last_two = counted  # type: ignore[method-assign]
    for start in range(0, 64_000, 64):
        ids = np.arange(start, start + 64, dtype=np.uint64)
        known.add(ids, ids)
    assert 64_000 == len(known)
    assert len(known._runs) <= 11
    assert n_moved <= 64_000 * 11


def stored(project: Project, n: Iterable[int]) -> pa.Table:
    """Return a table of ids and contents."""
    found = list(n)
    return pa.table({"id": [f"r-{k}" for k in found], "said": [f"s-{k}" for k in found]})


def test_what_another_process_has_added_is_known_after_a_refresh(tmp_path: Path) -> None:
    place = tmp_path / "rows"
    mine = TableIds(place, "id", ("said",))
    mine.refresh()
    for start in (0, 5):
        rows = stored(Project(tmp_path), range(start, start + 5))
        tables.append(place, rows)
        asked, contents = digests(rows, "id", ("said",))
        assert not mine.known.find(asked)[0].any()
        mine.refresh()
        is_known, found = mine.known.find(asked)
        assert is_known.all()
        assert contents.tolist() == found.tolist()


def test_a_row_that_another_process_has_replaced_is_known_by_its_new_content(
    tmp_path: Path,
) -> None:
    place = tmp_path / "rows"
    mine = TableIds(place, "id", ("said",))
    tables.append(place, stored(Project(tmp_path), range(5)))
    mine.refresh()
    changed = pa.table({"id": ["r-3"], "said": ["other"]})
    tables.replace(place, changed, "id")
    mine.refresh()
    ids, contents = digests(changed, "id", ("said",))
    assert contents.tolist() == mine.known.find(ids)[1].tolist()


def rows_of(root: Path) -> dict[str, str]:
    """Return each stored row's response by its id; every id stands there once."""
    found = tables.select(
        Project(root).interactions, "SELECT interaction_id AS id, response_text AS said FROM rows"
    )
    rows = found.to_pylist() if found is not None else []
    assert len(rows) == len({row["id"] for row in rows})
    return {row["id"].removeprefix("flat:"): row["said"] for row in rows}


def observation(output: str, updated: str | None) -> dict[str, Any]:
    """Return a record of an exporter that says when it was changed last."""
    return {
        "id": "o-1",
        "trace_id": "t-1",
        "type": "GENERATION",
        "start_time": "2026-10-01 09:00:00.000000",
        "input": json.dumps([{"role": "user", "content": "Where is it?"}]),
        "output": json.dumps({"role": "assistant", "content": output}),
        "provided_model_name": "m-1",
        "updated_at": updated,
    }


FIRST = observation("On its way.", "2026-10-01 10:00:00.000000")
LATER = observation("Delivered.", "2026-10-02 10:00:00.000000")
UNDATED = observation("Unknown.", None)
CUT = flat_record(1, response="It is on ...[truncated]")
FULL = flat_record(1, response="It is on its way.")
GONE = flat_record(1, response="[REDACTED]")
ONE, TWO, THREE = (flat_record(1, response=f"Parcel {k}.") for k in range(3))


@pytest.mark.parametrize("how", ["one batch", "two files", "two runs"])
@pytest.mark.parametrize(
    ("records", "winner"),
    [((FIRST, LATER), LATER), ((UNDATED, FIRST, LATER), LATER), ((CUT, FULL, GONE), FULL)],
    ids=["newer", "undated", "fuller"],
)
def test_the_better_version_wins_in_any_order(
    how: str, records: tuple[Any, ...], winner: Any, tmp_path: Path
) -> None:
    for number, order in enumerate(itertools.permutations(records)):
        root = tmp_path / str(number)
        if how == "one batch":
            read_in(root, write_jsonl(root / "a.jsonl", order))
        else:
            paths = [write_jsonl(root / f"{k}.jsonl", [r]) for k, r in enumerate(order)]
            for some in [paths] if how == "two files" else [[path] for path in paths]:
                read_in(root, *some)
        expected = winner.get("response") or json.loads(winner["output"])["content"]
        assert [expected] == list(rows_of(root).values())


def test_what_is_masked_more_strictly_replaces_the_rest_and_stays(tmp_path: Path) -> None:
    record = flat_record(1, response="Write to ann@example.org or call 030 1234567.")
    path = write_jsonl(tmp_path / "a.jsonl", [record])
    for level in ("off", "basic", "secrets", "off"):
        read_in(tmp_path, path, redact=level)
    (said,) = rows_of(tmp_path).values()
    assert "ann@example.org" not in said


@pytest.mark.parametrize("commit_bytes", [1, 1 << 20])
def test_contradictions_are_all_kept_and_stay_the_same_when_read_again(
    commit_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_room, "COMMIT_BYTES", commit_bytes)
    monkeypatch.setattr(files, "BLOCK_BYTES", 300)
    monkeypatch.setenv("LOOPLLM_KEY", KEY)
    path = write_jsonl(tmp_path / "a.jsonl", [ONE, TWO, ONE, THREE, TWO, THREE])
    summary = read_in(tmp_path, path)
    assert (3, 3, 2) == (summary.n_kept, summary.n_duplicates, summary.n_conflicts)
    rows = rows_of(tmp_path)
    assert sorted(r["response"] for r in (ONE, TWO, THREE)) == sorted(rows.values())
    assert ONE["response"] == rows["r-1"]
    assert 2 == sum(name.startswith("r-1~") for name in rows)
    again = read_in(tmp_path, write_jsonl(tmp_path / "b.jsonl", [THREE, ONE, TWO, THREE]))
    assert (0, 4, 0) == (again.n_kept, again.n_duplicates, again.n_conflicts)
    assert rows == rows_of(tmp_path)


def test_repeats_within_a_batch_are_stored_once(tmp_path: Path) -> None:
    records = [chat_pair(k % 5) for k in range(20)]
    records += [feedback_record(f"chatcmpl-{k % 5}") for k in range(20)]
    summary = read_in(tmp_path, write_jsonl(tmp_path / "a.jsonl", records))
    assert (5, 15) == (summary.n_kept, summary.n_duplicates)
    assert (5, 15) == (summary.n_feedback, summary.n_feedback_duplicates)


@pytest.mark.parametrize("n_digests", [1, 3])
@pytest.mark.parametrize("commit_bytes", [1, 1 << 20])
def test_ids_whose_digests_are_alike_are_told_apart(
    n_digests: int, commit_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = known_room.hash_text

    def weak(text: str) -> int:
        # Contents stay apart, as they do but for one pair in 2^64 that also shares the id's.
        return full(text) if "\x1f" in text else full(text) % n_digests

    monkeypatch.setattr(ids_room, "hash_text", weak)
    monkeypatch.setattr(ingest_room, "COMMIT_BYTES", commit_bytes)
    monkeypatch.setattr(files, "BLOCK_BYTES", 1000)
    records = [flat_record(k) for k in range(12)]
    votes = [feedback_record(f"r-{k}") for k in range(12)]
    changed = [flat_record(3, response="Other."), flat_record(7, response="It is [truncated]")]
    content = [*records, *votes, *records[::2], *changed, *votes[::-1]]
    summary = read_in(tmp_path, write_jsonl(tmp_path / "a.jsonl", content))
    assert (13, 1) == (summary.n_kept, summary.n_conflicts)
    assert (12, 12) == (summary.n_feedback, summary.n_feedback_duplicates)
    again = read_in(tmp_path, write_jsonl(tmp_path / "b.jsonl", content[::-1]))
    assert (0, 0, 0) == (again.n_kept, again.n_feedback, again.n_conflicts)
    rows = rows_of(tmp_path)
    assert {f"r-{k}" for k in range(12)} == {name for name in rows if "~" not in name}
    assert [records[3]["response"], "Other."] == [
        rows[name] for name in sorted(rows) if "r-3" in name
    ]


def test_a_file_that_is_written_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [flat_record(1)])
    digest = ingest_room.file_digest

    def then_rotated(name: str) -> str | None:
        named = digest(name)
        write_jsonl(path, [flat_record(k) for k in range(2, 4)])
        return named

    monkeypatch.setattr(ingest_room, "file_digest", then_rotated)
    read_in(tmp_path, path)
    monkeypatch.setattr(ingest_room, "file_digest", digest)
    write_jsonl(path, [flat_record(1)])
    read_in(tmp_path, path)
    assert {"r-1", "r-2", "r-3"} == set(rows_of(tmp_path))
