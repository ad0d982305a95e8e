"""The steps of an unattended run: each asks the room that owns it, and says one sentence.

The ledger of nights decides whether something got worse, as it keeps to a budget of false alarms
over the year; a comparison of the last days says where, for pairs and proof to work on.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from loopllm_cli.config import Config, RunConfig
from loopllm_cli.errors import DataError, EmptyWindow, ExitCode, LoopllmError, NothingToRepair
from loopllm_cli.loop.evaluate import run_drift
from loopllm_cli.loop.feedback import PairsRequest, make_pairs
from loopllm_cli.loop.nights import run_nights
from loopllm_cli.loop.promotions import promotions, read_history
from loopllm_cli.loop.records import keep_verification, latest_verification, write_run
from loopllm_cli.loop.repairs import RepairRequest
from loopllm_cli.model import (
    AdapterCard,
    DriftResult,
    Gate,
    IngestSummary,
    NightSignal,
    NightsResult,
    PairsSummary,
    RunStep,
    Status,
    StepEnd,
    Verdict,
    Window,
)
from loopllm_cli.profiles.baseline import read_baseline
from loopllm_cli.render.as_json import to_json
from loopllm_cli.store.project import Project
from loopllm_cli.store.upkeep import keep_up

if TYPE_CHECKING:
    from loopllm_cli.loop.rung_work import LadderProgress

_DAY = timedelta(days=1)
_LOCK_WAIT_S = 600.0
_MOST_NAMED = 3


@dataclass
class Night:
    """What steps hand on. `stopped` says why the steps that follow are not taken."""

    project: Project
    config: Config
    now: datetime
    tell: Callable[[str], None]
    stopped: str = ""
    drift: DriftResult | None = None
    pairs: Path | None = None
    adapter: Path | None = None

    @property
    def asked(self) -> RunConfig:
        """The `[run]` table."""
        return self.config.run


def ingest(night: Night) -> RunStep:
    """Read every source; one that cannot be read does not keep the others out."""
    from loopllm_cli.sources.columns import PLAIN, read_mapping
    from loopllm_cli.sources.files import CUT_OFF
    from loopllm_cli.sources.ingest import IngestOptions
    from loopllm_cli.sources.ingest import ingest as run_ingest

    asked = night.asked
    if not asked.sources:
        return RunStep("ingest", StepEnd.DONE, "no sources are named: the store is judged as it is")
    options = IngestOptions(
        mapping=read_mapping(night.project.root / asked.map) if asked.map else PLAIN,
        redact=asked.redact,
        max_reject_rate=asked.max_reject_rate,
    )
    read: list[IngestSummary] = []
    errors: list[LoopllmError] = []
    for source in asked.sources:
        try:
            read.append(run_ingest(night.project, [str(night.project.root / source)], options))
        except LoopllmError as error:
            errors.append(error)
    said = _ingest_words(read)
    n_cut = sum(one.rejected_by_reason.get(CUT_OFF, 0) for one in read)
    if n_cut and not errors:
        text = f"{said}; {n_cut} compressed files end or break in their middle"
        to_do = "export them again: they are read anew once they have changed"
        return RunStep("ingest", StepEnd.FAILED, text, ExitCode.DATA, to_do=to_do)
    if not errors:
        return RunStep("ingest", StepEnd.DONE, said)
    worst = min(errors, key=lambda error: error.exit_code)
    text = f"{said}; {len(errors)} of {len(asked.sources)} sources failed: {errors[0].message}"
    return RunStep("ingest", StepEnd.FAILED, text, worst.exit_code, to_do=errors[0].hint)


def _ingest_words(read: list[IngestSummary]) -> str:
    rows, votes = sum(one.n_kept for one in read), sum(one.n_feedback for one in read)
    rejected = sum(one.n_rejected for one in read)
    said = f"{rows:,} new responses, {votes:,} new votes"
    return f"{said}, {rejected:,} rejected lines" if rejected else said


def upkeep(night: Night) -> RunStep:
    """Put small files of the tables together, once there are many."""
    found = keep_up(night.project, _LOCK_WAIT_S).tables
    joined, removed = sum(t.n_joined for t in found), sum(t.n_removed for t in found)
    if not joined and not removed:
        files = sum(t.n_files for t in found)
        return RunStep("upkeep", StepEnd.DONE, f"nothing to do for the tables' {files:,} files")
    text = f"{joined:,} small files put together, {removed:,} old files removed"
    return RunStep("upkeep", StepEnd.DONE, text)


def drift(night: Night) -> RunStep:
    """Judge the days that have come, and compare the last ones with the baseline."""
    asked, config = night.asked, night.config
    try:
        scope = Window(model=asked.watch_model or None, where=asked.where or None)
        nights = run_nights(night.project, config, asked.baseline, scope, now=night.now)
    except EmptyWindow as error:
        night.stopped = "no day to judge"
        return _no_rows(asked, error.message)
    found = _compare(night)
    night.drift = found
    made = {"drift": found.run_id} if found else {}
    end, code, text = _verdict(night, nights, found)
    if code == ExitCode.DEGRADED:
        made["since"] = _since(nights)
    if end is not StepEnd.FOUND or found is None or found.status is not Status.DEGRADED:
        night.stopped = "nothing to correct"
    last = (midnight_of(night.config, night.now) - _DAY).date().isoformat()
    if asked.expect_rows and nights.night < last and last not in nights.new_days:
        missing = f"no rows of {last}, the newest day; {text}"
        hint = "look at the export; expect_rows = false under [run] allows such days"
        worse = code == ExitCode.DEGRADED
        return RunStep(
            "drift", end, missing, code if worse else ExitCode.DATA, made=made, to_do=hint
        )
    return RunStep("drift", end, text, code, made=made)


def _no_rows(asked: RunConfig, said: str) -> RunStep:
    code = ExitCode.DATA if asked.expect_rows else ExitCode.OK
    return RunStep("drift", StepEnd.DONE, said, code)


def midnight_of(config: Config, now: datetime) -> datetime:
    """Return the end of the newest day that may be judged."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - config.nights.settle_days * _DAY


