"""The error tree: every error ends in its code, with what happened and what to do on stderr."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import environment, loopllm, process
from factories import chat_pair, flat_record, write_jsonl

from loopllm_cli.store.project import Project

HOSTILE = (
    "\x1b[31mred\x1b]0;title\x07 \x9b2J [bold]x[/bold] \u202egnp.exe \r\x08 "
    "<script>alert(1)</script>"
)


def no_files() -> None:
    """Prepare nothing."""


def foreign() -> None:
    """Write a file of a shape nobody knows."""
    write_jsonl(Path("logs.jsonl"), [{"x": 1}] * 3)


def empty() -> None:
    """Write an empty file."""
    Path("logs.jsonl").write_bytes(b"")


def unanswered() -> None:
    """Write records without their response column."""
    write_jsonl(Path("logs.jsonl"), [{"prompt": f"p {k}"} for k in range(20)])


TEMPLATES: dict[str, Path] = {}


@pytest.fixture(scope="module", autouse=True)
def _templates(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Fill a store, and freeze a baseline in a copy of it, once."""
    filled = tmp_path_factory.mktemp("stored")
    logs = str(write_jsonl(filled / "logs.jsonl", [flat_record(k) for k in range(30)]))
    assert 0 == loopllm("ingest", logs, "-q", "--project", str(filled)).code
    with_baseline = tmp_path_factory.mktemp("frozen")
    shutil.copytree(filled, with_baseline, dirs_exist_ok=True)
    # A column is quicker to segment by than clusters of prompts.
    options = ("--segment-by", "prompt_name", "-q", "--project", str(with_baseline))
    assert 0 == loopllm("baseline", "create", "v1", *options).code
    TEMPLATES.update(stored=filled, frozen=with_baseline)


def stored() -> None:
    """Fill the store."""
    shutil.copytree(TEMPLATES["stored"], Path(), dirs_exist_ok=True)


def frozen() -> None:
    """Fill the store and freeze a baseline."""
    shutil.copytree(TEMPLATES["frozen"], Path(), dirs_exist_ok=True)


def damaged() -> None:
    """Fill the store and damage its log."""
    frozen()
    for log in (Project(Path()).interactions / "_delta_log").glob("*.json"):
        log.write_bytes(b"garbage")


def configured(text: str) -> Callable[[], None]:
    """Freeze a baseline and write a configuration."""

    def prepare() -> None:
        frozen()
        Path("loopllm.toml").write_text(text)

    return prepare


