"""Correct: train an adapter on the pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopllm_cli.config import Config
from loopllm_cli.loop.feedback import latest_pairs
from loopllm_cli.loop.promotions import promotions, read_history
from loopllm_cli.model import AdapterCard, SettingChoice, TrainingPlan
from loopllm_cli.store.project import Project

if TYPE_CHECKING:
    from loopllm_cli.correct.request import Progress, TrainRequest


@dataclass(frozen=True, slots=True)
class CorrectRequest:
    """What to train: a model, pairs (the newest, if None), a recipe, and where to."""

    model: str
    pairs: Path | None = None
    adapter_out: Path | None = None
    recipe_file: Path | None = None
    overrides: dict[str, Any] = field(default_factory=dict)


def train_adapter(
    project: Project,
    config: Config,
    request: CorrectRequest,
    on_progress: Callable[[Progress], None],
) -> AdapterCard | None:
    """Train a LoRA adapter on preference pairs.

    Returns:
        The adapter's card; None in a process beside the main one, which says and writes nothing.

    Raises:
        UsageError: no pairs have been built.
        LoopllmError: see `correct.train.build_adapter`.
    """
    from loopllm_cli.correct.processes import is_main
    from loopllm_cli.correct.train import build_adapter

    card = build_adapter(to_train_request(project, config, request), on_progress)
    return card if is_main() else None


def plan_adapter(project: Project, config: Config, request: CorrectRequest) -> TrainingPlan:
    """Say what training would do, up to its first step, and write nothing.

    Raises:
        UsageError: no pairs have been built.
        LoopllmError: whatever training would refuse before its first step.
    """
    from loopllm_cli.correct.train import plan_run
    from loopllm_cli.correct.trainer import count_steps

    asked = to_train_request(project, config, request)
    plan = plan_run(asked)
    report, found = plan.checked.report, plan.estimate
    return TrainingPlan(
        model=asked.model,
        pairs=str(asked.pairs),
        adapter=str(asked.adapter_out),
        device=plan.device.name or plan.device.kind,
        n_train=plan.rows.n_pairs,
        n_test=report.n_test,
        n_retention=plan.rows.n_retention,
        n_steps=count_steps(len(plan.rows.rows), plan.recipe),
        dropped=report.dropped,
        tokens=report.tokens,
        choices=tuple(SettingChoice(c.name, c.value, c.reason) for c in plan.choices),
        peak_bytes=found.peak_bytes if found else None,
        memory=dict(found.parts) if found else {},
        seconds=found.seconds if found else None,
        fits=found.fits if found else None,
        recipe=plan.recipe.as_dict(),
        notes=plan.notes,
    )


def to_train_request(project: Project, config: Config, request: CorrectRequest) -> TrainRequest:
    """Resolve the recipe, the pairs and the place of the adapter.

    Raises:
        ConfigError: the recipe cannot be followed.
        UsageError: no pairs have been built.
    """
    from loopllm_cli.correct.recipe import load_recipe
    from loopllm_cli.correct.request import TrainRequest

    recipe = load_recipe(request.recipe_file, {**config.correct, **request.overrides})
    pairs = request.pairs or latest_pairs(project)
    out = request.adapter_out or project.home / "adapters" / f"{pairs.name}-{recipe.seed}"
    # Beside the project's data: it holds hashes and numbers, and only ever saves time.
    cache = project.home / "cache" / "reference.sqlite"
    promoted = promotions(read_history(project))
    served = Path(promoted[-1].path) if promoted else None
    return TrainRequest(request.model, pairs, out, recipe, cache, served)
