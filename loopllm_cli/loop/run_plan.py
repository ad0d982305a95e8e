"""What an unattended run would do by its config: nothing is stored, trained or promoted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from loopllm_cli.config import Config
from loopllm_cli.errors import LoopllmError
from loopllm_cli.loop.alarms import addresses
from loopllm_cli.loop.night_steps import midnight_of
from loopllm_cli.loop.unattended import RunRequest, begin, check, decide, names_until, sentence
from loopllm_cli.model import RunResult, RunStep, StepEnd
from loopllm_cli.profiles.baseline import read_baseline
from loopllm_cli.sources.files import expand_paths
from loopllm_cli.store.project import Project
from loopllm_cli.store.upkeep import keep_up


def plan_loop(project: Project, config: Config, request: RunRequest) -> RunResult:
    """Say of every step what it would do; one that could not begin ends with its exit code.

    Raises:
        UsageError: there is no step of that name.
    """
    check(config)
    addresses(config.alarms)
    steps = tuple(_plan(name, project, config, request.now) for name in names_until(request.until))
    record = begin(request)
    record = replace(record, ended=record.created, steps=steps, exit_code=decide(steps))
    return replace(record, sentence=sentence(record))


def _plan(name: str, project: Project, config: Config, now: datetime) -> RunStep:
    try:
        return RunStep(name, StepEnd.SKIPPED, _PLANS[name](project, config, now))
    except LoopllmError as error:
        return RunStep(name, StepEnd.FAILED, error.message, error.exit_code, to_do=error.hint)


def _ingest(project: Project, config: Config, _: datetime) -> str:
    if not config.run.sources:
        return "no sources are named: the store would be judged as it is"
    files = expand_paths([str(project.root / source) for source in config.run.sources])
    size = sum(Path(name).stat().st_size for name in files) / 1e6
    return f"would look into {len(files):,} files ({size:,.1f} MB), and read what is new in them"


def _upkeep(project: Project, _: Config, __: datetime) -> str:
    joined = sum(t.n_joined for t in keep_up(project, 0.0, dry_run=True).tables)
    return (
        f"would put {joined:,} small files together" if joined else "nothing to do for the tables"
    )


def _drift(project: Project, config: Config, now: datetime) -> str:
    asked = config.run
    read_baseline(project, asked.baseline)
    end = midnight_of(config, now)
    since = (end - timedelta(days=asked.window_days)).date()
    return (
        f"would judge the days before {end.date()} that have not been judged against "
        f"{asked.baseline}, and compare {since} and later"
    )


def _pairs(project: Project, config: Config, _: datetime) -> str:
    repair = "votes and of what drift named" if config.run.from_drift else "votes"
    return f"if degraded: would build pairs of {repair}"


def _correct(project: Project, config: Config, _: datetime) -> str:
    from loopllm_cli.correct.recipe import load_recipe

    asked = config.run
    if not asked.model:
        return "no model to correct is named ([run] model): the run would end with the pairs"
    load_recipe(project.root / asked.recipe if asked.recipe else None, config.correct)
    how = "search the learning rate for" if asked.auto else "train"
    return f"if degraded: would {how} an adapter of {asked.model}"


def _verify(project: Project, config: Config, _: datetime) -> str:
    return "if an adapter was trained: would let it prove itself"


def _promote(project: Project, config: Config, _: datetime) -> str:
    if not config.run.promote:
        return "would promote nothing ([run] promote)"
    return "if it passed: would promote it"


_PLANS: dict[str, Callable[[Project, Config, datetime], str]] = {
    "ingest": _ingest,
    "upkeep": _upkeep,
    "drift": _drift,
    "pairs": _pairs,
    "correct": _correct,
    "verify": _verify,
    "promote": _promote,
}
