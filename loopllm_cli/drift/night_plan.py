"""What a nightly monitor has to know of its baseline before the first night.

Strata are the baseline's segments; for signals that follow the week (`season.py`), segment times
weekday. Two things make a night's mean vary more than its rows would by themselves:

    sessions    rows of one cluster are alike: variance times a design effect, for one night
                (clusters within a day) and for a window as long as the baseline (clusters over all
                days); in between, linear in the length, as the rows per returning cluster are
    nights      something hits all rows of a night alike (`night_variance.py`): a night of n rows
                counts as n / (1 + n λ) rows

Source: Kish (1965), "Survey sampling", ch. 5 (design effect).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from loopllm_cli.drift.influence import ratio
from loopllm_cli.drift.night_variance import MIN_NIGHTS, between_nights, growth_to_edge
from loopllm_cli.model import SignalInfo, SignalKind, Worse
from loopllm_cli.profiles.days import DaySums
from loopllm_cli.profiles.profile import Profile
from loopllm_cli.profiles.season import N_WEEKDAYS

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

THIN = 20.0
"""Strata with fewer baseline rows of a signal are pooled: they know neither level nor spread."""


class Sums(NamedTuple):
    """Counts and moments; the last axis is the signals, the one before it the strata."""

    n: FloatArray
    total: FloatArray
    total_sq: FloatArray
    total_cu: FloatArray


@dataclass(frozen=True, slots=True)
class NightSettings:
    """The budget of a monitor and how it is laid out.

    `false_pages_per_year` bounds the expected number of false pages in 365 nights; the share
    `fast` of it is spent on short windows, the rest on the e-process (`night_evidence.py`).
    `level` is the confidence of the printed intervals.
    """

    false_pages_per_year: float = 1.0
    fast: float = 0.75
    level: float = 0.95


@dataclass(frozen=True)
class Group:
    """Signals that share one kind of strata: segments, or weekday times segment.

    Shapes: `at` (n_group,) places in the plan; `thin` (n_axis, n_segments, n_group); `base` arrays
    (n_strata, n_group); everything else (n_group,).
    `growth` is that of the excess variance towards the edge of the tolerance.
    """

    at: IntArray
    weekly: bool
    thin: BoolArray
    base: Sums
    night_ratio: FloatArray
    nights_df: FloatArray
    base_kept: FloatArray
    deff_night: FloatArray
    deff_whole: FloatArray
    growth: FloatArray
    n_nights: int
    is_rate: BoolArray

    def strata(self, nights: FloatArray, weekdays: IntArray, windows: FloatArray) -> Sums:
        """Sum nights into windows by stratum, each night at the weight that it is worth.

        Args:
            nights: shape (4, n_nights, n_segments, n_signals of the plan).
            weekdays: shape (n_nights,).
            windows: shape (n_windows, n_nights), 1 where a night belongs to a window.
        """
        own = nights[..., self.at]
        kept = self.kept(own[0].sum(axis=1))
        members = windows[:, None, :]
        if self.weekly:
            members = members * (weekdays == np.arange(N_WEEKDAYS)[:, None])
        flat = (own * kept[:, None, :]).reshape(4, len(weekdays), -1)
        summed = np.matmul(members.reshape(-1, len(weekdays)), flat)
        n_axis = members.shape[1]
        shape = (4, len(windows), n_axis, own.shape[2], own.shape[3])
        return Sums(*_pool(summed.reshape(shape), self.thin))

    def kept(self, n_rows: FloatArray) -> FloatArray:
        """Return what share of a night's rows counts, given its rows per signal."""
        return 1.0 / (1.0 + n_rows * self.night_ratio * self.growth)

    def design_effect(self, n_nights: FloatArray) -> FloatArray:
        """Return the design effect of windows of so many nights, in the same shape."""
        span = max(self.n_nights - 1, 1)
        part = np.clip((n_nights - 1) / span, 0.0, 1.0)
        excess = self.deff_night - 1.0 + (self.deff_whole - self.deff_night) * part
        return 1.0 + excess * self.growth


@dataclass(frozen=True)
class Plan:
    """A monitor, ready to judge nights. `family` counts the signals that may page."""

    infos: tuple[SignalInfo, ...]
    settings: NightSettings
    groups: tuple[Group, ...]
    usable: BoolArray
    nights_known: bool
    rows_per_night: FloatArray
    tolerance: FloatArray = field(repr=False)
    worse_up: BoolArray = field(repr=False)
    paging: BoolArray = field(repr=False)

    @property
    def family(self) -> int:
        """Number of one-sided signals that the baseline has."""
        return max(int((self.usable & self.paging).sum()), 1)

    @property
    def weekly(self) -> BoolArray:
        """Which signals are compared weekday by weekday, shape (n_signals,)."""
        found = np.zeros(len(self.infos), dtype=bool)
        for group in self.groups:
            found[group.at] = group.weekly
        return found

    def collect(self, name: str) -> FloatArray:
        """Bring a number of the groups into the order of the signals."""
        out = np.zeros(len(self.infos))
        for group in self.groups:
            out[group.at] = getattr(group, name)
        return out


