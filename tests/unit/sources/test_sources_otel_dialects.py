"""The dialects of OpenTelemetry, OpenInference and annotations become rows and votes."""

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
    DIALECTS,
    FULL,
    PARENT,
    SAID,
    SPAN,
    TRACE,
    line,
    log,
    mutations,
    only,
    read_or_refuse,
    span,
    texts,
)

from loopllm_cli.sources.payloads.flattened import nested


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_gives_the_prompt_and_the_answer(name: str) -> None:
    assert FULL == texts(only(line(span(DIALECTS[name]))))


def test_a_time_to_first_chunk_in_milliseconds_becomes_seconds() -> None:
    assert 0.12 == row_of(line(span(DIALECTS["vercel"])))["time_to_first_chunk_s"]


def test_an_agent_run_is_a_row_only_where_no_call_inside_it_is_one() -> None:
    run = span({"pydantic_ai.all_messages": json.dumps(ASKED + SAID)}, PARENT)
    call = span({**CALL, **CONTENT}, parentSpanId=PARENT)
    alone = decode_all([line(run, scope="pydantic-ai")])[1].interactions
    both = decode_all([line(call, run, scope="pydantic-ai")])[1]
    assert [("invoke_agent", *FULL)] == [(row["operation_name"], *texts(row)) for row in alone]
    assert ([SPAN], ["agent span"]) == ([r["span_id"] for r in both.interactions], both.skipped)


def test_flattened_messages_are_ordered_by_number_and_may_have_gaps() -> None:
    flat = {f"m.{n}.message.content": str(n) for n in (10, 2, 0)}
    assert ["0", "2", "10"] == [item["message"]["content"] for item in nested(flat, "m")]


def test_the_words_of_a_provider_become_the_common_ones() -> None:
    tool = json.dumps({"type": "function", "name": "timetable"})
    attributes = {
        "openinference.span.kind": "LLM",
        "input.value": "Is the ferry late?",
        "llm.output_messages.0.message.role": "model",
        "llm.output_messages.0.message.content": "By ten minutes.",
        "gen_ai.response.finish_reasons": ["MAX_TOKENS"],
        "gen_ai.system": "vertex_ai",
        "ai.prompt.tools": [tool],
    }
    row = row_of(line(span(attributes)))
    assert ("assistant", "length", "MAX_TOKENS", "gcp.vertex_ai", [json.loads(tool)]) == (
        json.loads(row["output_messages"])[0]["role"],
        row["finish_reason"],
        row["finish_reason_raw"],
        row["provider_name"],
        json.loads(row["tool_definitions"]),
    )


def test_the_items_of_one_response_are_one_answer_and_choices_are_several() -> None:
    prefix = "llm.output_messages"
    call = {f"{prefix}.0.message.tool_calls.0.tool_call.function.name": "timetable"}
    kind = {"openinference.span.kind": "LLM", "input.value": "Is the ferry late?"}
    one = row_of(line(span({**kind, **call, f"{prefix}.1.message.content": "Wait."})))
    two = {f"{prefix}.0.message.content": "A.", f"{prefix}.1.message.content": "B."}
    assert ("Wait.", ["timetable"]) == (one["response_text"], one["tool_call_names"])
    assert 2 == len(decoded(line(span({**kind, **two})))[1].interactions)


def test_annotations_keep_the_level_at_which_they_stand() -> None:
    def said(prefix: str, label: str) -> dict[str, Any]:
        kind = {f"{prefix}.0.annotation.annotator_kind": "HUMAN"}
        return {f"{prefix}.0.annotation.label": label, **kind}

    chain = {
        "openinference.span.kind": "CHAIN",
        "session.id": "s-1",
        **said("annotations", "thumbs_up"),
        **said("trace.annotations", "thumbs_down"),
        **said("session.annotations", "thumbs_down"),
    }
    found = decoded(line(span(chain)))[1].feedback
    assert [
        ("span", SPAN, TRACE, None, 1),
        ("trace", None, TRACE, None, -1),
        ("conversation", None, None, "s-1", -1),
    ] == [
        (
            vote["target_kind"],
            vote.get("target_span_id"),
            vote.get("target_trace_id"),
            vote.get("target_conversation_id"),
            vote["polarity"],
        )
        for vote in found
    ]


def test_an_evaluation_without_a_scale_has_no_polarity_and_no_known_author() -> None:
    name = "gen_ai.evaluation.result"
    attributes = {"gen_ai.evaluation.name": "relevance", "gen_ai.evaluation.score.value": 4.0}
    (vote,) = decoded(log(name, {**attributes, "gen_ai.response.id": "r-1"}))[1].feedback
    assert ("score", None, "UNKNOWN", "r-1", SPAN) == (
        vote["kind"],
        vote.get("polarity"),
        vote["annotator_kind"],
        vote["target_response_id"],
        vote["target_span_id"],
    )


@pytest.mark.parametrize(
    "attributes",
    [{**CALL, **CONTENT}, *DIALECTS.values()],
    ids=["current", *DIALECTS],
)
def test_hostile_attributes_are_read_or_refused(attributes: dict[str, Any]) -> None:
    for changed in mutations(attributes):
        read_or_refuse(line(span(changed)))
        read_or_refuse(log(DETAILS, changed))
