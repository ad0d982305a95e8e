"""Whatever stands in files: ingest never crashes, counts add up, and order does not matter."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from factories import chat_pair, feedback_record, flat_record, write_jsonl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopllm_cli.errors import EmptyInput, TooManyBadRows, UnknownFormat
from loopllm_cli.sources.columns import ALIASES
from loopllm_cli.sources.ingest import IngestOptions, ingest
from loopllm_cli.store import tables
from loopllm_cli.store.project import Project

KEYS = st.sampled_from(
    sorted(
        {alias for names in ALIASES.values() for alias in names}
        | {"request", "response", "choices", "winner", "candidates", "kind", "value", "type"}
        | {"response_a", "response_b", "thumbs", "role", "content", "tool_calls", "scale_min"}
    )
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["up", "thumbs", "rating", "tie", "a", "2026-10-01", "1/2/2026", "user", ""]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(KEYS, st.text()), inner, max_size=4)
    ),
    max_leaves=12,
)
RECORDS = st.dictionaries(KEYS, VALUES, max_size=8)
SEEDS = st.sampled_from(
    [flat_record(1), chat_pair(1), feedback_record("r-1"), {"messages": [{"role": "user"}]}]
)


@st.composite
def changed_records(draw: st.DrawFn) -> dict[str, Any]:
    """Take a good record and put nonsense somewhere into it."""
    record: dict[str, Any] = json.loads(json.dumps(draw(SEEDS)))
    place: Any = record
    while True:
        key = draw(st.sampled_from(sorted(place))) if isinstance(place, dict) else 0
        if not isinstance(place[key], dict | list) or not place[key] or draw(st.booleans()):
            place[key] = draw(VALUES)
            return record
        place = place[key]


LINES = st.one_of(
    st.binary(max_size=40),
    st.one_of(RECORDS, changed_records(), VALUES).map(lambda value: json.dumps(value).encode()),
    changed_records().map(lambda value: json.dumps(value).encode()[:-5]),
)
SETTINGS = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@SETTINGS
@given(st.lists(LINES, max_size=12))
def test_no_line_crashes_ingest_and_every_line_is_accounted_for(lines: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "logs.jsonl"
        # Without this line the whole file may be refused for its first bytes.
        path.write_bytes(b"\n".join([json.dumps(flat_record(99)).encode(), *lines]))
        project = Project(Path(folder))
        summary = ingest(project, [str(path)], IngestOptions(max_reject_rate=1.0))
        accounted = (
            summary.n_blank
            + summary.n_kept
            + summary.n_duplicates
            + summary.n_feedback
            + summary.n_feedback_duplicates
            + summary.n_rejected
        )
        assert summary.n_lines == accounted
        assert summary.n_rejected == sum(summary.rejected_by_reason.values())
        stored = count(project.interactions) + count(project.feedback)
        assert stored == summary.n_kept + summary.n_feedback + summary.n_extra_rows


@SETTINGS
@given(st.binary(max_size=200))
def test_no_bytes_crash_ingest(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "logs.jsonl"
        path.write_bytes(content)
        with contextlib.suppress(EmptyInput, TooManyBadRows, UnknownFormat):
            ingest(Project(Path(folder)), [str(path)], IngestOptions())


GOOD = [
    *(flat_record(k, feedback=("up", "down", None)[k % 3]) for k in range(8)),
    *(chat_pair(k) for k in range(8)),
    *(feedback_record(f"chatcmpl-{k}", value=("up", "down")[k % 2]) for k in range(10)),
    {"candidates": ["chatcmpl-1", "chatcmpl-2"], "winner": "chatcmpl-1", "response_id": "x"},
    {"id": "c", "messages": [{"role": r, "content": r} for r in ("user", "assistant") * 2]},
]


@settings(SETTINGS, max_examples=15)
@given(st.permutations(GOOD), st.integers(1, 4), st.sampled_from(["", ".gz"]))
def test_order_and_split_of_the_files_do_not_matter_and_a_second_time_adds_nothing(
    records: list[dict[str, Any]], n_files: int, suffix: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = [
            str(write_jsonl(Path(folder) / f"{k}.jsonl{suffix}", records[k::n_files]))
            for k in range(n_files)
        ]
        project = Project(Path(folder))
        ingest(project, paths, IngestOptions())
        assert expected_rows() == rows(project)
        merged = write_jsonl(Path(folder) / "all.jsonl", reversed(records))
        again = ingest(project, [*paths, str(merged)], IngestOptions())
        assert (0, 0, n_files) == (again.n_kept, again.n_feedback, again.n_sources_unchanged)
        assert expected_rows() == rows(project)


_EXPECTED: list[str] = []


@pytest.fixture(autouse=True, scope="module")
def one_key() -> Iterator[None]:
    """Give all projects one key, so that their pseudonyms can be compared."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("loopllm_cli.sources.ingest.read_key", lambda project: bytes(32))
        yield


def expected_rows() -> list[str]:
    """Return the rows that the records give in their own order, in one file."""
    if not _EXPECTED:
        with tempfile.TemporaryDirectory() as folder:
            path = write_jsonl(Path(folder) / "logs.jsonl", GOOD)
            ingest(Project(Path(folder)), [str(path)], IngestOptions())
            _EXPECTED.extend(rows(Project(Path(folder))))
    return _EXPECTED


def rows(project: Project) -> list[str]:
    """Return all rows of both tables without where they came from."""
    found = []
    for path in (project.interactions, project.feedback):
        table = tables.select(path, "SELECT * FROM rows")
        assert table is not None
        for row in table.to_pylist():
            for name in ("source_path", "source_line", "ingest_id"):
                del row[name]
            found.append(repr(sorted(row.items())))
    return sorted(found)


def count(path: Path) -> int:
    """Count the rows of a table."""
    table = tables.select(path, "SELECT COUNT(*) AS n FROM rows")
    return int(table.column("n").to_pylist()[0]) if table else 0
