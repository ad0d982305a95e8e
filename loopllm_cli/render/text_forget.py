"""Write to a terminal what was forgotten, what was not, and what is left to do."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from loopllm_cli.model import ForgetSummary
from loopllm_cli.render import numbers
from loopllm_cli.render.clean import clean_text
from loopllm_cli.render.text_layout import emit, labelled, width_of

_SELECTED = {"user": "that user", "conversation": "that conversation", "id": "that response"}


def write_forget(console: Console, result: ForgetSummary) -> None:
    """Write the account of an erasure, without repeating whom it was about."""
    width = width_of(console)
    verb = "would go" if result.dry_run else "erased"
    counts = (
        (result.n_interactions, "response"),
        (result.n_feedback, "vote"),
        (result.n_parts, "part"),
        (result.n_rejects, "rejected line"),
    )
    parts = [numbers.count(n, noun) for n, noun in counts if n]
    made = (
        result.datasets,
        result.datasets_elsewhere,
        result.records,
        result.adapters,
        result.rewritten,
    )
    if not parts and not any((*made, result.rewritten)):
        said = f"the project holds nothing of {_SELECTED[result.selector]}"
        emit(console, labelled("nothing", [said], width))
        return
    lines = labelled(verb, parts or ["no row"], width)
    lines += _paths(
        "datasets",
        result.datasets,
        "would be removed whole" if result.dry_run else "removed whole",
        width,
    )
    lines += _paths(
        "records",
        result.records,
        "ids would be taken out" if result.dry_run else "ids taken out",
        width,
    )
    lines += _paths(
        "rewritten",
        result.rewritten,
        "rows would be taken out" if result.dry_run else "rows taken out",
        width,
    )
    lines += _paths("left", result.datasets_elsewhere, "dataset elsewhere: remove it", width)
    lines += _paths("adapters", result.adapters, "trained on it: not deleted", width)
    if result.promoted:
        parts = ["a promoted adapter was trained on it", clean_text(result.promoted)]
        parts.append("roll back or train again: loopllm adapters rollback")
        lines += labelled(Text("WARNING", style="bold red"), parts, width)
    if result.n_baselines:
        said = f"{numbers.count(result.n_baselines, 'baseline')}: sums without any text or id"
        lines += labelled("untouched", [said], width)
    notes = ["exports, reports and copies outside of the project are as they were"]
    notes.append("reading such an export again brings it back")
    emit(console, lines + labelled("note", notes, width))


def _paths(label: str, paths: Sequence[str], said: str, width: int) -> list[Text]:
    """Write what becomes of some paths, and one line for each."""
    if not paths:
        return []
    lines = labelled(label, [said], width)
    for path in paths:
        lines += labelled("", [clean_text(path)], width)
    return lines
