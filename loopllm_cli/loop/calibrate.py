"""Calibrate: what false-alarm rate and power a set-up has on the user's own clean rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from loopllm_cli import __version__
from loopllm_cli.config import Config
from loopllm_cli.drift.calibration import (
    DAYS_PER_WEEK,
    BoolArray,
    CleanRows,
    FloatArray,
    Split,
    day_parts,
    draw_splits,
    frequency,
    judge_planted,
    judge_split,
    part_splits,
)
from loopllm_cli.drift.verdict import JudgeSettings, judge_status
from loopllm_cli.errors import DataError, UsageError
from loopllm_cli.loop.clean_rows import Source, read_clean_rows
from loopllm_cli.loop.evaluate import judge_settings
from loopllm_cli.model import (
    Calibration,
    Comparison,
    Planted,
    SignalCalibration,
    SignalInfo,
    SplitCalibration,
    Status,
    Verdict,
    Worse,
)
from loopllm_cli.profiles.baseline import read_baseline
from loopllm_cli.store.project import Project

Progress = Callable[[str], None]

_PLANTED_RUNS = 50
"""Runs with planted changes, one judgement per signal each: a power of 80% is known to within six
points (one standard error)."""
_MIN_DAYS = 14
_MIN_WEEKS = 4
_MAX_PARTS = 120
_CLAIMS = (Verdict.WORSE, Verdict.BETTER, Verdict.CHANGED)
_FEW_CLUSTERS = 20


@dataclass(frozen=True, slots=True)
class CalibrateRequest:
    """What is to be calibrated: `rows` of a current part, those of a usual day where None."""

    name: str
    runs: int = 200
    rows: int | None = None
    seed: int = 0


def calibrate(
    project: Project, config: Config, request: CalibrateRequest, progress: Progress
) -> Calibration:
    """Split a baseline's own rows again and again, and judge the splits.

    Raises:
        BaselineNotFound: there is no such baseline.
        ConfigError: a signal's definition is not the baseline's.
        UsageError: a current part of that size leaves no baseline.
        EmptyWindow: the rows are gone, and the baseline holds no sample of them.
        DataError: the rows are of one cluster.
    """
    baseline = read_baseline(project, request.name)
    settings = judge_settings(config, baseline.segments.basis)
    progress("computing the signals of the baseline's rows")
    source = read_clean_rows(project, config, baseline)
    rows = source.rows
    if len(np.unique(rows.clusters)) < 2:
        raise DataError(
            "all rows of the baseline are of one user: they cannot be split",
            'name a column whose rows depend on each other: [drift] cluster_by = "…"',
        )
    n_current = _size_of_current(rows, request.rows)
    rng = np.random.default_rng(request.seed)
    tools = _Tools(settings, rng, progress)
    splits = _judge_clusters(source, n_current, request.runs, tools)
    summaries = [_summarise("clusters", splits, settings)]
    for name, n_days, least in (("days", 1, _MIN_DAYS), ("weeks", DAYS_PER_WEEK, _MIN_WEEKS)):
        parts = day_parts(rows.days, n_days)
        if len(parts) >= least:
            summaries.append(_judge_parts(source, name, parts, tools))
    signals = _judge_signals(rows, splits, tools)
    notes = (*source.notes, *_notes(rows, summaries, request.runs))
    return Calibration(
        baseline_name=baseline.name,
        baseline_hash=baseline.content_hash,
        created=datetime.now(UTC),
        source=source.origin,
        n_rows=len(rows),
        n_clusters=len(np.unique(rows.clusters)),
        alpha=settings.alpha,
        power=settings.power,
        splits=tuple(summaries),
        signals=signals,
        kept_level=all(s.degraded.low <= settings.alpha for s in summaries),
        notes=notes,
        seed=request.seed,
        version=__version__,
    )


def _size_of_current(rows: CleanRows, asked: int | None) -> int:
    """Return the rows of a current part: as asked, else those of a usual day, at most half."""
    half = len(rows) // 2
    if asked is not None:
        if not 1 <= asked <= half:
            raise UsageError(
                f"a current part of {asked:,} rows does not fit {len(rows):,} rows",
                f"give --rows 1 to {half:,}",
            )
        return asked
    per_day = np.unique(rows.days[~np.isnat(rows.days)], return_counts=True)[1]
    usual = int(np.median(per_day)) if len(per_day) > 1 else len(rows) // 4
    return max(1, min(usual, half))


# --- splits ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Tools:
    """What every step needs."""

    settings: JudgeSettings
    rng: np.random.Generator
    progress: Progress


def _judge_clusters(source: Source, n_current: int, runs: int, tools: _Tools) -> list[Split]:
    splits = []
    drawn = draw_splits(source.rows, source.refit, n_current, runs, tools.rng)
    for number, (rows, parts) in enumerate(drawn):
        tools.progress(f"splitting clean rows: {number + 1:,} of {runs:,}")
        splits.append(judge_split(rows, parts, tools.settings))
    return splits


def _judge_parts(
    source: Source, name: str, parts: Sequence[tuple[str, BoolArray]], tools: _Tools
) -> SplitCalibration:
    taken = parts[:: -(-len(parts) // _MAX_PARTS)]
    masks = [mask for _, mask in taken]
    splits: dict[int, Split] = {}
    for number, rows, both in part_splits(source.rows, source.refit, masks, tools.rng):
        tools.progress(f"comparing {name} with the rest: {len(splits) + 1:,} of {len(taken):,}")
        splits[number] = judge_split(rows, both, tools.settings)
    ordered = [splits[number] for number in range(len(taken))]
    degraded = [_status(split, tools.settings) is Status.DEGRADED for split in ordered]
    named = tuple(day for (day, _), bad in zip(taken, degraded, strict=True) if bad)
    return replace(_summarise(name, ordered, tools.settings), degraded_parts=named)


def _status(split: Split, settings: JudgeSettings) -> Status:
    return judge_status(split.comparisons, settings)


def _summarise(name: str, splits: Sequence[Split], settings: JudgeSettings) -> SplitCalibration:
    statuses = [_status(s, settings) for s in splits]
    claimed = sum(any(c.verdict in _CLAIMS for c in s.comparisons) for s in splits)
    return SplitCalibration(
        split_by=name,
        n_current=int(np.median([s.parts.current.sum() for s in splits])),
        degraded=frequency(statuses.count(Status.DEGRADED), len(splits)),
        claimed=frequency(claimed, len(splits)),
        inconclusive=frequency(statuses.count(Status.INCONCLUSIVE), len(splits)),
    )


# --- signals -----------------------------------------------------------------------------------


def _judge_signals(
    rows: CleanRows, splits: Sequence[Split], tools: _Tools
) -> tuple[SignalCalibration, ...]:
    """Count each signal's claims on clean splits, and how often planted changes are found."""
    visible = _visible(rows, splits)
    paging = np.array([info.worse is not Worse.EITHER for info in rows.signals])
    tolerance = np.array([info.tolerance for info in rows.signals])
    power = tools.settings.power
    kinds = (
        ("twice the tolerance", np.where(paging, 2 * tolerance, np.nan), float("nan")),
        ("visible", np.where(paging, visible, np.nan), power),
    )
    found = {kind: _plant(splits, sizes, kind, tools) for kind, sizes, _ in kinds}
    calibrated = []
    for k, info in enumerate(rows.signals):
        planted = tuple(
            Planted(kind, float(sizes[k]), announced, frequency(*found[kind][info.name]))
            for kind, sizes, announced in kinds
            if info.name in found[kind]
        )
        calibrated.append(_signal(info, [s.comparisons[k] for s in splits], visible[k], planted))
    return tuple(calibrated)


