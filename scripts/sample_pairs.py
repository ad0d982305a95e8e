"""The sample world's pairs, made as a user would make them, for measurements on them."""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from loopllm_cli.config import Config
from loopllm_cli.loop.evaluate import BaselineRequest, create_baseline, run_drift
from loopllm_cli.loop.feedback import PairsRequest, make_pairs
from loopllm_cli.loop.records import write_run
from loopllm_cli.model import PairsSummary, Retained, Window
from loopllm_cli.pairs.build import BuiltPairs
from loopllm_cli.pairs.dataset.stored import StoredPairs
from loopllm_cli.render.as_json import to_json
from loopllm_cli.sources.ingest import IngestOptions, ingest
from loopllm_cli.store.project import Project

SAMPLE = Path(__file__).parents[1] / "sample_data"
BREAKS = datetime(2026, 9, 21, tzinfo=UTC)


def make_sample(folder: Path) -> PairsSummary:
    """Ingest the sample world, compare with its first two weeks, and make pairs in `folder/set`."""
    os.environ.setdefault("LOOPLLM_KEY", "the demo's users are invented")
    project, config = Project(folder), Config()
    ingest(project, [str(SAMPLE / "logs"), str(SAMPLE / "feedback.jsonl.gz")], IngestOptions())
    create_baseline(project, config, BaselineRequest("v1", Window(until=BREAKS)))
    run = run_drift(project, config, "v1", Window())
    write_run(project, "drift", run.run_id, to_json(run))
    return make_pairs(project, config, PairsRequest(out=folder / "set"))


def read_built(folder: Path) -> BuiltPairs:
    """Read a dataset back as what it was written from, single judged answers left out."""
    stored = StoredPairs(folder)
    pairs = [stored.pair(place) for place in range(len(stored))]
    parts = {
        name: [pair for pair, split in zip(pairs, stored.splits, strict=True) if split == name]
        for name in ("train", "test")
    }
    origins = [
        row for row in pq.read_table(folder / "provenance.parquet").to_pylist()
        if row["split"] == "retention"
    ]  # fmt: skip
    rows = pq.read_table(folder / "data" / "retention.parquet").to_pylist()
    retained = [_retained(o, row) for o, row in zip(origins, rows, strict=True)]
    card = stored.card
    return BuiltPairs(
        parts["train"], parts["test"], retained, [], Counter(card.get("dropped", {})),
        int(card.get("n_candidates", 0)), int(card.get("n_feedback", 0)),
    )  # fmt: skip


def _retained(origin: dict[str, Any], row: dict[str, Any]) -> Retained:
    return Retained(
        prompt=tuple(row["prompt"]),
        chosen=row["chosen"][0]["content"],
        source=origin["rule"],
        feedback_ids=tuple(origin["feedback_ids"]),
        interaction_ids=tuple(origin["interaction_ids"]),
        user_id=origin["user_id"],
        conversation_id=origin["conversation_id"],
        context_hash=origin["context_hash"],
        prompt_hash=origin["prompt_hash"],
        segment=origin["segment"],
        model=origin["chosen_model"],
    )
