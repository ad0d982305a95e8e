"""Measure `loopllm pairs` on stores of many answers and as many pieces of feedback.

    python -m scripts.bench_pairs --rows 1000000

A store of N answers and N pieces of feedback is written straight into the tables (not timed),
then the real command runs in a process of its own. Printed are wall and CPU seconds, peak memory,
and the pairs made. Beside it stands a floor: pandas reads the same columns and joins votes with
answers on the id alone, which says nothing yet of what may become a pair.

The store: 50,000 users (Zipf; the busiest gives 0.6% of all), conversations of four turns, prompts
of about 300 and answers of about 900 characters in the median (log-normal). Two answers in ten are
the sides of a comparison, six in a hundred a regenerated answer or its successor, one in ten has
its context in common with others (of N/40 contexts; the commonest has N/5,500 answers). Of the
feedback 60% are thumbs (one in five down, one in eight on a shared context), 10% ratings, 8%
corrections, 10% comparisons (one in twenty a tie), 6% implicit signs, 3% regenerations, 3% copies.
Half names its answer by id, the rest by response id, trace, turn, time or not at all.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loopllm_cli.store import tables
from loopllm_cli.store.arrays import arrow_column
from loopllm_cli.store.project import Project
from loopllm_cli.store.schema import FEEDBACK, INTERACTIONS, SCHEMA_VERSION
from scripts.bench_logs import Texts

START_US = int(datetime(2026, 9, 1, tzinfo=UTC).timestamp() * 1e6)
BATCH = 50_000
N_USERS = 50_000
N_WORDS = 2_000_000
KINDS = (
    *(("thumbs", 0.60), ("rating", 0.10), ("correction", 0.08), ("comparison", 0.10)),
    *(("implicit", 0.06), ("regeneration", 0.03), ("copy", 0.03)),
)
TARGETS = (
    *(("id", 0.50), ("response", 0.25), ("trace", 0.10), ("turn", 0.07), ("time", 0.03)),
    ("unknown", 0.05),
)


@dataclass(frozen=True)
class Figure:
    """What one process took."""

    wall_s: float
    cpu_s: float
    rss_mb: float
    said: str


class Store:
    """A synthetic store: who answered what where, by number."""

    def __init__(self, n_rows: int, seed: int) -> None:
        self.n = n_rows
        self.rng = np.random.default_rng(seed)
        self.corpus = Texts(seed).text(min(N_WORDS, 20_000 + 20 * n_rows)).replace("\n", " ")
        i = np.arange(n_rows)
        self.context = i.copy()
        # Answers 2k and 2k + 1 stand side by side: of a comparison, or an answer and the next try.
        paired = 2 * (n_rows // 10) + 2 * (n_rows // 33)
        compared = 2 * (n_rows // 10)
        self.context[1:paired:2] = i[0:paired:2]
        shared = slice(paired, paired + n_rows // 10)
        weights = 1 / (np.arange(max(n_rows // 40, 1)) + 100)
        popular = self.rng.choice(len(weights), n_rows // 10, p=weights / weights.sum())
        self.context[shared] = paired + popular
        units = self.rng.permutation((n_rows + 1) // 2)
        self.place = np.argsort(np.argsort(2 * units[i // 2] + i % 2))  # of each answer in time
        self.compared, self.paired = compared, paired
        self.number = np.argsort(self.place)
        weights = 1 / (np.arange(N_USERS) + 20)
        talks = self.rng.choice(N_USERS, n_rows // 4 + 1, p=weights / weights.sum())
        self.user = talks[self.place // 4]
        self.length = np.clip(self.rng.lognormal(6.8, 0.7, n_rows), 20, 60_000).astype(int)
        self.offset = self.rng.integers(0, len(self.corpus) - 70_000, n_rows)

    def answer(self, k: int) -> str:
        """Return the text of an answer."""
        return self.corpus[self.offset[k] : self.offset[k] + self.length[k]].strip()

    def prompt(self, k: int) -> str:
        """Return the question of an answer, the same for the same context."""
        rng = np.random.default_rng(self.context[k])
        start = rng.integers(0, len(self.corpus) - 70_000)
        return self.corpus[start : start + int(np.clip(rng.lognormal(5.7, 0.6), 15, 9_000))].strip()

    def turn(self, k: int) -> int:
        """Return the turn of an answer in its conversation: the same for two of a pair."""
        place = int(self.place[k]) % 4
        return place - k % 2 if k < self.paired else place

    def time(self, k: int) -> int:
        """Return when an answer was given, in microseconds."""
        return int(START_US + self.place[k] * 4_000_000)


def hexed(*parts: Any) -> str:
    """Return 128 bits of hash as hex."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def interactions(store: Store, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Return rows as `ingest` would store them."""
    rows = []
    for k in numbers:
        prompt, answer = store.prompt(k), store.answer(k)
        talk = int(store.place[k]) // 4
        rows.append(
            {
                "interaction_id": f"openai_chat:chatcmpl-{hexed('r', k)[:24]}",
                "content_digest": hexed("d", k),
                "source_format": "openai_chat",
                "source_path": "logs.jsonl",
                "source_record_id": f"chatcmpl-{hexed('r', k)[:24]}",
                "ingest_id": "i",
                "schema_version": SCHEMA_VERSION,
                "request_time": store.time(k),
                "time_basis": "logged",
                "trace_id": hexed("t", k),
                "span_id": hexed("s", k)[:16],
                "is_root": True,
                "is_visible": True,
                "conversation_id": f"c-{talk}",
                "turn_index": store.turn(k),
                "choice_index": 0,
                "response_id": f"chatcmpl-{hexed('r', k)[:24]}",
                "user_id": hexed("u", store.user[k]),
                "request_model": f"assistant-{k % 3}",
                "response_model": f"assistant-{k % 3}-2026-08-01",
                "input_messages": _messages(("system", "Answer briefly."), ("user", prompt)),
                "output_messages": _messages(("assistant", answer)),
                "prompt_text": prompt,
                "response_text": answer,
                "n_tool_calls": 0,
                "context_hash": hexed("c", store.context[k]),
                "prompt_hash": hexed("p", store.context[k]),
                "response_hash": hexed("a", k),
                "content_state": "full" if k % 50 else "truncated",
                "finish_reason": "stop" if k % 40 else "length",
                "input_tokens": 110,
                "output_tokens": 330,
            }
        )
    return rows


