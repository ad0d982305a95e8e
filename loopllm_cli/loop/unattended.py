"""The whole loop, nobody looking: ingest, drift, and where it is degraded the rest of it.

Every step keeps what it did where the same step finds it again (the tables, the ledger of nights,
datasets and adapters by their content), so a run that was killed is simply run again. Its record is
written after every step. A step that fails ends what needs it and hides nothing that came before.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from loopllm_cli import __version__
from loopllm_cli.config import Config
from loopllm_cli.errors import ConfigError, ExitCode, LoopllmError, Terminated, UsageError
from loopllm_cli.loop.alarms import addresses
from loopllm_cli.loop.config_secrets import refuse_secrets
from loopllm_cli.loop.night_steps import STEPS, Night
from loopllm_cli.loop.records import write_run
from loopllm_cli.model import RunResult, RunStep, StepEnd
from loopllm_cli.render.as_json import to_json
from loopllm_cli.store.project import Project

_FAILURES = (ExitCode.BUG, ExitCode.SETUP, ExitCode.USAGE, ExitCode.DATA)
"""Failures by gravity; any of them decides before any finding."""
_STANDS_ALONE = ("ingest", "upkeep")
"""Steps without which the others can do: what is in the store can be judged."""


@dataclass(frozen=True)
class RunRequest:
    """Which file to follow, how far, and who listens.

    `tell` hears what goes on; `on_bug` keeps the traceback of an error that is not ours to foresee,
    and returns what to say of it.
    """

    config_file: Path
    now: datetime
    until: str = "promote"
    tell: Callable[[str], None] = lambda _: None
    on_bug: Callable[[BaseException], LoopllmError] | None = None


def run_loop(project: Project, config: Config, request: RunRequest) -> RunResult:
    """Go through the steps, and keep a record of what each of them did.

    Raises:
        Locked: another run of this project goes on.
        Terminated: SIGTERM came; the same command goes on from there.
        UsageError: there is no step of that name.
    """
    names = names_until(request.until)
    check(config)
    addresses(config.alarms)
    with project.running():
        night = Night(project, config, request.now, request.tell)
        record = begin(request)
        _keep(project, record)
        for name in names:
            request.tell(f"{name} ...")
            step = _attempt(night, name, record.steps, request)
            steps = (*record.steps, step)
            record = replace(record, steps=steps, exit_code=decide(steps))
            record = replace(record, sentence=sentence(record))
            _keep(project, record)
            if step.code == ExitCode.TERMINATED:
                raise Terminated(step.text, step.to_do)
        record = replace(record, ended=datetime.now(UTC))
        _keep(project, record)
    return record


def check(config: Config) -> None:
    """Refuse settings under `[run]` that make no sense, and secrets anywhere.

    Raises:
        ConfigError: a value is out of range, or a secret.
    """
    refuse_secrets(config)
    asked = config.run
    for name, value, least in (
        ("window_days", asked.window_days, 1),
        ("budget_minutes", asked.budget_minutes, 0),
    ):
        if value < least:
            raise ConfigError(f"[run] {name} = {value:g} is out of range", f"{least} is the least")


def names_until(last: str) -> tuple[str, ...]:
    """Return the steps up to one of them.

    Raises:
        UsageError: there is no step of that name.
    """
    names = tuple(STEPS)
    if last not in names:
        raise UsageError(f"there is no step {last!r}", f"steps: {', '.join(names)}")
    return names[: names.index(last) + 1]


def decide(steps: tuple[RunStep, ...]) -> int:
    """Choose the exit code: the gravest failure, else what the last finding says.

    An adapter that was promoted answers what drift found.
    """
    codes = [step.code for step in steps if step.code]
    for failure in _FAILURES:
        if failure in codes:
            return failure
    promoted = any(step.name == "promote" and step.end is StepEnd.DONE for step in steps)
    return 0 if promoted or not codes else codes[-1]


def sentence(record: RunResult) -> str:
    """Say in one sentence how things stand: the step that decides, in its own words."""
    deciding = [step for step in record.steps if step.code == record.exit_code != 0]
    done = [step for step in record.steps if step.end is not StepEnd.SKIPPED]
    step = (deciding or done or record.steps)[-1]
    said = f"{step.name} failed: {step.text}" if step.end is StepEnd.FAILED else step.text
    return said[:1].upper() + said[1:]


def begin(request: RunRequest) -> RunResult:
    """Return the record of a run that has done nothing yet."""
    content = request.config_file.read_bytes()
    begun = datetime.now(UTC)
    return RunResult(
        run_id=f"run-{begun:%Y%m%dT%H%M%S}{begun.microsecond // 1000:03}Z",
        created=begun,
        ended=None,
        config=str(request.config_file),
        config_hash=hashlib.sha256(content).hexdigest(),
        until=request.until,
        steps=(),
        exit_code=0,
        sentence="",
        version=__version__,
    )


def _keep(project: Project, record: RunResult) -> None:
    write_run(project, "run", record.run_id, to_json(record))
    project.close()  # of a project in an object store: what is done so far is there too


def _attempt(night: Night, name: str, before: tuple[RunStep, ...], request: RunRequest) -> RunStep:
    """Do a step, or say why not; an error ends the step, not the run."""
    begun = time.monotonic()
    if night.stopped:
        return RunStep(name, StepEnd.SKIPPED, night.stopped)
    try:
        step = STEPS[name](night)
    except LoopllmError as error:
        step = RunStep(name, StepEnd.FAILED, error.message, error.exit_code, to_do=error.hint)
    except Exception as error:
        if request.on_bug is None:
            raise
        bug = request.on_bug(error)
        step = RunStep(name, StepEnd.FAILED, bug.message, ExitCode.BUG, to_do=bug.hint)
    if step.end is StepEnd.FAILED and name not in _STANDS_ALONE:
        night.stopped = f"{name} failed"
    return replace(step, seconds=time.monotonic() - begun)
