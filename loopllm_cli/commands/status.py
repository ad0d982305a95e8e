"""`loopllm status`: what is in the store, and how old the last verdicts are."""

from __future__ import annotations

from datetime import UTC, datetime

from loopllm_cli.commands import _options as opt
from loopllm_cli.commands._boundary import guarded
from loopllm_cli.commands._output import print_json, stdout
from loopllm_cli.commands._projects import open_project


@guarded
def status(project: opt.ProjectOption = ".", as_json: opt.JsonOption = False) -> None:
    """Show what the project holds: rows, feedback, baselines, last verdicts, pairs, adapters."""
    from loopllm_cli.loop.overview import read_status
    from loopllm_cli.render.as_json import mapping_json
    from loopllm_cli.render.text import write_status

    rows = read_status(open_project(project))
    if as_json:
        content = {name: {"text": said, "time": moment} for name, said, moment in rows}
        print_json(mapping_json("loopllm.status/1", content))
    else:
        write_status(stdout(), rows, datetime.now(UTC))
