"""`loopllm drift`: compare the current window with a baseline and decide."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Annotated

import typer

from loopllm_cli.commands import _options as opt
from loopllm_cli.commands._boundary import guarded
from loopllm_cli.commands._output import print_json, remark, stdout, write_artefact
from loopllm_cli.commands._projects import open_project
from loopllm_cli.errors import ExitCode
from loopllm_cli.model import DriftResult, Status, Verdict


class FailOn(StrEnum):
    """What ends with exit code 10."""

    DEGRADED = "degraded"
    CHANGED = "changed"
    NEVER = "never"


class Inconclusive(StrEnum):
    """How many unclear signals make the whole window inconclusive."""

    MOST = "most"
    ANY = "any"
    NEVER = "never"


FailOption = Annotated[FailOn, typer.Option("--fail-on", help="What ends with exit code 10.")]
InconclusiveOption = Annotated[
    Inconclusive | None,
    typer.Option("--inconclusive", help="How many unclear signals end with exit code 12."),
]


@guarded
def drift(
    baseline: Annotated[str, typer.Option("--baseline", help="The baseline's name.")],
    since: opt.SinceOption = None,
    until: opt.UntilOption = None,
    model: opt.ModelOption = None,
    where: opt.WhereOption = None,
    fail_on: FailOption = FailOn.DEGRADED,
    inconclusive: InconclusiveOption = None,
    html_out: opt.HtmlOption = None,
    json_out: opt.JsonOutOption = None,
    project: opt.ProjectOption = ".",
    config: opt.ConfigOption = None,
    as_json: opt.JsonOption = False,
    verbose: opt.VerboseOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Compare a window with a baseline: what changed, where, by how much, how sure.

    Without a window, everything after the baseline's is compared. Exit codes: 0 nothing worse
    that this window could have shown, 10 degraded, 12 too little data.
    """
    from loopllm_cli.config import load_config
    from loopllm_cli.loop.evaluate import run_drift
    from loopllm_cli.loop.records import write_run
    from loopllm_cli.render.as_json import to_json
    from loopllm_cli.render.html import render_drift_html
    from loopllm_cli.render.text import write_drift

    store = open_project(project)
    settings = load_config(store.root, config)
    if inconclusive:
        settings = replace(settings, drift=replace(settings.drift, inconclusive=str(inconclusive)))
    result = run_drift(store, settings, baseline, opt.to_window(since, until, model, where))
    record = to_json(result)
    write_run(store, "drift", result.run_id, record)
    if as_json:
        print_json(record)
    else:
        write_drift(stdout(), result, verbose=verbose)
    write_artefact(json_out, record, quiet=quiet)
    write_artefact(html_out, render_drift_html(result) if html_out else "", quiet=quiet)
    if result.status is Status.DEGRADED and not as_json:
        remark("next: loopllm pairs", quiet=quiet)
    raise typer.Exit(exit_code(result, fail_on))


def exit_code(result: DriftResult, fail_on: FailOn) -> ExitCode:
    """Choose the exit code of a verdict."""
    moved = any(
        c.verdict in (Verdict.WORSE, Verdict.CHANGED, Verdict.BETTER) for c in result.comparisons
    )
    if fail_on is FailOn.CHANGED and moved:
        return ExitCode.DEGRADED
    if result.status is Status.DEGRADED:
        return ExitCode.OK if fail_on is FailOn.NEVER else ExitCode.DEGRADED
    return ExitCode.INCONCLUSIVE if result.status is Status.INCONCLUSIVE else ExitCode.OK
