"""`loopllm pairs show`: a pair with the evidence it was made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loopllm_cli.commands import _options as opt
from loopllm_cli.commands._boundary import guarded
from loopllm_cli.commands._output import print_json, stdout
from loopllm_cli.commands._projects import open_project

PairsOption = Annotated[
    Path | None, typer.Option("--pairs", help="Dataset folder [default: the newest].")
]
IdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="A pair's, feedback's or answer's id, or its beginning.")
]


@guarded
def show(
    identifier: IdArgument,
    pairs: PairsOption = None,
    project: opt.ProjectOption = ".",
    as_json: opt.JsonOption = False,
    verbose: opt.VerboseOption = False,
) -> None:
    """Show a pair: its prompt, both sides with what differs, and everything it was made of.

    For the id of a piece of feedback or of an answer, all pairs that came of it, or the reason
    why none did.
    """
    from loopllm_cli.loop.pair_evidence import show_pairs
    from loopllm_cli.render.as_json import to_json
    from loopllm_cli.render.text_review import write_shown

    shown = show_pairs(open_project(project), identifier, pairs)
    if as_json:
        print_json(to_json(shown))
    else:
        write_shown(stdout(), shown, verbose=verbose)
