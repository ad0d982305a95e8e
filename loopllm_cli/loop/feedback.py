"""Correct, first half: turn feedback into a preference dataset."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from loopllm_cli import __version__
from loopllm_cli.config import Config
from loopllm_cli.errors import AlreadyExists, NoFeedback, UsageError
from loopllm_cli.loop.records import latest_drift_run, read_drift_run
from loopllm_cli.model import DriftResult, PairsSummary, Window
from loopllm_cli.pairs.build import build_pairs
from loopllm_cli.pairs.dataset import content_hash, write_dataset
from loopllm_cli.pairs.evidence import Answer, Evidence, read_evidence
from loopllm_cli.profiles.baseline import Baseline, read_baseline
from loopllm_cli.profiles.segments import OTHER
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.store import tables
from loopllm_cli.store.project import Project
from loopllm_cli.store.windows import where_clause


@dataclass(frozen=True, slots=True)
class PairsRequest:
    """Which answers to look at, and where the dataset goes.

    `drift_run` names the run whose drifted segments are to be corrected; the newest, if None.
    """

    window: Window = field(default_factory=Window)
    drift_run: str | None = None
    out: Path | None = None


def make_pairs(project: Project, config: Config, request: PairsRequest) -> PairsSummary:
    """Build a preference dataset from the store's feedback.

    Raises:
        NoFeedback: there is none, or none that makes a pair; with every reason counted.
        UsageError: the drift run does not exist.
    """
    run = _drift_run(project, request.drift_run)
    baseline = read_baseline(project, run.baseline_name) if run else None
    basis = baseline.segments.basis if baseline else "prompts"
    column = None if basis == "prompts" else basis
    evidence = read_evidence(project, where_clause(request.window), column)
    if not evidence.votes:
        raise NoFeedback(
            "no feedback has been ingested", "ingest votes, ratings, corrections or comparisons"
        )
    if baseline:
        evidence = replace(evidence, answers=_with_segments(evidence, baseline))
    built = build_pairs(evidence, config.pairs, _keep_as_is(project, run))
    if not built.train:
        common = ", ".join(f"{n} {reason}" for reason, n in built.dropped.most_common(4))
        raise NoFeedback(
            f"none of {built.n_feedback} pieces of feedback makes a pair ({common})",
            "collect corrections or A/B votes: thumbs alone do not say what is better",
        )
    origin = {
        "baseline_name": run.baseline_name if run else None,
        "baseline_hash": run.baseline_hash if run else None,
        "drift_run_id": run.run_id if run else None,
        "settings": asdict(config.pairs),
        "version": __version__,
    }
    folder = request.out or project.folder("pairs") / content_hash(built)[:12]
    _refuse_foreign(folder)
    summary = write_dataset(folder, built, origin)
    if request.out is None:
        (project.folder("pairs") / "latest").write_text(folder.name, encoding="utf-8")
    return summary


def latest_pairs(project: Project) -> Path:
    """Return the folder of the newest dataset.

    Raises:
        UsageError: none has been built.
    """
    pointer = project.home / "pairs" / "latest"
    folder = pointer.parent / pointer.read_text(encoding="utf-8") if pointer.is_file() else None
    if folder is None or not folder.is_dir():
        raise UsageError("no pairs have been built", "begin with: loopllm pairs")
    return folder


def _drift_run(project: Project, run_id: str | None) -> DriftResult | None:
    return read_drift_run(project, run_id) if run_id else latest_drift_run(project)


def _keep_as_is(project: Project, run: DriftResult | None) -> Callable[[Answer], bool]:
    """Say which answers stand for traffic that a correction must leave alone.

    Only answers of the window that drifted, so of the model to be corrected: what an earlier
    model said well, this one may have forgotten, and being held to it would be no retention.
    """
    if run is None:
        return lambda answer: True
    drifted = frozenset(segment.label for segment in run.segments)
    sql = f"SELECT interaction_id FROM rows WHERE {where_clause(run.asked_window)}"
    found = tables.select(project.interactions, sql)
    inside = frozenset(found.column("interaction_id").to_pylist() if found else ())
    return lambda answer: answer.interaction_id in inside and answer.segment not in drifted


def _with_segments(evidence: Evidence, baseline: Baseline) -> dict[str, Answer]:
    """Say of every answer in which of the baseline's segments its prompt lies."""
    answers = list(evidence.answers.values())
    model = baseline.segments
    if model.basis != "prompts":
        return {
            a.interaction_id: a if a.segment in model.labels else replace(a, segment=OTHER)
            for a in answers
        }
    numbers = model.assign(_PromptBatch([a.prompt_text for a in answers]))
    return {
        a.interaction_id: replace(a, segment=model.label(int(k)))
        for a, k in zip(answers, numbers, strict=True)
    }


class _PromptBatch(RowBatch):
    """Prompts alone, as much of a batch as clusters ask for."""

    def __init__(self, prompts: Sequence[str | None]) -> None:
        self._prompts = list(prompts)

    def __len__(self) -> int:
        return len(self._prompts)

    @property
    def prompts(self) -> list[str | None]:
        """Last user texts."""
        return self._prompts


def _refuse_foreign(folder: Path) -> None:
    """Refuse to replace a folder that is not a dataset of ours."""
    if not folder.exists():
        return
    try:
        json.loads((folder / "card.json").read_text(encoding="utf-8"))["content_hash"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AlreadyExists(
            f"{folder} exists and is no dataset of loopllm", "choose another place"
        ) from error
