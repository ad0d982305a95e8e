"""The sentences of a comparison, written once so that terminal and report say the same."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loopllm_cli.model import (
    Comparison,
    DriftResult,
    Gate,
    Interval,
    Omnibus,
    SegmentChange,
    SliceChange,
    Status,
    Telling,
    Verdict,
    VerifyResult,
    WindowSummary,
    Worse,
)
from loopllm_cli.render import numbers
from loopllm_cli.render.clean import clean_text

ORDER = (Verdict.WORSE, Verdict.BETTER, Verdict.CHANGED, Verdict.INCONCLUSIVE, Verdict.UNCHANGED)
LABEL_WIDTH = 40
MAX_WORDS = 6
BLIND_FACTOR = 2  # a window that sees changes of twice the tolerance is called sharp enough

STATUS_WORD = {
    Status.OK: "OK",
    Status.DEGRADED: "DEGRADED",
    Status.INCONCLUSIVE: "INCONCLUSIVE",
}
GATE_WORD = {Gate.PASS: "PASS", Gate.FAIL: "FAIL", Gate.INCONCLUSIVE: "INCONCLUSIVE"}


def signal_name(name: str) -> str:
    """Return a signal's name as prose."""
    return clean_text(name.replace("_", " "), LABEL_WIDTH)


def weight(comparison: Comparison) -> float:
    """Return the change in units of its tolerance, which makes signals comparable."""
    if not numbers.known(comparison.change):
        return 0.0
    return abs(comparison.change) / (comparison.signal.tolerance or 1e-12)


