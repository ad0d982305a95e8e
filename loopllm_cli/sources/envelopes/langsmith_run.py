"""LangSmith's runs: the bulk export (Parquet rows) and what the client gives (JSON Lines).

`list_runs` and its successor `runs.query` differ in a few names and in upper case.

Source: https://docs.langchain.com/langsmith/run-data-format ;
python/langsmith/schemas.py in github.com/langchain-ai/langsmith-sdk
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.fields import as_json, first_of, to_count, to_number, to_text, to_time
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads import langchain, logged
from loopllm_cli.sources.payloads.body import Request, Response, exchange
from loopllm_cli.sources.payloads.pieces import (
    as_dict,
    exception_name,
    is_answer,
    is_question,
    leftover,
    seconds_between,
    text_list,
    text_of_value,
    to_version,
)
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Record, Row, to_json

NAME = "langsmith_run"
_KINDS = {
    "chain": "chain run",
    "tool": "tool run",
    "retriever": "retriever run",
    "embedding": "embedding run",
    "prompt": "prompt run",
    "parser": "parser run",
}
_READ = {
    *("id", "trace_id", "dotted_order", "start_time", "end_time", "error", "inputs", "outputs"),
    *("extra", "tags", "parent_run_id", "parent_run_ids", "child_run_ids", "prompt_tokens"),
    *("completion_tokens", "total_tokens", "total_cost", "first_token_time", "events"),
    *("prompt_token_details", "completion_token_details", "direct_child_run_ids", "child_runs"),
    "thread_id",
}
_METADATA = {
    *("ls_provider", "ls_model_name", "ls_temperature", "ls_max_tokens", "thread_id"),
    *("session_id", "conversation_id", "user_id", "lc_hub_repo", "lc_hub_commit_hash"),
    "revision_id",
}


def recognises(record: Record) -> bool:
    """Return whether a record is one run."""
    return "run_type" in record and "inputs" in record and "start_time" in record


def decode(record: Record, origin: Origin) -> Decoded:
    """Decode one run; of the runs that are no model's only a whole application's is a row.

    Raises:
        BadLine: it has no id, or a date that has two readings.
    """
    native_id = text_of_value(record.get("id"))
    if native_id is None:
        raise BadLine("a run without an id")
    kind = (to_text(record.get("run_type")) or "").lower()
    if kind != "llm" and not (kind == "chain" and _is_application(record, native_id)):
        return Decoded(skipped=[_KINDS.get(kind, "other run")])
    request, response = _sides(record)
    extra = as_dict(record.get("extra"))
    metadata = as_dict(extra.get("metadata")) or as_dict(record.get("metadata"))
    told = {"thread_id": record.get("thread_id"), **metadata}
    start = to_time(record.get("start_time"), origin.date_format)
    end = to_time(record.get("end_time"), origin.date_format)
    parent = _parent(record)
    failed = (to_text(record.get("status")) or "").lower() == "error"
    values: Row = {
        "operation_name": None if kind == "llm" else "invoke_agent",
        # A run is exported again when it has ended.
        "source_version": to_version(end),
        "request_time": start,
        "time_basis": "request_start" if start else None,
        "duration_s": seconds_between(start, end),
        "time_to_first_chunk_s": seconds_between(
            start, to_time(record.get("first_token_time"), origin.date_format)
        ),
        "trace_id": text_of_value(record.get("trace_id")),
        "span_id": native_id,
        "parent_span_id": parent,
        "is_root": parent is None,
        "tags": text_list(record.get("tags")),
        "cost_usd": _cost(record.get("total_cost")),
        "error_type": exception_name(record.get("error")) or ("error" if failed else None),
        **_about(told, as_dict(extra.get("invocation_params")), request, response),
        **_tokens(record, response),
        "attributes_json": _rest(record, extra, metadata),
    }
    return Decoded(exchange(origin, NAME, request, response, values, native_id=native_id))


def _is_application(record: Record, native_id: str) -> bool:
    """Return whether a chain is the only run of its trace, with one question and one answer."""
    trace_id = text_of_value(record.get("trace_id"))
    children = as_json(record.get("child_run_ids")) or as_json(record.get("direct_child_run_ids"))
    return (
        _parent(record) is None
        and trace_id in (None, native_id)
        and not children
        and not record.get("child_runs")
        and is_question(record.get("inputs"))
        and is_answer(record.get("outputs"))
    )


def _parent(record: Record) -> str | None:
    """Return the run that called this one; `parent_run_ids` has the root first."""
    above = text_list(record.get("parent_run_ids"))
    return text_of_value(record.get("parent_run_id")) or (above[-1] if above else None)


def _sides(record: Record) -> tuple[Request | None, Response | None]:
    # In Parquet the two are JSON in a string; what is inside is a dict in any case.
    inputs, outputs = as_json(record.get("inputs"), 1), as_json(record.get("outputs"), 1)
    return logged.read_request(inputs), logged.read_response(outputs)


def _cost(value: Any) -> float | None:
    cost = to_number(value)
    return cost if cost is not None and cost >= 0 else None


def _about(
    metadata: Record, given: Record, request: Request | None, response: Response | None
) -> Row:
    """Read what the run's metadata and parameters say about the call."""
    model = text_of_value(first_of(metadata, "ls_model_name")) or text_of_value(
        first_of(given, "model", "model_name")
    )
    asked = request.values if request else {}
    answered = response.values if response else {}
    temperature = first_of(metadata, "ls_temperature")
    limit = first_of(given, "max_completion_tokens", "max_tokens")
    tools = as_json(first_of(given, "tools", "functions"))
    definitions = to_json(tools) if isinstance(tools, list) and tools else None
    return {
        "provider_name": text_of_value(metadata.get("ls_provider")),
        "request_model": asked.get("request_model") or model,
        "response_model": answered.get("response_model"),
        "request_temperature": to_number(
            given.get("temperature") if temperature is None else temperature
        ),
        "request_top_p": to_number(given.get("top_p")),
        "request_seed": to_count(given.get("seed")),
        "request_max_tokens": to_count(first_of(metadata, "ls_max_tokens") or limit),
        "tool_definitions": asked.get("tool_definitions") or definitions,
        # The run's own session_id is the project.
        "conversation_id": text_of_value(
            first_of(metadata, "thread_id", "session_id", "conversation_id")
        ),
        "user_id": text_of_value(metadata.get("user_id")),
        "prompt_name": text_of_value(metadata.get("lc_hub_repo")),
        "prompt_version": text_of_value(metadata.get("lc_hub_commit_hash")),
        "service_version": text_of_value(metadata.get("revision_id")),
    }


