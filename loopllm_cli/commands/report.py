"""`loopllm report`: everything that a project has recorded, as one static site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loopllm_cli.commands import _options as opt
from loopllm_cli.commands._boundary import guarded
from loopllm_cli.commands._output import remark, write_artefact
from loopllm_cli.commands._projects import open_project


@guarded
def report(
    site_out: Annotated[
        Path,
        typer.Option("--site-out", metavar="DIR", help="Folder of the site; index.html first."),
    ],
    project: opt.ProjectOption = ".",
    quiet: opt.QuietOption = False,
) -> None:
    """Write a page over all nights, comparisons and proofs, and a page for each of them.

    Static files without scripts, for a browser, a share or a CI artefact.
    """
    from loopllm_cli.loop.history import read_history_of
    from loopllm_cli.loop.records import read_parts
    from loopllm_cli.render.site import INDEX, render_site

    store = open_project(project)
    pages = render_site(read_history_of(store), lambda run: read_parts(store, run))
    for name, text in pages.items():
        write_artefact(site_out / name, text, quiet=True)
    remark(f"written: {site_out / INDEX} and {len(pages) - 1} more pages", quiet=quiet)
