"""`loopllm correct`: train a small correction adapter on the preference pairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from loopllm_cli.commands import _options as opt
from loopllm_cli.commands._boundary import guarded
from loopllm_cli.commands._output import print_json, remark, stdout
from loopllm_cli.commands._progress import ProgressLine
from loopllm_cli.commands._projects import open_project

if TYPE_CHECKING:
    from loopllm_cli.correct.request import Progress

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


@guarded
def correct(
    model: ModelOption,
    adapter_out: AdapterOption = None,
    pairs: PairsOption = None,
    recipe: RecipeOption = None,
    learning_rate: RateOption = None,
    seed: SeedOption = None,
    project: opt.ProjectOption = ".",
    config: opt.ConfigOption = None,
    as_json: opt.JsonOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Train a small LoRA adapter (DPO with a likelihood term) on the preference pairs.

    Uses a GPU when there is one. A run that was interrupted goes on when the same command is
    given again. Needs the training extra: pip install 'loopllm[train]'.
    """
    from loopllm_cli.config import load_config
    from loopllm_cli.loop.records import write_run
    from loopllm_cli.loop.repair import CorrectRequest, train_adapter
    from loopllm_cli.render.as_json import to_json
    from loopllm_cli.render.text import write_adapter

    given = {"learning_rate": learning_rate, "seed": seed}
    overrides = {key: value for key, value in given.items() if value is not None}
    out = Path(adapter_out) if adapter_out else None
    request = CorrectRequest(model, pairs, out, recipe, overrides)
    line = ProgressLine(quiet=quiet)
    store = open_project(project, bulk=True)
    card = train_adapter(
        store,
        load_config(store.root, config),
        request,
        lambda progress: line.show(progress_text(progress)),
    )
    line.done()
    record = to_json(card)
    write_run(store, "corrections", card.adapter_hash[:12], record)
    if as_json:
        print_json(record)
        return
    write_adapter(stdout(), card)
    remark(f"next: loopllm verify {card.path}", quiet=quiet)


def progress_text(progress: Progress) -> str:
    """Say how far a run is."""
    if not progress.n_steps:
        return progress.phase
    loss = f"  loss {progress.loss:.3f}" if progress.loss is not None else ""
    left = progress.seconds / max(progress.step, 1) * (progress.n_steps - progress.step)
    return f"{progress.phase} step {progress.step}/{progress.n_steps}{loss}  {left:.0f} s left"
