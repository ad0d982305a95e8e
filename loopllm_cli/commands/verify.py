"""`loopllm verify`: prove that an adapter repairs the drift and breaks nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from loopllm_cli.commands import _options as opt
from loopllm_cli.commands._boundary import guarded
from loopllm_cli.commands._output import print_json, remark, stdout, write_artefact
from loopllm_cli.commands._projects import open_project
from loopllm_cli.errors import ExitCode
from loopllm_cli.model import Gate, VerifyResult

if TYPE_CHECKING:
    from loopllm_cli.store.project import Project

CODES = {
    Gate.PASS: ExitCode.OK,
    Gate.FAIL: ExitCode.GATE_FAILED,
    Gate.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
}


ModelOption = Annotated[
    str | None,
    typer.Option("--model", help="The model to load it on [default: as it was trained on]."),
]
CanariesOption = Annotated[
    Path | None,
    typer.Option(
        "--canaries",
        metavar="FILE",
        help="Golden prompts with checks that must hold (JSON lines or TOML).",
    ),
]
ServedOption = Annotated[
    str,
    typer.Option(
        "--served",
        metavar="NAME",
        help="The adapter that answered in the logs: a folder, promoted, or none.",
    ),
]


@guarded
def verify(
    adapter: Annotated[Path, typer.Argument(help="The folder that loopllm correct has written.")],
    model: ModelOption = None,
    canaries: CanariesOption = None,
    served: ServedOption = "promoted",
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
    """Prove that an adapter repairs the drift and breaks nothing else, or refuse it.

    Prompts of the drifted and of the untouched segments, none of them trained on, are answered
    with the adapter and as they are answered now; the answers go through the same signals and the
    same decision as production logs. Exit codes: 0 pass, 11 fail, 12 inconclusive.
    """
    from loopllm_cli.config import load_config
    from loopllm_cli.loop.records import keep_verification
    from loopllm_cli.loop.verification import VerifyRequest, verify_adapter
    from loopllm_cli.render.as_json import to_json
    from loopllm_cli.render.text import write_verify

    store = open_project(project, bulk=True)
    adapter = store.found(adapter)
    result = verify_adapter(
        store,
        load_config(store.root, config),
        VerifyRequest(adapter, model, canaries=canaries, served=_read_served(store, served)),
        lambda said: remark(said, quiet=quiet),
    )
    record = to_json(result)
    keep_verification(store, adapter, result.run_id, record)
    if as_json:
        print_json(record)
    else:
        write_verify(stdout(), result, verbose=verbose)
    write_artefact(json_out, record, quiet=quiet)
    _write_reports(result, (html_out, markdown_out, junit_out), quiet=quiet)
    raise typer.Exit(CODES[result.gate])


def _write_reports(
    result: VerifyResult, places: tuple[Path | None, Path | None, Path | None], *, quiet: bool
) -> None:
    from loopllm_cli.render.html import render_verify_html
    from loopllm_cli.render.junit import render_verify_junit
    from loopllm_cli.render.markdown import render_verify_markdown

    html, markdown, junit = places
    write_artefact(html, render_verify_html(result) if html else "", quiet=quiet)
    write_artefact(markdown, render_verify_markdown(result), quiet=quiet)
    write_artefact(junit, render_verify_junit(result), quiet=quiet)


def _read_served(store: Project, text: str) -> Path | Literal["promoted"] | None:
    if text == "promoted":
        return "promoted"
    return None if text == "none" else store.found(Path(text))
