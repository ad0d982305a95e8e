"""Find the learning rate: train a ladder of adapters, and let each prove itself.

Training metrics cannot tell a rate that repairs from one that wrecks; regenerated answers can. So
every rung is trained in a folder of its own and verified on some of the prompts; of those that
pass, the one that brings most back is kept. A rung that was finished before the process was killed
is not trained again, and one that was cut off goes on from its last checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from loopllm_cli import __version__
from loopllm_cli.config import Config
from loopllm_cli.errors import ConfigError, StoreUnavailable
from loopllm_cli.loop.rates import best, first_rate, next_of, next_rate
from loopllm_cli.loop.repair import CorrectRequest, to_train_request
from loopllm_cli.loop.rung_work import LadderProgress, Place, RungWork, rung_dict, write_text
from loopllm_cli.loop.rungs import advise
from loopllm_cli.model import AdapterCard, Gate, LadderResult, Rung, RungEnd
from loopllm_cli.render.as_json import from_json, to_json
from loopllm_cli.store.project import Project

MAX_RUNGS = 6
"""Six steps of three span a factor of 243, more than the published defaults do (100)."""


@dataclass(frozen=True, slots=True)
class LadderRequest:
    """What to train, and how long to look for the rate.

    `rates` are tried from low to high in place of the search; `budget_minutes` None is no limit;
    `first` is content with the first rate that passes; else the search goes on above it for as
    long as that brings more back.
    The recipe's own learning rate is where the search starts only if it is an override.
    """

    correct: CorrectRequest
    rates: tuple[float, ...] = ()
    max_rungs: int = MAX_RUNGS
    budget_minutes: float | None = None
    first: bool = False


def climb(
    project: Project,
    config: Config,
    request: LadderRequest,
    on_progress: Callable[[LadderProgress], None],
) -> LadderResult:
    """Train one adapter per learning rate, from low to high, and keep the best that passes.

    Args:
        project: with the pairs and the drift run they came from.
        config: `[correct]` for training, `[verify]` for the proof.
        request: what to train and how long to search.
        on_progress: called as a rung goes on; what it raises ends the search, which the same
            call takes up again.

    Raises:
        AlreadyExists: the adapter folder is there already.
        ConfigError: the limits of the search make no sense.
        LoopllmError: see `correct.train.build_adapter` and `verify_adapter`.
    """
    from loopllm_cli.correct.partial import refuse_existing
    from loopllm_cli.correct.processes import world_size

    if world_size() > 1:
        raise ConfigError(
            f"--auto was started in {world_size()} processes at once",
            "find the rate in one process, then launch several with --learning-rate",
        )
    _check(request)
    place = _find_place(project, config, request)
    refuse_existing(place.asked.adapter_out)
    first = request.correct.overrides.get("learning_rate") or _first(request)
    work = RungWork(project, config, request.correct.model, place, on_progress)
    rungs: list[Rung] = []
    stopped = ""
    while not stopped:
        rate = _next(request, rungs, float(first))
        stopped = _why_stop(request, rungs, rate)
        if rate is not None and not stopped:
            rungs.append(work.try_rate(rate, len(rungs) + 1))
    return _finish(place, request, rungs, stopped)


def _check(request: LadderRequest) -> None:
    if request.max_rungs < 1 or (request.budget_minutes is not None and request.budget_minutes < 0):
        raise ConfigError(
            f"--max-rungs {request.max_rungs}, --budget-minutes {request.budget_minutes}",
            "at least one rung, and no negative time",
        )
    bad = [rate for rate in request.rates if not 0 < rate <= 1]
    if bad:
        raise ConfigError(f"--rates names {bad[0]:g}", "learning rates lie above 0, up to 1")


def _find_place(project: Project, config: Config, request: LadderRequest) -> Place:
    from loopllm_cli.correct.loading import model_hash
    from loopllm_cli.correct.partial import pairs_digest

    asked = to_train_request(project, config, request.correct)
    recipe, pairs, out = asked.recipe, asked.pairs, asked.adapter_out
    told = {
        "model": model_hash(asked.model),
        "pairs": pairs_digest(pairs),
        "recipe": {k: v for k, v in recipe.as_dict().items() if k != "learning_rate"},
        "verify": asdict(config.verify),
        "name": out.name,
        "version": __version__,
    }
    digest = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode())
    ladder_id = digest.hexdigest()[:12]
    return Place(ladder_id, project.folder("ladders") / ladder_id, asked)


def _first(request: LadderRequest) -> float:
    from loopllm_cli.correct.model_facts import read_model_facts

    return first_rate(read_model_facts(request.correct.model).n_parameters)


def _next(request: LadderRequest, rungs: Sequence[Rung], first: float) -> float | None:
    if request.rates:
        return next_of(request.rates, rungs, stop_at_first=request.first)
    return next_rate(rungs, first, stop_at_first=request.first)


def _why_stop(request: LadderRequest, rungs: Sequence[Rung], rate: float | None) -> str:
    if rate is None:
        passed = any(r.end is RungEnd.PASSED for r in rungs)
        return "what passed is good enough" if passed else "there is no rate left to try"
    if len(rungs) >= request.max_rungs:
        return f"{request.max_rungs} rungs were tried (--max-rungs)"
    spent = sum(r.seconds for r in rungs)
    budget = request.budget_minutes
    if rungs and budget is not None and spent + rungs[-1].seconds > budget * 60:
        return f"the next rung would not end within {budget:g} minutes (--budget-minutes)"
    return ""


def _finish(
    place: Place, request: LadderRequest, rungs: Sequence[Rung], stopped: str
) -> LadderResult:
    passed = [r for r in rungs if r.end is RungEnd.PASSED]
    unclear = any(r.end is RungEnd.UNCLEAR for r in rungs)
    gate = Gate.PASS if passed else Gate.INCONCLUSIVE if unclear else Gate.FAIL
    won = best(passed)
    result = LadderResult(
        ladder_id=place.ladder_id,
        model=request.correct.model,
        pairs=str(place.asked.pairs),
        gate=gate,
        rungs=tuple(sorted(rungs, key=lambda r: r.learning_rate)),
        stopped=stopped,
        seconds=sum(r.seconds for r in rungs),
        advice=() if won else advise(rungs),
        learning_rate=won.learning_rate if won else None,
    )
    if won is not None:
        result = replace(result, adapter=_move(place, won, result))
    write_text(place.folder / "ladder.json", to_json(result))
    return result


def _move(place: Place, won: Rung, result: LadderResult) -> AdapterCard:
    """Write the ladder into the winner's lineage, then put it where it was asked for."""
    folder, out = Path(won.folder), place.asked.adapter_out
    card = from_json((folder.parent / "card.json").read_bytes(), AdapterCard)
    lineage = json.loads((folder / "lineage.json").read_text(encoding="utf-8"))
    lineage["ladder"] = {
        "id": place.ladder_id,
        "stopped": result.stopped,
        "rungs": [rung_dict(rung) for rung in result.rungs],
    }
    write_text(folder / "lineage.json", json.dumps(lineage, indent=2, sort_keys=True) + "\n")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if folder.stat().st_dev == out.parent.stat().st_dev:
            folder.rename(out)
        else:
            moving = out.with_name(out.name + ".moving")
            shutil.copytree(folder, moving, dirs_exist_ok=True)
            moving.rename(out)
            shutil.rmtree(folder)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot move the adapter to {out} ({error.strerror})",
            f"it is whole in {folder}; free some space and run the same command again",
        ) from error
    return replace(card, path=str(out))
