"""Correct, second half, and verify: train an adapter on the pairs, then let it prove itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from loopllm_cli import __version__
from loopllm_cli.config import Config
from loopllm_cli.errors import AdapterMismatch, UsageError
from loopllm_cli.loop.bench import Bench
from loopllm_cli.loop.comparable import comparable_signals
from loopllm_cli.loop.feedback import latest_pairs
from loopllm_cli.loop.records import read_drift_run
from loopllm_cli.model import (
    AdapterCard,
    Check,
    Comparison,
    DriftResult,
    Repair,
    VerifyResult,
)
from loopllm_cli.profiles.baseline import Baseline, read_baseline
from loopllm_cli.profiles.measure import Measured
from loopllm_cli.store.project import Project
from loopllm_cli.store.windows import read_window
from loopllm_cli.verify import checks, gate
from loopllm_cli.verify.prompts import (
    Chosen,
    choose_prompts,
    measure_answers,
    read_trained,
)

if TYPE_CHECKING:
    from loopllm_cli.correct.request import Progress


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
) -> AdapterCard:
    """Train a LoRA adapter on preference pairs.

    Raises:
        UsageError: no pairs have been built.
        LoopllmError: see `correct.train.build_adapter`.
    """
    from loopllm_cli.correct.recipe import load_recipe
    from loopllm_cli.correct.request import TrainRequest
    from loopllm_cli.correct.train import build_adapter

    recipe = load_recipe(request.recipe_file, {**config.correct, **request.overrides})
    pairs = request.pairs or latest_pairs(project)
    out = request.adapter_out or project.folder("adapters") / f"{pairs.name}-{recipe.seed}"
    return build_adapter(TrainRequest(request.model, pairs, out, recipe), on_progress)


def verify_adapter(
    project: Project,
    config: Config,
    adapter: Path,
    model: str | None,
    on_progress: Callable[[str], None],
) -> VerifyResult:
    """Let an adapter prove that it repairs the drift it was made for and breaks nothing else.

    Args:
        model: the model to load it on; the one it was trained on, if None.

    Raises:
        AdapterMismatch: the adapter is damaged, or made for another model.
        UsageError: its lineage names no drift run, so there is nothing to compare with.
    """
    from loopllm_cli.correct.loading import load_tokenizer, load_with_adapter

    lineage = _read_lineage(adapter)
    model = model or str(lineage["model"])
    on_progress("loading the model")
    loaded = load_with_adapter(model, adapter)
    pairs = _find_pairs(project, adapter, lineage)
    run = read_drift_run(project, lineage["drift_run_id"])
    baseline = read_baseline(project, run.baseline_name)
    rows = read_window(project, run.asked_window, "the drift run's window")
    drifted = {int(s.segment): tuple(c.signal.name for c in s.comparisons) for s in run.segments}
    chosen = choose_prompts(
        rows,
        baseline.segments,
        frozenset(drifted),
        read_trained(pairs),
        config.verify.max_prompts,
    )
    bench = Bench(loaded, load_tokenizer(model), config, on_progress)
    answered = _answer(project, config, baseline, bench, chosen)
    labels = {int(s.segment): s.label for s in run.segments}
    repairs = gate.judge_repairs(answered.windows, drifted, labels, config.verify)
    others = [k for k in range(baseline.segments.n_segments) if k not in drifted]
    untouched = gate.judge_untouched(answered.windows, others, config.verify)
    found = (
        *checks.check_training(lineage.get("metrics", {}).get("guard_stopped_at_step")),
        *bench.checks(pairs, chosen.untouched, answered.untouched),
        checks.check_untouched(untouched),
        checks.check_kept(answered.was_right, answered.is_right, config.verify),
    )
    proof = _Proof(adapter, model, lineage, chosen, found, repairs, untouched)
    return _to_result(run, proof)


@dataclass(frozen=True)
class _Proof:
    """Everything that was found about an adapter, before the verdict."""

    adapter: Path
    model: str
    lineage: dict[str, Any]
    chosen: Chosen
    checks: tuple[Check, ...]
    repairs: tuple[Repair, ...]
    untouched: tuple[Comparison, ...]


def _to_result(run: DriftResult, proof: _Proof) -> VerifyResult:
    verdict, reasons = gate.decide(proof.checks, proof.repairs)
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
        checks=proof.checks,
        repairs=proof.repairs,
        untouched=proof.untouched,
        n_prompts={
            "drifted": len(proof.chosen.drifted),
            "untouched": len(proof.chosen.untouched),
            "left out as trained on": proof.chosen.n_seen_in_training,
        },
        version=__version__,
    )


@dataclass(frozen=True)
class _Answered:
    """Fresh answers with and without the adapter, measured.

    `untouched` are the texts without the adapter on untouched prompts; `was_right` and
    `is_right` judge those of them whose right answer is known, without and with the adapter.
    """

    windows: gate.Windows
    untouched: list[str]
    was_right: npt.NDArray[np.bool_]
    is_right: npt.NDArray[np.bool_]


def _answer(
    project: Project, config: Config, baseline: Baseline, bench: Bench, chosen: Chosen
) -> _Answered:
    """Answer all prompts with and without the adapter, and measure both as windows."""
    signals, _ = comparable_signals(project, config, baseline)
    prompts = [*chosen.drifted, *chosen.untouched]
    plain, finish = bench.answers(prompts, adapter=False)
    changed, changed_finish = bench.answers(prompts, adapter=True)
    before, after = (
        measure_answers(prompts, texts, ends, signals, baseline)
        for texts, ends in ((plain, finish), (changed, changed_finish))
    )
    counts = before.profile.n.sum((0, 1))
    names = tuple(name for name, n in zip(signals, counts, strict=True) if n > 0)
    windows = gate.Windows(
        tuple(signals[name].info for name in names),
        baseline.columns(names).profile,
        before.profile.columns(names),
        after.profile.columns(names),
    )
    at = len(chosen.drifted)
    return _Answered(windows, plain[at:], *_right(before, after, at))


def _right(
    before: Measured, after: Measured, start: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which answers from row `start` on are right, where that is known, in both windows."""
    names = before.profile.signal_names
    if gate.RIGHT not in names:
        return np.zeros(0, dtype=bool), np.zeros(0, dtype=bool)
    was, now = (m.values[start:, names.index(gate.RIGHT)] for m in (before, after))
    known = np.isfinite(was) & np.isfinite(now)
    return was[known] == 1, now[known] == 1


