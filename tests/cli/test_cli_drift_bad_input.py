"""Windows and baselines that are odd: a clear message, and what can be judged is judged."""

from __future__ import annotations

import io
import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Said, loopllm
from factories import START, Record, flat_record, stamp, write_jsonl

from loopllm_cli.config import Config, DriftConfig
from loopllm_cli.loop.evaluate import BaselineRequest, create_baseline
from loopllm_cli.loop.window_notes import count_shared, window_notes
from loopllm_cli.model import Window
from loopllm_cli.profiles.baseline import read_baseline
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.store.project import Project
from loopllm_cli.store.windows import read_window

CONFIG = """
[drift]
signals = ["refusal", "response_words", "latency", "own"]
segment_by = "prompt_name"
[signals.own]
kind = "python"
function = "own.py:measure"
"""
OWN = """
def measure(row):
    return {value}
"""


def day(number: int, **fields: Any) -> Record:
    """Return a record of the window, ten a day, of 40 users."""
    moment = START + timedelta(days=number // 10, minutes=number % 10)
    fields = {"timestamp": stamp(moment), "user_id": f"u-{number % 40}", **fields}
    return flat_record(number, **{"latency_ms": 200 + number % 7, **fields})


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Freeze 200 rows of one model as v1."""
    folder = tmp_path_factory.mktemp("template")
    (folder / "own.py").write_text(OWN.format(value="len(row['response_text'])"))
    (folder / "loopllm.toml").write_text(CONFIG)
    logs = str(write_jsonl(folder / "logs.jsonl", [day(k) for k in range(200)]))
    place = ("--project", str(folder), "-q")
    assert 0 == loopllm("ingest", logs, *place).code
    assert 0 == loopllm("baseline", "create", "v1", *place).code
    return folder


@pytest.fixture
def frozen(project_dir: Path, template: Path) -> Path:
    """Return a copy of that project as the working directory."""
    shutil.copytree(template, project_dir, dirs_exist_ok=True)
    return project_dir


def drift(*records: Record, options: tuple[str, ...] = ("--model", "m-2")) -> Said:
    """Ingest rows of another model and compare them with the baseline."""
    if records:
        write_jsonl(Path("now.jsonl"), records)
        assert 0 == loopllm("ingest", "now.jsonl", "-q").code
    return loopllm("drift", "--baseline", "v1", "--json", *options)


def now(number: int, **fields: Any) -> Record:
    """Return a record of the current window."""
    return day(200 + number, **{"model": "m-2", **fields})


def notes_of(said: Said) -> dict[str, str]:
    """Return each signal's note."""
    return {c["signal"]["name"]: c["note"] for c in said.document["comparisons"]}


def test_one_row_is_inconclusive(frozen: Path) -> None:
    said = drift(now(0))
    assert (12, "inconclusive") == (said.code, said.document["status"]), said
    assert 1 == said.document["current_window"]["n_rows"]


def test_one_cluster_is_inconclusive_and_says_so(frozen: Path) -> None:
    said = drift(*(now(k, user_id="only", response="I cannot help with that.") for k in range(80)))
    assert (12, "inconclusive") == (said.code, said.document["status"]), said
    assert "one user only" in notes_of(said)["refusal"]


def test_a_signal_without_any_value_leaves_the_others_judged(frozen: Path) -> None:
    said = drift(*(now(k, latency_ms=None) for k in range(80)))
    assert said.code in (0, 12), said
    found = {c["signal"]["name"]: c for c in said.document["comparisons"]}
    assert (0, "no row of the window has it") == (
        found["latency"]["n_current"],
        found["latency"]["note"],
    )
    assert ("unchanged", "") == (
        found["response_words"]["verdict"],
        found["response_words"]["note"],
    )


def test_answers_that_are_all_missing_raise_no_alarm(frozen: Path) -> None:
    said = drift(*(now(k, response="", error="timeout") for k in range(80)))
    assert said.code in (0, 10, 12), said
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("float('inf')", "inf"),
        ("-1", "-1"),
        ("'a'", "returned str"),
        ("1 / 0", "ZeroDivisionError"),
        ("[1, 2]", "returned list"),
    ],
)
def test_a_signal_that_fails_is_named_and_the_others_are_judged(
    value: str, reason: str, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(template, folder)
    monkeypatch.chdir(folder)
    # Only the new window is spoilt: a function may break after the baseline was made.
    Path("own.py").write_text(OWN.format(value=f"{value} if row['response_model'] == 'm-2' else 1"))
    said = drift(*(now(k) for k in range(80)))
    document = said.document
    if said.code == 2:  # a function whose code has changed is another measurement
        assert "own" in document["error"]["message"]
        return
    assert reason in document["skipped_signals"]["own"]
    verdicts = {c["signal"]["name"]: c["verdict"] for c in document["comparisons"]}
    assert "unchanged" == verdicts["response_words"]


def test_values_beyond_all_measure_do_not_apply(frozen: Path) -> None:
    said = drift(*(now(k, latency_ms=1e308 if k % 2 else 200) for k in range(80)))
    assert said.code in (0, 10, 12), said
    numbers = json.dumps(said.document)
    assert "Infinity" not in numbers
    assert "NaN" not in numbers


def test_a_window_of_a_jumped_clock_is_still_judged(frozen: Path) -> None:
    records = [now(k) for k in range(80)]
    records[0]["timestamp"] = "2099-01-01T00:00:00Z"
    records[1]["timestamp"] = "1970-01-01T00:00:00Z"
    said = drift(*records)
    assert said.code in (0, 12), said
    assert 80 == said.document["current_window"]["n_rows"]


def with_card(path: Path, **changes: Any) -> bytes:
    """Return a baseline's file with other things on its card, whatever its hash says."""
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
        arrays = {key: stored[key] for key in stored.files}
    card = {**json.loads(arrays["card"].tobytes()), **changes}
    arrays["card"] = np.frombuffer(json.dumps(card).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["empty", "cut", "another version", "edited"])
def test_a_baseline_of_another_version_or_damaged_says_how_to_make_it_again(
    frozen: Path, kind: str
) -> None:
    path = frozen / ".loopllm" / "baselines" / "v1.npz"
    content = {
        "empty": b"",
        "cut": path.read_bytes()[:5_000],
        "another version": with_card(path, format="loopllm.baseline/1"),
        "edited": with_card(path, cluster_by="prompt_name"),
    }[kind]
    path.write_bytes(content)
    for command in (("drift", "--baseline", "v1"), ("baseline", "show", "v1")):
        said = loopllm(*command)
        assert (3, "") == (said.code, said.out), said
        assert "damaged, edited, or of another version" in said.err
        assert "baseline create v1 --replace" in said.err


# --- notes on a window -------------------------------------------------------------------------


def noted(window: Window) -> tuple[str, ...]:
    """Return the notes on a window of the working directory's project."""
    project = Project(Path())
    batch = RowBatch(read_window(project, window, "the window"))
    return window_notes(project, read_baseline(project, "v1"), window, batch)


def test_rows_of_the_baseline_in_the_window_are_counted_and_said(frozen: Path) -> None:
    project = Project(Path())
    config = Config(drift=DriftConfig(signals=("refusal",), segment_by="prompt_name"))
    early = Window(until=START + timedelta(days=15))
    create_baseline(project, config, BaselineRequest("v1", early, replace=True))
    baseline = read_baseline(project, "v1")
    later, across = Window(since=early.until), Window(since=START + timedelta(days=10))
    assert (0, 50, 150) == tuple(count_shared(project, baseline, w) for w in (later, across, early))
    assert () == noted(later)
    (note,) = noted(across)
    assert "50 of 100 rows lie in the baseline's own window" in note


def test_clocks_that_jump_are_said(frozen: Path) -> None:
    records = [now(k, id=f"x-{k}") for k in range(80)]
    records[0]["timestamp"] = "2099-01-01T00:00:00Z"
    records[1]["timestamp"] = "1970-01-01T00:00:00Z"
    records[2]["timestamp"] = stamp(START - timedelta(days=400))
    write_jsonl(Path("now.jsonl"), records)
    assert 0 == loopllm("ingest", "now.jsonl", "-q").code
    said = " | ".join(noted(Window(model="m-2")))
    assert "2 of 80 rows carry no time, or an impossible one" in said
    assert "1 of 80 rows are 420 days or more away from all others" in said


def test_a_usual_window_has_no_note(frozen: Path) -> None:
    write_jsonl(Path("now.jsonl"), [now(k) for k in range(80)])
    assert 0 == loopllm("ingest", "now.jsonl", "-q").code
    assert () == noted(Window(model="m-2"))
