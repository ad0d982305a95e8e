"""Write results as Markdown for a pull request or a CI summary: the verdict first, details folded.

Log text is a stranger's: it is made one clean line, every sign that Markdown or HTML reads is
escaped, and `@` is written so that nobody is called by a log.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from loopllm_cli.model import (
    Comparison,
    DriftResult,
    Repair,
    RunParts,
    RunResult,
    Verdict,
    VerifyResult,
)
from loopllm_cli.render import numbers, run_views, words
from loopllm_cli.render.clean import clean_text

MAX_ROWS = 40
_MOST_CHARS = 300
_SIGNS = re.compile(r"([\\`*_{}\[\]#|~]|^[-+](?=\s))")
_NUMBERED = re.compile(r"^(\d+)([.)])(?=\s)")
_CODES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;"})


def render_drift_markdown(result: DriftResult) -> str:
    """Write a comparison: verdict, what moved, and folded where, why and what it could see."""
    sentence, *counts = words.verdict_parts(result)
    head = f"**{words.STATUS_WORD[result.status]}** {_plain(sentence)}"
    ranked = words.whole(result.comparisons)
    moved = [c for c in ranked if c.verdict is not Verdict.UNCHANGED]
    where = [words.slice_parts(s) for s in result.slices]
    where += [words.where_parts(s) for s in result.segments]
    why = [words.why_parts(c) for c in words.of_verdict(ranked, Verdict.WORSE)]
    return _document(
        " · ".join([head, *map(_plain, counts)]),
        _line(words.window_parts(result)),
        _signals(moved[:MAX_ROWS], result),
        _folded("Where", where[:MAX_ROWS]),
        _folded("Why", why[:MAX_ROWS]),
        _folded("Could see", [words.sight_parts(ranked)]),
        f"<sub>run {_plain(result.run_id)}, {numbers.minute(result.created)}</sub>",
    )


def render_verify_markdown(result: VerifyResult) -> str:
    """Write a proof: verdict with reasons, repairs, and folded every check."""
    repairs = [_repair(repair) for repair in result.repairs[:MAX_ROWS]]
    checks = [(c.name, c.gate.value, c.text) for c in result.checks]
    return _document(
        f"**{words.GATE_WORD[result.gate]}** " + "; ".join(map(_plain, result.reasons[:3])),
        _line([f"adapter {result.adapter}", f"on {result.model}"]),
        _table(("segment", "signal", result.baseline_name, "before", "after", "verdict"), repairs),
        _fold("Checks", _table(("check", "verdict", "what it showed"), checks)),
        f"<sub>run {_plain(result.run_id)}, {numbers.minute(result.created)}</sub>",
    )


def render_run_markdown(result: RunResult, parts: RunParts) -> str:
    """Write an unattended run: how it ended, its steps, and folded the results of these."""
    verdict = run_views.run_verdict(result)
    steps = [(s.name, s.end.value, s.text) for s in result.steps]
    to_do = [[f"to do: {step.to_do}"] for step in result.steps if step.to_do]
    return _document(
        f"**{verdict['word'].upper()}** {_plain(result.sentence)} (exit {result.exit_code})",
        _table(("step", "ended", "what it found"), steps),
        "\n".join(f"- {_line(advice)}" for advice in to_do),
        _fold("Drift", render_drift_markdown(parts.drift)) if parts.drift else "",
        _fold("Proof", render_verify_markdown(parts.verify)) if parts.verify else "",
        f"<sub>{_plain(result.run_id)} by {_plain(result.config)}</sub>",
    )


def _document(*blocks: str) -> str:
    return "\n\n".join(block for block in blocks if block) + "\n"


def _signals(comparisons: Sequence[Comparison], result: DriftResult) -> str:
    change = f"change ({words.confidence(result.alpha)})"
    heads = ("signal", result.baseline_name, "now", change, "tolerance", "verdict")
    return _table(heads, [_signal(c) for c in comparisons])


def _signal(c: Comparison) -> tuple[str, ...]:
    kind = c.signal.kind
    decimals = numbers.change_decimals(kind, c.low, c.high)
    moved = numbers.change(kind, c.change, decimals)
    if moved != numbers.UNKNOWN:
        moved = f"{moved} {numbers.interval(kind, c.low, c.high, decimals)}"
    return (
        words.signal_name(c.signal.name),
        numbers.level(c.signal, c.baseline, c.n_baseline),
        numbers.level(c.signal, c.current, c.n_current),
        moved,
        numbers.tolerance(c.signal),
        c.verdict.value,
    )


def _repair(repair: Repair) -> tuple[str, ...]:
    levels = (
        numbers.level(repair.signal, value, repair.n)
        for value in (repair.baseline, repair.before, repair.after)
    )
    return (repair.label, words.signal_name(repair.signal.name), *levels, repair.gate.value)


def _folded(title: str, lines: Sequence[Sequence[str]]) -> str:
    return _fold(title, "\n".join(f"- {_line(parts)}" for parts in lines if parts))


def _fold(title: str, content: str) -> str:
    if not content:
        return ""
    return f"<details><summary>{title}</summary>\n\n{content.rstrip()}\n\n</details>"


def _table(heads: Iterable[str], rows: Sequence[Iterable[str]]) -> str:
    if not rows:
        return ""
    cells = [[_plain(cell) for cell in row] for row in (heads, *rows)]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([lines[0], f"|{'---|' * len(cells[0])}", *lines[1:]])


def _line(parts: Sequence[str]) -> str:
    return " · ".join(map(_plain, parts))


def _plain(text: str) -> str:
    """Return text that Markdown and HTML show as it is."""
    escaped = _SIGNS.sub(r"\\\1", clean_text(text, _MOST_CHARS))
    return _NUMBERED.sub(r"\1\\\2", escaped).translate(_CODES)
