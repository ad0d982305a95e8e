"""A log in which the second model refuses much of what concerns refunds, and its drift run."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

from factories import REFUSAL, START, flat_record, stamp, write_jsonl

from loopllm_cli.config import Config
from loopllm_cli.loop.evaluate import BaselineRequest, create_baseline, run_drift
from loopllm_cli.loop.records import write_run
from loopllm_cli.model import Window
from loopllm_cli.render.as_json import to_json
from loopllm_cli.sources.ingest import IngestOptions, ingest
from loopllm_cli.store.project import Project

HALF = START + timedelta(days=14)
N_QUESTIONS = 60


def logs(n: int = 800, *, broken: float = 0.6) -> list[dict[str, Any]]:
    """Return records.

    Of each six questions about parcels, the second model answers one that nobody asked before, and
    that comes with its right answer.
    """
    rng = random.Random(5)
    records = []
    for number in range(n):
        k = rng.randrange(N_QUESTIONS)
        late, refund = number >= n // 2, k % 2 == 0
        asked = f"Please refund order {k}." if refund else f"Where is parcel {k}?"
        said = f"The refund of order {k} has begun." if refund else f"Parcel {k} comes today."
        new = late and k % 12 == 1
        refused = late and refund and rng.random() < broken
        records.append(
            flat_record(
                number,
                timestamp=stamp(START + number * timedelta(days=28) / n),
                model=f"m-{1 + late}",
                user_id=f"u-{number}",
                prompt=f"On which shelf lies parcel {number}?" if new else asked,
                prompt_name="refund" if refund else "track",
                response=REFUSAL if refused else said,
                reference_answer=said if new else None,
            )
        )
    return records


def compare(folder: Path, records: list[dict[str, Any]]) -> Project:
    """Return a project with a drift run of the second half against the first."""
    project = Project(folder)
    ingest(project, [str(write_jsonl(folder / "log.jsonl", records))], IngestOptions())
    create_baseline(project, Config(), BaselineRequest("v1", Window(until=HALF), "prompt_name"))
    drift(project)
    return project


def drift(project: Project) -> None:
    """Compare with the baseline and keep the record."""
    run = run_drift(project, Config(), "v1", Window())
    write_run(project, "drift", run.run_id, to_json(run))
