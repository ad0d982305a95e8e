"""Evaluate: freeze a window as a baseline, and compare a later window with it."""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from loopllm_cli import __version__
from loopllm_cli.config import Config
from loopllm_cli.drift.compare import Findings, compare_profiles
from loopllm_cli.drift.season import seasonal_signals
from loopllm_cli.drift.verdict import JudgeSettings, family_size
from loopllm_cli.errors import ConfigError, UsageError
from loopllm_cli.loop.comparable import comparable_signals, configured_signals
from loopllm_cli.loop.explain import explain
from loopllm_cli.loop.window_notes import window_notes
from loopllm_cli.model import DailyPoint, DriftResult, SegmentChange, Window
from loopllm_cli.profiles.answers import fit_answers
from loopllm_cli.profiles.attributes import fit_attributes
from loopllm_cli.profiles.baseline import (
    Baseline,
    check_name,
    list_baselines,
    read_baseline,
    write_baseline,
)
from loopllm_cli.profiles.days import DaySums
from loopllm_cli.profiles.measure import Measured, measure, place
from loopllm_cli.profiles.sample import draw_positions, draw_sample
from loopllm_cli.profiles.segments import SegmentModel, fit_column, fit_prompts
from loopllm_cli.signals.batch import FloatArray, RowBatch
from loopllm_cli.signals.catalogue import compute_signals
from loopllm_cli.signals.categories import expand_categories
from loopllm_cli.signals.user import settle_kinds
from loopllm_cli.store.project import Project
from loopllm_cli.store.schema import INTERACTIONS
from loopllm_cli.store.windows import read_window, summarise_window

_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class BaselineRequest:
    """A baseline to be made."""

    name: str
    window: Window
    segment_by: str | None = None
    replace: bool = False


def create_baseline(project: Project, config: Config, request: BaselineRequest) -> Baseline:
    """Freeze a window of the store as a named baseline.

    Raises:
        AlreadyExists: the name is taken.
        EmptyWindow: the window holds no rows.
    """
    check_name(request.name)
    rows = read_window(project, request.window, "the baseline's window")
    batch = RowBatch(rows)
    signals = expand_categories(batch, settle_kinds(batch, configured_signals(project, config)))
    computed = compute_signals(batch, signals)
    _refuse_failures(computed[1])
    model = _fit_segments(batch, computed[0], request.segment_by or config.drift.segment_by)
    measured = place(batch, tuple(signals), computed, model, config.drift.cluster_by)
    days = measured.days()
    positions = draw_positions(batch)
    answers = fit_answers(batch, measured.keys, positions)
    baseline = Baseline(
        name=request.name,
        created=datetime.now(UTC),
        window=request.window,
        summary=summarise_window(rows, measured.keys),
        signals=tuple(s.info for s in signals.values()),
        cluster_by=config.drift.cluster_by,
        segments=model,
        profile=measured.profile,
        days=days,
        hours=measured.hours(),
        weekly=measured.weekly(seasonal_signals(days)),
        sample=draw_sample(measured.rows, fit_attributes(batch, positions)),
        answers=answers,
    )
    return write_baseline(project, baseline, replace=request.replace)


def baseline_cards(project: Project) -> list[dict[str, Any]]:
    """Return the cards of all baselines, by name."""
    return [read_baseline(project, name).card() for name in list_baselines(project)]


def run_drift(project: Project, config: Config, name: str, asked: Window) -> DriftResult:
    """Compare a window with a baseline and decide.

    Args:
        asked: the current window; when it asks for nothing, all that came after the baseline.

    Raises:
        BaselineNotFound: there is no such baseline.
        EmptyWindow: the window holds no rows.
        ConfigError: a signal's definition is not the baseline's.
    """
    baseline = read_baseline(project, name)
    signals, skipped = comparable_signals(project, config, baseline)
    window = asked if asked != Window() else _after(baseline)
    rows = read_window(project, window, "the current window")
    batch = RowBatch(rows)
    measured = measure(batch, signals, baseline.segments, baseline.cluster_by)
    skipped.update(measured.failures)
    settings = judge_settings(config, baseline.segments.basis)
    kept = _logged(baseline, measured, skipped)
    reduced, measured = baseline.columns(kept), measured.columns(kept)
    infos = tuple(signals[name].info for name in kept)
    weekly = (reduced.weekly, measured.weekly(reduced.weekly.signal_names))
    findings = compare_profiles(
        reduced.profile, measured.profile, infos, baseline.labels, settings, weekly
    )
    explained = explain(reduced, measured, findings.comparisons, settings)
    summary = summarise_window(rows, measured.keys)
    return DriftResult(
        run_id=_run_id(baseline, window, batch),
        created=datetime.now(UTC),
        baseline_name=baseline.name,
        baseline_hash=baseline.content_hash,
        baseline_window=baseline.summary,
        current_window=summary,
        asked_window=window,
        status=findings.status,
        comparisons=findings.comparisons,
        segments=_with_examples(findings.segments, measured, batch),
        segment_basis=baseline.segments.basis,
        mix_note=_mix_note(findings, baseline.segments),
        daily=_daily_points(reduced.days, measured.days()),
        alpha=settings.alpha,
        family_size=family_size(findings.comparisons),
        skipped_signals=skipped,
        settings=asdict(config.drift),
        version=__version__,
        slices=explained.slices,
        omnibus=explained.omnibus,
        notes=_notes(project, baseline, window, batch),
    )


