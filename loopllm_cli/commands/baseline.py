"""`loopllm baseline create|list|show|diff|export|import|remove`: normal behaviour under a name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loopllm_cli.commands import _options as opt
from loopllm_cli.commands._boundary import guarded
from loopllm_cli.commands._output import print_json, read_artefact, remark, stdout, write_artefact
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


@guarded
def diff(
    a: Annotated[str, typer.Argument(help="The first baseline's name.", metavar="A")],
    b: Annotated[str, typer.Argument(help="The second one's.", metavar="B")],
    project: opt.ProjectOption = ".",
    config: opt.ConfigOption = None,
    as_json: opt.JsonOption = False,
    verbose: opt.VerboseOption = False,
) -> None:
    """Say what differs between two baselines: windows, signals, segments, means.

    It informs and always ends with 0.
    """
    from loopllm_cli.config import load_config
    from loopllm_cli.loop.baseline_diff import diff_baselines
    from loopllm_cli.render.as_json import to_json
    from loopllm_cli.render.text_baseline import write_baseline_diff

    store = open_project(project)
    result = diff_baselines(store, load_config(store.root, config), a, b)
    if as_json:
        print_json(to_json(result))
    else:
        write_baseline_diff(stdout(), result, verbose=verbose)


@guarded
def export(
    name: NameArgument,
    baseline_out: Annotated[
        Path, typer.Option("--baseline-out", help="Write the file here; - is stdout.")
    ],
    no_names: Annotated[
        bool, typer.Option("--no-names", help="Number the segments instead of naming them.")
    ] = False,
    with_sample: Annotated[
        bool, typer.Option("--with-sample", help="Keep the sample of rows and the words, too.")
    ] = False,
    project: opt.ProjectOption = ".",
    quiet: opt.QuietOption = False,
) -> None:
    """Write a baseline as one small file without texts or ids, fit for git.

    A sample of rows (vectors, hashed users) is part of it only with --with-sample; without it,
    an imported baseline gives the same verdicts and finds fewer explanations.
    """
    from loopllm_cli.loop.baselines import ExportRequest, export_baseline

    request = ExportRequest(name, not no_names, with_sample)
    write_artefact(baseline_out, export_baseline(open_project(project), request), quiet=quiet)


@guarded
def import_file(
    file: Annotated[Path, typer.Argument(help="A file of baseline export; - is stdin.")],
    name: Annotated[str | None, typer.Option("--name", help="Keep it under another name.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace one of that name.")] = False,
    project: opt.ProjectOption = ".",
    as_json: opt.JsonOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Read a baseline that baseline export wrote, here or elsewhere."""
    from loopllm_cli.loop.baselines import import_baseline
    from loopllm_cli.profiles.baseline_artefact import MAX_FILE_BYTES
    from loopllm_cli.render.as_json import baseline_json
    from loopllm_cli.render.text import write_baselines

    content = read_artefact(file, MAX_FILE_BYTES)
    baseline = import_baseline(open_project(project), content, name=name, replace_it=replace)
    if as_json:
        print_json(baseline_json(baseline.card()))
        return
    write_baselines(stdout(), [baseline.card()])
    remark(f"next: loopllm drift --baseline {baseline.name}", quiet=quiet)


@guarded
def remove(
    name: NameArgument,
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Only say what would go.")
    ] = False,
    project: opt.ProjectOption = ".",
    as_json: opt.JsonOption = False,
) -> None:
    """Remove a baseline, and say what was made against it and stays."""
    from loopllm_cli.loop.baselines import forget_baseline
    from loopllm_cli.render.as_json import to_json
    from loopllm_cli.render.text_baseline import write_removal

    removal = forget_baseline(open_project(project), name, dry_run=dry_run)
    if as_json:
        print_json(to_json(removal))
    else:
        write_removal(stdout(), removal)
