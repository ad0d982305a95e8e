"""Each command: its help, its exit code, and what goes to stdout and what to stderr."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command_line import loopllm, process
from factories import corrections_for, flat_record, shifted_logs, write_jsonl

COMMANDS = (
    *("ingest", "drift", "pairs", "correct", "verify", "status", "forget"),
    *("plan", "calibrate", "baseline", "baseline create", "baseline list", "baseline show"),
    *("baseline diff", "baseline export", "baseline import", "baseline remove"),
    *("pairs show", "pairs review", "pairs import", "pairs export"),
)


@pytest.mark.parametrize("command", ["", *COMMANDS])
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_ends_with_zero_and_fits_80_columns(command: str, flag: str) -> None:
    said = loopllm(*command.split(), flag)
    assert (0, "") == (said.code, said.err)
    assert f"loopllm {command}".strip().split()[-1] in said.out or "Usage" in said.out
    assert [] == [line for line in said.out.splitlines() if len(line) > 80]


def test_no_command_at_all_shows_the_help_and_is_a_mistake() -> None:
    said = loopllm()
    assert 2 == said.code
    assert "ingest" in said.out + said.err


def test_the_version_is_printed() -> None:
    assert (0, "loopllm 0.1.0\n", "") == loopllm("--version")


def test_ingest_reports_on_stdout_and_remarks_on_stderr(project_dir: Path) -> None:
    write_jsonl(Path("logs.jsonl"), [flat_record(k) for k in range(12)])
    said = loopllm("ingest", "logs.jsonl")
    assert 0 == said.code
    assert "12 lines from logs.jsonl" in said.out
    assert "│ next: loopllm baseline create v1\n" == said.err


def test_a_second_ingest_says_that_nothing_is_new(project_dir: Path) -> None:
    write_jsonl(Path("logs.jsonl"), [flat_record(1)])
    loopllm("ingest", "logs.jsonl")
    said = loopllm("ingest", "logs.jsonl")
    assert 0 == said.code
    assert "1 source read before and skipped" in said.out


def test_the_ledger_adds_up_where_records_hold_several_rows(project_dir: Path) -> None:
    turns = [{"role": r, "content": r} for r in ("user", "assistant") * 2]
    write_jsonl(Path("logs.jsonl"), [{"id": "c", "messages": turns}])
    said = loopllm("ingest", "logs.jsonl")
    assert "unaccounted" not in said.out
    assert "1 further row" in said.out


@pytest.mark.parametrize("name", ["logs.jsonl", "logs.jsonl.gz"])
def test_ingest_reads_stdin(name: str, project_dir: Path) -> None:
    content = write_jsonl(project_dir / name, [flat_record(1), flat_record(2)]).read_bytes()
    said = process("ingest", "-", "--json", stdin=content)
    assert (0, 2, ["-"]) == (said.code, said.document["n_kept"], said.document["sources"])
    assert 2 == process("ingest", "-", "--json", stdin=content).document["n_duplicates"]


def test_a_dry_run_stores_nothing(project_dir: Path) -> None:
    write_jsonl(Path("logs.jsonl"), [flat_record(1)])
    said = loopllm("ingest", "-n", "logs.jsonl")
    assert 0 == said.code
    assert "would read" in said.out
    assert not (project_dir / ".loopllm").exists()


def test_quiet_leaves_stderr_empty(project_dir: Path) -> None:
    write_jsonl(Path("logs.jsonl"), [flat_record(1)])
    assert "" == loopllm("ingest", "-q", "logs.jsonl").err


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project whose model gets worse half way through its logs, and a baseline."""
    folder = tmp_path_factory.mktemp("template")
    logs = shifted_logs(800, seed=1, refusal_after=0.9)
    votes = corrections_for(r for r in logs if r["model"] == "m-2" and "sorry" in r["response"])
    files = [
        str(write_jsonl(folder / name, records))
        for name, records in (("logs.jsonl", logs), ("votes.jsonl", votes))
    ]
    place = ("--project", str(folder), "-q")
    assert 0 == loopllm("ingest", *files, *place).code
    # A column is quicker to segment by than clusters of prompts.
    window = ("--model", "m-1", "--segment-by", "prompt_name")
    assert 0 == loopllm("baseline", "create", "v1", *window, *place).code
    return folder


