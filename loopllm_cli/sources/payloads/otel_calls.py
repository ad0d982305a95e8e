"""From a span that is a model's call to its rows, whatever names its content stands under."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from loopllm_cli.sources.fields import to_text
from loopllm_cli.sources.payloads import openinference
from loopllm_cli.sources.payloads.body import Request, Response, exchange
from loopllm_cli.sources.payloads.otel_attributes import read_columns, read_resource
from loopllm_cli.sources.payloads.otel_dialects import DIALECTS, Sides, from_events, read_current
from loopllm_cli.sources.payloads.otlp import Event, Span, moment, seconds_between
from loopllm_cli.sources.rows import Origin, Record, Row, to_json

DETAILS = "gen_ai.client.inference.operation.details"
# Events that hold attributes of the call itself.
_CARRIERS = (DETAILS, "gen_ai.content.prompt", "gen_ai.content.completion")
_CURRENT = ("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions")
_READERS = (
    (_CURRENT, read_current),
    ((*openinference.CONTENT, "llm.invocation_parameters"), openinference.read),
    *DIALECTS,
)
_CONTENT = frozenset(name for names, _ in _READERS for name in names) - {
    "llm.invocation_parameters"
}
_VOTES = ("annotations", "evaluations", "trace", "session")


@dataclass(slots=True)
class Call:
    """One call of a model: its two sides, and the columns that its span has."""

    request: Request | None
    response: Response | None
    values: Row

    @property
    def is_complete(self) -> bool:
        """Return whether both sides have their content, all of it."""
        answered = self.response is not None and any(a.message for a in self.response.answers)
        asked = self.request is not None and bool(self.request.messages)
        return asked and answered and self._state is None

    @property
    def _state(self) -> Any:
        return self.response.values.get("content_state") if self.response else None

    def rows(self, origin: Origin, name: str, native_id: str | None, part: str = "") -> list[Row]:
        """Build one row per choice, or one without answer."""
        return exchange(
            origin,
            name,
            self.request,
            self.response,
            self.values,
            native_id=native_id,
            part=part,
        )


def native_id(span: Span) -> str | None:
    """Return the id of a span's row; None for a span that does not say which it is."""
    return f"{span.trace_id}/{span.span_id}" if span.trace_id and span.span_id else None


def is_legacy(name: str) -> bool:
    """Return whether an event is one of the older ones that hold one message each."""
    return name == "gen_ai.choice" or (name.startswith("gen_ai.") and name.endswith(".message"))


def event_body(event: Event) -> Any:
    """Return what an older event says, wherever its writer put it."""
    if event.body is not None:
        return event.body
    return event.attributes.get("gen_ai.event.content", event.attributes)


def read_call(span: Span, events: Sides = (None, None)) -> Call:
    """Read a call's span.

    Args:
        events: the sides that came with events of the span; they go before its own.

    Raises:
        BadLine: its messages are malformed.
    """
    carried = [e for e in span.events if e.name in _CARRIERS]
    if carried:
        merged = dict(span.attributes)
        for event in carried:
            merged.update(event.attributes)
        span = replace(span, attributes=merged)
    (request, response), taken = _sides(span, events)
    values, used = read_columns(span.attributes)
    resource, rest = read_resource(span.resource)
    values.update(
        resource,
        request_time=moment(span.start),
        time_basis="request_start" if moment(span.start) else None,
        duration_s=seconds_between(span.start, span.end),
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_id,
        is_root=span.parent_id is None,
    )
    if span.failed and values.get("error_type") is None:
        raised = (to_text(e.attributes.get("exception.type")) for e in span.events)
        values["error_type"] = next((text for text in raised if text), "error")
    values["attributes_json"] = _left_over(span, used | taken, rest)
    return Call(request, response, values)


def _sides(span: Span, events: Sides) -> tuple[Sides, set[str]]:
    """Read both sides from wherever they stand; return them and the attributes that hold them."""
    request, response = events
    attributes = span.attributes
    taken: set[str] = set()
    for names, read in _READERS:
        if _complete(request, response) and read is not openinference.read:
            break
        present = {key for key in attributes if _is_below(key, names)}
        if not present:
            continue
        asked, said = read(attributes)
        if asked is not None or said is not None:
            taken |= present
        request, response = _join(request, asked), _join_response(response, said)
    if not _complete(request, response):
        legacy = [(e.name, event_body(e)) for e in span.events if is_legacy(e.name)]
        asked, said = from_events(legacy) if legacy else (None, None)
        request, response = _join(request, asked), _join_response(response, said)
    if _complete(request, response):
        taken |= {key for key in attributes if _is_below(key, _CONTENT)}
    return (request, response), taken & {k for k in attributes if _is_below(k, _CONTENT)}


def _is_below(key: str, names: Any) -> bool:
    while key not in names:
        key, dot, _ = key.rpartition(".")
        if not dot:
            return False
    return True


def _complete(request: Request | None, response: Response | None) -> bool:
    return bool(request and request.messages and response and response.answers)


def _join(first: Request | None, second: Request | None) -> Request | None:
    if first is None or second is None:
        return first or second
    known = {key: value for key, value in first.values.items() if value is not None}
    return Request(first.messages or second.messages, {**second.values, **known})


def _join_response(first: Response | None, second: Response | None) -> Response | None:
    if first is None or second is None:
        return first or second
    known = {key: value for key, value in first.values.items() if value is not None}
    return Response(first.answers or second.answers, {**second.values, **known})


def _left_over(span: Span, used: set[str], resource: Record) -> str | None:
    rest: Record = {
        key: value
        for key, value in span.attributes.items()
        if key not in used and value not in ("", [], {}) and not _is_vote(key)
    }
    others = [
        {"name": e.name, **e.attributes}
        for e in span.events
        if not is_legacy(e.name) and e.name not in _CARRIERS
    ]
    about = {
        "span_name": span.name,
        "status_message": span.message,
        "scope": span.scope,
        "resource": resource,
        "events": others,
    }
    rest.update((key, value) for key, value in about.items() if value)
    return to_json(rest) if rest else None


def _is_vote(key: str) -> bool:
    first, _, second = key.partition(".")
    return first in _VOTES[:2] or (first in _VOTES[2:] and second.partition(".")[0] in _VOTES[:2])
