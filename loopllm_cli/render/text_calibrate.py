"""Write to a terminal what a set-up does on clean rows and to planted changes."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from loopllm_cli.model import (
    Calibration,
    Frequency,
    Planted,
    SignalCalibration,
    SplitCalibration,
    Worse,
)
from loopllm_cli.render import numbers, words
from loopllm_cli.render.clean import clean_text
from loopllm_cli.render.text_layout import emit, labelled, table, width_of

_MAX_PARTS = 5
_RIGHT = frozenset({1, 2, 3, 4, 5})


def write_calibration(console: Console, result: Calibration, *, verbose: bool = False) -> None:
    """Write the sentence on false alarms, then one row per signal that can page.

    Args:
        console: where to; its width decides the layout.
        result: what was found.
        verbose: also the signals without a bad side.
    """
    width = width_of(console)
    rows, clusters = (
        numbers.count(result.n_rows, "row"),
        numbers.count(result.n_clusters, "cluster"),
    )
    name = clean_text(result.baseline_name, 24)
    lines = labelled("clean rows", [f"{rows} of {name}, {clusters}", result.source], width)
    word = "OK" if result.kept_level else "TOO MANY"
    style = "bold green" if result.kept_level else "bold red"
    lines += labelled(Text(word, style=style), [_sentence(result.splits[0])], width)
    for other in result.splits[1:]:
        lines += labelled("", [_sentence(other)], width)
    lines += labelled("", [_claims(result.splits[0])], width)
    lines += _signals(result, width, verbose)
    for place, note in enumerate(_notes(result)):
        lines += labelled("note" if place == 0 else "", [clean_text(note)], width)
    emit(console, lines)


def _sentence(split: SplitCalibration) -> str:
    """Return what became of one way of splitting."""
    subject = {
        "clusters": f"clean splits ({numbers.count(split.n_current, 'row')} now)",
        "days": "single days against the rest",
        "weeks": "single weeks against the rest",
    }[split.split_by]
    said = f"{subject} were called degraded in {frequency_words(split.degraded)}"
    if split.degraded_parts:
        shown = ", ".join(clean_text(p, 12) for p in split.degraded_parts[:_MAX_PARTS])
        said += f": {shown}" + (" …" if len(split.degraded_parts) > _MAX_PARTS else "")
    return said


def frequency_words(found: Frequency) -> str:
    """Write a frequency as "3 of 200 (1.5%, at most 4.3%)"; from 5% on, with both limits."""
    rate, low, high = (100 * x for x in (found.rate, found.low, found.high))
    limits = f"at most {high:.1f}%" if low < 5 else f"{low:.1f}% to {high:.1f}%"
    return f"{found.n_hits:,} of {found.n_runs:,} ({rate:.1f}%, {limits})"


def _claims(split: SplitCalibration) -> str:
    return (
        f"anything was claimed of them in {frequency_words(split.claimed)}, and "
        f"{split.inconclusive.n_hits:,} were inconclusive"
    )


def _signals(result: Calibration, width: int, verbose: bool) -> list[Text]:
    shown = [s for s in result.signals if verbose or s.signal.worse is not Worse.EITHER]
    if not shown:
        return []
    sees = f"sees ({100 * result.power:.0f}%)"
    headers = ["signal", "worse", "any", "2 × tolerance", sees, "found"]
    rows: list[list[str | Text]] = [_row(s) for s in shown]
    lines = table(headers, rows, width, right=_RIGHT)
    if hidden := len(result.signals) - len(shown):
        said = f"{numbers.count(hidden, 'signal')} without a bad side (--verbose lists them)"
        lines.append(Text(f"  {said}", style="dim"))
    return lines


def _row(one: SignalCalibration) -> list[str | Text]:
    planted = {p.kind: p for p in one.planted}
    return [
        words.signal_name(one.signal.name),
        _percent(one.worse),
        _percent(one.claimed),
        _found(planted.get("twice the tolerance")),
        numbers.size_of_change(one.signal, one.visible_change),
        _found(planted.get("visible")),
    ]


def _percent(found: Frequency) -> str:
    return numbers.share(found.rate, 1_000)


def _found(planted: Planted | None) -> str:
    """Write how often a planted change was found, with its interval."""
    if planted is None:
        return numbers.UNKNOWN
    found = planted.found
    return f"{100 * found.rate:.0f}% ({100 * found.low:.0f}…{100 * found.high:.0f})"


def _notes(result: Calibration) -> list[str]:
    notes = list(result.notes)
    if not result.kept_level:
        notes.insert(0, f"the promise is at most {100 * result.alpha:g}%: this set-up breaks it")
    by_note: dict[str, list[str]] = {}
    for one in result.signals:
        if one.note and one.signal.worse is not Worse.EITHER:
            by_note.setdefault(one.note, []).append(words.signal_name(one.signal.name))
    return notes + [f"{note}: {', '.join(names)}" for note, names in by_note.items()]
