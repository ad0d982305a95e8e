"""Spans and log records out of OTLP's JSON, with their attributes as plain dicts.

Source: OTLP file exporter, https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/ ;
opentelemetry-proto, common.proto and trace.proto. Protobuf's own JSON mapping and some exporters
write snake_case names and base64 ids; both are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from loopllm_cli.sources.fields import to_hex_id, to_number, to_text, to_time
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Record

_MAX_DEPTH = 100
_SCALARS = ("stringValue", "intValue", "doubleValue", "boolValue", "bytesValue")
_NO_ID = ("", "0" * 16, "0" * 32)
_NANOSECONDS = 10**17


@dataclass(slots=True)
class Event:
    """Something that happened within a span, or a log record: a name and what it says."""

    name: str
    time: Any
    attributes: Record
    body: Any = None
    trace_id: str | None = None
    span_id: str | None = None


@dataclass(slots=True)
class Span:
    """One span; times as they were logged (nanoseconds or ISO 8601).

    `failed` says whether its status is an error. `scope` and `resource` are attributes of who
    wrote the span, `scope` with the instrumentation's `name`.
    """

    trace_id: str | None
    span_id: str | None
    parent_id: str | None
    name: str
    start: Any
    end: Any
    attributes: Record
    failed: bool = False
    message: str | None = None
    events: list[Event] = field(default_factory=list)
    scope: Record = field(default_factory=dict)
    resource: Record = field(default_factory=dict)


def to_id(value: Any) -> str | None:
    """Read a trace or span id as hex; the all-zero id of "none" is none."""
    found = to_hex_id(value)
    return None if found is None or found in _NO_ID else found


def any_value(value: Any, depth: int = 0) -> Any:
    """Turn an AnyValue into the plain value; what is none comes back as it is.

    Raises:
        BadLine: it is nested too deeply.
    """
    if depth > _MAX_DEPTH:
        raise BadLine("nested too deeply")
    if not isinstance(value, dict):
        return value
    if not value:
        return None
    if len(value) != 1:
        return value
    ((kind, inner),) = value.items()
    kind = _camel(kind)
    if kind == "intValue":
        # 64-bit integers are texts in protobuf's JSON.
        return _whole(inner)
    if kind in _SCALARS:
        return inner
    if kind == "arrayValue":
        items = inner.get("values") if isinstance(inner, dict) else None
        return [any_value(item, depth + 1) for item in items] if isinstance(items, list) else []
    if kind == "kvlistValue":
        pairs = inner.get("values") if isinstance(inner, dict) else None
        return plain(pairs, depth + 1)
    return value


def plain(attributes: Any, depth: int = 0) -> Record:
    """Turn a list of key and AnyValue into a dict; a dict is taken as it is.

    Raises:
        BadLine: a value is nested too deeply.
    """
    if isinstance(attributes, dict):
        return {key: value for key, value in attributes.items() if value is not None}
    if not isinstance(attributes, list):
        return {}
    found = {}
    for pair in attributes:
        if isinstance(pair, dict) and isinstance(pair.get("key"), str):
            value = any_value(pair.get("value"), depth)
            if value is not None:
                found[pair["key"]] = value
    return found


def _whole(value: Any) -> Any:
    if isinstance(value, str) and len(value) < 20 and value.lstrip("-").isdecimal():
        return int(value)
    return value


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def pick(record: Any, name: str) -> Any:
    """Return a field by its lowerCamelCase or its snake_case name."""
    if not isinstance(record, dict):
        return None
    if name in record:
        return record[name]
    return record.get("".join(f"_{c.lower()}" if c.isupper() else c for c in name))


def _items(record: Any, *names: str) -> Iterator[Any]:
    for name in names:
        found = pick(record, name)
        if isinstance(found, list):
            yield from found


def _scoped(record: Record, signal: str, leaf: str) -> Iterator[tuple[Record, Record, Any]]:
    """Yield resource attributes, scope and each leaf of `resourceSpans` or `resourceLogs`."""
    for group in _items(record, f"resource{signal}"):
        resource = pick(group, "resource")
        attributes = plain(resource.get("attributes")) if isinstance(resource, dict) else {}
        for scoped in _items(group, f"scope{signal}", f"instrumentationLibrary{signal}"):
            scope = pick(scoped, "scope") or pick(scoped, "instrumentationLibrary")
            named = scope if isinstance(scope, dict) else {}
            known = {key: to_text(named.get(key)) for key in ("name", "version")}
            own = {key: text for key, text in known.items() if text}
            for item in _items(scoped, leaf):
                yield attributes, own, item


def spans(record: Record) -> Iterator[Span | BadLine]:
    """Yield the spans of one line; a malformed one comes as its reason."""
    for resource, scope, item in _scoped(record, "Spans", "spans"):
        try:
            yield _span(item, scope, resource)
        except BadLine as reason:
            yield reason


def _span(item: Any, scope: Record, resource: Record) -> Span:
    if not isinstance(item, dict):
        raise BadLine("a span that is no object")
    status = pick(item, "status")
    code = to_text(pick(status, "code")) or ""
    return Span(
        trace_id=to_id(pick(item, "traceId")),
        span_id=to_id(pick(item, "spanId")),
        parent_id=to_id(pick(item, "parentSpanId")),
        name=to_text(pick(item, "name")) or "",
        start=pick(item, "startTimeUnixNano"),
        end=pick(item, "endTimeUnixNano"),
        attributes=plain(pick(item, "attributes")),
        failed=code.upper() in ("2", "ERROR", "STATUS_CODE_ERROR"),
        message=to_text(pick(status, "message")) or None,
        events=[_event(event) for event in _items(item, "events") if isinstance(event, dict)],
        scope=scope,
        resource=resource,
    )


def _event(event: Record) -> Event:
    return Event(
        name=to_text(pick(event, "name")) or "",
        time=pick(event, "timeUnixNano"),
        attributes=plain(pick(event, "attributes")),
    )


def logs(record: Record) -> Iterator[tuple[Event, Record, Record] | BadLine]:
    """Yield log records with their scope and resource; a malformed one comes as its reason."""
    for resource, scope, item in _scoped(record, "Logs", "logRecords"):
        try:
            yield _log(item), scope, resource
        except BadLine as reason:
            yield reason


def _log(item: Any) -> Event:
    if not isinstance(item, dict):
        raise BadLine("a log record that is no object")
    attributes = plain(pick(item, "attributes"))
    name = pick(item, "eventName") or attributes.get("event.name")
    time = pick(item, "timeUnixNano")
    return Event(
        name=to_text(name) or "",
        time=time if to_number(time) else pick(item, "observedTimeUnixNano"),
        attributes=attributes,
        body=any_value(pick(item, "body")),
        trace_id=to_id(pick(item, "traceId")),
        span_id=to_id(pick(item, "spanId")),
    )


def moment(value: Any) -> datetime | None:
    """Read a span's time: nanoseconds, ISO 8601, or what a Parquet reader made of it."""
    return to_time(value.isoformat() if isinstance(value, datetime) else value)


def seconds_between(start: Any, end: Any) -> float | None:
    """Return a duration in seconds; None where a time is missing or the clock ran backwards."""
    try:
        first_ns, last_ns = int(start), int(end)
    except (TypeError, ValueError, OverflowError):
        first_ns = last_ns = 0
    first, last = moment(start), moment(end)
    if first is None or last is None:
        return None
    # Exact for nanoseconds, whose digits no float holds.
    exact = first_ns > _NANOSECONDS
    seconds = (last_ns - first_ns) / 1e9 if exact else (last - first).total_seconds()
    return seconds if seconds >= 0 else None
