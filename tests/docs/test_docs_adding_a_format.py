"""The page on adding a format: its plug-in, written out, is found and reads its records."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "adding-a-format.md").read_text("utf-8")
# The end comes first, and the third piece belongs nowhere.
PIECES = """\
{"piece_of": "c-20", "place": 1, "text": "s.", "is_last": true}
{"piece_of": "c-20", "place": 0, "text": "Ye"}
{"piece_of": "c-20", "place": null, "text": "lost"}
"""


def _blocks(language: str) -> list[str]:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    return [text for kind, text in blocks if kind == language]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a folder of packages in which the page's package is installed."""
    folder = tmp_path / "site"
    package = folder / "loopllm_parley"
    package.mkdir(parents=True)
    calls, pieces, tests = _blocks("python")
    for name, code in (("__init__", ""), ("calls", calls), ("pieces", pieces)):
        (package / f"{name}.py").write_text(code, "utf-8")
    (folder / "test_parley.py").write_text(tests, "utf-8")
    project = tomllib.loads(_blocks("toml")[0])["project"]
    info = folder / f"loopllm_parley-{project['version']}.dist-info"
    info.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(head, "utf-8")
    lines = [f"{name} = {target}\n" for name, target in _entry_points(project).items()]
    (info / "entry_points.txt").write_text("".join(["[loopllm.formats]\n", *lines]), "utf-8")
    return folder


def _entry_points(project: dict[str, dict[str, dict[str, str]]]) -> dict[str, str]:
    return project["entry-points"]["loopllm.formats"]


def _python(site: Path, *args: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(site), str(ROOT)])
    return subprocess.run(
        [sys.executable, *args],
        cwd=site,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_plug_in_of_the_page_reads_the_records_of_the_page(site: Path) -> None:
    """What `ingest` prints is what the page shows."""
    (site / "calls.jsonl").write_text(_blocks("json")[0], "utf-8")
    done = _python(site, "-m", "loopllm_cli", "ingest", "calls.jsonl")
    shown = next(block for block in _blocks("") if block.startswith("$ loopllm ingest"))
    assert shown == f"$ loopllm ingest calls.jsonl\n{done.stdout}", done.stderr


def test_the_pieces_of_the_page_are_put_together(site: Path) -> None:
    (site / "pieces.jsonl").write_text(PIECES, "utf-8")
    done = _python(site, "-m", "loopllm_cli", "ingest", "pieces.jsonl", "--json")
    assert 0 == done.returncode, done.stderr
    counted = json.loads(done.stdout)
    reasons = {"a piece without its place or text": 1}
    assert (2, 1, reasons) == (
        counted["n_parts"],
        counted["n_extra_rows"],
        counted["rejected_by_reason"],
    )


def test_the_tests_of_the_page_pass(site: Path) -> None:
    done = _python(site, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_parley.py")
    assert 0 == done.returncode, done.stdout


def test_the_code_of_the_page_is_formatted_and_linted(site: Path) -> None:
    """A reader copies it: it keeps this project's own rules."""
    for command in (["ruff", "format", "--check"], ["ruff", "check"]):
        config = ["--config", str(ROOT / "pyproject.toml")]
        done = _python(site, "-m", command[0], *command[1:], *config, "loopllm_parley")
        assert 0 == done.returncode, done.stdout
