"""`loopllm run`: the whole loop from one config file, for cron and CI."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from loopllm_cli.commands import _options as opt
from loopllm_cli.commands._boundary import guarded, to_bug
from loopllm_cli.commands._log import LOG, log_to
from loopllm_cli.commands._output import print_json, remark, stdout, write_artefact
from loopllm_cli.commands._projects import open_project
from loopllm_cli.errors import UsageError

UntilOption = Annotated[
    str,
    typer.Option(
        "--until",
        metavar="STEP",
        help="The last step: ingest, upkeep, drift, pairs, correct, verify or promote.",
    ),
]
DryOption = Annotated[
    bool, typer.Option("-n", "--dry-run", help="Check the config, say what would be done.")
]


AsOfOption = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="MOMENT",
        help="Judge as if it were then [default: now]; for catching up.",
    ),
]


@guarded
def run(
    config: opt.ConfigOption = None,
    until: UntilOption = "promote",
    dry_run: DryOption = False,
    as_of: AsOfOption = None,
    html_out: opt.HtmlOption = None,
    json_out: opt.JsonOutOption = None,
    markdown_out: opt.MarkdownOption = None,
    junit_out: opt.JunitOption = None,
    log_out: opt.LogOption = None,
    project: opt.ProjectOption = ".",
    as_json: opt.JsonOption = False,
    verbose: opt.VerboseOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Do what a night asks for: ingest, drift and, only if degraded, pairs to promotion.

    Run again after a crash, it goes on; after a missed night, it catches up; beside another one,
    it ends with exit code 4. Exit codes: 0 nothing got worse, or it is repaired and promoted;
    10 degraded; 11 the adapter was refused; 12 too little data; 1 to 4 a step failed.
    """
    from loopllm_cli.config import FILE_NAME, load_config
    from loopllm_cli.loop.alarms import announce
    from loopllm_cli.loop.records import read_parts
    from loopllm_cli.loop.run_plan import plan_loop
    from loopllm_cli.loop.unattended import RunRequest, run_loop
    from loopllm_cli.render.as_json import to_json
    from loopllm_cli.render.html import render_run_html
    from loopllm_cli.render.junit import render_run_junit
    from loopllm_cli.render.markdown import render_run_markdown
    from loopllm_cli.render.text_run import write_run

    log_to(log_out)
    store = open_project(project, bulk=True)
    path = config or store.root / FILE_NAME
    if config is None and not path.is_file():
        raise UsageError(f"no {FILE_NAME} in {store.root}", "write one: loopllm init")
    settings = load_config(store.root, path)
    now = opt.to_window(None, as_of, None, None).until or datetime.now(UTC)
    request = RunRequest(
        path, now, until, lambda said: remark(said, quiet=quiet or not said), to_bug
    )
    result = (plan_loop if dry_run else run_loop)(store, settings, request)
    for step in result.steps:
        facts = {"step": step.name, "end": step.end.value, "seconds": round(step.seconds, 3)}
        LOG.info("%s", step.text, extra={"facts": facts})
    record = to_json(result)
    if as_json:
        print_json(record)
    else:
        write_run(stdout(), result, verbose=verbose)
    write_artefact(json_out, record, quiet=quiet)
    parts = read_parts(store, result)
    write_artefact(html_out, render_run_html(result, parts) if html_out else "", quiet=quiet)
    write_artefact(markdown_out, render_run_markdown(result, parts), quiet=quiet)
    write_artefact(junit_out, render_run_junit(result), quiet=quiet)
    if not dry_run:
        told = announce(store, settings.alarms, result, html_out)
        remark(f"alarm: {told}", quiet=quiet or not told)
    raise typer.Exit(result.exit_code)
