"""Write an unattended run to a terminal: how it ended, one line per step, what to do."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from loopllm_cli.model import Diagnosis, RunResult, RunStep, Severity, StepEnd
from loopllm_cli.render import numbers
from loopllm_cli.render.clean import clean_text
from loopllm_cli.render.text_layout import emit, labelled, width_of

_STYLES = {
    StepEnd.DONE: "green",
    StepEnd.FOUND: "bold yellow",
    StepEnd.FAILED: "bold red",
    StepEnd.SKIPPED: "dim",
}
_SEVERITIES = {Severity.OK: "green", Severity.WARN: "yellow", Severity.FAIL: "bold red"}
_MOST_CHARS = 600


def write_run(console: Console, result: RunResult, *, verbose: bool) -> None:
    """Write every step that was taken, and what its end asks for; all of them if verbose."""
    width = width_of(console)
    lines: list[Text] = []
    shown = [step for step in result.steps if verbose or _matters(step, result)]
    for step in shown:
        lines += labelled(step.name, _words(step), width, between=" ")
    for step in result.steps:
        if step.to_do:
            words: list[str | Text] = [
                Text(word) for word in clean_text(step.to_do, _MOST_CHARS).split(" ")
            ]
            lines += labelled("to do", words, width, between=" ")
    ended: list[str | Text] = [
        Text(f"exit {result.exit_code}"),
        result.run_id,
        f"by {clean_text(result.config)}",
    ]
    lines += labelled("run", ended, width)
    emit(console, lines)


def write_diagnosis(console: Console, result: Diagnosis) -> None:
    """Write what was looked at, each with its verdict, and what to do about it."""
    width = width_of(console)
    lines: list[Text] = []
    for one in result.examined:
        words: list[str | Text] = [Text(one.severity.value, style=_SEVERITIES[one.severity])]
        words += [Text(word) for word in clean_text(one.text, _MOST_CHARS).split(" ")]
        lines += labelled(one.name, words, width, between=" ")
        if one.to_do:
            to_do = f"to do: {clean_text(one.to_do, _MOST_CHARS)}"
            lines += labelled("", [Text(word) for word in to_do.split(" ")], width, between=" ")
    emit(console, lines)


def _matters(step: RunStep, result: RunResult) -> bool:
    """Leave out all but the first of the steps that were not taken for one reason."""
    if step.end is not StepEnd.SKIPPED:
        return True
    first = next(one for one in result.steps if one.text == step.text)
    return first is step


def _words(step: RunStep) -> list[str | Text]:
    said: list[str | Text] = [Text(word) for word in clean_text(step.text, _MOST_CHARS).split(" ")]
    took = [Text(f"({numbers.seconds(step.seconds)})")] if step.seconds >= 1 else []
    return [Text(step.end.value, style=_STYLES[step.end]), *said, *took]