def _visible(rows: CleanRows, splits: Sequence[Split]) -> FloatArray:
    """Return each signal's announced visible change, the median over the splits."""
    columns = [
        [c for s in splits if np.isfinite(c := s.comparisons[k].visible_change)]
        for k in range(len(rows.signals))
    ]
    return np.array([float(np.median(c)) if c else np.nan for c in columns])


def _plant(
    splits: Sequence[Split], sizes: FloatArray, kind: str, tools: _Tools
) -> dict[str, tuple[int, int]]:
    """Count, per signal, how often its planted change was called worse, and in how many runs."""
    counts: dict[str, tuple[int, int]] = {}
    chosen = splits[:_PLANTED_RUNS]
    for number, split in enumerate(chosen):
        tools.progress(f"planting changes ({kind}): {number + 1:,} of {len(chosen):,}")
        for name, c in judge_planted(split, sizes, tools.settings, tools.rng).items():
            hits, runs = counts.get(name, (0, 0))
            counts[name] = (hits + (c.verdict is Verdict.WORSE), runs + 1)
    return counts


def _signal(
    info: SignalInfo, clean: Sequence[Comparison], visible: float, planted: tuple[Planted, ...]
) -> SignalCalibration:
    worse = sum(c.verdict is Verdict.WORSE for c in clean)
    claimed = sum(c.verdict in _CLAIMS for c in clean)
    notes = [c.note for c in clean if c.note]
    note = max(sorted(set(notes)), key=notes.count) if len(notes) * 2 > len(clean) else ""
    if info.worse is not Worse.EITHER and not planted and not note:
        note = "no change of these sizes fits"
    n = len(clean)
    return SignalCalibration(
        info, frequency(worse, n), frequency(claimed, n), float(visible), planted, note
    )


def _notes(rows: CleanRows, summaries: Sequence[SplitCalibration], runs: int) -> list[str]:
    notes = []
    first = summaries[0]
    if first.degraded.n_hits == 0 and runs < 72:
        # 0 of 72 has an upper limit of 5.0%.
        notes.append(f"{runs} runs cannot show a rate below {first.degraded.high:.1%}")
    n_clusters = len(np.unique(rows.clusters))
    if n_clusters < _FEW_CLUSTERS:
        notes.append(f"{n_clusters} clusters only: the splits are few and alike")
    for one in summaries[1:]:
        if one.degraded.low > first.degraded.high:
            notes.append(
                f"{one.split_by} differ more than users at random: what moves a whole day is not "
                "in an error computed from users; compare longer windows, or look every night"
            )
    if len(summaries) == 1:
        notes.append("the rows span too few days to compare days with each other")
    return notes
