"""Spans as the Python SDK's ConsoleSpanExporter prints them: one object each, plain attributes.

Source: https://github.com/open-telemetry/opentelemetry-python, `ReadableSpan.to_json`.
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.fields import to_text
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.otel_annotations import inline
from loopllm_cli.sources.payloads.otel_calls import native_id, read_call
from loopllm_cli.sources.payloads.otel_kinds import CALL, kind_of
from loopllm_cli.sources.payloads.otlp import Event, Span, plain, to_id
from loopllm_cli.sources.rows import Decoded, Origin, Record

NAME = "otel_console"


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record is a span with a context, as the SDK prints it."""
    context = record.get("context")
    return (
        isinstance(context, dict)
        and "trace_id" in context
        and "start_time" in record
        and "span_kind" not in record
        and ("kind" in record or "resource" in record)
    )


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one span.

    Raises:
        BadLine: its messages are malformed.
    """
    return decode_span(to_span(record), NAME, origin)


def decode_span(span: Span, name: str, origin: Origin) -> Decoded:
    """Decode a span that stands alone: its rows if it is a model's call, and its votes.

    Raises:
        BadLine: its messages are malformed.
    """
    found = Decoded()
    kind = kind_of(span)
    if kind == CALL:
        found.interactions += read_call(span).rows(origin, name, native_id(span))
    else:
        found.skipped.append(kind)
    row = found.interactions[0] if len(found.interactions) == 1 else None
    found.add(inline(origin, name, span, row))
    return found


def to_span(record: Record) -> Span:
    """Read a span whose attributes are plain, whether printed by an SDK or kept by Phoenix."""
    context = _dict(record.get("context"))
    status = _dict(record.get("status"))
    code = to_text(status.get("status_code", record.get("status_code"))) or ""
    resource = _dict(record.get("resource"))
    events = record.get("events")
    return Span(
        trace_id=to_id(context.get("trace_id")),
        span_id=to_id(context.get("span_id")),
        parent_id=to_id(record.get("parent_id")),
        name=to_text(record.get("name")) or "",
        start=record.get("start_time"),
        end=record.get("end_time"),
        attributes=plain(_dict(record.get("attributes"))),
        failed=code.upper().rpartition(".")[2] in ("ERROR", "STATUS_CODE_ERROR"),
        message=to_text(status.get("description", record.get("status_message"))) or None,
        events=[_event(e) for e in events if isinstance(e, dict)]
        if isinstance(events, list)
        else [],
        resource=_dict(resource.get("attributes")),
    )


def _event(event: Record) -> Event:
    return Event(
        name=to_text(event.get("name")) or "",
        time=event.get("timestamp"),
        attributes=plain(_dict(event.get("attributes"))),
    )


def _dict(value: Any) -> Record:
    return value if isinstance(value, dict) else {}


FORMAT = Format(
    NAME,
    "OpenTelemetry spans as printed to the console",
    "a span with its `context` and plain attributes",
    Rank.ENVELOPE,
    recognises,
    decode,
)