def make_plan(
    days: DaySums,
    profile: Profile,
    infos: tuple[SignalInfo, ...],
    seasonal: tuple[str, ...] = (),
    settings: NightSettings | None = None,
) -> Plan:
    """Prepare a monitor from a baseline's sums by day and by cluster bucket.

    Args:
        days: the baseline by day; its signals are those of `infos`, in their order.
        profile: the same window by cluster bucket.
        seasonal: the names of the signals that follow the week.
    """
    weekly = np.array([info.name in seasonal for info in infos], dtype=bool)
    choices = ((np.flatnonzero(~weekly), False), (np.flatnonzero(weekly), True))
    groups = tuple(
        _group(days, profile, infos, (at, by_week)) for at, by_week in choices if len(at)
    )
    usable = days.n.sum(axis=(0, 1)) > 0
    level = days.total.sum(axis=(0, 1))
    is_rate = _rates(infos)
    return Plan(
        infos,
        settings or NightSettings(),
        groups,
        usable & (is_rate | (level > 0)),
        len(days.days) >= MIN_NIGHTS,
        ratio(days.n.sum(axis=(0, 1)), np.full(len(infos), float(len(days.days)))),
        np.array([info.tolerance for info in infos]),
        np.array([info.worse is Worse.UP for info in infos], dtype=bool),
        np.array([info.worse is not Worse.EITHER for info in infos], dtype=bool),
    )


def whole_design_effect(profile: Profile) -> FloatArray:
    """Return the variance of a window's sums, by cluster buckets, over that of independent rows."""
    n, total = profile.n.sum(axis=1), profile.total.sum(axis=1)
    mean = ratio(total, n)
    bucket = (profile.total - profile.n * mean[:, None, :]).sum(axis=0)
    squares = profile.total_sq.sum(axis=(0, 1)) - (n * mean**2).sum(axis=0)
    return np.maximum(ratio((bucket**2).sum(axis=0), squares, 1.0), 1.0)


def _group(
    days: DaySums,
    profile: Profile,
    infos: tuple[SignalInfo, ...],
    chosen: tuple[IntArray, bool],
) -> Group:
    at, weekly = chosen
    own = np.stack([days.n, days.total, days.total_sq, days.total_cu])[..., at]
    n_axis = N_WEEKDAYS if weekly else 1
    axis = days.weekdays if weekly else np.zeros(len(days.days), dtype=np.int64)
    deff_night = _night_design_effect(own, days.clumped[:, at])
    found = between_nights(own, axis, n_axis, deff_night)
    kept = 1.0 / (1.0 + own[0].sum(axis=1) * found.ratio)
    member = (axis == np.arange(n_axis)[:, None]).astype(float)
    by_axis = np.einsum("ad,kdsj->kasj", member, own)
    thin = by_axis[0] < THIN
    weighted = np.einsum("ad,kdsj->kasj", member, own * kept[:, None, :])
    rows = own[0].sum(axis=(0, 1))
    whole = whole_design_effect(profile)[at]
    # Sums of 256 buckets know a design effect to 9%; a larger one has to show clearly.
    clear = whole > deff_night * (1 + 2 * np.sqrt(2 / 255))
    return Group(
        at,
        weekly,
        thin,
        Sums(*_pool(weighted, thin)),
        found.ratio,
        found.df,
        ratio(weighted[0].sum(axis=(0, 1)), rows, 1.0),
        deff_night,
        np.where(clear, whole, deff_night),
        growth_to_edge(ratio(own[1].sum(axis=(0, 1)), rows), tuple(infos[k] for k in at)),
        len(days.days),
        _rates(tuple(infos[k] for k in at)),
    )


def _night_design_effect(own: FloatArray, clumped: FloatArray) -> FloatArray:
    n, total, total_sq = (own[k].sum(axis=0) for k in range(3))
    squares = total_sq.sum(axis=0) - ratio(total**2, n).sum(axis=0)
    return np.maximum(ratio(clumped.sum(axis=0), squares, 1.0), 1.0)


def _pool(sums: FloatArray, thin: BoolArray) -> FloatArray:
    """Move thin strata into one more stratum (per weekday) and flatten the strata.

    Shapes: (..., n_axis, n_segments, n_signals) to (..., n_axis * (n_segments + 1), n_signals).
    """
    pooled = np.where(thin, sums, 0.0).sum(axis=-2, keepdims=True)
    joined = np.concatenate([np.where(thin, 0.0, sums), pooled], axis=-2)
    return joined.reshape(*joined.shape[:-3], -1, joined.shape[-1])


def _rates(infos: tuple[SignalInfo, ...]) -> BoolArray:
    return np.array([info.kind is SignalKind.RATE for info in infos], dtype=bool)
