"""`loopllm pairs export`: a dataset of pairs in the files of another tool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loopllm_cli.commands import _options as opt
from loopllm_cli.commands._boundary import guarded
from loopllm_cli.commands._output import print_json, stdout
from loopllm_cli.commands._projects import open_project

TargetArgument = Annotated[
    str,
    typer.Argument(metavar="TOOL", help="trl, openai, axolotl, llamafactory or argilla."),
]
PairsOption = Annotated[
    Path | None, typer.Option("--pairs", help="Dataset folder [default: the newest].")
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="Folder to write [default: .loopllm/exports/HASH/TOOL]."),
]
SplitOption = Annotated[str, typer.Option("--split", help="train, test (held out) or all.")]
SuggestOption = Annotated[
    bool, typer.Option("--suggest", help="Argilla: show annotators what the votes say.")
]


@guarded
def export(
    target: TargetArgument,
    pairs: PairsOption = None,
    out: OutOption = None,
    split: SplitOption = "train",
    suggest: SuggestOption = False,
    project: opt.ProjectOption = ".",
    as_json: opt.JsonOption = False,
) -> None:
    """Write pairs as another tool reads them; what it cannot express is left out and counted.

    Held-out pairs are written only with --split, in files of their own.
    """
    from loopllm_cli.loop.exports import ExportRequest, export_pairs
    from loopllm_cli.render.as_json import to_json
    from loopllm_cli.render.text import write_export

    request = ExportRequest(target, pairs, out, split, suggest)
    summary = export_pairs(open_project(project), request)
    if as_json:
        print_json(to_json(summary))
    else:
        write_export(stdout(), summary)
