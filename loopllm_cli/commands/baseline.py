"""`loopllm baseline create|list|show`: freeze normal behaviour under a name."""

from __future__ import annotations

from typing import Annotated

import typer

from loopllm_cli.commands import _options as opt
from loopllm_cli.commands._boundary import guarded
from loopllm_cli.commands._output import print_json, remark, stdout
from loopllm_cli.commands._projects import open_project

NameArgument = Annotated[str, typer.Argument(help="The baseline's name, e.g. v1.")]
SegmentOption = Annotated[
    str | None,
    typer.Option("--segment-by", help='"prompts" (clusters) or a column such as prompt_name.'),
]


@guarded
def create(
    name: NameArgument,
    since: opt.SinceOption = None,
    until: opt.UntilOption = None,
    model: opt.ModelOption = None,
    where: opt.WhereOption = None,
    segment_by: SegmentOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace one of that name.")] = False,
    project: opt.ProjectOption = ".",
    config: opt.ConfigOption = None,
    as_json: opt.JsonOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Freeze a window of the store (all of it, if not limited) as a named baseline."""
    from loopllm_cli.config import load_config
    from loopllm_cli.loop.evaluate import BaselineRequest, create_baseline
    from loopllm_cli.render.as_json import baseline_json
    from loopllm_cli.render.text import write_baselines

    window = opt.to_window(since, until, model, where)
    request = BaselineRequest(name, window, segment_by, replace)
    store = open_project(project)
    baseline = create_baseline(store, load_config(store.root, config), request)
    if as_json:
        print_json(baseline_json(baseline.card()))
        return
    write_baselines(stdout(), [baseline.card()])
    remark(f"next: loopllm drift --baseline {name}", quiet=quiet)


@guarded
def list_all(project: opt.ProjectOption = ".", as_json: opt.JsonOption = False) -> None:
    """List the project's baselines."""
    from loopllm_cli.loop.evaluate import baseline_cards
    from loopllm_cli.render.as_json import baselines_json
    from loopllm_cli.render.text import write_baselines

    cards = baseline_cards(open_project(project))
    if as_json:
        print_json(baselines_json(cards))
    else:
        write_baselines(stdout(), cards)


@guarded
def show(
    name: NameArgument, project: opt.ProjectOption = ".", as_json: opt.JsonOption = False
) -> None:
    """Show one baseline: its window, its segments, and every signal's mean."""
    from loopllm_cli.profiles.baseline import read_baseline
    from loopllm_cli.render.as_json import baseline_json
    from loopllm_cli.render.text import write_baseline

    card = read_baseline(open_project(project), name).card()
    if as_json:
        print_json(baseline_json(card))
    else:
        write_baseline(stdout(), card)
