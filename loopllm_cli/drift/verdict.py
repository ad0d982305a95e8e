"""The only judge: from intervals and tolerances to verdicts, from verdicts to a status.

worse       the adjusted one-sided bound lies beyond the tolerance on the bad side
better      the same on the good side
changed     the same on either side, for a signal without a bad side
unchanged   the 95% one-sided bound on the bad side lies inside the tolerance (both sides for a
            signal without a bad side: two one-sided tests, Schuirmann 1987)
unclear     anything else: the window cannot tell

Never a verdict from a point estimate, nor from a p-value of "no change at all". Only "worse"
makes a window degraded. All bounds are those of what prompt clusters may leave unresolved too
(`unresolved.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from loopllm_cli.drift.effects import Effects
from loopllm_cli.drift.family import holm
from loopllm_cli.drift.intervals import BoolArray, FloatArray, effective_sizes
from loopllm_cli.drift.power import Goal, visible_change
from loopllm_cli.drift.unresolved import (
    BoundedChanges,
    bounded_changes,
    part_intervals,
    without_mix,
)
from loopllm_cli.model import Comparison, SignalInfo, SignalKind, Status, Verdict, Worse

UNRESOLVED = "traffic moved and clusters may not resolve it: log a route and use segment_by"


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """Error rates and what counts as too little.

    `alpha` is the chance that a comparison without any change beyond a tolerance calls
    anything worse. `inconclusive` says when a window without a worse signal is inconclusive:
    "most" when more than half of its one-sided signals are unclear, "any", or "never".
    `unresolved` is how much of a traffic shift's effect segments may miss, over what they see:
    0 for logged segments, which miss nothing by declaration.
    """

    alpha: float = 0.05
    power: float = 0.80
    inconclusive: str = "most"
    unresolved: float = 0.0


def judge(
    effects: Effects,
    signals: tuple[SignalInfo, ...],
    settings: JudgeSettings,
    segments: tuple[str | None, ...] = (None,),
) -> tuple[Comparison, ...]:
    """Judge every signal (in every segment), with Holm's control over all of them.

    Args:
        effects: arrays of shape (n_segments * n_signals,), signals varying fastest.
        segments: the segments' names, one None for whole windows.
    """
    table = tuple((segment, info) for segment in segments for info in signals)
    infos = tuple(info for _, info in table)
    tests = _run_tests(effects, infos, settings)
    numbers = _to_columns(effects, tests)
    parts = part_intervals(effects, settings.unresolved)
    return tuple(
        Comparison(
            signal=info,
            n_baseline=int(effects.n_baseline[i]),
            n_current=int(effects.n_current[i]),
            verdict=tests.verdicts[i],
            note=_note(effects, tests, i),
            segment=segment,
            parts=parts[i],
            **{name: float(column[i]) for name, column in numbers.items()},
        )
        for i, (segment, info) in enumerate(table)
    )


def judge_status(comparisons: tuple[Comparison, ...], settings: JudgeSettings) -> Status:
    """Decide what whole-window verdicts amount to."""
    if any(c.verdict is Verdict.WORSE for c in comparisons):
        return Status.DEGRADED
    paging = [
        c for c in comparisons if c.signal.worse is not Worse.EITHER and c.n_current + c.n_baseline
    ]
    unclear = sum(c.verdict is Verdict.INCONCLUSIVE for c in paging)
    too_many = {"most": unclear * 2 > len(paging), "any": unclear > 0, "never": False}
    return Status.INCONCLUSIVE if too_many[settings.inconclusive] else Status.OK


def family_size(comparisons: tuple[Comparison, ...]) -> int:
    """Count the signals over which "worse" was controlled."""
    return sum(c.signal.worse is not Worse.EITHER and math.isfinite(c.low) for c in comparisons)


@dataclass(frozen=True)
class _Tests:
    """What was computed for every signal; all arrays have one shape."""

    changes: BoundedChanges
    usable: BoolArray
    excused: BoolArray
    p_value: FloatArray
    p_adjusted: FloatArray
    low: FloatArray
    high: FloatArray
    visible: FloatArray
    verdicts: tuple[Verdict, ...]


def _run_tests(effects: Effects, infos: tuple[SignalInfo, ...], settings: JudgeSettings) -> _Tests:
    is_rate = np.array([info.kind is SignalKind.RATE for info in infos])
    worse_up = np.array([info.worse is Worse.UP for info in infos])
    paging = np.array([info.worse is not Worse.EITHER for info in infos])
    tolerance = np.array([info.tolerance for info in infos])
    changes = bounded_changes(effects, is_rate, settings.unresolved)
    usable = _usable(effects, changes)
    moving = usable & ~_constant(effects)
    families = (moving & paging, moving & ~paging)
    p_value, p_moved, p_good = _p_values(changes.p_outside(tolerance), worse_up, paging, families)
    _, p_seen, _ = _p_values(changes.seen.p_outside(tolerance), worse_up, paging, families)
    n_tests = max(int((moving & paging).sum()), 1)
    upwards = worse_up | ~paging
    hidden = tolerance + changes.hidden(upwards)
    goal = Goal(hidden, upwards, settings.alpha / n_tests, settings.power)
    goal = Goal(
        tolerance + changes.hidden(upwards), upwards, settings.alpha / n_tests, settings.power
    )
    visible = visible_change(without_mix(effects, settings.unresolved), changes.explained, goal)
    low, high = changes.interval(0.95)
    inside = _inside(changes, tolerance, (worse_up, paging), settings.alpha)
    verdicts = tuple(
        _verdict(info, bool(usable[i]), bool(inside[i]), (p_moved[i], p_good[i]), settings)
        for i, info in enumerate(infos)
    )
    blank = np.where(usable, 1.0, np.nan)
    return _Tests(
        changes,
        usable,
        (p_seen < settings.alpha) & (p_moved >= settings.alpha),
        p_value,
        p_moved,
        low * blank,
        high * blank,
        visible * blank,
        verdicts,
    )


def _p_values(
    outside: tuple[FloatArray, FloatArray],
    worse_up: BoolArray,
    paging: BoolArray,
    families: tuple[BoolArray, BoolArray],
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return p-values of the bad way (or of either way), these adjusted, and of the good way."""
    above, below = outside
    bad, good = np.where(worse_up, above, below), np.where(worse_up, below, above)
    either = np.minimum(2 * np.minimum(above, below), 1.0)
    one_sided, two_sided = families
    p_value = np.where(paging, bad, either)
    moved = np.where(paging, _adjust(p_value, one_sided), _adjust(either, two_sided))
    return p_value, moved, _adjust(good, one_sided)


