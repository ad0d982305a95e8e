"""Services of real prompts and answers for `simulate_mix.py`: traffic moves between known tasks.

Every prompt of a pool was answered by an older and a newer version (in the support assistant:
both answered prompts of the same intents), so the true change of behaviour at any traffic is
known. A prompt is its own cluster. In every run half of each task's prompts (drawn at random)
serve the baseline and the other half the current window, so that no prompt is seen twice.
"""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loopllm_cli.model import SignalInfo, SignalKind, Window
from loopllm_cli.profiles.clusters import to_buckets
from loopllm_cli.profiles.profile import Profile, build_profile
from loopllm_cli.profiles.segments import SegmentModel
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.signals.catalogue import compute_signals, load_signals
from loopllm_cli.sources.ingest import IngestOptions, ingest
from loopllm_cli.store.project import Project
from loopllm_cli.store.windows import read_window
from scripts.world import grammar

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ROOT = Path(__file__).parents[1]
PUBLIC = ROOT.parent / "shared" / "data"
NOT_REPLAYED = {"latency", "first_chunk"}
"""Signals that do not depend on the prompt's words alone."""


@dataclass(frozen=True)
class Pool:
    """Prompts with their tasks and the signals of both versions' answers.

    Shapes: `before` and `after` are (n_prompts, n_signals), NaN where a signal does not apply.
    """

    prompts: tuple[str, ...]
    tasks: IntArray
    names: tuple[str, ...]
    infos: tuple[SignalInfo, ...]
    before: FloatArray
    after: FloatArray


@dataclass(frozen=True)
class Service:
    """A pool with the traffic of its baseline and how traffic may move (from task, to task)."""

    name: str
    pool: Pool
    shares: FloatArray
    moves: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Draw:
    """One run's windows, before prompts are clustered: rows as prompt numbers."""

    baseline: IntArray
    current: IntArray
    values_baseline: FloatArray
    values_current: FloatArray


def draw_rows(
    service: Service, sizes: tuple[int, int], shift: float, newer: float, seed: tuple[int, ...]
) -> Draw:
    """Draw a baseline window and one whose traffic moved by `shift`, `newer` of it drifted."""
    rng = np.random.default_rng(seed)
    pool = service.pool
    halves = _halves(pool.tasks, rng)
    shares = service.shares.copy()
    baseline = _rows(halves[0], service.shares, sizes[0], rng)
    source, target = service.moves[int(rng.integers(len(service.moves)))]
    moved = min(shift, shares[source])
    shares[source] -= moved
    shares[target] += moved
    current = _rows(halves[1], shares, sizes[1], rng)
    drifted = rng.random(sizes[1]) < newer
    values = np.where(drifted[:, None], pool.after[current], pool.before[current])
    return Draw(baseline, current, pool.before[baseline], values)


def profile_rows(
    service: Service, draw: Draw, model: SegmentModel | None, *, current: bool
) -> Profile:
    """Profile one of a run's windows over prompt clusters, or without a model over the tasks."""
    pool = service.pool
    rows = draw.current if current else draw.baseline
    values = draw.values_current if current else draw.values_baseline
    if model is None:
        segments, count = pool.tasks[rows], len(service.shares) + 1
    else:
        segments, count = model.assign(batch_of(pool, rows)), model.n_segments
    buckets = to_buckets([pool.prompts[i] for i in rows])
    return build_profile(pool.names, values, segments, buckets, count)


def batch_of(pool: Pool, rows: IntArray) -> RowBatch:
    """Return the prompts of some rows as a batch."""
    return RowBatch(pa.table({"prompt_text": pa.array([pool.prompts[i] for i in rows])}))


def true_change(service: Service, draw: Draw, newer: float) -> FloatArray:
    """Return each signal's true change at the traffic that both windows share, as it is judged.

    Means per task are those of the whole pool; tasks are weighted as the estimate weighs
    segments, by the rows that were drawn.
    """
    pool = service.pool
    weights, before, after = [], [], []
    for task in range(len(service.shares)):
        inside = pool.tasks == task
        old, new = _means(pool.before[inside]), _means(pool.after[inside])
        n_b = np.isfinite(draw.values_baseline[pool.tasks[draw.baseline] == task]).sum(axis=0)
        n_c = np.isfinite(draw.values_current[pool.tasks[draw.current] == task]).sum(axis=0)
        weights.append(n_b * n_c / np.maximum(n_b + n_c, 1))
        before.append(old)
        after.append((1 - newer) * old + newer * new)
    w = np.array(weights)
    w = w / np.maximum(w.sum(axis=0), 1e-12)
    level_b, level_c = (w * np.array(before)).sum(axis=0), (w * np.array(after)).sum(axis=0)
    is_rate = np.array([info.kind is SignalKind.RATE for info in pool.infos])
    relative = np.where(level_b > 0, level_c / np.where(level_b > 0, level_b, 1.0) - 1, 0.0)
    return np.where(is_rate, level_c - level_b, relative)


def _means(values: FloatArray) -> FloatArray:
    known = np.isfinite(values)
    counts = np.maximum(known.sum(axis=0), 1)
    result: FloatArray = np.where(known, values, 0.0).sum(axis=0) / counts
    return result


