"""Datadog LLM Observability: spans as the export API gives them.

Users, sessions and environments stand in the tags only, as `key:value`.

Source: https://docs.datadoghq.com/llm_observability/evaluations/export_api/
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources import votes
from loopllm_cli.sources.fields import (
    as_json,
    get_path,
    to_count,
    to_error,
    to_number,
    to_text,
    to_time,
)
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.anything import read_request, read_response
from loopllm_cli.sources.payloads.body import Answer, Request, Response, exchange
from loopllm_cli.sources.payloads.openai_chat import to_message, to_messages
from loopllm_cli.sources.payloads.pieces import (
    as_dict,
    is_answer,
    is_question,
    leftover,
    target_of,
    text_list,
    text_of_value,
)
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Message, Origin, Row, feedback

NAME = "datadog_span"
_SKIPPED = {
    name: f"{name} span"
    for name in ("workflow", "task", "tool", "agent", "embedding", "retrieval", "experiment")
}
_NO_PARENT = (None, "", "undefined", "0")
_ANSWERING = ("workflow", "agent", "task")
_READ = {
    *("trace_id", "span_id", "parent_id", "ml_app", "model_name", "model_provider", "start_ns"),
    *("duration", "input", "output", "metrics", "tags", "evaluation", "session_id", "metadata"),
}
_TAGS = {
    "env": "deployment_environment",
    "service": "service_name",
    "version": "service_version",
    "session_id": "conversation_id",
    "user_id": "user_id",
    "usr.id": "user_id",
}
_COUNTS = (
    *("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_write_input_tokens"),
    "reasoning_output_tokens",
)


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record is a span of an LLM application."""
    attributes = record.get("attributes")
    return (
        record.get("type") == "span"
        and isinstance(attributes, dict)
        and "span_kind" in attributes
        and "start_ns" in attributes
    )


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one span: a model's, or a root workflow's that answers a question.

    Raises:
        BadLine: the span has no attributes or no id, or a payload is malformed.
    """
    attributes = record.get("attributes")
    if not isinstance(attributes, dict):
        raise BadLine("a span without attributes")
    span_id = text_of_value(attributes.get("span_id")) or text_of_value(record.get("id"))
    if span_id is None:
        raise BadLine("a span without an id")
    given, returned = _side(attributes.get("input")), _side(attributes.get("output"))
    is_root = to_text(attributes.get("parent_id")) in _NO_PARENT
    reason = _not_a_response(attributes, given, returned, is_root)
    rows: list[Row] = []
    if reason is None:
        values = _values(attributes, span_id, is_root)
        rows = exchange(
            origin, NAME, _request(given), _response(returned), values, native_id=span_id
        )
    trace_id = text_of_value(attributes.get("trace_id"))
    target = target_of(rows, span=span_id, trace=trace_id, is_root=is_root)
    found = Decoded(rows, skipped=[reason] if reason else [])
    for name, evaluation in as_dict(attributes.get("evaluation")).items():
        found.feedback += _votes(name, evaluation, origin, target)
    return found


def _side(value: Any) -> Any:
    """Return what one side of a span holds: its messages, its value, or itself."""
    value = as_json(value)
    if not isinstance(value, dict):
        return value
    messages = as_json(value.get("messages"))
    return messages if isinstance(messages, list) and messages else value.get("value")


def _not_a_response(
    attributes: dict[str, Any], given: Any, returned: Any, is_root: bool
) -> str | None:
    """Return why a span is no row, None where it is one."""
    kind = text_of_value(attributes.get("span_kind")) or "other"
    if kind == "llm":
        return None
    answered = is_answer(returned) or text_of_value(attributes.get("status")) == "error"
    if kind in _ANSWERING and is_root and is_question(given) and answered:
        return None
    return _SKIPPED.get(kind, "other span")


def _with_role(message: Any, role: str) -> Any:
    """Complete a message: its role may be missing, and it names its tool calls in its own way."""
    if not isinstance(message, dict):
        return message
    calls = message.get("tool_calls")
    renamed = [
        {"id": call.get("tool_id"), **call} if isinstance(call, dict) else call
        for call in (calls if isinstance(calls, list) else ())
    ]
    return {**message, "role": text_of_value(message.get("role")) or role, "tool_calls": renamed}


def _request(given: Any) -> Request | None:
    if isinstance(given, list) and given and isinstance(given[0], dict):
        return Request(to_messages([_with_role(message, "user") for message in given]))
    return read_request(given)


def _response(returned: Any) -> Response | None:
    """Read the output's messages: choices of one answer, or pieces of one where tools are in it."""
    if not (isinstance(returned, list) and returned and isinstance(returned[0], dict)):
        return read_response(returned)
    messages = [to_message(_with_role(message, "assistant")) for message in returned]
    plain = all(
        message["role"] == "assistant" and all(part["type"] == "text" for part in message["parts"])
        for message in messages
    )
    if not plain:
        messages = [{"role": "assistant", "parts": [p for m in messages for p in _pieces(m)]}]
    return Response([Answer(message, choice_index=n) for n, message in enumerate(messages)])


