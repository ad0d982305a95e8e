"""`loopllm correct`: train a small correction adapter on the preference pairs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from loopllm_cli.commands import _options as opt
from loopllm_cli.commands._boundary import guarded
from loopllm_cli.commands._output import print_json, remark, stdout
from loopllm_cli.commands._progress import ProgressLine
from loopllm_cli.commands._projects import open_project
from loopllm_cli.commands.verify import CODES
from loopllm_cli.errors import UsageError

if TYPE_CHECKING:
    from loopllm_cli.config import Config
    from loopllm_cli.correct.request import Progress
    from loopllm_cli.loop.ladder import LadderRequest
    from loopllm_cli.loop.repair import CorrectRequest
    from loopllm_cli.loop.rung_work import LadderProgress
    from loopllm_cli.store.project import Project

_FLAG = "--adapter-out"


class OptionalValueCommand(TyperCommand):
    """A command whose `--adapter-out` may stand without a value (Typer knows no such option)."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read a bare `--adapter-out` as an empty value, which means the default place."""
        read: list[str] = []
        for place, arg in enumerate(args):
            following = args[place + 1] if place + 1 < len(args) else "-"
            bare = arg == _FLAG and following.startswith("-")
            read.append(f"{_FLAG}=" if bare else arg)
        return super().parse_args(ctx, read)


ModelOption = Annotated[
    str, typer.Option("--model", help="The model to correct: a folder or a hub name.")
]
AdapterOption = Annotated[
    str | None,
    typer.Option(
        _FLAG, metavar="[DIR]", help="Adapter folder [default: .loopllm/adapters/PAIRS-SEED]."
    ),
]
PairsOption = Annotated[
    Path | None, typer.Option("--pairs", help="Dataset folder [default: the newest].")
]
RecipeOption = Annotated[
    Path | None, typer.Option("--recipe", help="TOML file, e.g. configs/default.toml.")
]
RateOption = Annotated[
    float | None, typer.Option("--learning-rate", help="Overrides the recipe's.")
]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Overrides the recipe's.")]


_AUTO = "Search for the learning rate"
AutoOption = Annotated[
    bool,
    typer.Option(
        "--auto", help="Try learning rates from low to high; keep the best that verifies."
    ),
]
RatesOption = Annotated[
    str | None,
    typer.Option(
        "--rates",
        metavar="LIST",
        help="With --auto: try these, as 1e-4,3e-4 [default: found by model size].",
        rich_help_panel=_AUTO,
    ),
]
RungsOption = Annotated[
    int, typer.Option("--max-rungs", help="With --auto: rates at most.", rich_help_panel=_AUTO)
]
BudgetOption = Annotated[
    float | None,
    typer.Option(
        "--budget-minutes",
        help="With --auto: start no rate that would end later.",
        rich_help_panel=_AUTO,
    ),
]
FirstOption = Annotated[
    bool,
    typer.Option(
        "--first",
        help="With --auto: be content with the first rate that verifies.",
        rich_help_panel=_AUTO,
    ),
]
DryOption = Annotated[
    bool, typer.Option("--dry-run", help="Check, choose and estimate; train nothing.")
]


