"""Regenerations: the answer that was kept is better than the one that was replaced by it.

That somebody asked again says little: they may explore, the network may have failed, the model
may have been changed. So a second sign is needed: the conversation went on after the new answer,
or a thumb on one of the two that says the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from loopllm_cli.config import PairsConfig
from loopllm_cli.pairs.candidates import Candidate, Dropped, Outcome
from loopllm_cli.pairs.evidence import Answer, Evidence, Vote, last_words
from loopllm_cli.pairs.guards import FINISHED
from loopllm_cli.pairs.judges import by_people, is_machine

Place = tuple[str, str]
"""A conversation and a context in it: where the attempts at one answer stand."""


@dataclass(slots=True)
class _Talks:
    """What was answered where somebody asked again, and when each conversation went on."""

    attempts: dict[Place, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    turns: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))


def build(evidence: Evidence, config: PairsConfig) -> Iterator[Outcome]:
    """Pair the kept answer with the replaced one where a second sign says the same."""
    votes = by_people(evidence, "regeneration")
    talks = _talks(evidence, votes)
    for vote in votes:
        answer = evidence.answers.get(vote.target or "")
        if answer is None:
            yield Dropped("regeneration of an answer that is not in the window", (vote,))
        elif answer.error_type is not None or answer.finish_reason not in FINISHED:
            yield Dropped("regeneration of an answer that failed or was cut off", (vote,))
        else:
            yield _outcome(evidence, vote, answer, _kept(answer, vote, talks))


def _talks(evidence: Evidence, votes: list[Vote]) -> _Talks:
    targets = [evidence.answers.get(vote.target or "") for vote in votes]
    wanted = {(a.conversation_id, a.context_hash) for a in targets if a is not None}
    names = {name for name, _ in wanted} - {None}
    talks = _Talks()
    for answer in evidence.answers.values() if names else ():
        name = answer.conversation_id
        if name is None or name not in names:
            continue
        talks.turns[name].append(answer)
        if answer.context_hash is not None and (name, answer.context_hash) in wanted:
            talks.attempts[name, answer.context_hash].append(answer)
    return talks


@dataclass(frozen=True, slots=True)
class _Kept:
    """The answer that took the place of another, and whether the conversation went on from it."""

    answer: Answer
    went_on: bool


def _kept(answer: Answer, vote: Vote, talks: _Talks) -> _Kept | None:
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
        other.turn_index is not None
        and other.turn_index > kept.turn_index
        and other.request_time is not None
        and other.request_time > kept.request_time
        for other in talks.turns.get(kept.conversation_id or "", ())
    )


def _outcome(evidence: Evidence, vote: Vote, replaced: Answer, kept: _Kept | None) -> Outcome:
    if kept is None:
        return Dropped("regeneration whose new answer was not logged", (vote,))
    old, on_old = _thumb(evidence, replaced)
    new, on_new = _thumb(evidence, kept.answer)
    said = (vote, *on_old, *on_new)
    if old == 1 or new == -1:
        return Dropped("regeneration and thumb contradict each other", said)
    if not (kept.went_on or old == -1 or new == 1):
        return Dropped("regeneration without a second sign", (vote,))
    return Candidate("regeneration", replaced, kept.answer, None, said)


def _thumb(evidence: Evidence, answer: Answer) -> tuple[int | None, tuple[Vote, ...]]:
    """Return what people's thumbs on an answer say, and these; 0 where they disagree."""
    votes = [
        vote
        for vote in evidence.by_target.get(answer.interaction_id, ())
        if vote.kind == "thumbs" and vote.polarity in (1, -1) and not is_machine(vote)
    ]
    last, _ = last_words(votes)
    said = {vote.polarity for vote in last}
    if len(said) > 1:
        return 0, ()
    return (said.pop(), last) if said else (None, ())