def _compare(night: Night) -> DriftResult | None:
    """Compare the last days, since what is served now is served; None where they have no rows."""
    asked, until = night.asked, midnight_of(night.config, night.now)
    starts = [until - asked.window_days * _DAY]
    last = read_baseline(night.project, asked.baseline).summary.last_time
    if last is not None:
        starts.append(last + timedelta(microseconds=1))
    served = _served_since(night.project)
    if served is not None:
        starts.append(served)
    window = Window(max(starts), until, asked.watch_model or None, asked.where or None)
    try:
        found = run_drift(night.project, night.config, asked.baseline, window)
    except EmptyWindow:
        return None
    write_run(night.project, "drift", found.run_id, to_json(found))
    return found


def _served_since(project: Project) -> datetime | None:
    stack = promotions(read_history(project))
    return datetime.fromisoformat(stack[-1].at) if stack else None


def _verdict(
    night: Night, nights: NightsResult, found: DriftResult | None
) -> tuple[StepEnd, int, str]:
    """Weigh the ledger, which decides, and the comparison, which says where."""
    if nights.status is Status.INCONCLUSIVE:
        text = "too little data so far to see a change of the size that matters"
        return StepEnd.FOUND, ExitCode.INCONCLUSIVE, text
    if nights.status is not Status.DEGRADED:
        count = f"{len(nights.new_days)} new days" if len(nights.new_days) != 1 else "1 new day"
        return StepEnd.DONE, ExitCode.OK, f"nothing got worse ({count}, last {nights.night})"
    worse = _worse(nights)
    since = _since(nights)
    named = ", ".join(one.signal.name.replace("_", " ") for one in worse[:_MOST_NAMED])
    more = f" and {len(worse) - _MOST_NAMED} more" if len(worse) > _MOST_NAMED else ""
    served = _served_since(night.project)
    if served is None or served.date().isoformat() < since:
        return StepEnd.FOUND, ExitCode.DEGRADED, f"degraded since {since}: {named}{more}"
    return _after_promotion(found, f"what got worse on {since} ({named}{more})")


def _after_promotion(found: DriftResult | None, what: str) -> tuple[StepEnd, int, str]:
    """Say of a repaired degradation, which the ledger goes on to see for some nights, how it is."""
    if found is None:
        text = f"{what} was repaired; no day since the last promotion has been judged yet"
        return StepEnd.DONE, ExitCode.OK, text
    if found.status is Status.DEGRADED:
        return StepEnd.FOUND, ExitCode.DEGRADED, f"{what} is there again since the last promotion"
    if found.status is Status.INCONCLUSIVE:
        text = f"{what} is not seen since the last promotion, on too little data to rule it out"
        return StepEnd.FOUND, ExitCode.INCONCLUSIVE, text
    return StepEnd.DONE, ExitCode.OK, f"{what} is not seen since the last promotion"


def _worse(nights: NightsResult) -> list[NightSignal]:
    return [one for one in nights.signals if one.verdict is Verdict.WORSE]


def _since(nights: NightsResult) -> str:
    return min((one.since for one in _worse(nights) if one.since), default=nights.night)


def pairs(night: Night) -> RunStep:
    """Build preference pairs for what the comparison named."""
    run = night.drift.run_id if night.drift else None

    def build(repair: RepairRequest) -> PairsSummary:
        request = PairsRequest(Window(), run, repair=repair)
        return make_pairs(night.project, night.config, request, night.tell)

    try:
        summary = build(RepairRequest(replay=night.asked.from_drift))
    except NothingToRepair:
        summary = build(RepairRequest())
    write_run(night.project, "pair-sets", summary.content_hash[:12], to_json(summary))
    night.pairs = Path(summary.path)
    text = f"{summary.n_train:,} training pairs, {summary.n_heldout:,} held out"
    step = RunStep("pairs", StepEnd.DONE, text, made={"pairs": summary.path})
    if not night.asked.model:
        night.stopped = "no model to correct is named ([run] model)"
    return step


