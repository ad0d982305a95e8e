"""Write to a terminal what differs between two baselines, and what became of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from loopllm_cli.model import BaselineDiff, BaselineRemoval, Comparison, Difference, Verdict
from loopllm_cli.render import numbers, words
from loopllm_cli.render.clean import clean_text
from loopllm_cli.render.text_layout import emit, labelled, table, verdict_text, width_of

_MAX_NAMES = 6
_MAX_TEXT = 60


def write_baseline_diff(console: Console, diff: BaselineDiff, *, verbose: bool = False) -> None:
    """Write what differs, the signals' means last; `verbose` lists those that do not."""
    width = width_of(console)
    a, b = (clean_text(name, 24) for name in (diff.a, diff.b))
    if diff.same_content:
        emit(console, labelled("baselines", [f"{a} and {b} hold the same"], width))
        return
    lines = labelled("baselines", [f"{a} → {b}"], width)
    for fact in diff.facts:
        lines += labelled("", [f"{fact.what}: {_change(fact)}"], width)
    lines += _signals(diff.signals, width)
    lines += _segments(diff, width)
    lines += _means(diff, width, verbose)
    reasons = Counter(clean_text(reason, _MAX_TEXT) for reason in diff.not_compared.values())
    if reasons:
        said = [f"{why} ({numbers.count(n, 'signal')})" for why, n in sorted(reasons.items())]
        lines += labelled("left out", said, width)
    for place, note in enumerate(diff.notes):
        lines += labelled("note" if place == 0 else "", [clean_text(note)], width)
    emit(console, lines)


def _change(difference: Difference) -> str:
    return f"{clean_text(difference.a, _MAX_TEXT)} → {clean_text(difference.b, _MAX_TEXT)}"


def _signals(changes: Sequence[Difference], width: int) -> list[Text]:
    lines: list[Text] = []
    for word in ("added", "removed"):
        names = [words.signal_name(c.subject) for c in changes if c.what == word]
        if names:
            lines += labelled(word, [", ".join(names)], width)
    changed = [c for c in changes if c.what not in ("added", "removed")]
    for place, c in enumerate(changed):
        said = f"{words.signal_name(c.subject)}: {c.what} {_change(c)}"
        lines += labelled("changed" if place == 0 else "", [said], width)
    return lines


def _segments(diff: BaselineDiff, width: int) -> list[Text]:
    said = []
    for word, names in (("new", diff.segments_added), ("gone", diff.segments_removed)):
        if names:
            shown = ", ".join(f"“{clean_text(n, words.LABEL_WIDTH)}”" for n in names[:_MAX_NAMES])
            more = f" and {len(names) - _MAX_NAMES:,} more" if len(names) > _MAX_NAMES else ""
            said.append(f"{word}: {shown}{more}")
    return labelled("segments", said, width) if said else []


def _means(diff: BaselineDiff, width: int, verbose: bool) -> list[Text]:
    if not diff.comparisons:
        return labelled("means", ["no signal is measured alike in both"], width)
    how = "segment by segment: other traffic is left out"
    if not diff.by_segment:
        how = "whole windows, as the segments differ: other traffic is part of it"
    ranked = words.whole(diff.comparisons)
    shown = [c for c in ranked if verbose or c.verdict is not Verdict.UNCHANGED]
    lines = labelled("means", [how], width)
    if shown:
        head = ["signal", clean_text(diff.a, 10), clean_text(diff.b, 10), "change", "95% CI"]
        rows = [_row(c) for c in shown]
        lines += table([*head, "verdict"], rows, width, right=frozenset({1, 2, 3}))
    if hidden := len(ranked) - len(shown):
        said = f"{numbers.count(hidden, 'signal')} unchanged (--verbose lists them)"
        lines.append(Text(f"  {said}", style="dim"))
    return lines


def _row(c: Comparison) -> list[str | Text]:
    kind = c.signal.kind
    decimals = numbers.change_decimals(kind, c.low, c.high)
    estimate = numbers.change(kind, c.change, decimals)
    known = estimate != numbers.UNKNOWN
    return [
        words.signal_name(c.signal.name),
        numbers.level(c.signal, c.baseline, c.n_baseline),
        numbers.level(c.signal, c.current, c.n_current),
        estimate,
        numbers.interval(kind, c.low, c.high, decimals, compact=True) if known else "",
        verdict_text(c.verdict),
    ]


def write_removal(console: Console, removal: BaselineRemoval) -> None:
    """Write what was removed, and what was made against it and stays."""
    width = width_of(console)
    verb = "would go" if removal.dry_run else "removed"
    lines = labelled(verb, [f"baseline {clean_text(removal.name, 64)}"], width)
    kept = (
        (removal.drift_runs, "drift run"),
        (removal.ledgers, "nightly ledger"),
        (removal.pairs, "pairs dataset"),
        (removal.adapters, "adapter"),
        (removal.verify_runs, "verify run"),
    )
    said = []
    for names, noun in kept:
        if names:
            shown = ", ".join(clean_text(n, 48) for n in names[:_MAX_NAMES])
            more = " …" if len(names) > _MAX_NAMES else ""
            said.append(f"{numbers.count(len(names), noun)} ({shown}{more})")
    if said:
        lines += labelled("stays", said, width)
        lines += labelled("note", ["what stays cannot be judged against it again"], width)
    emit(console, lines)
