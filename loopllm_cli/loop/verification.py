"""Verify: let an adapter prove that it repairs the drift and breaks nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from loopllm_cli import __version__
from loopllm_cli.config import Config, VerifyConfig
from loopllm_cli.errors import ConfigError, EmptyWindow
from loopllm_cli.loop.adapter_origin import find_pairs, find_served, read_lineage
from loopllm_cli.loop.answering import (
    Answered,
    answer,
    check_served,
    check_triggers,
    check_untouched_prompts,
)
from loopllm_cli.loop.bench import Bench, Effect
from loopllm_cli.loop.records import read_drift_run
from loopllm_cli.loop.window_notes import frozen_window
from loopllm_cli.model import Check, Comparison, DriftResult, Repair, VerifyResult
from loopllm_cli.pairs.dataset.stored_rows import iter_rows
from loopllm_cli.pairs.selection.wording import last_user_text
from loopllm_cli.profiles.baseline import Baseline, read_baseline
from loopllm_cli.profiles.segments import SegmentModel, fit_prompts
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.store.project import Project
from loopllm_cli.store.windows import read_window
from loopllm_cli.verify import checks, gate
from loopllm_cli.verify.canaries import Canary, read_canaries
from loopllm_cli.verify.prompts import Chosen, Prompt, Trained, choose_prompts, read_trained
from loopllm_cli.verify.triggers import Asked, Phrase, find_phrases

_MOST_NORMAL = 128
# A mean over fewer answers is a matter of which ones they are.
_FEWEST_NORMAL = 30


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """Which adapter to prove, and how thoroughly.

    `model` is the one it was trained on, if None. `max_prompts` and `canaries` stand before the
    configuration's. `served` is the adapter that answered in the logs, which this one would take
    the place of: the promoted one, another folder, or None for the base alone. A small verify, as
    a search for a learning rate makes many of, sets `max_prompts` (300 or more: fewer cannot show
    that refusals stayed within their tolerance) and leaves out the fresh process, which loads the
    model once more.
    """

    adapter: Path
    model: str | None = None
    max_prompts: int | None = None
    canaries: Path | None = None
    served: Path | Literal["promoted"] | None = "promoted"
    fresh_process: bool = True


def verify_adapter(
    project: Project,
    config: Config,
    request: VerifyRequest,
    on_progress: Callable[[str], None],
) -> VerifyResult:
    """Let an adapter prove that it repairs the drift it was made for and breaks nothing else.

    Raises:
        AdapterMismatch: the adapter is damaged, or made for another model.
        UsageError: its lineage names no drift run, so there is nothing to compare with.
        ConfigError: the canaries cannot be read, or settings contradict each other.
    """
    from loopllm_cli.correct.adapter_loading import load_with_adapter
    from loopllm_cli.correct.loading import load_tokenizer

    settings = _settings(config.verify, request)
    config = replace(config, verify=settings)
    canaries = _canaries(project, settings, request)
    lineage = read_lineage(request.adapter)
    model = request.model or str(lineage["model"])
    run = read_drift_run(project, lineage["drift_run_id"])
    baseline = read_baseline(project, run.baseline_name)
    pairs = find_pairs(project, request.adapter, lineage)
    rows = read_window(project, run.asked_window, "the drift run's window")
    on_progress("loading the model")
    served = find_served(project, lineage) if request.served == "promoted" else request.served
    loaded = load_with_adapter(model, request.adapter, served=served)
    bench = Bench(loaded, load_tokenizer(model), settings, on_progress)
    del loaded
    case = _Case(run, baseline, pairs, rows, canaries)
    evidence = _gather(project, config, case, bench)
    bench.close()
    effect = _check_effect(request, model, evidence.effect, on_progress)
    stopped = lineage.get("metrics", {}).get("guard_stopped_at_step")
    found = (*checks.check_training(stopped), effect, *evidence.checks)
    proof = _Proof(request.adapter, served, model, lineage, replace(evidence, checks=found))
    return _to_result(run, proof)


@dataclass(frozen=True)
class _Case:
    """What an adapter is proved against."""

    run: DriftResult
    baseline: Baseline
    pairs: Path
    rows: pa.Table
    canaries: tuple[Canary, ...]

    @property
    def drifted(self) -> dict[int, tuple[str, ...]]:
        """The signals that got worse, by segment."""
        return {
            int(s.segment): tuple(c.signal.name for c in s.comparisons) for s in self.run.segments
        }

    @property
    def others(self) -> list[int]:
        """The segments where nothing had got worse."""
        return [k for k in range(self.baseline.segments.n_segments) if k not in self.drifted]


@dataclass(frozen=True)
class _Evidence:
    """Everything that the model showed."""

    chosen: Chosen
    effect: Effect
    checks: tuple[Check, ...]
    repairs: tuple[Repair, ...]
    untouched: tuple[Comparison, ...]


@dataclass(frozen=True)
class _Proof:
    """Everything that was found about an adapter, before the verdict."""

    adapter: Path
    served: Path | None
    model: str
    lineage: dict[str, Any]
    evidence: _Evidence


def _settings(config: VerifyConfig, request: VerifyRequest) -> VerifyConfig:
    if config.samples < 1 or config.temperature < 0:
        raise ConfigError(
            f"[verify] samples = {config.samples}, temperature = {config.temperature:g}",
            "samples is 1 or more, temperature 0 or more",
        )
    if config.samples > 1 and config.temperature == 0:
        raise ConfigError(
            f"[verify] samples = {config.samples} at temperature 0 are all the same answer",
            "set a temperature, as in production, or samples = 1",
        )
    return replace(config, max_prompts=request.max_prompts or config.max_prompts)


def _canaries(project: Project, config: VerifyConfig, request: VerifyRequest) -> tuple[Canary, ...]:
    path = request.canaries or (project.root / config.canaries if config.canaries else None)
    return read_canaries(path) if path else ()


def _gather(project: Project, config: Config, case: _Case, bench: Bench) -> _Evidence:
    """Let the model answer, with the adapter and without it, and judge what comes."""
    settings = config.verify
    trained = read_trained(case.pairs)
    model, named = case.baseline.segments, frozenset(case.drifted)
    chosen = choose_prompts(case.rows, model, named, trained, settings.max_prompts)
    answered = answer(project, config, case.baseline, bench, chosen)
    labels = {int(s.segment): s.label for s in case.run.segments}
    repairs, singles = gate.judge_repairs(
        answered.windows, case.drifted, labels, settings, model.families(sorted(named))
    )
    untouched = gate.judge_untouched(answered.windows, case.others, settings)
    side_effects = gate.judge_side_effects(answered.windows, case.drifted, settings)
    texts = [side.texts[0][answered.start :] for side in (answered.before, answered.after)]
    found = [
        *check_served(answered),
        bench.preference(case.pairs),
        *_some(singles),
        *bench.distances(chosen.untouched, *texts),
        *_some(bench.foresight(_normal(project, case, chosen, trained))),
        checks.check_untouched(untouched),
        checks.check_side_effects(side_effects, len(chosen.drifted)),
        *check_untouched_prompts(answered, case.baseline, case.others, settings),
        *_asked(bench, answered, case, settings),
    ]
    effect = bench.effect(case.pairs, chosen.untouched)
    return _Evidence(chosen, effect, tuple(found), repairs, untouched)


def _asked(bench: Bench, answered: Answered, case: _Case, config: VerifyConfig) -> list[Check]:
    """Ask what no prompt of the window asks: phrases of the pairs, and the user's canaries."""
    found = check_triggers(bench, answered, _suspects(case), config)
    return [*_some(found), *([bench.canaries(case.canaries)] if case.canaries else [])]


