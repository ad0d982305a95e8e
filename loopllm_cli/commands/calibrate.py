"""`loopllm calibrate`: the false-alarm rate and the power of a set-up on its own clean rows."""

from __future__ import annotations

from typing import Annotated

import typer

from loopllm_cli.commands import _options as opt
from loopllm_cli.commands._boundary import guarded
from loopllm_cli.commands._output import print_json, remark, stdout, write_artefact
from loopllm_cli.commands._progress import ProgressLine
from loopllm_cli.commands._projects import open_project
from loopllm_cli.errors import ExitCode


@guarded
def calibrate(
    baseline: Annotated[str, typer.Option("--baseline", help="The baseline's name.")],
    runs: Annotated[int, typer.Option("--runs", min=10, max=10_000, help="Splits to judge.")] = 200,
    rows: Annotated[
        int | None,
        typer.Option("--rows", min=1, help="Rows of a current part [default: a usual day's]."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Draws other splits.")] = 0,
    json_out: opt.JsonOutOption = None,
    project: opt.ProjectOption = ".",
    config: opt.ConfigOption = None,
    as_json: opt.JsonOption = False,
    verbose: opt.VerboseOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Split the baseline's own rows, judge the splits, and plant changes into them.

    Exit codes: 0 the promised false-alarm rate is kept as far as these runs can tell, 12 it is
    not. Never 10: clean rows are no reason to correct a model.
    """
    from loopllm_cli.config import load_config
    from loopllm_cli.loop.calibrate import CalibrateRequest
    from loopllm_cli.loop.calibrate import calibrate as run
    from loopllm_cli.render.as_json import to_json
    from loopllm_cli.render.text_calibrate import write_calibration

    store = open_project(project)
    settings = load_config(store.root, config)
    line = ProgressLine(quiet=quiet)
    try:
        result = run(store, settings, CalibrateRequest(baseline, runs, rows, seed), line.show)
    finally:
        line.done()
    record = to_json(result)
    if as_json:
        print_json(record)
    else:
        write_calibration(stdout(), result, verbose=verbose)
    write_artefact(json_out, record, quiet=quiet)
    if not result.kept_level and not as_json:
        remark("next: see docs/calibrate.md for what to change", quiet=quiet)
    raise typer.Exit(ExitCode.OK if result.kept_level else ExitCode.INCONCLUSIVE)