@pytest.fixture
def filled(project_dir: Path, template: Path) -> Path:
    """Return a copy of that project as the working directory."""
    shutil.copytree(template, project_dir, dirs_exist_ok=True)
    return project_dir


def test_from_logs_to_a_verdict_and_pairs(filled: Path) -> None:
    drift = loopllm("drift", "--baseline", "v1", "--html-out", "r.html", "--json-out", "r.json")
    assert 10 == drift.code, drift
    assert "DEGRADED" in drift.out
    assert "refusal" in drift.out
    assert "written: r.html" in drift.err
    assert "degraded" == json.loads(Path("r.json").read_text())["status"]
    assert Path("r.html").read_text().startswith("<!")
    pairs = loopllm("pairs", "--json")
    assert (0, "") == (pairs.code, pairs.err), pairs
    assert pairs.document["n_train"] > 20
    status = loopllm("status")
    assert (0, "") == (status.code, status.err)
    assert "degraded against v1" in status.out


def test_the_same_drift_twice_gives_the_same_record(filled: Path) -> None:
    first, again = (loopllm("drift", "--baseline", "v1", "--json").document for _ in range(2))
    for document in (first, again):
        del document["created"]
    assert first == again


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), 10),
        (("--fail-on", "never"), 0),
        (("--fail-on", "changed"), 10),
        (("--since", "2026-10-01", "--until", "2026-10-10"), 0),
        (("--since", "2026-10-28T20:00", "--inconclusive", "any"), 12),
    ],
)
def test_drift_ends_with_the_code_of_its_verdict(
    filled: Path, options: tuple[str, ...], code: int
) -> None:
    said = loopllm("drift", "--baseline", "v1", *options)
    assert code == said.code, said


def test_a_window_given_as_an_age_is_understood(filled: Path) -> None:
    said = loopllm("drift", "--baseline", "v1", "--since", "52w", "--json")
    assert said.code in (0, 10, 12)
    assert 800 == said.document["current_window"]["n_rows"]


def test_baselines_are_listed_and_shown(filled: Path) -> None:
    assert "v1" in loopllm("baseline", "list").out
    assert ["v1"] == [
        b["name"] for b in loopllm("baseline", "list", "--json").document["baselines"]
    ]
    assert 400 == loopllm("baseline", "show", "v1", "--json").document["n_rows"]
    assert "400" in loopllm("baseline", "show", "v1").out


def test_status_of_an_empty_project_is_no_error(project_dir: Path) -> None:
    said = loopllm("status")
    assert (0, "") == (said.code, said.err)
    assert "none yet" in said.out


@pytest.mark.parametrize(
    "args",
    [
        ["--adapter-out"],
        ["--adapter-out", "--seed", "1"],
        ["--adapter-out", "place"],
        ["--adapter-out=place"],
        [],
    ],
)
def test_adapter_out_may_stand_without_a_value(project_dir: Path, args: list[str]) -> None:
    said = loopllm("correct", "--model", "m", *args)
    assert 2 == said.code
    assert "no pairs have been built" in said.err


def test_settings_come_from_flag_then_variable_then_default(
    project_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jsonl(Path("logs.jsonl"), [flat_record(1)])
    monkeypatch.setenv("LOOPLLM_PROJECT", "from-variable")
    loopllm("ingest", "logs.jsonl", "--project", "from-flag")
    assert not Path("from-variable").exists()
    loopllm("ingest", "logs.jsonl")
    assert Path("from-flag/.loopllm").is_dir()
    assert Path("from-variable/.loopllm").is_dir()
