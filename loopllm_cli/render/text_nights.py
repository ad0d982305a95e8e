"""Write the state of a nightly watch to a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from loopllm_cli.model import NightSignal, NightsResult, Status, Verdict, Worse
from loopllm_cli.render import numbers, words
from loopllm_cli.render.clean import clean_text, cut
from loopllm_cli.render.text_drift import change_parts
from loopllm_cli.render.text_layout import (
    STYLES,
    emit,
    fits,
    labelled,
    table,
    verdict_text,
    width_of,
)

MAX_PAGES = 5
MAX_DAYS = 3
RIGHT, RIGHT_NARROW = frozenset({1, 2, 4, 5, 6, 7}), frozenset({1, 2, 4, 5})
_LEGEND = "tonight, a week, 4 weeks: the change that would page by then (80%)"
_ORDER = (
    Verdict.WORSE,
    Verdict.CHANGED,
    Verdict.BETTER,
    Verdict.INCONCLUSIVE,
    Verdict.UNCHANGED,
)


def write_nights(console: Console, result: NightsResult, *, verbose: bool = False) -> None:
    """Write the verdict, the table, the pages so far and what the budget stands at.

    Args:
        console: where to; its width decides the layout.
        result: the watch after its newest night.
        verbose: every signal and every page.
    """
    width = width_of(console)
    name = clean_text(result.baseline_name, 30)
    scope = [f"only {clean_text(result.scope, 40)}"] if result.scope else []
    rows = numbers.count(result.n_rows, "row")
    lines = labelled("night", [f"{result.night} · {rows}", f"against {name}", *scope], width)
    word = Text(words.STATUS_WORD[result.status], style=STYLES[result.status])
    lines += labelled(word, _verdict_parts(result), width)
    lines += nights_table(result, width, verbose=verbose)
    lines += _pages(result, width, verbose)
    lines += labelled("budget", _budget_parts(result), width)
    lines += _days(result, width)
    for place, note in enumerate(result.notes):
        lines += labelled("note" if place == 0 else "", [clean_text(note)], width)
    emit(console, lines)


def nights_table(result: NightsResult, width: int, *, verbose: bool = False) -> list[Text]:
    """Lay out one row per signal that did something, and a line for the rest."""
    ranked = sorted(result.signals, key=lambda s: (_ORDER.index(s.verdict), s.since or ""))
    shown = [s for s in ranked if verbose or s.verdict is not Verdict.UNCHANGED]
    lines: list[Text] = []
    if shown:
        headers: list[str | Text] = [
            "signal", clean_text(result.baseline_name, 10), "now", "change (95%)",
            "nights", "tonight", "a week", "4 weeks", "verdict",
        ]  # fmt: skip
        grid, right = [headers, *_rows(shown, compact=False)], RIGHT
        if not fits(grid, width):
            grid = [[*row[:4], *row[6:]] for row in [headers, *_rows(shown, compact=True)]]
            right = RIGHT_NARROW
        lines = table([str(cell) for cell in grid[0]], grid[1:], width, right=right)
        lines.append(Text(f"  {cut(_LEGEND, width - 2)}", style="dim"))
    hidden = len(ranked) - len(shown)
    if hidden:
        said = f"{numbers.count(hidden, 'signal')} within tolerance (--verbose lists them)"
        lines.append(Text(f"  {said}", style="dim"))
    return lines


def _rows(signals: Sequence[NightSignal], *, compact: bool) -> list[list[str | Text]]:
    changes = [change_parts(s, compact=compact) for s in signals]
    room = max(cell_len(estimate) for estimate, _ in changes)
    return [
        [
            words.signal_name(s.signal.name),
            numbers.level(s.signal, s.baseline, s.n_baseline),
            numbers.level(s.signal, s.current, s.n_window),
            f"{estimate:<{room}} {bounds}".rstrip(),
            str(s.n_nights),
            *(numbers.size_of_change(s.signal, seen) for seen in s.visible),
            verdict_text(s.verdict),
        ]
        for s, (estimate, bounds) in zip(signals, changes, strict=True)
    ]


def _verdict_parts(result: NightsResult) -> list[str]:
    worse = [s for s in result.signals if s.verdict is Verdict.WORSE]
    new = [words.signal_name(s.signal.name) for s in worse if s.paged]
    old = [s for s in worse if not s.paged]
    back = [words.signal_name(s.signal.name) for s in result.signals if s.recovered]
    parts = [f"new: {', '.join(new)} beyond tolerance"] if new else []
    parts += [f"{words.signal_name(s.signal.name)} still worse (since {s.since})" for s in old]
    parts += [f"back within tolerance: {', '.join(back)}"] if back else []
    if parts:
        return parts
    paging = [s for s in result.signals if s.signal.worse is not Worse.EITHER]
    fine = sum(s.verdict in (Verdict.UNCHANGED, Verdict.BETTER) for s in paging)
    said = f"{fine} of {numbers.count(len(paging), 'signal')} within tolerance"
    if result.status is Status.INCONCLUSIVE:
        return [said, "too few rows to tell for most of the others"]
    return [said, "no page"]


def _pages(result: NightsResult, width: int, verbose: bool) -> list[Text]:
    newest = list(reversed(result.pages))
    shown = newest if verbose else newest[:MAX_PAGES]
    lines: list[Text] = []
    for place, page in enumerate(shown):
        until = f"until {page.until}" if page.until else "until now"
        said = [f"{page.day} {words.signal_name(page.signal)} · {until}"]
        lines += labelled("pages" if place == 0 else "", said, width)
    if len(newest) > len(shown):
        lines += labelled("", [f"and {len(newest) - len(shown)} before (--verbose)"], width)
    return lines


def _budget_parts(result: NightsResult) -> list[str]:
    budget = f"{result.budget:g} false page{'' if result.budget == 1 else 's'} a year"
    nights = numbers.count(result.n_nights, "night")
    return [
        budget,
        f"spent {numbers.fixed(result.spent, 2)} of it since {result.first_day} over {nights}",
        numbers.count(result.family_size, "signal") + " can page",
    ]


def _days(result: NightsResult, width: int) -> list[Text]:
    said = [
        ("without rows", result.missing_days),
        ("judged late", result.late_days),
        ("measured again, as their rows changed", result.changed_days),
    ]
    lines: list[Text] = []
    for what, days in said:
        if days:
            lines += labelled("" if lines else "days", [f"{what}: {_list_days(days)}"], width)
    return lines


def _list_days(days: Sequence[str]) -> str:
    newest = sorted(days)[-MAX_DAYS:]
    shown = ", ".join(date.fromisoformat(day).isoformat() for day in newest)
    more = len(days) - len(newest)
    return f"{shown} and {numbers.count(more)} before" if more else shown