def _read_lineage(adapter: Path) -> dict[str, Any]:
    try:
        lineage: dict[str, Any] = json.loads((adapter / "lineage.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise AdapterMismatch(
            f"{adapter} is no adapter of loopllm (no readable lineage.json)",
            "give the folder that loopllm correct has written",
        ) from error
    if not lineage.get("drift_run_id"):
        raise UsageError(
            f"the pairs behind {adapter} were built without a drift run",
            "run loopllm drift, then loopllm pairs and loopllm correct again",
        )
    return lineage


def _find_pairs(project: Project, adapter: Path, lineage: dict[str, Any]) -> Path:
    """Find the pairs an adapter was trained on: where they were, or in the project by their hash.

    Raises:
        UsageError: they are gone, or are not the same any more.
    """
    wanted = str(lineage["pairs_hash"])
    for folder in (Path(lineage["pairs_path"]), project.home / "pairs" / wanted[:12]):
        card, provenance = folder / "card.json", folder / "provenance.parquet"
        whole = card.is_file() and provenance.is_file()
        if whole and json.loads(card.read_text("utf-8")).get("content_hash") == wanted:
            return folder
    raise UsageError(
        f"the pairs behind {adapter} are gone or have changed ({lineage['pairs_path']})",
        "build them again with loopllm pairs, or bring the folder back",
    )


def _verify_id(run: DriftResult, lineage: dict[str, Any]) -> str:
    content = f"{run.run_id}:{lineage['adapter_sha256']}"
    return f"verify-{hashlib.blake2b(content.encode(), digest_size=4).hexdigest()}"