def _halves(tasks: IntArray, rng: np.random.Generator) -> tuple[list[IntArray], list[IntArray]]:
    first, second = [], []
    for task in range(int(tasks.max()) + 1):
        mixed = rng.permutation(np.flatnonzero(tasks == task))
        first.append(mixed[::2])
        second.append(mixed[1::2])
    return first, second


def _rows(
    prompts: list[IntArray], shares: FloatArray, n_rows: int, rng: np.random.Generator
) -> IntArray:
    counts = rng.multinomial(n_rows, shares)
    drawn = [rng.choice(p, n) for p, n in zip(prompts, counts, strict=True)]
    return np.concatenate(drawn).astype(np.int64)


def services() -> dict[str, Callable[[], Service]]:
    """Name the services; each is built when asked for."""
    return {
        "tasks, GPT-4": lambda: _task_types(("alpacaeval_gpt4_0314", "alpacaeval_gpt4_0613")),
        "AlpacaEval, GPT-4": lambda: _alpaca(
            "AlpacaEval, GPT-4", ("alpacaeval_gpt4_0314", "alpacaeval_gpt4_0613")
        ),
        "AlpacaEval, Vicuna": lambda: _alpaca(
            "AlpacaEval, Vicuna", ("alpacaeval_vicuna-7b-v1.3", "alpacaeval_vicuna-7b-v1.5")
        ),
        "support assistant": _support,
    }


def _task_types(alpaca: tuple[str, str]) -> Service:
    """Return chat, primes, sensitive questions and code; traffic moves from and to chat."""
    versions = ("gpt-4-0314", "gpt-4-0613")
    tables = []
    for k in range(2):
        parts = [_public(alpaca[k])]
        for name in ("llmdrift_prime_full", "llmdrift_sensitiveq", "llmdrift_leetcode_easy"):
            parts.append(_public(name, versions[k]))
        tables.append(parts)
    tasks = np.repeat(np.arange(4), [p.num_rows for p in tables[0]])
    whole = [pa.concat_tables(parts, promote_options="default") for parts in tables]
    pool = _pool(whole[0], whole[1], tasks)
    moves = ((0, 1), (0, 2), (0, 3), (1, 0))
    return Service("tasks, GPT-4", pool, np.array([0.45, 0.32, 0.15, 0.08]), moves)


def _alpaca(name: str, names: tuple[str, str]) -> Service:
    """Return the five prompt sets of AlpacaEval, which are alike."""
    tables = [_public(name) for name in names]
    with gzip.open(PUBLIC / f"{names[0]}.jsonl.gz", "rt", encoding="utf-8") as lines:
        set_of = {row["prompt"]: row["task"] for row in map(json.loads, lines)}
    sets = sorted(set(set_of.values()))
    tasks = np.array([sets.index(set_of[p]) for p in tables[0]["prompt_text"].to_pylist()])
    pool = _pool(tables[0], tables[1], tasks)
    largest = sets.index("selfinstruct")
    moves = tuple((largest, k) for k in range(len(sets)) if k != largest)
    return Service(name, pool, np.bincount(tasks) / len(tasks), moves)


def _support() -> Service:
    """Return the support assistant of `sample_data`: twelve intents, releases v1 and v2."""
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        logs = [str(p) for p in sorted((ROOT / "sample_data" / "logs").glob("*.gz"))]
        ingest(project, logs, IngestOptions())
        old, new = (
            read_window(project, Window(model=f"halden-support-2026-09-{day}"), "the window")
            for day in ("01", "21")
        )
    intents = [[grammar.parse(p).intent for p in t["prompt_text"].to_pylist()] for t in (old, new)]
    known = sorted(set(intents[0]))
    tasks = np.array([known.index(i) for i in intents[0]])
    # A prompt's newer answer is one that the newer release gave to a prompt of the same intent.
    rng = np.random.default_rng(0)
    of_new = np.array([known.index(i) for i in intents[1]])
    partner = np.array([rng.choice(np.flatnonzero(of_new == t)) for t in tasks])
    pool = _pool(old, new.take(pa.array(partner)), tasks)
    share = np.bincount(tasks) / len(tasks)
    large = np.argsort(-share)[:4]
    moves = tuple((int(a), b) for a in large for b in range(len(known)) if a != b)
    return Service("support assistant", pool, share, moves)


def _public(name: str, model: str | None = None) -> pa.Table:
    """Read a public file as the program stores it, in the order of its prompts."""
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        ingest(
            project,
            [str(PUBLIC / f"{name}.jsonl.gz")],
            IngestOptions(date_format="%m/%d/%Y, %H:%M:%S"),
        )
        table = read_window(project, Window(model=model), "the window")
    order = sorted(range(table.num_rows), key=lambda i: str(table["prompt_text"][i]))
    return table.take(pa.array(order))


def _pool(old: pa.Table, new: pa.Table, tasks: IntArray) -> Pool:
    signals = {n: s for n, s in load_signals().items() if n not in NOT_REPLAYED}
    values = [compute_signals(RowBatch(t), signals)[0] for t in (old, new)]
    applies = np.flatnonzero(np.isfinite(values[0]).sum(axis=0) > 0)
    names = tuple(list(signals)[j] for j in applies)
    return Pool(
        tuple(old["prompt_text"].to_pylist()),
        tasks,
        names,
        tuple(signals[name].info for name in names),
        values[0][:, applies],
        values[1][:, applies],
    )