def _suspects(case: _Case) -> tuple[Phrase, ...]:
    """Find the phrases of the pairs that the window's prompts on the same topics do not hold."""
    traffic = RowBatch(case.rows)
    # A logged column that names the segments is not known of a pair: its words have to do.
    named = case.baseline.segments
    topics = named if named.basis == "prompts" else fit_prompts(traffic)
    train = case.pairs / "data" / "train.parquet"
    texts = [last_user_text(row["prompt"]) for row in iter_rows(train, ["prompt"])]
    trained = RowBatch(pa.table({"prompt_text": pa.array(texts, pa.string())}))
    return find_phrases(_asked_of(trained, topics), _asked_of(traffic, topics))


def _asked_of(rows: RowBatch, topics: SegmentModel) -> list[Asked]:
    texts = (text or "" for text in rows.prompts)
    return list(zip(texts, topics.assign(rows).tolist(), strict=True))


def _some(check: Check | None) -> tuple[Check, ...]:
    return (check,) if check else ()


def _normal(project: Project, case: _Case, chosen: Chosen, trained: Trained) -> list[Prompt]:
    """Choose prompts whose logged answers should stay as likely as they are.

    Those that are known to be right today; what was right in the baseline's window may be wrong
    now, also where the drift run named nothing. Where too few are known, the baseline's window
    outside of what drifted has to do; none where it is gone.
    """
    right = [p for p in chosen.untouched if p.is_logged_right]
    if len(right) >= _FEWEST_NORMAL:
        return right[:_MOST_NORMAL]
    try:
        rows = read_window(project, frozen_window(case.baseline), "the baseline's window")
    except EmptyWindow:
        return []
    model, named = case.baseline.segments, frozenset(case.drifted)
    return choose_prompts(rows, model, named, trained, _MOST_NORMAL).untouched


def _check_effect(
    request: VerifyRequest, model: str, effect: Effect, on_progress: Callable[[str], None]
) -> Check:
    from loopllm_cli.correct.fresh import effect_in_fresh_process

    if not request.fresh_process or not effect.prompts or not effect.value > 0:
        return checks.check_effect(effect.value)
    on_progress("loading the adapter in a process of its own")
    fresh = effect_in_fresh_process(model, request.adapter, effect.prompts)
    return checks.check_effect(effect.value, fresh.effect, fresh.failure)


def _to_result(run: DriftResult, proof: _Proof) -> VerifyResult:
    evidence = proof.evidence
    verdict, reasons = gate.decide(evidence.checks, evidence.repairs)
    chosen = evidence.chosen
    n_prompts = {
        "drifted": len(chosen.drifted),
        "untouched": len(chosen.untouched),
        "left out as trained on": chosen.n_seen_in_training,
    }
    if chosen.n_with_tools:
        n_prompts["left out as served with tools"] = chosen.n_with_tools
    return VerifyResult(
        run_id=_verify_id(run, proof.lineage),
        created=datetime.now(UTC),
        adapter=str(proof.adapter),
        adapter_hash=proof.lineage["adapter_sha256"],
        model=proof.model,
        baseline_name=run.baseline_name,
        drift_run_id=run.run_id,
        gate=verdict,
        reasons=reasons,
        checks=evidence.checks,
        repairs=evidence.repairs,
        untouched=evidence.untouched,
        n_prompts=n_prompts,
        version=__version__,
        served=str(proof.served) if proof.served else None,
    )


def _verify_id(run: DriftResult, lineage: dict[str, Any]) -> str:
    content = f"{run.run_id}:{lineage['adapter_sha256']}"
    return f"verify-{hashlib.blake2b(content.encode(), digest_size=4).hexdigest()}"
