"""Measure a window: every signal on every row, then the sums that outlive the rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loopllm_cli.profiles.clusters import cluster_keys, to_buckets
from loopllm_cli.profiles.days import DaySums, build_days
from loopllm_cli.profiles.hours import UNKNOWN, HourSums, build_hours
from loopllm_cli.profiles.profile import Profile, build_profile
from loopllm_cli.profiles.sample import Rows
from loopllm_cli.profiles.season import build_weekly, weekdays_of
from loopllm_cli.profiles.segments import SegmentModel
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.signals.catalogue import compute_signals
from loopllm_cli.signals.registry import Signal

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Measured:
    """A window in numbers.

    Shapes: `values` (n_rows, n_signals), `segments` (n_rows,), `dates` (n_rows,) UTC days (NaT
    where unknown). `failures` maps a user signal to why it gave nothing.
    """

    batch: RowBatch
    profile: Profile
    values: FloatArray
    segments: IntArray
    keys: list[str]
    dates: npt.NDArray[np.datetime64]
    failures: dict[str, str]

    @property
    def rows(self) -> Rows:
        """The rows as `sample.draw_sample` takes them."""
        names = self.profile.signal_names
        return Rows(self.batch, names, self.values, self.segments, self.keys)

    @property
    def n_segments(self) -> int:
        """Number of segments of the model that placed the rows."""
        return len(self.profile.n_rows)

    def days(self) -> DaySums:
        """Sum the signals by day and segment."""
        return build_days(
            self.profile.signal_names,
            self.values,
            self.segments,
            self.dates,
            self.n_segments,
            buckets=to_buckets(self.keys),
        )

    def sums(self) -> FloatArray:
        """Sum the signals by segment, shape (4, n_segments, n_signals): counts and moments."""
        names, one_day = self.profile.signal_names, np.zeros(len(self.values), "datetime64[D]")
        days = build_days(names, self.values, self.segments, one_day, self.n_segments)
        return np.stack([days.n, days.total, days.total_sq, days.total_cu])[:, 0]

    def hours(self) -> HourSums:
        """Sum the signals' residuals by hour."""
        names, minutes = self.profile.signal_names, minutes_of(self.batch)
        return build_hours(names, self.values, self.segments, minutes, self.n_segments)

    def weekly(self, names: tuple[str, ...]) -> Profile:
        """Sum some signals by weekday, segment and cluster bucket."""
        at = [self.profile.signal_names.index(name) for name in names]
        places = (weekdays_of(self.dates), self.segments, to_buckets(self.keys))
        return build_weekly(names, self.values[:, at], places, self.n_segments)

    def columns(self, names: tuple[str, ...]) -> Measured:
        """Return the measurement of some signals only, in their order."""
        at = [self.profile.signal_names.index(name) for name in names]
        return replace(self, profile=self.profile.columns(names), values=self.values[:, at])


def measure(
    rows: pa.Table | RowBatch,
    signals: dict[str, Signal],
    model: SegmentModel,
    cluster_by: str | None = None,
) -> Measured:
    """Compute a window's signals and sum them by segment and cluster bucket."""
    batch = rows if isinstance(rows, RowBatch) else RowBatch(rows)
    return place(batch, tuple(signals), compute_signals(batch, signals), model, cluster_by)


def place(
    batch: RowBatch,
    names: tuple[str, ...],
    computed: tuple[FloatArray, dict[str, str]],
    model: SegmentModel,
    cluster_by: str | None,
) -> Measured:
    """Give rows whose signals are computed their segments and clusters, and sum them.

    Args:
        computed: what `compute_signals` returned for the batch.
    """
    values, failures = computed
    segments = model.assign(batch)
    keys = cluster_keys(batch, cluster_by)
    profile = build_profile(names, values, segments, to_buckets(keys), model.n_segments)
    return Measured(batch, profile, values, segments, keys, dates_of(batch), failures)


def dates_of(batch: RowBatch) -> npt.NDArray[np.datetime64]:
    """Return each row's UTC day, NaT where its time is unknown."""
    times = batch.values("request_time")
    days = ["NaT" if t is None else f"{t:%Y-%m-%d}" for t in times]
    return np.array(days, dtype="datetime64[D]")


def minutes_of(batch: RowBatch) -> IntArray:
    """Return each row's minute since 1970 (UTC), `hours.UNKNOWN` where its time is unknown."""
    times = batch.values("request_time")
    return np.array(
        [UNKNOWN if t is None else int(t.timestamp()) // 60 for t in times], dtype=np.int64
    )
