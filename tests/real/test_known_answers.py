"""Public logs of GPT-4 whose drift is known, and halves of one model that did not drift."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from loopllm_cli.app import app
from loopllm_cli.model import Comparison, DriftResult, Status, Verdict
from tests.real.drift_data import (
    DATE_FORMAT,
    JUNE,
    MARCH,
    march_to_june,
    public_file,
    splits_of,
)

LABEL: dict[str, object] = {"kind": "attribute", "as": "rate", "worse": "down"}
ANSWERED = {"answered": {**LABEL, "key": "label_answered", "tolerance": 0.03}}
RUNS_AS_IT_IS = {"runs_as_it_is": {**LABEL, "key": "label_directly_executable"}}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DriftResult]:
    """Compare June with March on three tasks."""
    tasks: dict[str, dict[str, dict[str, object]]] = {
        "llmdrift_prime_full": {},
        "llmdrift_sensitiveq": dict(ANSWERED),
        "llmdrift_leetcode_easy": dict(RUNS_AS_IT_IS),
    }
    folder = tmp_path_factory.mktemp("known")
    return {task: march_to_june(folder / task, task, own) for task, own in tasks.items()}


def signal(results: dict[str, DriftResult], task: str, name: str) -> Comparison:
    """Return one signal's comparison on one task."""
    found = results[f"llmdrift_{task}"].comparisons
    return next(c for c in found if c.signal.name == name)


@pytest.mark.parametrize(
    ("task", "name", "before", "after", "digits"),
    [
        ("prime_full", "right_answer", 0.840, 0.502, 3),
        ("prime_full", "response_chars", 638, 4, 0),
        ("sensitiveq", "response_chars", 652, 141, 0),
        ("sensitiveq", "answered", 0.21, 0.05, 2),
        ("leetcode_easy", "response_chars", 401, 496, 0),
        ("leetcode_easy", "code_fence", 0.00, 0.88, 2),
        ("leetcode_easy", "runs_as_it_is", 0.52, 0.10, 2),
    ],
)
def test_published_figures_come_out(
    results: dict[str, DriftResult], task: str, name: str, before: float, after: float, digits: int
) -> None:
    """Means of both windows are those of the publication."""
    c = signal(results, task, name)
    assert (before, after) == (round(c.baseline, digits), round(c.current, digits))


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("prime_full", "right_answer"),
        ("sensitiveq", "answered"),
        ("leetcode_easy", "runs_as_it_is"),
    ],
)
def test_the_lost_quality_is_called_worse(
    results: dict[str, DriftResult], task: str, name: str
) -> None:
    """The signal that fell is worse, and the window degraded."""
    c = signal(results, task, name)
    assert (Verdict.WORSE, Status.DEGRADED) == (c.verdict, results[f"llmdrift_{task}"].status)
    assert c.high < -c.signal.tolerance


def test_a_change_without_a_bad_side_is_called_changed(results: dict[str, DriftResult]) -> None:
    """Lengths and code fences moved, which by itself is neither good nor bad."""
    for task, name in (("prime_full", "response_chars"), ("leetcode_easy", "code_fence")):
        assert Verdict.CHANGED is signal(results, task, name).verdict


def test_identical_prompts_leave_nothing_to_the_traffic(results: dict[str, DriftResult]) -> None:
    """Whatever applies to every answer has a mix part of exactly zero."""
    for result in results.values():
        full = max(c.n_current for c in result.comparisons)
        whole = [c for c in result.comparisons if c.n_baseline == c.n_current == full]
        assert {"response_chars", "refusal"} <= {c.signal.name for c in whole}
        parts = {(c.mix, c.new_traffic, c.vanished_traffic) for c in whole}
        assert {(0.0, 0.0, 0.0)} == parts


def test_parts_add_up_and_intervals_hold_their_change(results: dict[str, DriftResult]) -> None:
    """The arithmetic of every signal of every task closes."""
    for c in (c for r in results.values() for c in r.comparisons if not c.note):
        parts = c.behaviour + c.mix + c.new_traffic - c.vanished_traffic
        assert pytest.approx(c.total, rel=1e-9, abs=1e-12) == parts
        assert c.low <= c.change <= c.high


def test_the_command_line_ends_with_code_10(tmp_path: Path) -> None:
    """Ingest, freeze March, compare June: degraded, with the lost answers named."""
    config = "\n".join(
        f"{key} = {json.dumps(value)}" for key, value in ANSWERED["answered"].items()
    )
    (tmp_path / "loopllm.toml").write_text(f"[signals.answered]\n{config}\n")
    project = ["--project", str(tmp_path)]
    source = str(public_file("llmdrift_sensitiveq"))
    run = CliRunner().invoke
    read = run(app, ["ingest", source, *project, "--date-format", DATE_FORMAT, "--quiet"])
    assert 0 == read.exit_code, read.output
    frozen = run(app, ["baseline", "create", "march", *project, "--model", MARCH])
    assert 0 == frozen.exit_code, frozen.output
    drift = ["drift", "--baseline", "march", *project, "--model", JUNE]
    found = run(app, [*drift, "--json"])
    assert 10 == found.exit_code, found.output
    record = json.loads(found.stdout)
    verdicts = {c["signal"]["name"]: c["verdict"] for c in record["comparisons"]}
    assert ("degraded", "worse") == (record["status"], verdicts["answered"])
    assert 0 == run(app, [*drift, "--fail-on", "never"]).exit_code


def degraded_halves(folder: Path, name: str, model: str | None, seeds: range) -> float:
    """Return the share of random splits that are called degraded."""
    splits = splits_of(folder, name, model)
    found = [splits.halves(seed).status is Status.DEGRADED for seed in seeds]
    return float(np.mean(found))


@pytest.mark.parametrize(("name", "model"), [("alpacaeval_gpt4_0314", None)])
def test_few_random_halves_of_one_models_answers_degrade(
    tmp_path_factory: pytest.TempPathFactory, name: str, model: str | None
) -> None:
    """Forty splits: at most 5% and two standard errors."""
    share = degraded_halves(tmp_path_factory.mktemp(name), name, model, range(40))
    assert share <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 40)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("alpacaeval_gpt4_0314", None),
        ("alpacaeval_vicuna-7b-v1.3", None),
        ("llmdrift_prime_full", MARCH),
    ],
)
def test_hardly_any_random_halves_of_one_models_answers_degrade(
    tmp_path_factory: pytest.TempPathFactory, name: str, model: str | None
) -> None:
    """Two hundred splits: at most 5% and two standard errors."""
    share = degraded_halves(tmp_path_factory.mktemp(name), name, model, range(200))
    print(f"{name}: {share:.1%} of 200 splits degraded")
    assert share <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 200)
