"""What is said of a judged night: effects with intervals, and what could have been seen.

The interval inverts the score: it holds every change that the window's score does not reject at
the boundary of the two-sided normal mixture (`night_evidence.radius`), which all nights of one
window's life keep together. "Unchanged" is said where its bound on the bad side lies within the
tolerance.

The smallest visible change solves  d − τ = x √V₀ + z_power √V₁  with x the threshold of the lane
before the tail correction, V₀ the variance under the tolerated change and V₁ that under d.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from loopllm_cli.drift import night_evidence as evidence
from loopllm_cli.drift.influence import ratio
from loopllm_cli.drift.night_plan import Group, Plan
from loopllm_cli.drift.night_scores import MAX_SKEW, Windows, score, undo_tail
from loopllm_cli.drift.nights import History, NightFindings, make_windows, mixture
from loopllm_cli.model import Verdict

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

HORIZONS = (1, 7, 28)
POWER = 0.8
_ROUNDS = 24
_WIDEST = 7.0
"""Log ratios are searched to this: a mean known to within a factor of a thousand is not known."""


@dataclass(frozen=True)
class NightReport:
    """Numbers to show for every signal; shape (n_signals,), `visible` (n_horizons, n_signals).

    Units: as in `Comparison`. `visible` holds, per horizon, the smallest change that would page
    with 80% probability by then; NaN where none would.
    """

    verdicts: tuple[Verdict, ...]
    n_rows: FloatArray
    n_nights: IntArray
    baseline: FloatArray
    current: FloatArray
    change: FloatArray
    low: FloatArray
    high: FloatArray
    design_effect: FloatArray
    visible: FloatArray


def describe_night(plan: Plan, history: History, findings: NightFindings) -> NightReport:
    """Compute what to show of the newest night of a history."""
    found = {
        name: np.full(len(plan.infos), np.nan)
        for name in ("n_rows", "baseline", "current", "change", "low", "high", "design_effect")
    }
    visible = np.full((len(HORIZONS), len(plan.infos)), np.nan)
    for group in plan.groups:
        at = group.at
        starts, where = np.unique(findings.start[at], return_inverse=True)
        windows = make_windows(group, history, starts).pick(where)
        level = windows.levels()
        low, high = _interval(plan, group, history, windows)
        nights = np.arange(history.first, history.last + 1) >= findings.start[at][:, None]
        rows = history.sums[0][..., at].sum(axis=1)
        found["n_rows"][at] = (nights.T * rows).sum(axis=0)
        found["baseline"][at], found["current"][at] = level[0][0], level[1][0]
        found["change"][at] = windows.changes()[0]
        found["low"][at], found["high"][at] = low, high
        found["design_effect"][at] = windows.design_effect[0]
        visible[:, at] = _visible(plan, group, history)
    n_nights = history.last - findings.start + 1
    verdicts = _verdicts(plan, findings, (found["low"], found["high"]))
    return NightReport(verdicts, n_nights=n_nights, visible=visible, **found)


def _verdicts(
    plan: Plan, findings: NightFindings, bounds: tuple[FloatArray, FloatArray]
) -> tuple[Verdict, ...]:
    top, bottom = bounds[1] < plan.tolerance, bounds[0] > -plan.tolerance
    inside = np.where(plan.paging, np.where(plan.worse_up, top, bottom), top & bottom)
    said = [Verdict.UNCHANGED if ok else Verdict.INCONCLUSIVE for ok in inside]
    for marks, verdict in (
        (findings.moved, Verdict.CHANGED),
        (findings.better, Verdict.BETTER),
        (findings.state.since >= 0, Verdict.WORSE),
    ):
        said = [verdict if mark else old for mark, old in zip(marks, said, strict=True)]
    return tuple(said)


def _interval(
    plan: Plan, group: Group, history: History, windows: Windows
) -> tuple[FloatArray, FloatArray]:
    """Return the changes that the windows do not reject; NaN where nothing is known."""
    log_alpha = -np.log1p(-plan.settings.level)
    week = _clock(group, _usual(plan, group, history) * evidence.RESTART_EVERY)
    wide = evidence.radius(windows.clock[0], evidence.tuned(week, log_alpha), plan.settings.level)
    estimate = windows.changes()[0]
    bounds = []
    for upwards in (True, False):
        # The lower bound is the largest change that the estimate is clearly above.
        outer, inner = _search_range(group, estimate, upwards=not upwards)
        for _ in range(_ROUNDS):
            middle = (outer + inner) / 2
            rejected = score(windows, _to_change(group, middle), upwards=upwards)[0] > wide
            outer, inner = np.where(rejected, middle, outer), np.where(rejected, inner, middle)
        bounds.append(_to_change(group, outer))
    known = (windows.information[0] > 0) & np.isfinite(estimate) & plan.usable[group.at]
    low, high = (np.where(known, bound, np.nan) for bound in bounds)
    edge = np.expm1(_WIDEST) * 0.999
    return low, np.where(~group.is_rate & (high > edge), np.inf, high)


def _search_range(
    group: Group, estimate: FloatArray, *, upwards: bool
) -> tuple[FloatArray, FloatArray]:
    with np.errstate(invalid="ignore", divide="ignore"):
        inner = np.where(group.is_rate, estimate, np.log1p(np.maximum(estimate, -1 + 1e-3)))
    sign = 1.0 if upwards else -1.0
    outer = sign * np.where(group.is_rate, 1.0, _WIDEST)
    return outer, np.where(np.isfinite(inner), np.clip(inner, -_WIDEST, _WIDEST), 0.0)


def _to_change(group: Group, position: FloatArray) -> FloatArray:
    found: FloatArray = np.where(group.is_rate, position, np.expm1(position))
    return found


def _usual(plan: Plan, group: Group, history: History) -> FloatArray:
    """Return the rows that count of an ordinary night: of the last week, else the baseline's."""
    rows = history.sums[0][:, -evidence.RESTART_EVERY :][..., group.at].sum(axis=1)
    present = ratio(rows.sum(axis=0), (rows > 0).sum(axis=0))
    usual = np.where(present > 0, present, plan.rows_per_night[group.at])
    return usual * group.kept(usual)


