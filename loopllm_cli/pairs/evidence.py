"""The evidence for pairs: answers, and the votes that are linked to them."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Final, NamedTuple, NoReturn, Protocol, cast

from loopllm_cli.model import Message
from loopllm_cli.pairs.chat import to_messages
from loopllm_cli.store.project import Project

# Newer logs call the system's messages the developer's; chat templates do not know that name.
_ROLES = {r: r for r in ("system", "user", "assistant")} | {"developer": "system"}
MINED = "implicit"
MACHINES = frozenset(("LLM", "CODE"))
REPLACED = "vote that the same person replaced by a later one"


class _Unread:
    """Stands for a text that nobody has asked for; whatever is done with it is an error."""

    __slots__ = ()

    def _refuse(self, *_: object) -> NoReturn:
        raise TextNotRead("a text was used before Evidence.load had read it")

    __bool__ = __len__ = __iter__ = __str__ = __format__ = __contains__ = _refuse
    __getitem__ = __eq__ = __hash__ = __lt__ = __add__ = __radd__ = _refuse

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        self._refuse()

    def __repr__(self) -> str:
        return "<text not read>"


UNREAD: Final = cast(str, _Unread())
"""What stands in an answer's texts until `Evidence.load` has read them."""


class TextNotRead(RuntimeError):
    """A text of an answer was used that `Evidence.load` has not been asked for."""


@dataclass(slots=True)
class Answer:
    """One logged response, with what a pair needs of it.

    From a store, the texts (`prompt_text`, `input_messages`, `output_messages`, `text`, `tools`,
    `reference_answer`) are `UNREAD` until `Evidence.load` fills them in; nothing else is ever
    changed. Of an answer that is one text, `output_messages` then has the shape without the text,
    which stands in `text`; `prompt_text` is read only where the segment follows from it.

    Not frozen: that would take seven times as long to make, and there are a million of them.
    """

    interaction_id: str
    context_hash: str | None
    prompt_hash: str | None
    prompt_text: str | None
    input_messages: str | None
    output_messages: str | None
    text: str
    content_state: str
    finish_reason: str | None
    error_type: str | None
    model: str | None
    user_id: str | None
    conversation_id: str | None
    has_tools: bool
    request_time: datetime | None
    segment: str | None = None
    tools: str | None = None
    n_tool_calls: int = 0
    turn_index: int | None = None
    previous_response_id: str | None = None
    source_format: str = ""
    redaction: str | None = None
    reference_answer: str | None = None

    def prompt(self) -> tuple[Message, ...] | None:
        """Return the context as chat messages; None where it is more than texts and tool calls."""
        return to_messages(self.input_messages)

    @property
    def is_plain(self) -> bool:
        """Whether the answer is text and nothing else."""
        return self.output_messages is not None and to_chat(self.output_messages) is not None


class Vote(NamedTuple):
    """One piece of feedback, with its targets resolved to interaction ids."""

    feedback_id: str
    kind: str
    target: str | None
    polarity: int | None
    rating: float | None
    text: str | None
    annotator_id: str | None
    annotator_kind: str
    feedback_time: datetime | None
    candidates: tuple[str | None, ...] = ()
    winner: str | None = None
    tie: bool = False
    name: str | None = None
    explanation: str | None = None
    source_format: str = ""
    score_value: float | None = None
    method: str | None = None
    role: str | None = None
    label: str | None = None

    @property
    def confidence(self) -> float | None:
        """How sure the finding of mined feedback is; None for what people said."""
        return self.score_value if self.kind == "implicit" else None


Turn = tuple[int | None, datetime | None]
"""Where an answer stands in its conversation, and when it was asked for."""

Place = tuple[str, str]
"""A conversation and a context in it: where the attempts at one answer stand."""


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


def last_words(votes: Sequence[Vote]) -> tuple[tuple[Vote, ...], tuple[Vote, ...]]:
    """Split votes on one answer into what stands and what the same person replaced later.

    Votes of nobody known all stand; so do those of one person where no time tells which of
    them was the last.
    """
    latest: dict[str, datetime] = {}
    for vote in votes:
        if vote.annotator_id and vote.feedback_time:
            known = latest.get(vote.annotator_id, vote.feedback_time)
            latest[vote.annotator_id] = max(known, vote.feedback_time)
    last: list[Vote] = []
    replaced: list[Vote] = []
    for vote in votes:
        time, end = vote.feedback_time, latest.get(vote.annotator_id or "")
        (replaced if time and end and time < end else last).append(vote)
    return tuple(last), tuple(replaced)


def to_chat(messages_json: str | None) -> tuple[Message, ...] | None:
    """Turn stored messages with parts into chat messages of plain text.

    Returns:
        None where a message holds anything but text (tool calls, pictures, reasoning) or was
        said by anybody but the system, the user and the assistant.
    """
    if messages_json is None:
        return None
    chat = []
    for message in json.loads(messages_json):
        role = _ROLES.get(message["role"])
        if role is None or any(part.get("type") != "text" for part in message["parts"]):
            return None
        text = "\n".join(part["content"] for part in message["parts"])
        chat.append({"role": role, "content": text})
    return tuple(chat)


def read_evidence(project: Project, condition: str, segment_column: str | None = None) -> Evidence:
    """Read the evidence for pairs from a store; see `from_store.read_evidence`."""
    # Imported here, as that one builds on the types above.
    from loopllm_cli.pairs.from_store import read_evidence as read

    return read(project, condition, segment_column)
