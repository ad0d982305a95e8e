"""loopllm: the verdict of `loopllm drift` at its defaults, and the omnibus test.

Of the answers it gets texts, prompts and whose rows they are: no times, costs or reference
answers, which other tools do not get either. A category is a rate per frequent level.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from loopllm_cli import __version__
from loopllm_cli.config import DriftConfig
from loopllm_cli.drift.compare import compare_profiles
from loopllm_cli.drift.omnibus import run_omnibus
from loopllm_cli.drift.verdict import JudgeSettings
from loopllm_cli.model import SignalInfo, SignalKind, Status, Verdict, Worse
from loopllm_cli.profiles.answers import N_DIMENSIONS, to_vectors
from loopllm_cli.profiles.clusters import to_buckets
from loopllm_cli.profiles.profile import Profile, build_profile
from loopllm_cli.profiles.sample import RowSample
from loopllm_cli.profiles.segments import fit_prompts
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.signals.catalogue import compute_signals, load_signals
from scripts.detectors.windows import (
    CATEGORY,
    RATE,
    Finding,
    FloatArray,
    IntArray,
    Window,
    Windows,
    minus_log,
)

VERSION = __version__
LEVELS = 12
"""Levels of a category that are signals of their own; the others are one signal together."""
_TOLERANCE = {SignalKind.RATE: 0.01, SignalKind.AMOUNT: 0.1}


@dataclass(frozen=True)
class Measures:
    """Signals of two windows, ready to be compared. Shapes: (n_rows, n_signals), (n_rows,)."""

    infos: tuple[SignalInfo, ...]
    values: tuple[FloatArray, FloatArray]
    segments: tuple[IntArray, IntArray]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class _Answers:
    """All public answers, measured once."""

    table: pa.Table
    infos: tuple[SignalInfo, ...]
    values: FloatArray
    prompts: np.ndarray
    answers: np.ndarray


@cache
def _read(pool: str) -> _Answers:
    found = json.loads(Path(pool).read_text("utf-8"))
    columns = {"prompt_text": found["prompts"], "response_text": found["answers"]}
    table = pa.table({name: pa.array(texts, pa.string()) for name, texts in columns.items()})
    signals = load_signals()
    values, _ = compute_signals(RowBatch(table), signals)
    logged = np.isfinite(values).any(axis=0)
    infos = tuple(s.info for s, kept in zip(signals.values(), logged, strict=True) if kept)
    vectors = (to_vectors(texts) for texts in columns.values())
    return _Answers(table, infos, values[:, logged], *vectors)


def _sides(windows: Windows) -> tuple[Window, Window]:
    return windows.baseline, windows.current


@lru_cache(maxsize=2)
def measure_answers(windows: Windows, by_task: bool) -> Measures:
    """Measure answers, segmented by the logged task or by clusters of the baseline's prompts."""
    pool = _read(windows.pool)
    before, after = _sides(windows)
    values = (pool.values[before.rows], pool.values[after.rows])
    if by_task:
        labels = tuple(f"task {k}" for k in range(1 + int(before.segments.max())))
        segments = tuple(np.minimum(w.segments, len(labels)) for w in _sides(windows))
        return Measures(pool.infos, values, (segments[0], segments[1]), (*labels, "other"))
    model = fit_prompts(RowBatch(pool.table.take(before.rows)), values[0])
    placed = [model.assign(RowBatch(pool.table.take(w.rows))) for w in _sides(windows)]
    labels = tuple(model.label(k) for k in range(model.n_segments))
    return Measures(pool.infos, values, (placed[0], placed[1]), labels)


