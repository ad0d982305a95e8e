"""Plan: what windows of a size would show against a baseline, before they are there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from loopllm_cli import __version__
from loopllm_cli.config import Config
from loopllm_cli.drift.night_plan import NightSettings, make_plan
from loopllm_cli.drift.night_report import HORIZONS, describe_night
from loopllm_cli.drift.nights import History, NightState, judge_night
from loopllm_cli.drift.plan import plan_signals
from loopllm_cli.drift.verdict import JudgeSettings
from loopllm_cli.errors import UsageError
from loopllm_cli.loop.comparable import comparable_signals
from loopllm_cli.loop.evaluate import judge_settings
from loopllm_cli.loop.nights import night_settings
from loopllm_cli.model import PlanResult, SignalInfo, SignalPlan, Worse
from loopllm_cli.profiles.baseline import Baseline, read_baseline
from loopllm_cli.store.project import Project


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What is to be planned.

    Attributes:
        signals: names to plan for; all one-sided ones by default.
        change: the size to be seen; twice each signal's tolerance by default.
        power: the wanted chance to see it; the configuration's by default.
        rows_per_night: rows to expect; the baseline's own nights by default.
    """

    baseline: str
    signals: tuple[str, ...] = ()
    change: float | None = None
    power: float | None = None
    rows_per_night: float | None = None


def run_plan(project: Project, config: Config, request: PlanRequest) -> PlanResult:
    """Say how many rows and nights it takes to see changes against a baseline.

    Raises:
        BaselineNotFound: there is no such baseline.
        UsageError: a number is out of range, a signal unknown, or nothing says how many rows a
            night has.
        ConfigError: a signal's definition is not the baseline's.
    """
    baseline = read_baseline(project, request.baseline)
    settings = _settings(config, baseline.segments.basis, request)
    signals, _ = comparable_signals(project, config, baseline)
    infos = tuple(one.info for one in signals.values())
    reduced = baseline.columns(tuple(signals))
    per_night = _rows_per_night(baseline, request)
    n_rows = max(round(per_night), 1)
    planned = plan_signals(reduced.profile, infos, settings, n_rows, request.change)
    chosen = _chosen(planned, infos, request)
    nights = _within_nights(reduced, infos, per_night, night_settings(config))
    return PlanResult(
        baseline_name=baseline.name,
        baseline_hash=baseline.content_hash,
        n_baseline=baseline.summary.n_rows,
        n_nights=len(baseline.days.days),
        n_rows=n_rows,
        rows_per_night=per_night,
        alpha=settings.alpha,
        power=settings.power,
        family_size=len(planned),
        signals=tuple(replace(p, within_nights=nights.get(p.signal.name, {})) for p in chosen),
        version=__version__,
    )


def _settings(config: Config, basis: str, request: PlanRequest) -> JudgeSettings:
    settings = judge_settings(config, basis)
    if request.power is not None:
        if not 0.5 <= request.power < 1:
            raise UsageError(f"--power {request.power:g} is out of range", "try 0.8 or 0.9")
        settings = replace(settings, power=request.power)
    if request.change is not None and not request.change > 0:
        raise UsageError(
            f"--change {request.change:g} is no size", "two points of a rate are 0.02, 10% is 0.1"
        )
    return settings


def _rows_per_night(baseline: Baseline, request: PlanRequest) -> float:
    if request.rows_per_night is not None:
        if not 1 <= request.rows_per_night <= 1e9:
            raise UsageError("--rows-per-night is out of range", "try 1000")
        return request.rows_per_night
    if not baseline.days.days:
        raise UsageError(
            "the baseline's rows carry no times, so its nights cannot be counted",
            "say how many rows to expect with --rows-per-night",
        )
    return float(baseline.days.n_rows.sum() / len(baseline.days.days))


def _chosen(
    planned: tuple[SignalPlan, ...], infos: tuple[SignalInfo, ...], request: PlanRequest
) -> tuple[SignalPlan, ...]:
    """Keep the signals asked for, and refuse names that have no plan."""
    known = {p.signal.name: p for p in planned}
    either = {info.name for info in infos if info.worse is Worse.EITHER}
    for name in request.signals:
        if name in either:
            raise UsageError(
                f"signal {name!r} has no direction that is worse, so it never pages",
                "plan for one that has: loopllm plan without --signal lists them",
            )
        if name not in known:
            raise UsageError(
                f"the baseline has no signal {name!r}",
                "loopllm plan without --signal lists those that it has",
            )
    return tuple(known[name] for name in dict.fromkeys(request.signals)) or planned


def _within_nights(
    baseline: Baseline, infos: tuple[SignalInfo, ...], per_night: float, settings: NightSettings
) -> dict[str, dict[str, float]]:
    """Return what a nightly monitor would show within some nights, by signal.

    Asked of one ordinary night after the baseline: its own mean night, of the rows to expect.
    """
    days = baseline.days
    rows = float(days.n_rows.sum())
    if not rows:
        return {}
    plan = make_plan(days, baseline.profile, infos, baseline.weekly.signal_names, settings)
    sums = np.stack([days.n, days.total, days.total_sq, days.total_cu]).sum(axis=1, keepdims=True)
    history = History(sums * per_night / rows, days.weekdays[-1:])
    found = judge_night(plan, history, NightState.new(len(infos)))
    visible = describe_night(plan, history, found).visible
    return {
        info.name: {str(n): float(visible[k, j]) for k, n in enumerate(HORIZONS)}
        for j, info in enumerate(infos)
    }
