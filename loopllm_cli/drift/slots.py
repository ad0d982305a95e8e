"""Judge what came in within minutes, against a baseline, with a budget of false alarms.

The score is that of the nights (`night_scores.py`); a window of the last minutes stands in for a
night. Two things differ:

    spread    an hour shares more than its day: its mean varies by the variance between *hours* of
              the baseline (`night_variance.py`, with hours in the place of nights), and a window,
              however short, is taken to lie within one. n rows count as n / (1 + n λ)
    budget    B false alarms a year are spent evenly on all looks: J one-sided signals in W windows
              at the end of every slot. A window alarms where z > Φ⁻¹(1 − a), a = B / (looks W J)

By the union bound the expected number of false alarms in a year is at most B, however the looks
depend on each other, as long as the score's tail is no heavier than the normal one: measured in
`scripts/simulate_watch.py`. Windows longer than four hours are the nightly ledger's.

A signal is worse from the first alarm until the windows of 9 and 27 slots are back within its
tolerance, as nights are (`nights.is_back`). Windows do not reach back before a recovery.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import special

from loopllm_cli.drift.night_plan import Group, Plan
from loopllm_cli.drift.night_scores import Windows, score
from loopllm_cli.drift.night_variance import between_nights
from loopllm_cli.drift.nights import NONE, is_back

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

WINDOWS = (1, 3, 9, 27, 81, 243)
"""Slots in the windows that are looked at: with slots of a minute, up to four hours."""
REACH = WINDOWS[-1]
SECONDS_PER_YEAR = 365 * 24 * 3600
_BACK = (2, 3)
"""Places in `WINDOWS` of the two that say that a signal is back."""


@dataclass(frozen=True)
class SlotState:
    """What a slot leaves to the next one; shape (n_signals,).

    `since` is the slot in which a signal turned worse, -1 where it is not; `floor` the first slot
    that windows may reach back to.
    """

    since: IntArray
    floor: IntArray

    @classmethod
    def new(cls, n_signals: int) -> SlotState:
        """Return the state before the first slot."""
        return cls(np.full(n_signals, NONE), np.full(n_signals, NONE))


@dataclass(frozen=True)
class SlotFindings:
    """What a slot showed; shape (n_signals,).

    `window` is the place in `WINDOWS` of the surest window; `n`, `before` and `after` are its rows
    and the levels that it compares, at the strata that both sides have.
    """

    state: SlotState
    turned: BoolArray
    recovered: BoolArray
    window: IntArray
    n: FloatArray
    before: FloatArray
    after: FloatArray


def by_hours(plan: Plan, hours: FloatArray) -> Plan:
    """Return a plan whose windows vary as hours do, where these vary more than nights.

    Args:
        hours: the baseline's hours as `HourSums.moments` gives them, in the plan's order.
    """
    axis = np.zeros(hours.shape[1], dtype=np.int64)

    def of(group: Group) -> Group:
        found = between_nights(hours[..., group.at], axis, 1, group.deff_night)
        more = found.ratio > group.night_ratio
        return replace(
            group,
            night_ratio=np.where(more, found.ratio, group.night_ratio),
            nights_df=np.where(more, found.df, group.nights_df),
        )

    return replace(plan, groups=tuple(of(group) for group in plan.groups))


def threshold(plan: Plan, false_alarms_per_year: float, slot_seconds: float) -> float:
    """Return the score beyond which a window alarms."""
    looks = SECONDS_PER_YEAR / slot_seconds * len(WINDOWS) * plan.family
    return float(-special.ndtri(false_alarms_per_year / looks))


def slot_scores(plan: Plan, sums: FloatArray, weekdays: IntArray) -> FloatArray:
    """Score windows on the bad side of each signal, shape (n_windows, n_signals).

    Args:
        sums: shape (4, n_windows, n_segments, n_signals): counts and moments of each window.
        weekdays: shape (n_windows,), the weekday on which each window ends.
    """
    out = np.full((sums.shape[1], len(plan.infos)), -np.inf)
    for group in plan.groups:
        windows = _windows(group, sums, weekdays)
        tolerance = plan.tolerance[group.at]
        above = score(windows, tolerance, upwards=True)
        below = score(windows, -tolerance, upwards=False)
        out[:, group.at] = np.where(plan.worse_up[group.at], above, below)
    return out


def judge_slot(
    plan: Plan,
    limit: float,
    newest: tuple[int, int],
    sums: FloatArray,
    before: SlotState,
) -> SlotFindings:
    """Judge the windows that end with the newest slot.

    Args:
        limit: the score beyond which a window alarms.
        newest: the number of the newest slot and its weekday.
        sums: shape (4, len(WINDOWS), n_segments, n_signals), in the order of `WINDOWS`.
    """
    slot, weekday = newest
    weekdays = np.full(len(WINDOWS), weekday)
    z = slot_scores(plan, sums, weekdays)
    starts = slot - np.array(WINDOWS) + 1
    live = (starts[:, None] >= before.floor) & plan.usable & plan.paging
    z_live = np.where(live, z, -np.inf)
    fires = (z_live > limit).any(axis=0)
    was_worse = before.since >= 0
    recovered = was_worse & ~fires & is_back(*(z[place] for place in _BACK))
    since = np.where(was_worse, before.since, np.where(fires, slot, NONE))
    floor = np.where(recovered, slot - WINDOWS[_BACK[0]] + 1, before.floor)
    window = np.where(np.isfinite(z_live).any(axis=0), z_live.argmax(axis=0), 0)
    n, low, high = _levels(plan, sums, weekdays, window)
    return SlotFindings(
        SlotState(np.where(recovered, NONE, since), floor),
        fires & ~was_worse,
        recovered,
        window,
        n,
        low,
        high,
    )


def _windows(group: Group, sums: FloatArray, weekdays: IntArray) -> Windows:
    """Take every window for a night of its own."""
    n_windows = sums.shape[1]
    rows = sums[0][..., group.at].sum(axis=1)
    return Windows(
        group,
        group.strata(sums, weekdays, np.eye(n_windows)),
        group.kept(rows),
        group.design_effect(np.ones_like(rows)),
    )


def _levels(
    plan: Plan, sums: FloatArray, weekdays: IntArray, window: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return rows, the baseline's level and the window's, of one window per signal."""
    n, low, high = (np.full(len(plan.infos), np.nan) for _ in range(3))
    for group in plan.groups:
        own, place = window[group.at], np.arange(len(group.at))
        before, after = _windows(group, sums, weekdays).levels()
        rows = sums[0][..., group.at].sum(axis=1)
        n[group.at] = rows[own, place]
        low[group.at], high[group.at] = before[own, place], after[own, place]
    return n, low, high
