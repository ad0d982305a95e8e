"""Implicit feedback: what users show of their satisfaction only in what they say next.

A message that follows an answer may ask the same again, complain, state the right answer, thank,
or ask for a person. Such a sign is weak evidence about the answer before it. It never makes a pair
by itself: whatever the model said afterwards had seen more than the answer that it would be
compared with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import orjson

from loopllm_cli.sources.rows import Message, Origin, Row, feedback, text_hash, text_of

if TYPE_CHECKING:
    from loopllm_cli.sources.implicit_rules import Sign

NAME = "implicit"


def mine_messages(messages: list[Message]) -> Iterator[tuple[int, Sign]]:
    """Yield each sign of a conversation with the place of the answer that it is about.

    Looked at is every assistant message that a user's message follows directly.
    """
    from loopllm_cli.sources.implicit_rules import mine_follow_up

    asked: str | None = None
    for place, message in enumerate(messages[:-1]):
        if message["role"] == "user":
            asked = text_of([message], "user")
        elif message["role"] == "assistant" and messages[place + 1]["role"] == "user":
            answered = text_of([message], "assistant")
            said_next = text_of([messages[place + 1]], "user")
            if answered and said_next:
                sign = mine_follow_up(asked, answered, said_next)
                if sign is not None:
                    yield place, sign


def implicit_feedback(origin: Origin, row: Row, messages: list[Message] | None = None) -> list[Row]:
    """Return what the last message of a row's input says about the answer before it.

    The answer is a row of its own, or of no log at all; it is named by its conversation and the
    hash of its text. A row that continues after a tool's result has no new message and gives
    nothing, so that each message counts once. Texts of users are not copied.

    Args:
        messages: the row's input messages; read from the row where they are not given.
    """
    if messages is None:
        messages = _last_messages(row.get("input_messages"))
    if len(messages) < 2 or messages[-1]["role"] != "user" or messages[-2]["role"] != "assistant":
        return []
    answered, said_next = text_of(messages[-2:-1], "assistant"), text_of(messages[-1:], "user")
    if not answered or not said_next:
        return []
    # Hundreds of patterns are compiled here, which logs of single turns never need.
    from loopllm_cli.sources.implicit_rules import mine_follow_up

    sign = mine_follow_up(text_of(messages[-3:-2], "user"), answered, said_next)
    if sign is None:
        return []
    values: Row = {
        "name": sign.name,
        "polarity": sign.polarity,
        "score_value": sign.confidence,
        "annotator_kind": "HUMAN",
        "annotator_role": "end_user",
        "annotator_id": row.get("user_id"),
        "feedback_time": row.get("request_time"),
        "target_kind": "response",
        "target_conversation_id": row.get("conversation_id"),
        "target_response_hash": text_hash(answered),
    }
    # The row's user is a pseudonym already, and must stay the same one.
    return [feedback(replace(origin, hash_user=None), NAME, NAME, values)]


def _last_messages(stored: str | None) -> list[Message]:
    """Read the last three messages of a stored conversation, or more, without parsing it all."""
    if not stored or not stored.endswith(_USER_LAST) or _ASSISTANT not in stored:
        return []
    start = len(stored)
    for _ in range(3):
        found = stored.rfind(_MESSAGE, 0, start)
        start = found if found >= 0 else start
    for text in ("[" + stored[start:], stored):
        try:
            messages = list(orjson.loads(text))
        except orjson.JSONDecodeError:  # cut inside a tool's arguments
            continue
        if text is stored or len(messages) > 2:
            return messages
    return []


# Stored messages have sorted keys; inside texts, quotes are escaped.
_USER_LAST = '"role":"user"}]'
_ASSISTANT = '"role":"assistant"'
_MESSAGE = '{"parts":['
