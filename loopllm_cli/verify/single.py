"""Every drifted segment by itself: what a mean over all of them would hide.

On the sample world one adapter brought 91% of the lost right answers back while one intent of four,
spread over four segments of four to six known prompts, stayed wholly wrong. Intervals of so few
prompts reach too far to say so; an exact test against what a repair would have to show does not.
"""

from __future__ import annotations

from collections.abc import Sequence

from scipy import stats

from loopllm_cli.model import Check, Gate, Repair, SignalKind, Worse
from loopllm_cli.verify.tarone import family_size

NAME = "every drifted segment"
HALF = 0.5


def find_unrepaired(
    repairs: Sequence[Repair], alpha: float, min_recovery: float, samples: int = 1
) -> tuple[Repair, ...]:
    """Return the segments that stayed broken, the surest first; any false one with chance alpha.

    Rates are tested exactly: had `min_recovery` of the loss come back, so few good answers would
    come that rarely. Amounts fail where even the upper bound is less than half of the loss.

    Args:
        repairs: of segments, or of several together, in which something was lost.
        samples: answers per prompt; those of one prompt count as one.
    """
    rates = [r for r in repairs if r.signal.kind is SignalKind.RATE]
    level = _level(rates, alpha, min_recovery, samples)
    chances = ((_chance(r, r.after, min_recovery, samples), i) for i, r in enumerate(rates))
    broken = [rates[i] for chance, i in sorted(chances) if chance <= level]
    broken += [r for r in repairs if r.signal.kind is not SignalKind.RATE and _is_below_half(r)]
    return tuple(broken)


def check_singles(
    repairs: Sequence[Repair], alpha: float, min_recovery: float, samples: int = 1
) -> Check | None:
    """Say in how many drifted segments it would show that nothing came back.

    It is no proof where most prompts lie in segments that are too small for that. None where
    nothing was lost that can be counted.
    """
    rates = [r for r in repairs if r.signal.kind is SignalKind.RATE]
    if not rates:
        return None
    level = _level(rates, alpha, min_recovery, samples)
    shown = {r.segment: 0 for r in rates}
    sizes = dict(shown)
    for repair in rates:
        sizes[repair.segment] = max(sizes[repair.segment], repair.n)
        if _chance(repair, repair.before, min_recovery, samples) <= level:
            shown[repair.segment] = max(shown[repair.segment], repair.n)
    n_shown, total = sum(shown.values()), sum(sizes.values())
    text = (
        f"a segment where nothing came back would show in {sum(map(bool, shown.values()))} of "
        f"{len(shown)}, which hold {n_shown} of {total} prompts"
    )
    gate = Gate.PASS if n_shown * 2 > total else Gate.INCONCLUSIVE
    return Check(NAME, gate, text, total)


def _chance(repair: Repair, after: float, min_recovery: float, samples: int) -> float:
    """Return how often so few good answers come where `min_recovery` of the loss is back.

    Source: the exact binomial tail (Clopper and Pearson 1934, Biometrika 26:404-413).
    """
    n = max(1, repair.n // samples)
    wanted = repair.before + min_recovery * (repair.baseline - repair.before)
    k = round(after * n)
    if repair.signal.worse is Worse.UP:
        return float(stats.binom.sf(k - 1, n, wanted))
    return float(stats.binom.cdf(k, n, wanted))


def _level(rates: Sequence[Repair], alpha: float, min_recovery: float, samples: int) -> float:
    worst = [float(r.signal.worse is Worse.UP) for r in rates]
    least = [_chance(r, at, min_recovery, samples) for r, at in zip(rates, worst, strict=True)]
    return alpha / family_size(least, alpha)


def _is_below_half(repair: Repair) -> bool:
    lost = repair.before - repair.baseline
    best = repair.low if repair.signal.worse is Worse.UP else repair.high
    return repair.gate is Gate.FAIL and (repair.before - best) / lost < HALF
