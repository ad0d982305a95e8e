"""Opik's traces and spans, which have the same columns in both of its exports.

Source: sdks/python/src/opik/cli/exports in github.com/comet-ml/opik
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.fields import first_of, to_count, to_number, to_time
from loopllm_cli.sources.payloads import logged
from loopllm_cli.sources.payloads.body import exchange
from loopllm_cli.sources.payloads.pieces import (
    as_dict,
    exception_name,
    leftover,
    seconds_between,
    text_list,
    text_of_value,
    to_version,
)
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Origin, Record, Row

SOURCE = "opik"
"""The source of both exports, so that one trace has one id in both."""

_READ = {
    *("id", "trace_id", "parent_span_id", "start_time", "end_time", "duration", "ttft", "input"),
    *("output", "model", "provider", "usage", "total_estimated_cost", "thread_id", "tags"),
    *("error_info", "feedback_scores", "span_feedback_scores", "comments", "last_updated_at"),
    *("created_at", "span_count", "llm_span_count", "has_tool_spans"),
}
_DETAILS = "original_usage"


def to_rows(record: Record, trace: Record, origin: Origin) -> list[Row]:
    """Build the rows of one span, or of a whole trace where the two are the same.

    Raises:
        BadLine: it has no id, or a date that has two readings.
    """
    native_id = text_of_value(record.get("id"))
    if native_id is None:
        raise BadLine("a span without an id" if record is not trace else "a trace without an id")
    request = logged.read_request(record.get("input"))
    response = logged.read_response(record.get("output"))
    start = to_time(record.get("start_time"), origin.date_format)
    end = to_time(record.get("end_time"), origin.date_format)
    is_span = record is not trace
    parent = text_of_value(record.get("parent_span_id"))
    cost = to_number(record.get("total_estimated_cost"))
    duration = seconds_between(start, end)
    values: Row = {
        "operation_name": None if is_span else "invoke_agent",
        "source_version": to_version(to_time(record.get("last_updated_at"), origin.date_format)),
        "request_time": start,
        "time_basis": "request_start" if start else None,
        "duration_s": _seconds(record.get("duration")) if duration is None else duration,
        "time_to_first_chunk_s": _seconds(record.get("ttft")),
        "trace_id": text_of_value(trace.get("id")) or text_of_value(record.get("trace_id")),
        "span_id": native_id if is_span else None,
        "parent_span_id": parent,
        "is_root": parent is None,
        "conversation_id": text_of_value(trace.get("thread_id")),
        "response_model": text_of_value(record.get("model")),
        "provider_name": text_of_value(record.get("provider")),
        "cost_usd": cost if cost is not None and cost >= 0 else None,
        "error_type": _error(record.get("error_info")),
        "tags": text_list(record.get("tags")) or text_list(trace.get("tags")),
        "attributes_json": leftover(record, _READ),
    }
    if response is None or response.values.get("input_tokens") is None:
        values.update(_tokens(as_dict(record.get("usage"))))
    return exchange(origin, SOURCE, request, response, values, native_id=native_id)


def _seconds(value: Any) -> float | None:
    milliseconds = to_number(value)
    return milliseconds / 1000 if milliseconds is not None and milliseconds >= 0 else None


def _error(value: Any) -> str | None:
    info = as_dict(value)
    if not info:
        return exception_name(value)
    return text_of_value(info.get("exception_type")) or exception_name(info) or "error"


def _tokens(usage: Record) -> Row:
    """Read the token counts; the provider's own details are kept under flat names."""
    asked, made = f"{_DETAILS}.prompt_tokens_details", f"{_DETAILS}.completion_tokens_details"
    return {
        "input_tokens": to_count(usage.get("prompt_tokens")),
        "output_tokens": to_count(usage.get("completion_tokens")),
        "cache_read_input_tokens": to_count(first_of(usage, f"{asked}.cached_tokens")),
        "reasoning_output_tokens": to_count(first_of(usage, f"{made}.reasoning_tokens")),
    }
