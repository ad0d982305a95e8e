"""`loopllm pairs`: turn feedback into a preference dataset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loopllm_cli.commands import _options as opt
from loopllm_cli.commands._boundary import guarded
from loopllm_cli.commands._output import print_json, remark, stdout, write_artefact
from loopllm_cli.commands._projects import open_project

if TYPE_CHECKING:
    from loopllm_cli.config import Config

DriftRunOption = Annotated[
    str | None,
    typer.Option("--drift-run", help="Drift run whose segments to correct [default: newest]."),
]
FromDriftOption = Annotated[
    str | None,
    typer.Option(
        "--from-drift",
        metavar="RUN",
        help='Add repair pairs for what a drift run named: its id, or "latest".',
    ),
]
SampleOption = Annotated[
    str | None,
    typer.Option(
        "--sample-from", metavar="MODEL", help="Add pairs of answers drawn from this model."
    ),
]
SamplesOption = Annotated[
    int, typer.Option("--n-samples", min=2, max=256, help="Answers drawn per prompt.")
]
RankOption = Annotated[
    list[str] | None,
    typer.Option(
        "--rank-by", help="Signal that ranks drawn answers; may be repeated [default: the drift's]."
    ),
]
JudgeOption = Annotated[
    bool, typer.Option("--allow-judge", help="Hear judge models and programs too.")
]
JoinOption = Annotated[
    str | None,
    typer.Option("--join-contexts", help="Which contexts count as one: off, normalised, similar."),
]
TokenizerOption = Annotated[
    str | None,
    typer.Option(
        "--tokenizer",
        metavar="MODEL",
        help="Count tokens as this model does [default: --sample-from, else an estimate].",
    ),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Fail (exit 3) on anything that the audit finds.")
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
    from_drift: FromDriftOption = None,
    sample_from: SampleOption = None,
    n_samples: SamplesOption = 8,
    rank_by: RankOption = None,
    allow_judge: JudgeOption = False,
    join_contexts: JoinOption = None,
    tokenizer: TokenizerOption = None,
    strict: StrictOption = False,
    pairs_out: OutOption = None,
    json_out: opt.JsonOutOption = None,
    project: opt.ProjectOption = ".",
    config: opt.ConfigOption = None,
    as_json: opt.JsonOption = False,
    verbose: opt.VerboseOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Turn feedback, and what a drift run named, into preference pairs; audit them.

    Every piece of feedback that makes no pair is counted with its reason. The window limits the
    answers that are looked at. The folder loads with datasets.load_dataset and trains with TRL.
    """
    from loopllm_cli.config import load_config
    from loopllm_cli.loop.drawn import SampleRequest
    from loopllm_cli.loop.feedback import PairsRequest, make_pairs
    from loopllm_cli.loop.records import write_run
    from loopllm_cli.loop.repairs import RepairRequest
    from loopllm_cli.render.as_json import to_json
    from loopllm_cli.render.text import write_pairs

    if from_drift and drift_run and from_drift not in ("latest", drift_run):
        raise typer.BadParameter("--from-drift and --drift-run name two runs")
    if rank_by and not sample_from:
        raise typer.BadParameter("--rank-by ranks drawn answers: it needs --sample-from MODEL")
    window = opt.to_window(since, until, model, where)
    store = open_project(project)
    settings = _settings(load_config(store.root, config), allow_judge, join_contexts)
    sample = SampleRequest(sample_from, n_samples, tuple(rank_by or ())) if sample_from else None
    run = drift_run or (from_drift if from_drift != "latest" else None)
    repair = RepairRequest(from_drift is not None, sample)
    request = PairsRequest(window, run, pairs_out, repair, strict, tokenizer or sample_from)
    summary = make_pairs(store, settings, request, lambda said: remark(said, quiet=quiet))
    record = to_json(summary)
    write_run(store, "pair-sets", summary.content_hash[:12], record)
    if as_json:
        print_json(record)
    else:
        write_pairs(stdout(), summary, verbose=verbose)
    write_artefact(json_out, record, quiet=quiet)
    if not as_json:
        remark("next: loopllm correct --model MODEL --adapter-out", quiet=quiet)


def _settings(config: Config, allow_judge: bool, join_contexts: str | None) -> Config:
    """Let options go before the configuration file."""
    pairs = config.pairs
    if allow_judge:
        pairs = replace(pairs, allow_judge=True)
    if join_contexts:
        pairs = replace(pairs, join_contexts=join_contexts)
    return replace(config, pairs=pairs)
