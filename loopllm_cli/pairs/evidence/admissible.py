"""Which feedback may be heard at all, before any rule: facts only, one pass, no texts.

Every piece that is left out is named with its reason; what stays is in the order it came in.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta

import numpy as np

from loopllm_cli.config import PairsConfig
from loopllm_cli.pairs.agreement.weigh import Drop
from loopllm_cli.pairs.evidence.answer import Answer
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.evidence.screening import (
    Columns,
    hold_answers,
    may_be_refused,
    places_in_turn,
)
from loopllm_cli.pairs.evidence.vote import MINED, Vote
from loopllm_cli.pairs.guards import refuse_facts
from loopllm_cli.pairs.judges import is_machine
from loopllm_cli.pairs.rules.corrections import EDITED

# Clocks of the program that takes votes and of the one that logs answers differ: Kerberos calls
# five minutes an acceptable skew (RFC 4120, section 1.6 and its default).
_CLOCK_SKEW = timedelta(minutes=5)
# Nobody is asked what they thought of an answer a year ago; seconds read as milliseconds, and
# placeholders such as 2099, lie beyond. Ours.
_LONGEST_WAIT = timedelta(days=365)
# How many votes of one person are heard for each pair that the cap lets them have. Ours: ten
# thousand with the defaults, which no sincere user reaches and a script does in minutes.
_VOTES_PER_PAIR = 200

# Reasons that are about the service around an answer, not about what it says: the tag of
# LibreChat's forms (`slow_response`) and how other forms write the same. Compared as words.
_NOT_THE_ANSWER = frozenset(
    (
        *("slow", "too slow", "slow response", "response too slow", "slow loading", "latency"),
        *("high latency", "timeout", "timed out", "performance", "app performance", "loading"),
        *("ui", "ui bug", "ui issue", "ux", "interface", "user interface", "app bug", "bug in app"),
        *("display issue", "display problem", "rendering", "rendering issue", "layout bug"),
        *(
            "login",
            "login issue",
            "network",
            "network error",
            "connection",
            "price",
            "too expensive",
        ),
    )
)
_VAGUE = frozenset(("other", "others", "other thumbsdown", "other thumbsup", "something else"))
_REASON_CHARS = 400
_WORDS = re.compile(r"[^\w]+|_+")

_HEARD_BY_THEIR_RULES = frozenset(("regeneration", "implicit"))
_OF_ANSWERS = frozenset(("thumbs", "rating", "score", "ranking", "comparison", "copy", "accept"))


@dataclass
class _Court:
    """What is known before the votes are gone through."""

    evidence: Evidence
    config: PairsConfig
    now: datetime | None
    edited: dict[str, datetime | None]

    def reason(self, vote: Vote, place: int) -> str | None:
        """Return why a vote is not heard, None if it is.

        Args:
            place: how many votes the same person gave before.
        """
        if is_machine(vote):
            if not self.config.allow_judge:
                return "feedback of a judge model or a program"
        elif place >= self.most:
            return "over the cap of votes by one person"
        if vote.method == "time" and not vote.candidates:
            return "feedback linked to its answer by nothing but the time"
        answer = self.evidence.answers.get(vote.target or "")
        return (
            self._untimely(vote, answer)
            or self._of_another_text(vote)
            or self._unusable(vote, answer)
            or ("thumb about the service, not the answer" if is_beside(vote) else None)
        )

    @property
    def most(self) -> int:
        """How many votes of one person are heard."""
        return _VOTES_PER_PAIR * self.config.per_user

    def _untimely(self, vote: Vote, answer: Answer | None) -> str | None:
        given = vote.feedback_time
        if given is None:
            return None
        if self.now is not None and given - self.now > _CLOCK_SKEW:
            return "feedback dated after everything in the store"
        asked = answer.request_time if answer is not None else self._newest(vote.candidates)
        if asked is None:
            return None
        if asked - given > _CLOCK_SKEW and not (_is_date(given) and given.date() == asked.date()):
            return "feedback dated before its answer"
        return "feedback dated a year after its answer" if given - asked > _LONGEST_WAIT else None

    def _newest(self, names: tuple[str | None, ...]) -> datetime | None:
        """Return when the last of some answers was given, None where that is not known."""
        answers = (self.evidence.answers.get(name or "") for name in names)
        return max((a.request_time for a in answers if a and a.request_time), default=None)

    def _of_another_text(self, vote: Vote) -> str | None:
        """Refuse what may be about the text that a user put in an answer's place."""
        if not self.edited or vote.kind not in _OF_ANSWERS:
            return None
        for name in (vote.target, *vote.candidates):
            if name is None or name not in self.edited:
                continue
            since, given = self.edited[name], vote.feedback_time
            if since is None or given is None or given >= since:
                return "vote that may be about an edited text"
        return None

    def _unusable(self, vote: Vote, answer: Answer | None) -> str | None:
        if answer is None or answer.context_hash is None or vote.kind in _HEARD_BY_THEIR_RULES:
            return None
        return refuse_facts(answer)