def _tokens(record: Record, response: Response | None) -> Row:
    """Read the counts: those of the answer itself, else those that LangSmith counted."""
    if response is not None and response.values.get("input_tokens") is not None:
        return {}
    outputs = as_dict(record.get("outputs"))
    usage = outputs.get("usage_metadata")
    if isinstance(usage, dict) and "input_tokens" in usage:
        return langchain.to_usage(usage)
    asked = as_dict(record.get("prompt_token_details"))
    made = as_dict(record.get("completion_token_details"))
    return {
        "input_tokens": to_count(record.get("prompt_tokens")),
        "output_tokens": to_count(record.get("completion_tokens")),
        "cache_read_input_tokens": to_count(asked.get("cache_read")),
        "cache_write_input_tokens": to_count(asked.get("cache_creation")),
        "reasoning_output_tokens": to_count(made.get("reasoning")),
    }


def _rest(record: Record, extra: Record, metadata: Record) -> str | None:
    rest = {key: value for key, value in record.items() if key not in _READ}
    for name, usual in (("status", "success"), ("run_type", "llm")):
        if (to_text(rest.get(name)) or "").lower() == usual:
            del rest[name]
    rest["metadata"] = {key: value for key, value in metadata.items() if key not in _METADATA}
    for name in ("runtime", "invocation_params"):
        rest[name] = extra.get(name)
    return leftover(rest, set())


FORMAT = Format(
    NAME,
    "LangSmith runs",
    "run_type beside inputs",
    Rank.ENVELOPE,
    recognises,
    decode,
)
