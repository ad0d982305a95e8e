"""The page on formats says what the code has."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopllm_cli.sources import containers, files, reading
from loopllm_cli.sources.unwrap import unwrap
from loopllm_cli.store.schema import FEEDBACK, INTERACTIONS
from scripts.list_formats import fields_table, formats_table

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text("utf-8")


def test_the_page_holds_the_table_of_formats() -> None:
    """`python -m scripts.list_formats` prints it."""
    assert f"\n{formats_table()}\n" in PAGE


def test_the_page_holds_the_table_of_fields() -> None:
    """`python -m scripts.list_formats --fields` prints it."""
    assert f"\n{fields_table()}\n" in PAGE


def test_every_format_says_what_it_is_recognised_by() -> None:
    assert all(len(row.split("|")) == 5 for row in formats_table().splitlines())


@pytest.mark.parametrize("schema", [INTERACTIONS, FEEDBACK], ids=["interactions", "feedback"])
def test_every_column_is_on_the_page(schema: object) -> None:
    assert [] == [name for name in schema.names if f"`{name}`" not in PAGE]


def test_the_limits_on_the_page_are_those_of_the_code() -> None:
    assert f"| a line | {containers.MAX_LINE_BYTES >> 20} MiB |" in PAGE
    assert f"files | {reading.MAX_RECORD_BYTES >> 20} MiB |" in PAGE
    assert f"| unpacking | {files.MAX_EXPANSION} times" in PAGE


def test_the_kinds_of_files_on_the_page_are_those_that_folders_are_searched_for() -> None:
    assert [] == [kind for kind in files._KINDS if f"`{kind}`" not in PAGE]


@pytest.mark.parametrize(
    "carrier",
    [
        {"data": [{"a": 1}], "object": "list"},
        {"traces": [{"a": 1}]},
        {"_id": "1", "_source": {"a": 1}},
        {"timestamp": 1, "message": '{"a": 1}'},
        {"a": {"$numberLong": 1}},
    ],
)
def test_the_carriers_on_the_page_are_taken_off(carrier: dict[str, object]) -> None:
    assert [{"a": 1}] == list(unwrap(carrier))
