"""Write pairs to a terminal: where they come from, and what the audit found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from loopllm_cli.model import Agreement, ExportSummary, Finding, PairsSummary, Severity
from loopllm_cli.render import numbers
from loopllm_cli.render.clean import clean_text
from loopllm_cli.render.text_layout import emit, labelled, width_of

HASH = 12
_LONGEST = 60
_LONGEST_TEXT = 400
_MOST = 8
"""Of a long tally, so many entries are shown."""

SEVERITY_WORD = {Severity.FAIL: "FAIL", Severity.WARN: "warn", Severity.OK: "ok"}
_STYLES = {Severity.FAIL: "bold red", Severity.WARN: "yellow", Severity.OK: "green"}


def write_pairs(console: Console, result: PairsSummary, *, verbose: bool = False) -> None:
    """Write what became of every piece of feedback, and the audit.

    Args:
        verbose: also every check that found nothing.
    """
    width = width_of(console)
    lines = _counts(result, width)
    lines += _tally("by rule", result.by_rule, width)
    lines += _tally("by segment", result.by_segment, width)
    n_dropped = sum(result.dropped.values())
    if n_dropped:
        lines += _tally("dropped", result.dropped, width, first=f"{n_dropped:,}: ")
    lines += _agreement(result.agreement, width)
    lines += _audit(result.findings, width, verbose)
    lines += labelled("written", [clean_text(result.path), _hash(result.content_hash)], width)
    emit(console, lines)


def _counts(result: PairsSummary, width: int) -> list[Text]:
    n_pairs = result.n_train + result.n_heldout
    parts = [f"{n_pairs:,} from {result.n_feedback:,} pieces of feedback"]
    parts.append(f"{result.n_train:,} train")
    parts.append(f"{result.n_heldout:,} held out")
    if result.n_retention:
        parts.append(numbers.count(result.n_retention, "retention example"))
    if result.n_unpaired:
        parts.append(f"{result.n_unpaired:,} unpaired")
    if result.previous == result.content_hash:
        parts.append("nothing new since the last time")
    elif result.previous is not None:
        parts.append(f"{result.n_new:,} new and {result.n_gone:,} gone since the last time")
    return labelled("pairs", parts, width)


def _tally(label: str, counts: Mapping[str, int], width: int, *, first: str = "") -> list[Text]:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    said = [f"{n:,} {clean_text(name, _LONGEST)}" for name, n in ranked if n]
    if len(said) > _MOST:
        said[_MOST:] = [f"and {len(said) - _MOST} more"]
    if said:
        said[0] = first + said[0]
    return labelled(label, said, width) if said else []


def _hash(text: str) -> str:
    return clean_text(text)[:HASH]


def _agreement(known: Agreement | None, width: int) -> list[Text]:
    if known is None or not known.n_shared or not math.isfinite(known.agreement):
        return []
    parts = [
        f"{numbers.round_share(known.agreement)} of votes on the same answers agree "
        f"{_between(known.low, known.high)}",
        f"{known.n_shared:,} judged by several",
    ]
    if math.isfinite(known.noise):
        wrong = f"{numbers.round_share(known.noise)} of votes wrong"
        parts.append(f"{wrong} {_between(known.noise_low, known.noise_high)}")
    return labelled("agreement", parts, width)


def _between(low: float, high: float) -> str:
    return f"({numbers.round_share(low)} … {numbers.round_share(high)})"


def _audit(findings: Sequence[Finding], width: int, verbose: bool) -> list[Text]:
    """Write what speaks against the pairs, with its remedy, and count what does not."""
    if not findings:
        return []
    lines: list[Text] = []
    for severity in (Severity.FAIL, Severity.WARN):
        for one in findings:
            if one.severity is severity:
                lines += _loud(one, width)
    passed = [one for one in findings if one.severity is Severity.OK]
    said = f"{numbers.count(len(passed), 'check')} passed"
    if not verbose:
        said += " (--verbose lists them)" if passed else ""
        return [*lines, *labelled("audit", [said], width)]
    lines += labelled("audit", [said], width)
    for one in passed:
        lines += labelled("", [clean_text(f"{one.name}: {one.text}", _LONGEST_TEXT)], width)
    return lines


def _loud(one: Finding, width: int) -> list[Text]:
    head = Text(SEVERITY_WORD[one.severity], style=_STYLES[one.severity])
    said = f"{one.name}: {one.text}"
    value, limit = finding_value(one), finding_limit(one)
    parts = [clean_text(said, _LONGEST_TEXT), *([value] if value else [])]
    parts += [f"limit {limit}"] if limit else []
    if one.accepted:
        parts.append("accepted")
    lines = labelled(head, parts, width)
    if one.remedy and not one.accepted:
        lines += labelled("", [clean_text(f"→ {one.remedy}", _LONGEST_TEXT)], width)
    return lines


def finding_value(one: Finding) -> str:
    """Return a finding's value with its interval; empty where it has none."""
    if not numbers.known(one.value):
        return ""
    shown = _figure(one.value, one.threshold)
    if numbers.known(one.low) and numbers.known(one.high):
        low, high = (_figure(x, one.threshold) for x in (one.low, one.high))
        shown += f" ({low} … {high})"
    return shown


def finding_limit(one: Finding) -> str:
    """Return a finding's limit; empty where it has none."""
    return "" if one.threshold is None else _figure(one.threshold, one.threshold)


def _figure(value: float, threshold: float | None) -> str:
    """Write a share as a percentage, a count or ratio (its limit lies above one) as a number."""
    if threshold is None or threshold <= 1:
        return numbers.round_share(value)
    return numbers.count(round(value)) if threshold >= 10 else numbers.amount(value)


def write_export(console: Console, result: ExportSummary) -> None:
    """Write what another tool can read now, and what it cannot express."""
    width = width_of(console)
    lines = labelled("exported", [f"for {clean_text(result.reader)}"], width)
    lines += labelled("from", [clean_text(result.pairs)], width)
    lines += _tally("rows", result.n_rows, width)
    lines += _tally("left out", result.skipped, width)
    lines += labelled("written", [clean_text(result.path)], width)
    emit(console, lines)
