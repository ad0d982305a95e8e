"""What the ledger keeps of a judged night: the result as users get it, and what the next needs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np

from loopllm_cli import __version__
from loopllm_cli.drift import night_evidence as evidence
from loopllm_cli.drift.night_plan import Plan
from loopllm_cli.drift.night_report import describe_night
from loopllm_cli.drift.night_variance import MIN_NIGHTS
from loopllm_cli.drift.nights import History, NightFindings
from loopllm_cli.errors import SchemaMismatch
from loopllm_cli.model import NightPage, NightSignal, NightsResult, Status, Verdict, Window, Worse
from loopllm_cli.profiles.baseline import Baseline
from loopllm_cli.profiles.days import DaySums
from loopllm_cli.render.as_json import from_json, to_json
from loopllm_cli.store.ledger import Arrays, Entry, Ledger

Card = dict[str, Any]


@dataclass(frozen=True)
class NewNight:
    """A night that has just been judged, with where it stands."""

    day: str
    digest: list[Any]
    first: date
    inconclusive: str
    failures: dict[str, str]
    measured: tuple[str, ...]
    history: History
    findings: NightFindings


def ledger_key(baseline: Baseline, scope: Window) -> str:
    """Name the ledger of a baseline and of what is watched, as a folder."""
    key = baseline.content_hash[:16]
    if scope == Window():
        return key
    said = repr((scope.model, scope.where)).encode()
    return f"{key}-{hashlib.blake2b(said, digest_size=4).hexdigest()}"


def arrays_of(sums: DaySums) -> Arrays:
    """Return a night's sums as arrays for the ledger."""
    return sums.to_arrays()


def sums_of(entry: Entry, like: DaySums) -> DaySums:
    """Read a night's sums from the ledger.

    Raises:
        SchemaMismatch: they are not those of the baseline's signals and segments.
    """
    try:
        sums = DaySums.from_arrays(like.signal_names, like.n_rows.shape[1], entry.arrays)
    except (KeyError, ValueError, IndexError) as error:
        raise SchemaMismatch(
            "a night in the ledger does not fit the baseline", "restore the ledger from a copy"
        ) from error
    return sums


def result_of(ledger: Ledger, new_days: list[str]) -> NightsResult:
    """Return the result of the newest night, as it was judged."""
    card = ledger.read(len(ledger)).card
    result = from_json(card["result"], NightsResult)
    changed = sorted(card["days"][number - 1] for number in ledger.corrected)
    return replace(result, new_days=tuple(new_days), changed_days=tuple(changed))


def record_night(
    plan: Plan, watched: tuple[Baseline, Window], before: Card, night: NewNight
) -> Card:
    """Return the card of a new night."""
    days = [*before["days"], night.day]
    is_late = bool(before["days"]) and night.day < max(before["days"])
    late = [*before["late"], *([night.day] if is_late else [])]
    number = len(days)
    cost = evidence.spent_by(plan.settings, number) - evidence.spent_by(plan.settings, number - 1)
    card: Card = {
        "day": night.day,
        "days": days,
        "digest": night.digest,
        "late": late,
        "since": night.findings.state.since.tolist(),
        "floor": night.findings.state.floor.tolist(),
        "spent": before["spent"] + cost,
    }
    signals = _signals(plan, watched[0], night, days)
    result = NightsResult(
        baseline_name=watched[0].name,
        baseline_hash=watched[0].content_hash,
        scope=" and ".join(part for part in (watched[1].model, watched[1].where) if part),
        status=_status(signals, night.inconclusive),
        night=night.day,
        n_nights=number,
        n_rows=int(night.digest[0]),
        first_day=min(days),
        budget=plan.settings.false_pages_per_year,
        spent=card["spent"],
        family_size=plan.family,
        signals=signals,
        pages=_pages(before, signals, night.day),
        new_days=(),
        missing_days=_missing(night.first, days),
        late_days=tuple(late),
        changed_days=(),
        notes=_notes(plan, watched[0], night),
        version=__version__,
    )
    card["result"] = to_json(result)
    return card


def _signals(
    plan: Plan, baseline: Baseline, night: NewNight, days: list[str]
) -> tuple[NightSignal, ...]:
    found, report = night.findings, describe_night(plan, night.history, night.findings)
    n_baseline = baseline.days.n.sum(axis=(0, 1))
    said = []
    for k, info in enumerate(plan.infos):
        if info.name not in night.measured or not n_baseline[k]:
            continue
        since = int(found.state.since[k])
        said.append(
            NightSignal(
                signal=info,
                verdict=report.verdicts[k],
                paged=bool(found.paged[k]),
                recovered=bool(found.recovered[k]),
                since=days[since] if since >= 0 else None,
                first_day=days[int(found.start[k])],
                n_nights=int(report.n_nights[k]),
                n_baseline=int(n_baseline[k]),
                n_window=int(report.n_rows[k]),
                baseline=float(report.baseline[k]),
                current=float(report.current[k]),
                change=float(report.change[k]),
                low=float(report.low[k]),
                high=float(report.high[k]),
                design_effect=float(report.design_effect[k]),
                weekly=bool(plan.weekly[k]),
                visible=tuple(float(x) for x in report.visible[:, k]),  # type: ignore[arg-type]
            )
        )
    return tuple(said)


def _pages(before: Card, signals: tuple[NightSignal, ...], day: str) -> tuple[NightPage, ...]:
    pages = list(from_json(before["result"], NightsResult).pages) if "result" in before else []
    for one in signals:
        name = one.signal.name
        if one.recovered:
            pages = [
                replace(page, until=day) if page.signal == name and page.until is None else page
                for page in pages
            ]
        if one.paged:
            pages.append(NightPage(name, day, day if one.recovered else None))
    return tuple(pages)


def _status(signals: tuple[NightSignal, ...], inconclusive: str) -> Status:
    if any(one.verdict is Verdict.WORSE for one in signals):
        return Status.DEGRADED
    paging = [one for one in signals if one.signal.worse is not Worse.EITHER]
    unclear = sum(one.verdict is Verdict.INCONCLUSIVE for one in paging)
    too_many = {"most": unclear * 2 > len(paging), "any": unclear > 0, "never": False}
    return Status.INCONCLUSIVE if too_many[inconclusive] else Status.OK


def _missing(first: date, days: list[str]) -> tuple[str, ...]:
    """Return the days without rows between the first night that could be and the newest."""
    held, last = set(days), date.fromisoformat(max(days))
    span = (first + timedelta(k) for k in range((last - first).days + 1))
    return tuple(day.isoformat() for day in span if day.isoformat() not in held)


def _notes(plan: Plan, baseline: Baseline, night: NewNight) -> tuple[str, ...]:
    n_days = len(baseline.days.days)
    notes = []
    if not plan.nights_known:
        notes.append(
            f"the baseline has {n_days} of the {MIN_NIGHTS} nights it takes to know how much "
            "nights differ by themselves: a shock to one night may page"
        )
    weekly = int(np.sum(plan.weekly & plan.usable))
    if weekly:
        notes.append(f"{weekly} signals follow the week and are compared weekday by weekday")
    notes += [f"signal {name} gave nothing: {why}" for name, why in night.failures.items()]
    return tuple(notes)
