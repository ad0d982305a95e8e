"""Tool definitions of every provider in one layout, and rows read back as they were written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loopllm_cli.errors import BadPairs
from loopllm_cli.pairs.dataset.stored_rows import decoded, iter_rows
from loopllm_cli.pairs.dataset.tool_definitions import as_functions, is_function

SCHEMA = {"type": "object", "properties": {"order": {"type": "integer"}}}
FUNCTION = {"name": "track", "description": "Find it.", "parameters": SCHEMA}
CALL = {"type": "function", "function": {"name": "track", "arguments": {"order": 1}}}


@pytest.mark.parametrize(
    "logged",
    [
        {"type": "function", "function": FUNCTION},
        {"function": FUNCTION},
        {"type": "function", **FUNCTION},
        FUNCTION,
        {"name": "track", "description": "Find it.", "input_schema": SCHEMA},
        {"type": "custom", "name": "track", "description": "Find it.", "input_schema": SCHEMA},
        {"functionDeclarations": [FUNCTION]},
        {"function_declarations": [{**FUNCTION, "parametersJsonSchema": SCHEMA}]},
        {"toolSpec": {"name": "track", "description": "Find it.", "inputSchema": {"json": SCHEMA}}},
    ],
    ids=["openai", "no type", "responses", "bare", "anthropic", "custom", "gemini", "json", "aws"],
)
def test_definitions_of_every_provider_get_one_layout(logged: dict[str, Any]) -> None:
    (found,) = as_functions(json.dumps([logged])) or []
    assert {"type": "function", "function": FUNCTION} == found
    assert is_function(found)


@pytest.mark.parametrize("logged", [{"type": "web_search"}, {"type": "computer", "name": "mouse"}])
def test_what_is_no_function_stays_as_it_is(logged: dict[str, Any]) -> None:
    assert [logged] == as_functions(json.dumps([logged]))
    assert not is_function(logged)


@pytest.mark.parametrize(
    "text",
    [None, "", "[]", "no json", "3", '["track"]', "[" * 10_000],
    ids=["none", "empty", "no tool", "no json", "number", "name", "deep"],
)
def test_what_defines_no_tool_is_none(text: str | None) -> None:
    assert as_functions(text) is None


def test_keys_that_a_table_made_up_are_taken_out() -> None:
    made_up = {"role": "user", "content": "a", "tool_calls": None, "name": None}
    said = {"role": "assistant", "content": None, "tool_calls": [json.dumps(CALL)]}
    row = decoded({"prompt": [made_up], "chosen": [json.dumps(said)], "tools": "[]", "label": None})
    assert {
        "prompt": [{"role": "user", "content": "a"}],
        "chosen": [{"role": "assistant", "content": None, "tool_calls": [CALL]}],
        "tools": None,
        "label": None,
    } == row


def test_what_is_no_message_is_left_to_the_reader() -> None:
    row = decoded({"prompt": ["no json", 3, None], "chosen": None, "tools": "no json"})
    assert {"prompt": ["no json", 3, None], "chosen": None, "tools": "no json"} == row


def test_a_missing_or_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    for name in ("none", "bad"):
        with pytest.raises(BadPairs, match="cannot read"):
            list(iter_rows(tmp_path / f"{name}.parquet"))
