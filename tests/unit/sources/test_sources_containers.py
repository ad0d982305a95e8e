"""Whatever the layout and wherever the blocks end, the same records stand on the same lines."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopllm_cli.sources import containers, csv_rows, files, objects, reading
from loopllm_cli.sources.containers import iter_chunks
from loopllm_cli.sources.csv_rows import CUT_CELL_CHARS, CUT_MARK, iter_csv_rows
from loopllm_cli.sources.objects import iter_objects
from loopllm_cli.sources.reading import UnreadableLine, is_blank, parse_record

Seen = list[tuple[int, Any]]
SIZES = (1, 2, 3, 5, 7, 16, 61)
SETTINGS = settings(max_examples=150, deadline=None, derandomize=True)


def blocks(content: bytes, size: int) -> Iterator[bytes]:
    """Cut content into blocks."""
    return (content[at : at + size] for at in range(0, len(content), size))


def shown(items: Iterable[tuple[int, Any]]) -> Seen:
    """Return items so that they can be compared: an unreadable one by its reason."""
    return [
        (number, item.reason if isinstance(item, UnreadableLine) else item)
        for number, item in items
    ]


def in_any_blocks(read: Callable[[Iterator[bytes]], Iterable[Any]], content: bytes) -> Seen:
    """Return what a reader finds, after checking that the blocks do not matter."""
    found = shown(read(blocks(content, 1 << 30)))
    for size in SIZES:
        assert found == shown(read(blocks(content, size))), f"in blocks of {size}"
    return found


def parsed(found: Seen) -> Seen:
    """Parse the items that are bytes."""
    return [(n, parse_record(item) if isinstance(item, bytes) else item) for n, item in found]


def items_of(path: Path, **options: Any) -> Seen:
    """Return what a file's chunks hold, without the blank lines."""
    return [
        (number, item)
        for chunk in iter_chunks(str(path), **options)
        for number, item in shown(chunk.numbered())
        if not isinstance(item, bytes) or not is_blank(item)
    ]


A, B, C = {"id": "a", "s": '} ] \\ " {'}, {"id": "b", "in": [{"x": 1}]}, {"id": "c"}
RAW = [json.dumps(record).encode() for record in (A, B, C)]
a, b, c = RAW

