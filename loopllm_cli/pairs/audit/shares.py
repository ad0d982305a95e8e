"""Shares with intervals that know that one person's pairs are alike, and findings made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from loopllm_cli.drift.intervals import wilson
from loopllm_cli.model import Finding, Pair, Severity
from loopllm_cli.pairs.audit.context import MIN_JUDGED, user_of

N_EXAMPLES = 5
_Z95 = 1.959963984540054

FAIL_WRONG = 0.25
WARN_WRONG = 0.10
"""Shares of wrong pairs that the interval's lower end must not pass.

Of four broken intents, a repair brought back 96% with clean labels, 88% with 20% flipped ones (DPO
alone 73%) and 59% with 40% (DPO alone 1%); all flipped, it repaired nothing and lost a quarter of
the rest (docs/pairs-audit.md). The limits lie below what they are to catch, so that few pairs
suffice: with 80 pairs that tell, 40% flipped pass 0.25 in 85 of 100 sets and 20% in one of 800;
20% pass 0.10 in 75 of 100 sets, 5% in fewer than one of 10,000 (exact binomial).
"""


@dataclass(frozen=True, slots=True)
class Share:
    """A share of some pairs, with its 95% interval; NaN where there are none."""

    n: int
    hits: int
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.hits:,} of {self.n:,}"


def share_of(hits: Sequence[bool], keys: Sequence[str]) -> Share:
    """Estimate a share from pairs that come in clusters.

    Wilson's interval on the effective number of pairs: n divided by the design effect, the ratio of
    the variance between clusters to that of independent pairs, and never below one.

    Args:
        hits: one per pair.
        keys: whose pair each is.

    Source: Kish (1965), "Survey sampling", section 5.4 (design effect); Korn & Graubard (1998),
    "Confidence intervals for proportions with small expected number of positive counts",
    Survey Methodology 24:193-201 (exchanging n for the effective n).
    """
    n = len(hits)
    if not n:
        return Share(0, 0, float("nan"), float("nan"), float("nan"))
    found = np.asarray(hits, dtype=np.float64)
    rate = float(found.mean())
    size = n / _design_effect(found - rate, keys, n * rate * (1 - rate))
    low, high = wilson(np.array([rate]), np.array([size]), np.array([_Z95]))
    return Share(n, int(found.sum()), rate, float(low[0]), float(high[0]))


def _design_effect(rest: npt.NDArray[np.float64], keys: Sequence[str], expected: float) -> float:
    if expected <= 0:
        return 1.0
    _, numbers = np.unique(np.asarray(keys, dtype=object).astype(str), return_inverse=True)
    sums = np.bincount(numbers, weights=rest)
    if len(sums) < 2:
        return float(len(rest))
    between = float((sums**2).sum()) * len(sums) / (len(sums) - 1)
    return max(1.0, between / expected)


def mean_of(values: npt.NDArray[np.float64], keys: Sequence[str]) -> tuple[float, float, float]:
    """Return a mean with its 95% interval, clusters taken as the independent units.

    Student's t with one degree of freedom less than there are clusters; NaN for fewer than two.
    """
    mean = float(values.mean()) if len(values) else float("nan")
    _, numbers = np.unique(np.asarray(keys, dtype=object).astype(str), return_inverse=True)
    sums = np.bincount(numbers, weights=values - mean) if len(values) else np.zeros(0)
    if len(sums) < 2:
        return mean, float("nan"), float("nan")
    error = np.sqrt((sums**2).sum() * len(sums) / (len(sums) - 1)) / len(values)
    half = float(special.stdtrit(len(sums) - 1, 0.975) * error)
    return mean, mean - half, mean + half


def wrong_severity(share: Share, *, worst: Severity = Severity.FAIL) -> Severity:
    """Say how bad a share of wrong pairs is, by the lower end of its interval."""
    if share.n < MIN_JUDGED or not share.low > WARN_WRONG:
        return Severity.OK
    return worst if share.low > FAIL_WRONG else Severity.WARN


def over(share: Share, limit: float, severity: Severity = Severity.WARN) -> Severity:
    """Say whether a share lies above a limit, interval and all."""
    return severity if share.n >= MIN_JUDGED and share.low > limit else Severity.OK


def by_user(pairs: Sequence[Pair], hits: Sequence[bool]) -> Share:
    """Estimate a share of pairs, clustered by whose they are."""
    return share_of(hits, [user_of(pair) for pair in pairs])


def examples(pairs: Sequence[Pair], hits: Iterable[bool]) -> tuple[str, ...]:
    """Return the ids of the first pairs that were hit."""
    hit = (pair.pair_id for pair, is_hit in zip(pairs, hits, strict=True) if is_hit)
    return tuple(name for _, name in zip(range(N_EXAMPLES), hit, strict=False))


def of_share(
    name: str, severity: Severity, share: Share, said: tuple[str, str], threshold: float
) -> Finding:
    """Make a finding of a share.

    Args:
        said: what was found, and what to do about it.
    """
    text, remedy = said
    value, low, high = (None, None, None) if not share.n else (share.value, share.low, share.high)
    return Finding(name, severity, text, share.n, value, low, high, threshold, remedy)
