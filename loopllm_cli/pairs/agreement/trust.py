"""Trust: what overlapping votes say of all votes, and of the people who gave them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from scipy.special import bdtrc, logit

from loopllm_cli.config import PairsConfig
from loopllm_cli.model import Agreement, Annotator
from loopllm_cli.pairs.agreement.opinions import Cast, Opinions, count_votes, is_vote
from loopllm_cli.pairs.agreement.reliability import (
    FloatArray,
    Noise,
    Reliability,
    Votes,
    estimate_reliability,
    measure_agreement,
)

# The share of wrong votes is known when its 95% interval is no wider than this, a tenth to either
# side; below that, singles would be kept or dropped by luck (docs/pairs-measured.md).
_KNOWN_WIDTH = 0.2
# Votes that are surely wrong more often than the first, and perhaps as often as the second, are no
# evidence: at half, a vote says nothing.
_SURELY_WRONG, _CHANCE = 0.2, 0.45
# Who takes one place so often that it comes about once in a thousand even where the better answer
# stands there three times of four votes by place; 25 votes that are all for one place are enough.
_LEANING, _BY_LUCK = 0.75, 1e-3
_UNKNOWN = Agreement(0, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class Trust:
    """What overlapping votes say of all votes.

    `log_odds` is per item, that the one side is the better; `skill` per person, as log-odds.
    """

    min_confidence: float
    agreement: Agreement | None = None
    known: bool = False
    chance: bool = False
    unreliable: frozenset[str] = frozenset()
    log_odds: FloatArray = field(default_factory=lambda: np.zeros(0))
    skill: dict[str, float] = field(default_factory=dict)
    typical: float = 0.0

    def weigh(self, item: int, opinions: Opinions) -> float:
        """Return the log-odds that the one side is better: votes, and thumbs of several people."""
        total = float(self.log_odds[item])
        for side, said in ((1, opinions.one), (-1, opinions.other)):
            alone = {pair.annotator_ids[0] for pair in said if is_vote(pair)}
            names = {n for pair in said if not is_vote(pair) for n in pair.annotator_ids}
            total += side * sum(
                self.skill.get(name, self.typical) for name in sorted(names - alone)
            )
        return total


def learn_trust(people: Sequence[Opinions], config: PairsConfig) -> Trust:
    """Find out how often votes are wrong, and whose do not count."""
    nothing = Trust(config.min_confidence)
    cast = count_votes(people)
    if not len(cast.votes):
        return nothing
    share = _same_place(cast)
    everyone = _estimate(cast, np.isnan(share))
    if everyone is None:
        return replace(nothing, agreement=_UNKNOWN)
    found, votes = everyone
    noise = _with_blind(found.noise, share[cast.votes.rater], len(votes))
    agreement = _summarise(cast, _blind(found, share), noise)
    good = np.isnan(share) & (found.high >= config.min_reliability)
    bad = frozenset(cast.names[k] for k in np.flatnonzero(~good) if cast.names[k])
    # Bad people make the agreement low and uncertain: what counts is that of all others.
    others = everyone if good.all() else _estimate(cast, good)
    if others is None:
        return replace(nothing, agreement=agreement, unreliable=bad)
    found, votes = others
    chance = found.noise.low > _SURELY_WRONG and found.noise.high > _CHANCE
    if found.noise.high - found.noise.low > _KNOWN_WIDTH and not chance:
        return replace(nothing, agreement=agreement, unreliable=bad)
    care = _caution(found.noise)
    skill = logit(found.mean) * care
    sums = np.bincount(votes.item, found.weight * votes.side * care, len(people))
    return replace(
        nothing,
        agreement=agreement,
        known=True,
        chance=chance,
        unreliable=bad,
        log_odds=sums.astype(float),
        skill={name: float(skill[k]) for k, name in enumerate(cast.names) if name},
        typical=float(logit(found.typical)) * care,
    )


def _caution(noise: Noise) -> float:
    """Return by how much to shorten log-odds for the uncertainty of the noise.

    As if a standard error more of the votes were wrong: the surest pairs are those of people who
    look better than they are, and the fewer votes overlap, the more of that is luck.
    """
    value = min(max(noise.value, 0.005), 0.49)
    worse = min((value + max(noise.high, value)) / 2, 0.495)
    return float(logit(1 - worse) / logit(1 - value))


def _estimate(cast: Cast, counts: npt.NDArray[np.bool_]) -> tuple[Reliability, Votes] | None:
    """Estimate from the votes of some raters alone."""
    some, all_votes = counts[cast.votes.rater], cast.votes
    votes = Votes(all_votes.item[some], all_votes.rater[some], all_votes.side[some])
    found = estimate_reliability(votes, len(cast.names))
    return None if found is None else (found, votes)


def _same_place(cast: Cast) -> FloatArray:
    """Find people who take the answer in the same place whatever it says.

    Returns:
        The share of that place among each such person's votes, NaN for all others. Nobody is one
        where one place is preferred on the whole: the better model may stand there.
    """
    shown = cast.place >= 0
    n = np.bincount(cast.votes.rater[shown], minlength=len(cast.names))
    firsts = np.bincount(cast.votes.rater[shown], cast.place[shown] == 0, len(cast.names))
    nobody = np.full(len(cast.names), np.nan)
    if not shown.any() or not 1 - _LEANING <= firsts.sum() / n.sum() <= _LEANING:
        return nobody
    most = np.maximum(firsts, n - firsts)
    p = bdtrc(most - 1, n, _LEANING)
    known = np.array([bool(name) for name in cast.names])
    return np.where(known & (p < _BY_LUCK), most / np.maximum(n, 1), nobody)


def _blind(found: Reliability, share: FloatArray) -> Reliability:
    """Say of people who vote by place how often they can be right, where places are random.

    With s the share of their place, P(right) = 1/2 within 1 - s: each of their errors, or of their
    hits, in the other place is a vote for it.
    """
    is_blind = ~np.isnan(share)
    reach = np.where(is_blind, 1 - share, 0.0)
    return replace(
        found,
        mean=np.where(is_blind, 0.5, found.mean),
        low=np.where(is_blind, 0.5 - reach, found.low),
        high=np.where(is_blind, 0.5 + reach, found.high),
    )


def _with_blind(noise: Noise, shares: FloatArray, n_others: int) -> Noise:
    """Add the votes of people who vote by place to the share of wrong ones.

    Args:
        shares: per vote, the share of its person's place; NaN for votes of others.
    """
    shares = shares[~np.isnan(shares)]
    n = n_others + len(shares)
    reach = float((1 - shares).sum())
    # Half of them are wrong, give or take what luck does to so many votes.
    reach += float(np.sqrt(len(shares)))
    value, low, high = (x * n_others / n for x in (noise.value, noise.low, noise.high))
    half = len(shares) / 2
    return Noise(value + half / n, low + (half - reach) / n, high + (half + reach) / n)


def _summarise(cast: Cast, found: Reliability, noise: Noise) -> Agreement:
    shared = measure_agreement(cast.votes)
    n_votes = np.bincount(cast.votes.rater, minlength=len(cast.names))
    several = np.bincount(cast.votes.item)[cast.votes.item] > 1
    n_shared = np.bincount(cast.votes.rater[several], minlength=len(cast.names))
    people = [
        Annotator(
            cast.names[k],
            int(n_votes[k]),
            int(n_shared[k]),
            *(_rounded(x[k]) for x in (found.mean, found.low, found.high)),
        )
        for k in np.flatnonzero(n_shared)
        if cast.names[k]
    ]
    people.sort(key=lambda person: (person.reliability, person.annotator_id))
    return Agreement(
        n_shared=shared.n_items,
        agreement=_rounded(shared.agreement),
        low=_rounded(shared.low),
        high=_rounded(shared.high),
        noise=_rounded(noise.value),
        noise_low=_rounded(noise.low),
        noise_high=_rounded(noise.high),
        annotators=tuple(people),
    )


def _rounded(x: float) -> float:
    """Round, so that the last digits of another machine's arithmetic make no other dataset."""
    return round(float(x), 4)
