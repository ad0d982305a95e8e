"""Turn results into the words and drawings that the report's templates place.

A view is a plain mapping of strings and finished SVG; templates hold no logic beyond "is it
there". Lists are cut to what a page can carry, and the page says so.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from loopllm_cli.model import (
    Comparison,
    DailyPoint,
    DriftResult,
    Omnibus,
    SegmentChange,
    SliceChange,
    Verdict,
    Window,
    WindowSummary,
)
from loopllm_cli.render import numbers, svg, words
from loopllm_cli.render.clean import clean_text

View = dict[str, Any]

MAX_CARDS = 12
MAX_ROWS = 200
MAX_CHARTS = 60
MAX_SEGMENTS = 24
MAX_CARD_SEGMENTS = 8
MAX_LABEL = 100
MAX_FACTS = 60
MAX_EXAMPLES = 5
LOUD = (Verdict.WORSE, Verdict.BETTER, Verdict.CHANGED)


def drift_view(result: DriftResult) -> View:
    """Return all that the drift part of a report shows."""
    ranked = words.whole(result.comparisons)
    loud = words.of_verdict(ranked, *LOUD)[:MAX_CHARTS]
    unclear = words.of_verdict(ranked, Verdict.INCONCLUSIVE)[:MAX_CHARTS]
    same = words.of_verdict(ranked, Verdict.UNCHANGED)[:MAX_ROWS]
    reach = svg.domains([*loud, *unclear])
    sentence, *counts = words.verdict_parts(result)
    return {
        "word": words.STATUS_WORD[result.status],
        "css": result.status.value,
        "sentence": sentence,
        "counts": counts,
        "window": words.window_parts(result),
        "baseline": clean_text(result.baseline_name, 20),
        "confidence": words.confidence(result.alpha),
        "top": [signal_row(c, reach, result.daily) for c in loud],
        "cards": [signal_card(c, result) for c in loud[:MAX_CARDS]],
        "segments": [segment_view(s) for s in result.segments[:MAX_SEGMENTS]],
        "slices": [slice_view(s) for s in result.slices[:MAX_SEGMENTS]],
        "omnibus": omnibus_view(result.omnibus) if result.omnibus else None,
        "notes": [clean_text(note) for note in result.notes],
        "worth": words.worth_parts(ranked),
        "n_more_signals": len(ranked) - len(loud) - len(unclear) - len(same),
        "n_more_segments": max(0, len(result.segments) - MAX_SEGMENTS),
        "unclear": [signal_row(c, reach, result.daily) for c in unclear],
        "same": [signal_row(c, {}, {}) for c in same],
        "sight": words.sight_parts(ranked),
        "quality": quality_view(result),
        "method": method_view(result, ranked),
        "reproduce": reproduce_view(result),
    }


def signal_row(
    c: Comparison,
    reach: Mapping[Any, float],
    daily: Mapping[str, Sequence[DailyPoint]],
) -> View:
    """Return one row of a table of signals."""
    decimals = numbers.change_decimals(c.signal.kind, c.low, c.high)
    edge = reach.get(c.signal.kind)
    return {
        "name": words.signal_name(c.signal.name),
        "definition": c.signal.definition,
        "baseline": numbers.level(c.signal, c.baseline, c.n_baseline, unit=True),
        "current": numbers.level(c.signal, c.current, c.n_current, unit=True),
        "change": numbers.change(c.signal.kind, c.change, decimals),
        "bounds": numbers.interval(c.signal.kind, c.low, c.high, decimals),
        "tolerance": numbers.tolerance(c.signal),
        "sees": numbers.size_of_change(c.signal, c.visible_change),
        "n_baseline": numbers.count(c.n_baseline),
        "n_current": numbers.count(c.n_current),
        "verdict": c.verdict.value,
        "css": c.verdict.name.lower(),
        "note": c.note,
        "chart": svg.interval_chart(c, edge) if edge else Markup(""),
        "spark": svg.sparkline(daily.get(c.signal.name, ())),
    }


def signal_card(c: Comparison, result: DriftResult) -> View:
    """Return the card of one changed signal: days, causes, segments, small print."""
    inside = [
        (s, part)
        for s in result.segments
        for part in s.comparisons
        if part.signal.name == c.signal.name
    ][:MAX_CARD_SEGMENTS]
    reach = svg.domains([part for _, part in inside])
    scale = words.part_scale(c)
    parts = [
        {
            "name": part.name,
            "css": f"part{i}",
            "value": numbers.effect(c.signal, part.value, scale),
            "bounds": numbers.effect_interval(c.signal, part.low, part.high, scale),
        }
        for i, part in enumerate(words.split(c))
        if part.value or i < 2
    ]
    rows = [
        {**signal_row(part, reach, {}), "label": clean_text(s.label, MAX_LABEL),
         "share": numbers.round_share(s.share_current)}
        for s, part in inside
    ]  # fmt: skip
    return {
        **signal_row(c, {}, {}),
        "daily": svg.daily_chart(result.daily.get(c.signal.name, ()), c),
        "daily_ends": svg.daily_ends(result.daily.get(c.signal.name, ()), c),
        "split": svg.split_bar([(part.name, part.value) for part in words.split(c)]),
        "parts": parts,
        "total": numbers.effect(c.signal, c.total),
        "segments": rows,
        "small_print": small_print(c),
    }


def small_print(c: Comparison) -> list[str]:
    """Return what a statistician asks of one comparison."""
    said = [f"{c.n_baseline:,} baseline and {c.n_current:,} current rows apply"]
    if numbers.known(c.effective_n_current):
        sizes = (c.effective_n_baseline, c.effective_n_current)
        said.append("worth {:,.0f} and {:,.0f} independent ones".format(*sizes))
    if numbers.known(c.design_effect):
        said.append(f"design effect {numbers.amount(c.design_effect)}")
    if numbers.known(c.df):
        said.append(f"{c.df:,.0f} degrees of freedom")
    if numbers.known(c.p_value) and numbers.known(c.p_adjusted):
        p_values = (numbers.probability(p) for p in (c.p_value, c.p_adjusted))
        said.append("p {}, adjusted {}".format(*p_values))
    return said


def segment_view(segment: SegmentChange) -> View:
    """Return where something got worse."""
    return {
        "label": clean_text(segment.label, MAX_LABEL),
        "share": numbers.round_share(segment.share_current),
        "share_bar": svg.share_bar(segment.share_current),
        "n": numbers.count(segment.n_current),
        "signals": [
            signal_row(c, {}, {}) for c in words.worst(segment)[:MAX_EXAMPLES]
        ],
        "explains": numbers.round_share(segment.share_of_change),
        "explains_bar": svg.share_bar(segment.share_of_change),
        "examples": segment.example_ids[:MAX_EXAMPLES],
    }  # fmt: skip


def slice_view(found: SliceChange) -> View:
    """Return a group of rows in which behaviour changed."""
    return {
        "label": words.slice_label(found),
        "share": numbers.round_share(found.share_current),
        "share_bar": svg.share_bar(found.share_current),
        "n": numbers.count(found.n_current),
        "signals": [signal_row(c, {}, {}) for c in found.comparisons[:MAX_EXAMPLES]],
        "explains": numbers.round_share(found.share_of_change),
        "explains_bar": svg.share_bar(found.share_of_change),
        "examples": found.example_ids[:MAX_EXAMPLES],
    }


def omnibus_view(found: Omnibus) -> View:
    """Return whether anything at all tells the windows apart, and what does."""
    return {
        "differs": found.differs,
        "p_value": numbers.probability(found.p_value),
        "note": clean_text(found.note),
        "scores": [
            (
                clean_text(s.name.replace("_", " ")),
                numbers.amount(s.z),
                "rises" if s.z > 0 else "falls",
            )
            for s in found.scores[:MAX_EXAMPLES]
        ],
        "words": [words.telling(word) for word in found.words[:MAX_ROWS]],
    }


def quality_view(result: DriftResult) -> View:
    """Return what is known of the data itself."""
    fullest = max(result.daily.values(), key=lambda days: sum(p.n_rows for p in days), default=())
    skipped = sorted(result.skipped_signals.items())[:MAX_ROWS]
    return {
        "windows": [
            window_view("baseline", result.baseline_window),
            window_view("current", result.current_window),
        ],
        "volume": svg.volume_chart(fullest),
        "skipped": [(words.signal_name(name), reason) for name, reason in skipped],
        "mix_note": result.mix_note,
    }


def window_view(name: str, window: WindowSummary) -> View:
    """Return one window's size."""
    models = [clean_text(m, 48) for m in window.models[:MAX_EXAMPLES]]
    more = len(window.models) - len(models)
    return {
        "name": name,
        "rows": numbers.count(window.n_rows),
        "users": numbers.count(window.n_users) if window.n_users else numbers.UNKNOWN,
        "clusters": numbers.count(window.n_clusters),
        "span": numbers.span(window.first_time, window.last_time),
        "models": ", ".join(models) + (f" and {more} more" if more else "") or numbers.UNKNOWN,
    }


