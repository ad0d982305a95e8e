"""Repair pairs from a drift run: real stores, real drift, and what cannot be repaired."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from drifted import HALF, compare, logs
from factories import (
    REFUSAL,
    START,
    corrections_for,
    feedback_record,
    flat_record,
    stamp,
    write_jsonl,
)

from loopllm_cli.config import Config, PairsConfig
from loopllm_cli.errors import AuditFailed, NoFeedback, UsageError
from loopllm_cli.loop.feedback import PairsRequest, latest_pairs, make_pairs
from loopllm_cli.loop.pair_evidence import show_pairs
from loopllm_cli.loop.repairs import RepairRequest
from loopllm_cli.model import Window
from loopllm_cli.sources.ingest import IngestOptions, ingest
from loopllm_cli.store.project import Project

FROM_DRIFT = PairsRequest(repair=RepairRequest(replay=True))


def test_what_the_drift_run_named_is_repaired_without_any_feedback(drifted: Project) -> None:
    summary = make_pairs(drifted, Config(), FROM_DRIFT)
    rows = pq.read_table(Path(summary.path) / "data" / "train.parquet").to_pylist()
    assert len(rows) == summary.n_train > 15
    assert {REFUSAL} == {row["rejected"][0]["content"] for row in rows}
    for row in rows:
        number = row["prompt"][-1]["content"].split()[-1].rstrip(".")
        assert f"The refund of order {number} has begun." == row["chosen"][0]["content"]
    assert {"replay"} == set(summary.by_rule)
    assert {"refund"} == set(summary.by_segment)
    kept = pq.read_table(Path(summary.path) / "data" / "retention.parquet").to_pylist()
    assert kept
    assert not any("refund" in row["prompt"][-1]["content"] for row in kept)


def test_a_second_run_finds_nothing_new_and_gives_the_same_dataset(drifted: Project) -> None:
    first = make_pairs(drifted, Config(), FROM_DRIFT)
    n_pairs = first.n_train + first.n_heldout
    assert (None, n_pairs, 0) == (first.previous, first.n_new, first.n_gone)
    again = make_pairs(drifted, Config(), FROM_DRIFT)
    assert (first.content_hash, 0, 0) == (again.previous, again.n_new, again.n_gone)
    assert first.content_hash == again.content_hash


def test_feedback_is_built_beside_the_repairs(drifted: Project) -> None:
    refused = [record for record in logs() if record["response"] == REFUSAL][:10]
    votes = corrections_for(refused, "Done: your refund {id} is on its way to you.")
    path = write_jsonl(drifted.root / "votes.jsonl", votes)
    ingest(drifted, [str(path)], IngestOptions())
    summary = make_pairs(drifted, Config(), FROM_DRIFT)
    assert {"replay", "correction"} == set(summary.by_rule)
    alone = make_pairs(drifted, Config(), PairsRequest())
    assert {"correction"} == set(alone.by_rule)


def test_without_a_drift_run_there_is_nothing_to_repair(project_dir: Path) -> None:
    project = Project(project_dir)
    ingest(project, [str(write_jsonl(project_dir / "log.jsonl", logs(60)))], IngestOptions())
    with pytest.raises(UsageError, match="no drift run"):
        make_pairs(project, Config(), FROM_DRIFT)


def test_a_clean_run_named_nothing_to_repair(project_dir: Path) -> None:
    project = compare(project_dir, logs(400, broken=0.0))
    with pytest.raises(UsageError, match="named nothing that single answers show"):
        make_pairs(project, Config(), FROM_DRIFT)


def test_a_strict_run_that_finds_fault_is_not_the_newest(drifted: Project) -> None:
    make_pairs(drifted, Config(), FROM_DRIFT)
    before = latest_pairs(drifted)
    few = PairsRequest(Window(until=START), repair=RepairRequest(replay=True), strict=True)
    with pytest.raises(AuditFailed, match="the audit found"):
        make_pairs(drifted, Config(), few)
    assert before == latest_pairs(drifted)


def test_the_provenance_names_both_answers_and_the_signals_that_told_them_apart(
    drifted: Project,
) -> None:
    summary = make_pairs(drifted, Config(), FROM_DRIFT)
    folder = Path(summary.path)
    rows = pq.read_table(folder / "provenance.parquet").to_pylist()
    pairs = [row for row in rows if row["split"] in ("train", "test")]
    assert {("m-1", "m-2")} == {(row["chosen_model"], row["rejected_model"]) for row in pairs}
    assert {(2, 0)} == {(len(row["interaction_ids"]), len(row["feedback_ids"])) for row in pairs}
    assert all("refusal" in row["signals"] and 0 < row["margin"] <= 1 for row in pairs)
    shown = show_pairs(drifted, pairs[0]["pair_id"])
    assert tuple(pairs[0]["signals"]) == shown.pairs[0].pair.signals
    assert shown.drift_run_id is not None


def test_an_answer_that_somebody_liked_is_not_called_the_worse(drifted: Project) -> None:
    refused = [record["id"] for record in logs() if record["response"] == REFUSAL]
    later = stamp(START + timedelta(days=40))
    votes = [feedback_record(name, "thumbs", "up", timestamp=later) for name in refused]
    ingest(drifted, [str(write_jsonl(drifted.root / "votes.jsonl", votes))], IngestOptions())
    with pytest.raises(NoFeedback, match="makes a pair"):
        make_pairs(drifted, Config(), FROM_DRIFT)


def test_the_limit_of_repairs_holds(drifted: Project) -> None:
    summary = make_pairs(drifted, Config(pairs=PairsConfig(max_repair=9)), FROM_DRIFT)
    assert 9 == summary.n_candidates


def test_a_baseline_whose_rows_are_gone_is_said_so(drifted: Project) -> None:
    DeltaTable(str(drifted.interactions)).delete(f"request_time < '{HALF.isoformat()}'")
    with pytest.raises(UsageError, match="the baseline's window holds no rows any more"):
        make_pairs(drifted, Config(), FROM_DRIFT)


def test_answers_that_have_not_changed_are_retained_before_those_known_to_be_right(
    drifted: Project,
) -> None:
    """Three of four right answers are left to verify."""
    summary = make_pairs(drifted, Config(pairs=PairsConfig(retention_share=100.0)), FROM_DRIFT)
    rows = pq.read_table(Path(summary.path) / "provenance.parquet").to_pylist()
    kept = Counter(row["rule"] for row in rows if row["split"] == "retention")
    asked = sum("shelf" in record["prompt"] for record in logs())
    assert {"same answer as in the baseline", "known to be right"} == kept.keys()
    assert 0.1 * asked < kept["known to be right"] < 0.4 * asked
    few = make_pairs(drifted, Config(pairs=PairsConfig(retention=20)), FROM_DRIFT)
    rows = pq.read_table(Path(few.path) / "provenance.parquet").to_pylist()
    kept = Counter(row["rule"] for row in rows if row["split"] == "retention")
    assert {"same answer as in the baseline": 20} == kept


def test_what_is_answered_today_fills_up_but_not_what_a_pair_calls_the_worse(
    project_dir: Path,
) -> None:
    """The refusal of a parcel's question lies beyond the border of the topic that refuses."""
    late = stamp(START + timedelta(days=27))
    new = {"timestamp": late, "model": "m-2", "prompt_name": "track"}
    asked = [
        flat_record(
            9000 + k,
            prompt=f"May I see parcel {k}?",
            response=f"Here is {k}.",
            user_id=f"v{k}",
            **new,
        )
        for k in range(30)
    ]
    asked[0]["response"] = REFUSAL
    project = compare(project_dir, [*logs(), *asked])
    summary = make_pairs(project, Config(pairs=PairsConfig(retention_share=100.0)), FROM_DRIFT)
    folder = Path(summary.path)
    rows = pq.read_table(folder / "provenance.parquet").to_pylist()
    # Every second one is left to verify.
    assert 7 <= sum(row["rule"] == "answered so today" for row in rows) < 22
    kept = pq.read_table(folder / "data" / "retention.parquet").to_pylist()
    assert REFUSAL not in {row["chosen"][0]["content"] for row in kept}


@pytest.mark.parametrize(("missed", "kept"), [(6, True), (24, False)])
def test_where_known_right_answers_are_missed_nothing_is_kept_for_being_given_today(
    project_dir: Path, missed: int, kept: bool
) -> None:
    asked = []
    for k in range(120):
        late = k >= 60
        record = flat_record(
            9000 + k,
            prompt=f"May I see parcel {k}?",
            response=f"Here is {k}.",
            user_id=f"v{k}",
            timestamp=stamp(START + timedelta(days=27 if late else 1)),
            model=f"m-{1 + late}",
            prompt_name="see",
        )
        if k >= 90:
            record["reference_answer"] = "Nowhere." if k < 90 + missed else f"Here is {k}."
        asked.append(record)
    project = compare(project_dir, [*logs(), *asked])
    summary = make_pairs(project, Config(pairs=PairsConfig(retention_share=100.0)), FROM_DRIFT)
    rows = pq.read_table(Path(summary.path) / "provenance.parquet").to_pylist()
    assert kept == any(row["rule"] == "answered so today" for row in rows)