def _verdict(
    info: SignalInfo,
    usable: bool,
    inside: bool,
    p_adjusted: tuple[float, float],
    settings: JudgeSettings,
) -> Verdict:
    p_moved, p_good = p_adjusted
    if not usable:
        return Verdict.INCONCLUSIVE
    if p_moved < settings.alpha:
        return Verdict.CHANGED if info.worse is Worse.EITHER else Verdict.WORSE
    if info.worse is not Worse.EITHER and p_good < settings.alpha:
        return Verdict.BETTER
    return Verdict.UNCHANGED if inside else Verdict.INCONCLUSIVE


def _to_columns(effects: Effects, tests: _Tests) -> dict[str, FloatArray]:
    """Name the numbers of a comparison, each computed once for all signals."""
    sizes = effective_sizes(effects)
    return {
        "baseline": effects.mean_baseline,
        "current": effects.mean_current,
        "total": effects.total,
        "behaviour": effects.behaviour,
        "mix": effects.mix,
        "new_traffic": effects.new_traffic,
        "vanished_traffic": effects.vanished_traffic,
        "change": tests.changes.change,
        "low": tests.low,
        "high": tests.high,
        "design_effect": effects.design_effect,
        "effective_n_baseline": sizes[0],
        "effective_n_current": sizes[1],
        "df": effects.df,
        "p_value": tests.p_value,
        "p_adjusted": tests.p_adjusted,
        "visible_change": tests.visible,
    }


def _inside(
    changes: BoundedChanges, tolerance: FloatArray, sides: tuple[BoolArray, BoolArray], alpha: float
) -> BoolArray:
    """Find changes whose one-sided bound on the bad side (or both) is within the tolerance."""
    worse_up, paging = sides
    low, high = changes.bounds(alpha)
    below_top, above_bottom = high < tolerance, low > -tolerance
    one_sided = np.where(worse_up, below_top, above_bottom)
    return np.asarray(np.where(paging, one_sided, below_top & above_bottom))


def _adjust(p_values: FloatArray, family: BoolArray) -> FloatArray:
    adjusted = np.ones_like(p_values)
    if family.any():
        adjusted[family] = holm(p_values[family])
    return adjusted


def _constant(effects: Effects) -> BoolArray:
    """Find signals with one and the same value everywhere: they cannot alarm, so they cost no
    correction."""
    still = (effects.iid_var_baseline == 0) & (effects.iid_var_current == 0)
    return np.asarray(
        still & np.isclose(effects.level_baseline, effects.level_current, rtol=1e-9, atol=0)
    )


def _usable(effects: Effects, changes: BoundedChanges) -> BoolArray:
    both = (effects.n_baseline > 0) & (effects.n_current > 0)
    enough = (effects.clusters_baseline > 1) & (effects.clusters_current > 1)
    both_zero = (effects.level_baseline == 0) & (effects.level_current == 0)
    known = np.isfinite(effects.level_current) & np.isfinite(effects.level_baseline)
    seen = changes.seen
    finite = seen.is_rate | both_zero | np.isfinite(seen.log_se)
    return np.asarray(both & enough & known & finite)


def _note(effects: Effects, tests: _Tests, i: int) -> str:
    if not tests.usable[i]:
        return _why_unusable(effects, i)
    return UNRESOLVED if tests.excused[i] else ""


def _why_unusable(effects: Effects, i: int) -> str:
    for n, what in ((effects.n_baseline[i], "baseline"), (effects.n_current[i], "window")):
        if n == 0:
            return f"no row of the {what} has it"
    if not np.isfinite(effects.level_current[i]):
        return "no segment occurs in both windows"
    if min(effects.clusters_baseline[i], effects.clusters_current[i]) <= 1:
        return "one user only: no spread between users to judge by"
    return "the mean is zero in one window"
