"""Bad values in good lines: each is read, left out or rejected with a reason, and none is lost."""

from __future__ import annotations

import csv
import io
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from decoding import ingest_file, total
from factories import chat_pair, feedback_record, flat_record, write_jsonl
from typer.testing import CliRunner

from loopllm_cli.app import app
from loopllm_cli.errors import DataError, UsageError
from loopllm_cli.sources.ingest import IngestOptions, ingest
from loopllm_cli.store import tables
from loopllm_cli.store.project import Project

EPOCH = 1_790_000_000
NOON = "2026-09-21 14:13:20+00:00"


def stored(folder: Path, columns: str, where: str = "true") -> list[dict[str, Any]]:
    """Return some columns of the stored rows."""
    table = tables.select(Project(folder).interactions, f"SELECT {columns} FROM rows WHERE {where}")
    found: list[dict[str, Any]] = table.to_pylist() if table is not None else []
    return found


VALUES: dict[str, tuple[dict[str, Any], str, Any]] = {
    "seconds": ({"timestamp": EPOCH}, "request_time", NOON),
    "milliseconds": ({"timestamp": EPOCH * 1000}, "request_time", NOON),
    "microseconds": ({"timestamp": EPOCH * 10**6}, "request_time", NOON),
    "nanoseconds": ({"timestamp": EPOCH * 10**9}, "request_time", NOON),
    "seconds as text": ({"timestamp": f"{EPOCH}.0"}, "request_time", NOON),
    "a time without a zone": ({"timestamp": "2026-09-21 14:13:20"}, "request_time", NOON),
    "a time in another zone": ({"timestamp": "2026-09-21T16:13:20+02:00"}, "request_time", NOON),
    "a time of a database": (
        {"timestamp": {"$date": "2026-09-21T14:13:20Z"}},
        "request_time",
        NOON,
    ),
    "a number of a database": ({"prompt_tokens": {"$numberLong": "61"}}, "input_tokens", 61),
    "a time in the future": ({"timestamp": EPOCH * 2}, "request_time", None),
    "a time before all logs": ({"timestamp": 0}, "request_time", None),
    "no time at all": ({"timestamp": [1]}, "request_time", None),
    "a count as text": ({"prompt_tokens": "1,234"}, "input_tokens", 1234),
    "a count below zero": ({"prompt_tokens": -1}, "input_tokens", None),
    "a count beyond 64 bits": ({"prompt_tokens": 2**70}, "input_tokens", None),
    "a cost as text": ({"cost": "0.03"}, "cost_usd", 0.03),
    "a cost that is none": ({"cost": "free"}, "cost_usd", None),
    "a duration below zero": ({"latency_ms": -5}, "duration_s", None),
    "an id beyond 53 bits": ({"id": 2**53 + 1}, "source_record_id", str(2**53 + 1)),
    "an id beyond 64 bits": ({"id": 2**64 + 1}, "source_record_id", str(2**64 + 1)),
    "a deep id beyond 64 bits": ({"x": {"y": {"z": 2**64 + 1}}}, "attributes_json", "551617"),
    "a redacted answer": ({"response": "[REDACTED]"}, "content_state", "redacted"),
    "a gateway's redaction": ({"response": "redacted-by-litellm"}, "content_state", "redacted"),
    "stars": ({"response": "***"}, "content_state", "redacted"),
    "a cut answer": ({"response": "It is ... [truncated]"}, "content_state", "truncated"),
    "a cut prompt": ({"prompt": "Where is ...(truncated)"}, "content_state", "truncated"),
    "a cell cut by a spreadsheet": ({"response": "x" * 32767}, "content_state", "truncated"),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_read_or_missing_and_its_record_is_kept(name: str, tmp_path: Path) -> None:
    fields, column, expected = VALUES[name]
    record = flat_record(1, **fields)
    path = write_jsonl(tmp_path / "a.jsonl", [record])
    if "spreadsheet" in name:
        path = tmp_path / "a.csv"
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(record))
        writer.writeheader()
        writer.writerow(record)
        path.write_text(text.getvalue())
    assert 1 == ingest_file(path).n_kept
    (row,) = stored(tmp_path, column)
    found = row[column]
    if name == "a deep id beyond 64 bits":
        assert str(2**64 + 1) in found
    else:
        assert expected == (str(found) if column == "request_time" and found else found)


def observation(**fields: Any) -> dict[str, Any]:
    """Return a record of a tracing tool."""
    return {
        "id": "o-1",
        "trace_id": "t-1",
        "provided_model_name": "m-1",
        "type": "GENERATION",
        "start_time": "2026-10-01 09:00:02.000000",
        "end_time": "2026-10-01 09:00:03.500000",
        "input": [{"role": "user", "content": "Where is it?"}],
        "output": {"role": "assistant", "content": "On its way."},
        **fields,
    }