def whole(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """Return the comparisons of whole windows, the most telling first."""
    ranked = [c for c in comparisons if c.segment is None]
    return sorted(ranked, key=lambda c: (ORDER.index(c.verdict), -weight(c), c.signal.name))


def of_verdict(comparisons: Iterable[Comparison], *verdicts: Verdict) -> list[Comparison]:
    """Return those with one of the verdicts, in the order given."""
    return [c for c in comparisons if c.verdict in verdicts]


def verdict_parts(result: DriftResult) -> list[str]:
    """Return the verdict sentence and, after it, the counts of everything else."""
    counts = Counter(c.verdict for c in whole(result.comparisons))
    total = sum(counts.values())
    rest = [Verdict.BETTER, Verdict.CHANGED, Verdict.UNCHANGED, Verdict.INCONCLUSIVE]
    tail = [f"{counts[v]:,} {v.value}" for v in rest if counts[v]]
    return [_verdict_sentence(result, counts[Verdict.WORSE], total), *tail]


def _verdict_sentence(result: DriftResult, n_worse: int, total: int) -> str:
    of_all = f"of {numbers.count(total, 'signal')}"
    if n_worse:
        return f"{n_worse:,} {of_all} worse beyond tolerance"
    if result.status is Status.DEGRADED:
        segments = numbers.count(len(result.segments), "segment")
        return f"worse beyond tolerance in {segments}, though in 0 {of_all} over all traffic"
    if result.status is Status.INCONCLUSIVE:
        return f"0 {of_all} shown worse, but too little data to rule it out"
    return f"0 {of_all} worse beyond tolerance"


def window_parts(result: DriftResult) -> list[str]:
    """Return what was compared with what."""
    window, asked = result.current_window, result.asked_window
    name = clean_text(result.baseline_name, 24)
    parts = [
        window_size(window),
        numbers.span(window.first_time, window.last_time),
        f"against {name} ({result.baseline_window.n_rows:,})",
    ]
    if asked.model is not None:
        parts.append(f"only model {clean_text(asked.model, LABEL_WIDTH)}")
    if asked.where is not None:
        parts.append(f"only where {clean_text(asked.where, 2 * LABEL_WIDTH)}")
    return parts


def window_size(window: WindowSummary) -> str:
    """Return how much a window holds."""
    size = numbers.count(window.n_rows, "record")
    return f"{size}, {numbers.count(window.n_users, 'user')}" if window.n_users else size


def where_parts(segment: SegmentChange) -> list[str]:
    """Return where something got worse, how much traffic that is, and what it explains."""
    names = list(dict.fromkeys(signal_name(c.signal.name) for c in worst(segment)))
    said = [
        f"“{clean_text(segment.label, LABEL_WIDTH)}”",
        f"{numbers.round_share(segment.share_current)} of traffic",
    ]
    if names:
        said.append(", ".join(names) + " worse")
    if numbers.known(segment.share_of_change):
        said.append(f"{numbers.round_share(segment.share_of_change)} of the change")
    return said


def worst(segment: SegmentChange) -> list[Comparison]:
    """Return a segment's worse signals, the furthest beyond tolerance first."""
    worse = of_verdict(segment.comparisons, Verdict.WORSE)
    return sorted(worse, key=lambda c: (-weight(c), c.signal.name))


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a change, with its 95% interval (NaN where there is none)."""

    name: str
    value: float
    low: float
    high: float


def split(comparison: Comparison) -> list[Part]:
    """Return the parts that add up to the whole change, in the signal's own unit."""
    known = comparison.parts
    vanished = known.vanished_traffic if known else None
    named = (
        ("behaviour", comparison.behaviour, known.behaviour if known else None),
        ("traffic mix", comparison.mix, known.mix if known else None),
        ("new traffic", comparison.new_traffic, known.new_traffic if known else None),
        (
            "vanished traffic",
            -comparison.vanished_traffic,
            Interval(-vanished.high, -vanished.low) if vanished else None,
        ),
    )
    return [
        Part(name, value, i.low if i else math.nan, i.high if i else math.nan)
        for name, value, i in named
    ]


def part_scale(comparison: Comparison) -> float:
    """Return the largest part, which sets the decimals of all."""
    sizes = (abs(part.value) for part in split(comparison))
    return max((size for size in sizes if numbers.known(size)), default=0.0)


def why_parts(comparison: Comparison) -> list[str]:
    """Return how much of a change is behaviour and how much is other traffic."""
    signal, scale = comparison.signal, part_scale(comparison)
    said = []
    for place, part in enumerate(split(comparison)):
        text = numbers.effect(signal, part.value, scale)
        # Behaviour and mix always; new and vanished traffic only where there was some.
        if place < 2 or any(digit in text for digit in "123456789"):
            bounds = numbers.effect_interval(signal, part.low, part.high, scale)
            said.append(f"{part.name} {text} {bounds}".rstrip())
    return said


def worth_parts(comparisons: Sequence[Comparison]) -> list[str]:
    """Return how many independent rows the current window is worth, by its middle signal."""
    most = max((c.n_current for c in comparisons), default=0)
    whole_rows = [
        c for c in comparisons if c.n_current == most and numbers.known(c.effective_n_current)
    ]
    if not whole_rows:
        return []
    middle = sorted(whole_rows, key=lambda c: c.effective_n_current)[len(whole_rows) // 2]
    return [
        f"{numbers.count(most, 'record')} worth {middle.effective_n_current:,.0f} independent ones",
        f"design effect {numbers.amount(most / max(middle.effective_n_current, 1e-9))}",
    ]


def slice_label(found: SliceChange) -> str:
    """Return the attributes and values of a group of rows."""
    said = []
    for name, value in found.parts:
        attribute = "" if name == "prompts" else clean_text(name.replace("_", " "), LABEL_WIDTH)
        said.append(f"{attribute} “{clean_text(value, LABEL_WIDTH)}”".strip())
    return " and ".join(said)


def slice_parts(found: SliceChange) -> list[str]:
    """Return which group of rows changed, how much traffic that is, how much, what it explains."""
    said = [slice_label(found), f"{numbers.round_share(found.share_current)} of traffic"]
    for c in found.comparisons[:2]:
        decimals = numbers.change_decimals(c.signal.kind, c.low, c.high)
        change = numbers.change(c.signal.kind, c.change, decimals)
        bounds = numbers.interval(c.signal.kind, c.low, c.high, decimals)
        said.append(f"{signal_name(c.signal.name)} {change} {bounds}")
    if numbers.known(found.share_of_change):
        said.append(f"{numbers.round_share(found.share_of_change)} of the change")
    return said


def telling(word: Telling) -> str:
    """Return a word with its shares of the answers before and now."""
    before = numbers.round_share(word.baseline_share)
    if word.at_most and not before.startswith("<"):
        before = f"at most {before}"
    return f"“{clean_text(word.word, 30)}” {before} → {numbers.round_share(word.current_share)}"


def omnibus_parts(found: Omnibus) -> list[str]:
    """Return whether anything at all tells the answers apart, and what does most."""
    p_value = f"p {numbers.probability(found.p_value)}"
    if not found.differs:
        said = [f"nothing else tells the answers apart ({p_value})"]
    else:
        said = [f"answers are told apart ({p_value})", *map(telling, found.words[:MAX_WORDS])]
    return [*said, clean_text(found.note)] if found.note else said


def sight_parts(comparisons: Sequence[Comparison]) -> list[str]:
    """Return what this window would have shown, and where it is blindest."""
    sighted = [
        c
        for c in comparisons
        if c.signal.worse is not Worse.EITHER and numbers.known(c.visible_change)
    ]
    if not sighted:
        return []
    first = sighted[0]
    sharp = [c for c in sighted if c.visible_change <= BLIND_FACTOR * c.signal.tolerance]
    blindest = max(sighted, key=lambda c: c.visible_change / (c.signal.tolerance or 1e-12))
    of_all = numbers.count(len(sighted), "signal")
    said = [
        f"{signal_name(first.signal.name)} worse by {_seen(first)} or more, with 80% power",
        f"{len(sharp)} of {of_all} at twice their tolerance or better",
    ]
    if blindest is not first and blindest not in sharp:
        said.append(f"blindest: {signal_name(blindest.signal.name)}, {_seen(blindest)}")
    return said


def _seen(comparison: Comparison) -> str:
    return numbers.size_of_change(comparison.signal, comparison.visible_change)


def confidence(alpha: float) -> str:
    """Return the level of the intervals as it heads their column."""
    return f"{100 * (1 - alpha):g}% CI"


def untouched_sentence(result: VerifyResult) -> str:
    """Return how the traffic fared that needed no repair."""
    counts = Counter(c.verdict for c in result.untouched)
    rest = (Verdict.BETTER, Verdict.CHANGED, Verdict.INCONCLUSIVE)
    tail = [f"{counts[v]:,} {v.value}" for v in rest if counts[v]]
    total = numbers.count(len(result.untouched), "comparison")
    return " · ".join([f"{counts[Verdict.WORSE]:,} of {total} worse", *tail])
