"""The verdict on canaries: which held without the adapter and must hold with it."""

from __future__ import annotations

from loopllm_cli.model import Check, Gate
from loopllm_cli.verify.canaries import Canary

_MOST_NAMED = 3


def check_canaries(
    canaries: tuple[Canary, ...], before: list[list[str]], after: list[list[str]]
) -> Check:
    """Judge whether every canary that held without the adapter holds with it.

    What failed without it already is not the adapter's fault and is only counted; where nothing
    held before, nothing is proved.

    Args:
        before: answers without the adapter, per canary.
        after: answers with it.
    """
    held = [c.holds(answers) for c, answers in zip(canaries, before, strict=True)]
    holds = [c.holds(answers) for c, answers in zip(canaries, after, strict=True)]
    n, kept = sum(held), sum(w and i for w, i in zip(held, holds, strict=True))
    lost = [i for i in range(len(canaries)) if held[i] and not holds[i]]
    failed = sum(not w and not i for w, i in zip(held, holds, strict=True))
    gained = sum(not w and i for w, i in zip(held, holds, strict=True))
    text = f"{kept} of {n} that held as served hold with it"
    if lost:
        named = [f"{canaries[i].name} ({_why(canaries[i], after[i])})" for i in lost[:_MOST_NAMED]]
        more = len(lost) - len(named)
        text += "; broken: " + ", ".join(named) + (f" and {more} more" if more else "")
    text += f"; {gained} hold only with it" if gained else ""
    text += f"; {failed} hold neither way" if failed else ""
    gate = Gate.FAIL if lost else Gate.PASS if n else Gate.INCONCLUSIVE
    return Check("canaries", gate, text, len(canaries), kept / n if n else None)


def _why(canary: Canary, answers: list[str]) -> str:
    reasons = [reason for answer in answers if (reason := canary.broken_by(answer))]
    share = f" in {len(reasons)} of {len(answers)}" if len(answers) > 1 else ""
    return f"not {reasons[0]}{share}"
