"""Langfuse's observations and traces as tables, and the export of its interface.

Enriched observations (blob export v2) and those of the interface bring their trace's columns
and are decoded at once. Older observations wait for the row of their trace, which has the user,
the session and the release; they become rows with and without it.

Source: https://langfuse.com/docs/api-and-data-platform/features/export-to-blob-storage ;
worker/src/features in github.com/langfuse/langfuse
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loopllm_cli.sources import votes
from loopllm_cli.sources.fields import as_json, to_text, to_time
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.langfuse import KNOWN, SOURCE, is_empty, snake, to_rows
from loopllm_cli.sources.payloads.pieces import target_of, text_of_value, to_version
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Part, Record, Row, feedback

NAME = "langfuse_observation"
_KINDS = {
    "SPAN": "span",
    "EVENT": "event",
    "TOOL": "tool span",
    "AGENT": "agent span",
    "CHAIN": "chain span",
    "RETRIEVER": "retriever span",
    "EVALUATOR": "evaluator span",
    "EMBEDDING": "embedding span",
    "GUARDRAIL": "guardrail span",
}
_TRACE_KEYS = ("user_id", "session_id", "release", "tags", "name")


def recognises(record: Record) -> bool:
    """Return whether a record is one observation, or the row of one trace."""
    if "traceId" in record or "trace_id" in record:
        return (
            "type" in record
            and ("startTime" in record or "start_time" in record)
            and any(key in record for key in _MODEL_KEYS)
        )
    return (
        "bookmarked" in record
        and "tags" in record
        and "timestamp" in record
        and not isinstance(record.get("observations"), list)
    )


_MODEL_KEYS = ("providedModelName", "provided_model_name", "usageDetails", "usage_details")


def decode(record: Record, origin: Origin) -> Decoded:
    """Decode one observation, or keep it until its trace is known.

    Raises:
        BadLine: it has no id, or a date that has two readings.
    """
    record = snake(record)
    if "trace_id" not in record:
        return _trace_part(record, origin)
    reason = skip_reason(record)
    if reason:
        return Decoded(skipped=[reason])
    is_bare = not any(key in record for key in ("trace_name", "user_id", "session_id"))
    trace_id = text_of_value(record.get("trace_id"))
    if "project_id" in record and is_bare and trace_id:
        return _observation_part(record, trace_id, origin)
    rows = to_rows(record, {}, origin, is_joined=not is_bare)
    found = Decoded(rows)
    if "project_id" not in record:
        found.feedback = _scores(record, rows, origin)
    return found


def skip_reason(record: Record) -> str | None:
    """Say why an observation is no response; None where it is one."""
    kind = (to_text(record.get("type")) or "").upper()
    if kind != "GENERATION":
        return _KINDS.get(kind, "other observation")
    return "generation without content" if is_empty(record) else None


def _trace_part(record: Record, origin: Origin) -> Decoded:
    trace_id = text_of_value(record.get("id"))
    if trace_id is None:
        raise BadLine("a trace without an id")
    version = to_version(to_time(record.get("updated_at"), origin.date_format))
    known = {
        key: as_json(record.get(key)) if key == "tags" else record.get(key) for key in _TRACE_KEYS
    }
    return Decoded(parts=[Part(trace_id, "trace", {"trace": known}, version or 0)])


def _observation_part(record: Record, trace_id: str, origin: Origin) -> Decoded:
    native_id = text_of_value(record.get("id"))
    if native_id is None:
        raise BadLine("an observation without an id")
    # What would stop the row later on stops the line now.
    for name in ("start_time", "end_time", "completion_start_time"):
        to_time(record.get(name), origin.date_format)
    version = to_version(to_time(record.get("updated_at"), origin.date_format))
    part = Part(trace_id, f"observation:{native_id}", {"observation": record}, version or 0)
    return Decoded(parts=[part])


def assemble(group: str, contents: Sequence[Record], origin: Origin) -> Decoded:
    """Build the rows of one trace's observations, with the trace's columns where they are known."""
    traces = [content["trace"] for content in contents if isinstance(content.get("trace"), dict)]
    found = Decoded()
    for content in contents:
        observation = content.get("observation")
        if not isinstance(observation, dict):
            continue
        try:
            trace = traces[0] if traces else {}
            found.interactions += to_rows(observation, trace, origin, is_joined=bool(traces))
        except BadLine:
            found.skipped.append("malformed observation")
    return found


def _scores(record: Record, rows: list[Row], origin: Origin) -> list[Row]:
    """Read the columns that the interface's export adds: one per score, with a list of values.

    The values' ids, times and authors are not exported.
    """
    span, trace = text_of_value(record.get("id")), text_of_value(record.get("trace_id"))
    target = target_of(rows, span=span, trace=trace, is_root=False)
    found = []
    for name, column in record.items():
        values = as_json(column) if name not in KNOWN else None
        for value in values if isinstance(values, list) else []:
            vote = _score(name, value)
            if vote is not None:
                noted = {**vote[1], **target, "name": name, "annotator_role": "unknown"}
                found.append(feedback(origin, SOURCE, vote[0], noted))
    return found


def _score(name: str, value: Any) -> tuple[str, Row] | None:
    """Read one aggregated value; None for what is none, such as an object."""
    try:
        if isinstance(value, str):
            return votes.score(name, None, value)
        return votes.score(name, value) if isinstance(value, bool | int | float) else None
    except BadLine:
        return None


FORMAT = Format(
    NAME,
    "Langfuse observations and traces",
    "an observation's trace, type and usage",
    Rank.ENVELOPE,
    recognises,
    decode,
    assemble,
)
