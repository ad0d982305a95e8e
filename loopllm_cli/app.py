"""The Typer application. Command modules are light; what they need they import when called."""

from __future__ import annotations

from typing import Annotated

import typer

from loopllm_cli import __version__
from loopllm_cli.commands import (
    adapters,
    baseline,
    calibrate,
    correct,
    doctor,
    drift,
    forget,
    ingest,
    init,
    pairs,
    pairs_export,
    pairs_review,
    pairs_show,
    plan,
    report,
    run,
    status,
    upkeep,
    verify,
    watch,
)
from loopllm_cli.commands._group import DefaultGroup

app = typer.Typer(
    name="loopllm",
    help="Keep a production LLM from decaying: logs, drift, pairs, correction, proof.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)
baselines = typer.Typer(help="Freeze a window of normal behaviour under a name.")
baselines.command("create")(baseline.create)
baselines.command("list")(baseline.list_all)
baselines.command("show")(baseline.show)
baselines.command("diff")(baseline.diff)
baselines.command("export")(baseline.export)
baselines.command("import")(baseline.import_file)
baselines.command("remove")(baseline.remove)

pair_sets = typer.Typer(
    cls=DefaultGroup, invoke_without_command=True, subcommand_metavar="[COMMAND] [ARGS]..."
)
pair_sets.callback()(pairs.pairs)
pair_sets.command("show")(pairs_show.show)
pair_sets.command("review")(pairs_review.review)
pair_sets.command("export")(pairs_export.export)
pair_sets.command("import")(pairs_review.import_file)

adapter_group = typer.Typer(help="List, show, promote, roll back, merge and prune adapters.")
adapter_group.command("list")(adapters.list_all)
adapter_group.command("show")(adapters.show)
adapter_group.command("promote")(adapters.promote)
adapter_group.command("rollback")(adapters.rollback)
adapter_group.command("merge")(adapters.merge)
adapter_group.command("prune")(adapters.prune)

app.command("init")(init.init)
app.command("ingest")(ingest.ingest)
app.add_typer(baselines, name="baseline", no_args_is_help=True)
app.command("drift")(drift.drift)
app.command("calibrate")(calibrate.calibrate)
app.command("plan")(plan.plan)
app.add_typer(pair_sets, name="pairs")
app.command("correct", cls=correct.OptionalValueCommand)(correct.correct)
app.command("verify")(verify.verify)
app.add_typer(adapter_group, name="adapters", no_args_is_help=True)
app.command("run")(run.run)
app.command("watch")(watch.watch)
app.command("report")(report.report)
app.command("doctor")(doctor.doctor)
app.command("status")(status.status)
app.command("upkeep")(upkeep.upkeep)
app.command("forget")(forget.forget)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"loopllm {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line."""
    app()
