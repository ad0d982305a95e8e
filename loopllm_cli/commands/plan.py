"""`loopllm plan`: how many rows or nights a wanted sensitivity takes."""

from __future__ import annotations

from typing import Annotated

import typer

from loopllm_cli.commands import _options as opt
from loopllm_cli.commands._boundary import guarded
from loopllm_cli.commands._output import print_json, stdout
from loopllm_cli.commands._projects import open_project

SignalOption = Annotated[
    list[str] | None, typer.Option("--signal", help="Only this signal; may be repeated.")
]
ChangeOption = Annotated[
    float | None,
    typer.Option("--change", help="Size to be seen: 0.02 is two points of a rate, or 2%."),
]
PowerOption = Annotated[
    float | None, typer.Option("--power", help="Wanted chance to see it, e.g. 0.8.")
]
RowsOption = Annotated[
    float | None,
    typer.Option("--rows-per-night", help="Rows to expect [default: as in the baseline]."),
]


@guarded
def plan(
    baseline: Annotated[str, typer.Option("--baseline", help="The baseline's name.")],
    signal: SignalOption = None,
    change: ChangeOption = None,
    power: PowerOption = None,
    rows_per_night: RowsOption = None,
    project: opt.ProjectOption = ".",
    config: opt.ConfigOption = None,
    as_json: opt.JsonOption = False,
) -> None:
    """Say what a window would show, and how many rows a wanted sensitivity takes.

    Per signal: the smallest change that a night's rows show, the rows needed for the change that
    is to be seen (twice the tolerance by default), and what a larger baseline would add.
    """
    from loopllm_cli.config import load_config
    from loopllm_cli.loop.plan import PlanRequest, run_plan
    from loopllm_cli.render.as_json import mapping_json
    from loopllm_cli.render.text_plan import plan_fields, write_plan

    store = open_project(project)
    request = PlanRequest(baseline, tuple(signal or ()), change, power, rows_per_night)
    result = run_plan(store, load_config(store.root, config), request)
    if as_json:
        print_json(mapping_json("loopllm.plan/1", plan_fields(result)))
    else:
        write_plan(stdout(), result)
