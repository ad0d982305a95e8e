"""`loopllm adapters`: list, show, promote, roll back, merge and prune adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loopllm_cli.commands import _options as opt
from loopllm_cli.commands._boundary import guarded
from loopllm_cli.commands._output import print_json, remark, stdout
from loopllm_cli.commands._projects import open_project

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help='An adapter\'s name or folder, or "promoted".')
]
ForceOption = Annotated[
    str | None,
    typer.Option("--force", metavar="REASON", help="Do it all the same; the reason is recorded."),
]


@guarded
def list_all(project: opt.ProjectOption = ".", as_json: opt.JsonOption = False) -> None:
    """List all adapters that the project holds or has recorded."""
    from loopllm_cli.loop.adapters import list_adapters
    from loopllm_cli.render.as_json import to_json
    from loopllm_cli.render.text_adapters import write_adapters

    found = list_adapters(open_project(project, bulk=True))
    if as_json:
        print_json(to_json(found))
    else:
        write_adapters(stdout(), found)


@guarded
def show(
    name: NameArgument, project: opt.ProjectOption = ".", as_json: opt.JsonOption = False
) -> None:
    """Show an adapter's origin, recipe, proof and state; its files are checked now."""
    from loopllm_cli.loop.adapters import show_adapter
    from loopllm_cli.render.as_json import to_json
    from loopllm_cli.render.text_adapters import write_detail

    found = show_adapter(open_project(project, bulk=True), name)
    if as_json:
        print_json(to_json(found))
    else:
        write_detail(stdout(), found)


@guarded
def promote(
    name: NameArgument,
    force: ForceOption = None,
    project: opt.ProjectOption = ".",
    as_json: opt.JsonOption = False,
) -> None:
    """Promote an adapter whose weights have passed loopllm verify.

    The file .loopllm/promotions/promoted.json holds its path and hash, for what serves it.
    """
    from loopllm_cli.loop.adapters import promote as run
    from loopllm_cli.render.as_json import to_json
    from loopllm_cli.render.text_adapters import write_promotion

    if force is not None and not force.strip():
        raise typer.BadParameter("--force needs a reason")
    done = run(open_project(project, bulk=True), name, force)
    if as_json:
        print_json(to_json(done))
    else:
        write_promotion(stdout(), done)


@guarded
def rollback(
    to: Annotated[
        str | None, typer.Option("--to", metavar="NAME", help="Which [default: the one before].")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the history.")] = "",
    force: ForceOption = None,
    project: opt.ProjectOption = ".",
    as_json: opt.JsonOption = False,
) -> None:
    """Go back to the adapter that was promoted before."""
    from loopllm_cli.loop.adapters import rollback as run
    from loopllm_cli.render.as_json import to_json
    from loopllm_cli.render.text_adapters import write_promotion

    if force is not None and not force.strip():
        raise typer.BadParameter("--force needs a reason")
    done = run(open_project(project, bulk=True), to, reason, force)
    if as_json:
        print_json(to_json(done))
    else:
        write_promotion(stdout(), done)


@guarded
def merge(
    name: NameArgument,
    out: Annotated[Path, typer.Option("--out", help="The model folder to write.")],
    model: Annotated[
        str | None, typer.Option("--model", help="The base model [default: as it was trained on].")
    ] = None,
    project: opt.ProjectOption = ".",
    as_json: opt.JsonOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Merge an adapter into its base model and write a plain model folder."""
    from loopllm_cli.loop.adapters import merge as run
    from loopllm_cli.render.as_json import to_json
    from loopllm_cli.render.text_adapters import write_merge

    store = open_project(project, bulk=True)
    remark("merging in float32 on the CPU", quiet=quiet)
    done = run(store, name, out, model)
    if as_json:
        print_json(to_json(done))
    else:
        write_merge(stdout(), done)


@guarded
def prune(
    keep_last: Annotated[
        int, typer.Option("--keep-last", min=0, help="Keep so many that were promoted last.")
    ] = 3,
    older_than: Annotated[
        float, typer.Option("--older-than", min=0, metavar="DAYS", help="Only ones older than it.")
    ] = 30.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    project: opt.ProjectOption = ".",
    as_json: opt.JsonOption = False,
) -> None:
    """Delete old adapters of the project; never the promoted one or the one before it."""
    from loopllm_cli.loop.adapters import PruneRequest
    from loopllm_cli.loop.adapters import prune as run
    from loopllm_cli.render.as_json import to_json
    from loopllm_cli.render.text_adapters import write_prune

    done = run(open_project(project, bulk=True), PruneRequest(keep_last, older_than, dry_run))
    if as_json:
        print_json(to_json(done))
    else:
        write_prune(stdout(), done)
