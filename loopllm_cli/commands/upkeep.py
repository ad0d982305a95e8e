"""`loopllm upkeep`: few files in the place of many."""

from __future__ import annotations

from typing import Annotated

import typer

from loopllm_cli.commands import _options as opt
from loopllm_cli.commands._boundary import guarded
from loopllm_cli.commands._output import print_json, stdout
from loopllm_cli.commands._projects import open_project


@guarded
def upkeep(
    project: opt.ProjectOption = ".",
    lock_wait: Annotated[
        float, typer.Option("--lock-wait", min=0.0, help="Seconds to wait for another writer.")
    ] = 60.0,
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Only say what would be done.")
    ] = False,
    as_json: opt.JsonOption = False,
) -> None:
    """Put small files of the tables together, and remove files that are in no version any more.

    `run` does it every night. Rows, ids and results stay as they are; earlier versions of the
    tables can be read for another week.
    """
    from loopllm_cli.render.as_json import to_json
    from loopllm_cli.render.text_store import write_upkeep
    from loopllm_cli.store.upkeep import keep_up

    result = keep_up(open_project(project), lock_wait, dry_run=dry_run)
    if as_json:
        print_json(to_json(result))
    else:
        write_upkeep(stdout(), result)
