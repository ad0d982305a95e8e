"""`loopllm report`: a project's history as one static site."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from command_line import loopllm
from factories import shifted_logs, write_jsonl


@pytest.fixture
def project(project_dir: Path) -> Path:
    """Return a project with a comparison and two runs, of which one failed."""
    write_jsonl(Path("logs.jsonl"), shifted_logs(200))
    Path("loopllm.toml").write_text("[run]\n")
    assert 2 == loopllm("run", "-q").code
    assert 0 == loopllm("ingest", "logs.jsonl", "-q").code
    assert 0 == loopllm("baseline", "create", "v1", "--until", "2026-10-15", "-q").code
    loopllm("drift", "--baseline", "v1", "-q")
    loopllm("run", "-q", "--until", "ingest")
    return project_dir


def site() -> dict[str, str]:
    """Write the site and return its pages."""
    assert 0 == loopllm("report", "--site-out", "site", "-q").code
    return {path.name: path.read_text("utf-8") for path in Path("site").iterdir()}


def test_the_index_lists_everything_and_every_link_leads_somewhere(project: Path) -> None:
    pages = site()
    index = pages["index.html"]
    n_runs = len(list(Path(".loopllm/run").glob("*.json")))
    assert len(pages) == 1 + n_runs + len(list(Path(".loopllm/drift").glob("*.json")))
    assert "Failed" in index
    for page in pages.values():
        assert "default-src 'none'" in page
        assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page)
    for target in re.findall(r'href="([^"#]+)"', index):
        assert target in pages


def test_records_of_strangers_are_inert_and_stay_inside_of_the_folder(project: Path) -> None:
    (record, *_) = Path(".loopllm/run").glob("*.json")
    document = json.loads(record.read_text("utf-8"))
    document["run_id"] = "../../evil<script>"
    document["sentence"] = "<script>alert(1)</script>"
    record.write_text(json.dumps(document))
    pages = site()
    assert not list(Path().glob("evil*"))
    assert not list(Path("..").glob("evil*"))
    assert "run-..-..-evil-script-.html" in pages
    assert all("<script" not in page for page in pages.values())


def test_what_cannot_be_read_is_counted_and_hides_nothing(project: Path) -> None:
    Path(".loopllm/run/run-x.json").write_text("{")
    Path(".loopllm/drift/y.json").write_text('{"schema": "loopllm.drift/9"}')
    index = site()["index.html"]
    assert "2 records could not be read" in index
    assert "Failed" in index


def test_a_run_that_was_killed_is_said_not_to_have_ended(project: Path) -> None:
    for record in Path(".loopllm/run").glob("*.json"):
        document = json.loads(record.read_text("utf-8"))
        record.write_text(json.dumps({**document, "ended": None}))
    assert "Not ended" in site()["index.html"]


def test_an_empty_project_says_how_to_begin(project_dir: Path) -> None:
    pages = site()
    assert ["index.html"] == list(pages)
    assert "loopllm run" in pages["index.html"]
