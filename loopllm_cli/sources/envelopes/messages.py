"""Records that hold a whole conversation as `messages`: one row per assistant turn.

Every earlier message is that turn's input; user turns after the last answer have no answer yet
and make no row.
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.columns import PLAIN, Mapping, common_values, leftovers
from loopllm_cli.sources.envelopes.feedback import inline_feedback
from loopllm_cli.sources.fields import to_text
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.openai_chat import to_finish_reason, to_messages
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, interaction

NAME = "messages"


def recognises(record: dict[str, Any], mapping: Mapping = PLAIN) -> bool:
    """Return whether a record holds messages and no separate response."""
    return isinstance(mapping.get(record, "messages"), list) and not isinstance(
        mapping.get(record, "response"), str
    )


def decode(record: dict[str, Any], origin: Origin, mapping: Mapping = PLAIN) -> Decoded:
    """Decode one conversation; what is measured once belongs to its last answer.

    Raises:
        BadLine: a message is malformed, or no assistant message follows a user's.
    """
    messages = to_messages(mapping.get(record, "messages"))
    turns = [i for i, m in enumerate(messages) if m["role"] == "assistant" and i > 0]
    if not turns:
        raise BadLine("no response: the messages hold no assistant turn")
    native_id = to_text(mapping.get(record, "id"))
    values = common_values(record, origin, mapping)
    values["conversation_id"] = values["conversation_id"] or native_id
    raw = to_text(mapping.get(record, "finish_reason"))
    rows = []
    for number, at in enumerate(turns):
        last = at == turns[-1]
        own = {**values, "operation_name": "chat", "turn_index": number}
        if last:
            own["finish_reason"], own["finish_reason_raw"] = to_finish_reason(raw), raw
            own["attributes_json"] = leftovers(record, set(), values, mapping)
        else:
            own.update(dict.fromkeys(_ONCE))
        rows.append(
            interaction(
                origin,
                NAME,
                native_id=native_id,
                # The first turn keeps its id when a later export brings further turns.
                part=f".{number}" if number and native_id else "",
                inputs=messages[:at],
                output=messages[at],
                values=own,
            )
        )
    votes = {name: mapping.get(record, name) for name in ("feedback", "rating", "correction")}
    closing = [(rows[-1], messages)] if messages[-1]["role"] == "user" else []
    return Decoded(rows, inline_feedback(origin, rows[-1], votes, record), closing=closing)


_ONCE = (
    "duration_s",
    "time_to_first_chunk_s",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "reference_answer",
    "response_id",
    "error_type",
)

FORMAT = Format(
    NAME,
    "conversations",
    "`messages` and no response beside them",
    Rank.GENERIC,
    recognises,
    decode,
)