def _clock(group: Group, rows: FloatArray) -> FloatArray:
    whole = group.base.n.sum(axis=0)
    return ratio(whole * rows, whole + rows) / group.deff_night


def _visible(plan: Plan, group: Group, history: History) -> FloatArray:
    """Return the smallest visible changes, shape (n_horizons, n_group)."""
    nights = np.array(HORIZONS, dtype=float)[:, None]
    rows = nights * _usual(plan, group, history)
    n_axis = 7.0 if group.weekly else 1.0
    # One night meets one weekday's part of the baseline only.
    whole = group.base.n.sum(axis=0) * np.minimum(nights, n_axis) / n_axis
    limits = _limits(plan, group, history, ratio(whole * rows, whole + rows))
    tolerance = plan.tolerance[group.at]
    sign = np.where(plan.worse_up, 1.0, -1.0)[group.at]
    level, spread, third = _shape_of(group)
    room = np.where(group.is_rate, np.where(sign > 0, 1 - level, level), np.where(sign > 0, 50, 1))
    null = _moments(group, (level, spread, third), sign * tolerance)
    per_b = group.deff_whole / np.maximum(whole, 1e-9)
    per_c = group.design_effect(nights) / np.maximum(rows, 1e-9)
    at_null = null[0] * per_b + np.maximum(null[1], null[0]) * per_c
    skew = sign * ratio(null[3] * per_c**2 - null[2] * per_b**2, at_null**1.5)
    needed = undo_tail(limits, skew)
    z_power = special.ndtri(POWER)
    low, high = np.broadcast_to(tolerance, rows.shape), np.broadcast_to(room, rows.shape)
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        then = _moments(group, (level, spread, third), sign * middle)
        noise = np.sqrt(null[0] * per_b + then[1] * per_c)
        # An amount's score takes its own variance where that is larger.
        scale = np.where(group.is_rate, np.sqrt(at_null), np.maximum(np.sqrt(at_null), noise))
        found = middle - tolerance > needed * scale + z_power * noise
        low, high = np.where(found, low, middle), np.where(found, middle, high)
    seen = (high < room * 0.999) & (skew <= MAX_SKEW) & plan.usable[group.at]
    return np.where(seen, high, np.nan)


def _limits(plan: Plan, group: Group, history: History, hours: FloatArray) -> FloatArray:
    """Return the score that pages within each horizon: the lane that asks least."""
    fast = evidence.fast_thresholds(plan.settings, plan.family)
    limit = evidence.slow_threshold(plan.settings, plan.family)
    rho = mixture(group, history, np.array([history.last + 1]), plan)
    clock = np.maximum(hours / group.design_effect(np.array(HORIZONS, float)[:, None]), 1e-9)
    slow = evidence.score_needed(clock, rho, limit)
    slow[0] = fast[0]
    slow[1] = np.minimum(slow[1], fast[2])
    return slow


def _shape_of(group: Group) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return level, variance and third moment of the baseline's rows within strata.

    Amounts are in units of their level.
    """
    n, total, square, cube = group.base
    mean = ratio(total, n)
    rows = np.maximum(n.sum(axis=0), 1e-9)
    level = total.sum(axis=0) / rows
    spread = np.maximum((square - n * mean**2).sum(axis=0), 0.0) / rows
    third = (cube - 3 * mean * square + 2 * n * mean**3).sum(axis=0) / rows
    unit = np.where(group.is_rate, 1.0, level)
    return level, ratio(spread, unit**2), ratio(third, unit**3)


def _moments(
    group: Group, shape: tuple[FloatArray, FloatArray, FloatArray], change: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return variances and third moments, of the baseline and of rows that have changed."""
    level, spread, third = shape
    own = level * (1 - level)
    within = ratio(spread, own, 1.0)  # strata that differ leave less variance within
    then = np.clip(level + change, 0.0, 1.0)
    moved = then * (1 - then)
    scale = np.where(group.is_rate, 1.0, 1 + change)
    return (
        np.where(group.is_rate, own * within, spread * scale**2),
        np.where(group.is_rate, moved * within, spread * scale**2),
        np.where(group.is_rate, own * (1 - 2 * level), third * scale**3),
        np.where(group.is_rate, moved * (1 - 2 * then), third * scale**3),
    )
