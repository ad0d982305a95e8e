"""Canonical rows: what every envelope hands over, with the ids and hashes derived in one place."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from dataclasses import dataclass, field
from typing import Any

import orjson

from loopllm_cli.sources.reading import BadLine
from loopllm_cli.store.schema import FEEDBACK, INTERACTIONS, SCHEMA_VERSION

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a record stood."""

    path: str
    line: int
    ingest_id: str
    date_format: str | None = None


@dataclass(slots=True)
class Decoded:
    """The rows of one record: usually one response or one piece of feedback."""

    interactions: list[Row] = field(default_factory=list)
    feedback: list[Row] = field(default_factory=list)


def to_json(value: Any) -> str:
    """Serialise with sorted keys, so that equal content gives equal text.

    Raises:
        BadLine: the value is nested too deeply to be written.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:
        # Integers beyond 64 bits, or more than 254 levels.
        try:
            return json.dumps(
                value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str
            )
        except RecursionError:
            raise BadLine("nested too deeply") from None


def digest(*parts: Any) -> str:
    """Return 128 bits of BLAKE2b over the parts, as hex."""
    return hashlib.blake2b(to_json(parts).encode(), digest_size=16).hexdigest()


def normalise(text: str) -> str:
    """Bring a text to the form in which equal answers are equal (NFC, no trailing space)."""
    return "\n".join(
        line.rstrip() for line in unicodedata.normalize("NFC", text).strip().split("\n")
    )


def text_of(messages: list[dict[str, Any]], role: str) -> str | None:
    """Join the text parts of the last message of a role; None where there is none."""
    for message in reversed(messages):
        if message["role"] == role:
            texts = [p["content"] for p in message["parts"] if p.get("type") == "text"]
            return "\n".join(texts) if texts else None
    return None


def interaction(
    origin: Origin,
    source_format: str,
    *,
    native_id: str | None,
    part: str = "",
    inputs: list[dict[str, Any]] | None,
    output: dict[str, Any] | None,
    values: Row,
) -> Row:
    """Build one interaction row: the given values plus ids, texts and hashes.

    Args:
        native_id: the exporter's own id; without one the id is a digest of the content.
        part: tells apart the responses that share a native id.
        inputs: messages before the response, as OpenTelemetry parts.
        output: the response message, as OpenTelemetry parts.
        values: further columns by canonical name.
    """
    row: Row = dict.fromkeys(INTERACTIONS.names)
    row.update(values)
    prompt = text_of(inputs, "user") if inputs else None
    response = text_of([output], output["role"]) if output else None
    row.update(
        source_format=source_format,
        source_path=origin.path,
        source_line=origin.line,
        source_record_id=native_id,
        ingest_id=origin.ingest_id,
        schema_version=SCHEMA_VERSION,
        choice_index=row["choice_index"] or 0,
        time_basis="log_time" if row["request_time"] else "none",
        input_messages=to_json(inputs) if inputs else None,
        output_messages=to_json([output]) if output else None,
        prompt_text=prompt,
        response_text=response if response is not None or output is None else "",
        n_tool_calls=_count_tool_calls(output),
        content_state=row["content_state"] or ("full" if inputs and output else "absent"),
        context_hash=_context_hash(inputs, row["tool_definitions"]) if inputs else None,
        prompt_hash=digest(normalise(prompt)) if prompt is not None else None,
        response_hash=digest(normalise(response)) if response is not None else None,
    )
    row["content_digest"] = digest(
        row["context_hash"], row["output_messages"], row["response_model"], row["error_type"]
    )
    if native_id is None:
        native_id = digest(
            row["conversation_id"], row["request_time"], row["user_id"], row["content_digest"]
        )
    suffix = f"#{row['choice_index']}" if row["choice_index"] else ""
    row["interaction_id"] = f"{source_format}:{native_id}{part}{suffix}"
    return row


def feedback(origin: Origin, source_format: str, kind: str, values: Row) -> Row:
    """Build one feedback row; its id holds a digest, so that the same vote twice is one vote.

    An exporter's own id stays in front: a vote that was changed later keeps it, and is a new row.
    """
    row: Row = dict.fromkeys(FEEDBACK.names)
    row.update(values)
    row.update(
        source_format=source_format,
        source_path=origin.path,
        source_line=origin.line,
        ingest_id=origin.ingest_id,
        schema_version=SCHEMA_VERSION,
        kind=kind,
        annotator_kind=row["annotator_kind"] or "UNKNOWN",
        target_key=row["target_key"] or "none",
    )
    said = digest(kind, *(row[name] for name in _SAID))
    native_id = row["feedback_id"]
    row["feedback_id"] = f"{native_id}:{said[:8]}" if native_id else said
    return row


_SAID = (
    *("target_id", "annotator_id", "feedback_time", "name", "score_value", "score_label"),
    *("scale_min", "scale_max", "polarity", "text", "explanation"),
    *("candidate_ids", "winner_id", "tie"),
)


def _count_tool_calls(output: dict[str, Any] | None) -> int | None:
    if output is None:
        return None
    return sum(1 for part in output["parts"] if part.get("type") == "tool_call")


def _context_hash(inputs: list[dict[str, Any]], tools: str | None) -> str:
    """Hash everything the model saw, with texts normalised: the key on which answers pair."""
    seen = [
        {
            **message,
            "parts": [
                {**p, "content": normalise(p["content"])}
                if isinstance(p.get("content"), str)
                else p
                for p in message["parts"]
            ],
        }
        for message in inputs
    ]
    return digest(seen, tools)
