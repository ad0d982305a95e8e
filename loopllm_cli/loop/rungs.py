"""Read off a verification how a learning rate turned out, and what to do when none worked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loopllm_cli.model import AdapterCard, Check, Gate, Repair, Rung, RungEnd, VerifyResult
from loopllm_cli.verify.checks import SERVED
from loopllm_cli.verify.gate import ALL_DRIFTED, BROKEN, NOT_SHOWN

# Checks that are not about other traffic: what they find is not cured by a lower rate.
_NOT_HARM = frozenset({"effect", "held-out preference", "training", SERVED})
_WRONG_INPUT = frozenset({SERVED})
_KEPT = "right answers kept"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a rate turned out, with the words for it and what was measured."""

    end: RungEnd
    why: str
    recovered: float | None = None
    kept: float | None = None
    unrepaired: tuple[str, ...] = ()


def screen(metrics: Mapping[str, float], notes: Sequence[str]) -> Outcome | None:
    """Judge an adapter by its training alone, where that is enough; else None.

    A guard's stop is refused by every verification, so its answers need not be generated. Where
    the weights do not act on any prompt, nothing can be repaired.

    Args:
        metrics: as `correct` measured them.
        notes: what it said.
    """
    if metrics.get("guard_stopped_at_step") is not None:
        why = next((note for note in notes if "guard stopped" in note), "a guard stopped it")
        return Outcome(RungEnd.TOO_MUCH, why)
    if metrics.get("adapter_effect") == 0.0:
        return Outcome(RungEnd.TOO_LITTLE, "the adapter changes nothing")
    return None


def read_verification(result: VerifyResult, min_recovery: float) -> Outcome:
    """Say which way a verification points: up, down, or nowhere.

    Args:
        result: of a small verification.
        min_recovery: `[verify] min_recovery`.
    """
    whole = [r for r in result.repairs if r.segment == ALL_DRIFTED]
    single = [r.label for r in result.repairs if r.segment != ALL_DRIFTED and r.gate is Gate.FAIL]
    recovered = min((_recovered(r) for r in whole if _was_lost(r)), default=None)
    kept = next((c.value for c in result.checks if c.name == _KEPT), None)
    end, why = _direction(result, min_recovery)
    return Outcome(end, why, recovered, kept, tuple(dict.fromkeys(single)))


def _direction(result: VerifyResult, min_recovery: float) -> tuple[RungEnd, str]:
    failed = [c for c in result.checks if c.gate is Gate.FAIL]
    wrong = [c for c in failed if c.name in _WRONG_INPUT or "turns on" in c.text]
    if wrong:
        return RungEnd.HOPELESS, _said(wrong[0])
    if result.gate is Gate.PASS:
        return RungEnd.PASSED, result.reasons[0]
    harm = [c for c in failed if c.name not in _NOT_HARM]
    if harm:
        return RungEnd.TOO_MUCH, _said(harm[0])
    broken = [r for r in result.repairs if r.reason == BROKEN]
    if broken:
        return RungEnd.TOO_MUCH, f"{broken[0].signal.name.replace('_', ' ')}: {BROKEN}"
    short = [r for r in result.repairs if r.gate is Gate.FAIL]
    open_ = [r for r in result.repairs if r.gate is Gate.INCONCLUSIVE and _was_lost(r)]
    short += [r for r in open_ if _recovered(r) < min_recovery]
    if short:
        worst = min(short, key=_recovered)
        return RungEnd.TOO_LITTLE, f"{worst.signal.name.replace('_', ' ')}: {worst.reason}"
    if failed:
        return RungEnd.TOO_LITTLE, _said(failed[0])
    return RungEnd.UNCLEAR, result.reasons[0]


def _recovered(repair: Repair) -> float:
    lost = repair.before - repair.baseline
    return (repair.before - repair.after) / lost if lost else 0.0


def _was_lost(repair: Repair) -> bool:
    """Say whether anything is lost in the answers generated anew, so that it can come back."""
    return repair.reason != NOT_SHOWN


def _said(check: Check) -> str:
    return f"{check.name}: {check.text}"


def make_rung(card: AdapterCard, rate: float, outcome: Outcome, seconds: float) -> Rung:
    """Put what training and verification measured into one row."""
    metrics: Mapping[str, Any] = card.final_metrics
    return Rung(
        learning_rate=rate,
        end=outcome.end,
        why=outcome.why,
        folder=card.path,
        seconds=seconds,
        retention_kl=metrics.get("retention_kl"),
        held_out=metrics.get("test_accuracy"),
        recovered=outcome.recovered,
        kept=outcome.kept,
        unrepaired=outcome.unrepaired,
    )


def advise(rungs: Sequence[Rung]) -> tuple[str, ...]:
    """Say what to do when no rate passed, the likeliest remedy first."""
    found: list[str] = []
    ends = {r.end for r in rungs}
    best = max((r for r in rungs if r.recovered is not None), key=_share, default=None)
    if RungEnd.HOPELESS in ends:
        return ("no learning rate cures this: see the reason of the last rung",)
    if best is not None and _share(best) <= 0.1 and RungEnd.TOO_MUCH in ends:
        found.append(
            "no rate brought the quality back, up to rates that break other traffic: the pairs "
            "may say the opposite of what is wanted; look at them: loopllm pairs show, "
            "loopllm pairs review"
        )
    elif best is not None:
        found.append(
            f"most came back at {best.learning_rate:g} ({_share(best):.0%} of what was lost): "
            "collect more pairs, corrections above all, then: loopllm pairs"
        )
        if best.unrepaired:
            found.append(f"still broken there: {', '.join(best.unrepaired[:3])}")
    if ends == {RungEnd.TOO_MUCH}:
        found.append("every rate broke other traffic: add retention answers, or start lower")
    if ends == {RungEnd.TOO_LITTLE}:
        found.append("no rate was too high yet: allow more with --max-rungs or --rates")
    if RungEnd.UNCLEAR in ends:
        found.append("the prompts are too few to tell: verify with more traffic")
    return tuple(found)


def _share(rung: Rung) -> float:
    return rung.recovered if rung.recovered is not None else 0.0
