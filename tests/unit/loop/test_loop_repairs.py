"""Repair pairs from a drift run: real stores, real drift, and what cannot be repaired."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from factories import REFUSAL, START, corrections_for, flat_record, stamp, write_jsonl

from loopllm_cli.config import Config
from loopllm_cli.errors import AuditFailed, UsageError
from loopllm_cli.loop.evaluate import BaselineRequest, create_baseline, run_drift
from loopllm_cli.loop.feedback import PairsRequest, latest_pairs, make_pairs
from loopllm_cli.loop.records import write_run
from loopllm_cli.loop.repairs import RepairRequest
from loopllm_cli.model import Window
from loopllm_cli.render.as_json import to_json
from loopllm_cli.sources.ingest import IngestOptions, ingest
from loopllm_cli.store.project import Project

HALF = START + timedelta(days=14)
FROM_DRIFT = PairsRequest(repair=RepairRequest(replay=True))
N_QUESTIONS = 60


def logs(n: int = 1_200, *, broken: float = 0.6) -> list[dict[str, Any]]:
    """Return records in which the second model refuses much of what concerns refunds."""
    rng = random.Random(5)
    records = []
    for number in range(n):
        k = rng.randrange(N_QUESTIONS)
        refund = k % 2 == 0
        asked = f"Please refund order {k}." if refund else f"Where is parcel {k}?"
        said = f"The refund of order {k} has begun." if refund else f"Parcel {k} comes today."
        late = number >= n // 2
        refused = late and refund and rng.random() < broken
        records.append(
            flat_record(
                number,
                timestamp=stamp(START + number * timedelta(days=28) / n),
                model=f"m-{1 + late}",
                user_id=f"u-{number}",
                prompt=asked,
                prompt_name="refund" if refund else "track",
                response=REFUSAL if refused else said,
            )
        )
    return records


@pytest.fixture
def drifted(project_dir: Path) -> Project:
    """Return a project with a drift run and without any feedback."""
    project = Project(project_dir)
    ingest(project, [str(write_jsonl(project_dir / "log.jsonl", logs()))], IngestOptions())
    window = Window(until=HALF)
    create_baseline(project, Config(), BaselineRequest("v1", window, "prompt_name"))
    drift(project)
    return project


def drift(project: Project) -> None:
    """Compare with the baseline and keep the record."""
    run = run_drift(project, Config(), "v1", Window())
    write_run(project, "drift", run.run_id, to_json(run))


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
    assert all(row["prompt"][-1]["content"].startswith("Where is parcel") for row in kept)


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
    project = Project(project_dir)
    clean = write_jsonl(project_dir / "log.jsonl", logs(broken=0.0))
    ingest(project, [str(clean)], IngestOptions())
    window = Window(until=HALF)
    create_baseline(project, Config(), BaselineRequest("v1", window, "prompt_name"))
    drift(project)
    with pytest.raises(UsageError, match="named nothing that single answers show"):
        make_pairs(project, Config(), FROM_DRIFT)


def test_a_strict_run_that_finds_fault_is_not_the_newest(drifted: Project) -> None:
    make_pairs(drifted, Config(), FROM_DRIFT)
    before = latest_pairs(drifted)
    few = PairsRequest(Window(until=START), repair=RepairRequest(replay=True), strict=True)
    with pytest.raises(AuditFailed, match="the audit found"):
        make_pairs(drifted, Config(), few)
    assert before == latest_pairs(drifted)
