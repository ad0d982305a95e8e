"""What prompt clusters do not resolve is not blamed on the model.

Prompts of one cluster differ, and traffic may move among them too; that part of a traffic shift
looks like behaviour. It cannot be seen, but it can be bounded by what is seen: if the clusters
catch at least 1 / (1 + δ) of what the shift does to a signal, the true behaviour lies between

    D − δ M    and    D

where D is the change at the shared mix and M the mix that the clusters see. Both ends get their
own bounds, with the error of M and its correlation with D; the verdict needs both beyond the
tolerance. A bound is concave along the way from one end to the other (a standard error is a
norm), so that the two ends cover all that lies between. Without a traffic shift M is noise about
zero, and all that is lost is its variance; logged segments need no widening (δ = 0).

Source: selection on what is not observed in proportion to selection on what is: Altonji, Elder &
Taber (2005), J. Political Economy 113:151-184; Oster (2019), J. Business & Economic Statistics
37:187-204 (δ = 1 as the bound to report).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from loopllm_cli.drift.effects import Effects
from loopllm_cli.drift.intervals import (
    BoolArray,
    Changes,
    FloatArray,
    t_quantile,
    to_changes,
)
from loopllm_cli.model import Interval, PartIntervals


@dataclass(frozen=True)
class BoundedChanges:
    """Changes known up to what clusters may not resolve: from `seen` to `explained`.

    `seen` takes all of D for behaviour; `explained` takes off what unresolved traffic may be.
    """

    seen: Changes
    explained: Changes

    @property
    def change(self) -> FloatArray:
        """Point estimate: all of D."""
        return self.seen.change

    def bounds(self, tail: float | FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the lower bounds of the lower end and the upper bounds of the upper end."""
        (low, high), (low_far, high_far) = self.seen.bounds(tail), self.explained.bounds(tail)
        return np.minimum(low, low_far), np.maximum(high, high_far)

    def interval(self, level: float) -> tuple[FloatArray, FloatArray]:
        """Return the two-sided interval at a confidence level."""
        return self.bounds((1 - level) / 2)

    def p_outside(self, tolerance: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the p-values of "not above +tolerance" and "not below −tolerance".

        Each is the larger of both ends', so that p < α and "the bound lies beyond" stay one
        statement (an intersection-union test, Berger 1982, Technometrics 24:295-300).
        """
        near, far = self.seen.p_outside(tolerance), self.explained.p_outside(tolerance)
        return np.maximum(near[0], far[0]), np.maximum(near[1], far[1])

    def hidden(self, upwards: BoolArray) -> FloatArray:
        """Return by how much a true change the bad way may be hidden behind the traffic."""
        taken = np.where(upwards, 1.0, -1.0) * (self.seen.change - self.explained.change)
        return np.maximum(np.nan_to_num(taken), 0.0)


def bounded_changes(effects: Effects, is_rate: BoolArray, unresolved: float) -> BoundedChanges:
    """Bring effects to the scale of the verdict, widened by what clusters may not resolve.

    Args:
        is_rate: which signals are rates, broadcast to the effects' shape.
        unresolved: δ, the part of a traffic shift's effect that clusters may miss, over the part
            that they see; 0 for logged segments.
    """
    seen = to_changes(effects, is_rate)
    if not unresolved:
        return BoundedChanges(seen, seen)
    # Traffic's noise is none of the clusters': it must not pass for rows that are alike.
    explained = to_changes(without_mix(effects, unresolved), is_rate, clustered=effects)
    return BoundedChanges(seen, explained)


def without_mix(effects: Effects, unresolved: float) -> Effects:
    """Take δ times the mix off the current level, with its error."""
    mix = np.nan_to_num(effects.mix)
    taken = unresolved * mix
    variance = (
        effects.var_current
        - 2 * unresolved * effects.covariance_mix_current
        + unresolved**2 * effects.var_mix
    )
    return replace(
        effects,
        level_current=np.maximum(effects.level_current - taken, 0.0),
        var_current=np.where(effects.var_mix > 0, np.maximum(variance, 0.0), effects.var_current),
        covariance=effects.covariance - unresolved * effects.covariance_mix_baseline,
    )


def part_intervals(effects: Effects, unresolved: float) -> tuple[PartIntervals, ...]:
    """Return the parts' two-sided 95% intervals, in each signal's own unit.

    They are t intervals: symmetric, where the judged interval follows the signal's kind.
    """
    e = effects
    quantile = t_quantile(0.025, np.broadcast_to(e.df, e.n_current.shape))

    def around(value: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
        half = quantile * np.sqrt(np.maximum(variance, 0.0))
        return value - half, value + half

    far = without_mix(effects, unresolved)
    ends = (
        around(e.behaviour, e.var_behaviour),
        around(e.behaviour - unresolved * e.mix, far.var_behaviour),
    )
    behaviour = (np.minimum(ends[0][0], ends[1][0]), np.maximum(ends[0][1], ends[1][1]))
    columns = (
        around(e.total, e.var_total),
        behaviour,
        around(e.mix, e.var_mix),
        around(e.new_traffic, e.var_new),
        around(e.vanished_traffic, e.var_vanished),
    )
    return tuple(
        PartIntervals(*(Interval(float(low[i]), float(high[i])) for low, high in columns))
        for i in range(len(e.n_current))
    )
