"""OpenTelemetry records for tests: one call, told by spans and events in every dialect."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import orjson
from decoding import decode_all, decoded

from loopllm_cli.sources.formats import format_by_name
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Origin, to_json

TRACE, SPAN, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"
START = 1_780_000_000_000_000_000
ASKED = [{"role": "user", "parts": [{"type": "text", "content": "Is the ferry late?"}]}]
SAID = [
    {
        "role": "assistant",
        "parts": [{"type": "text", "content": "By ten minutes."}],
        "finish_reason": "stop",
    }
]
CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "m-1",
    "gen_ai.response.id": "r-1",
}


def any_of(value: Any) -> dict[str, Any]:
    """Return a value as OTLP writes it."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_of(item) for item in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": listed(value)}}
    return {"stringValue": value} if isinstance(value, str) else {}


def listed(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": any_of(value)} for key, value in attributes.items()]


def span(attributes: dict[str, Any], span_id: str = SPAN, **fields: Any) -> dict[str, Any]:
    return {
        "traceId": TRACE,
        "spanId": span_id,
        "name": "a span",
        "startTimeUnixNano": str(START),
        "endTimeUnixNano": str(START + 2_500_000_000),
        "attributes": listed(attributes),
        **fields,
    }


def line(*spans: Any, scope: str = "tests") -> dict[str, Any]:
    resource = {"attributes": listed({"service.name": "harbour"})}
    scoped = {"scope": {"name": scope}, "spans": list(spans)}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [scoped]}]}


def log(name: str, attributes: dict[str, Any], body: Any = None, **fields: Any) -> dict[str, Any]:
    record = {
        "timeUnixNano": str(START + 2_000_000_000),
        "eventName": name,
        "attributes": listed(attributes),
        "body": any_of(body),
        "traceId": TRACE,
        "spanId": SPAN,
        **fields,
    }
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}


DETAILS = "gen_ai.client.inference.operation.details"
CONTENT = {"gen_ai.input.messages": ASKED, "gen_ai.output.messages": SAID}


def only(*records: dict[str, Any]) -> dict[str, Any]:
    """Return the one row of some records, the newest of its versions as a store keeps it."""
    rows = decode_all(records)[1].interactions
    assert {rows[0]["interaction_id"]} == {row["interaction_id"] for row in rows}
    return max(rows, key=lambda row: row["source_version"] or 0)


def texts(row: dict[str, Any]) -> tuple[str | None, str | None, str]:
    return row["prompt_text"], row["response_text"], row["content_state"]


FULL = ("Is the ferry late?", "By ten minutes.", "full")

VERCEL_PROMPT = json.dumps(
    [{"role": "user", "content": [{"type": "text", "text": "Is the ferry late?"}]}]
)
EVENTS = [
    {"event.name": "gen_ai.user.message", "role": "user", "content": "Is the ferry late?"},
    {"event.name": "gen_ai.choice", "index": 0, "message": {"content": "By ten minutes."}},
]
CHAT = {"messages": [{"role": "user", "content": "Is the ferry late?"}]}
DIALECTS: dict[str, dict[str, Any]] = {
    "openllmetry": {
        "gen_ai.system": "OpenAI",
        "gen_ai.prompt.0.role": "user",
        "gen_ai.prompt.0.content": "Is the ferry late?",
        "gen_ai.completion.0.content": "By ten minutes.",
    },
    "langsmith": {
        "langsmith.span.kind": "llm",
        "gen_ai.prompt": json.dumps(CHAT),
        "gen_ai.completion": json.dumps(
            {"choices": [{"message": {"content": SAID[0]["parts"][0]["content"]}}]}
        ),
    },
    "vercel": {
        "ai.operationId": "ai.streamText.doStream",
        "ai.prompt.messages": VERCEL_PROMPT,
        "ai.response.text": "By ten minutes.",
        "ai.response.msToFirstChunk": 120,
    },
    "vercel, older": {
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.prompt": json.dumps({"messages": json.loads(VERCEL_PROMPT)}),
        "ai.result.text": "By ten minutes.",
    },
    "pydantic-ai": {**CALL, "events": json.dumps(EVENTS)},
    "adk": {
        "gen_ai.system": "gcp.vertex.agent",
        "gcp.vertex.agent.llm_request": json.dumps(
            {
                "model": "g",
                "contents": [{"role": "user", "parts": [{"text": "Is the ferry late?"}]}],
            }
        ),
        "gcp.vertex.agent.llm_response": json.dumps(
            {"content": {"role": "model", "parts": [{"text": "By ten minutes."}]}}
        ),
    },
    "mlflow": {
        "mlflow.spanType": '"CHAT_MODEL"',
        "mlflow.spanInputs": json.dumps(CHAT),
        "mlflow.spanOutputs": json.dumps("By ten minutes."),
    },
    "openinference": {
        "openinference.span.kind": "LLM",
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.contents.0.message_content.text": "Is the ferry late?",
        "llm.output_messages.0.message.content": "By ten minutes.",
    },
    "openinference, values": {
        "openinference.span.kind": "LLM",
        "input.value": "Is the ferry late?",
        "output.value": "By ten minutes.",
        "output.mime_type": "text/plain",
    },
}


HOSTILE: list[Any] = [None, 3, "[", [], {}, [7], {"a": 1}, "[1]", True]


def mutations(value: Any) -> Iterator[Any]:
    """Yield a structure with each of its values replaced in turn, also inside JSON texts."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        yield from (json.dumps(inner) for inner in mutations(json.loads(value)))
    if not isinstance(value, dict | list):
        return
    places: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
    for key in places:
        for other in (*HOSTILE, *mutations(value[key])):
            copied = copy.copy(value)
            copied[key] = other
            yield copied


def read_or_refuse(record: dict[str, Any]) -> None:
    """Decode a record and put its parts together; only a refusal may come instead of a result."""
    try:
        name, found = decoded(record)
    except BadLine:
        return
    assert found.interactions or found.feedback or found.parts or found.skipped
    assemble = format_by_name(name).assemble
    for part in found.parts:
        assert assemble is not None
        assemble(part.group, [orjson.loads(to_json(part.content))], Origin("", 0, "test"))
