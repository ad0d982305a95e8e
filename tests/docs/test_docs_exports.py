"""The page on getting logs out of other tools: its commands run, its code is code."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

from loopllm_cli.app import app
from loopllm_cli.sources.decode import Router
from loopllm_cli.sources.rows import Origin
from scripts.make_export_samples import FOLDER, files

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "getting-your-logs-out.md"
TEXT = PAGE.read_text("utf-8")
_CONSOLE = re.compile(r"```console\n\$ (.*?)```", re.DOTALL)
COMMANDS = [block.split("\n")[0] for block in _CONSOLE.findall(TEXT)]
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def _run(command: str, project: Path) -> str:
    words = [*shlex.split(command)[1:], "--project", str(project)]
    result = CliRunner().invoke(app, words)
    assert 0 == result.exit_code, result.output
    return result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_prints_what_the_page_shows(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`LOOPLLM_UPDATE_GOLDEN=1` writes what is printed into the page."""
    monkeypatch.chdir(ROOT)
    page = PAGE.read_text("utf-8")
    (shown,) = [b for b in _CONSOLE.findall(page) if b.split("\n")[0] == command]
    printed = f"{command}\n{_run(command, tmp_path)}"
    if os.environ.get("LOOPLLM_UPDATE_GOLDEN"):
        PAGE.write_text(page.replace(f"$ {shown}```", f"$ {printed}```"), "utf-8")
        return
    assert shown == printed


def test_every_example_export_is_used_on_the_page() -> None:
    """No file is left that no command shows."""
    named = {Path(word).name for c in COMMANDS for word in shlex.split(c) if "sample_data" in word}
    assert set(files()) == named


def test_the_example_exports_are_what_the_script_writes() -> None:
    """The committed files equal a fresh run."""
    assert files() == {path.name: path.read_text("utf-8") for path in sorted(FOLDER.iterdir())}


@pytest.mark.parametrize("code", PYTHON)
def test_the_code_on_the_page_compiles(code: str) -> None:
    compile(code, PAGE.name, "exec")


class _Answer:
    """An SDK's response object."""

    def __init__(self, body: dict[str, Any]) -> None:
        self._body = body

    def model_dump(self, mode: str) -> dict[str, Any]:
        assert "json" == mode
        return self._body


class _Endpoint:
    """Any path of an SDK's client that ends in `create`."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def __getattr__(self, name: str) -> _Endpoint:
        return self

    def create(self, **request: Any) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


class _ApiError(Exception):
    pass


def _wrapper(name: str, sdk: str, answer: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the code of one of the wrappers beside an SDK that answers without a network."""
    module = ModuleType(sdk)
    client = {"openai": "OpenAI", "anthropic": "Anthropic"}[sdk]
    vars(module).update({client: lambda: _Endpoint(answer), "OpenAIError": _ApiError})
    monkeypatch.setitem(sys.modules, sdk, module)
    (code,) = [code for code in PYTHON if f"def {name}" in code]
    space: dict[str, Any] = {}
    exec(compile(code, PAGE.name, "exec"), space)
    return space[name]


def _first_row(path: Path) -> dict[str, Any]:
    record = json.loads(path.read_text("utf-8"))
    return Router().decode(record, Origin(str(path), 1, "test"))[1].interactions[0]


@pytest.mark.parametrize(
    ("name", "sdk", "sample"),
    [
        ("logged_chat", "openai", "openai_wrapper.jsonl"),
        ("logged_message", "anthropic", "anthropic_wrapper.jsonl"),
    ],
)
def test_a_wrapper_logs_what_ingest_reads(
    name: str, sdk: str, sample: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The example export is what the wrapper on the page writes."""
    wanted = json.loads(files()[sample].split("\n")[0])
    call = _wrapper(name, sdk, _Answer(wanted["response"]), monkeypatch)
    call(tmp_path / "log.jsonl", user_id="reader-0", **wanted["request"])
    row = _first_row(tmp_path / "log.jsonl")
    assert wanted["response"]["id"] == row["response_id"]
    assert "reader-0" == row["user_id"]
    assert row["request_time"] is not None
    assert row["duration_s"] is not None


def test_the_wrapper_logs_a_failed_call_and_passes_it_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = _wrapper("logged_chat", "openai", _ApiError("too many requests"), monkeypatch)
    with pytest.raises(_ApiError):
        call(tmp_path / "log.jsonl", model="m", messages=[{"role": "user", "content": "Open?"}])
    assert "_ApiError" == _first_row(tmp_path / "log.jsonl")["error_type"]