DRIFT = ("drift", "--baseline", "v1")
TREE: dict[str, tuple[Callable[[], None], tuple[str, ...], int, str, str]] = {
    "unknown format": (foreign, ("ingest", "logs.jsonl"), 3, "known shape", "--map"),
    "empty file": (empty, ("ingest", "logs.jsonl"), 3, "nothing to read", "export"),
    "no response": (unanswered, ("ingest", "logs.jsonl"), 3, "20 no response", "rejects"),
    "no such file": (no_files, ("ingest", "nope.jsonl"), 2, "nope.jsonl", "path"),
    "no mapping file": (stored, ("ingest", "logs.jsonl", "--map", "no"), 2, "cannot read no", ""),
    "unknown format name": (stored, ("ingest", "logs.jsonl", "--format", "x"), 2, "'x'", "flat"),
    "project in a file": (stored, ("ingest", "logs.jsonl", "--project", "logs.jsonl"), 4, "", ""),
    "no baseline": (stored, DRIFT, 2, "no baseline named 'v1'", "baseline create v1"),
    "baseline of a bad name": (stored, ("drift", "--baseline", "../x"), 2, "cannot name", ""),
    "baseline taken": (
        frozen,
        ("baseline", "create", "v1", "--segment-by", "prompt_name"),
        2,
        "exists already",
        "--replace",
    ),
    "baseline shown": (frozen, ("baseline", "show", "nope"), 2, "known: v1", ""),
    "nothing ingested": (no_files, ("baseline", "create", "v1"), 4, "nothing has been", "ingest"),
    "empty baseline": (stored, ("baseline", "create", "v1", "--model", "x"), 3, "no rows", "widen"),
    "empty window": (frozen, DRIFT, 3, "no rows", "the store holds"),
    "window that ends before": (frozen, (*DRIFT, "--until", "2020-01-01"), 3, "no rows", ""),
    "no moment": (frozen, (*DRIFT, "--since", "soon"), 2, "'soon'", "7d"),
    "invalid condition": (frozen, (*DRIFT, "--where", "nope = 1"), 2, "nope", "--where"),
    "no feedback": (stored, ("pairs",), 3, "no feedback", "corrections"),
    "no drift run": (stored, ("pairs", "--drift-run", "x"), 2, "no drift run", ""),
    "no pairs": (stored, ("correct", "--model", "m"), 2, "no pairs", "loopllm pairs"),
    "no adapter": (stored, ("verify", "nope"), 4, "no adapter", "loopllm correct"),
    "damaged store": (damaged, (*DRIFT, "--where", "TRUE"), 4, "cannot read the table", ""),
    "damaged store, ingest": (damaged, ("ingest", "logs.jsonl"), 4, "cannot read the table", ""),
    "artefact without a place": (
        frozen,
        (*DRIFT, "--where", "TRUE", "--html-out", "/proc/x/y.html"),
        4,
        "cannot write",
        "",
    ),
    "artefact without a name": (
        frozen,
        (*DRIFT, "--where", "TRUE", "--html-out", "/"),
        2,
        "names no file",
        "",
    ),
    "no configuration": (frozen, (*DRIFT, "--config", "no.toml"), 2, "cannot read no.toml", ""),
    "configuration no TOML": (configured("drift"), DRIFT, 2, "not valid TOML", ""),
    "unknown section": (configured("[drfit]"), DRIFT, 2, "'drfit'", "did you mean 'drift'"),
    "unknown key": (configured("[drift]\nalhpa = 1"), DRIFT, 2, "'alhpa'", "mean 'alpha'"),
    "wrong type": (configured('[drift]\nalpha = "x"'), DRIFT, 2, "no float", "0.05"),
    "out of range": (
        configured("[drift]\nalpha = 7"),
        (*DRIFT, "--where", "TRUE"),
        2,
        "out of range",
        "0.05",
    ),
    "no section": (configured("drift = 1"), DRIFT, 2, "no table", "[drift]"),
    "wrong tolerance": (
        configured('[drift.tolerances]\nrefusal = "x"'),
        (*DRIFT, "--where", "TRUE"),
        2,
        "refusal",
        "",
    ),
    "unknown signal": (
        configured('[drift]\nsignals = ["refusl"]'),
        (*DRIFT, "--where", "TRUE"),
        2,
        "refusl",
        "refusal",
    ),
    "signals no names": (
        configured("[drift]\nsignals = [1]"),
        (*DRIFT, "--where", "TRUE"),
        2,
        "signals",
        "",
    ),
}


@pytest.mark.parametrize("name", TREE)
def test_every_error_ends_in_its_code_with_a_remedy_as_text_and_as_json(
    project_dir: Path, name: str
) -> None:
    prepare, args, code, message, hint = TREE[name]
    prepare()
    said = loopllm(*args)
    assert code == said.code, said
    lines = said.err.splitlines()
    assert lines[0].startswith("error: ")
    assert message in lines[0]
    assert hint in said.err
    assert 2 >= len([line for line in lines if not line.startswith("│")])
    assert "Traceback" not in said.err
    if name.startswith("artefact"):
        return  # the verdict itself stands on stdout by then
    # Where JSON is asked for, the error is JSON on stdout.
    said = loopllm(*args, "--json")
    assert (code, "") == (said.code, said.err), said
    assert message in said.document["error"]["message"]
    assert {"code", "message", "hint"} == set(said.document["error"])


@pytest.mark.parametrize(
    "args",
    [
        ("nope",),
        ("ingest",),
        ("drift",),
        ("drift", "--nope"),
        ("drift", "--baseline"),
        ("drift", "--baseline", "v1", "--fail-on", "x"),
        ("ingest", "x", "--max-reject-rate", "2"),
        ("ingest", "x", "--max-reject-rate", "nan"),
        ("ingest", "x", "--lock-wait", "-1"),
        ("correct", "--adapter-out"),
    ],
)
def test_a_wrong_call_is_a_mistake_of_the_caller(project_dir: Path, args: tuple[str, ...]) -> None:
    said = loopllm(*args)
    assert (2, "") == (said.code, said.out), said
    assert said.err


