"""Alarms of `loopllm run`: on a change of state, once, to whom a variable names."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from command_line import loopllm

from loopllm_cli.config import AlarmsConfig
from loopllm_cli.errors import ConfigError, StoreUnavailable
from loopllm_cli.loop.alarms import announce, announce_watch
from loopllm_cli.model import RunResult, RunStep, Status, StepEnd, WatchResult
from loopllm_cli.store.project import Project

pytest.importorskip("apprise")
# Apprise imports a module of the standard library that is gone in Python 3.13, where it does not.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

CONFIG = AlarmsConfig(urls_from="LOOPLLM_ALARMS")


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """Listen on a port, and name it in the variable; return what came in."""
    found: list[dict[str, Any]] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            found.append(json.loads(self.rfile.read(length)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = HTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("LOOPLLM_ALARMS", f"json://127.0.0.1:{server.server_port}/")
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def run(code: int, text: str = "said", since: str = "2026-10-11") -> RunResult:
    """Return a run that ended with a code at its drift step."""
    made = {"since": since} if code == 10 else {}
    step = RunStep("drift", StepEnd.FOUND, text, code, made=made, to_do="look" if code else "")
    now = datetime(2026, 10, 12, tzinfo=UTC)
    sentence = text.capitalize()
    return RunResult("run-1", now, now, "c.toml", "0" * 64, "drift", (step,), code, sentence, "1")


def test_a_state_is_told_once_and_its_end_too(tmp_path: Path, heard: list[dict[str, Any]]) -> None:
    project = Project(tmp_path)
    nights = [run(0), run(10), run(10, "more signals"), run(11), run(0), run(0), run(10, "x", "b")]
    said = [announce(project, CONFIG, night) for night in nights]
    assert ["loopllm: degraded", "loopllm: a correction was refused", "loopllm: all is well again",
            "loopllm: degraded"] == [one["title"] for one in heard]  # fmt: skip
    assert "nobody needs to know" == said[0]
    assert "the same state as before: nobody was told" == said[2] == said[5]
    assert "warning" == heard[0]["type"]
    assert "To do: look" in heard[0]["message"]


def test_a_watch_is_told_when_it_turns_and_when_it_is_back(
    tmp_path: Path, heard: list[dict[str, Any]]
) -> None:
    project, calm = Project(tmp_path), watched(Status.OK)
    broken = replace(calm, status=Status.DEGRADED)
    states = [calm, broken, broken, calm, calm]
    said = [announce_watch(project, CONFIG, one, ["refusal is worse"]) for one in states]
    assert ["", "told 1 addresses", "", "told 1 addresses", ""] == said
    assert ["loopllm watch: degraded", "loopllm watch: all is well again"] == [
        one["title"] for one in heard
    ]
    assert "refusal is worse" in heard[0]["message"]
    assert ["warning", "success"] == [one["type"] for one in heard]


def watched(status: Status) -> WatchResult:
    """Return how a watch stands."""
    return WatchResult(
        "v1", "0" * 64, ("live",), status, datetime(2026, 10, 12, tzinfo=UTC), 1, 60.0, 9, 0, 0, 0,
        2.0, 0.0, (), (), "1",
    )  # fmt: skip


def test_one_degradation_follows_another(tmp_path: Path, heard: list[dict[str, Any]]) -> None:
    for since in ("2026-10-11", "2026-10-11", "2026-11-02"):
        announce(Project(tmp_path), CONFIG, run(10, since=since))
    assert 2 == len(heard)


def test_recoveries_are_left_out_where_nobody_wants_them(
    tmp_path: Path, heard: list[dict[str, Any]]
) -> None:
    for code in (10, 0, 10):
        announce(Project(tmp_path), replace(CONFIG, recovered=False), run(code))
    assert ["loopllm: degraded"] * 2 == [one["title"] for one in heard]


def test_the_page_goes_along(tmp_path: Path, heard: list[dict[str, Any]]) -> None:
    page = tmp_path / "r.html"
    page.write_text("<p>page</p>")
    announce(Project(tmp_path), replace(CONFIG, attach=True), run(4), page)
    assert "failure" == heard[0]["type"]
    assert ["r.html"] == [one["filename"] for one in heard[0]["attachments"]]


def test_an_alarm_that_nobody_got_is_sent_again(
    tmp_path: Path, heard: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as gone:
        gone.setenv("LOOPLLM_ALARMS", "json://127.0.0.1:9/")
        with pytest.raises(StoreUnavailable, match="could not be delivered"):
            announce(Project(tmp_path), CONFIG, run(10))
    announce(Project(tmp_path), CONFIG, run(10))
    assert 1 == len(heard)


def test_nobody_is_told_where_no_variable_is_named(tmp_path: Path) -> None:
    assert "" == announce(Project(tmp_path), AlarmsConfig(), run(10))


@pytest.mark.parametrize(
    ("urls_from", "value", "said"),
    [
        ("slack://token/channel", None, "holds an address"),
        ("LOOPLLM_ALARMS", None, "is not set"),
        ("LOOPLLM_ALARMS", "gopher-of-doom://x", "address 1"),
    ],
)
def test_addresses_that_cannot_be_used_are_named_but_never_shown(
    urls_from: str, value: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value:
        monkeypatch.setenv("LOOPLLM_ALARMS", value)
    with pytest.raises(ConfigError, match=said) as error:
        announce(Project(tmp_path), AlarmsConfig(urls_from=urls_from), run(10))
    assert "token" not in str(error.value)
    assert "doom" not in str(error.value)


def test_a_run_tells_how_it_ended(project_dir: Path, heard: list[dict[str, Any]]) -> None:
    Path("loopllm.toml").write_text('[run]\n[alarms]\nurls_from = "LOOPLLM_ALARMS"\n')
    said = loopllm("run")
    assert 2 == said.code
    assert "told 1 addresses" in said.err
    assert "no baseline named 'v1'" in heard[0]["message"]
    Path("loopllm.toml").write_text('[run]\n[alarms]\nurls_from = "LOOPLLM_NONE"\n')
    assert 2 == loopllm("run").code
    assert 1 == len(heard)
