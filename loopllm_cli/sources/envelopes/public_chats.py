"""Published conversations with one model each: LMSYS-Chat-1M and WildChat.

Personal data is masked in them (`NAME_1`): such turns, and those that follow, are marked as
redacted. The hashed addresses of WildChat's users are dropped.

Source: https://huggingface.co/datasets/lmsys/lmsys-chat-1m ;
https://huggingface.co/datasets/allenai/WildChat-1M (a `conversation_hash` is one of the content
and not unique, a `turn_identifier` is)
"""

from __future__ import annotations

import re
from typing import Any

from loopllm_cli.sources.fields import to_number, to_text, to_time
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.conversation import Conversation, decode_turns, is_turns
from loopllm_cli.sources.payloads.openai_chat import to_messages, to_usage
from loopllm_cli.sources.rows import Decoded, Origin, Record, Row, to_json

LMSYS = "lmsys_chat"
WILDCHAT = "wildchat"
_USED = {
    *("conversation", "conversation_id", "conversation_hash", "model", "timestamp"),
    *("hashed_ip", "turn"),
}
_TURN = {
    *("role", "content", "hashed_ip", "timestamp", "openai_id", "temperature", "top_p", "usage"),
    *("turn_identifier", "redacted"),
}
_MASK = re.compile(r"\bNAME_\d+\b")


def recognises_lmsys(record: Record) -> bool:
    """Return whether a record is a moderated conversation that has an id and no times."""
    return _is_moderated(record) and "conversation_id" in record and not _is_wildchat(record)


def recognises_wildchat(record: Record) -> bool:
    """Return whether a record is a moderated conversation that has a hash, or times."""
    return _is_moderated(record) and _is_wildchat(record)


def _is_moderated(record: Record) -> bool:
    return is_turns(record.get("conversation"), "role") and (
        "openai_moderation" in record or "redacted" in record
    )


def _is_wildchat(record: Record) -> bool:
    return "conversation_hash" in record or "timestamp" in record


def decode_lmsys(record: Record, origin: Origin) -> Decoded:
    """Decode one conversation into one row per assistant turn.

    Raises:
        BadLine: a turn is malformed, or none is the assistant's.
    """
    talk = _conversation(record)
    masked = record.get("redacted") is True
    shown = [bool(_MASK.search(to_json(message["parts"]))) for message in talk.messages]
    for at in range(len(talk.messages)):
        # A record that is masked in a way that cannot be seen is masked in every turn.
        if masked and (any(shown[: at + 1]) or not any(shown)):
            talk.turns[at] = {"content_state": "redacted"}
    return decode_turns(origin, LMSYS, talk)


def decode_wildchat(record: Record, origin: Origin) -> Decoded:
    """Decode one conversation into one row per assistant turn, with the turns' own times.

    Raises:
        BadLine: a turn is malformed, or none is the assistant's.
    """
    talk = _conversation(record)
    turns = record["conversation"]
    own = next((turn["turn_identifier"] for turn in turns if turn.get("turn_identifier")), None)
    if talk.native_id and to_text(own):
        talk.part = f".{to_text(own)}"
    masked = False
    for at, turn in enumerate(turns):
        masked = masked or turn.get("redacted") is True
        talk.turns[at] = _wildchat_turn(turn, origin)
        if masked:
            talk.turns[at]["content_state"] = "redacted"
    # The record's own rest is that of its last turn.
    last = max((at for at, turn in enumerate(turns) if turn["role"] == "assistant"), default=0)
    if talk.turns[last]["request_time"] is None:
        # The conversation's time is that of its last answer; the first release has no other.
        time = to_time(record.get("timestamp"), origin.date_format)
        talk.once.update(request_time=time, time_basis="response_end" if time else "none")
    return decode_turns(origin, WILDCHAT, talk)


def _conversation(record: Record) -> Conversation:
    messages = to_messages(record.get("conversation"))
    native_id = to_text(record.get("conversation_hash")) or to_text(record.get("conversation_id"))
    rest = _left(record, _USED)
    values: Row = {"response_model": to_text(record.get("model"))}
    once: Row = {"attributes_json": to_json(rest) if rest else None}
    return Conversation(messages, values, native_id, once=once)


def _wildchat_turn(turn: dict[str, Any], origin: Origin) -> Row:
    time = to_time(turn.get("timestamp"), origin.date_format)
    usage = turn.get("usage")
    return {
        "request_time": time,
        "time_basis": "response_end" if time else "none",
        "response_id": to_text(turn.get("openai_id")),
        "request_temperature": to_number(turn.get("temperature")),
        "request_top_p": to_number(turn.get("top_p")),
        **(to_usage(usage) if isinstance(usage, dict) else {}),
        "attributes_json": to_json(_left(turn, _TURN)),
    }


def _left(record: Record, used: set[str]) -> Record:
    return {k: v for k, v in record.items() if k not in used and v not in (None, "", [], {})}


FORMATS = [
    Format(
        LMSYS,
        "LMSYS-Chat conversations",
        "a moderated `conversation` with a `conversation_id`",
        Rank.DATASET,
        recognises_lmsys,
        decode_lmsys,
    ),
    Format(
        WILDCHAT,
        "WildChat conversations",
        "a moderated `conversation` with a `conversation_hash`",
        Rank.DATASET,
        recognises_wildchat,
        decode_wildchat,
    ),
]
