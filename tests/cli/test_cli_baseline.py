"""`loopllm baseline diff|export|import|remove`, and what is refused to be compared."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import environment, loopllm, process
from factories import REFUSAL, shifted_logs, write_jsonl

from loopllm_cli.signals.registry import BUILT_IN

CONFIG = '[drift]\nsignals = ["refusal", "response_words", "latency"]\n'


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project whose second model refuses, and a baseline of each model."""
    folder = tmp_path_factory.mktemp("template")
    (folder / "loopllm.toml").write_text(CONFIG)
    place = ("--project", str(folder), "-q")
    logs = str(write_jsonl(folder / "logs.jsonl", shifted_logs(600, seed=1, refusal_after=0.9)))
    assert 0 == loopllm("ingest", logs, *place).code
    for name, model in (("v1", "m-1"), ("v2", "m-2")):
        assert 0 == loopllm("baseline", "create", name, "--model", model, *place).code
    return folder


@pytest.fixture
def filled(project_dir: Path, template: Path) -> Path:
    """Return a copy of that project as the working directory."""
    shutil.copytree(template, project_dir, dirs_exist_ok=True)
    return project_dir


# --- diff --------------------------------------------------------------------------------------


def test_a_diff_names_windows_models_and_the_means_that_moved(filled: Path) -> None:
    said = loopllm("baseline", "diff", "v1", "v2")
    assert (0, "") == (said.code, said.err), said
    assert "models: m-1 → m-2" in said.out
    assert "whole windows, as the segments differ" in said.out
    assert "worse" in next(line for line in said.out.splitlines() if "refusal" in line)
    assert [] == [line for line in said.out.splitlines() if len(line) > 80]


def test_a_diff_as_json_has_the_numbers(filled: Path) -> None:
    found = loopllm("baseline", "diff", "v1", "v2", "--json").document
    assert ("loopllm.baseline-diff/1", False) == (found["schema"], found["by_segment"])
    refusal = next(c for c in found["comparisons"] if c["signal"]["name"] == "refusal")
    assert (300, 300, "worse") == (refusal["n_baseline"], refusal["n_current"], refusal["verdict"])
    assert found["a_hash"] != found["b_hash"]


def test_a_baseline_does_not_differ_from_itself(filled: Path) -> None:
    said = loopllm("baseline", "diff", "v1", "v1")
    assert (0, "baselines  v1 and v1 hold the same\n") == (said.code, said.out)


def test_equal_segments_are_compared_one_by_one(filled: Path) -> None:
    assert 0 == loopllm("baseline", "export", "v1", "--baseline-out", "v1.baseline").code
    assert 0 == loopllm("baseline", "import", "v1.baseline", "--name", "again").code
    found = loopllm("baseline", "diff", "v1", "again", "--json").document
    assert (True, [], {}) == (found["by_segment"], found["signals"], found["not_compared"])
    assert [0.0] == sorted({c["change"] for c in found["comparisons"]})


def test_signals_added_removed_and_changed_are_named(filled: Path) -> None:
    Path("loopllm.toml").write_text(
        '[drift]\nsignals = ["refusal", "latency", "polite"]\n[drift.tolerances]\nrefusal = 0.05\n'
        '[signals.polite]\nkind = "regex"\npattern = "please"\n'
    )
    assert 0 == loopllm("baseline", "create", "v3", "--model", "m-1").code
    found = loopllm("baseline", "diff", "v1", "v3", "--json").document
    changes = {(c["subject"], c["what"]): (c["a"], c["b"]) for c in found["signals"]}
    assert ("0.01", "0.05") == changes["refusal", "tolerance"]
    assert {("polite", "added"), ("response_words", "removed")} <= set(changes)
    assert {"polite", "response_words"} == set(found["not_compared"])
    assert {"refusal", "latency"} == {c["signal"]["name"] for c in found["comparisons"]}
    said = loopllm("baseline", "diff", "v1", "v3").out
    assert "refusal: tolerance 0.01 → 0.05" in said
    assert "added" in said


# --- export and import -------------------------------------------------------------------------


def verdict_of(document: dict) -> tuple[str, list[dict]]:
    """Return what a drift run decided, without names and times."""
    return document["status"], document["comparisons"]


