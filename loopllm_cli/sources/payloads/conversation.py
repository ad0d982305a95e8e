"""Whole conversations, as datasets and chat exports hold them: one row per assistant turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Message, Origin, Row, digest, interaction


@dataclass(slots=True)
class Conversation:
    """A conversation and what is known of it.

    Args:
        messages: all of them, as OpenTelemetry parts.
        values: columns that hold for every turn.
        native_id: the exporter's id of the conversation; rows are known by content without one.
        part: tells apart the conversations that share a native id.
        turns: columns that hold for single messages, by their place in `messages`.
        once: columns of the whole record, which go to the last turn.
    """

    messages: list[Message]
    values: Row = field(default_factory=dict)
    native_id: str | None = None
    part: str = ""
    turns: dict[int, Row] = field(default_factory=dict)
    once: Row = field(default_factory=dict)


def rows_per_turn(origin: Origin, source_format: str, talk: Conversation) -> list[Row]:
    """Build a row for every assistant message, with all earlier messages as its input.

    User messages after the last answer have no answer yet and make no row. An answer before the
    first user message has lost what it answers, or answers nothing: its context is partial.

    Raises:
        BadLine: there is no assistant message.
    """
    messages = talk.messages
    places = [at for at, message in enumerate(messages) if message["role"] == "assistant"]
    if not places:
        raise BadLine("no response: the conversation holds no assistant turn")
    shared: Row = {"operation_name": "chat", "conversation_id": talk.native_id, **talk.values}
    if shared["conversation_id"] is None and len(places) > 1:
        shared["conversation_id"] = digest(messages)
    rows = []
    for number, at in enumerate(places):
        values = {**shared, "turn_index": number, **talk.turns.get(at, {})}
        if at == places[-1]:
            values.update(talk.once)
        if not any(message["role"] == "user" for message in messages[:at]):
            values["content_state"] = "partial_context"
        rows.append(
            interaction(
                origin,
                source_format,
                native_id=talk.native_id,
                # The first turn keeps its id when a later export brings further turns.
                part=talk.part + (f".{number}" if number and talk.native_id else ""),
                inputs=messages[:at] or None,
                output=messages[at],
                values=values,
            )
        )
    return rows


def decode_turns(origin: Origin, source_format: str, talk: Conversation) -> Decoded:
    """Build a row for every assistant message, and keep what the user said at the end.

    Raises:
        BadLine: there is no assistant message.
    """
    rows = rows_per_turn(origin, source_format, talk)
    closing = [(rows[-1], talk.messages)] if talk.messages[-1]["role"] == "user" else []
    return Decoded(rows, closing=closing)


def is_turns(value: Any, *names: str) -> bool:
    """Return whether a value is a list of objects with one of the keys that name a speaker."""
    if not isinstance(value, list) or not value or not isinstance(value[0], dict):
        return False
    return any(name in value[0] for name in names)
