"""Judge one night after another against a baseline, with a budget of false pages.

A signal turns *worse* in the first night in which a window pages (`night_evidence.py`): that is a
page. It stays worse until the last three nights are back within the tolerance: clearly so (z below
−1.28), or by their mean and that of the last seven. Windows that reach back before a recovery are
not used any more, which only lowers the error. Nothing that is known of later nights enters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loopllm_cli.drift import night_evidence as evidence
from loopllm_cli.drift.influence import ratio
from loopllm_cli.drift.night_plan import Group, Plan
from loopllm_cli.drift.night_scores import NOT_JUDGED, Windows, score

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

NONE = -1
_RECENT = evidence.WINDOWS[1]
_CLEARLY_BACK = -1.28
_BEFORE = 28


@dataclass(frozen=True)
class NightState:
    """What a night leaves to the next one; shape (n_signals,).

    `since` is the night (counted from 0) in which a signal turned worse, -1 where it is not;
    `floor` the first night that windows may reach back to.
    """

    since: IntArray
    floor: IntArray

    @classmethod
    def new(cls, n_signals: int) -> NightState:
        """Return the state before the first night."""
        return cls(np.full(n_signals, NONE), np.zeros(n_signals, dtype=np.int64))


@dataclass(frozen=True)
class NightFindings:
    """What a night showed; shape (n_signals,).

    `paged` marks signals that turned worse tonight, `recovered` those that are no longer.
    `start` is the first night of the window to report: of those that page, three nights, a week,
    the slow lane's from the newest on, tonight; else the slow lane's newest that is a week old.
    `margin` is how far the best window is from paging, as a log likelihood; above 0 it pages.
    `better` and `moved` hold the same evidence on the good side, and on either side for signals
    without a bad one.
    """

    state: NightState
    paged: BoolArray
    recovered: BoolArray
    better: BoolArray
    moved: BoolArray
    start: IntArray
    margin: FloatArray


@dataclass(frozen=True)
class History:
    """All nights judged so far, in the order of arrival, the newest last.

    Shapes: `sums` (4, n_nights, n_segments, n_signals) as in `Sums`; `weekdays` (n_nights,).
    `first` is the number of the first night that is held; earlier ones are out of reach.
    """

    sums: FloatArray
    weekdays: IntArray
    first: int = 0

    @property
    def last(self) -> int:
        """The number of the newest night."""
        return self.first + len(self.weekdays) - 1


def reach() -> int:
    """Return how many nights back a decision looks."""
    return (max(evidence.STARTS_FOLLOWED) + 1) * evidence.RESTART_EVERY + _BEFORE


def judge_night(plan: Plan, history: History, before: NightState) -> NightFindings:
    """Judge the newest night of a history."""
    night, n_fast = history.last, len(evidence.WINDOWS)
    starts = _starts(night)
    z_bad, bad, good = _margins(plan, history, starts)
    whole = starts >= 0
    starts = np.maximum(starts, history.first)
    live = (starts[:, None] >= before.floor) & whole[:, None] & plan.usable
    bad, good = np.where(live, bad, -np.inf), np.where(live, good, -np.inf)
    fires = (bad > 0).any(axis=0) & plan.paging
    was_worse = before.since >= 0
    fast_fires = (bad[:n_fast] > 0).any(axis=0)
    recovered = was_worse & ~fast_fires & is_back(z_bad[1], z_bad[2])
    since = np.where(was_worse, before.since, np.where(fires, night, NONE))
    floor = np.where(recovered, max(night - _RECENT + 1, 0), before.floor)
    state = NightState(np.where(recovered, NONE, since), floor)
    paging = starts[_first_firing(bad > 0)]
    start = np.where(fires & ~recovered, paging, _reported(starts, floor, night))
    return NightFindings(
        state,
        fires & ~was_worse,
        recovered,
        (good > 0).any(axis=0) & plan.paging & (state.since < 0),
        (np.maximum(bad, good) > 0).any(axis=0) & ~plan.paging,
        start,
        bad.max(axis=0),
    )


def make_windows(group: Group, history: History, starts: IntArray) -> Windows:
    """Sum a history into the windows that begin in some nights and end with the newest."""
    nights = np.arange(history.first, history.last + 1)
    member = (nights >= starts[:, None]).astype(float)
    rows = history.sums[0][..., group.at].sum(axis=1)
    counted = rows * group.kept(rows)
    kept = ratio(member @ counted, member @ rows, 1.0)
    present = member @ (rows > 0)
    sums = group.strata(history.sums, history.weekdays, member)
    return Windows(group, sums, kept, group.design_effect(present))


def mixture(group: Group, history: History, starts: IntArray, plan: Plan) -> FloatArray:
    """Return the ρ of windows, from what nights held before they began.

    Before the first night, the baseline's nights stand in. Shape (n_mixture, n_windows, n_group).
    """
    nights = np.arange(history.first, history.last + 1)
    begin = starts[:, None]
    earlier = ((nights < begin) & (nights >= begin - _BEFORE)).astype(float)
    rows = history.sums[0][..., group.at].sum(axis=1)
    usual = plan.rows_per_night[group.at]
    mean = ratio(earlier @ (rows * group.kept(rows)), earlier @ (rows > 0))
    mean = np.where(mean > 0, mean, usual * group.kept(usual))
    whole = group.base.n.sum(axis=0)
    limit = evidence.slow_threshold(plan.settings, plan.family)
    clocks = [
        ratio(whole * mean * m, whole + mean * m) / group.deff_night
        for m in evidence.MIXTURE_NIGHTS
    ]
    return evidence.tuned(np.stack(clocks), limit)


def _starts(night: int) -> IntArray:
    """Return the first nights of all windows: the fast lane's, then the slow lane's newest first.

    A window that would begin before the first night has a negative start.
    """
    fast = [night - w + 1 for w in evidence.WINDOWS]
    newest = night // evidence.RESTART_EVERY * evidence.RESTART_EVERY
    slow = [newest - k * evidence.RESTART_EVERY for k in evidence.STARTS_FOLLOWED]
    return np.array([*fast, *(start for start in slow if start >= 0)], dtype=np.int64)


def _margins(
    plan: Plan, history: History, starts: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return scores on the bad side, and the margins of both sides; (n_windows, n_signals)."""
    n_fast = len(evidence.WINDOWS)
    slow_limit = evidence.slow_threshold(plan.settings, plan.family)
    fast_limits = evidence.fast_thresholds(plan.settings, plan.family)[:, None]
    z_bad, bad, good = (np.full((len(starts), len(plan.infos)), -np.inf) for _ in range(3))
    for group in plan.groups:
        windows = make_windows(group, history, starts)
        tolerance, up = plan.tolerance[group.at], plan.worse_up[group.at]
        above = score(windows, tolerance, upwards=True)
        below = score(windows, -tolerance, upwards=False)
        rho = mixture(group, history, starts[n_fast:], plan)
        clock = np.maximum(windows.clock[n_fast:], 1e-9)
        z_bad[:, group.at] = np.where(up, above, below)
        for out, z in ((bad, z_bad[:, group.at]), (good, np.where(up, below, above))):
            fast = (z[:n_fast] * np.abs(z[:n_fast]) - fast_limits**2) / 2
            slow = evidence.log_evidence(z[n_fast:], clock, rho) - slow_limit
            out[:, group.at] = np.concatenate([fast, slow])
    return z_bad, bad, good


def is_back(z_recent: FloatArray, z_week: FloatArray) -> BoolArray:
    """Tell which signals are within their tolerance again (see above)."""
    known, known_week = z_recent > NOT_JUDGED, z_week > NOT_JUDGED
    clearly = known & (z_recent < _CLEARLY_BACK)
    return clearly | ((z_recent < 0) & known_week & (z_week < 0))


def _first_firing(fires: BoolArray) -> IntArray:
    """Return which window to report of those that page, one per signal."""
    tonight = np.arange(len(fires)) == 0
    order = np.argsort(tonight, kind="stable")
    found: IntArray = order[fires[order].argmax(axis=0)]
    return found


def _reported(starts: IntArray, floor: IntArray, night: int) -> IntArray:
    """Return the start to report: the newest of the slow lane a week old, else the oldest."""
    slow = starts[len(evidence.WINDOWS) :, None]
    inside = slow >= floor
    old = inside & (slow <= night - evidence.RESTART_EVERY + 1)
    newest = np.where(old, slow, NONE).max(axis=0)
    everything = starts[:, None]
    oldest = np.where(everything >= floor, everything, night).min(axis=0)
    found: IntArray = np.where(newest >= 0, newest, oldest)
    return found
