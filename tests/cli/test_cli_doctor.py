"""`loopllm doctor`: what would keep a night from working is said by day."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
from command_line import loopllm
from factories import shifted_logs, write_jsonl

from loopllm_cli.loop import doctor

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def project(project_dir: Path) -> Path:
    """Return a project with rows, a baseline and a config."""
    write_jsonl(Path("logs.jsonl"), shifted_logs(60))
    assert 0 == loopllm("ingest", "logs.jsonl", "-q").code
    assert 0 == loopllm("baseline", "create", "v1", "-q").code
    assert 0 == loopllm("init", "-q").code
    return project_dir


def examined() -> tuple[int, dict[str, Any]]:
    """Return the exit code and, by name, what was looked at."""
    said = loopllm("doctor", "--json")
    return said.code, {one["name"]: one for one in said.document["examined"]}


def test_a_project_that_works_is_called_so(project: Path) -> None:
    code, found = examined()
    assert 0 == code
    assert {"versions", "responses", "baselines", "config", "disk", "training"} <= set(found)
    assert "60 rows in 1 files" in found["responses"]["text"]
    assert all(one["severity"] in ("ok", "warn") for one in found.values())
    text = loopllm("doctor").out
    assert all(len(line) <= 80 for line in text.split("\n"))


def test_an_empty_place_says_where_to_begin(project_dir: Path) -> None:
    code, found = examined()
    assert 0 == code
    assert "loopllm ingest" in found["responses"]["to_do"]
    assert "loopllm baseline create" in found["baselines"]["to_do"]
    assert "loopllm init" in found["config"]["to_do"]
    assert not Path(".loopllm").exists()


def test_a_config_that_cannot_be_followed_fails_and_hides_nothing(project: Path) -> None:
    Path("loopllm.toml").write_text("[run]\nsorces = []\n")
    code, found = examined()
    assert 4 == code
    assert "fail" == found["config"]["severity"]
    assert "did you mean" in found["config"]["to_do"]
    assert "ok" == found["baselines"]["severity"]


def test_a_baseline_that_is_damaged_fails(project: Path) -> None:
    (name,) = (path for path in Path(".loopllm/baselines").rglob("*") if path.is_file())
    name.write_bytes(name.read_bytes()[:-20])
    code, found = examined()
    assert 4 == code
    assert "fail" == found["baselines"]["severity"]


def test_a_full_disk_fails_and_a_narrow_one_warns(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for free, severity, code in ((5e8, "fail", 4), (5e9, "warn", 0)):
        usage = Usage(1e12, 1e12 - free, free)
        with monkeypatch.context() as disk:
            disk.setattr(shutil, "disk_usage", lambda _, found=usage: found)
            ended, found = examined()
        assert (severity, code) == (found["disk"]["severity"], ended)


def test_missing_packages_are_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name == "trl" else object())
    _, found = examined()
    assert "correct and verify need trl" == found["training"]["text"]


def test_the_last_run_is_told(project: Path) -> None:
    loopllm("run", "-q")
    _, found = examined()
    assert "ended with" in found["last run"]["text"]
    assert "last run" in loopllm("status").out
    (record,) = Path(".loopllm/run").glob("*.json")
    ended = record.read_text()
    record.write_text(ended.replace('"created": "20', '"created": "19'))
    _, found = examined()
    assert "a night is missing" in found["last run"]["to_do"]
