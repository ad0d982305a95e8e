"""A baseline's own rows, measured again, to be split: from the store, else from its sample."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from loopllm_cli.config import Config
from loopllm_cli.drift.calibration import BoolArray, CleanRows, FloatArray, Refit
from loopllm_cli.errors import EmptyWindow, StoreUnavailable
from loopllm_cli.loop.comparable import comparable_signals
from loopllm_cli.loop.window_notes import frozen_window
from loopllm_cli.model import SignalInfo
from loopllm_cli.profiles.baseline import Baseline
from loopllm_cli.profiles.clusters import N_BUCKETS, to_buckets
from loopllm_cli.profiles.features import N_STYLE
from loopllm_cli.profiles.measure import measure
from loopllm_cli.profiles.segments import SegmentModel, fit_prompts
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.store.project import Project
from loopllm_cli.store.windows import read_window


@dataclass(frozen=True)
class Source:
    """A baseline's rows, where they are from, and what is to be said of them.

    `refit` fits segments on a part of the rows as they were fitted on all of them; None where
    that changes nothing (a column's values) or cannot be done (a sample has no prompts).
    """

    rows: CleanRows
    origin: str
    refit: Refit | None
    notes: tuple[str, ...]


def read_clean_rows(project: Project, config: Config, baseline: Baseline) -> Source:
    """Read a baseline's rows again, or take its sample of them where they are gone.

    Raises:
        ConfigError: a signal's definition is not the baseline's.
        EmptyWindow: the rows are gone, and the baseline holds no sample of them.
    """
    signals, _ = comparable_signals(project, config, baseline)
    infos = tuple(signals[name].info for name in signals)
    try:
        table = read_window(project, frozen_window(baseline), "the baseline's window")
    except (EmptyWindow, StoreUnavailable):
        if not len(baseline.sample):
            raise
        rows = _of_sample(baseline, infos)
        noted = [f"the rows are gone from the store; the sample holds {len(rows):,} of them"]
        if baseline.segments.basis == "prompts":
            noted.append("segments know the rows of the current parts, which flatters the rates")
        return Source(_logged(rows), "the baseline's sample", None, tuple(noted))
    measured = measure(table, signals, baseline.segments, baseline.cluster_by)
    rows = CleanRows(
        infos,
        measured.values,
        measured.segments,
        baseline.segments.n_segments,
        _numbered(np.array(measured.keys)),
        to_buckets(measured.keys),
        measured.dates,
        baseline.weekly.signal_names,
    )
    noted = [f"{name}: {why}" for name, why in measured.failures.items()]
    if len(rows) != baseline.summary.n_rows:
        held = f"{baseline.summary.n_rows:,} when the baseline was made"
        noted.append(f"the window holds {len(rows):,} rows now, {held}")
    rows = _logged(rows)
    refit = None
    if baseline.segments.basis == "prompts":
        refit = _refitting(measured.batch, measured.values, rows, baseline.segments)
    return Source(rows, "the store", refit, tuple(noted))


def _refitting(batch: RowBatch, values: FloatArray, rows: CleanRows, model: SegmentModel) -> Refit:
    """Return how to fit segments anew, with or without the signals as the model was."""
    follow_signals = model.loadings.shape[-1] > N_STYLE

    def refit(part: BoolArray) -> CleanRows:
        chosen = RowBatch(batch.table.take(np.flatnonzero(part)))
        fitted = fit_prompts(chosen, values[part] if follow_signals else None)
        return replace(rows, segments=fitted.assign(batch), n_segments=fitted.n_segments)

    return refit


def _of_sample(baseline: Baseline, infos: tuple[SignalInfo, ...]) -> CleanRows:
    """Take a baseline's sampled rows; a cluster's hash gives its bucket, too."""
    sample = baseline.sample.columns(tuple(info.name for info in infos))
    days = np.where(sample.days >= 0, sample.days, 0).astype("datetime64[D]")
    return CleanRows(
        infos,
        sample.values.astype(np.float64),
        sample.segments.astype(np.int64),
        baseline.segments.n_segments,
        _numbered(sample.clusters),
        (sample.clusters % np.uint64(N_BUCKETS)).astype(np.int64),
        np.where(sample.days >= 0, days, np.datetime64("NaT")),
        baseline.weekly.signal_names,
    )


def _logged(rows: CleanRows) -> CleanRows:
    """Leave out the signals that no row has."""
    at = np.flatnonzero(np.isfinite(rows.values).any(axis=0))
    infos = tuple(rows.signals[k] for k in at)
    names = {info.name for info in infos}
    seasonal = tuple(name for name in rows.seasonal if name in names)
    return replace(rows, signals=infos, values=rows.values[:, at], seasonal=seasonal)


def _numbered(keys: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Number clusters in the order of their first rows, so that names and hashes split alike."""
    _, first, number = np.unique(keys, return_index=True, return_inverse=True)
    ranks: npt.NDArray[np.int64] = np.argsort(np.argsort(first))[number].astype(np.int64)
    return ranks
