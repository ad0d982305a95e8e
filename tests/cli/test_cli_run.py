"""`loopllm run`: the whole loop as cron sees it, up to the pairs."""

from __future__ import annotations

import gzip
import json
import random
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from command_line import environment, loopllm
from factories import Record, feedback_record, flat_record, write_jsonl

from loopllm_cli.config import RunConfig
from loopllm_cli.loop import night_steps, unattended
from loopllm_cli.model import RunStep, StepEnd
from loopllm_cli.store.project import Project

DAYS, PER_DAY, BROKEN_FROM = 12, 60, 10
REFUSAL = "I'm sorry, I can't help with that."
CONFIG = """
[run]
sources = ["exports/*.jsonl*"]
"""


def day_of(day: int) -> list[Record]:
    """Return the rows of a day; on the eleventh, every other answer becomes a refusal."""
    return [
        flat_record(
            id=f"r-{day}-{row}",
            timestamp=f"2026-10-{day + 1:02}T{row % 24:02}:10:00Z",
            user_id=f"u-{row % 30}",
            prompt=f"How many parks has town {row}?",
            response=REFUSAL if day >= BROKEN_FROM and row % 2 == 0 else f"It has {row} parks.",
        )
        for row in range(PER_DAY)
    ]


def corrected(day: int) -> list[Record]:
    """Return what users wrote instead of a day's refusals."""
    return [
        feedback_record(
            f"r-{day}-{row}", "correction", f"It has {row} parks.",
            user=f"u-{row % 30}", timestamp=f"2026-10-{day + 1:02}T23:50:00Z",
        )
        for row in range(0, PER_DAY, 2)
    ]  # fmt: skip


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a project whose first eight days are the baseline, with an export per day."""
    monkeypatch.chdir(tmp_path)
    for day in range(DAYS):
        write_jsonl(Path(f"exports/{day:02}.jsonl"), day_of(day))
    for day in range(BROKEN_FROM, DAYS):
        write_jsonl(Path(f"exports/votes-{day}.jsonl"), corrected(day))
    Path("loopllm.toml").write_text(CONFIG)
    assert 0 == loopllm("ingest", *(f"exports/{day:02}.jsonl" for day in range(8)), "-q").code
    assert 0 == loopllm("baseline", "create", "v1", "-q").code
    return tmp_path


def run(*args: str, day: int = DAYS + 1) -> Any:
    """Run the loop early on a day of October; return the exit code and the record."""
    said = loopllm("run", "--as-of", f"2026-10-{day:02}T03:00", "--json", "-q", *args)
    return said.code, said.document


def texts(document: Any) -> dict[str, str]:
    """Return what each step said."""
    return {step["name"]: step["text"] for step in document["steps"]}


def ends(document: Any) -> dict[str, str]:
    """Return how each step ended."""
    return {step["name"]: step["end"] for step in document["steps"]}


def test_a_night_without_a_change_ends_with_the_drift_step(watched: Path) -> None:
    code, document = run(day=BROKEN_FROM + 1)
    assert code in (0, 12), document
    assert "skipped" == ends(document)["pairs"]
    assert not Path(".loopllm/pairs").exists()


def test_a_degraded_night_leaves_pairs_and_says_that_no_model_is_named(watched: Path) -> None:
    code, document = run()
    assert 10 == code, document
    assert {"ingest": "done", "drift": "found", "pairs": "done"}.items() <= ends(document).items()
    assert "refusal" in texts(document)["drift"]
    assert "no model to correct" in texts(document)["correct"]
    made = {kind: name for step in document["steps"] for kind, name in step["made"].items()}
    assert Path(made["pairs"], "card.json").is_file()
    assert Path(f".loopllm/drift/{made['drift']}.json").is_file()
    assert document["sentence"].startswith("Degraded since 2026-10-1")


def test_the_same_night_again_finds_all_of_it_done(watched: Path) -> None:
    first, again = run(), run()
    assert first[0] == again[0] == 10
    assert "0 new responses" in texts(again[1])["ingest"]
    assert texts(first[1])["pairs"] == texts(again[1])["pairs"]
    assert 1 == len(list(Path(".loopllm/drift").glob("*.json")))


def test_missed_nights_are_caught_up(watched: Path) -> None:
    run(day=BROKEN_FROM)
    code, document = run()
    assert 10 == code
    assert "degraded since" in texts(document)["drift"]
    (ledger,) = Path(".loopllm/nights").iterdir()
    assert 4 == len(list(ledger.glob("*.npz")))


@pytest.mark.parametrize(
    ("at", "day", "code", "said"),
    [
        ("2026-10-13T04:00:00+00:00", DAYS + 1, 0, "no day since the last promotion"),
        ("2026-10-12T00:00:00+00:00", DAYS + 1, 10, "is there again since the last promotion"),
        ("2026-10-02T00:00:00+00:00", DAYS + 1, 10, "degraded since 2026-10-1"),
    ],
)
def test_after_a_promotion_only_what_came_since_is_compared(
    watched: Path, at: str, day: int, code: int, said: str
) -> None:
    event = {"at": at, "action": "promote", "path": "a", "adapter_hash": "0", "by": "x"}
    Path(".loopllm/promotions").mkdir()
    line = json.dumps({**event, "reason": ""})
    Path(".loopllm/promotions/history.jsonl").write_text(line + "\n")
    ended, document = run("--until", "drift", day=day)
    assert code == ended, document
    assert said in texts(document)["drift"]


def test_until_names_the_last_step(watched: Path) -> None:
    code, document = run("--until", "drift")
    assert 10 == code
    assert ["ingest", "upkeep", "drift"] == list(ends(document))
    said = loopllm("run", "--until", "dirft")
    assert 2 == said.code
    assert "ingest, upkeep, drift, pairs" in said.err


def test_a_day_without_rows_is_said_and_fails_unless_it_is_allowed(watched: Path) -> None:
    code, document = run(day=DAYS + 3)
    assert 10 == code
    assert texts(document)["drift"].startswith("no rows of 2026-10-14")
    Path("exports/10.jsonl").unlink()
    Path("exports/11.jsonl").unlink()
    quiet = run(day=DAYS + 3)
    assert quiet[0] != 0


def test_a_quiet_day_without_rows_ends_with_three(watched: Path) -> None:
    for day in range(BROKEN_FROM, DAYS):
        Path(f"exports/{day}.jsonl").unlink()
    code, document = run()
    assert code == 3, document
    Path("loopllm.toml").write_text(CONFIG + "expect_rows = false\n")
    assert run()[0] in (0, 12)


def test_a_source_that_cannot_be_read_hides_nothing(watched: Path) -> None:
    Path("loopllm.toml").write_text('[run]\nsources = ["gone.jsonl", "exports/*.jsonl*"]\n')
    code, document = run()
    assert 2 == code
    assert "gone.jsonl" in texts(document)["ingest"]
    assert "refusal" in texts(document)["drift"]
    assert "done" == ends(document)["pairs"]


def test_a_half_written_export_is_refused_and_read_when_it_is_whole(watched: Path) -> None:
    whole = gzip.compress(Path("exports/11.jsonl").read_bytes())
    Path("exports/11.jsonl").unlink()
    Path("exports/11.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    code, document = run(day=DAYS)
    assert 3 == code, document
    assert "1 compressed files end or break" in texts(document)["ingest"]
    assert "refusal" in texts(document)["drift"]
    Path("exports/11.jsonl.gz").write_bytes(whole)
    assert 10 == run()[0]
    rows = loopllm("status", "--json").document["responses"]["text"]
    assert rows.startswith(f"{DAYS * PER_DAY:,} rows")


def test_a_baseline_that_is_gone_ends_the_run_with_two(watched: Path) -> None:
    loopllm("baseline", "remove", "v1")
    code, document = run()
    assert 2 == code
    assert "no baseline named 'v1'" in texts(document)["drift"]
    assert "drift failed" == texts(document)["pairs"]


def test_two_runs_at_once_exclude_each_other(watched: Path) -> None:
    with Project(watched).running():
        said = loopllm("run", "-q")
    assert 4 == said.code
    assert "another loopllm run" in said.err


def test_a_bug_in_a_step_is_kept_and_hides_nothing(
    watched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(_: night_steps.Night) -> RunStep:
        raise ZeroDivisionError

    monkeypatch.setitem(night_steps.STEPS, "pairs", breaks)
    code, document = run()
    assert 1 == code
    failed = next(step for step in document["steps"] if step["name"] == "pairs")
    assert "ZeroDivisionError" in failed["text"]
    assert "loopllm-crash-" in failed["to_do"]
    assert "refusal" in texts(document)["drift"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('sorces = ["x"]', "did you mean 'sources'"),
        ("window_days = 'seven'", "is no int"),
        ("window_days = 0", "window_days"),
        ("budget_minutes = -1", "budget_minutes"),
    ],
)
def test_a_config_that_cannot_be_followed_is_named(watched: Path, line: str, said: str) -> None:
    Path("loopllm.toml").write_text(CONFIG.replace('sources = ["exports/*.jsonl*"]', line))
    found = loopllm("run", "--as-of", "2026-10-13")
    assert 2 == found.code
    assert said in found.err + found.out


def test_a_run_without_a_config_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = loopllm("run")
    assert 2 == said.code
    assert "loopllm init" in said.err


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(watched: Path) -> None:
    before = sorted(Path(".loopllm").rglob("*"))
    said = loopllm("run", "--dry-run", "--as-of", "2026-10-13")
    assert 0 == said.code, said
    assert "14 files" in said.out
    assert "days before 2026-10-13" in " ".join(said.out.split())
    assert before == sorted(Path(".loopllm").rglob("*"))
    Path("loopllm.toml").write_text(CONFIG + 'baseline = "gone"\n')
    assert 2 == loopllm("run", "--dry-run").code


def test_the_page_of_a_run_shows_every_step_and_no_log_text_as_markup(watched: Path) -> None:
    hostile = {"prompt": "<script>alert(1)</script>", "response": "<b>no</b>"}
    rows = [*day_of(0), *(flat_record(i, **hostile) for i in range(9))]
    write_jsonl(Path("exports/00.jsonl"), rows)
    said = loopllm("run", "--as-of", "2026-10-13", "--html-out", "r.html", "-q")
    page = Path("r.html").read_text("utf-8")
    assert 10 == said.code
    for words in (
        "Degraded since 2026-10-1",
        "Ingest",
        "no model to correct",
        "default-src 'none'",
    ):
        assert words in page
    assert "<script" not in page
    loopllm("baseline", "remove", "v1")
    assert 2 == loopllm("run", "--html-out", "none.html", "-q").code
    assert "no baseline named" in Path("none.html").read_text("utf-8")


def test_init_writes_a_config_that_the_run_follows(watched: Path) -> None:
    Path("loopllm.toml").unlink()
    said = loopllm("init")
    assert 0 == said.code
    text = Path("loopllm.toml").read_text("utf-8")
    assert 'sources = ["exports"]' in text
    assert 'baseline = "v1"' in text
    assert "Written from a store of 480 responses (2026-10-01 to 2026-10-08)" in text
    assert set(tomllib.loads(text)["run"]) <= {field.name for field in fields(RunConfig)}
    assert 10 == run()[0]
    assert 2 == loopllm("init").code


def test_init_without_logs_writes_defaults_and_hostile_names_stay_inside_of_their_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "Nothing has been ingested" in loopllm("init", "--config-out", "-").out
    name = 'm"\n[drift]\nalpha = 1\n# \x1b[31m'
    rows = [flat_record(i, model=name, prompt_name=f"p{i % 2}") for i in range(9)]
    write_jsonl(Path('a"b.jsonl'), rows)
    assert 0 == loopllm("ingest", 'a"b.jsonl', "-q").code
    text = loopllm("init", "--config-out", "-").out
    document = tomllib.loads(text)
    assert ['a"b.jsonl'] == document["run"]["sources"]
    assert "alpha" not in document["drift"]
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("codes", "promoted", "code"),
    [
        ((0, 0), False, 0),
        ((0, 10), False, 10),
        ((3, 10), False, 3),
        ((4, 3, 1), False, 1),
        ((0, 10, 0, 0, 11), False, 11),
        ((0, 10, 0, 0, 0), True, 0),
        ((3, 10, 0, 0, 0), True, 3),
    ],
)
def test_the_gravest_failure_decides_then_the_last_finding(
    codes: tuple[int, ...], promoted: bool, code: int
) -> None:
    steps = [RunStep("any", StepEnd.FOUND, "", one) for one in codes]
    if promoted:
        steps.append(RunStep("promote", StepEnd.DONE, ""))
    assert code == unattended.decide(tuple(steps))


def state(root: Path) -> dict[str, object]:
    """Return what a night leaves: the days judged, the drift run, the pairs, the rows."""
    (ledger,) = (root / ".loopllm/nights").iterdir()
    drift = [p.name for p in sorted((root / ".loopllm/drift").glob("*.json"))]
    newest = (root / ".loopllm/pairs/latest").read_text()
    card = json.loads((root / ".loopllm/pairs" / newest / "card.json").read_text())
    status = loopllm("status", "--json", "--project", str(root)).document
    rows = {name: status[name]["text"].split(",")[0] for name in ("responses", "feedback")}
    nights = sorted(p.name for p in ledger.glob("*.npz"))
    return {"nights": nights, "drift": drift, "pairs": card["content_hash"], **rows}


@pytest.mark.parametrize(
    "n_kills",
    [
        3,
        pytest.param(20, marks=pytest.mark.slow, id="twenty times"),
        pytest.param(100, marks=pytest.mark.long, id="a hundred times"),
    ],
)
def test_a_run_that_was_killed_at_any_moment_ends_as_an_undisturbed_one(
    watched: Path, tmp_path_factory: pytest.TempPathFactory, n_kills: int
) -> None:
    command = [sys.executable, "-m", "loopllm_cli", "run", "-q", "--as-of", "2026-10-13"]
    disturbed = tmp_path_factory.mktemp("disturbed") / "project"
    shutil.copytree(watched, disturbed)
    begun = time.monotonic()
    subprocess.run(command, env=environment(), check=False, capture_output=True, cwd=watched)
    whole_s, expected = time.monotonic() - begun, state(watched)
    rng = random.Random(n_kills)
    for _ in range(n_kills):
        with subprocess.Popen(
            command, env=environment(), cwd=disturbed, stdout=-3, stderr=-3
        ) as one:
            time.sleep(rng.uniform(0.2, 1.0) * whole_s)
            one.send_signal(signal.SIGKILL)
    subprocess.run(command, env=environment(), check=False, capture_output=True, cwd=disturbed)
    assert expected == state(disturbed)


@pytest.mark.parametrize(
    "command", [("run", "--dry-run"), ("run",), ("watch", "exports", "--once")]
)
def test_a_secret_in_the_config_is_refused_and_not_repeated(
    watched: Path, command: tuple[str, ...]
) -> None:
    secret = "AKIA" + "IOSFODNN7EXAMPLQ"
    address = f"s3://bucket/{secret}/exports"
    Path("loopllm.toml").write_text(f'[run]\nsources = ["{address}"]\n')
    said = loopllm(*command)
    assert 2 == said.code
    assert "[run] sources holds a secret" in said.err
    assert secret not in said.out + said.err


def test_the_log_holds_every_step_and_the_end_as_json_lines(watched: Path) -> None:
    for _ in range(2):
        run("--until", "drift", "--log-out", "loop.log")
    lines = [json.loads(line) for line in Path("loop.log").read_text("utf-8").splitlines()]
    assert ["ingest", "upkeep", "drift"] * 2 == [line["step"] for line in lines if "step" in line]
    assert [10, 10] == [line["exit_code"] for line in lines if "exit_code" in line]
    assert all({"time", "level", "text"} <= line.keys() for line in lines)
    assert 2 == loopllm("run", "--config", "no.toml", "--log-out", "loop.log").code
    last = [json.loads(line) for line in Path("loop.log").read_text("utf-8").splitlines()][-2:]
    assert ("error", 2) == (last[0]["level"], last[1]["exit_code"])
    assert 4 == loopllm("run", "--log-out", "no/such/folder.log").code
