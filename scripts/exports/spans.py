"""What OpenTelemetry's collector writes, and Phoenix's tables."""

from __future__ import annotations

import json

from scripts.exports.calls import (
    CALLS,
    MODEL,
    Record,
    at,
    iso,
    nanos,
    span_id,
    trace_id,
)


def _attributes(values: Record) -> list[Record]:
    """Write attributes as OTLP's JSON has them."""
    written = []
    for key, value in values.items():
        if isinstance(value, int):
            written.append({"key": key, "value": {"intValue": str(value)}})
        elif isinstance(value, float):
            written.append({"key": key, "value": {"doubleValue": value}})
        elif isinstance(value, list):
            listed = [{"stringValue": item} for item in value]
            written.append({"key": key, "value": {"arrayValue": {"values": listed}}})
        else:
            written.append({"key": key, "value": {"stringValue": value}})
    return written


def _span(number: int) -> Record:
    question, answer, n_in, n_out = CALLS[number]
    asked = [{"role": "user", "parts": [{"type": "text", "content": question}]}]
    part = {"type": "text", "content": answer}
    said = [{"role": "assistant", "parts": [part], "finish_reason": "stop"}]
    return {
        "traceId": trace_id(number),
        "spanId": span_id(number),
        "parentSpanId": "",
        "name": f"chat {MODEL}",
        "kind": 3,
        "startTimeUnixNano": nanos(at(number)),
        "endTimeUnixNano": nanos(at(number, 0.9)),
        "attributes": _attributes(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": MODEL,
                "gen_ai.response.model": MODEL,
                "gen_ai.response.id": f"chatcmpl-desk{number}",
                "gen_ai.conversation.id": f"visit-{number // 2}",
                "gen_ai.usage.input_tokens": n_in,
                "gen_ai.usage.output_tokens": n_out,
                "gen_ai.response.finish_reasons": ["stop"],
                "gen_ai.input.messages": json.dumps(asked),
                "gen_ai.output.messages": json.dumps(said),
            }
        ),
        "status": {},
    }


def otel_traces() -> list[Record]:
    """Return lines of the collector's file exporter: model calls, and a tool's span."""
    tool = {
        **_span(1),
        "spanId": span_id(8),
        "parentSpanId": span_id(1),
        "name": "execute_tool find_branches",
        "attributes": _attributes({"gen_ai.operation.name": "execute_tool"}),
    }
    resource = {"attributes": _attributes({"service.name": "desk"})}
    scope = {"name": "desk.instrumentation"}
    return [
        {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": s}]}]}
        for s in ([_span(0), _span(1)], [tool], [_span(2)])
    ]


def otel_logs() -> list[Record]:
    """Return a line of the collector's file exporter with a reader's verdict."""
    event = {
        "timeUnixNano": nanos(at(3)),
        "eventName": "gen_ai.evaluation.result",
        "attributes": _attributes(
            {
                "gen_ai.evaluation.name": "user_thumb",
                "gen_ai.evaluation.score.value": 0.0,
                "gen_ai.evaluation.score.label": "thumbs_down",
                "gen_ai.response.id": "chatcmpl-desk2",
            }
        ),
        "traceId": trace_id(2),
        "spanId": span_id(2),
    }
    resource = {"attributes": _attributes({"service.name": "desk"})}
    return [{"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [event]}]}]}]


def phoenix_spans() -> list[Record]:
    """Return rows of Phoenix's table of spans, as pandas writes them."""
    return [
        {
            "name": "ChatCompletion",
            "span_kind": "LLM",
            "parent_id": None,
            "start_time": iso(at(number)),
            "end_time": iso(at(number, 0.9)),
            "status_code": "OK",
            "status_message": "",
            "context.span_id": span_id(number),
            "context.trace_id": trace_id(number),
            "attributes.openinference.span.kind": "LLM",
            "attributes.llm.model_name": MODEL,
            "attributes.llm.input_messages": [
                {"message.role": "user", "message.content": CALLS[number][0]}
            ],
            "attributes.llm.output_messages": [
                {"message.role": "assistant", "message.content": CALLS[number][1]}
            ],
            "attributes.llm.token_count.prompt": CALLS[number][2],
            "attributes.llm.token_count.completion": CALLS[number][3],
            "attributes.session.id": f"visit-{number // 2}",
        }
        for number in range(3)
    ]


def phoenix_annotations() -> list[Record]:
    """Return rows of Phoenix's table of annotations."""
    given = (
        (0, "user_feedback", "HUMAN", "thumbs_up", 1.0),
        (2, "user_feedback", "HUMAN", "thumbs_down", 0.0),
        (2, "correctness", "LLM", "incorrect", 0.0),
    )
    return [
        {
            "span_id": span_id(number),
            "id": f"annotation-{place}",
            "annotation_name": name,
            "annotator_kind": kind,
            "identifier": "",
            "metadata": {},
            "created_at": iso(at(3, place)),
            "updated_at": iso(at(3, place)),
            "result.label": label,
            "result.score": score,
        }
        for place, (number, name, kind, label, score) in enumerate(given)
    ]
