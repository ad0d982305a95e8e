"""Canonical rows: what every format hands over, with the ids and hashes derived in one place."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from loopllm_cli.sources.fields import read_stored
from loopllm_cli.sources.identity import hash_users
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.store.schema import SCHEMA_VERSION

Record = dict[str, Any]
"""One parsed record of an export, as it stood in the file."""

Row = dict[str, Any]
"""Values by column of the canonical tables; a column that is not named is null."""

Message = dict[str, Any]
"""One message in OpenTelemetry's shape: `{"role": ..., "parts": [{"type": "text", ...}]}`."""

_REDACTED = {"redacted-by-litellm", "[redacted]", "<redacted>", "redacted", "***", "[filtered]"}
_CUT = ("[truncated]", "[truncated]...", "...(truncated)", "<truncated>")
_MAX_ID_CHARS = 256
_NAMES_A_USER = re.compile(r'"[a-z_]*user(?:_?id)?"\s*:', re.IGNORECASE)
_HEAD_CHARS = 223  # with `~` and 32 digits of a digest: 256
# Columns whose values are names, and so are shown, listed, compared and joined.
_NAMES = (
    *("response_id", "previous_response_id", "request_id", "conversation_id"),
    *("trace_id", "span_id", "parent_span_id", "operation_name", "provider_name"),
    *("request_model", "response_model", "prompt_name", "prompt_version", "agent_name"),
    *("service_name", "service_version", "deployment_environment", "request_reasoning_level"),
    *("finish_reason", "finish_reason_raw", "error_type"),
)
_NAMES_OF_VOTES = (
    *("name", "score_label", "winner_id", "target_span_id", "target_response_id"),
    *("target_trace_id", "target_conversation_id"),
)


@dataclass(slots=True)
class Origin:
    """Where a record stood, and how its values are to be read.

    `hash_user` turns a user's id into a pseudonym; None keeps ids as they are.
    """

    path: str
    line: int
    ingest_id: str
    date_format: str | None = None
    hash_user: Callable[[str], str] | None = None
    redaction: str | None = None


@dataclass(slots=True)
class Part:
    """A piece of a response that only makes sense together with others of its group.

    Args:
        group: names what belongs together, within one format.
        key: names the piece within its group.
        version: a larger one replaces a smaller one of the same key.
        content: what the format needs to put the group together; must survive JSON.
    """

    group: str
    key: str
    content: Record
    version: int = 0


@dataclass(slots=True)
class Decoded:
    """What one record turned out to hold.

    `skipped` says, per thing that is no response and no feedback (a tool's span, an embedding
    call), what it is; such things are counted and never stored. `closing` holds whole
    conversations that end with a user's message, which makes no row, with their last row.
    """

    interactions: list[Row] = field(default_factory=list)
    feedback: list[Row] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    closing: list[tuple[Row, list[Message]]] = field(default_factory=list)

    def add(self, other: Decoded) -> None:
        """Take over what another record held."""
        self.interactions += other.interactions
        self.feedback += other.feedback
        self.parts += other.parts
        self.skipped += other.skipped
        self.closing += other.closing


def to_json(value: Any) -> str:
    """Serialise with sorted keys, so that equal content gives equal text.

    Raises:
        BadLine: the value is nested too deeply to be written.
    """
    return _to_bytes(value).decode()


def _to_bytes(value: Any) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    except TypeError:  # orjson.JSONEncodeError is one, and deep nesting raises a bare one
        # Integers beyond 64 bits, or more than 254 levels.
        try:
            return json.dumps(
                value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str
            ).encode()
        except RecursionError:
            raise BadLine("nested too deeply") from None


def digest(*parts: Any) -> str:
    """Return 128 bits of BLAKE2b over the parts, as hex."""
    return hashlib.blake2b(_to_bytes(parts), digest_size=16).hexdigest()


