"""Weigh what people said of the same two answers: one pair of many votes, or none.

Where people overlap enough for the share of wrong votes to be known, each pair gets the
probability that its chosen side is the better one, and pairs stay as long as those that stay are
right often enough together. Where they do not overlap, nothing tells how often a vote is wrong: a
pair stays unless somebody contradicts it, and its confidence is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import betainc, expit

from loopllm_cli.config import PairsConfig
from loopllm_cli.model import Agreement, Pair
from loopllm_cli.pairs.agreement.opinions import Opinions, gather, in_circles, is_measured, settle
from loopllm_cli.pairs.agreement.trust import Trust, learn_trust

Drop = tuple[str, tuple[str, ...]]
"""A reason, and the ids of the feedback that is left out for it."""

REPLACED = "vote that the same person replaced by a later one"
CONTRADICT = "users contradict each other"
OUTVOTED = "vote outvoted by clearly more reliable ones"
UNRELIABLE = "vote of a person shown to be unreliable"
CHANCE = "vote where people agree no better than chance"
UNSURE = "vote too uncertain for how often votes are wrong"
CIRCLE = "preferences that go in a circle"
BEATEN = "judge or program where people have spoken"
MACHINES_DIFFER = "judges contradict each other"

_LEAST = 2 / 3
_JUDGE = "judge"
Ranked = tuple[Pair, bool]
"""A pair, and whether people made it."""


@dataclass(frozen=True)
class Weighed:
    """Pairs, one per two answers, with all votes for them; and what was left out."""

    pairs: list[Pair]
    dropped: list[Drop]
    agreement: Agreement | None = None


def weigh(pairs: Iterable[Pair], config: PairsConfig) -> Weighed:
    """Join the votes for the same pair; drop pairs that are not sure enough.

    People come first, then judges, then pairs that no feedback speaks for; what comes later never
    adds to what came earlier, and gives way to it.

    Returns:
        Pairs in the order in which they were first mentioned. Votes against a pair that stays are
        in its `votes_against`, and among what is left out.
    """
    given = gather(pairs)
    dropped: list[Drop] = []
    by_people = [_first_rank(opinions, dropped) == 0 for opinions in given]
    people = [said for said, is_theirs in zip(given, by_people, strict=True) if is_theirs]
    for opinions in people:
        replaced, unclear = settle(opinions)
        dropped += [(REPLACED, pair.feedback_ids) for pair in replaced]
        dropped += [(CONTRADICT, pair.feedback_ids) for pair in unclear]
    trust = learn_trust(people, config)
    decided = iter([_decide(item, said, trust, dropped) for item, said in enumerate(people)])
    of_all = [
        (next(decided) if is_theirs else _of_machines(said, dropped), is_theirs)
        for said, is_theirs in zip(given, by_people, strict=True)
    ]
    found = [(pair, is_theirs) for pair, is_theirs in of_all if pair is not None]
    sure = _without_circles(_sure_enough(found, config, dropped), dropped)
    return Weighed(sure, dropped, trust.agreement)


def _rank(pair: Pair) -> int:
    return 2 if not pair.feedback_ids else int(pair.rule.startswith(_JUDGE))


def _first_rank(opinions: Opinions, dropped: list[Drop]) -> int:
    """Leave out all but the best placed who spoke of two answers; return their rank."""
    ranks = {_rank(pair) for pair in opinions.said()}
    best = min(ranks)
    if len(ranks) > 1:
        dropped += [(BEATEN, p.feedback_ids) for p in opinions.said() if _rank(p) > best]
        opinions.one = [pair for pair in opinions.one if _rank(pair) == best]
        opinions.other = [pair for pair in opinions.other if _rank(pair) == best]
    return best


def _decide(item: int, opinions: Opinions, trust: Trust, dropped: list[Drop]) -> Pair | None:
    """Say which of two answers people prefer; None where they do not say it clearly."""
    _leave_out_bad(opinions, trust, dropped)
    one, other = opinions.one, opinions.other
    if not one and not other:
        return None
    measured = trust.known and all(map(is_measured, opinions.said()))
    log_odds = trust.weigh(item, opinions) if measured else 0.0
    if not one or not other:
        sure = float(expit(log_odds if one else -log_odds)) if measured else None
        return _joined(one or other, [], sure)
    sure = 0.0
    if measured:
        better, worse = (one, other) if log_odds > 0 else (other, one)
        sure = min(float(expit(abs(log_odds))), _majority(_n_voters(better), _n_voters(worse)))
    if sure < trust.min_confidence:
        dropped += [(CONTRADICT, pair.feedback_ids) for pair in opinions.said()]
        return None
    dropped += [(OUTVOTED, pair.feedback_ids) for pair in worse]
    return _joined(better, worse, sure)


def _n_voters(said: Sequence[Pair]) -> int:
    names = [name for pair in said for name in set(pair.annotator_ids)]
    return len({name for name in names if name}) + names.count("")


def _majority(n_for: int, n_against: int) -> float:
    """Return how sure a majority is by its own votes, if nothing is known of how hard the item is.

    Contradictions gather on hard items, where people are right less often than elsewhere. With a
    flat prior on the share p of all people who would vote for it, P(p > 1/2) is that of a Beta
    distribution: 0.69 for two votes against one, 0.96 for six against one.

    Source: Gelman et al. (2013), Bayesian Data Analysis, section 2.4.
    """
    return float(betainc(n_against + 1, n_for + 1, 0.5))


def _leave_out_bad(opinions: Opinions, trust: Trust, dropped: list[Drop]) -> None:
    """Leave out who is unreliable, and all votes where people agree no better than chance."""

    def counts(pair: Pair) -> bool:
        if not trust.unreliable.isdisjoint(pair.annotator_ids):
            dropped.append((UNRELIABLE, pair.feedback_ids))
        elif trust.chance and is_measured(pair):
            dropped.append((CHANCE, pair.feedback_ids))
        else:
            return True
        return False

    opinions.one = [pair for pair in opinions.one if counts(pair)]
    opinions.other = [pair for pair in opinions.other if counts(pair)]


def _of_machines(opinions: Opinions, dropped: list[Drop]) -> Pair | None:
    if opinions.other:
        dropped += [(MACHINES_DIFFER, pair.feedback_ids) for pair in opinions.said()]
        return None
    return _joined(opinions.one, [], None)


def _joined(votes: Sequence[Pair], against: Sequence[Pair], confidence: float | None) -> Pair:
    who: dict[str, str] = {}
    for pair in votes:
        who.update(zip(pair.feedback_ids, pair.annotator_ids, strict=True))
    return replace(
        votes[0],
        feedback_ids=tuple(who),
        annotator_ids=tuple(who.values()),
        # Rounded, so that the last digits of another machine's arithmetic make no other dataset.
        confidence=None if confidence is None else round(confidence, 4),
        votes_against=tuple(dict.fromkeys(name for pair in against for name in pair.feedback_ids)),
    )


def _sure_enough(found: list[Ranked], config: PairsConfig, dropped: list[Drop]) -> list[Ranked]:
    """Keep the surest pairs, as many as are right often enough on average.

    That keeps the most pairs at a given share of wrong ones among them (Sun & Cai 2007, Oracle
    and adaptive compound decision rules, JASA 102:901-912). Of equally sure ones, the first stay.
    """
    sures = [(pair.confidence, k) for k, (pair, _) in enumerate(found)]
    known = [(sure, k) for sure, k in sures if sure is not None]
    known.sort(key=lambda entry: (-round(entry[0], 2), entry[1]))
    sure = np.array([confidence for confidence, _ in known])
    mean = np.cumsum(sure) / np.arange(1, len(sure) + 1)
    stays = (np.minimum.accumulate(mean) >= config.min_precision) & (sure >= _LEAST)
    gone = {k for (_, k), is_kept in zip(known, stays, strict=True) if not is_kept}
    dropped += [(UNSURE, found[k][0].feedback_ids) for k in sorted(gone)]
    return [entry for k, entry in enumerate(found) if k not in gone]


def _without_circles(found: list[Ranked], dropped: list[Drop]) -> list[Pair]:
    """Leave out circles of preferences; where people alone make none, what machines add to it."""
    circular = in_circles([pair for pair, is_theirs in found if is_theirs])
    left = [(pair, is_theirs) for pair, is_theirs in found if pair.pair_id not in circular]
    if len(left) < len(found) or not all(is_theirs for _, is_theirs in left):
        within = in_circles([pair for pair, _ in left])
        circular |= {pair.pair_id for pair, is_theirs in left if not is_theirs} & within
    dropped += [(CIRCLE, pair.feedback_ids) for pair, _ in found if pair.pair_id in circular]
    return [pair for pair, _ in found if pair.pair_id not in circular]
