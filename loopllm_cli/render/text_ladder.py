"""Write a ladder of learning rates to a terminal: one row per rate, then what came of it."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from loopllm_cli.model import Gate, LadderResult, Rung, RungEnd
from loopllm_cli.render import numbers
from loopllm_cli.render.clean import clean_text
from loopllm_cli.render.text_layout import STYLES, emit, labelled, table, width_of

_STYLES = {RungEnd.PASSED: STYLES[Gate.PASS], RungEnd.TOO_MUCH: STYLES[Gate.FAIL]}
_HEADERS = ("rate", "KL", "held-out", "back", "kept", "time", "verdict")


def write_ladder(console: Console, result: LadderResult) -> None:
    """Write every rung, why the search ended, and what to do."""
    width = width_of(console)
    n_passed = sum(r.end is RungEnd.PASSED for r in result.rungs)
    said = f"{numbers.count(len(result.rungs), 'learning rate')} tried, {n_passed} passed"
    lines = labelled("ladder", [said, numbers.seconds(result.seconds), result.stopped], width)
    rows = [_row(rung) for rung in result.rungs]
    lines += table(_HEADERS, rows, width, right=frozenset({1, 2, 3, 4, 5}))
    for rung in result.rungs:
        if rung.end is not RungEnd.PASSED:
            why = [Text(word) for word in clean_text(rung.why, 300).split(" ")]
            lines += labelled(f"{rung.learning_rate:.1e}", why, width, between=" ")
    if result.learning_rate is not None:
        lines += labelled("kept", [f"learning_rate = {result.learning_rate:g}"], width)
    for place, advice in enumerate(result.advice):
        words = [Text(word) for word in clean_text(advice, 400).split(" ")]
        lines += labelled("to do" if place == 0 else "", words, width, between=" ")
    emit(console, lines)


def _row(rung: Rung) -> list[str | Text]:
    return [
        f"{rung.learning_rate:.1e}",
        "-" if rung.retention_kl is None else f"{rung.retention_kl:.4f}",
        _share(rung.held_out),
        _share(rung.recovered),
        _share(rung.kept),
        numbers.seconds(rung.seconds),
        Text(rung.end.value, style=_STYLES.get(rung.end, "")),
    ]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
