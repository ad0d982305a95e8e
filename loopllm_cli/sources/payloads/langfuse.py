"""One observation of Langfuse, in whichever of its export shapes, to rows.

The shapes differ in the spelling of keys (snake_case in tables, camelCase in the interface and
the API), in units (`latency` in seconds, `latencyMs`), and in what is JSON inside a string.

Source: https://langfuse.com/docs/api-and-data-platform/features/export-to-blob-storage ;
token buckets: packages/shared/src/server/ingestion/types.ts in github.com/langfuse/langfuse
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.fields import as_json, first_of, to_count, to_number, to_text, to_time
from loopllm_cli.sources.payloads import logged
from loopllm_cli.sources.payloads.body import Request, Response, exchange
from loopllm_cli.sources.payloads.langfuse_usage import read_cost, read_tokens
from loopllm_cli.sources.payloads.otel_attributes import read_columns, read_resource
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
from loopllm_cli.sources.rows import Origin, Record, Row, to_json

SOURCE = "langfuse"
"""The source of every shape, so that one observation has one id in all of them."""

_NAMES = """
    id trace_id project_id environment type parent_observation_id start_time end_time name metadata
    level status_message version input output provided_model_name model internal_model
    internal_model_id model_id model_parameters usage usage_details provided_usage_details
    cost_details provided_cost_details completion_start_time prompt_name prompt_version prompt_id
    total_cost calculated_total_cost input_cost output_cost calculated_input_cost
    calculated_output_cost input_usage output_usage total_usage prompt_tokens completion_tokens
    total_tokens unit latency latency_ms time_to_first_token time_to_first_token_ms tool_calls
    tool_call_names tool_definitions usage_pricing_tier_id usage_pricing_tier_name input_price
    output_price total_price created_at updated_at user_id session_id trace_name trace_tags
    trace_timestamp trace_environment tags release bookmarked public comments event_ts is_deleted
    scores model_name prompt timestamp author_user_id
"""
KNOWN = frozenset(_NAMES.split())
"""The keys of an observation in any shape; other columns of the interface's export are scores."""
_CAMEL = {
    head + "".join(word.title() for word in rest): name
    for name in KNOWN
    for head, *rest in [name.split("_")]
    if rest
}
_READ = {
    *("id", "trace_id", "environment", "type", "parent_observation_id", "start_time", "end_time"),
    *("input", "output", "provided_model_name", "model", "internal_model", "model_parameters"),
    *("completion_start_time", "prompt_name", "prompt_version", "total_cost", "latency"),
    *("latency_ms", "time_to_first_token", "time_to_first_token_ms", "tool_definitions"),
    *("created_at", "updated_at", "user_id", "session_id", "tags", "release", "metadata"),
    # The same again in other words.
    *("usage", "input_usage", "output_usage", "total_usage", "input_cost", "output_cost"),
    *("prompt_tokens", "completion_tokens", "total_tokens", "unit", "total_price"),
    *("calculated_input_cost", "calculated_output_cost", "calculated_total_cost"),
    *("provided_cost_details", "provided_usage_details", "usage_details", "event_ts"),
    *("input_price", "output_price", "usage_pricing_tier_id", "usage_pricing_tier_name"),
    *("tool_calls", "tool_call_names", "internal_model_id", "model_id", "prompt_id"),
    *("scores", "timestamp"),
}
# Attributes of a span that repeat its input and output.
_CONTENT = (
    *("input.value", "output.value", "gen_ai.prompt", "gen_ai.completion", "gen_ai.input.messages"),
    *("gen_ai.output.messages", "llm.input_messages", "llm.output_messages", "ai.prompt"),
    *("ai.response.text", "ai.response.toolCalls", "ai.response.object", "events"),
    *("all_messages_events", "gcp.vertex.agent.llm_re", "langfuse.observation"),
)


def snake(record: Record) -> Record:
    """Spell the known keys as the tables do; all other keys (scores) stay as they are."""
    return {_CAMEL.get(key, key): value for key, value in record.items()}


