"""What the drift run did not name: right answers that are missing elsewhere, and stay missing.

A drift run names a segment only where its rows suffice. Regenerated answers are asked where a right
answer is known first, so they may show a loss that the logs did not: then the adapter repairs a
part of the drift only, and a pass would say more than is true.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scipy import stats

from loopllm_cli.model import Check, Gate
from loopllm_cli.verify.tarone import family_size
from loopllm_cli.verify.watch import share_bounds

NAME = "not named by the drift run"
MIN_KNOWN = 5
"""Fewer known right answers are no segment to speak of, as in `gate.py`."""
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Known:
    """Right answers of one segment: (right, known) of the baseline, and without and with the
    adapter."""

    segment: int
    baseline: tuple[int, int]
    before: tuple[int, int]
    after: tuple[int, int]

    @property
    def p_value(self) -> float:
        """Test that the answers with the adapter are right as often as the baseline's were.

        Source: Fisher's exact test, one-sided.
        """
        return _fisher(self.after, self.baseline)

    def was_missing(self, alpha: float) -> bool:
        """Say whether they are missing without the adapter: else it is the adapter that lost them,
        and other checks say so."""
        return _fisher(self.before, self.baseline) <= alpha

    @property
    def least_p(self) -> float:
        """The smallest p-value these numbers could give."""
        right = self.after[0] + self.baseline[0]
        n, m = self.after[1], self.baseline[1]
        return _fisher((max(0, right - m), n), (min(right, m), m))


def _fisher(now: tuple[int, int], normal: tuple[int, int]) -> float:
    (k, n), (k_b, n_b) = now, normal
    return float(stats.hypergeom.cdf(k, n + n_b, k + k_b, n)) if n and n_b else 1.0


def find_missing(known: Sequence[Known], tolerance: float, alpha: float) -> tuple[Known, ...]:
    """Return the segments whose right answers are missing, any false one with chance alpha.

    The loss must lie beyond the tolerance of the signal too: at its 95% bound (Newcombe 1998,
    Statistics in Medicine 17:873-890, method 10).
    """
    told = [one for one in known if one.after[1] >= MIN_KNOWN and one.was_missing(alpha)]
    level = alpha / family_size([one.least_p for one in told], alpha)
    found = [one for one in told if one.p_value <= level and _least_loss(one, alpha) > tolerance]
    return tuple(sorted(found, key=lambda one: (one.p_value, one.segment)))


def _least_loss(one: Known, alpha: float) -> float:
    (k_b, n_b), (k, n) = one.baseline, one.after
    was, now = k_b / n_b, k / n
    low = share_bounds(k_b, n_b, alpha)[0]
    high = share_bounds(k, n, alpha)[1]
    return float(was - now - ((was - low) ** 2 + (high - now) ** 2) ** 0.5)


def check_missing(
    known: Sequence[Known], label: Callable[[int], str], limits: tuple[float, float]
) -> Check | None:
    """Say where right answers are missing although no drift was named; None where none is known.

    Args:
        limits: the tolerance of right answers, and the error rate.
    """
    told = [one for one in known if one.after[1] >= MIN_KNOWN and one.baseline[1]]
    n = sum(one.after[1] for one in told)
    if not told:
        return None
    found = find_missing(told, *limits)
    if not found:
        return Check(NAME, Gate.PASS, f"no right answer is missing in {len(told)} segments", n)
    said = [
        f"{label(one.segment)} ({one.after[0] / one.after[1]:.0%} of {one.after[1]}, as "
        f"served now {_share(one.before)}, the baseline had {_share(one.baseline)})"
        for one in found[:_MOST_NAMED]
    ]
    more = len(found) - len(said)
    text = "right answers are missing in " + ", ".join(said) + (f" and {more} more" if more else "")
    text += ": compare a longer window, or log more reference answers there, and build pairs again"
    return Check(NAME, Gate.INCONCLUSIVE, text, n)


def _share(counts: tuple[int, int]) -> str:
    return f"{counts[0] / counts[1]:.0%}" if counts[1] else "none known"
