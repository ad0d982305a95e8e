"""Where a change sits: the segments that got worse, ranked by how much they explain.

Segments are searched and judged on the same rows, with Holm over segments times signals. They
explain a verdict; they never make one.
"""

from __future__ import annotations

import numpy as np

from loopllm_cli.drift.effects import Effects, estimate_segments
from loopllm_cli.drift.verdict import JudgeSettings, judge
from loopllm_cli.model import Comparison, SegmentChange, SignalInfo, Verdict, Worse
from loopllm_cli.profiles.profile import Profile

MIN_ROWS = 15
"""Fewer rows than this in a window tell nothing about one segment."""


def find_worse_segments(
    windows: tuple[Profile, Profile],
    effects: Effects,
    signals: tuple[SignalInfo, ...],
    labels: tuple[str, ...],
    settings: JudgeSettings,
) -> tuple[SegmentChange, ...]:
    """Return the segments where a one-sided signal got worse, the most telling first.

    Args:
        windows: the baseline's profile and the current one.
        effects: what `estimate` says of the whole windows.
    """
    paging = [j for j, info in enumerate(signals) if info.worse is not Worse.EITHER]
    if not paging:
        return ()
    per_segment = estimate_segments(*windows)
    n_rows = np.minimum(per_segment.n_baseline, per_segment.n_current)[:, paging].max(axis=1)
    large = np.flatnonzero(n_rows >= MIN_ROWS)
    if not len(large):
        return ()
    cells = _take(per_segment, large, np.array(paging))
    names = tuple(str(s) for s in large)
    comparisons = judge(cells, tuple(signals[j] for j in paging), settings, names)
    whole = dict(zip(windows[0].signal_names, effects.behaviour, strict=True))
    found = []
    for number, name in zip(large, names, strict=True):
        worse = [c for c in comparisons if c.segment == name and c.verdict is Verdict.WORSE]
        if worse:
            found.append(_describe(int(number), worse, windows, whole, labels))
    return tuple(sorted(found, key=lambda s: (-s.share_of_change, s.segment)))


def _describe(
    number: int,
    worse: list[Comparison],
    windows: tuple[Profile, Profile],
    whole: dict[str, float],
    labels: tuple[str, ...],
) -> SegmentChange:
    baseline, current = windows
    worse.sort(key=lambda c: (c.p_adjusted, -abs(c.behaviour)))
    shares = [_share(c, number, baseline, current, whole) for c in worse]
    return SegmentChange(
        segment=str(number),
        label=labels[number],
        share_current=float(current.n_rows[number].sum() / max(current.n_rows.sum(), 1)),
        n_current=int(current.n_rows[number].sum()),
        comparisons=tuple(worse),
        share_of_change=max(shares),
    )


def _share(
    c: Comparison, number: int, baseline: Profile, current: Profile, whole: dict[str, float]
) -> float:
    """Return which part of the signal's whole behaviour change this segment makes up."""
    j = baseline.signal_names.index(c.signal.name)
    n_b, n_c = baseline.n[:, :, j].sum(axis=1), current.n[:, :, j].sum(axis=1)
    weights = n_b * n_c / np.maximum(n_b + n_c, 1)
    total = whole[c.signal.name]
    part = weights[number] / max(weights.sum(), 1e-12) * c.behaviour
    return float(np.clip(part / total, 0.0, 1.0)) if total * c.behaviour > 0 else 0.0


def _take(effects: Effects, segments: np.ndarray, signals: np.ndarray) -> Effects:
    """Select cells and flatten them, signals varying fastest."""
    fields = {
        name: getattr(effects, name)[np.ix_(segments, signals)].ravel()
        for name in Effects.__dataclass_fields__
    }
    return Effects(**fields)
