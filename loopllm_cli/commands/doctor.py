"""`loopllm doctor`: is everything there that the loop needs?"""

from __future__ import annotations

import typer

from loopllm_cli.commands import _options as opt
from loopllm_cli.commands._boundary import guarded
from loopllm_cli.commands._output import print_json, stdout
from loopllm_cli.commands._projects import open_project
from loopllm_cli.errors import ExitCode
from loopllm_cli.model import Severity


@guarded
def doctor(
    project: opt.ProjectOption = ".",
    config: opt.ConfigOption = None,
    as_json: opt.JsonOption = False,
) -> None:
    """Look at versions, store, baselines, config, disk, packages, card and the last run.

    Writes nothing. Exit codes: 0 all is well or worth a look, 4 something keeps the loop from
    working.
    """
    from loopllm_cli.loop.doctor import diagnose
    from loopllm_cli.render.as_json import to_json
    from loopllm_cli.render.text_run import write_diagnosis

    result = diagnose(open_project(project), config)
    if as_json:
        print_json(to_json(result))
    else:
        write_diagnosis(stdout(), result)
    failed = any(one.severity is Severity.FAIL for one in result.examined)
    raise typer.Exit(ExitCode.SETUP if failed else ExitCode.OK)
