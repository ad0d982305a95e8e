"""One call out of what arrived of it: its span, its events, in any order and number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from loopllm_cli.sources.fields import to_text
from loopllm_cli.sources.payloads.otel_calls import Call, read_call
from loopllm_cli.sources.payloads.otel_dialects import Sides, from_events
from loopllm_cli.sources.payloads.otlp import Event, Span, moment
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Record, Row, digest

_NO_SIDES: Sides = (None, None)


def assemble_calls(
    name: str, group: str | None, contents: Sequence[Record], origin: Origin
) -> Decoded:
    """Build the rows of one group of parts; an empty result waits for more.

    Several events with the details of a call in one span are several calls: that span is not
    theirs, but what ran around them. The one that the span's own response id names, or else the
    first, is the row of the span; the others have rows of their own.

    Args:
        group: the native id of the span's row.
        contents: what `envelopes/otlp.py` put into the parts, in the order of their keys.
    """
    try:
        return _assemble(name, group, contents, origin)
    except BadLine as reason:
        return Decoded(skipped=[str(reason)])


def _assemble(name: str, group: str | None, contents: Sequence[Record], origin: Origin) -> Decoded:
    by_kind: dict[str, list[Record]] = {}
    for content in contents:
        by_kind.setdefault(content.get("kind", ""), []).append(content)
    spans, details = by_kind.get("span", []), by_kind.get("details", [])
    events = _distinct(by_kind.get("event", []))
    span = _span(spans[0]) if spans else None
    found = Decoded()
    if span is None and not details and not events:
        if "agent" in by_kind and "inside" not in by_kind:
            call = read_call(_span(by_kind["agent"][0]))
            call.values.update(operation_name="invoke_agent", source_version=len(contents))
            found.interactions += call.rows(origin, name, group)
        elif "agent" in by_kind:
            found.skipped.append("agent span")
        return found
    main = _main(span, details)
    calls = [(_merged(span, main, events), "")] if span or main else _by_choice(events)
    for other in details:
        if other is not main:
            call = _merged(None, other, [])
            calls.append((call, f":{call.values.get('response_id') or other.get('time')}"))
    for call, part in calls:
        call.values["source_version"] = len(contents)
        found.interactions += call.rows(origin, name, group, part)
    return found


def _span(content: Record) -> Span:
    fields = {key: value for key, value in content.items() if key != "kind"}
    return Span(**{**fields, "events": [Event(*event) for event in fields["events"]]})


def _distinct(events: list[Record]) -> list[Record]:
    """Leave out what was exported twice: the same words at the same time."""
    by_content = {digest(e["name"], e["time"], e["body"]): e for e in reversed(events)}
    return list(by_content.values())[::-1]


def _main(span: Span | None, details: list[Record]) -> Record | None:
    own = span.attributes.get("gen_ai.response.id") if span else None
    if own is None or not details:
        return details[0] if details else None
    named = [(d["attributes"].get("gen_ai.response.id"), d) for d in details]
    same = [d for response_id, d in named if response_id == own]
    unnamed = [d for response_id, d in named if response_id is None]
    return next(iter([*same, *unnamed]), None)


def _merged(span: Span | None, details: Record | None, events: list[Record]) -> Call:
    """Read one call from all that is known of it; what an event says goes first."""
    sides = from_events([(e["name"], e["body"]) for e in events]) if events else _NO_SIDES
    around = [*([details] if details else []), *events]
    attributes: Record = {}
    for event in reversed(events):
        # Their other attributes say what the message is, not the call.
        attributes.update((k, v) for k, v in event["attributes"].items() if k in _OF_CALL)
    attributes.update(span.attributes if span else {})
    attributes.update(details["attributes"] if details else {})
    attributes.pop("event.name", None)
    if span is not None:
        return read_call(replace(span, attributes=attributes), sides)
    first = around[0]
    lone = Span(
        trace_id=first["trace_id"],
        span_id=first["span_id"],
        parent_id=None,
        name="",
        start=None,
        end=None,
        attributes=attributes,
        scope=first["scope"],
        resource=first["resource"],
    )
    call = read_call(lone, sides)
    call.values.update(_event_time(details, first), is_root=None)
    return call


_OF_CALL = ("gen_ai.system", "gen_ai.provider.name", "gen_ai.conversation.id", "user.id")


def _event_time(details: Record | None, first: Record) -> Row:
    """Say when a call was whose span is not known: its details are written when it ends."""
    time = moment(first["time"])
    basis = "response_end" if details else "log_time"
    return {"request_time": time, "time_basis": basis if time else None}


def _by_choice(events: list[Record]) -> list[tuple[Call, str]]:
    """Split message events of no known call: a message after a choice begins the next one.

    Messages that no choice follows are not yet a call.
    """
    calls: list[tuple[Call, str]] = []
    begun: list[Record] = []
    for place, event in enumerate(events):
        begun.append(event)
        following = events[place + 1]["name"] if place + 1 < len(events) else None
        if event["name"] == "gen_ai.choice" and following != "gen_ai.choice":
            part = f":{to_text(begun[0]['time'])}" if calls else ""
            calls.append((_merged(None, None, begun), part))
            begun = []
    return calls
