"""`loopllm pairs`: turn feedback into a preference dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loopllm_cli.commands import _options as opt
from loopllm_cli.commands._boundary import guarded
from loopllm_cli.commands._output import print_json, remark, stdout, write_artefact
from loopllm_cli.commands._projects import open_project

DriftRunOption = Annotated[
    str | None,
    typer.Option("--drift-run", help="Drift run whose segments to correct [default: newest]."),
]
OutOption = Annotated[
    Path | None, typer.Option("--pairs-out", help="Dataset folder [default: .loopllm/pairs/HASH].")
]


@guarded
def pairs(
    since: opt.SinceOption = None,
    until: opt.UntilOption = None,
    model: opt.ModelOption = None,
    where: opt.WhereOption = None,
    drift_run: DriftRunOption = None,
    pairs_out: OutOption = None,
    json_out: opt.JsonOutOption = None,
    project: opt.ProjectOption = ".",
    config: opt.ConfigOption = None,
    as_json: opt.JsonOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Turn corrections, comparisons, opposite votes and rating margins into preference pairs.

    Every piece of feedback that makes no pair is counted with its reason. The window limits the
    answers that are looked at. The folder loads with datasets.load_dataset and trains with TRL.
    """
    from loopllm_cli.config import load_config
    from loopllm_cli.loop.feedback import PairsRequest, make_pairs
    from loopllm_cli.loop.records import write_run
    from loopllm_cli.render.as_json import to_json
    from loopllm_cli.render.text import write_pairs

    window = opt.to_window(since, until, model, where)
    store = open_project(project)
    request = PairsRequest(window, drift_run, pairs_out)
    summary = make_pairs(store, load_config(store.root, config), request)
    record = to_json(summary)
    write_run(store, "pair-sets", summary.content_hash[:12], record)
    if as_json:
        print_json(record)
    else:
        write_pairs(stdout(), summary)
    write_artefact(json_out, record, quiet=quiet)
    if not as_json:
        remark("next: loopllm correct --model MODEL --adapter-out", quiet=quiet)
