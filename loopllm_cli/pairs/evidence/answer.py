"""Answers as the rules see them; their texts are there once somebody has asked for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NoReturn, cast

from loopllm_cli.model import Message
from loopllm_cli.pairs.chat import to_messages


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


Turn = tuple[int | None, datetime | None]
"""Where an answer stands in its conversation, and when it was asked for."""

Place = tuple[str, str]
"""A conversation and a context in it: where the attempts at one answer stand."""
