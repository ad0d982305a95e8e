"""The sample world as tests use it: a project up to its pairs, adapters, and the truth."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "sample_data"
RECIPE = ROOT / "configs" / "tiny.toml"
BROKEN = ("order_status", "refund", "shipping_time", "warranty")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


def loopllm(project: Path, *args: str) -> Ended:
    """Run a command in a process of its own, as cron would."""
    env = {**os.environ, "LOOPLLM_PROJECT": str(project), "COLUMNS": "80", "NO_COLOR": "1"}
    env["LOOPLLM_KEY"] = "the demo's users are invented"
    env["OMP_NUM_THREADS"] = "1"  # spinning threads cost more than the tiny model does
    command = [sys.executable, "-m", "loopllm_cli", *args]
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT, check=False)
    return Ended(done.returncode, done.stdout, done.stderr)


def prepare(project: Path, *options: str, feedback: bool = True) -> Path:
    """Ingest the sample world, compare with its first two weeks, and build the pairs.

    Args:
        options: of `loopllm pairs`.
        feedback: whether anybody said anything of the answers.
    """
    said = (str(SAMPLE / "feedback.jsonl.gz"),) if feedback else ()
    for code, args in (
        (0, ("ingest", str(SAMPLE / "logs"), *said)),
        (0, ("baseline", "create", "v1", "--until", "2026-09-21")),
        (10, ("drift", "--baseline", "v1")),
        (0, ("pairs", "--pairs-out", str(project / "pairs"), *options)),
    ):
        ended = loopllm(project, *args)
        assert code == ended.code, ended.stdout + ended.stderr
    return project


def train(project: Path, name: str, *more: str, pairs: str = "pairs") -> Ended:
    """Correct v2 with a set of pairs into `project/name`."""
    return loopllm(
        project,
        "correct",
        *("--model", str(SAMPLE / "models" / "v2"), "--recipe", str(RECIPE)),
        *("--pairs", str(project / pairs), "--adapter-out", str(project / name)),
        *more,
    )


def quality(project: Path, name: str) -> dict[str, float]:
    """Return the adapter's shares of right answers per intent, by the world's own truth."""
    command = [sys.executable, "-m", "scripts.world", "score"]
    command += ["--model", str(SAMPLE / "models" / "v2"), "--adapter", str(project / name)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    shares: dict[str, float] = json.loads(done.stdout)
    return shares


def copy_pairs(project: Path, name: str) -> Path:
    """Copy the pairs folder for a control experiment."""
    shutil.copytree(project / "pairs", project / name)
    return project / name


def rewrite(folder: Path, change: object) -> None:
    """Rewrite the training and held-out pairs of a folder.

    Args:
        change: a function from a list of rows (with their provenance) to the rows to keep.
    """
    assert callable(change)
    provenance = pq.read_table(folder / "provenance.parquet")
    kept_provenance = []
    for split, file in (("train", "train.parquet"), ("test", "test.parquet")):
        path = folder / "data" / file
        table = pq.read_table(path)
        origin = [row for row in provenance.to_pylist() if row["split"] == split]
        rows = change(list(zip(table.to_pylist(), origin, strict=True)))
        pq.write_table(pa.Table.from_pylist([r for r, _ in rows], schema=table.schema), path)
        kept_provenance += [o for _, o in rows]
    pq.write_table(
        pa.Table.from_pylist(kept_provenance, schema=provenance.schema),
        folder / "provenance.parquet",
    )
