"""Write a drift verdict to a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from loopllm_cli.model import Comparison, DriftResult, NightSignal, Verdict
from loopllm_cli.render import numbers, words
from loopllm_cli.render.clean import clean_text
from loopllm_cli.render.text_layout import (
    STYLES,
    emit,
    fits,
    labelled,
    table,
    verdict_text,
    width_of,
)

MAX_WHERE = 3
MAX_WHY = 3
RIGHT = frozenset({1, 2, 4, 5})  # columns of plain numbers


def write_drift(console: Console, result: DriftResult, *, verbose: bool = False) -> None:
    """Write the verdict, the table, and what explains it.

    Args:
        console: where to; its width decides the layout.
        result: the comparison.
        verbose: every signal, every segment and how each was skipped.
    """
    width = width_of(console)
    lines = labelled("window", words.window_parts(result), width, between="   ")
    word = Text(words.STATUS_WORD[result.status], style=STYLES[result.status])
    lines += labelled(word, words.verdict_parts(result), width)
    lines += drift_table(result, width, verbose=verbose)
    lines += _where(result, width, verbose)
    lines += _why(result, width, verbose)
    lines += _beyond(result, width, verbose)
    ranked = words.whole(result.comparisons)
    lines += labelled("counts as", worth, width) if (worth := words.worth_parts(ranked)) else []
    if sight := words.sight_parts(ranked):
        lines += labelled("could see", sight, width)
    lines += _notes(result, width, verbose)
    emit(console, lines)


def drift_table(result: DriftResult, width: int, *, verbose: bool = False) -> list[Text]:
    """Lay out one row per signal that did something, and a line for the rest."""
    ranked = words.whole(result.comparisons)
    shown = [c for c in ranked if verbose or c.verdict is not Verdict.UNCHANGED]
    lines: list[Text] = []
    if shown:
        name = clean_text(result.baseline_name, 10)
        headers = [
            "signal", name, "now", f"change ({words.confidence(result.alpha)})",
            "tolerance", "sees", "verdict",
        ]  # fmt: skip
        rows = _rows(shown, compact=False)
        if not fits([headers, *rows], width):
            rows = _rows(shown, compact=True)
        lines = table(headers, rows, width, right=RIGHT)
    hidden = len(ranked) - len(shown)
    if hidden:
        said = f"{numbers.count(hidden, 'signal')} unchanged"
        lines.append(Text(f"  {said} (--verbose lists them)", style="dim"))
    return lines


def _rows(comparisons: Sequence[Comparison], *, compact: bool) -> list[list[str | Text]]:
    changes = [change_parts(c, compact=compact) for c in comparisons]
    room = max(cell_len(estimate) for estimate, _ in changes)
    rows: list[list[str | Text]] = []
    for c, (estimate, bounds) in zip(comparisons, changes, strict=True):
        rows.append([
            words.signal_name(c.signal.name),
            numbers.level(c.signal, c.baseline, c.n_baseline),
            numbers.level(c.signal, c.current, c.n_current),
            f"{estimate:<{room}} {bounds}".rstrip(),
            numbers.tolerance(c.signal),
            numbers.size_of_change(c.signal, c.visible_change),
            verdict_text(c.verdict),
        ])  # fmt: skip
    return rows


def change_parts(moved: Comparison | NightSignal, *, compact: bool) -> tuple[str, str]:
    """Return a change and its interval, the interval empty where the change is unknown."""
    kind, low, high = moved.signal.kind, moved.low, moved.high
    decimals = numbers.change_decimals(kind, low, high)
    estimate = numbers.change(kind, moved.change, decimals)
    if estimate == numbers.UNKNOWN:
        return estimate, ""
    return estimate, numbers.interval(kind, low, high, decimals, compact=compact)


def _where(result: DriftResult, width: int, verbose: bool) -> list[Text]:
    """Name groups of rows that changed; prompt segments where no group was found."""
    found = [words.slice_parts(s) for s in result.slices]
    if verbose or not found:
        found += [words.where_parts(s) for s in result.segments]
    shown = found if verbose else found[:MAX_WHERE]
    lines: list[Text] = []
    for place, parts in enumerate(shown):
        lines += labelled("where" if place == 0 else "", parts, width)
    hidden = len(found) - len(shown)
    if hidden:
        lines += labelled("", [f"and {numbers.count(hidden, 'more segment')}"], width)
    return lines


def _beyond(result: DriftResult, width: int, verbose: bool) -> list[Text]:
    """Say what tells the answers apart beside the signals."""
    if not result.omnibus or not (verbose or result.omnibus.differs):
        return []
    return labelled("beyond", words.omnibus_parts(result.omnibus), width)


def _why(result: DriftResult, width: int, verbose: bool) -> list[Text]:
    worse = words.of_verdict(words.whole(result.comparisons), Verdict.WORSE)
    lines: list[Text] = []
    for place, comparison in enumerate(worse if verbose else worse[:MAX_WHY]):
        first, *rest = words.why_parts(comparison)
        said = [f"{words.signal_name(comparison.signal.name)}: {first}", *rest]
        lines += labelled("why" if place == 0 else "", said, width)
    return lines


def _notes(result: DriftResult, width: int, verbose: bool) -> list[Text]:
    notes = [clean_text(note) for note in (result.mix_note, *result.notes) if note]
    for comparison in words.whole(result.comparisons):
        if comparison.note and (verbose or comparison.verdict is not Verdict.UNCHANGED):
            name = words.signal_name(comparison.signal.name)
            notes.append(f"{name}: {clean_text(comparison.note)}")
    lines: list[Text] = []
    for place, note in enumerate(notes):
        lines += labelled("note" if place == 0 else "", [note], width)
    return lines + _skipped(result, width, verbose)


def _skipped(result: DriftResult, width: int, verbose: bool) -> list[Text]:
    """Name the signals that could not be compared, grouped by reason."""
    if not result.skipped_signals:
        return []
    if verbose:
        said = [
            f"{words.signal_name(name)}: {clean_text(reason)}"
            for name, reason in sorted(result.skipped_signals.items())
        ]
    else:
        reasons = Counter(clean_text(reason) for reason in result.skipped_signals.values())
        ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
        said = [f"{reason} ({numbers.count(n, 'signal')})" for reason, n in ranked]
    return labelled("skipped", said, width)