def measure_columns(windows: Windows) -> Measures:
    """Take invented columns as signals that are worse upwards, categories as rates per level."""
    infos: list[SignalInfo] = []
    columns: list[tuple[FloatArray, FloatArray]] = []
    for i, (name, kind) in enumerate(zip(windows.names, windows.kinds, strict=True)):
        before, after = (w.table[:, i] for w in _sides(windows))
        if kind == CATEGORY:
            levels, counts = np.unique(before, return_counts=True)
            frequent = levels[np.argsort(-counts, kind="stable")][:LEVELS]
            for level in frequent:
                infos.append(_info(f"{name}: {level:g}", SignalKind.RATE, Worse.EITHER))
                columns.append(((before == level) * 1.0, (after == level) * 1.0))
            infos.append(_info(f"{name}: other", SignalKind.RATE, Worse.EITHER))
            columns.append(((~np.isin(before, frequent)) * 1.0, (~np.isin(after, frequent)) * 1.0))
        else:
            signal_kind = SignalKind.RATE if kind == RATE else SignalKind.AMOUNT
            infos.append(_info(name, signal_kind, Worse.UP))
            columns.append((before, after))
    values = tuple(np.stack([c[side] for c in columns], axis=1) for side in (0, 1))
    segments = tuple(np.zeros(len(w), dtype=np.int64) for w in _sides(windows))
    return Measures(tuple(infos), (values[0], values[1]), (segments[0], segments[1]), ("all",))


def _info(name: str, kind: SignalKind, worse: Worse) -> SignalInfo:
    return SignalInfo(name, kind, worse, _TOLERANCE[kind], name)


def _profiles(windows: Windows, found: Measures) -> tuple[Profile, Profile]:
    names = tuple(info.name for info in found.infos)
    made = [
        build_profile(names, values, segments, to_buckets(_keys(window)), len(found.labels))
        for window, values, segments in zip(
            _sides(windows), found.values, found.segments, strict=True
        )
    ]
    return made[0], made[1]


def _keys(window: Window) -> list[str]:
    return [f"user_id:{k}" for k in window.clusters]


def _compare(windows: Windows, measures: Measures, unresolved: float) -> Finding:
    settings = JudgeSettings(unresolved=unresolved)
    profiles = _profiles(windows, measures)
    findings = compare_profiles(*profiles, measures.infos, measures.labels, settings)
    moved = {
        c.signal.name: c.verdict in (Verdict.WORSE, Verdict.BETTER, Verdict.CHANGED)
        for c in findings.comparisons
    }
    score = max(minus_log(c.p_adjusted) for c in findings.comparisons)
    columns = {name: any(hit for signal, hit in moved.items() if signal.split(":")[0] == name)
               for name in windows.names}  # fmt: skip
    return Finding(any(moved.values()), findings.status is Status.DEGRADED, score, columns)


def drift(windows: Windows) -> Finding:
    """Decide as `loopllm drift` does; any alarm is a signal that is worse, better or changed."""
    measures = (
        measure_answers(windows, by_task=False) if windows.has_texts else measure_columns(windows)
    )
    return _compare(windows, measures, DriftConfig().unresolved)


def drift_by_task(windows: Windows) -> Finding:
    """Decide as `loopllm drift` does with the task logged and named in `segment_by`."""
    if not windows.has_texts:
        return Finding(error="invented columns have no task")
    return _compare(windows, measure_answers(windows, by_task=True), unresolved=0.0)


def omnibus(windows: Windows) -> Finding:
    """Test whether anything at all differs; ties of the p-value are broken by the statistic."""
    measures = (
        measure_answers(windows, by_task=False) if windows.has_texts else measure_columns(windows)
    )
    samples = [_sample(windows, measures, side) for side in (0, 1)]
    found = run_omnibus(samples[0], samples[1])
    # The p-value has steps of one in a thousand.
    score = minus_log(found.p_value) + 1e-6 * min(found.statistic, 1e3)
    return Finding(found.differs, None, score)


def _sample(windows: Windows, measures: Measures, side: int) -> RowSample:
    window = _sides(windows)[side]
    if windows.has_texts:
        pool = _read(windows.pool)
        prompts, answers = pool.prompts[window.rows], pool.answers[window.rows]
    else:
        prompts = answers = np.zeros((len(window), N_DIMENSIONS), dtype=np.float16)
    return RowSample(
        signal_names=tuple(info.name for info in measures.infos),
        values=measures.values[side].astype(np.float32),
        segments=measures.segments[side].astype(np.int16),
        clusters=window.clusters.astype(np.uint64),
        days=np.full(len(window), -1, dtype=np.int32),
        attributes=(),
        prompt_vectors=prompts,
        answer_vectors=answers,
        n_rows=len(window),
    )


METHODS = {"drift": drift, "drift, task logged": drift_by_task, "omnibus": omnibus}
ANSWERS_ONLY = ("drift, task logged",)
"""These need texts or embeddings."""