@guarded
def correct(
    model: ModelOption,
    adapter_out: AdapterOption = None,
    pairs: PairsOption = None,
    recipe: RecipeOption = None,
    learning_rate: RateOption = None,
    seed: SeedOption = None,
    auto: AutoOption = False,
    rates: RatesOption = None,
    max_rungs: RungsOption = 6,
    budget_minutes: BudgetOption = None,
    first: FirstOption = False,
    dry_run: DryOption = False,
    project: opt.ProjectOption = ".",
    config: opt.ConfigOption = None,
    as_json: opt.JsonOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Train a small LoRA adapter on the preference pairs (DPO with a likelihood term).

    Uses a GPU when there is one. A run that was interrupted goes on when the same command is
    given again. Needs the training extra: pip install 'loopllm[train]'. Exit codes with --auto:
    0 a rate passed, 11 none did, 12 the prompts are too few to tell.
    """
    from loopllm_cli.config import load_config
    from loopllm_cli.loop.ladder import LadderRequest
    from loopllm_cli.loop.repair import CorrectRequest

    given = {"learning_rate": learning_rate, "seed": seed}
    overrides = {key: value for key, value in given.items() if value is not None}
    out = Path(adapter_out) if adapter_out else None
    request = CorrectRequest(model, pairs, out, recipe, overrides)
    _refuse_stray(auto, {"--rates": rates, "--budget-minutes": budget_minutes, "--first": first})
    store = open_project(project, bulk=True)
    work = _Work(store, load_config(store.root, config), as_json, quiet)
    if dry_run:
        work.plan(request)
    elif auto:
        limits = LadderRequest(request, _parse_rates(rates), max_rungs, budget_minutes, first)
        work.search(limits)
    else:
        work.train(request)


@dataclass(frozen=True, slots=True)
class _Work:
    """What all three kinds of correcting print to and read from."""

    store: Project
    config: Config
    as_json: bool
    quiet: bool

    def train(self, request: CorrectRequest) -> None:
        from loopllm_cli.loop.records import write_run
        from loopllm_cli.loop.repair import train_adapter
        from loopllm_cli.render.as_json import to_json
        from loopllm_cli.render.text import write_adapter

        line = ProgressLine(quiet=self.quiet)

        def tell(progress: Progress) -> None:
            if progress.said:
                line.done()
                remark(progress.said, quiet=self.quiet)
            else:
                line.show(progress_text(progress))

        card = train_adapter(self.store, self.config, request, tell)
        line.done()
        if card is None:
            return
        record = to_json(card)
        write_run(self.store, "corrections", card.adapter_hash[:12], record)
        if self.as_json:
            print_json(record)
            return
        write_adapter(stdout(), card)
        remark(f"next: loopllm verify {card.path}", quiet=self.quiet)

    def search(self, request: LadderRequest) -> None:
        from loopllm_cli.loop.ladder import climb
        from loopllm_cli.loop.records import write_run
        from loopllm_cli.render.as_json import to_json
        from loopllm_cli.render.text import write_adapter
        from loopllm_cli.render.text_ladder import write_ladder

        line = ProgressLine(quiet=self.quiet)
        result = climb(self.store, self.config, request, lambda told: line.show(ladder_text(told)))
        line.done()
        if result.adapter is not None:
            kept = result.adapter
            write_run(self.store, "corrections", kept.adapter_hash[:12], to_json(kept))
        if self.as_json:
            print_json(to_json(result))
        else:
            write_ladder(stdout(), result)
            if result.adapter is not None:
                write_adapter(stdout(), result.adapter)
                remark(f"next: loopllm verify {result.adapter.path}", quiet=self.quiet)
        raise typer.Exit(CODES[result.gate])

    def plan(self, request: CorrectRequest) -> None:
        from loopllm_cli.loop.repair import plan_adapter
        from loopllm_cli.render.as_json import to_json
        from loopllm_cli.render.text_training import write_plan

        plan = plan_adapter(self.store, self.config, request)
        if self.as_json:
            print_json(to_json(plan))
        else:
            write_plan(stdout(), plan)


def _refuse_stray(auto: bool, given: dict[str, Any]) -> None:
    stray = [name for name, value in given.items() if value]
    if stray and not auto:
        raise UsageError(f"{stray[0]} belongs to --auto", "add --auto, or leave it out")


def _parse_rates(text: str | None) -> tuple[float, ...]:
    if text is None:
        return ()
    try:
        found = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        found = ()
    if not found:
        raise UsageError(f"--rates {text!r} is no list of numbers", "write it as 1e-4,3e-4,1e-3")
    return found


def ladder_text(told: LadderProgress) -> str:
    """Say which rung is at work, and how far it is."""
    said = told.step if isinstance(told.step, str) else progress_text(told.step)
    return f"rung {told.rung}, rate {told.learning_rate:.1e}: {said}"


def progress_text(progress: Progress) -> str:
    """Say how far a run is."""
    if not progress.n_steps:
        return progress.phase
    loss = f"  loss {progress.loss:.3f}" if progress.loss is not None else ""
    left = f"  {progress.left:.0f} s left" if progress.left is not None else ""
    return f"{progress.phase} step {progress.step}/{progress.n_steps}{loss}{left}"
