"""The evidence for pairs: answers, and the votes that are linked to them."""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from loopllm_cli.pairs.evidence.answer import Answer, Place, Turn
from loopllm_cli.pairs.evidence.vote import MINED, Vote


class Texts(Protocol):
    """Where the texts of answers are read from."""

    def load(self, answers: Iterable[Answer]) -> None:
        """Fill in the texts of some answers."""

    def keep(self, answers: Iterable[Answer]) -> None:
        """Let go of all answers but some; others are made again when they are asked for."""


class AnswerTable(Mapping[str, Answer]):
    """Answers that are made of columns when they are asked for."""

    @abstractmethod
    def some(self, names: Collection[str]) -> dict[str, Answer]:
        """Return some of the answers, in their order."""

    @abstractmethod
    def turns_of(self, talks: Collection[str]) -> dict[str, list[Turn]]:
        """Return the turns of some conversations."""

    @abstractmethod
    def attempts_at(self, places: Collection[Place]) -> list[Answer]:
        """Return the answers to some contexts, each in some conversation."""


class VoteTable(Sequence["Vote"]):
    """Votes that are made of columns when they are asked for, as a million are too many to hold."""

    @abstractmethod
    def of_kind(self, kind: str) -> list[Vote]:
        """Return the votes of one kind."""

    @abstractmethod
    def on(self, targets: Collection[str]) -> tuple[Vote, ...]:
        """Return the votes on some answers, in their order."""

    @abstractmethod
    def ids(self, *, mined: bool) -> list[str]:
        """Return the ids of all votes, without what is mined unless asked for."""

    @abstractmethod
    def only(self, feedback_ids: Collection[str]) -> VoteTable:
        """Return some of the votes, in their order."""


class _ByUntouched(Mapping[str, list["Vote"]]):
    """The votes on each answer, looked up as they are asked for."""

    def __init__(self, votes: VoteTable, *, mined: bool) -> None:
        self._votes = votes
        self._mined = mined

    def __getitem__(self, target: str) -> list[Vote]:
        found = [v for v in self._votes.on((target,)) if (v.kind == MINED) == self._mined]
        if not found:
            raise KeyError(target)
        return found

    def __iter__(self) -> Iterator[str]:
        seen = (v.target for v in self._votes if (v.kind == MINED) == self._mined)
        return iter(dict.fromkeys(target for target in seen if target is not None))

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True)
class Evidence:
    """All answers by id, and all votes in a fixed order.

    From a store, only the answers that some vote concerns, or that stand in the conversation of a
    corrected or regenerated one; their texts are read when `load` asks for them.
    """

    answers: Mapping[str, Answer]
    votes: Sequence[Vote]
    texts: Texts | None = None

    def of_kind(self, kind: str) -> list[Vote]:
        """Return the votes of one kind."""
        if isinstance(self.votes, VoteTable):
            return self.votes.of_kind(kind)
        return [vote for vote in self.votes if vote.kind == kind]

    @cached_property
    def by_target(self) -> Mapping[str, list[Vote]]:
        """Map each answer to what people said of it outright; what is mined stands in `mined`."""
        return self._by_target(mined=False)

    @cached_property
    def mined(self) -> Mapping[str, list[Vote]]:
        """Map each answer to what was mined of it from users' next turns (kind "implicit")."""
        return self._by_target(mined=True)

    def _by_target(self, *, mined: bool) -> Mapping[str, list[Vote]]:
        if isinstance(self.votes, VoteTable):
            return _ByUntouched(self.votes, mined=mined)
        found: dict[str, list[Vote]] = defaultdict(list)
        for vote in self.votes:
            if vote.target is not None and (vote.kind == MINED) == mined:
                found[vote.target].append(vote)
        return found

    def said(self) -> list[str]:
        """Return the ids of all feedback that somebody gave, so without what is mined."""
        if isinstance(self.votes, VoteTable):
            return self.votes.ids(mined=False)
        return [vote.feedback_id for vote in self.votes if vote.kind != MINED]

    def votes_on(self, targets: Collection[str]) -> tuple[Vote, ...]:
        """Return all votes on some answers, in their order."""
        if isinstance(self.votes, VoteTable):
            return self.votes.on(targets)
        return tuple(vote for vote in self.votes if vote.target in targets)

    def some(self, names: Collection[str]) -> dict[str, Answer]:
        """Return some of the answers, in their order."""
        if isinstance(self.answers, AnswerTable):
            return self.answers.some(names)
        return {name: answer for name, answer in self.answers.items() if name in names}

    def turns_of(self, talks: Collection[str]) -> dict[str, list[Turn]]:
        """Return the turns of some conversations."""
        if isinstance(self.answers, AnswerTable):
            return self.answers.turns_of(talks)
        found: dict[str, list[Turn]] = defaultdict(list)
        for answer in self.answers.values() if talks else ():
            if answer.conversation_id is not None and answer.conversation_id in talks:
                found[answer.conversation_id].append((answer.turn_index, answer.request_time))
        return found

    def attempts_at(self, places: Collection[Place]) -> list[Answer]:
        """Return the answers to some contexts, each in some conversation."""
        if isinstance(self.answers, AnswerTable):
            return self.answers.attempts_at(places)
        every = self.answers.values() if places else ()
        return [a for a in every if (a.conversation_id, a.context_hash) in places]

    def only(self, feedback_ids: Collection[str]) -> Evidence:
        """Return the evidence with some of its votes."""
        if isinstance(self.votes, VoteTable):
            return replace(self, votes=self.votes.only(feedback_ids))
        return replace(self, votes=tuple(v for v in self.votes if v.feedback_id in feedback_ids))

    def load(self, answers: Iterable[Answer]) -> None:
        """Read the texts of some answers, in one pass over the store; those there are kept."""
        if self.texts is not None:
            self.texts.load(answers)

    def keep(self, answers: Iterable[Answer]) -> None:
        """Let go of all answers but some, to make room; see `Texts.keep`."""
        if self.texts is not None:
            self.texts.keep(answers)
