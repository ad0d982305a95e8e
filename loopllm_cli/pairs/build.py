"""Build pairs: what may be heard, rules, guards, agreement, caps, split, audit.

Every piece of feedback that makes no pair is counted, with one reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from loopllm_cli.config import PairsConfig
from loopllm_cli.model import Agreement, Finding, Pair, Retained, ReviewDecision, Unpaired
from loopllm_cli.pairs.account import Account, Stage, count_reasons
from loopllm_cli.pairs.agreement.weigh import Weighed, weigh
from loopllm_cli.pairs.candidates import Candidate, Dropped
from loopllm_cli.pairs.contexts import join_contexts
from loopllm_cli.pairs.evidence.admissible import admissible
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.evidence.previews import Previews, about
from loopllm_cli.pairs.evidence.screening import set_aside
from loopllm_cli.pairs.guards import refuse, to_pair
from loopllm_cli.pairs.judges import prefer_people
from loopllm_cli.pairs.retention import choose_retained
from loopllm_cli.pairs.review.apply import apply_reviews
from loopllm_cli.pairs.rules import RULES
from loopllm_cli.pairs.selection.caps import select_pairs
from loopllm_cli.pairs.selection.split import in_order, split_pairs
from loopllm_cli.pairs.unpaired import build_unpaired
from loopllm_cli.pairs.untouched import Untouched
from loopllm_cli.signals.refusals import are_refusals
from loopllm_cli.store.memory import collection_paused


@dataclass(frozen=True)
class BuiltPairs:
    """Pairs, split, with the account of everything that was left out.

    `n_feedback` = pieces of feedback that stand in a pair + the sum of `dropped`: each of them
    that stands in none is counted once, with the reason of the candidate that came furthest.
    What is mined from users' next turns is no feedback that anybody gave: it makes no pair, and
    is counted in `n_mined` alone. Feedback that stands in an unpaired example is among the
    dropped, as it makes no pair. `reasons` says of every dropped one why.
    """

    train: list[Pair]
    heldout: list[Pair]
    retention: list[Retained]
    unpaired: list[Unpaired]
    dropped: Counter[str]
    n_candidates: int
    n_feedback: int
    agreement: Agreement | None = None
    findings: tuple[Finding, ...] = ()
    n_mined: int = 0
    reasons: pa.Table | None = None


@collection_paused()
def build_pairs(
    evidence: Evidence,
    config: PairsConfig,
    untouched: Untouched,
    extra: Sequence[Candidate] = (),
    reviews: Sequence[ReviewDecision] = (),
) -> BuiltPairs:
    """Turn evidence into preference pairs.

    Args:
        untouched: what must be left alone.
        extra: candidates that no vote speaks for, such as an earlier model's answers beside
            today's; they pass the same guards, after those from feedback.
        reviews: what reviewers said of pairs; it goes before the votes.
    """
    account = Account()
    heard = _heard(evidence, config, account)
    previews = Previews.of(heard, untouched.among)
    candidates = [*_candidates(_to_pair(heard, account), config, account), *extra]
    n_candidates = len(candidates)
    _load(heard, candidates, previews.first(config.max_unpaired))
    pairs = _guarded(candidates, config, account)
    weighed = _weighed(pairs, config, account)
    reviewed, reviewed_out = apply_reviews(weighed.pairs, reviews)
    account.leave_out(Stage.AGREEMENT, reviewed_out)
    selected, over = select_pairs(reviewed, config)
    account.leave_out(Stage.SELECTION, over)
    split = split_pairs(selected, config)
    account.leave_out(Stage.SPLIT, split.dropped)
    train, heldout = split.train, split.heldout
    used = {name for pair in (*train, *heldout) for name in pair.feedback_ids}
    said = evidence.said()
    reasons = account.close(said, used)
    return BuiltPairs(
        train=train,
        heldout=heldout,
        retention=choose_retained(
            about(heard, previews.liked), (train, heldout), config, untouched
        ),
        unpaired=_unpaired(heard, (train, heldout), config, previews),
        dropped=count_reasons(reasons),
        n_candidates=n_candidates,
        n_feedback=len(said),
        agreement=weighed.agreement,
        n_mined=len(evidence.votes) - len(said),
        reasons=reasons,
    )


def _heard(evidence: Evidence, config: PairsConfig, account: Account) -> Evidence:
    """Leave out what may not be heard; join contexts where that is asked for."""
    heard, refused = admissible(evidence, config)
    account.leave_out(Stage.RULE, refused)
    if config.join_contexts == "off":
        return heard
    evidence.load(evidence.answers.values())
    return join_contexts(heard, config)


def _to_pair(heard: Evidence, account: Account) -> Evidence:
    """Set aside what makes no pair whatever the rest says, before anything is made of it."""
    left, aside = set_aside(heard)
    account.leave_out(Stage.RULE, aside)
    return left


def _load(evidence: Evidence, candidates: Sequence[Candidate], names: Collection[str]) -> None:
    """Read the texts that will be needed, in one pass; let go of the answers that will not be."""
    sides = [side for c in candidates for side in (c.rejected, c.chosen) if side is not None]
    held = {side.interaction_id: side for side in sides if side.interaction_id in names}
    held |= evidence.some([name for name in names if name not in held])
    # The others go with the candidates that hold them.
    evidence.keep(held.values())
    evidence.load([*sides, *held.values()])


def _guarded(candidates: list[Candidate], config: PairsConfig, account: Account) -> list[Pair]:
    """Apply the guards; what a candidate holds goes with it."""
    pairs: list[Pair] = []
    declined = list(are_refusals(candidate.better for candidate in candidates))
    candidates.reverse()
    declined.reverse()
    while candidates:
        candidate, is_declined = candidates.pop(), declined.pop()
        reason = refuse(candidate, config, is_declined=is_declined)
        if reason:
            account.drop(Stage.GUARD, reason, [vote.feedback_id for vote in candidate.votes])
        else:
            pairs.append(to_pair(candidate))
    return in_order(pairs)


def _candidates(evidence: Evidence, config: PairsConfig, account: Account) -> Iterator[Candidate]:
    for rule in RULES:
        for outcome in rule(evidence, config):
            if isinstance(outcome, Dropped):
                said = [vote.feedback_id for vote in outcome.votes]
                account.drop(Stage.RULE, outcome.reason, said)
            else:
                yield outcome


def _weighed(pairs: list[Pair], config: PairsConfig, account: Account) -> Weighed:
    """Join the votes for each pair; what people said of two answers outweighs a judge."""
    decided, overruled = prefer_people(pairs)
    account.leave_out(Stage.AGREEMENT, overruled)
    weighed = weigh(decided, config)
    account.leave_out(Stage.AGREEMENT, weighed.dropped)
    return weighed


def _unpaired(
    evidence: Evidence,
    split: tuple[Sequence[Pair], Sequence[Pair]],
    config: PairsConfig,
    previews: Previews,
) -> list[Unpaired]:
    """Make single judged answers of the earliest ones, of more where these are too few."""
    found: list[Unpaired] = []
    for names in previews.earliest(config.max_unpaired):
        found = build_unpaired(about(evidence, names), *split, config)
        if len(found) >= config.max_unpaired:
            break
    return found
