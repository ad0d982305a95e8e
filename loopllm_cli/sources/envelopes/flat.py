"""Flat records: a prompt and a response under the usual names, or under mapped ones.

Votes that stand in the record itself become feedback rows.
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

NAME = "flat"


def recognises(record: dict[str, Any], mapping: Mapping = PLAIN) -> bool:
    """Return whether a record holds a prompt (or messages) and a response as texts."""
    prompt = mapping.get(record, "prompt")
    asked = prompt if isinstance(prompt, str) else mapping.get(record, "messages")
    answered = mapping.get(record, "response")
    return isinstance(asked, str | list) and (
        isinstance(answered, str) or mapping.get(record, "error_type") is not None
    )


def decode(record: dict[str, Any], origin: Origin, mapping: Mapping = PLAIN) -> Decoded:
    """Decode one record into one interaction, with its inline feedback.

    Raises:
        BadLine: there is no prompt, or neither a response nor an error.
    """
    response = mapping.get(record, "response")
    values = common_values(record, origin, mapping)
    if not isinstance(response, str) and values["error_type"] is None:
        raise BadLine("no response")
    raw = to_text(mapping.get(record, "finish_reason"))
    values.update(
        operation_name="chat",
        finish_reason=to_finish_reason(raw),
        finish_reason_raw=raw,
        attributes_json=leftovers(record, set(), values, mapping),
    )
    output = None
    if isinstance(response, str):
        output = {"role": "assistant", "parts": [{"type": "text", "content": response}]}
    row = interaction(
        origin,
        NAME,
        native_id=to_text(mapping.get(record, "id")) or values["response_id"],
        inputs=_inputs(record, mapping),
        output=output,
        values=values,
    )
    votes = {name: mapping.get(record, name) for name in ("feedback", "rating", "correction")}
    return Decoded([row], inline_feedback(origin, row, votes, record))


def _inputs(record: dict[str, Any], mapping: Mapping) -> list[dict[str, Any]]:
    messages = mapping.get(record, "messages")
    if isinstance(messages, list):
        return to_messages(messages)
    prompt = mapping.get(record, "prompt")
    if not isinstance(prompt, str):
        raise BadLine("no prompt")
    inputs = [{"role": "user", "parts": [{"type": "text", "content": prompt}]}]
    system = to_text(mapping.get(record, "system"))
    if system:
        inputs.insert(0, {"role": "system", "parts": [{"type": "text", "content": system}]})
    return inputs


FORMAT = Format(NAME, "flat records", "a prompt and a response", Rank.GENERIC, recognises, decode)