def test_a_bug_leaves_a_crash_file_and_no_traceback(
    project_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret of a user")

    monkeypatch.setattr("loopllm_cli.loop.overview.read_status", broken)
    monkeypatch.setenv("TMPDIR", str(project_dir))
    monkeypatch.setattr("tempfile.tempdir", None)
    for args in (("status",), ("status", "--json")):
        said = loopllm(*args)
        assert 1 == said.code
        assert "this is a bug in loopllm (ZeroDivisionError)" in said.out + said.err
        assert "Traceback" not in said.out + said.err
        assert "secret" not in said.out + said.err
    crash = sorted(project_dir.glob("loopllm-crash-*.txt"))
    assert 2 == len(crash)
    assert "ZeroDivisionError" in crash[0].read_text()
    assert "bug" == said.document["error"]["code"]


def test_a_panic_of_an_engine_is_a_bug_too(
    project_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PanicError(BaseException):
        pass

    def broken(*_: object) -> None:
        raise PanicError

    monkeypatch.setattr("loopllm_cli.loop.overview.read_status", broken)
    monkeypatch.setenv("TMPDIR", str(project_dir))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert 1 == loopllm("status").code


@pytest.mark.parametrize(
    "args", [("status",), ("status", "--json"), ("baseline", "list"), (*DRIFT, "--where", "TRUE")]
)
def test_a_reader_who_has_left_ends_the_command_in_silence(
    project_dir: Path, args: tuple[str, ...]
) -> None:
    frozen()
    reader, writer = os.pipe()
    os.close(reader)
    run = subprocess.run(
        [sys.executable, "-m", "loopllm_cli", *args],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
        env=environment(),
    )
    os.close(writer)
    assert (141, b"") == (run.returncode, run.stderr)


def test_a_pipe_into_head_is_no_error(project_dir: Path) -> None:
    frozen()
    line = f"{sys.executable} -m loopllm_cli baseline show v1 | head -1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        capture_output=True,
        check=False,
        timeout=60,
        env=environment(),
    )
    assert done.returncode in (0, 141)
    assert (1, b"") == (done.stdout.count(b"\n"), done.stderr)


def test_an_interrupt_ends_with_130(project_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("loopllm_cli.loop.overview.read_status", interrupted)
    assert (130, "", "") == loopllm("status")


def test_ctrl_c_while_reading_ends_with_130_and_the_next_run_completes(project_dir: Path) -> None:
    run = subprocess.Popen(
        [sys.executable, "-m", "loopllm_cli", "ingest", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        # A suite that was started in the background inherits a deaf ear for Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert run.stdin is not None
    run.stdin.write(b'{"prompt":"p","response":"r"}\n')
    run.stdin.flush()
    until = time.monotonic() + 30
    while not Path(".loopllm/rejects").exists() and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.2)
    run.send_signal(signal.SIGINT)
    err = run.communicate(timeout=30)[1]
    assert 130 == run.returncode, err
    assert b"Traceback" not in err
    write_jsonl(Path("logs.jsonl"), [flat_record(1)])
    assert 0 == loopllm("ingest", "logs.jsonl", "--lock-wait", "0").code


def is_inert(text: str) -> bool:
    """Return whether nothing in a text can steer a terminal."""
    allowed = set("\n")
    return all(c.isprintable() or c in allowed for c in text)


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_hostile_text_of_logs_never_reaches_the_terminal_raw(
    project_dir: Path, more: tuple[str, ...]
) -> None:
    name = "bad\x1b[31m\u202e.jsonl"
    records = [
        flat_record(k, prompt=HOSTILE, response=HOSTILE, model=HOSTILE, prompt_name=HOSTILE)
        for k in range(40)
    ]
    write_jsonl(Path(name), [*records, {"x": HOSTILE}, "{" + HOSTILE])
    frozen_by = ("baseline", "create", "v1", "--segment-by", "prompt_name")
    for args in (
        ("ingest", name),
        frozen_by,
        ("baseline", "show", "v1"),
        ("drift", "--baseline", "v1", "--where", "TRUE", "-v"),
        ("drift", "--baseline", "v1", "--where", f"response_model = '{HOSTILE}"),
        ("drift", "--baseline", "v1", "--model", HOSTILE + "x"),
        ("drift", "--baseline", HOSTILE),
        ("baseline", "list"),
        ("status",),
        ("ingest", HOSTILE),
        ("pairs",),
    ):
        # `-v` and the like only exist on some commands; the shown text is what matters.
        options = tuple(o for o in args if o != "-v") if more else args
        said = loopllm(*options, *more)
        assert said.code in (0, 2, 3, 10, 12), said
        assert is_inert(said.out), (args, said.out)
        assert is_inert(said.err), (args, said.err)
        if not more:
            assert "\x1b" not in said.out + said.err


def test_a_crash_of_one_record_is_not_the_end_of_the_file(project_dir: Path) -> None:
    write_jsonl(Path("logs.jsonl"), [chat_pair(1), {"messages": [{"role": 1}]}, chat_pair(2)])
    said = loopllm("ingest", "logs.jsonl", "--json")
    assert (0, 2, 1) == (said.code, said.document["n_kept"], said.document["n_rejected"])


def test_errors_of_another_process_look_the_same(project_dir: Path) -> None:
    said = process("ingest", "nope.jsonl")
    assert (2, "", "error: no such file: nope.jsonl\n       check the path\n") == said
