"""What the report of an unattended run shows of the run itself."""

from __future__ import annotations

from typing import Any

from loopllm_cli.errors import ExitCode
from loopllm_cli.model import RunParts, RunResult, StepEnd
from loopllm_cli.render import numbers
from loopllm_cli.render.clean import clean_text

View = dict[str, Any]
_MOST_CHARS = 300
_WORDS = {
    ExitCode.OK: ("OK", "ok"),
    ExitCode.DEGRADED: ("Degraded", "degraded"),
    ExitCode.GATE_FAILED: ("Refused", "fail"),
    ExitCode.INCONCLUSIVE: ("Inconclusive", "inconclusive"),
}
_CSS = {
    StepEnd.DONE: "done",
    StepEnd.FOUND: "degraded",
    StepEnd.FAILED: "fail",
    StepEnd.SKIPPED: "waiting",
}
_PLACES = {"drift": "#changed", "pairs": "#pairs", "correct": "#adapter", "verify": "#verify"}


def run_verdict(result: RunResult) -> View:
    """Return the word and the sentence that head the page."""
    word, css = _WORDS.get(ExitCode(result.exit_code), ("Failed", "fail"))
    return {"word": word, "css": css, "sentence": clean_text(result.sentence, _MOST_CHARS)}


def run_steps(result: RunResult, parts: RunParts) -> list[View]:
    """Return every step with how it ended, linked where its full result is on the page."""
    shown = {
        "drift": parts.drift, "pairs": parts.pairs, "correct": parts.adapter,
        "verify": parts.verify,
    }  # fmt: skip
    return [
        {
            "name": step.name.capitalize(),
            "css": _CSS[step.end],
            "word": step.end.value,
            "text": " ".join([clean_text(step.text, _MOST_CHARS), *_took(step.seconds)]),
            "href": _PLACES.get(step.name, "") if shown.get(step.name) else "",
        }
        for step in result.steps
    ]


def _took(seconds: float) -> list[str]:
    return [f"({numbers.seconds(seconds)})"] if seconds >= 1 else []