def test_an_end_before_the_start_gives_no_duration(tmp_path: Path) -> None:
    records = [observation(), observation(id="o-2", end_time="2026-10-01 09:00:01.000000")]
    ingest_file(write_jsonl(tmp_path / "a.jsonl", records))
    found = stored(tmp_path, "duration_s, source_record_id AS id")
    assert {"o-1": 1.5, "o-2": None} == {row["id"]: row["duration_s"] for row in found}


@pytest.mark.parametrize("n_times", [1, 2, 3])
def test_content_that_was_encoded_several_times_is_decoded(n_times: int, tmp_path: Path) -> None:
    record = observation()
    for _ in range(n_times):
        record = {**record, **{key: json.dumps(record[key]) for key in ("input", "output")}}
    ingest_file(write_jsonl(tmp_path / "a.jsonl", [record]))
    (row,) = stored(tmp_path, "prompt_text, response_text")
    assert {"prompt_text": "Where is it?", "response_text": "On its way."} == row


def test_what_is_no_response_is_counted_and_not_stored(tmp_path: Path) -> None:
    records = [
        observation(),
        observation(id="o-2", type="SPAN"),
        observation(id="o-3", type="TOOL"),
    ]
    summary = ingest_file(write_jsonl(tmp_path / "a.jsonl", records))
    assert (1, 2, summary.n_lines) == (summary.n_kept, summary.n_skipped, total(summary))
    assert 2 == sum(summary.skipped_by_reason.values())


def deep(depth: int) -> str:
    """Return nested JSON."""
    return '{"a":' * depth + "[" * depth + "1" + "]" * depth + "}" * depth


def _csv(record: str) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("prompt", "response", "metadata"), ("p", "r", record)])
    return text.getvalue().encode()


GOOD = json.dumps(flat_record(1))
DEEP_IN: dict[str, Callable[[str], bytes]] = {
    "lines": lambda deep: f'{GOOD}\n{{"prompt":"p","response":"r","x":{deep}}}'.encode(),
    "array": lambda deep: f'[{GOOD},{{"prompt":"p","response":"r","x":{deep}}}]'.encode(),
    "page": lambda deep: f'{{"data":[{GOOD},{{"prompt":"p","response":"r","x":{deep}}}]}}'.encode(),
    "page on a line": lambda deep: f'{GOOD}\n{{"data":[{GOOD},{{"input":{deep}}}]}}'.encode(),
    "content": lambda deep: f'{GOOD}\n{{"prompt":{deep},"response":{deep}}}'.encode(),
    "text": lambda deep: f"{GOOD}\n{json.dumps(observation(input=deep, output=deep))}".encode(),
    "log event": lambda deep: (
        f"{GOOD}\n{json.dumps({'timestamp': EPOCH, 'message': deep})}".encode()
    ),
    "Python's notation": lambda deep: (
        f"{GOOD}\n{{'prompt':'p','response':'r','x':{deep}}}".encode()
    ),
    "database": lambda deep: (
        f'{GOOD}\n{{"prompt":"p","response":"r","x":{{"$date":{deep}}}}}'.encode()
    ),
    "CSV": _csv,
}


@pytest.mark.parametrize("depth", [60, 130, 400, 3000, 60_000])
@pytest.mark.parametrize("name", DEEP_IN)
def test_deep_nesting_crashes_no_container(name: str, depth: int, tmp_path: Path) -> None:
    path = tmp_path / ("a.csv" if name == "CSV" else "a.jsonl")
    path.write_bytes(DEEP_IN[name](deep(depth)))
    summary = ingest_file(path)
    assert summary.n_kept >= 1
    assert summary.n_lines == total(summary)


def test_links_below_a_folder_are_not_followed(tmp_path: Path) -> None:
    outside = write_jsonl(tmp_path / "outside" / "secret.jsonl", [flat_record(9)])
    folder = tmp_path / "exports"
    write_jsonl(folder / "a.jsonl", [flat_record(1)])
    (folder / "link.jsonl").symlink_to(outside)
    (folder / "linked").symlink_to(outside.parent)
    (folder / "loop").symlink_to(folder)
    summary = ingest(Project(tmp_path), [str(folder)], IngestOptions())
    assert (1, 1) == (summary.n_kept, len(summary.sources))
    named = ingest(Project(tmp_path), [str(folder / "link.jsonl")], IngestOptions())
    assert 1 == named.n_kept


def test_no_address_is_ever_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("something was fetched")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    url = "https://example.org/signed?key=1"
    parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "See."}]
    records = [chat_pair(1, prompt=parts), flat_record(2, s3_path="s3://logs/x", input_url=url)]
    assert 2 == ingest_file(write_jsonl(tmp_path / "a.jsonl", records)).n_kept
    for address in (url, "file:///etc/passwd"):
        with pytest.raises((UsageError, DataError)):
            ingest(Project(tmp_path), [address], IngestOptions())


def flat(**fields: Any) -> str:
    """Return one flat line."""
    return json.dumps(flat_record(999, **fields))


