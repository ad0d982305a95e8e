"""`loopllm init`: write a commented config by looking at the store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loopllm_cli.commands import _options as opt
from loopllm_cli.commands._boundary import guarded
from loopllm_cli.commands._output import remark, write_artefact
from loopllm_cli.commands._projects import open_project
from loopllm_cli.errors import AlreadyExists

OutOption = Annotated[
    Path | None,
    typer.Option("--config-out", help="Where to [default: PROJECT/loopllm.toml]; - is stdout."),
]


@guarded
def init(
    config_out: OutOption = None,
    project: opt.ProjectOption = ".",
    quiet: opt.QuietOption = False,
) -> None:
    """Write a config for `loopllm run`, every key commented, from what the store holds."""
    from loopllm_cli.config import FILE_NAME
    from loopllm_cli.loop.facts import read_facts
    from loopllm_cli.render.config_text import render_config

    store = open_project(project)
    path = config_out or store.root / FILE_NAME
    if path.exists():
        raise AlreadyExists(f"{path} exists already", "choose another place with --config-out")
    facts = read_facts(store)
    write_artefact(path, render_config(facts), quiet=quiet)
    if not facts.baselines:
        remark("next: loopllm baseline create v1", quiet=quiet)
    else:
        remark("next: loopllm run --dry-run", quiet=quiet)