def method_view(result: DriftResult, ranked: Sequence[Comparison]) -> View:
    """Return how the verdict was reached."""
    tolerances = [
        {
            "name": words.signal_name(c.signal.name),
            "definition": c.signal.definition,
            "worse": {"up": "rises", "down": "falls", "either": "informs only"}[c.signal.worse],
            "tolerance": numbers.tolerance(c.signal),
            "source": c.signal.tolerance_source,
        }
        for c in sorted(ranked[:MAX_ROWS], key=lambda c: c.signal.name)
    ]
    return {
        "alpha": f"{100 * result.alpha:g}%",
        "family": numbers.count(result.family_size, "comparison"),
        "basis": result.segment_basis,
        "tolerances": tolerances,
    }


def reproduce_view(result: DriftResult) -> View:
    """Return what it takes to get the same verdict again."""
    return {
        "command": drift_command(result.baseline_name, result.asked_window),
        "facts": [
            ("run", result.run_id),
            ("made", numbers.minute(result.created)),
            ("baseline", f"{result.baseline_name} {result.baseline_hash}"),
            ("loopllm", result.version),
        ],
        "settings": settings_view(result.settings),
    }


def drift_command(baseline: str, window: Window) -> str:
    """Return the command line of a comparison."""
    words_ = ["loopllm", "drift", "--baseline", clean_text(baseline)]
    for option, moment in (("--since", window.since), ("--until", window.until)):
        if moment is not None:
            words_ += [option, numbers.utc(moment).isoformat().replace("+00:00", "Z")]
    for option, text in (("--model", window.model), ("--where", window.where)):
        if text is not None:
            words_ += [option, clean_text(text)]
    return shlex.join(words_)


def settings_view(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return settings as names and values on one line each."""
    return [
        (key, value if isinstance(value, str) else json.dumps(value, default=str))
        for key, value in sorted(settings.items())[:MAX_FACTS]
    ]
