"""How many held-out pairs decide: the exact power of verify's check of held-out preference.

The check passes when the lower Wilson limit of the share of held-out pairs, in which the adapter
moved the model towards the better answer, is above one half (`verify.checks.check_preference`). So
many of n pairs must agree, and how often they do is binomial; nothing is approximated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special

from loopllm_cli.drift.intervals import wilson

POWER = 0.8
"""The usual chance of seeing what is there (Cohen 1988, "Statistical power analysis", section 2.4),
the same as elsewhere in this package."""

TRUE_SHARE = 0.75
"""What an adapter is assumed to do at least: half of the held-out pairs it moves for what it has
learned, the other half by chance, so that it is right in (1 + 0.5) / 2. Working adapters of the
sample world move more than nine of ten (docs/pairs-splits.md): for them fewer pairs suffice."""

_QUANTILE = 1.959963984540054  # two-sided 95%, as in the check
_SEARCHED = 2_000


@dataclass(frozen=True, slots=True)
class HeldoutPower:
    """What a number of held-out pairs can decide.

    `shows` is the smallest true share of pairs moved towards the better answer that the check
    finds with 80% power; None where no result could pass it.
    """

    n: int
    needed: int
    shows: float | None

    @property
    def decides(self) -> bool:
        """Whether the number needed is reached."""
        return self.n >= self.needed

    def words(self) -> str:
        """Say it in one sentence."""
        if self.n == 0:
            return f"no pair is held out ({self.needed} needed): verify cannot judge preference"
        if self.shows is None:
            return (
                f"{_pairs(self.n)} held out, {self.needed} needed: "
                "verify cannot decide even if all of them agree"
            )
        # Rounded up: what is said can be shown.
        share = math.ceil(self.shows * 100) / 100
        if self.decides:
            return f"{_pairs(self.n)} held out, {self.needed} needed: enough to show {share:.0%}"
        return (
            f"{_pairs(self.n)} held out, {self.needed} needed: verify can only decide if the "
            f"adapter is right in {share:.0%} or more of all cases"
        )


def heldout_power(n: int) -> HeldoutPower:
    """Say what n held-out pairs can decide."""
    return HeldoutPower(n, pairs_needed(), smallest_share(n))


def must_agree(n: int) -> int | None:
    """Return how many of n pairs must agree for the check to pass; None if n are too few.

    Example:
        >>> must_agree(30), must_agree(3)
        (21, None)
    """
    if n == 0:
        return None
    agree = np.arange(n + 1) / n
    low, _ = wilson(agree, np.full(n + 1, float(n)), np.array([_QUANTILE]))
    passing = np.flatnonzero(low > 0.5)
    return int(passing[0]) if len(passing) else None


def power(n: int, share: float) -> float:
    """Return how likely n pairs pass the check if the adapter is right in a share of all cases."""
    k = must_agree(n)
    return 0.0 if k is None else float(special.bdtrc(k - 1, n, share))


@lru_cache
def pairs_needed(share: float = TRUE_SHARE, wanted: float = POWER) -> int:
    """Return the number from which on every number of pairs has the wanted power.

    Power does not grow evenly: one pair more may ask for one more that agrees. From here on, more
    pairs never fall below what is wanted.

    Raises:
        ValueError: a share so close to one half that thousands of pairs would not do.
    """
    short = [n for n in range(1, _SEARCHED) if power(n, share) < wanted]
    if short[-1] == _SEARCHED - 1:
        raise ValueError(f"{_SEARCHED} pairs do not show a share of {share}")
    return short[-1] + 1


@lru_cache(4096)
def smallest_share(n: int, wanted: float = POWER) -> float | None:
    """Return the smallest true share that n pairs show with the wanted power."""
    k = must_agree(n)
    # P(X >= k) rises with the share, so that its inverse is one of the incomplete beta function.
    return None if k is None else float(special.betaincinv(k, n - k + 1, wanted))


def _pairs(n: int) -> str:
    return "1 pair" if n == 1 else f"{n} pairs"