# One line among good ones: how many more records are kept, and the reason where it is rejected.
FAULTS: dict[str, tuple[bytes, int, str | None]] = {
    "truncated": (flat()[:-20].encode(), 0, "invalid JSON"),
    "not JSON": (b"Traceback (most recent call last):", 0, "invalid JSON"),
    "two records on a line": ((flat() + flat(id="r-1000")).encode(), 0, "invalid JSON"),
    "invalid UTF-8": (flat(response="caf#").encode().replace(b"#", b"\xe9"), 1, None),
    "lone surrogate": (flat(response="#").encode().replace(b"#", b"\\ud800"), 1, None),
    "NaN": (flat(cost="#").encode().replace(b'"#"', b"NaN"), 1, None),
    "a number as text with its unit": (flat(latency_ms="123ms").encode(), 1, None),
    "messages that are text": (b'{"id":"x","messages":"hello"}', 0, "unknown record shape"),
    "missing id": (flat(id=None).encode(), 1, None),
    "null response": (flat(response="#").encode().replace(b'"#"', b"null"), 0, "no response"),
    "new field": (flat(new={"a": [1]}).encode(), 1, None),
    "new key of metadata": (flat(metadata={"new": 1}).encode(), 1, None),
    "metadata that is a number": (flat(metadata=17).encode(), 1, None),
    "duplicate key": (flat().encode()[:-1] + b',"prompt":"again"}', 1, None),
    "number beyond 63 bits": (flat(prompt_tokens=2**63).encode(), 1, None),
    "long line": (flat(response="x" * 24_000_000).encode(), 1, None),
    "blank line": (b"", 0, None),
    "CRLF": (flat().encode() + b"\r", 1, None),
    "escaped NUL": (flat(response="a\x00b").encode(), 1, None),
    "NUL": (flat(response="#").encode().replace(b"#", b"\x00"), 0, "NUL bytes inside"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_among_good_lines_costs_at_most_itself(name: str, tmp_path: Path) -> None:
    line, n_more, reason = FAULTS[name]
    good = [json.dumps(flat_record(k)).encode() for k in range(200)]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join([*good[:100], line, *good[100:]]))
    summary = ingest_file(path)
    assert (200 + n_more, 201) == (summary.n_kept, summary.n_lines)
    assert ({reason: 1} if reason else {}) == summary.rejected_by_reason
    assert total(summary) == 201
    assert 200 + n_more == len(stored(tmp_path, "interaction_id"))


HOSTILE = {
    "escape sequences": "\x1b[31m\x1b]0;title\x07red",
    "control characters": "a\x00b\x08\x7f\x85c",
    "a path": "../../../../etc/passwd",
    "an absolute path": "/etc/passwd",
    "right to left": "abc\u202edef\u2066ghi",
    "a megabyte": "x" * 1_000_000,
    "quotes": "'; DROP TABLE rows; --\"",
    "markup": "[bold red]x[/]<script>",
    "lines": "a\nb\rc\u2028d",
}
_RAW = {*map(chr, range(9)), *map(chr, range(11, 32)), "\x7f", "\x85", "\u202e", "\u2066", "\u2028"}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_bounded_and_never_shown_raw(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = HOSTILE[name]
    keys = ("id", "model", "user_id", "session_id", "trace_id", "span_id", "prompt_name")
    keys += ("environment", "finish_reason", "error_type", "request_id", "response_id")
    records = [
        flat_record(1, **dict.fromkeys(keys, text)),
        flat_record(1, **dict.fromkeys(keys, f"{text}1")),
        {**chat_pair(2, model=text), "response": {**chat_pair(2)["response"], "id": text}},
        feedback_record(text, user=text, comment=text),
        feedback_record(text, kind=text),
        {text: 1},
        f'{{"id": {json.dumps(text)}, "prompt": 1',
        *(flat_record(k) for k in range(10, 20)),
    ]
    write_jsonl(tmp_path / "a.jsonl", records)
    asked = ["ingest", "a.jsonl", "--max-reject-rate", "1.0"]
    said = [CliRunner().invoke(app, line) for line in (asked, ["status"])]
    assert [0, 0] == [result.exit_code for result in said]
    shown = "".join(result.stdout + result.stderr for result in said)
    assert not _RAW & set(shown)
    assert len(shown) < 8000
    found = tables.select(Project(tmp_path).interactions, "SELECT * FROM rows")
    assert found is not None
    ids = [
        c for c in found.schema.names if c.endswith(("_id", "model", "_name", "_reason", "_type"))
    ]
    for row in found.select(ids).to_pylist():
        assert all(len(value) <= 400 for value in row.values() if value is not None)
        assert not any(_RAW & set(value) for value in row.values() if value is not None)
    inside = {p.relative_to(tmp_path).parts[0] for p in tmp_path.rglob("*")}
    assert {"a.jsonl", ".loopllm"} == inside
    assert not [p for p in tmp_path.rglob("*") if "passwd" in p.name]
    (rejects,) = (tmp_path / ".loopllm" / "rejects").iterdir()
    for line in rejects.read_text().splitlines():
        assert len(line) < 2000
        assert not _RAW & set(line)
        json.loads(line)
