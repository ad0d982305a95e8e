"""Regenerations: the answer that was kept is better than the one that was replaced by it.

That somebody asked again says little: they may explore, the network may have failed, the model
may have been changed. So a second sign is needed: the conversation went on after the new answer,
or a thumb on one of the two that says the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from loopllm_cli.config import PairsConfig
from loopllm_cli.pairs.candidates import Candidate, Dropped, Outcome
from loopllm_cli.pairs.evidence.answer import Answer, Place, Turn
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.evidence.vote import Vote, last_words
from loopllm_cli.pairs.guards import FINISHED
from loopllm_cli.pairs.judges import by_people, is_machine

Thumbs = dict[str, list[Vote]]


@dataclass(slots=True)
class _Talks:
    """What was answered where somebody asked again, and when each conversation went on."""

    attempts: dict[Place, list[Answer]]
    turns: dict[str, list[Turn]]


def build(evidence: Evidence, config: PairsConfig) -> Iterator[Outcome]:
    """Pair the kept answer with the replaced one where a second sign says the same."""
    votes = by_people(evidence, "regeneration")
    talks = _talks(evidence, votes)
    again: list[tuple[Vote, Answer, _Kept | None]] = []
    for vote in votes:
        answer = evidence.answers.get(vote.target or "")
        if answer is None:
            yield Dropped("regeneration of an answer that is not in the window", (vote,))
        elif answer.error_type is not None or answer.finish_reason not in FINISHED:
            yield Dropped("regeneration of an answer that failed or was cut off", (vote,))
        else:
            again.append((vote, answer, _kept(answer, talks)))
    thumbs = _thumbs(evidence, again)
    for vote, answer, kept in again:
        yield _outcome(vote, answer, kept, thumbs)


def _talks(evidence: Evidence, votes: list[Vote]) -> _Talks:
    targets = [evidence.answers.get(vote.target or "") for vote in votes]
    places = {
        (a.conversation_id, a.context_hash)
        for a in targets
        if a is not None and a.conversation_id is not None and a.context_hash is not None
    }
    attempts: dict[Place, list[Answer]] = defaultdict(list)
    for answer in evidence.attempts_at(places):
        attempts[answer.conversation_id or "", answer.context_hash or ""].append(answer)
    return _Talks(attempts, evidence.turns_of({talk for talk, _ in places}))


@dataclass(frozen=True, slots=True)
class _Kept:
    """The answer that took the place of another, and whether the conversation went on from it."""

    answer: Answer
    went_on: bool


def _kept(answer: Answer, talks: _Talks) -> _Kept | None:
    """Return the last attempt after an answer, of the same model where there is one."""
    place = (answer.conversation_id or "", answer.context_hash or "")
    since = answer.request_time
    later = [
        other
        for other in talks.attempts.get(place, ())
        if other.interaction_id != answer.interaction_id
        and (since is None or (other.request_time is not None and other.request_time > since))
        and other.error_type is None
    ]
    if not later or since is None:
        return None
    same = [other for other in later if other.model == answer.model]
    kept = max(same or later, key=lambda a: (a.request_time or since, a.interaction_id))
    # Another model's answer may have been kept for its model: going on says nothing then.
    return _Kept(kept, bool(same) and _went_on(kept, talks))


def _went_on(kept: Answer, talks: _Talks) -> bool:
    if kept.turn_index is None or kept.request_time is None:
        return False
    return any(
        turn is not None
        and turn > kept.turn_index
        and time is not None
        and time > kept.request_time
        for turn, time in talks.turns.get(kept.conversation_id or "", ())
    )


def _outcome(vote: Vote, replaced: Answer, kept: _Kept | None, thumbs: Thumbs) -> Outcome:
    if kept is None:
        return Dropped("regeneration whose new answer was not logged", (vote,))
    old, on_old = _thumb(thumbs, replaced)
    new, on_new = _thumb(thumbs, kept.answer)
    said = (vote, *on_old, *on_new)
    if old == 1 or new == -1:
        return Dropped("regeneration and thumb contradict each other", said)
    if not (kept.went_on or old == -1 or new == 1):
        return Dropped("regeneration without a second sign", (vote,))
    return Candidate("regeneration", replaced, kept.answer, None, said)


def _thumbs(evidence: Evidence, again: list[tuple[Vote, Answer, _Kept | None]]) -> Thumbs:
    """Return people's thumbs on the answers that were replaced and kept, in one pass."""
    found: Thumbs = defaultdict(list)
    names = {answer.interaction_id for _, answer, kept in again if kept is not None}
    names |= {kept.answer.interaction_id for _, _, kept in again if kept is not None}
    for vote in evidence.votes_on(names) if names else ():
        if vote.kind == "thumbs" and vote.polarity in (1, -1) and not is_machine(vote):
            found[vote.target or ""].append(vote)
    return found


def _thumb(thumbs: Thumbs, answer: Answer) -> tuple[int | None, tuple[Vote, ...]]:
    """Return what people's thumbs on an answer say, and these; 0 where they disagree."""
    last, _ = last_words(thumbs.get(answer.interaction_id, ()))
    said = {vote.polarity for vote in last}
    if len(said) > 1:
        return 0, ()
    return (said.pop(), last) if said else (None, ())
