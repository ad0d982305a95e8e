"""Audit pairs with all that a project knows: the drift run, its baseline, right answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from loopllm_cli.config import Config
from loopllm_cli.errors import AuditFailed
from loopllm_cli.loop.comparable import comparable_signals
from loopllm_cli.model import DriftResult, Finding, Severity, Verdict
from loopllm_cli.pairs.audit import AuditContext, BaselineRows, audit_pairs
from loopllm_cli.pairs.audit.context import DEFAULT_MAX_LENGTH, Tokenize
from loopllm_cli.pairs.build import BuiltPairs
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.judges import is_machine
from loopllm_cli.profiles.baseline import Baseline
from loopllm_cli.signals.registry import Signal
from loopllm_cli.store import tables
from loopllm_cli.store.project import Project
from loopllm_cli.store.windows import where_clause

_SHOWN = 8


def audit_built(
    project: Project,
    config: Config,
    built: BuiltPairs,
    run: DriftResult | None,
    baseline: Baseline | None,
    *,
    evidence: Evidence | None = None,
    tokenize: Tokenize | None = None,
) -> tuple[Finding, ...]:
    """Look for what would make training on these pairs a mistake.

    Args:
        run: the drift run that the pairs are to repair; without it, what needs one says so.
        baseline: the one that the run compared with.
        evidence: what the pairs were made of; without it, nobody is asked whether thumbs agree.
        tokenize: counts tokens; without it, they are estimated from characters.
    """
    known = replace(context_of(project, config, run, baseline), tokenize=tokenize)
    if evidence is not None:
        known = replace(known, thumbs=thumbs_of(evidence, built))
    wanted = [pair.context_hash for pair in (*built.train, *built.heldout)]
    known = replace(known, references=references_of(project, wanted))
    return audit_pairs(built, known, config.pairs)


def context_of(
    project: Project, config: Config, run: DriftResult | None, baseline: Baseline | None
) -> AuditContext:
    """Collect what an audit knows beside the pairs; right answers are added by who asks."""
    known = AuditContext(max_length=_max_length(config))
    if run is None or baseline is None:
        return known
    return replace(
        known,
        drift=run,
        signals=_worse_signals(project, config, run, baseline),
        baseline=_baseline_rows(project, baseline),
    )


def tokenizer_of(model: str) -> Tokenize:
    """Return how a model cuts a text into tokens.

    Raises:
        MissingExtra: the training extra is not installed.
        ModelUnusable: the model has no tokenizer that could be trained with.
    """
    from loopllm_cli.correct.loading import load_tokenizer

    tokenizer = load_tokenizer(model)
    return lambda text: tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]


def insist(findings: Iterable[Finding], place: Path) -> None:
    """Refuse a set of pairs that a strict user would not train on.

    Raises:
        AuditFailed: a finding is beyond its threshold and has not been accepted.
    """
    loud = [one for one in findings if one.severity is not Severity.OK and not one.accepted]
    if not loud:
        return
    names = [f"{one.name} ({one.severity.value})" for one in loud[:_SHOWN]]
    more = f" and {len(loud) - _SHOWN} more" if len(loud) > _SHOWN else ""
    raise AuditFailed(
        f"the audit found {len(loud)} thing{'s' if len(loud) > 1 else ''} against these pairs: "
        f"{', '.join(names)}{more}",
        f"read them in {place / 'card.json'}; what is meant to be so is named in accept = [...] "
        "of [pairs]",
    )


def _max_length(config: Config) -> int:
    asked = config.correct.get("max_length")
    if isinstance(asked, bool) or not isinstance(asked, int) or asked < 1:
        return DEFAULT_MAX_LENGTH  # the recipe's own reading refuses it, when it is asked for
    return asked


def _worse_signals(
    project: Project, config: Config, run: DriftResult, baseline: Baseline
) -> dict[str, Signal]:
    """Return the signals that got worse, as they are computed today."""
    every = (*run.comparisons, *(c for segment in run.segments for c in segment.comparisons))
    names = {c.signal.name for c in every if c.verdict is Verdict.WORSE}
    signals, _ = comparable_signals(project, config, baseline)
    return {name: one for name, one in signals.items() if name in names}


def _baseline_rows(project: Project, baseline: Baseline) -> BaselineRows | None:
    """Return what the baseline's rows are known by; None where the store has lost them."""
    rows = tables.select(
        project.interactions,
        "SELECT interaction_id, prompt_hash, coalesce(response_model, request_model) AS model "
        f"FROM rows WHERE {where_clause(baseline.window)}",
    )
    if rows is None or not rows.num_rows:
        return None

    def distinct(column: str) -> frozenset[str]:
        return frozenset(pc.unique(rows.column(column)).to_pylist()) - {None}

    return BaselineRows(distinct("interaction_id"), distinct("prompt_hash"), distinct("model"))


def thumbs_of(evidence: Evidence, built: BuiltPairs) -> dict[str, list[tuple[str, int]]]:
    """Return what people's thumbs say of the answers that stand in pairs."""
    answers = {name for pair in built.train for name in pair.interaction_ids}
    found: dict[str, list[tuple[str, int]]] = {}
    for vote in evidence.votes_on(answers):
        if vote.kind == "thumbs" and vote.target and vote.polarity and not is_machine(vote):
            found.setdefault(vote.target, []).append((vote.feedback_id, vote.polarity))
    return found


def references_of(project: Project, contexts: Iterable[str]) -> dict[str, str]:
    """Return the right answers of contexts, where they are known."""
    rows = tables.select(
        project.interactions,
        "SELECT context_hash, reference_answer FROM rows WHERE reference_answer IS NOT NULL "
        "ORDER BY request_time, interaction_id",
    )
    if rows is None:
        return {}
    wanted = pa.array(sorted(set(contexts)), pa.string())
    kept = rows.filter(pc.is_in(rows.column("context_hash"), value_set=wanted))
    return dict(
        zip(
            kept.column("context_hash").to_pylist(),
            kept.column("reference_answer").to_pylist(),
            strict=True,
        )
    )