def test_an_imported_baseline_gives_the_same_verdict_in_another_project(
    filled: Path, tmp_path: Path
) -> None:
    here = loopllm("drift", "--baseline", "v1", "--model", "m-2", "--json")
    assert 10 == here.code
    said = loopllm("baseline", "export", "v1", "--baseline-out", "v1.baseline")
    assert (0, "", "│ written: v1.baseline\n") == said
    there = ("--project", str(tmp_path / "other"), "--config", "loopllm.toml")
    project = there[:2]
    # Users that come back are paired by pseudonyms, which need the same key.
    key = tmp_path / "other" / ".loopllm" / "key"
    key.parent.mkdir(parents=True)
    shutil.copy(filled / ".loopllm" / "key", key)
    assert 0 == loopllm("ingest", "logs.jsonl", "-q", *project).code
    said = loopllm("baseline", "import", "v1.baseline", *project)
    assert 0 == said.code, said
    assert "v1" in said.out
    judged = loopllm("drift", "--baseline", "v1", "--model", "m-2", "--json", *there)
    assert 10 == judged.code, judged
    assert verdict_of(here.document) == verdict_of(judged.document)


def test_with_another_key_the_verdict_stands_on_other_errors(filled: Path, tmp_path: Path) -> None:
    here = loopllm("drift", "--baseline", "v1", "--model", "m-2", "--json").document
    loopllm("baseline", "export", "v1", "--baseline-out", "v1.baseline")
    place = ("--project", str(tmp_path / "other"))
    loopllm("ingest", "logs.jsonl", "-q", *place)
    assert 0 == loopllm("baseline", "import", "v1.baseline", *place).code
    options = ("--model", "m-2", "--json", *place, "--config", "loopllm.toml")
    there = loopllm("drift", "--baseline", "v1", *options).document
    assert here["status"] == there["status"]
    verdicts = [[c["verdict"] for c in x["comparisons"]] for x in (here, there)]
    assert verdicts[0] == verdicts[1]
    for name in ("baseline", "current", "behaviour"):
        # Other pseudonyms fall into other buckets, whose sums are added in another order.
        for one, other in zip(here["comparisons"], there["comparisons"], strict=True):
            if one[name] is None:
                assert other[name] is None
            else:
                assert pytest.approx(one[name], rel=1e-9, abs=1e-12) == other[name]


def test_an_export_is_the_same_every_time_and_small(filled: Path) -> None:
    files = []
    for name in ("a", "b"):
        loopllm("baseline", "export", "v1", "--baseline-out", name)
        files.append(Path(name).read_bytes())
    assert files[0] == files[1]
    assert len(files[0]) < 200_000


def test_an_export_holds_no_id_and_no_text_but_names_of_segments(filled: Path) -> None:
    loopllm("baseline", "export", "v1", "--baseline-out", "named")
    loopllm("baseline", "export", "v1", "--baseline-out", "bare", "--no-names")
    texts = {}
    for name in ("named", "bare"):
        with np.load(io.BytesIO(Path(name).read_bytes()), allow_pickle=False) as arrays:
            texts[name] = b"\n".join(arrays[key].tobytes() for key in sorted(arrays.files))
    for text in texts.values():
        for user in range(150):
            assert f"u-{user}".encode() not in text
        assert REFUSAL.encode() not in text
    assert (True, False) == (b"refund" in texts["named"], b"refund" in texts["bare"])


def test_an_export_goes_through_a_pipe(filled: Path) -> None:
    command = [sys.executable, "-m", "loopllm_cli", "baseline"]
    out = subprocess.run(
        [*command, "export", "v1", "--baseline-out", "-"],
        capture_output=True, check=True, env=environment(), timeout=120,
    )  # fmt: skip
    said = process("baseline", "import", "-", "--name", "piped", stdin=out.stdout)
    assert 0 == said.code, said
    assert "piped" in loopllm("baseline", "list").out


def test_a_taken_name_needs_the_word_for_replacing(filled: Path) -> None:
    loopllm("baseline", "export", "v1", "--baseline-out", "f")
    said = loopllm("baseline", "import", "f")
    assert (2, True) == (said.code, "exists already" in said.err)
    assert 0 == loopllm("baseline", "import", "f", "--replace").code
    assert 2 == loopllm("baseline", "import", "f", "--name", "../x").code


