"""Training records in TRL's layouts: preferences, and answers with a label each.

The prompt stands apart (as a text or as messages), or both answers begin with it.

Source: https://huggingface.co/docs/trl/dataset_formats
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.envelopes import hh_rlhf, ultrafeedback
from loopllm_cli.sources.fields import to_text
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.preference import (
    Verdict,
    answer_rows,
    compared,
    inline_vote,
    read_prompt,
    read_side,
    read_sides,
)
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Row, feedback, to_json

PREFERENCE = "trl_preference"
UNPAIRED = "trl_unpaired"
_USED = {"id", "prompt", "chosen", "rejected", "completion", "label", "tools"}
# A log that has these beside a prompt and a completion is no training record.
_LOGGED = ("timestamp", "ts", "time", "created_at", "created", "request_id", "user_id")


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record holds a chosen and a rejected answer, texts or messages."""
    chosen, rejected = record.get("chosen"), record.get("rejected")
    return (
        isinstance(chosen, str | list)
        and isinstance(rejected, str | list)
        and "conversations" not in record
        and not hh_rlhf.recognises(record)
        and not ultrafeedback.recognises(record)
    )


def recognises_unpaired(record: dict[str, Any]) -> bool:
    """Return whether a record holds a prompt, a completion and a label of true or false."""
    return (
        isinstance(record.get("label"), bool)
        and isinstance(record.get("prompt"), str | list)
        and isinstance(record.get("completion"), str | list)
        and not any(key in record for key in _LOGGED)
    )


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one preference into two rows and their comparison, by nobody known.

    Raises:
        BadLine: the prompt or an answer is missing or malformed.
    """
    sides = read_sides(record.get("prompt"), record.get("chosen"), record.get("rejected"))
    for side in sides:
        side.values = _values(record)
    native_id = to_text(record.get("id"))
    return compared(origin, PREFERENCE, sides, Verdict(0), native_id)


def decode_unpaired(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one labelled answer into a row and a thumb, by nobody known.

    Raises:
        BadLine: the prompt, the answer or the label is missing or malformed.
    """
    label = record.get("label")
    if not isinstance(label, bool):
        raise BadLine("a label that is neither true nor false")
    side = read_side(read_prompt(record.get("prompt")), record.get("completion"), **_values(record))
    rows = answer_rows(origin, UNPAIRED, [side], to_text(record.get("id")))
    vote = inline_vote(
        rows[0], polarity=1 if label else -1, score_label="true" if label else "false"
    )
    return Decoded(rows, [feedback(origin, UNPAIRED, "thumbs", vote)])


def _values(record: dict[str, Any]) -> Row:
    tools = record.get("tools")
    rest = {k: v for k, v in record.items() if k not in _USED and v not in (None, "", [], {})}
    return {
        "tool_definitions": to_json(tools) if isinstance(tools, list) and tools else None,
        "attributes_json": to_json(rest) if rest else None,
    }


FORMATS = [
    Format(
        PREFERENCE,
        "TRL preferences",
        "`chosen` beside `rejected`",
        Rank.DATASET,
        recognises,
        decode,
    ),
    Format(
        UNPAIRED,
        "TRL labelled answers",
        "a prompt, a completion and a label of true or false",
        Rank.DATASET,
        recognises_unpaired,
        decode_unpaired,
    ),
]
