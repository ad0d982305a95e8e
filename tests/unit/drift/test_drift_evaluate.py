"""Baselines and drift runs on a small store, and their records."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loopllm_cli.config import Config, DriftConfig
from loopllm_cli.errors import AlreadyExists, BaselineNotFound, ConfigError, EmptyWindow, UsageError
from loopllm_cli.loop.evaluate import (
    BaselineRequest,
    baseline_cards,
    create_baseline,
    judge_settings,
    run_drift,
)
from loopllm_cli.loop.records import latest_drift_run, read_drift_run, write_run
from loopllm_cli.model import Status, Verdict, Window
from loopllm_cli.render.as_json import to_json
from loopllm_cli.sources.ingest import IngestOptions, ingest
from loopllm_cli.store.project import Project

START = datetime(2026, 10, 1, tzinfo=UTC)
REFUSAL = "I'm sorry, but I can't help with that."
FEW = Config(drift=DriftConfig(signals=("refusal", "response_words")))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Ingest two weeks: the first answers, the second refuses every third refund."""
    folder = tmp_path_factory.mktemp("store")
    lines = []
    for k in range(600):
        refund, late = k % 2 == 0, k >= 300
        prompt = f"please refund order {k} today" if refund else f"where is my parcel {k} now"
        response = REFUSAL if late and refund and k % 3 == 0 else "It is done, have a good day."
        record = {
            "id": f"r{k}", "timestamp": (START + timedelta(minutes=30 * k)).isoformat(),
            "model": "new" if late else "old", "prompt": prompt, "response": response,
            "user_id": f"u{k % 70}",
        }  # fmt: skip
        lines.append(json.dumps(record))
    source = folder / "logs.jsonl"
    source.write_text("\n".join(lines))
    found = Project(folder)
    ingest(found, [str(source)], IngestOptions())
    create_baseline(found, FEW, BaselineRequest("v1", Window(model="old")))
    return found


def test_a_later_window_is_compared_by_default(project: Project) -> None:
    """Without a window, everything after the baseline is the current window."""
    result = run_drift(project, FEW, "v1", Window())
    assert (Status.DEGRADED, 300, 300) == (
        result.status, result.baseline_window.n_rows, result.current_window.n_rows,
    )  # fmt: skip
    assert START + timedelta(minutes=30 * 299, microseconds=1) == result.asked_window.since
    assert ("new",) == result.current_window.models
    refusal = result.comparisons[0]
    assert ("refusal", Verdict.WORSE, 0.0) == (
        refusal.signal.name,
        refusal.verdict,
        refusal.baseline,
    )
    assert pytest.approx(50 / 300) == refusal.current


def test_the_segment_and_rows_that_show_the_change_are_named(project: Project) -> None:
    """Refunds broke: their segments are listed with refused rows as examples."""
    result = run_drift(project, FEW, "v1", Window(model="new"))
    assert result.segments
    for segment in result.segments:
        assert "refund" in segment.label or "order" in segment.label or "please" in segment.label
        numbers = [int(i.removeprefix("flat:r")) for i in segment.example_ids]
        assert [0, 0, 0] == [k % 6 for k in numbers]


def test_the_same_comparison_has_the_same_name(project: Project) -> None:
    """A run is named by what went into it."""
    first, second = (run_drift(project, FEW, "v1", Window(model="new")) for _ in range(2))
    other = run_drift(project, FEW, "v1", Window(model="old"))
    assert first.run_id == second.run_id != other.run_id
    assert Status.DEGRADED is not other.status


def test_days_are_listed_for_both_windows(project: Project) -> None:
    """The course of a signal over time counts every row once."""
    result = run_drift(project, FEW, "v1", Window(model="new"))
    points = result.daily["refusal"]
    assert {"baseline": 300, "current": 300} == {
        w: sum(p.n_rows for p in points if p.window == w) for w in ("baseline", "current")
    }


