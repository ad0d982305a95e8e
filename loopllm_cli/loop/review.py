"""Review pairs: ask about the least certain ones first, and keep every decision at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from loopllm_cli.errors import UsageError
from loopllm_cli.model import (
    Choice,
    Pair,
    Reply,
    ReviewCard,
    ReviewDecision,
    ReviewSummary,
)
from loopllm_cli.pairs.chat import said
from loopllm_cli.pairs.dataset.stored import StoredPairs, latest_pairs
from loopllm_cli.pairs.review.apply import REVIEWED, as_voted, content_of, last_words
from loopllm_cli.pairs.review.log import ReviewLog, read_log
from loopllm_cli.pairs.review.queue import (
    Asked,
    Candidate,
    is_doubtful,
    order_questions,
    shows_rejected_first,
)
from loopllm_cli.sources.rows import safe_id
from loopllm_cli.store.project import Project

Ask = Callable[[ReviewCard], Reply]
_CHOICES = {Reply.BOTH_GOOD: Choice.BOTH_GOOD, Reply.BOTH_BAD: Choice.BOTH_BAD}
_CHOICES |= {Reply.SKIP: Choice.SKIPPED}


@dataclass(frozen=True, slots=True)
class ReviewRequest:
    """Who reviews which dataset (the newest, if None), and how many pairs at most."""

    reviewer: str | None
    folder: Path | None = None
    limit: int | None = None


def review_pairs(project: Project, request: ReviewRequest, ask: Ask) -> ReviewSummary:
    """Ask about pairs until all are decided, the limit is reached or the reviewer quits.

    Args:
        ask: shows a pair and returns what the reviewer says.

    Raises:
        UsageError: there is no dataset, or the reviewer has no name.
        StoreUnavailable: a decision cannot be written; those before are kept.
    """
    name = safe_id((request.reviewer or "").strip())
    if not name:
        raise UsageError("the reviewer has no name", "give one with --reviewer NAME")
    sitting = _Sitting(project, name, request)
    sitting.run(ask)
    return summarise_reviews(project, request, sitting.n_now)


def summarise_reviews(project: Project, request: ReviewRequest, n_now: int = 0) -> ReviewSummary:
    """Say how far the review of a dataset is, and what all decisions of the project say.

    Args:
        n_now: how many decisions have just been made.
    """
    # Loaded when the questions are over: intervals need scipy.
    from loopllm_cli.pairs.review.tally import compare_reviewers, estimate_noise, tally_reviewers

    stored = StoredPairs(request.folder or latest_pairs(project))
    decisions, n_broken = read_log(project)
    name = safe_id(request.reviewer.strip()) if request.reviewer else None
    decided = {d.pair_id for d in _decided(decisions, name)}
    left = [c for c in _candidates(stored) if c.pair_id not in decided]
    noise, undecidable = estimate_noise(decisions)
    return ReviewSummary(
        path=project.shown(stored.folder),
        reviewer=name,
        n_pairs=len(stored),
        n_open=len(left),
        n_uncertain=sum(map(is_doubtful, left)),
        n_now=n_now,
        n_broken=n_broken,
        tallies=tally_reviewers(decisions),
        agreements=compare_reviewers(decisions),
        noise=noise,
        undecidable=undecidable,
    )


class _Sitting:
    """One reviewer's way through a dataset."""

    def __init__(self, project: Project, name: str, request: ReviewRequest) -> None:
        self._name = name
        self._stored = StoredPairs(request.folder or latest_pairs(project))
        self._log = ReviewLog(project)
        decisions, _ = read_log(project)
        self._candidates = _candidates(self._stored)
        self._questions = self._open(decisions)[: request.limit]
        self.n_now = 0

    def run(self, ask: Ask) -> None:
        """Ask one question after the other; undoing goes back to the one before."""
        place = 0
        while place < len(self._questions):
            asked = self._questions[place]
            pair = as_voted(self._stored.pair(asked.place))
            turned = shows_rejected_first(pair.pair_id, self._name)
            reply = ask(_card(pair, (place + 1, len(self._questions)), turned=turned))
            if reply is Reply.QUIT:
                return
            if reply is not Reply.UNDO:
                self._keep(asked, pair, _choice(reply, turned=turned))
                place, self.n_now = place + 1, self.n_now + 1
            elif place:
                place, self.n_now = place - 1, self.n_now - 1
                before = self._questions[place]
                self._keep(before, as_voted(self._stored.pair(before.place)), Choice.UNDONE)

    def _open(self, decisions: Sequence[ReviewDecision]) -> list[Asked]:
        """Return what this reviewer has not decided, what they have skipped at the end."""
        mine = [d for d in last_words(decisions) if d.reviewer == self._name]
        decided = {d.pair_id for d in mine if d.choice is not Choice.SKIPPED}
        skipped = {d.pair_id for d in mine} - decided
        ids = [candidate.pair_id for candidate in self._candidates]
        asked = [a for a in order_questions(self._candidates) if ids[a.place] not in decided]
        return sorted(asked, key=lambda a: ids[a.place] in skipped)

    def _keep(self, asked: Asked, pair: Pair, choice: Choice) -> None:
        self._log.append(
            ReviewDecision(
                pair_id=pair.pair_id,
                choice=choice,
                reviewer=self._name,
                time=datetime.now(UTC),
                content=content_of(pair),
                queue=asked.queue,
                feedback_ids=pair.feedback_ids,
                interaction_ids=pair.interaction_ids,
            )
        )


def _decided(decisions: Sequence[ReviewDecision], name: str | None) -> list[ReviewDecision]:
    """Return the decisions that stand: of one reviewer, or of anybody."""
    standing = [d for d in last_words(decisions) if d.choice is not Choice.SKIPPED]
    return [d for d in standing if name in (None, d.reviewer)]


def _candidates(stored: StoredPairs) -> list[Candidate]:
    """Return every pair the way round in which the votes have it, without its texts."""
    columns = (stored.column(name) for name in ("rule", "confidence", "margin"))
    flagged = {
        name
        for finding in stored.card.get("findings") or []
        if finding.get("severity") != "ok"
        for name in finding.get("examples") or []
    }
    return [
        Candidate(
            pair_id=as_voted(stored.pair(place)).pair_id if rule == REVIEWED else name,
            rule=rule or "",
            confidence=confidence,
            margin=1.0 if margin is None else margin,
            flagged=name in flagged,
        )
        for place, (name, rule, confidence, margin) in enumerate(
            zip(stored.ids, *columns, strict=True)
        )
    ]


def _card(pair: Pair, number: tuple[int, int], *, turned: bool) -> ReviewCard:
    sides = [_side(pair.chosen, pair.chosen_calls), _side(pair.rejected, pair.rejected_calls)]
    first, second = sides[::-1] if turned else sides
    prompt = tuple((str(m.get("role")), said(m)) for m in pair.prompt)
    return ReviewCard(pair.pair_id, prompt, first, second, *number)


def _side(text: str, calls: str | None) -> str:
    return f"{text}\ncalls {calls}" if calls else text


def _choice(reply: Reply, *, turned: bool) -> Choice:
    if reply in _CHOICES:
        return _CHOICES[reply]
    return Choice.REJECTED if (reply is Reply.FIRST) == turned else Choice.CHOSEN
