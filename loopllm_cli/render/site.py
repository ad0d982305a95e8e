"""Write a project's history as one static site: a page that lists everything, and a page each."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from loopllm_cli.model import History, RunParts, RunResult
from loopllm_cli.render import numbers, run_views, svg, words
from loopllm_cli.render.clean import clean_text
from loopllm_cli.render.html import (
    render_drift_html,
    render_page,
    render_run_html,
    render_verify_html,
)

View = dict[str, Any]
INDEX = "index.html"
_MOST_CHARS = 200
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


def render_site(history: History, parts_of: Callable[[RunResult], RunParts]) -> dict[str, str]:
    """Write every page of the site.

    Args:
        parts_of: reads the full results of a run's steps.

    Returns:
        The pages by file name; links between them are relative.
    """
    pages = {INDEX: _index(history)}
    for run in history.runs:
        pages[_file("run", run.run_id)] = render_run_html(run, parts_of(run))
    for found in history.drifts:
        pages[_file("drift", found.run_id)] = render_drift_html(found)
    for proof in history.proofs:
        pages[_file("proof", proof.run_id)] = render_verify_html(proof)
    return pages


def _file(kind: str, run_id: str) -> str:
    """Name a page; an id is ours, but a record may come from anywhere."""
    return f"{kind}-{_UNSAFE.sub('-', run_id)[:80]}.html"


def _index(history: History) -> str:
    runs = [_run(run) for run in history.runs]
    latest = runs[0] if runs else None
    context = {
        "latest": latest,
        "strip": svg.state_strip([(one["css"], one["said"]) for one in runs[::-1]]),
        "runs": runs,
        "drifts": [
            {"when": numbers.minute(one.created), "word": words.STATUS_WORD[one.status],
             "css": one.status.value, "text": words.verdict_parts(one)[0],
             "href": _file("drift", one.run_id)}
            for one in history.drifts
        ],
        "proofs": [
            {"when": numbers.minute(one.created), "word": words.GATE_WORD[one.gate],
             "css": one.gate.value, "href": _file("proof", one.run_id),
             "text": clean_text(one.reasons[0] if one.reasons else "", _MOST_CHARS)}
            for one in history.proofs
        ],
        "n_unreadable": history.n_unreadable,
        "run": history.runs[0].run_id if history.runs else numbers.UNKNOWN,
        "made": latest["when"] if latest else "",
    }  # fmt: skip
    return render_page("history.html", context)


def _run(run: RunResult) -> View:
    verdict = run_views.run_verdict(run)
    if run.ended is None:
        verdict = {"word": "Not ended", "css": "inconclusive", "sentence": "killed, or goes on"}
    when = numbers.minute(run.created)
    return {
        "when": when, "word": verdict["word"], "css": verdict["css"],
        "text": verdict["sentence"], "href": _file("run", run.run_id),
        "said": f"{when}: {verdict['word']}",
    }  # fmt: skip
