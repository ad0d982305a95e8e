"""OTLP in JSON: spans and log records of model calls, in any of the dialects.

One call may be told twice, by its span and by an event, in different lines or files, and a span
may hold no content at all. What a span tells completely becomes its row at once. Everything else
is a part of the group of its span, and the row is put together from what has arrived. All have
the id `otlp:<trace>/<span>`, and a complete span outranks what its events say once more.

Source: https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loopllm_cli.sources.fields import to_number, to_text
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads import otlp
from loopllm_cli.sources.payloads.otel_annotations import EVALUATION, evaluation, inline
from loopllm_cli.sources.payloads.otel_calls import (
    DETAILS,
    event_body,
    is_legacy,
    native_id,
    read_call,
)
from loopllm_cli.sources.payloads.otel_groups import assemble_calls
from loopllm_cli.sources.payloads.otel_kinds import AGENT_RUN, CALL, is_run, kind_of
from loopllm_cli.sources.payloads.otlp import Event, Span
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Part, Record, digest, to_json

NAME = "otlp"
_KEYS = ("resourceSpans", "resource_spans", "resourceLogs", "resource_logs")
_METRICS = ("resourceMetrics", "resource_metrics")
# More than any number of parts: a span that tells all is never replaced by its events.
_COMPLETE = 2**31


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record is one line of OTLP: spans, log records or metrics."""
    return any(isinstance(record.get(key), list) for key in (*_KEYS, *_METRICS))


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one line; a malformed span among others is skipped with its reason.

    Raises:
        BadLine: there is nothing in the line but malformed spans or log records.
    """
    found = Decoded()
    broken: list[BadLine] = []
    for span in otlp.spans(record):
        try:
            if isinstance(span, BadLine):
                raise span
            found.add(_span(span, origin))
        except BadLine as reason:
            broken.append(reason)
    for place, log in enumerate(otlp.logs(record)):
        try:
            if isinstance(log, BadLine):
                raise log
            found.add(_log(log, place, origin))
        except BadLine as reason:
            broken.append(reason)
    nothing = not (found.interactions or found.feedback or found.parts or found.skipped)
    if broken and nothing:
        raise broken[0]
    found.skipped += [str(reason) for reason in broken]
    if nothing and not broken:
        metrics = any(key in record for key in _METRICS)
        found.skipped.append("metrics" if metrics else "batch without spans or log records")
    return found


def _span(span: Span, origin: Origin) -> Decoded:
    found = Decoded()
    kind = kind_of(span)
    if kind == CALL:
        found = _call(span, origin)
    elif kind == AGENT_RUN and is_run(span) and native_id(span):
        found.parts.append(Part(_group(span), "agent", {"kind": "agent", **_content(span)}))
    else:
        found.skipped.append(kind)
    row = found.interactions[0] if len(found.interactions) == 1 else None
    found.add(inline(origin, NAME, span, row))
    for event in span.events:
        if event.name == EVALUATION:
            event.trace_id, event.span_id = span.trace_id, span.span_id
            try:
                found.feedback.append(evaluation(origin, NAME, event))
            except BadLine as reason:
                found.skipped.append(str(reason))
    return found


def _call(span: Span, origin: Origin) -> Decoded:
    found = Decoded()
    call = read_call(span)
    if call.is_complete or native_id(span) is None:
        call.values["source_version"] = _COMPLETE
        found.interactions += call.rows(origin, NAME, native_id(span))
    else:
        found.parts.append(Part(_group(span), "span", {"kind": "span", **_content(span)}))
    if span.parent_id and span.trace_id and _has_runs(span):
        # Tells the agent's own span that the calls inside it have rows.
        inside = Part(f"{span.trace_id}/{span.parent_id}", f"inside/{span.span_id}", _INSIDE)
        found.parts.append(inside)
    return found


_INSIDE: Record = {"kind": "inside"}


def _has_runs(span: Span) -> bool:
    """Return whether a call's library repeats its messages on the span of the agent's run."""
    scope = to_text(span.scope.get("name")) or ""
    return scope.startswith("pydantic-ai") or "logfire.msg" in span.attributes


def _group(span: Span) -> str:
    return f"{span.trace_id}/{span.span_id}"


def _content(span: Span) -> Record:
    content = {name: getattr(span, name) for name in _SPAN_FIELDS}
    content["events"] = [[e.name, e.time, e.attributes, e.body] for e in span.events]
    to_json(content)  # must be storable
    return content


_SPAN_FIELDS = (
    *("trace_id", "span_id", "parent_id", "name", "start", "end"),
    *("attributes", "failed", "message", "scope", "resource"),
)


def _log(log: tuple[Event, Record, Record], place: int, origin: Origin) -> Decoded:
    event, scope, resource = log
    if event.name == EVALUATION:
        return Decoded([], [evaluation(origin, NAME, event)])
    if event.name != DETAILS and not is_legacy(event.name):
        return Decoded(skipped=["log record of another kind"])
    if event.name == DETAILS and isinstance(event.body, dict):
        event.attributes = {**event.body, **event.attributes}
    content: Record = {
        "kind": "details" if event.name == DETAILS else "event",
        "name": event.name,
        "time": event.time,
        "attributes": event.attributes,
        "scope": scope,
        "resource": resource,
        "trace_id": event.trace_id,
        "span_id": event.span_id,
    }
    if event.name != DETAILS:
        content["body"] = event_body(event)
    if event.trace_id and event.span_id:
        # Keys in the order of time; the place tells apart what was written in one tick.
        time = int(to_number(event.time) or 0)
        key = f"{content['kind']}/{time:020d}.{place:05d}.{digest(content)[:8]}"
        return Decoded(parts=[Part(f"{event.trace_id}/{event.span_id}", key, content)])
    if event.name != DETAILS:
        return Decoded(skipped=["message event without a span"])
    return assemble_calls(NAME, None, [content], origin)


def assemble(group: str, contents: Sequence[Record], origin: Origin) -> Decoded:
    """Put the call of one span together from its span and its events."""
    return assemble_calls(NAME, group, contents, origin)


FORMAT = Format(
    NAME,
    "OpenTelemetry spans and logs (OTLP)",
    "`resourceSpans` or `resourceLogs`",
    Rank.ENVELOPE,
    recognises,
    decode,
    assemble,
)