def _notes(
    project: Project, baseline: Baseline, window: Window, batch: RowBatch
) -> tuple[str, ...]:
    notes = window_notes(project, baseline, window, batch)
    if len(baseline.sample):
        return notes
    return (*notes, "the baseline came without its sample of rows: no groups and words are named")


def judge_settings(config: Config, basis: str) -> JudgeSettings:
    """Read the judge's settings from the configuration.

    Args:
        basis: what segments are made of; a logged column leaves no traffic unresolved.

    Raises:
        ConfigError: a value is out of range.
    """
    drift = config.drift
    if not 0 < drift.alpha < 0.5 or not 0.5 <= drift.power < 1:
        raise ConfigError("[drift] alpha or power is out of range", "try 0.05 and 0.8")
    if drift.inconclusive not in ("most", "any", "never"):
        raise ConfigError(
            f"[drift] inconclusive = {drift.inconclusive!r}", "use most, any or never"
        )
    if not 0 <= drift.unresolved < math.inf:
        raise ConfigError(
            f"[drift] unresolved = {drift.unresolved!r}",
            "1.0: clusters may miss as much of a traffic shift as they see; 0: they miss nothing",
        )
    unresolved = drift.unresolved if basis == "prompts" else 0.0
    return JudgeSettings(drift.alpha, drift.power, drift.inconclusive, unresolved)


def _fit_segments(batch: RowBatch, values: FloatArray, segment_by: str) -> SegmentModel:
    if segment_by == "prompts":
        return fit_prompts(batch, values)
    if segment_by not in INTERACTIONS.names:
        raise ConfigError(
            f"cannot segment by {segment_by!r}", 'use "prompts" or a column of the store'
        )
    return fit_column(batch, segment_by)


def _refuse_failures(failures: dict[str, str]) -> None:
    """Refuse to freeze a baseline in which one of the user's signals gave nothing."""
    for name, reason in failures.items():
        raise UsageError(
            f"signal {name!r} failed: {reason}",
            "correct it, or leave it out of the list [drift] signals",
        )


def _logged(baseline: Baseline, measured: Measured, skipped: dict[str, str]) -> tuple[str, ...]:
    """Name the signals that either window has on any row, noting the others as not logged."""
    names = list(baseline.profile.signal_names)
    before, now = baseline.profile.n.sum((0, 1)), measured.profile.n.sum((0, 1))
    kept = []
    for name, n in zip(measured.profile.signal_names, now, strict=True):
        if n or before[names.index(name)]:
            kept.append(name)
        else:
            skipped.setdefault(name, "not logged")
    return tuple(kept)


def _after(baseline: Baseline) -> Window:
    if baseline.summary.last_time is None:
        raise UsageError(
            "the baseline's rows carry no times, so nothing comes after them",
            "choose the current window with --model or --where",
        )
    return Window(since=baseline.summary.last_time + timedelta(microseconds=1))


def _run_id(baseline: Baseline, window: Window, batch: RowBatch) -> str:
    """Name a run by what went into it, so that the same comparison has the same name."""
    parts = [baseline.content_hash, str(window), *sorted(batch.values("interaction_id"))]
    digest = hashlib.blake2b("\n".join(parts).encode(), digest_size=4).hexdigest()
    return f"{baseline.name}-{digest}"


def _mix_note(findings: Findings, model: SegmentModel) -> str:
    moved = f"{findings.mix_moved:.0%} of the traffic moved between segments"
    if model.basis == "prompts":
        return f"{moved}; prompt clusters resolve traffic only as far as they tell prompts apart"
    return f"{moved} (segments: {model.basis})"


def _with_examples(
    segments: tuple[SegmentChange, ...],
    measured: Measured,
    batch: RowBatch,
) -> tuple[SegmentChange, ...]:
    """Add the ids of a few rows that show each segment's leading change."""
    ids = batch.values("interaction_id")
    names = measured.profile.signal_names
    found = []
    for segment in segments:
        lead = segment.comparisons[0]
        column = measured.values[:, names.index(lead.signal.name)]
        inside = (measured.segments == int(segment.segment)) & np.isfinite(column)
        order = np.argsort(-column if lead.behaviour > 0 else column, kind="stable")
        rows = [int(i) for i in order if inside[i]][:_EXAMPLES]
        found.append(replace(segment, example_ids=tuple(ids[i] for i in rows)))
    return tuple(found)


def _daily_points(before: DaySums, now: DaySums) -> dict[str, tuple[DailyPoint, ...]]:
    points: dict[str, list[DailyPoint]] = {name: [] for name in now.signal_names}
    for sums, window in ((before, "baseline"), (now, "current")):
        counts, totals = sums.n.sum(axis=1), sums.total.sum(axis=1)
        for day, of_day, sum_of_day in zip(sums.days, counts, totals, strict=True):
            for name, n, total in zip(sums.signal_names, of_day, sum_of_day, strict=True):
                if n:
                    points[name].append(DailyPoint(day, float(total / n), int(n), window))
    return {name: tuple(found) for name, found in points.items()}
