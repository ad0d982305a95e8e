"""OpenTelemetry spans and events become rows, one per call however often it is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from decoding import decode_all, decoded, row_of
from otel_records import (
    ASKED,
    CALL,
    CONTENT,
    DETAILS,
    FULL,
    PARENT,
    SAID,
    SPAN,
    START,
    TRACE,
    line,
    listed,
    log,
    only,
    span,
    texts,
)

from loopllm_cli.sources.payloads.otlp import any_value
from loopllm_cli.sources.reading import BadLine


def test_a_span_with_content_is_a_row_at_once() -> None:
    row = row_of(line(span({**CALL, **CONTENT, "gen_ai.usage.input_tokens": 7}, parentSpanId="")))
    assert FULL == texts(row)
    assert f"otlp:{TRACE}/{SPAN}" == row["interaction_id"]
    assert (TRACE, SPAN, None, True) == (
        row["trace_id"],
        row["span_id"],
        row["parent_span_id"],
        row["is_root"],
    )
    assert (2.5, 7, "stop", "harbour", "r-1") == (
        row["duration_s"],
        row["input_tokens"],
        row["finish_reason"],
        row["service_name"],
        row["response_id"],
    )


def test_messages_may_be_json_texts_or_structures() -> None:
    as_text = {key: json.dumps(value) for key, value in CONTENT.items()}
    structured, written = (row_of(line(span({**CALL, **c}))) for c in (CONTENT, as_text))
    assert structured["content_digest"] == written["content_digest"]


def test_snake_case_names_and_base64_ids_give_the_same_row() -> None:
    snake = {
        "trace_id": "CvdlGRbNQ92ESOshHIAxnA==",
        "span_id": "t61rcWkgMzE=",
        "start_time_unix_nano": START,
        "attributes": [
            {"key": key, "value": {"string_value": json.dumps(v) if isinstance(v, list) else v}}
            for key, v in {**CALL, **CONTENT}.items()
        ],
    }
    row = row_of({"resource_spans": [{"scope_spans": [{"spans": [snake]}]}]})
    assert (f"otlp:{TRACE}/{SPAN}", FULL) == (row["interaction_id"], texts(row))


def test_a_span_without_content_is_a_row_with_its_tokens() -> None:
    row = only(line(span({**CALL, "gen_ai.usage.prompt_tokens": 9})))
    assert ("absent", 9, None) == (row["content_state"], row["input_tokens"], row["error_type"])


def test_a_failed_span_is_a_row_with_its_error_and_no_answer() -> None:
    raised = {"name": "exception", "attributes": listed({"exception.type": "TimeoutError"})}
    failed = span({**CALL, "gen_ai.input.messages": ASKED}, status={"code": 2}, events=[raised])
    row = only(line(failed))
    assert ("TimeoutError", None, "Is the ferry late?") == (
        row["error_type"],
        row["response_text"],
        row["prompt_text"],
    )


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("with_content", [True, False])
def test_a_span_and_its_event_are_one_row(order: tuple[int, int], with_content: bool) -> None:
    told = [
        line(span({**CALL, **(CONTENT if with_content else {})}, parentSpanId=PARENT)),
        log(DETAILS, {**CALL, **CONTENT}),
    ]
    row = only(*(told[place] for place in order))
    assert (FULL, 2.5, PARENT, "request_start") == (
        texts(row),
        row["duration_s"],
        row["parent_span_id"],
        row["time_basis"],
    )


def test_an_event_alone_has_the_id_that_its_span_would_give() -> None:
    row = only(log(DETAILS, {**CALL, **CONTENT}))
    assert (f"otlp:{TRACE}/{SPAN}", FULL, "response_end", None) == (
        row["interaction_id"],
        texts(row),
        row["time_basis"],
        row["is_root"],
    )


def test_two_calls_told_within_one_other_span_are_two_rows() -> None:
    second = {**CALL, **CONTENT, "gen_ai.response.id": "r-2"}
    _, found = decode_all([log(DETAILS, {**CALL, **CONTENT}), log(DETAILS, second)])
    ids = sorted(row["interaction_id"] for row in found.interactions)
    assert 2 == len(set(ids))
    assert {"r-1", "r-2"} == {row["response_id"] for row in found.interactions}


def test_an_event_without_a_span_is_known_by_its_response() -> None:
    row = only(log(DETAILS, {**CALL, **CONTENT}, traceId="", spanId=""))
    assert ("otlp:r-1", FULL) == (row["interaction_id"], texts(row))


def test_older_events_are_put_together_in_the_order_of_time() -> None:
    choice = {"index": 0, "finish_reason": "stop", "message": {"content": "By ten minutes."}}
    row = only(
        log("gen_ai.choice", {}, choice),
        line(span({"gen_ai.system": "openai", "gen_ai.request.model": "m-1"})),
        log("gen_ai.user.message", {}, {"content": "Is the ferry late?"}, timeUnixNano=str(START)),
        log("gen_ai.user.message", {}, {"content": "Is the ferry late?"}, timeUnixNano=str(START)),
    )
    assert (FULL, "openai", 1) == (
        texts(row),
        row["provider_name"],
        len(json.loads(row["input_messages"])),
    )


def test_older_events_wait_for_a_choice_or_a_span() -> None:
    _, found = decode_all([log("gen_ai.user.message", {}, {"content": "Is the ferry late?"})])
    assert [] == found.interactions


def test_older_events_on_the_span_itself_are_read() -> None:
    choice = json.dumps({"message": {"content": "By ten minutes."}, "finish_reason": "stop"})
    events = [
        {"name": "gen_ai.user.message", "attributes": listed({"content": "Is the ferry late?"})},
        {"name": "gen_ai.choice", "attributes": listed({"gen_ai.event.content": choice})},
    ]
    assert FULL == texts(only(line(span(CALL, events=events))))


def test_a_json_text_that_lost_its_end_is_truncated_until_the_event_has_it_whole() -> None:
    cut = {**CALL, **CONTENT, "gen_ai.output.messages": json.dumps(SAID)[:60]}
    assert "truncated" == only(line(span(cut)))["content_state"]
    assert FULL == texts(only(line(span(cut)), log(DETAILS, {**CALL, **CONTENT})))


def test_each_output_message_is_a_choice() -> None:
    said = [SAID[0], {**SAID[0], "finish_reason": "length"}]
    _, found = decoded(line(span({**CALL, **CONTENT, "gen_ai.output.messages": said})))
    assert [("", "stop"), ("#1", "length")] == [
        (row["interaction_id"].removeprefix(f"otlp:{TRACE}/{SPAN}"), row["finish_reason"])
        for row in found.interactions
    ]


def test_parts_of_every_kind_are_kept() -> None:
    parts = [
        {"type": "reasoning", "content": "Look it up."},
        {"type": "tool_call", "id": "c", "name": "timetable", "arguments": {"line": 3}},
        {"type": "tool_call_response", "id": "c", "result": "late"},
        {"type": "tool_call_response", "id": "c", "response": "late"},
        {"type": "blob", "modality": "image", "content": "AAAA"},
        {"type": "uri", "modality": "image", "uri": "https://x.example/a.png"},
        {"type": "compaction", "kept": 2},
    ]
    said = [{"role": "assistant", "parts": parts}]
    row = row_of(line(span({**CALL, **CONTENT, "gen_ai.output.messages": said})))
    kept = json.loads(row["output_messages"])[0]["parts"]
    assert [p["type"] for p in parts] == [p["type"] for p in kept]
    assert ("late", "late") == (kept[2]["response"], kept[3]["response"])
    assert "content" not in kept[4]
    assert ("Look it up.", ["timetable"], False) == (
        row["reasoning_text"],
        row["tool_call_names"],
        row["is_visible"],
    )


def test_system_instructions_are_part_of_what_the_model_saw() -> None:
    system = json.dumps([{"type": "text", "content": "Be brief."}])
    row = row_of(line(span({**CALL, **CONTENT, "gen_ai.system_instructions": system})))
    assert "system" == json.loads(row["input_messages"])[0]["role"]
    assert "Be brief." in row["system_instructions"]


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"gen_ai.operation.name": "execute_tool"}, "tool span"),
        ({"gen_ai.operation.name": "invoke_agent", **CONTENT}, "agent span"),
        ({"gen_ai.operation.name": "embeddings"}, "embedding span"),
        ({"openinference.span.kind": "RETRIEVER"}, "retriever span"),
        ({"traceloop.span.kind": "workflow", "traceloop.entity.input": "x"}, "workflow span"),
        ({"ai.operationId": "ai.generateText", "ai.response.text": "x"}, "agent span"),
        ({"ai.operationId": "ai.toolCall"}, "tool span"),
        ({"mlflow.spanType": '"TOOL"'}, "tool span"),
        ({"gcp.vertex.agent.llm_request": "{}"}, "tool span"),
        ({"logfire.span_type": "pending_span", **CALL}, "pending span"),
        ({"http.method": "GET"}, "span of another kind"),
    ],
)
def test_other_spans_are_counted_by_their_kind(attributes: dict[str, Any], kind: str) -> None:
    _, found = decoded(line(span(attributes)))
    assert ([], [kind]) == (found.interactions, found.skipped)


def test_one_malformed_span_does_not_take_the_others_with_it() -> None:
    bad = span({**CALL, "gen_ai.input.messages": [3], "gen_ai.output.messages": SAID}, PARENT)
    _, found = decoded(line(bad, span({**CALL, **CONTENT})))
    assert (1, ["a message that is no object"]) == (len(found.interactions), found.skipped)
    with pytest.raises(BadLine, match="no object"):
        decoded(line(bad))


def test_a_line_without_spans_says_so() -> None:
    assert ["batch without spans or log records"] == decoded({"resourceSpans": []})[1].skipped
    assert ["metrics"] == decoded({"resourceMetrics": []})[1].skipped


def test_a_value_nested_too_deeply_is_refused() -> None:
    value: dict[str, Any] = {"stringValue": "x"}
    for _ in range(200):
        value = {"arrayValue": {"values": [value]}}
    with pytest.raises(BadLine, match="nested too deeply"):
        any_value(value)