def normalise(text: str) -> str:
    """Bring a text to the form in which equal answers are equal (NFC, no trailing space)."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    text = text.strip()
    if "\n" not in text:
        return text
    return "\n".join([line.rstrip() for line in text.split("\n")])


def text_hash(text: str) -> str:
    """Return 128 bits of BLAKE2b over a normalised text, as hex: equal for equal answers."""
    normal = normalise(text).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(normal, digest_size=16).hexdigest()


def safe_id(value: str | None) -> str | None:
    """Bound an exporter's id or name: nothing that cannot be printed, and at most 256 characters.

    What is changed gets a digest of the whole behind it, so that it stays unique.
    """
    if value is None or (len(value) <= _MAX_ID_CHARS and value.isprintable()):
        return value
    clean = "".join(c if c.isprintable() else "\ufffd" for c in value[:_HEAD_CHARS])
    return f"{clean}~{digest(value)}"


def _bound_names(row: Row, names: tuple[str, ...]) -> None:
    for name in names:
        value = row.get(name)
        if value is not None and not (
            type(value) is str and len(value) <= _MAX_ID_CHARS and value.isprintable()
        ):
            row[name] = safe_id(str(value))


def text_of(messages: list[Message], role: str) -> str | None:
    """Join the text parts of the last message of a role; None where there is none."""
    for message in reversed(messages):
        if message["role"] == role:
            return _joined(message["parts"], "text")
    return None


def _joined(parts: list[dict[str, Any]], kind: str) -> str | None:
    texts = [p["content"] for p in parts if p.get("type") == kind and p.get("content") is not None]
    if len(texts) == 1:
        return str(texts[0])
    return "\n".join(str(text) for text in texts) if texts else None


def text_message(role: str, text: str) -> Message:
    """Build a message that holds one text."""
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def interaction(
    origin: Origin,
    source_format: str,
    *,
    native_id: str | None,
    part: str = "",
    inputs: list[Message] | None,
    output: Message | None,
    values: Row,
) -> Row:
    """Build one interaction row: the given values plus ids, texts and hashes.

    Args:
        native_id: the exporter's own id; without one the id is a digest of the content.
        part: tells apart the responses that share a native id.
        inputs: messages before the response, as OpenTelemetry parts.
        output: the response message, as OpenTelemetry parts.
        values: further columns by canonical name; None values count as missing.
    """
    row = dict(values)
    _bound_names(row, _NAMES)
    native_id = safe_id(native_id)
    get = row.get
    user_id = get("user_id")
    if user_id is not None:
        row["user_id"] = origin.hash_user(user_id) if origin.hash_user else safe_id(user_id)
    prompt = _add_inputs(row, inputs) if inputs else None
    response = _add_output(row, output) if output else None
    choice = get("choice_index") or 0
    row["choice_index"] = choice
    row["source_format"] = source_format
    row["source_record_id"] = native_id
    _add_origin(row, origin)
    row["redaction"] = origin.redaction
    if origin.hash_user and (rest := get("attributes_json")) and _NAMES_A_USER.search(rest):
        row["attributes_json"] = to_json(hash_users(read_stored(rest), origin.hash_user))
    if get("time_basis") is None:
        row["time_basis"] = "log_time" if get("request_time") is not None else "none"
    if get("content_state") is None:
        row["content_state"] = _content_state(inputs, output, prompt, response)
    if get("is_visible") is None and output:
        row["is_visible"] = bool(response) and not row["n_tool_calls"]
    row["content_digest"] = _content_digest(row, output)
    suffix = f"#{choice}" if choice else ""
    row["interaction_id"] = f"{source_format}:{native_id or _id_of_content(row)}{part}{suffix}"
    return row


def _add_origin(row: Row, origin: Origin) -> None:
    row["source_path"] = origin.path
    row["source_line"] = origin.line
    row["ingest_id"] = origin.ingest_id
    row["schema_version"] = SCHEMA_VERSION


def _add_inputs(row: Row, inputs: list[Message]) -> str | None:
    """Add what is derived from the messages before the response; return the question."""
    prompt = text_of(inputs, "user")
    row["input_messages"] = to_json(inputs)
    if prompt is not None:
        row["prompt_text"] = prompt
        row["prompt_hash"] = text_hash(prompt)
    row["context_hash"] = _context_hash(row, inputs)
    return prompt


def _content_digest(row: Row, output: Message | None) -> str:
    """Tell one version of a row from another, by what was asked and answered."""
    get = row.get
    # A plain answer is known by its hash already; only richer ones are hashed in full.
    said = get("response_hash") if output and len(output["parts"]) == 1 else None
    return digest(
        get("context_hash"),
        said or get("output_messages"),
        get("response_model"),
        get("error_type"),
    )


def _id_of_content(row: Row) -> str:
    """Name a row whose exporter gave no id."""
    get = row.get
    return digest(
        get("conversation_id"),
        get("turn_index"),
        get("request_time"),
        get("user_id"),
        row["content_digest"],
    )


def _add_output(row: Row, output: Message) -> str | None:
    """Add what is derived from the response message; return its text."""
    parts = output["parts"]
    response = _joined(parts, "text")
    row["output_messages"] = to_json([output])
    row["response_text"] = response if response is not None else ""
    if response is not None:
        row["response_hash"] = text_hash(response)
    row["n_tool_calls"] = 0
    if len(parts) == 1 and response is not None:
        return response
    names = [p.get("name") for p in parts if p.get("type") == "tool_call"]
    row["n_tool_calls"] = len(names)
    if names:
        row["tool_call_names"] = [name for name in names if isinstance(name, str)]
    row["reasoning_text"] = _joined(parts, "reasoning")
    modalities = sorted({str(p["modality"]) for p in parts if p.get("modality")})
    if modalities:
        row["modalities"] = modalities
    return response


def _content_state(
    inputs: list[Message] | None, output: Message | None, prompt: str | None, response: str | None
) -> str:
    if not output:
        return "absent"
    for text in (prompt, response):
        if text is not None:
            end = text[-40:].strip().lower()
            if len(text) < 40 and end in _REDACTED:
                return "redacted"
            if end.endswith(_CUT):
                return "truncated"
    return "full" if inputs else "partial_context"


def feedback(origin: Origin, source_format: str, kind: str, values: Row) -> Row:
    """Build one feedback row; its id holds a digest, so that the same vote twice is one vote.

    An exporter's own id stays in front: a vote that was changed later keeps it, and is a new row.

    Args:
        kind: thumbs, rating, score, label, correction, comparison, ranking, regeneration,
            escalation, copy, accept, abandon, comment or implicit.
        values: further columns by canonical name.
    """
    row = dict(values)
    get = row.get
    _bound_names(row, _NAMES_OF_VOTES)
    if get("target_key") != "interaction_id":  # else it is made of bounded parts
        row["target_id"] = safe_id(get("target_id"))
    if get("candidate_ids"):
        row["candidate_ids"] = [safe_id(name) for name in row["candidate_ids"]]
    annotator = get("annotator_id")
    if annotator is not None:
        row["annotator_id"] = (
            origin.hash_user(annotator) if origin.hash_user else safe_id(annotator)
        )
    row["source_format"] = source_format
    _add_origin(row, origin)
    row["kind"] = kind
    row["annotator_kind"] = get("annotator_kind") or "UNKNOWN"
    row["target_key"] = get("target_key") or "none"
    row["target_kind"] = get("target_kind") or "response"
    said = digest(kind, *(get(name) for name in _SAID))
    native_id = safe_id(get("feedback_id"))
    row["feedback_id"] = f"{native_id}:{said[:8]}" if native_id else said
    return row


_SAID = (
    *("target_id", "target_span_id", "target_response_id", "target_trace_id"),
    *("target_conversation_id", "target_turn_index", "target_response_hash"),
    *("annotator_id", "feedback_time", "name", "score_value", "score_label"),
    *("scale_min", "scale_max", "polarity", "text", "explanation"),
    *("candidate_ids", "winner_id", "tie"),
)


def _context_hash(row: Row, inputs: list[Message]) -> str:
    """Hash everything the model saw, with texts normalised: the key on which answers pair."""
    prompt, prompt_hash = row.get("prompt_text"), row.get("prompt_hash")

    def hashed(part: dict[str, Any]) -> Any:
        text = part.get("content")
        if not isinstance(text, str):
            return part
        known = prompt_hash if text is prompt else text_hash(text)
        return (
            known if len(part) == 2 and part.get("type") == "text" else {**part, "content": known}
        )

    seen = [
        [message["role"], *map(hashed, message["parts"])]
        if len(message) == 2
        else {**message, "parts": [hashed(part) for part in message["parts"]]}
        for message in inputs
    ]
    return digest(seen, row.get("tool_definitions"))