def read_sides(record: Record) -> tuple[Request | None, Response | None]:
    """Read an observation's input and output."""
    return logged.read_request(record.get("input")), logged.read_response(record.get("output"))


def is_empty(record: Record) -> bool:
    """Return whether an observation says nothing: some SDKs log the end of a call as its own."""
    nothing: tuple[Any, ...] = (None, "", "{}", "[]", "null", {}, [])
    said = ("input", "output", "usage_details", "usage", "status_message")
    return all(record.get(name) in nothing for name in said)


def to_rows(record: Record, trace: Record, origin: Origin, *, is_joined: bool) -> list[Row]:
    """Build the rows of one observation.

    Args:
        record: the observation, its keys in snake_case.
        trace: its trace's `user_id`, `session_id`, `release`, `tags` and `name`, where known.
        is_joined: whether the trace is known, which makes the row newer than without it.

    Raises:
        BadLine: it has no id, or a date that has two readings.
    """
    native_id = text_of_value(record.get("id"))
    if native_id is None:
        raise BadLine("an observation without an id")
    request, response = read_sides(record)
    metadata = as_dict(record.get("metadata"))
    attributes = as_dict(metadata.get("attributes"))
    noted, used = read_columns(attributes)
    version = to_version(_moment(record, "updated_at", origin))
    values: Row = {
        **noted,
        **_service(metadata, record, trace),
        **_times(record, origin),
        **_models(record, request, response, noted),
        **_parameters(as_dict(record.get("model_parameters"))),
        **read_tokens(record),
        **_body_tokens(response),
        "source_version": None if version is None else version + is_joined,
        "trace_id": text_of_value(record.get("trace_id")),
        "span_id": native_id,
        "prompt_name": text_of_value(record.get("prompt_name")),
        "prompt_version": text_of_value(record.get("prompt_version")),
        "deployment_environment": text_of_value(record.get("environment")),
        "tags": text_list(record.get("tags")) or text_list(trace.get("tags")),
        "attributes_json": _rest(record, trace, metadata, used),
    }
    if "parent_observation_id" in record:
        parent = text_of_value(record["parent_observation_id"])
        values.update(parent_span_id=parent, is_root=parent is None)
    values.update(_conversation(record, trace, metadata, noted))
    values.update(_known(user_id=_of_either(record, trace, "user_id"), cost_usd=read_cost(record)))
    if to_text(record.get("level")) == "ERROR":
        values["error_type"] = exception_name(record.get("status_message")) or "error"
    tools = _definitions(record.get("tool_definitions"))
    if tools and request is not None and not request.values.get("tool_definitions"):
        request.values["tool_definitions"] = tools
    return exchange(origin, SOURCE, request, response, _known(**values), native_id=native_id)


def _known(**values: Any) -> Row:
    return {name: value for name, value in values.items() if value is not None}


def _of_either(record: Record, trace: Record, name: str) -> str | None:
    return text_of_value(record.get(name)) or text_of_value(trace.get(name))


def _moment(record: Record, name: str, origin: Origin) -> Any:
    return to_time(record.get(name), origin.date_format)


def _service(metadata: Record, record: Record, trace: Record) -> Row:
    values, _ = read_resource(as_dict(metadata.get("resourceAttributes")))
    name = values.get("service_name")
    if name and name.startswith("unknown_service"):
        del values["service_name"]
    release = _of_either(record, trace, "release")
    return {**values, "service_version": release or values.get("service_version")}


def _times(record: Record, origin: Origin) -> Row:
    start = _moment(record, "start_time", origin)
    duration = seconds_between(start, _moment(record, "end_time", origin))
    first = seconds_between(start, _moment(record, "completion_start_time", origin))
    latency = to_number(record.get("latency"))
    # Older trace downloads have these two in milliseconds, under the same names.
    unit = 1000 if latency and duration and latency > 100 * duration else 1
    if first is None:
        first = _scaled(record, "time_to_first_token", unit)
    if duration is None:
        duration = _scaled(record, "latency", unit)
    return {
        "request_time": start,
        "time_basis": "request_start" if start else None,
        "duration_s": duration,
        "time_to_first_chunk_s": first,
    }