def _pieces(message: Message) -> list[dict[str, Any]]:
    if message["role"] != "reasoning":
        return list(message["parts"])
    return [{**p, "type": "reasoning"} if p["type"] == "text" else p for p in message["parts"]]


def _values(attributes: dict[str, Any], span_id: str, is_root: bool) -> Row:
    get = attributes.get
    metrics, metadata = as_dict(get("metrics")), as_dict(get("metadata"))
    started, duration = to_time(get("start_ns")), to_number(get("duration"))
    values: Row = {
        "request_time": started,
        "time_basis": "request_start" if started else None,
        "duration_s": duration / 1e9 if duration is not None and duration >= 0 else None,
        "time_to_first_chunk_s": to_number(metrics.get("time_to_first_token")),
        "trace_id": text_of_value(get("trace_id")),
        "span_id": span_id,
        "parent_span_id": None if is_root else to_text(get("parent_id")),
        "is_root": is_root,
        "conversation_id": text_of_value(get("session_id")),
        "service_name": text_of_value(get("ml_app")),
        "provider_name": text_of_value(get("model_provider")),
        "request_model": text_of_value(get("model_name")),
        "prompt_name": text_of_value(get_path(attributes, "input.prompt.id")),
        "prompt_version": text_of_value(get_path(attributes, "input.prompt.version")),
        "request_temperature": to_number(metadata.get("temperature")),
        "request_top_p": to_number(metadata.get("top_p")),
        "request_max_tokens": to_count(metadata.get("max_tokens")),
        "error_type": _error(attributes),
    }
    values.update((name, to_count(metrics.get(name))) for name in _COUNTS)
    _add_tags(values, text_list(get("tags")) or [])
    held = ("temperature", "top_p", "max_tokens")
    rest = {
        **attributes,
        "metadata_rest": {k: v for k, v in metadata.items() if k not in held},
        "input_rest": {
            k: v for k, v in as_dict(get("input")).items() if k not in ("messages", "value")
        },
        "metrics_rest": {k: v for k, v in metrics.items() if k not in _COUNTS},
    }
    values["attributes_json"] = leftover(rest, _READ)
    return values


def _error(attributes: dict[str, Any]) -> str | None:
    error = to_error(as_dict(attributes.get("error")).get("type"))
    if error is not None:
        return error
    return "error" if text_of_value(attributes.get("status")) == "error" else None


def _add_tags(values: Row, tags: list[str]) -> None:
    """Read the tags that have columns; a user's id stays nowhere else."""
    rest = []
    for tag in tags:
        name, _, value = tag.partition(":")
        if name in _TAGS and value:
            values[_TAGS[name]] = value
        elif not name.startswith("usr."):
            rest.append(tag)
    values["tags"] = rest or None


def _votes(name: str, evaluation: Any, origin: Origin, target: Row) -> list[Row]:
    """Turn one evaluation into a row; one that did not succeed says nothing."""
    said = evaluation if isinstance(evaluation, dict) else {"value": evaluation}
    value = said.get("value")
    label = value if isinstance(value, str) else None
    number = value if isinstance(value, bool | int | float) else None
    if (label or number) is None or text_of_value(said.get("status")) == "ERROR":
        return []
    kind, values = votes.score(name, number, label)
    reasons = [text_of_value(said.get(key)) for key in ("assessment", "reasoning")]
    explanation = "\n".join(reason for reason in reasons if reason) or None
    common = {**target, "name": name, "explanation": explanation, "annotator_role": "unknown"}
    return [feedback(origin, NAME, kind, {**common, **values})]


FORMAT = Format(
    NAME,
    "Datadog LLM Observability spans",
    'a `"type": "span"` with `span_kind` and `start_ns`',
    Rank.ENVELOPE,
    recognises,
    decode,
)