def _messages(*said: tuple[str, str]) -> str:
    # The corpus holds nothing that JSON escapes.
    parts = (f'{{"parts":[{{"content":"{t}","type":"text"}}],"role":"{r}"}}' for r, t in said)
    return f"[{','.join(parts)}]"


def feedback(store: Store, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Return votes as `ingest` would store them."""
    rng = np.random.default_rng(numbers[0])
    kinds = rng.choice([k for k, _ in KINDS], len(numbers), p=[p for _, p in KINDS])
    ways = rng.choice([k for k, _ in TARGETS], len(numbers), p=[p for _, p in TARGETS])
    rows = []
    for number, kind, way in zip(numbers, kinds.tolist(), ways.tolist(), strict=True):
        k = int(rng.integers(store.n))
        if kind == "thumbs" and rng.random() < 0.125:
            k = store.paired + int(rng.integers(store.n // 10))
        if kind == "comparison":
            k = int(rng.integers(store.compared // 2)) * 2
        if kind == "regeneration":
            k = int(rng.integers(store.compared // 2, store.paired // 2)) * 2
        row = {
            "feedback_id": hexed("v", number),
            "source_format": "feedback",
            "source_path": "votes.jsonl",
            "ingest_id": "i",
            "schema_version": SCHEMA_VERSION,
            "kind": kind,
            "target_kind": "response",
            "target_key": "none",
            "annotator_kind": "HUMAN",
            "annotator_id": hexed("u", store.user[k]),
            "feedback_time": store.time(k) + int(rng.integers(5, 300)) * 1_000_000,
        }
        row |= _said(store, kind, k, rng) | _target(store, kind, way, k)
        rows.append(row)
    return rows


def _said(store: Store, kind: str, k: int, rng: np.random.Generator) -> dict[str, Any]:
    if kind == "thumbs":
        return {"polarity": -1 if rng.random() < 0.2 else 1}
    if kind == "rating":
        return {"score_value": float(rng.integers(1, 6)), "scale_min": 1.0, "scale_max": 5.0}
    if kind == "correction":
        text = store.answer(k)
        cut = len(text) // 3
        start = int(rng.integers(0, 10_000))
        return {"text": text[:cut] + store.corpus[start : start + cut] + text[2 * cut :]}
    if kind == "comparison":
        sides = [f"chatcmpl-{hexed('r', k + side)[:24]}" for side in (0, 1)]
        tie = rng.random() < 0.05
        winner = None if tie else sides[int(rng.integers(2))]
        return {"candidate_ids": sides, "winner_id": winner, "tie": tie}
    if kind == "implicit":
        return {"polarity": -1 if rng.random() < 0.6 else 1, "score_value": 0.7, "name": "rephrase"}
    return {}


def _target(store: Store, kind: str, way: str, k: int) -> dict[str, Any]:
    native, talk = f"chatcmpl-{hexed('r', k)[:24]}", f"c-{int(store.place[k]) // 4}"
    if kind == "comparison":
        return {}
    if kind == "implicit":
        return {"target_conversation_id": talk, "target_response_hash": hexed("a", k)}
    if way == "response":
        return {"target_response_id": native, "target_key": "response_id"}
    if way == "trace":
        trace = {"target_trace_id": hexed("t", k), "target_kind": "trace"}
        return {**trace, "target_key": "trace_id"}
    if way == "turn":
        return {"target_conversation_id": talk, "target_turn_index": store.turn(k)}
    if way == "time":
        return {"target_conversation_id": talk}
    name = native if way == "id" else f"chatcmpl-{hexed('gone', k)[:24]}"
    return {"target_id": name, "target_key": "id"}


def make_store(root: Path, n_rows: int, seed: int) -> None:
    """Write the tables of a project, answers in order of time."""
    project, store = Project(root), Store(n_rows, seed)
    for start in range(0, n_rows, BATCH):
        numbers = range(start, min(start + BATCH, n_rows))
        rows = interactions(store, store.number[start : start + BATCH].tolist())
        tables.append(project.interactions, _table(rows, INTERACTIONS))
        tables.append(project.feedback, _table(feedback(store, numbers), FEEDBACK))


def _table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Build a table like `tables.to_table`, with times that are numbers already."""
    columns = []
    for field in schema:
        values = [row.get(field.name) for row in rows]
        if pa.types.is_timestamp(field.type):
            columns.append(arrow_column(values, pa.int64()).cast(field.type))
        else:
            columns.append(arrow_column(values, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


FLOOR = """
import sys, pandas
answers = ["interaction_id", "source_record_id", "context_hash", "user_id", "request_time",
    "response_text", "input_messages", "output_messages", "finish_reason", "content_state"]
votes = ["feedback_id", "kind", "target_id", "polarity", "score_value", "text", "annotator_id",
    "feedback_time", "candidate_ids", "winner_id"]
rows = pandas.read_parquet(sys.argv[1] + "/.loopllm/interactions", columns=answers)
said = pandas.read_parquet(sys.argv[1] + "/.loopllm/feedback", columns=votes)
both = said.merge(rows, left_on="target_id", right_on="source_record_id")
print(f"{len(both):,} votes joined")
"""


def measure(command: Sequence[str]) -> Figure:
    """Run a command in a fresh process."""
    with tempfile.TemporaryFile() as output:
        begun = time.monotonic()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read().decode(errors="replace")
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed with {process.returncode}\n{said}")
    return Figure(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said)


def n_pairs(root: Path) -> int:
    """Count the pairs of the newest dataset."""
    folder = root / ".loopllm" / "pairs"
    data = folder / (folder / "latest").read_text(encoding="utf-8") / "data"
    return sum(pq.read_metadata(data / f"{name}.parquet").num_rows for name in ("train", "test"))


def main(arguments: Sequence[str]) -> None:
    """Make the stores, run the command on each, print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for the stores, used again if there")
    parser.add_argument("--no-floor", action="store_true", help="leave pandas out")
    asked = parser.parse_args(arguments)
    kept = asked.keep or Path(tempfile.mkdtemp(prefix="bench-pairs-"))
    print("| answers and votes | candidate | wall s | CPU s | peak MB | pairs |", flush=True)
    print("|---|---|---|---|---|---|")
    for n_rows in asked.rows:
        root = kept / f"store-{n_rows}-{asked.seed}"
        if not root.exists():
            make_store(root, n_rows, asked.seed)
        ours = [sys.executable, "-m", "loopllm_cli", "pairs", "--project", str(root)]
        candidates = {"loopllm pairs": ours}
        if not asked.no_floor:
            candidates["pandas, read and join"] = [sys.executable, "-c", FLOOR, str(root)]
        for name, command in candidates.items():
            taken = [measure(command) for _ in range(asked.rounds)]
            wall, cpu, rss = (
                statistics.median(getattr(f, part) for f in taken)
                for part in ("wall_s", "cpu_s", "rss_mb")
            )
            made = f"{n_pairs(root):,}" if command is ours else "-"
            print(
                f"| {n_rows:,} | {name} | {wall:.1f} | {cpu:.1f} | {rss:,.0f} | {made} |",
                flush=True,
            )
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"\n{asked.rounds} round(s); load average at the end {load}")
    if asked.keep is None:
        shutil.rmtree(kept)


if __name__ == "__main__":
    main(sys.argv[1:])
