"""Compare two profiles: effects, verdicts, status and the segments behind them."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from loopllm_cli.drift.effects import Effects, estimate
from loopllm_cli.drift.verdict import JudgeSettings, judge, judge_status
from loopllm_cli.drift.where import find_worse_segments
from loopllm_cli.model import Comparison, SegmentChange, SignalInfo, Status
from loopllm_cli.profiles.profile import Profile


@dataclass(frozen=True, slots=True)
class Findings:
    """What a comparison found, before it is dressed with names and times."""

    status: Status
    comparisons: tuple[Comparison, ...]
    segments: tuple[SegmentChange, ...]
    mix_moved: float


def compare_profiles(
    baseline: Profile,
    current: Profile,
    signals: tuple[SignalInfo, ...],
    labels: tuple[str, ...],
    settings: JudgeSettings,
    weekly: tuple[Profile, Profile] | None = None,
) -> Findings:
    """Compare a window's profile with a baseline's.

    Args:
        signals: one per signal of the profiles, in their order.
        labels: the segments' words, in the profiles' numbering.
        weekly: both windows by weekday and segment, for signals that follow the week.
    """
    effects = estimate_windows(baseline, current, weekly)
    comparisons = judge(effects, signals, settings)
    return Findings(
        status=judge_status(comparisons, settings),
        comparisons=comparisons,
        segments=find_worse_segments((baseline, current), effects, signals, labels, settings),
        mix_moved=_mix_moved(baseline, current),
    )


def estimate_windows(
    baseline: Profile, current: Profile, weekly: tuple[Profile, Profile] | None
) -> Effects:
    """Estimate every signal's effect, weekday by weekday for signals that follow the week."""
    effects = estimate(baseline, current)
    if weekly and weekly[0].signal_names:
        return _weekday_by_weekday(effects, baseline.signal_names, weekly)
    return effects


def _weekday_by_weekday(
    effects: Effects, names: tuple[str, ...], weekly: tuple[Profile, Profile]
) -> Effects:
    """Put effects within weekdays in the place of those of the signals that follow the week."""
    at = [names.index(name) for name in weekly[0].signal_names]
    matched = estimate(*weekly)
    merged = {}
    for field in fields(Effects):
        merged[field.name] = getattr(effects, field.name).copy()
        merged[field.name][..., at] = getattr(matched, field.name)
    return Effects(**merged)


def _mix_moved(baseline: Profile, current: Profile) -> float:
    """Return how much traffic moved between segments (total variation distance, 0..1)."""
    rows = [p.n_rows.sum(axis=1) for p in (baseline, current)]
    shares = [n / max(n.sum(), 1) for n in rows]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)
