"""Arize Phoenix: span tables, traces as `px trace get --format raw` writes them, annotations.

Source: https://github.com/Arize-ai/phoenix, packages/phoenix-client and js/packages/phoenix-cli.
"""

from __future__ import annotations

import math
from typing import Any

from loopllm_cli.sources.envelopes.otel_console import decode_span, to_span
from loopllm_cli.sources.fields import first_of, to_text
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.otel_annotations import annotation, own_target, trace_target
from loopllm_cli.sources.payloads.otlp import Span, to_id
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Record, Row

_ATTRIBUTES = "attributes."
_SPAN_IDS = ("context.span_id", "span_id", "__index_level_0__")
_OF_SPAN = ("name", "span_kind", "parent_id", "start_time", "end_time", "status_code")
_KNOWN = (*_OF_SPAN, "status_message", "events", "context", "attributes", "annotations", "id")


def recognises_span(record: dict[str, Any]) -> bool:
    """Return whether a record is a row of a span table, or a span of Phoenix's API."""
    if "context.trace_id" in record:
        return any(key in record for key in _SPAN_IDS)
    context = record.get("context")
    return isinstance(context, dict) and "trace_id" in context and "span_kind" in record


def decode_row(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one span.

    Raises:
        BadLine: its messages are malformed.
    """
    return _decode_span(record, "phoenix_spans", origin)


def _decode_span(record: Record, name: str, origin: Origin) -> Decoded:
    span = _span({key: value for key, value in record.items() if not _is_nan(value)})
    found = decode_span(span, name, origin)
    row = found.interactions[0] if len(found.interactions) == 1 else None
    annotations = record.get("annotations")
    if isinstance(annotations, list):
        found.add(_annotations(annotations, own_target(span, row), name, origin))
    return found


def _span(record: Record) -> Span:
    """Bring a row of dotted columns to the shape of a span; Parquet writes NaN for nothing."""
    attributes = {
        key.removeprefix(_ATTRIBUTES): value
        for key, value in record.items()
        if key.startswith(_ATTRIBUTES)
    }
    inner = record.get("attributes")
    if isinstance(inner, dict):
        attributes.update(inner)
    kind = to_text(record.get("span_kind"))
    if kind and kind.upper() != "UNKNOWN":
        attributes.setdefault("openinference.span.kind", kind)
    # Columns that a user added to the table are kept with the attributes.
    for key, value in record.items():
        if key not in _KNOWN and not key.startswith((_ATTRIBUTES, "context.")):
            attributes.setdefault(key, value)
    context = record.get("context")
    if "context.trace_id" in record:
        span_id = next((record[key] for key in _SPAN_IDS if record.get(key)), None)
        context = {"trace_id": record["context.trace_id"], "span_id": span_id}
        for key in _SPAN_IDS[1:]:
            attributes.pop(key, None)
    return to_span({**record, "context": context, "attributes": attributes})


def _annotations(items: list[Any], target: Row, name: str, origin: Origin) -> Decoded:
    found = Decoded()
    for item in items:
        try:
            found.feedback.append(annotation(origin, name, item, target))
        except BadLine as reason:
            found.skipped.append(str(reason))
    return found


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def recognises_trace(record: dict[str, Any]) -> bool:
    """Return whether a record is a trace with its spans."""
    spans = record.get("spans")
    return (
        isinstance(record.get("traceId"), str)
        and isinstance(spans, list)
        and (not spans or (isinstance(spans[0], dict) and "context" in spans[0]))
    )


def decode_trace(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one trace: the rows of its model calls, and the annotations of spans and trace.

    Raises:
        BadLine: there is nothing in it but malformed spans.
    """
    found = Decoded()
    broken: list[BadLine] = []
    spans = record.get("spans")
    for span in spans if isinstance(spans, list) else []:
        try:
            if not isinstance(span, dict):
                raise BadLine("a span that is no object")
            found.add(_decode_span(span, "phoenix_traces", origin))
        except BadLine as reason:
            broken.append(reason)
    annotations = record.get("annotations")
    if isinstance(annotations, list):
        target = trace_target(to_id(record.get("traceId")))
        found.add(_annotations(annotations, target, "phoenix_traces", origin))
    nothing = not (found.interactions or found.feedback or found.skipped)
    if broken and nothing:
        raise broken[0]
    found.skipped += [str(reason) for reason in broken]
    if nothing and not broken:
        found.skipped.append("trace without spans")
    return found


def recognises_annotation(record: dict[str, Any]) -> bool:
    """Return whether a record is an annotation of a span, a trace or a session."""
    named = "annotation_name" in record or "name" in record
    target = any(key in record for key in ("span_id", "trace_id", "session_id"))
    return "annotator_kind" in record and named and target and "spans" not in record


def decode_annotation(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one annotation.

    Raises:
        BadLine: it says nothing, or not about what.
    """
    record = {key: value for key, value in record.items() if not _is_nan(value)}
    if first_of(record, "document_position") is not None:
        return Decoded(skipped=["annotation of a document"])
    span_id, trace_id = to_id(record.get("span_id")), to_id(record.get("trace_id"))
    session = to_text(record.get("session_id"))
    target: Row
    if span_id:
        target = {
            "target_kind": "span",
            "target_span_id": span_id,
            "target_trace_id": trace_id,
            "target_key": "span_id",
        }
    elif trace_id:
        target = trace_target(trace_id)
    elif session:
        target = {"target_kind": "conversation", "target_conversation_id": session}
    else:
        raise BadLine("an annotation without a target")
    return Decoded([], [annotation(origin, "phoenix_annotations", record, target)])


FORMATS = [
    Format(
        "phoenix_spans",
        "Phoenix span tables",
        "`context.trace_id` and `context.span_id`",
        Rank.ENVELOPE,
        recognises_span,
        decode_row,
    ),
    Format(
        "phoenix_traces",
        "Phoenix traces",
        "`traceId` and `spans` with their `context`",
        Rank.ENVELOPE,
        recognises_trace,
        decode_trace,
    ),
    Format(
        "phoenix_annotations",
        "Phoenix annotations",
        "`annotator_kind` and the id of a span, a trace or a session",
        Rank.ENVELOPE,
        recognises_annotation,
        decode_annotation,
        feedback_only=True,
    ),
]
