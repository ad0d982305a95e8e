"""`loopllm watch`: a break is raised within a slot, once, over restarts, and no text is kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import environment, loopllm
from factories import Record, flat_record, write_jsonl

from loopllm_cli.store.project import Project

REFUSAL = "I'm sorry, I can't help with that."
TOPIC = "How many parks has town {n}?"


def rows(first: int, n: int, broken: bool = False) -> list[Record]:
    """Return rows of a service, every third a refusal where it is broken."""
    return [
        flat_record(
            k,
            user_id=f"u-{k % 97}",
            timestamp=f"2026-10-{k // 200 % 14 + 1:02}T{k % 24:02}:10:00Z",
            prompt=TOPIC.format(n=k),
            response=REFUSAL if broken and k % 3 == 0 else f"It has {k} parks.",
        )
        for k in range(first, first + n)
    ]


def append(path: Path, records: list[Record]) -> None:
    """Write records to the end of a log."""
    with path.open("a", encoding="utf-8") as stream:
        stream.writelines(json.dumps(record) + "\n" for record in records)


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a project with a baseline of two weeks, and a log that is written to."""
    monkeypatch.chdir(tmp_path)
    write_jsonl(Path("history.jsonl"), rows(0, 2800))
    assert 0 == loopllm("ingest", "history.jsonl", "-q").code
    assert 0 == loopllm("baseline", "create", "v1", "-q").code
    Path("live").mkdir()
    assert 0 == loopllm("watch", "live", "--once", "-q").code
    return tmp_path / "live" / "chat.jsonl"


def test_what_is_as_it_was_raises_nothing(live: Path) -> None:
    for first in range(3000, 4200, 300):
        append(live, rows(first, 300))
        said = loopllm("watch", "live", "--once", "-q")
        assert (0, "") == (said.code, said.err)
        assert said.out.startswith("watch      OK")


def test_a_break_is_raised_once_and_its_end_is_said(live: Path) -> None:
    append(live, rows(3000, 300, broken=True))
    first = loopllm("watch", "live", "--once", "-q")
    assert 10 == first.code
    assert "WORSE refusal is worse: 0% to 33.3% in the last minute (300 rows)" in first.out
    append(live, rows(3300, 300, broken=True))
    second = loopllm("watch", "live", "--once", "-q")
    assert 10 == second.code
    assert "WORSE refusal" not in second.out
    assert "worse      since" in second.out
    for k in range(12):
        append(live, rows(3600 + 300 * k, 300))
        last = loopllm("watch", "live", "--once", "-q")
        if last.code == 0:
            break
    assert 0 == last.code
    assert "BACK refusal is back" in " ".join(last.out.split())


def test_json_names_its_schema_and_the_levels(live: Path) -> None:
    append(live, rows(3000, 300, broken=True))
    document = loopllm("watch", "live", "--once", "--json").document
    assert "loopllm.watch/1" == document["schema"]
    assert "degraded" == document["status"]
    refusal = next(e for e in document["worse"] if e["signal"]["name"] == "refusal")
    assert (0.0, 1 / 3) == (refusal["before"], pytest.approx(refusal["after"], abs=0.01))
    assert 300 == document["n_rows"]


def test_stdin_is_judged_when_it_ends(live: Path) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in rows(3000, 400, broken=True))
    done = subprocess.run(
        [sys.executable, "-m", "loopllm_cli", "watch", "-", "--json"],
        input=lines.encode(), capture_output=True, env=environment(), timeout=120, check=False,
    )  # fmt: skip
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert 10 == done.returncode, done.stderr
    assert {"loopllm.watch-event/1"} == {event["schema"] for event in events}
    assert "refusal" in {event["signal"]["name"] for event in events}


def test_a_watch_that_is_killed_goes_on_and_reads_nothing_twice(live: Path) -> None:
    Path("loopllm.toml").write_text("[watch]\nslot_seconds = 2\n")
    command = [sys.executable, "-m", "loopllm_cli", "watch", "live", "-q", "--json"]
    for first in (3000, 3200, 3400):
        running = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL)
        time.sleep(4)
        append(live, rows(first, 200))
        time.sleep(2.5)
        running.send_signal(signal.SIGKILL)
        running.wait()
    document = loopllm("watch", "live", "--once", "--json").document
    assert 600 == document["n_rows"]
    assert "ok" == document["status"]


def test_nothing_of_what_was_read_is_kept(live: Path) -> None:
    append(live, [flat_record(1, prompt="my secret word is xyzzy", response="xyzzy it is")])
    assert 0 == loopllm("watch", "live", "--once", "-q").code
    kept = [p for p in (live.parents[1] / ".loopllm").rglob("*") if p.is_file()]
    assert not [p for p in kept if b"xyzzy" in p.read_bytes()]


def test_lines_that_cannot_be_read_are_counted_and_hurt_nobody(live: Path) -> None:
    with live.open("ab") as stream:
        stream.write(b'\x00\x1b[31m not json\n{"half": \n' + b"\xff\xfe\n")
    append(live, rows(3000, 100))
    said = loopllm("watch", "live", "--once", "-q")
    assert 0 == said.code
    assert "3 unreadable" in said.out
    assert "\x1b" not in said.out + said.err


def test_answers_of_other_models_are_left_out(live: Path) -> None:
    append(live, [{**row, "model": "other"} for row in rows(3000, 200, broken=True)])
    append(live, rows(3300, 100))
    assert 0 == loopllm("watch", "live", "--model", "m-1", "--from-start", "--once", "-q").code
    document = loopllm("watch", "live", "--model", "m-1", "--once", "--json").document
    assert (100, 200) == (document["n_rows"], document["n_unmatched"])


@pytest.mark.parametrize(
    ("config", "code", "words"),
    [
        ("[watch]\nslot_seconds = 0\n", 2, "slot_seconds"),
        ("[watch]\nfalse_alarms_per_year = 0\n", 2, "false_alarms_per_year"),
        ("[watch]\nminutes = 3\n", 2, "minutes"),
    ],
)
def test_settings_out_of_range_are_named(live: Path, config: str, code: int, words: str) -> None:
    Path("loopllm.toml").write_text(config)
    said = loopllm("watch", "live", "--once")
    assert code == said.code
    assert words in said.err


def test_no_baseline_nothing_to_watch_and_a_second_watch_are_said(live: Path) -> None:
    assert 2 == loopllm("watch", "live", "--baseline", "v9", "--once").code
    nothing = loopllm("watch", "--once")
    assert (2, True) == (nothing.code, "nothing to watch" in nothing.err)
    state = next((live.parents[1] / ".loopllm" / "watch").glob("*.npz"))
    with Project(live.parents[1]).watching(state.stem):
        second = loopllm("watch", "live", "--once")
    assert (4, True) == (second.code, "being watched already" in second.err)


def test_a_damaged_state_is_named_with_its_remedy(live: Path) -> None:
    state = next((live.parents[1] / ".loopllm" / "watch").glob("*.npz"))
    state.write_bytes(os.urandom(200))
    said = loopllm("watch", "live", "--once")
    assert (3, True) == (said.code, "remove it" in said.err)