def _scaled(record: Record, name: str, unit: int) -> float | None:
    seconds, milliseconds = to_number(record.get(name)), to_number(record.get(f"{name}_ms"))
    if seconds is not None:
        value = seconds / unit
    elif milliseconds is not None:
        value = milliseconds / 1000
    else:
        return None
    return value if value >= 0 else None


def _models(record: Record, request: Request | None, response: Response | None, noted: Row) -> Row:
    """Tell the model that was asked for from the one that answered, where both are known."""
    named = text_of_value(first_of(record, "provided_model_name", "model", "model_name"))
    asked = request.values.get("request_model") if request else None
    answered = response.values.get("response_model") if response else None
    answered = answered or noted.get("response_model") or named
    asked = noted.get("request_model") or asked or (named if named != answered else None)
    return {"response_model": answered, "request_model": asked}


def _body_tokens(response: Response | None) -> Row:
    """Return the API's own counts: a framework's span may add those of calls inside it."""
    known = response.values if response and response.values.get("input_tokens") else {}
    return {name: count for name, count in known.items() if name.endswith("_tokens")}


def _parameters(given: Record) -> Row:
    limit = first_of(given, "max_completion_tokens", "max_tokens", "maxTokens", "max_output_tokens")
    stream = to_text(first_of(given, "stream", "is_stream"))
    streams = {"true": True, "false": False}.get((stream or "").lower())
    for name in ("stream", "is_stream"):
        if isinstance(given.get(name), bool):
            streams = given[name]
    return _known(
        request_temperature=to_number(given.get("temperature")),
        request_top_p=to_number(first_of(given, "top_p", "topP")),
        request_top_k=to_number(first_of(given, "top_k", "topK")),
        request_max_tokens=to_count(limit),
        request_seed=to_count(given.get("seed")),
        request_stream=streams,
        request_reasoning_level=text_of_value(given.get("reasoning_effort")),
    )


def _conversation(record: Record, trace: Record, metadata: Record, noted: Row) -> Row:
    session = _of_either(record, trace, "session_id")
    named = text_of_value(metadata.get("thread_id")) or noted.get("conversation_id")
    if session or named is None:
        return {"conversation_id": session}
    if named.startswith("resp_"):
        # One agent framework calls the response that it continues a conversation.
        state = {"conversation_id": None, "content_state": "partial_context"}
        return {**state, "previous_response_id": named}
    return {"conversation_id": named}


def _definitions(value: Any) -> str | None:
    """Read tool definitions: a map from name to the JSON of each."""
    value = as_json(value)
    if not isinstance(value, dict) or not value:
        return None
    return to_json([{"name": name, "definition": as_json(item)} for name, item in value.items()])


def _rest(record: Record, trace: Record, metadata: Record, used: set[str]) -> str | None:
    rest = {key: value for key, value in record.items() if key in KNOWN and key not in _READ}
    if rest.get("level") == "DEFAULT":
        del rest["level"]
    for name in ("public", "bookmarked", "is_deleted"):
        if not rest.get(name):
            rest.pop(name, None)
    usage = as_dict(record.get("usage_details"))
    rest["usage_details"] = usage if set(usage) - {"input", "output", "total"} else None
    rest["trace_name"] = record.get("trace_name") or trace.get("name")
    noted = as_dict(metadata.get("attributes"))
    kept = {k: v for k, v in noted.items() if k not in used and not k.startswith(_CONTENT)}
    rest["metadata"] = {k: v for k, v in {**metadata, "attributes": kept}.items() if v}
    given = as_dict(record.get("model_parameters"))
    own = {"temperature", "top_p", "max_tokens", "seed", "stream", "is_stream"}
    nothing: tuple[Any, ...] = (None, "", "null")
    rest["model_parameters"] = {k: v for k, v in given.items() if k not in own and v not in nothing}
    return leftover(rest, set())