@pytest.mark.parametrize("kind", ["text", "cut", "edited", "missing"])
def test_a_file_that_is_no_whole_baseline_is_refused_with_the_reason(
    filled: Path, kind: str
) -> None:
    loopllm("baseline", "export", "v1", "--baseline-out", "f")
    content = Path("f").read_bytes()
    half = len(content) // 2
    files = {
        "text": b"hello",
        "cut": content[:half],
        "edited": content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :],
    }
    if kind in files:
        Path("f").write_bytes(files[kind])
    else:
        Path("f").unlink()
    before = loopllm("baseline", "list").out
    said = loopllm("baseline", "import", "f", "--name", "new")
    code, reason = (2, "cannot read f") if kind == "missing" else (3, "cannot be used as a")
    assert (code, "") == (said.code, said.out)
    assert reason in said.err
    assert before == loopllm("baseline", "list").out
    assert {"code", "message", "hint"} == set(
        loopllm("baseline", "import", "f", "--json").document["error"]
    )


# --- remove ------------------------------------------------------------------------------------


def test_removing_says_what_was_made_against_it_and_stays(filled: Path) -> None:
    run = loopllm("drift", "--baseline", "v1", "--model", "m-2", "--json").document["run_id"]
    planned = loopllm("baseline", "remove", "v1", "--dry-run")
    assert (0, True) == (planned.code, "would go" in planned.out)
    assert "v1" in loopllm("baseline", "list").out
    said = loopllm("baseline", "remove", "v1", "--json").document
    assert ([run], False) == (said["drift_runs"], said["dry_run"])
    assert ["v2"] == [
        b["name"] for b in loopllm("baseline", "list", "--json").document["baselines"]
    ]
    again = loopllm("baseline", "remove", "v1")
    assert (2, True) == (again.code, "no baseline named 'v1' (known: v2)" in again.err)


def test_a_damaged_baseline_can_be_removed(filled: Path) -> None:
    (filled / ".loopllm" / "baselines" / "v1.npz").write_bytes(b"x")
    assert 0 == loopllm("baseline", "remove", "v1").code


# --- changed definitions -----------------------------------------------------------------------


def own_signal(pattern: str, **more: object) -> str:
    """Return a configuration with one signal of the user's own."""
    table = {"kind": "regex", "pattern": pattern, **more}
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in table.items())
    return f'[drift]\nsignals = ["polite", "refusal"]\n[signals.polite]\n{lines}\n'


def frozen_with(config: str) -> None:
    """Freeze a baseline under a configuration."""
    Path("loopllm.toml").write_text(config)
    assert 0 == loopllm("baseline", "create", "mine", "--model", "m-1", "-q").code


def test_a_changed_pattern_is_refused_with_the_reason(filled: Path) -> None:
    frozen_with(own_signal("please"))
    Path("loopllm.toml").write_text(own_signal("thank you"))
    for command in ("drift", "calibrate"):
        said = loopllm(command, "--baseline", "mine")
        assert (2, "") == (said.code, said.out), said
        assert "'polite' has another pattern, code or other setting than" in said.err
        assert "--replace" in said.err


def test_a_definition_in_words_hides_no_changed_code(filled: Path) -> None:
    Path("polite.py").write_text("def polite(row):\n    return 'please' in row['response_text']\n")
    config = (
        '[drift]\nsignals = ["polite"]\n[signals.polite]\nkind = "python"\n'
        'function = "polite.py:polite"\ndefinition = "Politeness."\nas = "rate"\n'
    )
    frozen_with(config)
    assert 2 != loopllm("drift", "--baseline", "mine", "--model", "m-2").code
    Path("polite.py").write_text("def polite(row):\n    return 'thanks' in row['response_text']\n")
    said = loopllm("drift", "--baseline", "mine", "--model", "m-2")
    assert (2, True) == (said.code, "another pattern, code or other setting" in said.err)


def test_a_changed_tolerance_or_direction_is_no_other_measurement(filled: Path) -> None:
    frozen_with(own_signal("please"))
    Path("loopllm.toml").write_text(own_signal("please", worse="up", tolerance=0.2))
    said = loopllm("drift", "--baseline", "mine", "--model", "m-2", "--json")
    assert said.code in (0, 10, 12), said
    polite = next(
        c["signal"] for c in said.document["comparisons"] if c["signal"]["name"] == "polite"
    )
    assert ("up", 0.2) == (polite["worse"], polite["tolerance"])


def test_another_version_of_a_built_in_signal_is_refused(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = BUILT_IN["refusal"]
    newer = replace(newer, info=replace(newer.info, version=newer.info.version + 1))
    monkeypatch.setitem(BUILT_IN, "refusal", newer)
    said = loopllm("drift", "--baseline", "v1")
    assert (2, True) == (said.code, "'refusal' has another version than" in said.err)
