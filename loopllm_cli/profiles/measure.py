"""Measure a window: every signal on every row, then the sums that outlive the rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loopllm_cli.profiles.clusters import cluster_keys, to_buckets
from loopllm_cli.profiles.profile import Profile, build_profile
from loopllm_cli.profiles.segments import SegmentModel
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.signals.catalogue import compute_signals
from loopllm_cli.signals.registry import Signal

Daily = dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]


@dataclass(frozen=True)
class Measured:
    """A window in numbers.

    Shapes: `values` (n_rows, n_signals), `segments` (n_rows,). `daily` maps an ISO day to the
    counts and sums of each signal; `failures` maps a user signal to why it gave nothing.
    """

    profile: Profile
    values: npt.NDArray[np.float64]
    segments: npt.NDArray[np.int64]
    keys: list[str]
    daily: Daily
    failures: dict[str, str]

    def columns(self, names: tuple[str, ...]) -> Measured:
        """Return the measurement of some signals only, in their order."""
        at = [self.profile.signal_names.index(name) for name in names]
        return replace(
            self,
            profile=self.profile.columns(names),
            values=self.values[:, at],
            daily=columns_of(self.daily, at),
        )


def measure(
    rows: pa.Table | RowBatch,
    signals: dict[str, Signal],
    model: SegmentModel,
    cluster_by: str | None = None,
) -> Measured:
    """Compute a window's signals and sum them by segment and cluster bucket."""
    batch = rows if isinstance(rows, RowBatch) else RowBatch(rows)
    values, failures = compute_signals(batch, signals)
    segments = model.assign(batch)
    keys = cluster_keys(batch, cluster_by)
    profile = build_profile(tuple(signals), values, segments, to_buckets(keys), model.n_segments)
    return Measured(profile, values, segments, keys, _by_day(batch, values), failures)


def columns_of(daily: Daily, at: list[int]) -> Daily:
    """Reduce daily sums to some signals."""
    return {day: (counts[at], totals[at]) for day, (counts, totals) in daily.items()}


def _by_day(batch: RowBatch, values: npt.NDArray[np.float64]) -> Daily:
    days = np.array([f"{t:%Y-%m-%d}" if t else "" for t in batch.values("request_time")])
    daily: Daily = {}
    for day in sorted(set(days.tolist()) - {""}):
        part = values[days == day]
        applies = np.isfinite(part)
        daily[day] = (applies.sum(axis=0).astype(float), np.where(applies, part, 0.0).sum(axis=0))
    return daily