def test_signals_that_cannot_be_compared_are_listed_with_the_reason(project: Project) -> None:
    """A new signal, a dropped one, and one that no row has."""
    one = Config(drift=DriftConfig(signals=("refusal", "empty_answer", "latency")))
    create_baseline(project, one, BaselineRequest("other", Window(model="old")))
    config = Config(drift=DriftConfig(signals=("refusal", "latency", "link")))
    result = run_drift(project, config, "other", Window(model="new"))
    expected = {
        "link": "not in the baseline", "empty_answer": "no longer defined", "latency": "not logged",
    }  # fmt: skip
    assert expected == result.skipped_signals
    assert ["refusal"] == [c.signal.name for c in result.comparisons]


def test_a_changed_definition_is_refused(project: Project) -> None:
    """Numbers measured in two ways are never compared."""

    def config(pattern: str) -> Config:
        return Config(signals={"polite": {"kind": "regex", "pattern": pattern, "worse": "down"}},
                      drift=DriftConfig(signals=("polite",)))  # fmt: skip

    create_baseline(project, config("good day"), BaselineRequest("mine", Window(model="old")))
    assert run_drift(project, config("good day"), "mine", Window(model="new")).comparisons
    with pytest.raises(ConfigError, match="polite"):
        run_drift(project, config("day"), "mine", Window(model="new"))


def test_only_signals_without_a_bad_side_never_degrade(project: Project) -> None:
    """A comparison of lengths alone informs."""
    config = Config(drift=DriftConfig(signals=("response_words",)))
    create_baseline(project, config, BaselineRequest("words", Window(model="old")))
    result = run_drift(project, config, "words", Window(model="new"))
    assert (Status.OK, ()) == (result.status, result.segments)


def test_segments_by_a_column_and_clusters_by_another(project: Project) -> None:
    """Both columns are the user's choice, and kept with the baseline."""
    config = replace(FEW, drift=replace(FEW.drift, cluster_by="conversation_id"))
    made = create_baseline(
        project, config, BaselineRequest("routes", Window(model="old"), "request_model")
    )
    assert ("request_model", "conversation_id") == (made.segments.basis, made.cluster_by)
    assert "request_model" in run_drift(project, FEW, "routes", Window(model="new")).mix_note
    with pytest.raises(ConfigError, match="no_such_column"):
        create_baseline(project, FEW, BaselineRequest("x", Window(), "no_such_column"))


def test_mistakes_are_told_apart(project: Project) -> None:
    """A taken name, an unknown baseline, an empty window, a bad setting."""
    with pytest.raises(AlreadyExists):
        create_baseline(project, FEW, BaselineRequest("v1", Window(model="old")))
    with pytest.raises(BaselineNotFound):
        run_drift(project, FEW, "v9", Window())
    with pytest.raises(EmptyWindow):
        run_drift(project, FEW, "v1", Window(model="newest"))
    for wrong in ({"alpha": 0.0}, {"power": 1.0}, {"inconclusive": "some"}, {"unresolved": -1.0}):
        with pytest.raises(ConfigError):
            judge_settings(Config(drift=DriftConfig(**wrong)), "prompts")


def test_cards_describe_all_baselines(project: Project) -> None:
    """One card per baseline, by name."""
    cards = {card["name"]: card for card in baseline_cards(project)}
    assert (300, ["old"]) == (cards["v1"]["n_rows"], cards["v1"]["models"])


def test_records_read_as_they_were_written(project: Project, tmp_path: Path) -> None:
    """A run's record is its JSON; the newest run is found."""
    store = Project(tmp_path)
    assert latest_drift_run(store) is None
    result = run_drift(project, FEW, "v1", Window(model="new"))
    older = replace(result, run_id="older", created=result.created - timedelta(days=1))
    for run in (result, older):
        write_run(store, "drift", run.run_id, to_json(run))
    found = read_drift_run(store, result.run_id)
    assert to_json(result) == to_json(found)
    latest = latest_drift_run(store)
    assert latest is not None
    assert result.run_id == latest.run_id
    for name in ("none", "../drift/older"):
        with pytest.raises(UsageError):
            read_drift_run(store, name)
