"""Whatever stands in a file, each line is kept or rejected with a reason, and all are counted."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from decoding import ingest_file, total
from factories import feedback_record, flat_record, write_jsonl

from loopllm_cli.errors import (
    ConfigError,
    DataError,
    EmptyInput,
    TooManyBadRows,
    UnknownFormat,
    UsageError,
)
from loopllm_cli.sources import containers, files
from loopllm_cli.sources.ingest import IngestOptions, ingest
from loopllm_cli.store import tables
from loopllm_cli.store.project import Project

GOOD = json.dumps(flat_record(1)).encode()


def line(**fields: Any) -> bytes:
    """Return one line of a file."""
    return json.dumps(flat_record(2, **fields)).encode()


def raw(value: bytes, key: str = "response") -> bytes:
    """Return a line in which one value stands as raw bytes."""
    return b'{"id":"r-2","prompt":"p","response":"r",' + b'"%s":%s}' % (key.encode(), value)


def nested(depth: int) -> bytes:
    """Return a line with an attribute nested that deep."""
    return raw(b'{"a":' * depth + b"1" + b"}" * depth, "extra")


def zstd(content: bytes) -> bytes:
    """Return content compressed with Zstandard."""
    packed = pa.BufferOutputStream()
    with pa.CompressedOutputStream(packed, "zstd") as stream:
        stream.write(content)
    return bytes(packed.getvalue().to_pybytes())


# Beside one good line: (content of the file, lines kept, reason of the rejected line or None).
KEPT = {
    "byte order mark": (b"\xef\xbb\xbf" + GOOD, 1),
    "byte order mark between parts": (GOOD + b"\n\xef\xbb\xbf" + line(), 2),
    "carriage returns": (GOOD + b"\r\n" + line() + b"\r\n", 2),
    "blank lines": (b"\n" + GOOD + b"\n\n  \n" + line() + b"\n\n", 2),
    "no newline at the end": (GOOD, 1),
    "line separators in strings": (GOOD + b"\n" + raw('"a\u2028b\u2029c\u0085d"'.encode()), 2),
    "block of NUL after a line": (GOOD + b"\n" + line() + b"\x00" * 99, 2),
    "block of NUL before a line": (b"\x00" * 99 + GOOD + b"\n", 1),
    "block of NUL as a line": (GOOD + b"\n" + b"\x00" * 4096, 1),
    "escaped NUL": (GOOD + b"\n" + raw(b'"a\\u0000b"'), 2),
    "raw control characters": (GOOD + b"\n" + raw(b'"a\x01\x1b[31mb\tc"'), 2),
    "invalid UTF-8": (GOOD + b"\n" + raw(b'"caf\xe9"'), 2),
    "lone surrogate": (GOOD + b"\n" + raw(b'"cut \\ud83d"'), 2),
    "lone surrogate as bytes": (GOOD + b"\n" + raw(b'"\xed\xa0\xbd"'), 2),
    "lone surrogate in a key": (GOOD + b"\n" + raw(b"1", "k\\udc00"), 2),
    "NaN": (GOOD + b"\n" + raw(b"NaN", "latency_ms"), 2),
    "Infinity": (GOOD + b"\n" + raw(b"-Infinity", "cost"), 2),
    "number beyond floats": (GOOD + b"\n" + raw(b"1e999", "cost"), 2),
    "number beyond floats in text": (GOOD + b"\n" + raw(b'"1e999"', "cost"), 2),
    "huge integer": (GOOD + b"\n" + raw(b"1" * 30, "extra"), 2),
    "integer of 5000 digits": (GOOD + b"\n" + raw(b"9" * 5000, "extra"), 2),
    "huge integer beside NaN": (GOOD + b"\n" + raw(b"[NaN,%s]" % (b"1" * 30), "extra"), 2),
    "numbers as strings": (GOOD + b"\n" + raw(b'"1,234"', "prompt_tokens"), 2),
    "numbers that are none": (GOOD + b"\n" + raw(b'"many"', "prompt_tokens"), 2),
    "duplicate keys": (GOOD + b"\n" + raw(b'"later"', "response"), 2),
    "empty key": (GOOD + b"\n" + raw(b"1", ""), 2),
    "nested 300 deep": (GOOD + b"\n" + nested(300), 2),
    "compressed": (gzip.compress(GOOD + b"\n" + line()), 2),
    "compressed in parts": (gzip.compress(GOOD + b"\n") + gzip.compress(line() + b"\n"), 2),
    "Python's notation": (GOOD + b"\n" + str(flat_record(2)).encode(), 2),
    "event stream": (GOOD + b"\nevent: chat\ndata: " + line() + b"\n\ndata: [DONE]\n", 2),
    "id with other content": (GOOD + b"\n" + line(id="r-1"), 2),
    "UTF-16": (b"\xff\xfe" + (GOOD + b"\n" + line()).decode().encode("utf-16-le"), 2),
    "array": (b"[" + GOOD + b",\n" + line() + b"]", 2),
    "array with a comma at the end": (b"[" + GOOD + b",\n" + line() + b",\n]", 2),
    "arrays glued together": (b"[" + GOOD + b"][" + line() + b"]", 2),
    "array without its end": (b"[" + GOOD + b",\n" + line(), 2),
    "page of an API": (b'{"object":"list","data":[' + GOOD + b"," + line() + b'],"more":1}', 2),
    "printed over several lines": (json.dumps(flat_record(1), indent=2).encode() + b"\n", 1),
    "objects glued together": (GOOD.replace(b"{", b"{\n", 1) + line(), 2),
    "a page on each line": (b'{"data":[' + GOOD + b"]}\n" + b'{"data":[' + line() + b"]}\n", 2),
    "CSV": (b'id,prompt,response\n1,p,"r\n2"\n2,p,r\n', 2),
    "CSV with semicolons": (b"id;prompt;response\r\n1;p;r\r\n2;p;r\r\n", 2),
    "zstd": (zstd(GOOD + b"\n" + line()), 2),
    "bzip2": (bz2.compress(GOOD + b"\n" + line()), 2),
    "xz": (lzma.compress(GOOD + b"\n" + line()), 2),
    "compressed in the middle of a line": (gzip.compress(GOOD[:9]) + gzip.compress(GOOD[9:]), 1),
}
REJECTED = {
    "truncated last line": (GOOD + b"\n" + line()[:-9], "invalid JSON"),
    "truncated line in the middle": (GOOD + b"\n" + line()[:-9] + b"\n", "invalid JSON"),
    "NUL inside": (GOOD + b"\n" + raw(b'"a\x00b"'), "NUL bytes inside"),
    "array on a line": (GOOD + b"\n[1]\n", "not an object but list"),
    "number": (GOOD + b"\n17\n", "not an object but int"),
    "string": (GOOD + b'\n"text"\n', "not an object but str"),
    "null": (GOOD + b"\nnull\n", "not an object but NoneType"),
    "nested 100,000 deep": (GOOD + b"\n" + nested(100_000), "nested too deeply"),
    "brackets 100,000 deep": (GOOD + b"\n" + b"[" * 100_000, "nested too deeply"),
    "two objects on a line": (GOOD + b"\n" + GOOD + line(), "invalid JSON"),
    "Python's code": (GOOD + b"\n{'id': print('hello')}", "invalid JSON"),
    "object that never ends": (b"[" + GOOD + b",\n" + line()[:-9], "the file ends inside"),
    "text between objects": (b"[" + GOOD + b"\n, hello ]", "invalid JSON"),
    "CSV row with more cells": (b'prompt,response\n"p",r\np,r,x\n', "more cells than the header"),
    "string that never ends": (GOOD + b"\n" + raw(b'"never'), "invalid JSON"),
    "no response": (GOOD + b'\n{"prompt":"p"}\n', "no response"),
    "foreign shape": (GOOD + b'\n{"x":1}\n', "unknown record shape"),
    "empty object": (GOOD + b"\n{}\n", "unknown record shape"),
    "ambiguous date": (GOOD + b"\n" + line(timestamp="1/2/2026"), "give --date-format"),
}


@pytest.mark.parametrize("name", KEPT)
def test_repairable_input_is_kept(name: str, tmp_path: Path) -> None:
    content, kept = KEPT[name]
    path = tmp_path / "logs.jsonl"
    path.write_bytes(content)
    summary = ingest_file(path)
    assert {} == summary.rejected_by_reason
    assert (kept, summary.n_lines) == (summary.n_kept, total(summary))
    stored = tables.select(Project(tmp_path).interactions, "SELECT * FROM rows")
    assert stored is not None
    assert kept == stored.num_rows
    assert "\x00" not in str(stored.to_pylist())


@pytest.mark.parametrize("name", REJECTED)
def test_other_input_is_rejected_with_its_reason_and_place(name: str, tmp_path: Path) -> None:
    content, reason = REJECTED[name]
    path = tmp_path / "logs.jsonl"
    path.write_bytes(content)
    summary = ingest_file(path)
    assert (1, 1, summary.n_lines) == (summary.n_kept, summary.n_rejected, total(summary))
    assert summary.rejects_path is not None
    (entry,) = map(json.loads, Path(summary.rejects_path).read_text().splitlines())
    assert reason in entry["reason"]
    expected = {"CSV row with more cells": 3}.get(name, 2)
    assert (str(path), expected) == (entry["path"], entry["line"])


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(GOOD + b"\n" + os.urandom(99_999).hex().encode())[:-3000],
        gzip.compress(GOOD + b"\n" + os.urandom(99_999).hex().encode()) + b"xx",
        bz2.compress(GOOD + b"\n" + os.urandom(9_999_999))[:-3000],
        lzma.compress(GOOD + b"\n" + os.urandom(99_999))[:-3000],
        zstd(GOOD + b"\n" + os.urandom(9_999_999))[:-3000],
    ],
    ids=["gzip cut off", "garbage after gzip", "bzip2 cut off", "xz cut off", "zstd cut off"],
)
def test_a_compressed_file_that_breaks_is_kept_up_to_there_and_the_break_is_rejected(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "logs.jsonl"
    path.write_bytes(content)
    summary = ingest_file(path)
    assert 1 == summary.n_kept
    assert 1 == summary.rejected_by_reason["the compressed stream ends or breaks here"]
    assert summary.n_lines == total(summary)


def test_a_file_that_expands_too_much_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_FREE_EXPANSION_BYTES", 1 << 20)
    path = tmp_path / "bomb.jsonl.gz"
    path.write_bytes(gzip.compress(GOOD + b"\n" + bytes(64 << 20)))
    with pytest.raises(TooManyBadRows, match="expands more than 250-fold"):
        ingest_file(path, max_reject_rate=0.0)


def test_an_export_damaged_as_a_whole_is_refused(tmp_path: Path) -> None:
    for content, said in ((b"PAR1....", "damaged Parquet"), (b"BZh91AY", "cannot be read")):
        path = tmp_path / "export"
        path.write_bytes(content)
        with pytest.raises(DataError, match=said):
            ingest_file(path)


REFUSED = {
    "zip": (b"PK\x03\x04....", "a zip archive"),
    "SQLite": (b"SQLite format 3\x00", "an SQLite database"),
    "plain text": (b"2026-10-01 INFO started\n2026-10-01 INFO done\n", "JSON object"),
    "foreign records": (b'{"x":1}\n{"y":2}\n', "known shape"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("rate", [0.05, 1.0])
def test_other_kinds_of_file_are_refused_with_a_remedy(
    name: str, rate: float, tmp_path: Path
) -> None:
    content, said = REFUSED[name]
    path = tmp_path / "export"
    path.write_bytes(content)
    for _ in range(2):  # the second time is no different
        with pytest.raises(UnknownFormat) as caught:
            ingest_file(path, max_reject_rate=rate)
        assert said in caught.value.message
        assert caught.value.hint


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0), b"\x00\x00"]
)
def test_an_empty_file_is_an_error_every_time(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "logs.jsonl"
    path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(EmptyInput):
            ingest_file(path)


@pytest.mark.parametrize("good", [0, 5])
def test_a_line_beyond_the_limit_is_one_rejected_line(
    good: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "MAX_LINE_BYTES", 1 << 20)
    monkeypatch.setattr(files, "BLOCK_BYTES", 1 << 16)
    after = [flat_record(k) for k in range(10, 10 + good)]
    path = write_jsonl(tmp_path / "logs.jsonl", [GOOD, line(response="x" * 3_000_000), *after])
    summary = ingest_file(path)
    assert {"line longer than 1 MiB": 1} == summary.rejected_by_reason
    assert (1 + good, 2 + good) == (summary.n_kept, summary.n_lines)


def test_a_megabyte_line_is_kept(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "logs.jsonl", [line(response="x" * 3_000_000)])
    assert 1 == ingest_file(path).n_kept


def test_truncated_compression_keeps_what_could_be_read(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "logs.jsonl.gz", [flat_record(k) for k in range(5000)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    summary = ingest_file(path)
    assert 1000 < summary.n_kept < 4000
    assert summary.n_lines == total(summary)
    assert 2 >= summary.n_rejected


def test_ids_beyond_64_bits_stay_exact(tmp_path: Path) -> None:
    ids = [10**25 + k for k in range(3)]
    path = write_jsonl(tmp_path / "logs.jsonl", [flat_record(id=k) for k in ids])
    summary = ingest_file(path)
    found = tables.select(Project(tmp_path).interactions, "SELECT source_record_id FROM rows")
    assert found is not None
    assert (3, sorted(map(str, ids))) == (summary.n_kept, sorted(found.column(0).to_pylist()))


def test_half_characters_become_replacement_characters(tmp_path: Path) -> None:
    path = tmp_path / "logs.jsonl"
    path.write_bytes(raw(b'"\\ud83d\\ude00 \\ud83d cut \\u0000"'))
    ingest_file(path)
    found = tables.select(Project(tmp_path).interactions, "SELECT response_text FROM rows")
    assert found is not None
    assert ["\U0001f600 \ufffd cut \ufffd"] == found.column(0).to_pylist()


def test_too_many_bad_lines_stop_the_run_and_store_nothing_of_their_batch(tmp_path: Path) -> None:
    records = [flat_record(k) for k in range(50)] + [{"prompt": "p"}] * 10
    path = write_jsonl(tmp_path / "logs.jsonl", records)
    with pytest.raises(TooManyBadRows) as caught:
        ingest_file(path, max_reject_rate=0.05)
    assert "10 of 60 records cannot be read (10 no response)" == caught.value.message
    assert "--max-reject-rate" in caught.value.hint
    assert tables.open_table(Project(tmp_path).interactions) is None


def test_a_missing_column_is_too_many_bad_lines_with_the_reason(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "logs.jsonl", [{"prompt": f"p {k}"} for k in range(3)])
    with pytest.raises(TooManyBadRows, match=r"3 of 3 records cannot be read \(3 no response\)"):
        ingest_file(path)


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_a_wholly_bad_file_beside_a_good_one_is_judged_alike_in_any_order(
    order: str, tmp_path: Path
) -> None:
    files = {
        "a": write_jsonl(tmp_path / "a.jsonl", [flat_record(k) for k in range(5)]),
        "b": write_jsonl(tmp_path / "b.jsonl", [{"x": 1}] * 3),
    }
    summary = ingest(Project(tmp_path), [str(files[k]) for k in order], IngestOptions())
    assert (5, 3) == (summary.n_kept, summary.n_rejected)


def test_a_folder_is_read_without_hidden_files_and_other_suffixes(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [flat_record(1)])
    write_jsonl(tmp_path / "deep" / "b.ndjson.gz", [flat_record(2)])
    write_jsonl(tmp_path / ".loopllm" / "rejects" / "x.jsonl", [flat_record(3)])
    write_jsonl(tmp_path / "notes.txt", ["hello"])
    summary = ingest(Project(tmp_path), [str(tmp_path)], IngestOptions())
    assert (2, 2) == (summary.n_kept, len(summary.sources))


def test_a_folder_without_exports_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no export below"):
        ingest(Project(tmp_path), [str(tmp_path)], IngestOptions())


def test_a_path_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        ingest(Project(tmp_path), [str(tmp_path / "nope.jsonl")], IngestOptions())


def test_an_unknown_format_name_is_an_error(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "logs.jsonl", [GOOD])
    with pytest.raises(ConfigError, match="unknown format"):
        ingest_file(path, only_format="nonsense")


def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(GOOD + b"\n"), daemon=True)
    writer.start()
    assert 1 == ingest_file(pipe).n_kept
    writer.join(5)


def test_a_file_name_that_is_no_utf8_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.jsonl")
    write_jsonl(path, [GOOD, "{"])
    summary = ingest_file(path)
    assert (1, 1) == (summary.n_kept, summary.n_rejected)


def test_other_options_read_a_file_again(tmp_path: Path) -> None:
    bad = flat_record(2, timestamp="02/03/2026")
    path = write_jsonl(tmp_path / "logs.jsonl", [flat_record(1), bad])
    assert 1 == ingest_file(path).n_rejected
    summary = ingest_file(path, date_format="%d/%m/%Y", mapping=reading_mapping())
    assert (1, 1) == (summary.n_kept, summary.n_rejected)


def reading_mapping() -> Any:
    """Return a mapping that changes nothing, as an option that differs."""
    from loopllm_cli.sources.columns import Mapping

    return Mapping({"prompt": "prompt"})


def test_a_vote_and_its_response_may_stand_on_lines_of_one_file(tmp_path: Path) -> None:
    records = [feedback_record("r-1"), flat_record(1), feedback_record("r-9")]
    summary = ingest_file(write_jsonl(tmp_path / "logs.jsonl", records))
    assert (1, 2, 1, 1) == (
        summary.n_kept,
        summary.n_feedback,
        summary.n_feedback_linked,
        summary.n_feedback_orphans,
    )
