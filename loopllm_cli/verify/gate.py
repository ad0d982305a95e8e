"""The gate: from comparisons to PASS, FAIL or INCONCLUSIVE, with the reasons in words.

Repaired: of the quality that a signal lost in the drifted segments, the adapter brings back at
least `min_recovery`, significantly, and no single segment stays broken. Not repaired: even the
upper bound of what it brings back is less. Untouched traffic fails when the drift engine calls any
signal worse, comparing the same prompts answered with the adapter and as production answers them
today, or when too many answers that were right are right no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from loopllm_cli.config import VerifyConfig
from loopllm_cli.drift.effects import estimate
from loopllm_cli.drift.verdict import JudgeSettings, judge
from loopllm_cli.model import (
    Check,
    Comparison,
    Gate,
    Repair,
    SignalInfo,
    SignalKind,
    Verdict,
    Worse,
)
from loopllm_cli.profiles.profile import Profile
from loopllm_cli.verify.checks import signal_words
from loopllm_cli.verify.single import check_singles, find_unrepaired

ALL_DRIFTED = "all drifted segments"
RIGHT = "right_answer"
NOT_SHOWN = "the drift does not show when the model answers anew"
BROKEN = "as it should be now, and worse with the adapter"
_MOST_NAMED = 3


@dataclass(frozen=True)
class Windows:
    """Three profiles of the same signals and segments: normal, as it is, with the adapter."""

    signals: tuple[SignalInfo, ...]
    baseline: Profile
    before: Profile
    after: Profile

    def of(self, segments: list[int]) -> Windows:
        """Return the windows of some segments only."""
        at = np.array(segments, dtype=np.int64)
        return Windows(
            self.signals, self.baseline.select(at), self.before.select(at), self.after.select(at)
        )

    def column(self, name: str) -> Windows:
        """Return the windows of one signal only."""
        info = next(s for s in self.signals if s.name == name)
        b, p, a = (w.columns((name,)) for w in (self.baseline, self.before, self.after))
        return Windows((info,), b, p, a)


def judge_repairs(
    windows: Windows,
    drifted: dict[int, tuple[str, ...]],
    labels: dict[int, str],
    config: VerifyConfig,
    families: Sequence[tuple[int, ...]] = (),
) -> tuple[tuple[Repair, ...], Check | None]:
    """Judge every drifted signal over all segments where it drifted, then segment by segment.

    Args:
        drifted: segment number to the names of the signals that got worse there. Right answers
            are judged in all of them, wherever one is known: a segment may have drifted in
            what users say of it only, and users cannot be asked about regenerated answers.
            Where no right answers were lost, they say nothing about the repair.
        labels: segment number to its words.
        families: groups of segments that are judged together too: what stays broken in several
            segments of one topic, a few known answers each, shows in none of them alone.

    Returns:
        One repair per signal over all segments, each followed by the segments that stayed broken;
        and in how many segments that would show.
    """
    telling = {k: (*names, RIGHT) if RIGHT not in names else names for k, names in drifted.items()}
    wholes, singles, groups = [], [], []
    for info in windows.signals:
        where = [k for k, names in telling.items() if info.name in names]
        part = windows.of(where).column(info.name)
        whole = _repair(part, ALL_DRIFTED, ALL_DRIFTED, config) if where else None
        asked_for = any(info.name in names for names in drifted.values())
        if whole is None or (whole.reason == NOT_SHOWN and not asked_for):
            continue
        wholes.append(whole)
        single = (
            _repair(windows.of([k]).column(info.name), str(k), labels[k], config) for k in where
        )
        singles += [r for r in single if r and r.reason not in (NOT_SHOWN, BROKEN)]
        inside = {tuple(k for k in family if k in where) for family in families}
        joint = (
            _repair(
                windows.of(list(some)).column(info.name), _key(some), _words(some, labels), config
            )
            for some in sorted(inside)
            if 1 < len(some) < len(where)
        )
        groups += [r for r in joint if r and r.reason not in (NOT_SHOWN, BROKEN)]
    wanted = (config.alpha, config.min_recovery, config.samples)
    broken = find_unrepaired([*singles, *groups], *wanted)
    found = []
    for whole in wholes:
        named = _apart([r for r in broken if r.signal is whole.signal])
        found += [whole, *(_as_broken(r, config) for r in named[:_MOST_NAMED])]
    return tuple(found), check_singles(singles, *wanted)


def _key(segments: Sequence[int]) -> str:
    return "+".join(map(str, segments))


def _words(segments: Sequence[int], labels: dict[int, str]) -> str:
    return f"{labels[segments[0]]} and {len(segments) - 1} like it"


def _apart(repairs: Sequence[Repair]) -> list[Repair]:
    """Keep the surest of those that share a segment; the largest first."""
    kept: list[Repair] = []
    for repair in repairs:
        own = set(repair.segment.split("+"))
        if all(own.isdisjoint(other.segment.split("+")) for other in kept):
            kept.append(repair)
    return sorted(kept, key=lambda r: -r.n)


def _as_broken(repair: Repair, config: VerifyConfig) -> Repair:
    back = (repair.before - repair.after) / (repair.before - repair.baseline)
    return replace(repair, gate=Gate.FAIL, reason=_too_little(back, config))


def judge_untouched(
    windows: Windows, segments: list[int], config: VerifyConfig
) -> tuple[Comparison, ...]:
    """Compare answers with and without the adapter where nothing had drifted."""
    part = windows.of(segments)
    comparisons = judge(
        estimate(part.before, part.after), part.signals, JudgeSettings(alpha=config.alpha)
    )
    return tuple(c for c in comparisons if c.n_current)


def judge_side_effects(
    windows: Windows, drifted: dict[int, tuple[str, ...]], config: VerifyConfig
) -> tuple[Comparison, ...]:
    """Return what the adapter made worse in drifted segments, of signals that had not drifted.

    Worse than without the adapter and worse than in the baseline: a repair brings answers of
    another kind back, with all that they always had.
    """
    named = {name for names in drifted.values() for name in names}
    part = windows.of(sorted(drifted))
    settings = JudgeSettings(alpha=config.alpha)
    made = judge(estimate(part.before, part.after), part.signals, settings)
    normal = _at_mix_of(part.baseline, part.after)
    against = judge(estimate(normal, part.after), part.signals, settings)
    return tuple(
        change
        for change, compared in zip(made, against, strict=True)
        if change.signal.name not in named and Verdict.WORSE is change.verdict is compared.verdict
    )


def decide(checks: tuple[Check, ...], repairs: tuple[Repair, ...]) -> tuple[Gate, tuple[str, ...]]:
    """Decide the gate and give its reasons in words, the worst first."""
    whole = [r for r in repairs if r.segment == ALL_DRIFTED]
    verdicts = [(c.gate, f"{c.name}: {c.text}") for c in checks]
    verdicts += [(r.gate, f"{signal_words(r.signal)}, {r.label}: {r.reason}") for r in repairs]
    if not whole:
        verdicts.append(
            (Gate.INCONCLUSIVE, "no drifted signal could be measured on regenerated answers")
        )
    for gate in (Gate.FAIL, Gate.INCONCLUSIVE):
        reasons = tuple(reason for found, reason in verdicts if found is gate)
        if reasons:
            return gate, reasons
    return Gate.PASS, tuple(f"{signal_words(r.signal)}: {r.reason}" for r in whole)


def _repair(part: Windows, segment: str, label: str, config: VerifyConfig) -> Repair | None:
    """Judge one signal; None where it cannot be measured on regenerated answers."""
    info = part.signals[0]
    n_before, n_after = (float(p.n.sum()) for p in (part.before, part.after))
    if n_before == 0 or n_after == 0 or part.baseline.n.sum() == 0:
        return None
    settings = JudgeSettings(alpha=config.alpha)
    # From normal to repaired, on the prompts' own mix of segments: how far from back it is.
    baseline = _at_mix_of(part.baseline, part.after)
    to_normal = judge(estimate(baseline, part.after), part.signals, settings)[0]
    gain = judge(estimate(part.before, part.after), part.signals, settings)[0]
    before = float(part.before.total.sum() / n_before)
    after = float(part.after.total.sum() / n_after)
    normal = after - to_normal.behaviour
    if info.kind is SignalKind.RATE:
        normal = float(np.clip(normal, 0.0, 1.0))
    low, high = _after_bounds(info, normal, to_normal)
    gate, reason = _judge_recovery(info, (normal, before, after, low, high), gain, config)
    return Repair(
        info, segment, label, int(n_after), normal, before, after, low, high, gate, reason
    )


def _at_mix_of(baseline: Profile, window: Profile) -> Profile:
    """Weigh a baseline's segments as a window weighs them, signal by signal; their means stay.

    The engine weighs by both windows' rows, so a segment that is rare in the baseline and half
    of the prompts would count for little in "normal" and in full in what is compared with it.
    """
    n, wanted = baseline.n.sum(axis=1), window.n.sum(axis=1)
    asked = np.maximum(wanted.sum(axis=0), 1.0)
    factor = np.divide(wanted, n, out=np.zeros_like(n), where=n > 0) * n.sum(axis=0) / asked
    cells = factor[:, None, :]
    return Profile(
        baseline.signal_names,
        baseline.n_rows,
        baseline.n * cells,
        baseline.total * cells,
        baseline.total_sq * cells,
    )


def _after_bounds(info: SignalInfo, normal: float, c: Comparison) -> tuple[float, float]:
    if info.kind is SignalKind.RATE:
        return float(np.clip(normal + c.low, 0, 1)), float(np.clip(normal + c.high, 0, 1))
    return normal * (1 + c.low), normal * (1 + c.high)


def _judge_recovery(
    info: SignalInfo,
    levels: tuple[float, float, float, float, float],
    gain: Comparison,
    config: VerifyConfig,
) -> tuple[Gate, str]:
    normal, before, after, low, high = levels
    lost = before - normal
    tolerated = info.tolerance * (1.0 if info.kind is SignalKind.RATE else abs(normal))
    if not np.isfinite(lost) or lost * (1 if info.worse is Worse.UP else -1) <= tolerated:
        return (Gate.FAIL, BROKEN) if _worsened(gain, info) else (Gate.INCONCLUSIVE, NOT_SHOWN)
    back = (before - after) / lost
    best = (before - (low if info.worse is Worse.UP else high)) / lost
    improved = _improved(gain, info)
    if back >= config.min_recovery and improved:
        return Gate.PASS, _is_back(back)
    if best < config.min_recovery:
        return Gate.FAIL, _too_little(back, config)
    few = f"but {int(gain.n_current)} prompts are too few to be sure"
    return Gate.INCONCLUSIVE, f"{_is_back(back)}, {few}"


def _is_back(share: float) -> str:
    return f"{max(0.0, share):.0%} of the loss is back"


def _too_little(share: float, config: VerifyConfig) -> str:
    return f"only {_is_back(share)}, {config.min_recovery:.0%} is needed"


def _worsened(gain: Comparison, info: SignalInfo) -> bool:
    return gain.verdict is Verdict.WORSE and info.worse is not Worse.EITHER


def _improved(gain: Comparison, info: SignalInfo) -> bool:
    return gain.high < 0 if info.worse is Worse.UP else gain.low > 0
