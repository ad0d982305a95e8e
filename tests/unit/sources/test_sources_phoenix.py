"""Printed spans, Phoenix tables, traces and annotations become rows and votes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from decoding import decode_all, decoded, row_of
from otel_records import (
    ASKED,
    CALL,
    DIALECTS,
    FULL,
    PARENT,
    SPAN,
    TRACE,
    mutations,
    read_or_refuse,
    texts,
)

CONSOLE = {
    "name": "chat m-1",
    "context": {"trace_id": f"0x{TRACE}", "span_id": f"0x{SPAN}", "trace_state": "[]"},
    "kind": "SpanKind.CLIENT",
    "parent_id": f"0x{PARENT}",
    "start_time": "2026-06-01T10:00:00.000000Z",
    "end_time": "2026-06-01T10:00:02.500000Z",
    "status": {"status_code": "ERROR", "description": "cut off"},
    "attributes": {**CALL, "gen_ai.input.messages": json.dumps(ASKED)},
    "events": [],
    "resource": {"attributes": {"service.name": "harbour"}, "schema_url": ""},
}
PHOENIX = {
    "name": "call",
    "span_kind": "LLM",
    "parent_id": None,
    "start_time": "2026-06-01T10:00:00+00:00",
    "end_time": "2026-06-01T10:00:02.5+00:00",
    "status_code": "OK",
    "context.trace_id": TRACE,
    "context.span_id": SPAN,
    "attributes.llm.input_messages": [{"message.role": "user", "message.content": FULL[0]}],
    "attributes.llm.output_messages": [
        {"message.content": FULL[1], "message.tool_calls": None, "message.contents": None}
    ],
    "attributes.llm.token_count.prompt": 4,
}


def test_a_printed_span_is_read_with_its_ids_as_hex() -> None:
    row = row_of(CONSOLE)
    assert (f"otel_console:{TRACE}/{SPAN}", PARENT, 2.5, "error", "harbour") == (
        row["interaction_id"],
        row["parent_span_id"],
        row["duration_s"],
        row["error_type"],
        row["service_name"],
    )


def test_a_row_of_a_phoenix_table_has_the_ids_of_its_span() -> None:
    row = row_of({**PHOENIX, "attributes.session.id": float("nan")})
    assert (FULL, TRACE, SPAN, True, 4, 2.5, None) == (
        texts(row),
        row["trace_id"],
        row["span_id"],
        row["is_root"],
        row["input_tokens"],
        row["duration_s"],
        row["conversation_id"],
    )


PHOENIX_TRACE = {
    "traceId": TRACE,
    "spans": [
        {
            "name": "call",
            "context": {"trace_id": TRACE, "span_id": SPAN},
            "span_kind": "LLM",
            "attributes": DIALECTS["openinference"],
            "annotations": [
                {"id": "a", "name": "note", "annotator_kind": "HUMAN", "result": {"label": "👍"}}
            ],
        }
    ],
}
PHOENIX_ANNOTATION = {
    "id": "x",
    "span_id": SPAN,
    "annotation_name": "quality",
    "annotator_kind": "HUMAN",
    "result.score": 0.0,
    "source": "APP",
    "updated_at": "2026-06-02T10:00:00Z",
}


def test_a_phoenix_trace_brings_rows_and_their_votes() -> None:
    _, found = decode_all([PHOENIX_TRACE])
    (row,), (vote,) = found.interactions, found.feedback
    assert (FULL, row["interaction_id"], 1) == (texts(row), vote["target_id"], vote["polarity"])


def test_a_phoenix_annotation_without_a_scale_has_no_polarity() -> None:
    name, found = decoded(PHOENIX_ANNOTATION)
    vote = found.feedback[0]
    assert ("phoenix_annotations", "score", None, "expert", SPAN) == (
        name,
        vote["kind"],
        vote.get("polarity"),
        vote["annotator_role"],
        vote["target_span_id"],
    )


@pytest.mark.parametrize("record", [CONSOLE, PHOENIX, PHOENIX_TRACE, PHOENIX_ANNOTATION])
def test_hostile_records_are_read_or_refused(record: dict[str, Any]) -> None:
    for changed in mutations(record):
        read_or_refuse(changed)


def test_times_of_a_parquet_table_are_read() -> None:
    start = datetime(2026, 6, 1, 10, tzinfo=UTC)
    row = row_of({**PHOENIX, "start_time": start, "end_time": start + timedelta(seconds=3)})
    assert (start, 3.0) == (row["request_time"], row["duration_s"])
