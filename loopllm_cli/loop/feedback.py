"""Correct, first half: turn feedback into a preference dataset."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from loopllm_cli import __version__
from loopllm_cli.config import Config
from loopllm_cli.errors import AlreadyExists, LoopllmError, NoFeedback
from loopllm_cli.loop.audit import audit_built, insist, tokenizer_of
from loopllm_cli.loop.records import latest_drift_run, read_drift_run
from loopllm_cli.loop.repairs import RepairRequest, find_repairs
from loopllm_cli.loop.settled import settled_answers
from loopllm_cli.model import DriftResult, PairsSummary, Window
from loopllm_cli.pairs.build import BuiltPairs, build_pairs
from loopllm_cli.pairs.dataset.stored import StoredPairs
from loopllm_cli.pairs.dataset.stored import latest_pairs as latest_pairs
from loopllm_cli.pairs.dataset.write import content_hash, write_dataset
from loopllm_cli.pairs.evidence.answer import Answer
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.evidence.from_store import read_evidence, with_segments
from loopllm_cli.pairs.review.log import read_decisions
from loopllm_cli.pairs.untouched import Untouched
from loopllm_cli.profiles.baseline import Baseline, read_baseline
from loopllm_cli.profiles.segments import OTHER
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.store import tables
from loopllm_cli.store.memory import collection_paused
from loopllm_cli.store.project import Project
from loopllm_cli.store.windows import where_clause


@dataclass(frozen=True, slots=True)
class PairsRequest:
    """Which answers to look at, what to repair, and where the dataset goes.

    `drift_run` names the run whose drifted segments are to be corrected; the newest, if None.
    With `strict`, an audit that finds a reason not to train on the pairs is an error. `tokenizer`
    names the model whose tokens are counted; they are estimated, if None.
    """

    window: Window = field(default_factory=Window)
    drift_run: str | None = None
    out: Path | None = None
    repair: RepairRequest = field(default_factory=RepairRequest)
    strict: bool = False
    tokenizer: str | None = None


@collection_paused()
def make_pairs(
    project: Project,
    config: Config,
    request: PairsRequest,
    on_progress: Callable[[str], None] = lambda _: None,
) -> PairsSummary:
    """Build a preference dataset from the store's feedback, and from what a drift run named.

    Raises:
        NoFeedback: there is none, or none that makes a pair; with every reason counted.
        UsageError: the drift run does not exist, or there is nothing to repair from.
        AuditFailed: `strict`, and the audit found something; the dataset stands there, but is not
            the newest.
        ModelUnusable: the tokenizer cannot be loaded.
    """
    run = _drift_run(project, request.drift_run)
    baseline = read_baseline(project, run.baseline_name) if run else None
    candidates = find_repairs(project, config, (run, baseline), request.repair, on_progress)
    tokenize = tokenizer_of(request.tokenizer) if request.tokenizer else None
    evidence = _read(project, request.window, baseline)
    if not evidence.votes and not candidates:
        raise NoFeedback(
            "no feedback has been ingested", "ingest votes, ratings, corrections or comparisons"
        )
    built = build_pairs(
        evidence,
        config.pairs,
        _untouched(project, run, baseline, evidence),
        candidates,
        read_decisions(project),
    )
    if not built.train:
        raise _no_pair(built)
    findings = audit_built(
        project, config, built, run, baseline, evidence=evidence, tokenize=tokenize
    )
    built = replace(built, findings=findings)
    origin = {
        "baseline_name": run.baseline_name if run else None,
        "baseline_hash": run.baseline_hash if run else None,
        "drift_run_id": run.run_id if run else None,
        "settings": asdict(config.pairs),
        "version": __version__,
    }
    folder = request.out or project.folder("pairs") / content_hash(built)[:12]
    _refuse_foreign(folder)
    before = _newest(project)
    summary = _compared(write_dataset(folder, built, origin), built, before)
    if request.strict:
        insist(findings, folder)
    if request.out is None:
        (project.folder("pairs") / "latest").write_text(folder.name, encoding="utf-8")
    return summary


def _read(project: Project, window: Window, baseline: Baseline | None) -> Evidence:
    """Read the evidence, each answer in the baseline's segments."""
    basis = baseline.segments.basis if baseline else "prompts"
    column = None if basis == "prompts" else basis
    evidence = read_evidence(project, where_clause(window), column)
    if baseline is None:
        return evidence
    return with_segments(evidence, lambda answers: _segments_of(answers, baseline))


def _no_pair(built: BuiltPairs) -> NoFeedback:
    common = ", ".join(f"{n} {reason}" for reason, n in built.dropped.most_common(4))
    return NoFeedback(
        f"none of {built.n_feedback} pieces of feedback makes a pair ({common})",
        "collect corrections or A/B votes: thumbs alone do not say what is better; or repair "
        "what a drift run named, with --from-drift",
    )


def _newest(project: Project) -> StoredPairs | None:
    """Return the newest dataset so far, None where there is none that can be read."""
    try:
        return StoredPairs(latest_pairs(project))
    except LoopllmError:
        return None


def _compared(summary: PairsSummary, built: BuiltPairs, before: StoredPairs | None) -> PairsSummary:
    """Count what is new against the dataset before; this stays out of the dataset itself."""
    now = {pair.pair_id for pair in (*built.train, *built.heldout)}
    if before is None:
        return replace(summary, n_new=len(now))
    known = set(before.ids)
    return replace(
        summary,
        previous=str(before.card.get("content_hash", "")) or None,
        n_new=len(now - known),
        n_gone=len(known - now),
    )


def _drift_run(project: Project, run_id: str | None) -> DriftResult | None:
    return read_drift_run(project, run_id) if run_id else latest_drift_run(project)


def _untouched(
    project: Project, run: DriftResult | None, baseline: Baseline | None, evidence: Evidence
) -> Untouched:
    """Say which traffic must be left alone.

    Only answers of the window that drifted, so of the model to be corrected:
    what an earlier model said well, this one may have forgotten, and being held to it would be no
    retention.
    """
    if run is None or baseline is None:
        return Untouched()
    drifted = frozenset(segment.label for segment in run.segments)
    sql = f"SELECT interaction_id FROM rows WHERE {where_clause(run.asked_window)}"
    found = tables.select(project.interactions, sql)
    inside = frozenset(found.column("interaction_id").to_pylist() if found else ())

    def keeps(answer: Answer) -> bool:
        return answer.interaction_id in inside and answer.segment not in drifted

    return Untouched(keeps, settled_answers(project, (run, baseline), evidence), inside)


def _segments_of(answers: Sequence[Answer], baseline: Baseline) -> list[str]:
    """Say of answers in which of the baseline's segments their prompts lie."""
    model = baseline.segments
    if model.basis != "prompts":
        return [a.segment if a.segment in model.labels else OTHER for a in answers]
    numbers = model.assign(_PromptBatch([a.prompt_text for a in answers]))
    return [model.label(int(k)) for k in numbers]


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