OBJECTS = {
    "an array": (b"[" + b",".join(RAW) + b"]", [(1, A), (1, B), (1, C)]),
    "an array over lines": (b"[\n" + b",\n".join(RAW) + b"\n]\n", [(2, A), (3, B), (4, C)]),
    "commas before the objects": (b"[" + b"\n,".join(RAW) + b"]", [(1, A), (2, B), (3, C)]),
    "a comma at the end": (b"[" + a + b",\n" + b + b",\n]", [(1, A), (2, B)]),
    "arrays glued together": (b"[" + a + b"][" + b + b"]\n[" + c + b"]", [(1, A), (1, B), (2, C)]),
    "nested arrays": (b"[[" + a + b"],[" + b + b"]]", [(1, A), (1, B)]),
    "no end": (b"[" + a + b",\r\n" + b + b",", [(1, A), (2, B)]),
    "objects glued together": (a + b + c, [(1, A), (1, B), (1, C)]),
    "objects over lines": (
        json.dumps(A, indent=1).encode() + json.dumps(B, indent=1).encode() + b"\n" + c,
        [(1, A), (4, B), (12, C)],
    ),
    "a page": (
        b'{"object":"list","first":null,"data":[' + a + b"," + b + b'],"meta":{"x":"}"},"n":[{}]}',
        [(1, A), (1, B)],
    ),
    "pages glued together": (
        b'{"data":[' + a + b']}\n{"data":[' + b + b"]}" + b'{"data":[]}' + b'{"data":[' + c + b"]}",
        [(1, A), (2, B), (2, C)],
    ),
    "a page with a second list": (
        b'{"data":[' + a + b'],"results":[' + c + b"]}",
        [(1, A), (1, {"results": [C]})],
    ),
    "a page that breaks off behind its list": (b'{"data":[' + a + b'],"more":{"x', [(1, A)]),
    "nothing": (b"[]", []),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_are_found_in_any_layout_and_any_blocks(name: str) -> None:
    content, expected = OBJECTS[name]
    assert expected == parsed(in_any_blocks(iter_objects, content))


BROKEN = {
    "text between objects": (b"[" + a + b", hello ," + b + b"]", [(1, b"hello")]),
    "text with braces in quotes": (b"[" + a + b', "x{y}",\n' + b + b"]", [(1, b'"x{y}"')]),
    "a lone quote on a line": (b"[" + a + b',\n "lone\n' + b + b"]", [(2, b'"lone')]),
    "text behind the array": (b"[" + a + b"," + b + b"]\nend", [(2, b"end")]),
    "an object without its end at the end": (
        b"[" + a + b",\n" + b + b",\n" + c[:-1],
        [(3, "the file ends inside this object")],
    ),
    "objects without their end": (
        b"[\n " + a + b",\n " + c[:-1] + b",\n " + c[:-3] + b",\n " + b + b"\n]",
        [(3, "the file ends inside this object"), (4, "the file ends inside this object")],
    ),
    "a string without its end": (
        b"[\n" + a + b',\n{"id": "x},\n' + b + b"\n]",
        [(3, "the file ends inside this object")],
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_handed_out_with_its_line_and_the_rest_is_read(name: str) -> None:
    content, expected = BROKEN[name]
    found = in_any_blocks(iter_objects, content)
    good = [parse_record(item) for _, item in found if isinstance(item, bytes) and item in RAW]
    assert [A, B] == good
    assert expected == [(n, item) for n, item in found if item not in RAW]


def test_an_object_that_does_not_end_costs_little_of_a_large_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(objects, "MAX_RECORD_BYTES", 4096)
    monkeypatch.setattr(objects, "_PIECE_BYTES", 1024)
    line = b'{"id": "r", "text": "' + b"x" * 100 + b'"}'
    lines = [line[:-1] if k % 50 == 7 else line for k in range(1000)]
    found = shown(iter_objects(blocks(b"[\n" + b",\n".join(lines) + b"\n]", 5000)))
    reasons = [(n, item) for n, item in found if item != line]
    assert [k + 2 for k in range(1000) if k % 50 == 7] == [n for n, _ in reasons]
    assert {
        "an object that does not end before the next one",
        "the file ends inside this object",
    } >= {item for _, item in reasons}
    assert 980 == sum(item == line for _, item in found)


@pytest.mark.parametrize("text", [b"1,", b'"x', b"x ", b'\\"', b'"\\"', b"[", b'{"a":1,"b":[{'])
def test_hostile_text_takes_neither_memory_nor_time(
    text: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_MAX_BETWEEN_BYTES", 64 * 1024)
    monkeypatch.setattr(objects, "_MAX_OBJECT_BYTES", 256 * 1024)
    content = b"[" + text * (4_000_000 // len(text))
    sizes = [len(item) for _, item in iter_objects(blocks(content, 9999))]
    assert max(sizes, default=0) <= 64 * 1024 + objects._PIECE_BYTES


LINES = st.lists(
    st.sampled_from([b"", a, b, b"\r", b"x" * 40, b'"\xe2\x80\xa8"', a + b"\r", b" " * 30]),
    max_size=12,
)


@SETTINGS
@given(LINES, st.integers(1, 70), st.booleans(), st.integers(0, 60))
def test_lines_are_the_same_in_any_blocks_up_to_the_limit(
    lines: list[bytes], size: int, ends: bool, more: int
) -> None:
    limit = size + more  # no block is longer than the limit
    content = b"\n".join(lines) + b"\n" * ends
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(containers, "MAX_LINE_BYTES", limit)
        patch.setattr(containers, "_LONG_BYTES", min(limit, 20))
        chunks = containers._lines(blocks(content, size))
        found = dict(shown(item for chunk in chunks for item in chunk.numbered()))
    expected = {
        number: line if len(line) <= limit else "line longer than 0 MiB"
        for number, line in enumerate(content.split(b"\n"), 1)
    }
    assert {n: line for n, line in expected.items() if line} == {
        n: line for n, line in found.items() if line
    }


TEXTS = st.text(st.sampled_from('aé€😀\u2028\u0085\\"{}[],\n\r'), max_size=12)
RECORDS = st.lists(st.fixed_dictionaries({"id": TEXTS, "s": TEXTS}), min_size=1, max_size=6)
FORMS: dict[str, Callable[[list[Any]], bytes]] = {
    "lines": lambda records: b"\n".join(json.dumps(r).encode() for r in records),
    "unescaped lines": lambda records: b"\n".join(
        json.dumps(r, ensure_ascii=False).encode() for r in records
    ),
    "lines with CRLF": lambda records: b"\r\n".join(json.dumps(r).encode() for r in records),
    "array": lambda records: json.dumps(records, ensure_ascii=False).encode(),
    "printed array": lambda records: json.dumps(records, indent=2).encode(),
    "page": lambda records: json.dumps({"object": "list", "data": records, "end": True}).encode(),
    "UTF-16": lambda records: "\n".join(json.dumps(r, ensure_ascii=False) for r in records).encode(
        "utf-16"
    ),
    "UTF-32 array": lambda records: json.dumps(records, ensure_ascii=False).encode("utf-32"),
}


@pytest.mark.parametrize("form", FORMS)
@SETTINGS
@given(records=RECORDS, size=st.integers(300, 2000))
def test_every_form_gives_the_records_whatever_the_blocks(
    form: str, records: list[Any], size: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / "export.json"
        path.write_bytes(FORMS[form](records))
        patch.setattr(files, "BLOCK_BYTES", size)
        assert records == [record for _, record in parsed(items_of(path))]


@pytest.mark.parametrize("size", [2, 3, 4, 5, 7])
def test_utf16_split_inside_a_character_is_joined_again(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BLOCK_BYTES", size)
    path = tmp_path / "a.jsonl"
    path.write_bytes("\n".join(['{"a":"😀é"}', '{"a":"€"}']).encode("utf-16"))
    assert [(1, {"a": "😀é"}), (2, {"a": "€"})] == parsed(items_of(path))


CELLS = st.text(st.sampled_from('a ;,"\n\té😀'), max_size=8)


@SETTINGS
@given(
    st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=6),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
    st.integers(1, 40),
)
def test_csv_rows_are_the_same_in_any_blocks(
    rows: list[tuple[str, ...]], delimiter: str, end: str, size: int
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([("prompt", "response", "id"), *rows])
    found = [record for _, record in iter_csv_rows(blocks(text.getvalue().encode(), size))]
    named = [dict(zip(("prompt", "response", "id"), row, strict=True)) for row in rows]
    kept = [{key: cell for key, cell in row.items() if cell} for row in named]
    assert [row for row in kept if row] == found


CSV = {
    "quoted newlines": (b'prompt,response\n"a\nb",c\nd,e\n', [(2, "a\nb", "c"), (4, "d", "e")]),
    "doubled quotes": (b'prompt,response\n"say ""hi""",""""""\n', [(2, 'say "hi"', '""')]),
    "semicolons": (b"prompt;response\r\na,b;c\r\n", [(2, "a,b", "c")]),
    "empty cells": (b"prompt,response\na,\n,b\n,\n\n", [(2, "a", None), (3, None, "b")]),
    "a byte order mark": (b"\xef\xbb\xbfprompt,response\na,b", [(2, "a", "b")]),
    "text behind a quote": (b'prompt,response\n"a"x,b\nc,d\n', [(2, "ax", "b"), (3, "c", "d")]),
    "NUL": (b"prompt,response\na\x00,b\n", [(2, "a\ufffd", "b")]),
}


@pytest.mark.parametrize("name", CSV)
def test_csv_as_spreadsheets_and_databases_write_it(name: str) -> None:
    content, expected = CSV[name]
    found = in_any_blocks(iter_csv_rows, content)
    assert expected == [(n, row.get("prompt"), row.get("response")) for n, row in found]


def test_a_cell_that_a_spreadsheet_cut_is_marked() -> None:
    cells = ["x" * n for n in (CUT_CELL_CHARS - 1, CUT_CELL_CHARS, CUT_CELL_CHARS + 1)]
    content = "\n".join(["prompt,response", *(f"p,{cell}" for cell in cells)]).encode()
    found = [row["response"] for _, row in iter_csv_rows(blocks(content, 1 << 20))]
    assert [cells[0], cells[1] + CUT_MARK, cells[2]] == found


def test_a_quote_that_does_not_close_costs_its_row_and_no_other() -> None:
    content = b'id,prompt,response\n1,p,"r\n2,p,r\n3,p,"r"\n4,p,r\n'
    found = in_any_blocks(iter_csv_rows, content)
    assert [(2, "a quote that does not close"), (3, "2"), (4, "3"), (5, "4")] == [
        (n, row["id"] if isinstance(row, dict) else row) for n, row in found
    ]


def test_a_cell_cut_off_by_the_end_of_the_file_gives_no_rows_of_its_lines() -> None:
    content = b'id,prompt,response\n1,p,r\n2,p,"Well, yes.\nThat, too,\nand more'
    found = in_any_blocks(iter_csv_rows, content)
    assert [(2, "1"), (3, "a quote that does not close")] == [
        (n, row["id"] if isinstance(row, dict) else row) for n, row in found
    ]


@pytest.mark.parametrize("text", ['"x\n",', "x,", '"', '"\n', "x" * 99, '"x"y,"\n'])
def test_hostile_csv_takes_a_bounded_row(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "_MAX_ROW_CHARS", 10_000)
    content = f"prompt,response\n{text * 20_000}".encode()
    for _, row in iter_csv_rows(blocks(content, 4096)):
        assert len(row) <= 20_000


def picture(n_bytes: int) -> str:
    """Return an embedded picture."""
    return "data:image/png;base64," + b64encode(bytes(range(256)) * (n_bytes // 256)).decode()


@pytest.mark.parametrize("escaped", [False, True])
def test_an_embedded_file_is_replaced_by_its_digest(escaped: bool) -> None:
    url = picture(6144)
    line = json.dumps({"p": [f"see {url}!", "data:image/png;base64,AAAA"]})
    line = line.replace("/", "\\/") if escaped else line
    content = url.partition(",")[2]
    named = f"blob:image/png:{hashlib.sha256(content.encode()).hexdigest()[:32]}:6144"
    named = named if not escaped else named.replace("/", "\\/")
    assert {"p": [f"see {named}!".replace("\\/", "/"), "data:image/png;base64,AAAA"]} == (
        parse_record(line.encode())
    )


@pytest.mark.parametrize("layout", ["lines", "array"])
def test_a_record_is_measured_without_its_embedded_files(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_RECORD_BYTES", 100_000)
    monkeypatch.setattr(containers, "_LONG_BYTES", 10_000)
    monkeypatch.setattr(files, "BLOCK_BYTES", 50_000)
    records = [
        {"id": 1},
        {"id": 2, "p": picture(1 << 18)},
        {"id": 3, "p": "x" * 200_000},
        {"id": 4},
    ]
    raw = [json.dumps(record).encode() for record in records]
    path = tmp_path / "a.json"
    path.write_bytes(b"\n".join(raw) if layout == "lines" else b"[" + b",".join(raw) + b"]")
    found = items_of(path)
    assert [1, 2, 4] == [parse_record(i)["id"] for _, i in found if isinstance(i, bytes)]
    assert ["a record of more than 0 MiB of text"] == [i for _, i in found if isinstance(i, str)]
