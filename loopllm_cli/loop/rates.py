"""Which learning rate to try first, and which one next."""

from __future__ import annotations

import math
from collections.abc import Sequence

from loopllm_cli.model import Rung, RungEnd

FACTOR = 3.0
"""From one rung to the next. Between a rate that repaired half of a drift and one that broke other
traffic lay a factor of ten (docs/correct.md), so steps of three cannot jump over what works."""
NARROWEST = 1.5
"""Two rates closer than this have nothing worth trying between them: one step of three is halved
twice, to steps of 1.3. In one of three sample worlds 5.2e-4 left an intent wrong and 9e-4 moved
other traffic too far (docs/correct.md)."""
ENOUGH = 0.98
"""Share of what was lost that is as good as all of it: 300 prompts cannot tell it from 100%."""
SURE = 0.95
"""Share of held-out pairs that is as good as all. In one of three sample worlds 3e-4 brought 99%
back on the prompts of the logs and ordered 87% of held-out pairs rightly; of questions that no log
holds, one broken intent stayed wrong in 23%. Rates that repaired all had 96% and more."""
MORE = 0.01
"""What a higher rate must bring back beyond the last one for the search to go on upwards."""
# A model of a million parameters repaired half of its drift at 3e-4 and all of it at 1e-3.
_SMALL = (1e6, 3e-4)
# Lowest of the defaults that trainers publish for adapters on models of 7 to 8 billion parameters.
# Source: TRL 1.16 documentation, "DPO Trainer", and alignment-handbook, zephyr-7b-dpo-qlora: 5e-6.
_LARGE = (8e9, 5e-6)


def first_rate(n_parameters: int) -> float:
    """Return a rate at which a model of this size still learns too little.

    A line through two points, log over log: what was measured on a million parameters, one rung
    below what worked, and the lowest published default for billions. Between the two nothing was
    measured; because the ladder only goes up from here, a start that is too low costs one more
    rung, and one that is too high is noticed and gone down from.
    """
    (small, at_small), (large, at_large) = _SMALL, _LARGE
    slope = math.log(at_large / at_small) / math.log(large / small)
    return rounded(at_small * (max(1, n_parameters) / small) ** slope)


def next_rate(tried: Sequence[Rung], first: float, *, stop_at_first: bool = False) -> float | None:
    """Return the next rate to try, None where there is none.

    Up from what learnt too little, down from what broke something, then between the two. The
    first rate that passes has brought back just enough: on the sample world it left one of four
    broken intents wrong in half of its answers. So the search goes on above it for as long as
    that brings more back, or while held-out pairs say that it has not learnt the rest, and between
    it and one that broke something.

    Args:
        tried: the rungs so far.
        first: where to start.
        stop_at_first: be content with the first that passes.
    """
    if not tried:
        return first
    passed = sorted((r for r in tried if r.end is RungEnd.PASSED), key=lambda r: r.learning_rate)
    if any(r.end is RungEnd.HOPELESS or _is_only_unclear(r) for r in tried):
        return None
    if passed and (stop_at_first or _is_enough(passed)):
        return None
    below = (RungEnd.TOO_LITTLE, RungEnd.PASSED)
    low = max((r.learning_rate for r in tried if r.end in below), default=None)
    above = (RungEnd.TOO_MUCH, RungEnd.UNCLEAR)
    high = min((r.learning_rate for r in tried if r.end in above), default=None)
    if high is None:
        up = rounded((low or first) * FACTOR)
        return up if up <= 1.0 else None
    if low is None:
        return rounded(high / FACTOR)
    return rounded(math.sqrt(low * high)) if high / low > NARROWEST else None


def _is_only_unclear(rung: Rung) -> bool:
    """Say whether no rate would tell more: where right answers were lost, a lower one loses less.

    In one of three sample worlds 9e-4 lost 9 of 219 right answers, which may be 6.9% where 5% are
    allowed, so nothing could be told.
    """
    return rung.end is RungEnd.UNCLEAR and (rung.kept is None or rung.kept == 1.0)


def _is_enough(passed: Sequence[Rung]) -> bool:
    """Say whether a higher rate is not worth its time, by rungs that passed, lowest first."""
    shares = [r.recovered or 0.0 for r in passed]
    if shares[-1] >= ENOUGH and (passed[-1].held_out is None or passed[-1].held_out >= SURE):
        return True
    return len(shares) > 1 and shares[-1] < shares[-2] + MORE


def best(passed: Sequence[Rung]) -> Rung | None:
    """Return the rung to keep: what brings most back, then what orders most held-out pairs rightly.

    What brings `ENOUGH` back is as good as what brings back more. Of equals the lower rate: it
    has moved the model less.
    """

    def rank(rung: Rung) -> tuple[float, float, float]:
        back = min(round(rung.recovered or 0.0, 2), ENOUGH)
        return -back, -round(rung.held_out or 0.0, 2), rung.learning_rate

    return min(passed, key=rank, default=None)


def next_of(rates: Sequence[float], tried: Sequence[Rung], *, stop_at_first: bool) -> float | None:
    """Return the next of rates that the user named, leaving out those above one that broke things.

    Args:
        rates: in any order; they are tried from low to high.
        tried: the rungs so far.
        stop_at_first: be content with the first that passes.
    """
    done = {r.learning_rate for r in tried}
    ends = {RungEnd.HOPELESS, RungEnd.TOO_MUCH, *([RungEnd.PASSED] if stop_at_first else [])}
    if any(r.end in ends for r in tried):
        return None
    return next((rate for rate in sorted(set(rates)) if rate not in done), None)


def rounded(rate: float) -> float:
    """Return a rate with two digits, as people write them."""
    return float(f"{rate:.1e}")
