"""`loopllm drift`: compare the current window with a baseline and decide."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from loopllm_cli.commands import _options as opt
from loopllm_cli.commands._boundary import guarded
from loopllm_cli.commands._output import print_json, remark, stdout, write_artefact
from loopllm_cli.commands._projects import open_project
from loopllm_cli.errors import ExitCode, UsageError
from loopllm_cli.model import DriftResult, NightsResult, Status, Verdict, Window

if TYPE_CHECKING:
    from loopllm_cli.config import Config
    from loopllm_cli.store.project import Project


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


NightlyOption = Annotated[
    bool,
    typer.Option("--nightly", help="Judge every day that has not been judged yet, for cron."),
]


@guarded
def drift(
    baseline: Annotated[str, typer.Option("--baseline", help="The baseline's name.")],
    since: opt.SinceOption = None,
    until: opt.UntilOption = None,
    model: opt.ModelOption = None,
    where: opt.WhereOption = None,
    nightly: NightlyOption = False,
    fail_on: FailOption = FailOn.DEGRADED,
    inconclusive: InconclusiveOption = None,
    html_out: opt.HtmlOption = None,
    json_out: opt.JsonOutOption = None,
    markdown_out: opt.MarkdownOption = None,
    junit_out: opt.JunitOption = None,
    project: opt.ProjectOption = ".",
    config: opt.ConfigOption = None,
    as_json: opt.JsonOption = False,
    verbose: opt.VerboseOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Compare a window with a baseline: what changed, where, by how much, how sure.

    Without a window, everything after the baseline's is compared. With --nightly, every day since
    is judged that has not been yet, under a budget of false pages. Exit codes: 0 nothing worse
    that this window could have shown, 10 degraded, 12 too little data.
    """
    from loopllm_cli.config import load_config
    from loopllm_cli.render.as_json import to_json

    store = open_project(project)
    settings = load_config(store.root, config)
    if inconclusive:
        settings = replace(settings, drift=replace(settings.drift, inconclusive=str(inconclusive)))
    window = opt.to_window(since, until, model, where)
    if nightly and (html_out or markdown_out or junit_out):
        raise UsageError(
            "--nightly has no page of its own", "write the page by a run without --nightly"
        )
    judge = _judge_nights if nightly else _judge_window
    result = judge(store, settings, baseline, window)
    record = to_json(result)
    if as_json:
        print_json(record)
    else:
        _write_text(result, verbose=verbose)
    write_artefact(json_out, record, quiet=quiet)
    if isinstance(result, DriftResult):
        from loopllm_cli.render.html import render_drift_html
        from loopllm_cli.render.junit import render_drift_junit
        from loopllm_cli.render.markdown import render_drift_markdown

        write_artefact(html_out, render_drift_html(result) if html_out else "", quiet=quiet)
        write_artefact(markdown_out, render_drift_markdown(result), quiet=quiet)
        write_artefact(junit_out, render_drift_junit(result), quiet=quiet)
    if result.status is Status.DEGRADED and not as_json:
        remark(
            f"next: loopllm {'drift --baseline ' + baseline if nightly else 'pairs'}", quiet=quiet
        )
    raise typer.Exit(exit_code(result, fail_on))


def _judge_window(store: Project, settings: Config, baseline: str, window: Window) -> DriftResult:
    from loopllm_cli.loop.evaluate import run_drift
    from loopllm_cli.loop.records import write_run
    from loopllm_cli.render.as_json import to_json

    result = run_drift(store, settings, baseline, window)
    write_run(store, "drift", result.run_id, to_json(result))
    return result


def _judge_nights(store: Project, settings: Config, baseline: str, window: Window) -> NightsResult:
    from loopllm_cli.loop.nights import run_nights

    return run_nights(store, settings, baseline, window)


def _write_text(result: DriftResult | NightsResult, *, verbose: bool) -> None:
    from loopllm_cli.render.text import write_drift
    from loopllm_cli.render.text_nights import write_nights

    if isinstance(result, DriftResult):
        write_drift(stdout(), result, verbose=verbose)
    else:
        write_nights(stdout(), result, verbose=verbose)


def exit_code(result: DriftResult | NightsResult, fail_on: FailOn) -> ExitCode:
    """Choose the exit code of a verdict."""
    found = result.comparisons if isinstance(result, DriftResult) else result.signals
    moved = any(c.verdict in (Verdict.WORSE, Verdict.CHANGED, Verdict.BETTER) for c in found)
    if fail_on is FailOn.CHANGED and moved:
        return ExitCode.DEGRADED
    if result.status is Status.DEGRADED:
        return ExitCode.OK if fail_on is FailOn.NEVER else ExitCode.DEGRADED
    return ExitCode.INCONCLUSIVE if result.status is Status.INCONCLUSIVE else ExitCode.OK
