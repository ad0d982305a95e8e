"""Judge models and programs: only when asked for, under rule names of their own.

A judge prefers its own family's answers and the place that it reads first, and its scores may
measure something of which less is better; so each of these is refused, not corrected.

Source: Zheng et al., "Judging LLM-as-a-judge with MT-Bench and Chatbot Arena" (2023), arXiv
2306.05685, section 3.3 (position and self-enhancement bias; both orders must agree).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from loopllm_cli.config import PairsConfig
from loopllm_cli.pairs.candidates import Candidate, Dropped, Outcome
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.evidence.vote import REPLACED, Vote, last_words
from loopllm_cli.pairs.judges import JUDGED, by_machines, family_of
from loopllm_cli.pairs.rules.comparisons import against_losers
from loopllm_cli.pairs.rules.matching import tries_of
from loopllm_cli.pairs.rules.ratings import Scale, of_raters
from loopllm_cli.pairs.rules.votes import of_context, unusable

# Names of measurements of which more may be worse, or which have nothing to do with quality.
_FALLING = (
    *("toxic", "hallucinat", "bias", "harm", "unsafe", "risk", "error", "fail", "distance"),
    *("perplexity", "latency", "duration", "cost", "token", "length", "count", "leak", "pii"),
    *("violation", "refus", "stereotyp", "insult", "profan", "hate"),
)


def build(evidence: Evidence, config: PairsConfig) -> Iterator[Outcome]:
    """Pair what machines compared, scored or voted on, where the configuration allows it."""
    if not config.allow_judge:
        return
    rules = (_comparisons, _scores, _votes)
    for outcome in (outcome for rule in rules for outcome in rule(evidence, config)):
        if isinstance(outcome, Candidate) and _is_related(outcome, config):
            yield Dropped("judge of the same model family as an answer", outcome.votes)
        else:
            yield outcome


def _is_related(candidate: Candidate, config: PairsConfig) -> bool:
    judges = {
        family_of(vote.annotator_id) or family_of(vote.name) or family_of(config.judge_model)
        for vote in candidate.votes
    }
    sides = (candidate.rejected, candidate.chosen)
    judged = {family_of(side.model) for side in sides if side is not None}
    return bool((judges & judged) - {None})


def _comparisons(evidence: Evidence, config: PairsConfig) -> Iterator[Outcome]:
    groups: dict[tuple[object, str, str], list[Vote]] = defaultdict(list)
    for place, vote in enumerate(by_machines(evidence, "comparison")):
        if vote.tie:
            yield Dropped("judge's comparison that ended in a tie", (vote,))
        elif vote.rating is not None and not vote.rating >= config.min_judge_margin:
            yield Dropped("judge's comparison that nearly ended in a tie", (vote,))
        else:
            whole = len(vote.candidates) > 1 and None not in vote.candidates
            sides = frozenset(vote.candidates) if whole else place
            groups[sides, vote.annotator_id or "", vote.name or ""].append(vote)
    for votes in groups.values():
        yield from _of_judge(evidence, votes)


def _of_judge(evidence: Evidence, votes: list[Vote]) -> Iterator[Outcome]:
    """Take a judge's word where it does not hang on the order in which it read the answers."""
    by_order: dict[tuple[str | None, ...], list[Vote]] = defaultdict(list)
    for vote in votes:
        by_order[vote.candidates].append(vote)
    standing: list[Vote] = []
    for said in by_order.values():
        last, replaced = last_words(said)
        standing += last
        if replaced:
            yield Dropped(REPLACED, replaced)
    if len({vote.winner for vote in standing}) > 1:
        yield Dropped("judge whose winner depends on the order", tuple(standing))
    elif len(by_order) == 1 and any(vote.rating is None for vote in standing):
        yield Dropped("judge's comparison in one order only, without a grade", tuple(standing))
    else:
        margin = min(1.0 if vote.rating is None else vote.rating for vote in standing)
        yield from against_losers(evidence, tuple(standing), f"{JUDGED}comparison", margin)


def _scores(evidence: Evidence, config: PairsConfig) -> Iterator[Outcome]:
    scored: list[Vote] = []
    for kind in ("score", "rating"):
        for vote in by_machines(evidence, kind):
            name = (vote.name or "").lower()
            if any(word in name for word in _FALLING):
                yield Dropped("judge's score of which more may be worse", (vote,))
            else:
                # A judge without a name of its own is known by that of its metric.
                scored.append(vote._replace(annotator_id=vote.annotator_id or vote.name or "judge"))
    scale = Scale(f"{JUDGED}score", config.min_judge_margin, tries_of(config))
    yield from of_raters(evidence, scored, scale)


def _votes(evidence: Evidence, config: PairsConfig) -> Iterator[Outcome]:
    groups: dict[tuple[str, str, str], list[Vote]] = defaultdict(list)
    for vote in by_machines(evidence, "thumbs"):
        reason = unusable(evidence, vote)
        if reason:
            yield Dropped(reason, (vote,))
        else:
            context = evidence.answers[vote.target or ""].context_hash or ""
            groups[context, vote.annotator_id or "", vote.name or ""].append(vote)
    for votes in groups.values():
        yield from of_context(evidence, votes, f"{JUDGED}votes", config)