def correct(night: Night) -> RunStep:
    """Train an adapter, or find the one that was trained on these pairs before."""
    from loopllm_cli.loop.ladder import LadderRequest, climb
    from loopllm_cli.loop.repair import CorrectRequest, to_train_request, train_adapter

    asked, project, config = night.asked, night.project, night.config
    recipe = project.root / asked.recipe if asked.recipe else None
    request = CorrectRequest(_model(night), night.pairs, None, recipe)
    place = to_train_request(project, config, request).adapter_out
    night.adapter = place
    if (place / "lineage.json").is_file():
        text = f"{place.name} was trained on these pairs before"
        return RunStep("correct", StepEnd.DONE, text, made=_made(place))
    if not asked.auto:
        card = train_adapter(project, config, request, lambda told: night.tell(told.said or ""))
        return _trained(night, card, "")
    limits = LadderRequest(request, budget_minutes=asked.budget_minutes or None)
    result = climb(project, config, limits, _rungs(night.tell))
    if result.gate is not Gate.PASS:
        night.stopped = "no learning rate passed"
        code = ExitCode.GATE_FAILED if result.gate is Gate.FAIL else ExitCode.INCONCLUSIVE
        text = f"none of {len(result.rungs)} learning rates passed; {result.stopped}"
        to_do = result.advice[0] if result.advice else ""
        return RunStep("correct", StepEnd.FOUND, text, code, to_do=to_do)
    return _trained(night, result.adapter, f" at rate {result.learning_rate:g}")


def _model(night: Night) -> str:
    """Return a folder below the project's directory by its path, and a hub's model by its name."""
    folder = night.project.root / night.asked.model
    return str(folder) if folder.exists() else night.asked.model


def _rungs(tell: Callable[[str], None]) -> Callable[[LadderProgress], None]:
    """Say which rate is at work, once each."""
    said: set[int] = set()

    def listen(told: LadderProgress) -> None:
        if told.rung not in said:
            said.add(told.rung)
            tell(f"rung {told.rung}: rate {told.learning_rate:.1e}")

    return listen


def _trained(night: Night, card: AdapterCard | None, rate: str) -> RunStep:
    if card is None:
        raise DataError("this process trains beside another one", "run the loop in one process")
    write_run(night.project, "corrections", card.adapter_hash[:12], to_json(card))
    night.adapter = Path(card.path)
    text = f"{night.adapter.name} trained{rate}"
    return RunStep("correct", StepEnd.DONE, text, made=_made(night.adapter))


def _made(adapter: Path) -> dict[str, str]:
    return {"adapter": str(adapter), "correction": _hash_of(adapter)[:12]}


def _hash_of(adapter: Path) -> str:
    return str(json.loads((adapter / "lineage.json").read_text("utf-8"))["adapter_sha256"])


def verify(night: Night) -> RunStep:
    """Let the adapter prove itself; a proof of exactly these weights is not made again."""
    from loopllm_cli.loop.verification import VerifyRequest, verify_adapter

    assert night.adapter is not None
    known = latest_verification(night.project, _hash_of(night.adapter))
    if known is None:
        request = VerifyRequest(night.adapter)
        result = verify_adapter(night.project, night.config, request, night.tell)
        known = to_json(result)
        keep_verification(night.project, night.adapter, result.run_id, known)
    record = json.loads(known)
    gate = Gate(record["gate"])
    reason = record["reasons"][0] if record["reasons"] else ""
    made = {"verify": record["run_id"]}
    if gate is Gate.PASS:
        if not night.asked.promote:
            night.stopped = "promoting is left to you ([run] promote)"
        return RunStep("verify", StepEnd.DONE, f"passed: {reason}", made=made)
    night.stopped = f"verify says {gate.value}"
    code = ExitCode.GATE_FAILED if gate is Gate.FAIL else ExitCode.INCONCLUSIVE
    return RunStep("verify", StepEnd.FOUND, f"{gate.value}: {reason}", code, made=made)


def promote(night: Night) -> RunStep:
    """Promote what was proved."""
    from loopllm_cli.loop.adapters import promote as promote_adapter

    assert night.adapter is not None
    promotion = promote_adapter(night.project, str(night.adapter))
    text = f"{night.adapter.name} is served from now on"
    made = {"pointer": promotion.pointer}
    return RunStep("promote", StepEnd.DONE, text, made=made)


STEPS: dict[str, Callable[[Night], RunStep]] = {
    "ingest": ingest,
    "upkeep": upkeep,
    "drift": drift,
    "pairs": pairs,
    "correct": correct,
    "verify": verify,
    "promote": promote,
}
