"""The audit as Markdown, for the data card (README.md) of a dataset."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable

from loopllm_cli.model import Agreement, Finding, PairsSummary, Severity

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&])")
_BLANK = re.compile(r"\s+")
_MAX_CHARS = 400
_WORDS = {Severity.FAIL: "**fail**", Severity.WARN: "warn", Severity.OK: "ok"}
_UNKNOWN = "–"


def card_lines(summary: PairsSummary) -> list[str]:
    """Return the part of a data card that says what the pairs are and what the audit found.

    Texts come from logs: they are cut, put on one line and escaped, so that none can make a
    heading, a link or a cell.
    """
    return [
        *_counts("Pairs by rule", "rule", summary.by_rule),
        *_counts("Pairs by segment", "segment", summary.by_segment),
        *_counts("Feedback without a pair, and why", "reason", summary.dropped),
        *_agreement(summary.agreement),
        *_audit(summary.findings),
    ]


def escaped(text: object) -> str:
    """Return a text as one line of Markdown that says itself and does nothing."""
    bare = _BLANK.sub(" ", str(text)[:_MAX_CHARS])
    kept = (c for c in bare if c == " " or not unicodedata.category(c).startswith("C"))
    return _SPECIAL.sub(r"\\\1", "".join(kept).strip())


def _counts(title: str, noun: str, counts: dict[str, int]) -> list[str]:
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if not rows:
        return []
    lines = [f"## {title}", "", f"| {noun} | n |", "| --- | ---: |"]
    return [*lines, *(f"| {escaped(name)} | {n:,} |" for name, n in rows), ""]


def _agreement(known: Agreement | None) -> list[str]:
    if known is None or not known.n_shared:
        return []
    said = [
        f"- {name}: {_share(value)} ({_share(low)} to {_share(high)})"
        for name, value, low, high in (
            ("votes that agree", known.agreement, known.low, known.high),
            ("wrong votes, estimated", known.noise, known.noise_low, known.noise_high),
        )
        if math.isfinite(value)
    ]
    return ["## Agreement", "", f"- judged by more than one person: {known.n_shared:,}", *said, ""]


def _audit(findings: tuple[Finding, ...]) -> list[str]:
    return ["## Audit", "", *finding_table(findings), ""] if findings else []


def finding_table(findings: Iterable[Finding]) -> list[str]:
    """Return the findings as a Markdown table."""
    lines = ["| check | result | found | value | limit | remedy |"]
    lines.append("| --- | --- | --- | ---: | ---: | --- |")
    for one in findings:
        result = _WORDS[one.severity] + (", accepted" if one.accepted else "")
        remedy = "" if one.severity is Severity.OK else escaped(one.remedy)
        cells = (escaped(one.name), result, escaped(one.text), _value(one), _limit(one), remedy)
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _value(one: Finding) -> str:
    if one.value is None or not math.isfinite(one.value):
        return _UNKNOWN
    if one.low is None or one.high is None:
        return _number(one.value)
    return f"{_number(one.value)} ({_number(one.low)} to {_number(one.high)})"


def _limit(one: Finding) -> str:
    return _UNKNOWN if one.threshold is None else _number(one.threshold)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 and value == int(value) else f"{value:.3g}"


def _share(value: float) -> str:
    return _UNKNOWN if not math.isfinite(value) else f"{100 * value:.0f}%"
