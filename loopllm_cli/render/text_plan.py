"""Write a plan to a terminal: what would be seen, and what it takes to see more."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

from rich.console import Console
from rich.text import Text

from loopllm_cli.model import PlanResult, SignalPlan
from loopllm_cli.render import numbers, words
from loopllm_cli.render.clean import clean_text
from loopllm_cli.render.text_layout import emit, labelled, table, width_of

_HALF = 0.5
_RIGHT = frozenset(range(1, 9))
_NEVER = "never"


def plan_fields(result: PlanResult) -> dict[str, Any]:
    """Return a plan's fields, for JSON."""
    return {f.name: getattr(result, f.name) for f in fields(result)}


def write_plan(console: Console, result: PlanResult) -> None:
    """Write the rows to expect, one line per signal, and what would help most."""
    width = width_of(console)
    name = clean_text(result.baseline_name, 24)
    per_night = numbers.count(result.n_rows, "row")
    lines = labelled(
        "plan",
        [
            f"against {name} ({result.n_baseline:,} rows)",
            f"a window of one night: {per_night}",
            f"{result.power:.0%} power, one-sided {result.alpha:.0%} over "
            f"{numbers.count(result.family_size, 'signal')}",
        ],
        width,
    )
    if not result.signals:
        lines += labelled(
            "note", ["the baseline has no signal with a direction that is worse"], width
        )
        emit(console, lines)
        return
    lines += _table(result, width)
    for place, note in enumerate(_notes(result)):
        lines += labelled("note" if place == 0 else "", [note], width)
    emit(console, lines)


def _table(result: PlanResult, width: int) -> list[Text]:
    horizons = sorted({n for p in result.signals for n in p.within_nights}, key=int)
    headers = [
        "signal", "tolerance", "sees", "×10 base", "to see", "rows", "nights",
        *(f"in {n}" for n in horizons if n != "1"),
    ]  # fmt: skip
    rows: list[list[str | Text]] = [_row(p, result, horizons) for p in result.signals]
    return table(headers, rows, width, right=_RIGHT)


def _row(plan: SignalPlan, result: PlanResult, horizons: list[str]) -> list[str | Text]:
    def size(value: float) -> str:
        return numbers.size_of_change(plan.signal, value)

    return [
        words.signal_name(plan.signal.name),
        size(plan.signal.tolerance),
        size(plan.visible),
        size(plan.visible_larger_baseline),
        size(plan.wanted),
        _rounded(plan.rows_needed),
        _rounded(math.ceil(plan.rows_needed / result.rows_per_night))
        if math.isfinite(plan.rows_needed)
        else _NEVER,
        *(size(plan.within_nights.get(n, math.nan)) for n in horizons if n != "1"),
    ]


def _rounded(n: float) -> str:
    """Write a number of rows to two digits; a plan knows no more."""
    if not math.isfinite(n):
        return _NEVER
    digits = max(len(str(int(n))) - 2, 0)
    return f"{-(-int(n) // 10**digits) * 10**digits:,}"


def _notes(result: PlanResult) -> list[str]:
    notes = ["sees: the smallest change that one night's rows show, looked at once"]
    if any(p.within_nights for p in result.signals):
        notes.append("in 7, in 28: the change that looking every night shows within so many nights")
    blind = [p for p in result.signals if not math.isfinite(p.rows_needed)]
    if blind:
        notes.append(
            f"never: beside this baseline no number of rows shows the change "
            f"({numbers.count(len(blind), 'signal')}); a larger baseline may"
        )
    held = sum(p.baseline_share > _HALF for p in result.signals)
    if held:
        notes.append(
            f"a larger baseline buys most of the power: more than half of the error is the "
            f"baseline's in {held} of {numbers.count(len(result.signals), 'signal')}"
        )
    if any(not numbers.known(p.visible) for p in result.signals):
        notes.append("unknown: nothing would show, or too few users to say")
    return notes