def admissible(
    evidence: Evidence, config: PairsConfig, now: datetime | None = None
) -> tuple[Evidence, list[Drop]]:
    """Leave out the feedback that says nothing about which answer is better.

    Args:
        now: the newest time in the store; never the wall clock, or the same store would give
            other pairs tomorrow.

    Returns:
        The evidence with the votes that are heard, and the others by reason.
    """
    court = _Court(evidence, config, now, dict(_edits(evidence)))
    columns = Columns.of(evidence) if now is None else None
    if columns is not None:
        return _stored(evidence, columns, court)
    heard: list[Vote] = []
    refused: dict[str, list[str]] = defaultdict(list)
    given: Counter[str] = Counter()
    for vote in evidence.votes:
        reason = court.reason(vote, _count(vote, given))
        if reason is None:
            heard.append(vote)
        else:
            refused[reason].append(vote.feedback_id)
    if not refused:
        return evidence, []
    return replace(evidence, votes=tuple(heard)), _drops(refused)


def _stored(evidence: Evidence, columns: Columns, court: _Court) -> tuple[Evidence, list[Drop]]:
    """Hear a store's votes, of which only those are made that may be refused."""
    places = places_in_turn(columns)
    looked = may_be_refused(columns, court.edited.keys(), (_CLOCK_SKEW, _LONGEST_WAIT))
    looked |= places >= court.most
    hold_answers(columns, looked)
    refused: dict[str, list[str]] = defaultdict(list)
    heard = np.ones(len(looked), bool)
    (suspects,) = np.nonzero(looked)
    made = columns.votes.made(columns.votes.rows[suspects])
    for at, vote in zip(suspects.tolist(), made, strict=True):
        reason = court.reason(vote, int(places[at]))
        if reason is not None:
            heard[at] = False
            refused[reason].append(vote.feedback_id)
    if not refused:
        return evidence, []
    return replace(evidence, votes=columns.votes.where(heard)), _drops(refused)


def _drops(refused: dict[str, list[str]]) -> list[Drop]:
    return [(reason, tuple(names)) for reason, names in refused.items()]


def _count(vote: Vote, given: Counter[str]) -> int:
    """Return how many votes the same person gave before, and count this one."""
    if is_machine(vote) or not vote.annotator_id or vote.kind == MINED:
        return 0
    given[vote.annotator_id] += 1
    return given[vote.annotator_id] - 1


def _edits(evidence: Evidence) -> Iterator[tuple[str, datetime | None]]:
    """Yield the answers that users edited in place, each with the first time, if all are known."""
    first: dict[str, datetime | None] = {}
    for vote in evidence.of_kind("correction"):
        if vote.name != EDITED or vote.target is None:
            continue
        known = first.get(vote.target, vote.feedback_time)
        times = (known, vote.feedback_time)
        first[vote.target] = None if None in times else min(t for t in times if t is not None)
    yield from first.items()


def _is_date(moment: datetime) -> bool:
    """Say whether a time is a date alone, which exporters write as its midnight."""
    return moment.timetz().replace(tzinfo=None) == time()


def is_beside(vote: Vote) -> bool:
    """Say whether a thumb's reasons are all about the service, not about the answer.

    Example: an explanation of `slow_response`, or of "Slow response, other".
    """
    if vote.kind != "thumbs" or not vote.explanation:
        return False
    reasons = reasons_of(vote)
    return not reasons.isdisjoint(_NOT_THE_ANSWER) and reasons <= _NOT_THE_ANSWER | _VAGUE


def is_vague(vote: Vote) -> bool:
    """Say whether a thumb's only reason is that there is another one."""
    reasons = reasons_of(vote)
    return bool(reasons) and reasons <= _VAGUE


def reasons_of(vote: Vote) -> frozenset[str]:
    """Return what somebody ticked or wrote as the reasons for a thumb, in plain words."""
    if not vote.explanation:
        return frozenset()
    told = vote.explanation[:_REASON_CHARS]
    # Open WebUI adds the tags of the whole chat, which are its topics.
    lines = [line for line in told.splitlines() if not line.startswith("tags:")]
    pieces = (piece for line in lines for piece in re.split(r"[:,;|]", line))
    words = (" ".join(_WORDS.sub(" ", piece).lower().split()) for piece in pieces)
    return frozenset(word for word in words if word)
