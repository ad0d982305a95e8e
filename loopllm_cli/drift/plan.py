"""How much data a wanted sensitivity takes: power before the window is there.

A window of n rows is expected to look like the baseline: the same mix, the same means, users who
send as many rows each (so the same design effect), and as many users as n rows make. From these
expected effects the smallest visible change follows as for a real window (`power.py`), and the
rows needed by bisection. A larger baseline is expected to look like this one in the same way.

Users are counted behind their hash buckets: with U effective clusters hashed into B buckets,
1 / K = 1 / U + 1 / B is expected of the effective number K of buckets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from loopllm_cli.drift.effects import Effects, estimate
from loopllm_cli.drift.influence import ratio
from loopllm_cli.drift.intervals import to_changes
from loopllm_cli.drift.power import Goal, is_visible, visible_change
from loopllm_cli.drift.verdict import JudgeSettings
from loopllm_cli.model import SignalInfo, SignalKind, SignalPlan, Worse
from loopllm_cli.profiles.clusters import N_BUCKETS
from loopllm_cli.profiles.profile import Profile

FloatArray = npt.NDArray[np.float64]

LARGER = 10.0
"""How much larger the other baseline is that a plan compares with."""
_MOST_ROWS = 1e9
_ROUNDS = 30


@dataclass(frozen=True)
class Expectation:
    """A baseline's signals as they would look in other windows; arrays of shape (n_signals,)."""

    effects: Effects
    goal: Goal
    is_rate: npt.NDArray[np.bool_]

    def visible(self, share: FloatArray, larger: float = 1.0) -> FloatArray:
        """Return the smallest change visible in a window.

        Args:
            share: the window's rows over the baseline's.
            larger: how many times as large the baseline is.
        """
        effects = expected_effects(self.effects, share, larger)
        return visible_change(effects, to_changes(effects, self.is_rate), self.goal)

    def is_visible(self, share: FloatArray, change: FloatArray) -> npt.NDArray[np.bool_]:
        """Tell whether a window with this share of the baseline's rows shows a change."""
        effects = expected_effects(self.effects, share, 1.0)
        return is_visible(effects, to_changes(effects, self.is_rate), self.goal, change)

    def baseline_share(self, share: FloatArray) -> FloatArray:
        """Return how much of the change's variance is the baseline's."""
        effects = expected_effects(self.effects, share, 1.0)
        return ratio(effects.var_baseline, effects.var_baseline + effects.var_current)

    def share_needed(self, wanted: FloatArray) -> FloatArray:
        """Return the rows, over the baseline's, from which the wanted change is visible.

        Infinite where no number of rows suffices beside this baseline.
        """
        n = np.maximum(self.effects.n_baseline, 1.0)
        low, high = np.log(2 / n), np.log(_MOST_ROWS / n)
        possible = self.is_visible(np.exp(high), wanted)
        for _ in range(_ROUNDS):
            middle = (low + high) / 2
            enough = self.is_visible(np.exp(middle), wanted)
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        return np.where(possible, np.exp(high), np.inf)


def plan_signals(
    baseline: Profile,
    infos: tuple[SignalInfo, ...],
    settings: JudgeSettings,
    n_rows: float,
    change: float | None = None,
) -> tuple[SignalPlan, ...]:
    """Plan every one-sided signal that could get worse than it is in the baseline.

    Args:
        infos: one per signal of the profile, in its order.
        n_rows: rows of the window to plan for, among which every signal applies as often as in
            the baseline.
        change: the change to be seen, as a size; twice each signal's tolerance by default.
    """
    chosen = [i for i, info in enumerate(infos) if _may_get_worse(info, baseline, i)]
    if not chosen:
        return ()
    infos = tuple(infos[i] for i in chosen)
    profile = baseline.columns(tuple(baseline.signal_names[i] for i in chosen))
    expected = _expect(profile, infos, settings)
    whole = max(float(profile.n_rows.sum()), 1.0)
    share = np.full(len(infos), n_rows / whole)
    wanted = np.array([change or 2 * info.tolerance for info in infos])
    needed = np.ceil(expected.share_needed(wanted) * whole)
    level, design_effect = expected.effects.mean_baseline, expected.effects.design_effect
    visible, larger = expected.visible(share), expected.visible(share, LARGER)
    part = expected.baseline_share(share)
    return tuple(
        SignalPlan(
            signal=info,
            baseline=float(level[i]),
            design_effect=max(float(design_effect[i]), 1.0),
            visible=float(visible[i]),
            visible_larger_baseline=float(larger[i]),
            baseline_share=float(part[i]),
            wanted=float(wanted[i]),
            rows_needed=float(needed[i]),
        )
        for i, info in enumerate(infos)
    )


def _may_get_worse(info: SignalInfo, baseline: Profile, at: int) -> bool:
    """Leave out what has no bad side, no rows, or is as bad as can be in every row."""
    n, total = baseline.n[..., at].sum(), baseline.total[..., at].sum()
    if info.worse is Worse.EITHER or n == 0:
        return False
    if info.kind is SignalKind.RATE:
        return bool(total < n if info.worse is Worse.UP else total > 0)
    return bool(total > 0)


def expected_effects(effects: Effects, share: FloatArray, larger: float) -> Effects:
    """Return the effects to expect of a window and a baseline like the one given.

    Args:
        effects: of a baseline against itself.
        share: the window's rows over the baseline's.
        larger: the expected baseline's rows over the baseline's.
    """
    e = effects
    return replace(
        e,
        n_baseline=e.n_baseline * larger,
        var_baseline=e.var_baseline / larger,
        iid_var_baseline=e.iid_var_baseline / larger,
        size_baseline=e.size_baseline * larger,
        clusters_baseline=_clusters(e, np.full_like(share, larger)),
        n_current=e.n_baseline * share,
        var_current=e.var_baseline / share,
        iid_var_current=e.iid_var_baseline / share,
        size_current=e.size_baseline * share,
        clusters_current=_clusters(e, share),
        # Other users: whoever returns would only make the change clearer.
        covariance=np.zeros_like(e.covariance),
    )


def _expect(
    profile: Profile, infos: tuple[SignalInfo, ...], settings: JudgeSettings
) -> Expectation:
    goal = Goal(
        np.array([info.tolerance for info in infos]),
        np.array([info.worse is Worse.UP for info in infos]),
        settings.alpha / len(infos),
        settings.power,
    )
    is_rate = np.array([info.kind is SignalKind.RATE for info in infos])
    return Expectation(estimate(profile, profile), goal, is_rate)


def _clusters(effects: Effects, share: FloatArray) -> FloatArray:
    """Return the effective number of buckets of a window with a share of the baseline's users."""
    buckets = np.maximum(effects.clusters_baseline, 1.0)
    rows = np.maximum(effects.n_baseline, 1.0)
    users = 1 / np.maximum(1 / buckets - 1 / N_BUCKETS, 1 / rows)
    return np.asarray(1 / (1 / N_BUCKETS + 1 / np.maximum(users * share, 1e-9)))
