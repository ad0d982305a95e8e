"""Prompts and projects for the tests of profiles and baselines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from loopllm_cli.model import SignalInfo, SignalKind, Window, WindowSummary, Worse
from loopllm_cli.profiles.answers import fit_answers
from loopllm_cli.profiles.attributes import fit_attributes
from loopllm_cli.profiles.baseline import Baseline
from loopllm_cli.profiles.days import build_days
from loopllm_cli.profiles.hours import build_hours
from loopllm_cli.profiles.profile import build_profile
from loopllm_cli.profiles.sample import Rows, draw_sample
from loopllm_cli.profiles.season import build_weekly
from loopllm_cli.profiles.segments import SegmentModel, fit_prompts
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.store.project import Project

NOW = datetime(2026, 10, 1, 12, 30, 5, 7, tzinfo=UTC)
TOPICS = (
    "please refund my broken order number {n} today",
    "where does parcel {n} travel and when will it arrive",
    "write a python function that sorts list {n} quickly",
    "translate sentence {n} into polite formal german",
)


def batch_of(prompts: Sequence[str | None], **columns: list[Any]) -> RowBatch:
    """Make a batch from prompts and further text columns."""
    arrays = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    return RowBatch(pa.table({"prompt_text": pa.array(prompts, pa.string()), **arrays}))


def prompts(n_rows: int, seed: int = 0) -> list[str | None]:
    """Draw prompts of four topics, each with a number of its own."""
    rng = np.random.default_rng(seed)
    return [TOPICS[int(k)].format(n=int(rng.integers(1000))) for k in rng.integers(0, 4, n_rows)]


@cache
def prompt_model() -> SegmentModel:
    """Fit segments once for all tests."""
    return fit_prompts(batch_of(prompts(200)))


def baseline_of(name: str = "v1", model: SegmentModel | None = None) -> Baseline:
    """Make a small baseline with two signals, a day and a segment model of prompts."""
    model = model or prompt_model()
    rng = np.random.default_rng(1)
    infos = (
        SignalInfo("refusal", SignalKind.RATE, Worse.UP, 0.01, "Refusals."),
        SignalInfo("length", SignalKind.AMOUNT, Worse.EITHER, 0.1, "Length.", "chars", 2),
    )
    values = np.stack([rng.random(200) < 0.1, rng.gamma(2.0, 50.0, 200)], axis=1).astype(float)
    names = tuple(i.name for i in infos)
    segments, buckets = rng.integers(0, model.n_segments, 200), rng.integers(0, 256, 200)
    dates = np.full(200, np.datetime64("2026-10-01"))
    batch = batch_of(prompts(200), response_text=["an answer about sorted lists"] * 200)
    keys = [f"user {k}" for k in range(200)]
    positions = np.arange(200)
    answers = fit_answers(batch, keys, positions)
    rows = Rows(batch, names, values, segments, keys)
    places = (np.zeros(200, dtype=np.int64), segments, buckets)
    return Baseline(
        name=name,
        created=NOW,
        window=Window(since=NOW, model="gpt"),
        summary=WindowSummary(200, 0, 200, NOW, None, ("gpt",)),
        signals=infos,
        cluster_by=None,
        segments=model,
        profile=build_profile(names, values, segments, buckets, model.n_segments),
        days=build_days(names, values, segments, dates, model.n_segments),
        hours=build_hours(names, values, segments, np.arange(200), model.n_segments),
        weekly=build_weekly(names[:1], values[:, :1], places, model.n_segments),
        sample=draw_sample(rows, fit_attributes(batch, positions)),
        answers=answers,
    )


def project_at(path: Path) -> Project:
    """Return an empty project."""
    return Project(path)
