"""Braintrust: spans of project logs and experiments, as the API and the UI export them.

Scores have no author: a person's and a program's look alike, so who judged stays unknown.

Source: the fetch endpoint of project logs, https://www.braintrust.dev/docs/reference/api/Logs
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources import votes
from loopllm_cli.sources.fields import as_json, first_of, to_count, to_number, to_text, to_time
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.anything import read_request, read_response
from loopllm_cli.sources.payloads.body import exchange
from loopllm_cli.sources.payloads.pieces import (
    as_dict,
    exception_name,
    is_answer,
    is_question,
    leftover,
    seconds_between,
    target_of,
    text_list,
    text_of_value,
)
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Row, feedback, to_json

NAME = "braintrust_span"
_SKIPPED = {
    "score": "score span",
    "tool": "tool span",
    "function": "function span",
    "eval": "evaluation span",
    "task": "task span",
    "automation": "automation span",
}
_READ = {
    *("id", "_xact_id", "created", "root_span_id", "span_id", "span_parents", "is_root"),
    *("input", "output", "expected", "scores", "metadata", "metrics", "tags"),
}
_METADATA = {
    "request_model": ("model",),
    "provider_name": ("provider",),
    "conversation_id": ("session_id", "conversation_id", "thread_id", "sessionId", "threadId"),
    "user_id": ("user_id", "userId", "user"),
    "deployment_environment": ("environment", "env"),
}
_METRICS = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "cache_read_input_tokens": "prompt_cached_tokens",
    "cache_write_input_tokens": "prompt_cache_creation_tokens",
    "reasoning_output_tokens": "completion_reasoning_tokens",
}


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record is a span of a log: it counts its transactions."""
    return "_xact_id" in record and "span_id" in record and "root_span_id" in record


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one span: a model's, or a root task's that answers a question.

    Raises:
        BadLine: the span has no id, or a payload is malformed.
    """
    native_id = text_of_value(record.get("id")) or text_of_value(record.get("span_id"))
    if native_id is None:
        raise BadLine("a span without an id")
    kind = as_dict(record.get("span_attributes"))
    reason = _not_a_response(record, kind)
    rows: list[Row] = []
    if reason is None:
        request = read_request(record.get("input"))
        response = read_response(_choices(record.get("output")))
        values = _values(record)
        rows = exchange(origin, NAME, request, response, values, native_id=native_id)
    found = Decoded(rows, skipped=[reason] if reason else [])
    if text_of_value(kind.get("type")) != "score":
        found.feedback = _scores(record, origin, rows)
    return found


def _is_root(record: dict[str, Any]) -> bool:
    known = record.get("is_root")
    return known if isinstance(known, bool) else not record.get("span_parents")


def _not_a_response(record: dict[str, Any], kind: dict[str, Any]) -> str | None:
    """Return why a span is no row, None where it is one."""
    name = text_of_value(kind.get("type")) or "task"
    if text_of_value(kind.get("purpose")) == "scorer":
        return "scorer span"
    if name == "llm":
        return None
    answers = is_answer(_choices(record.get("output"))) or bool(record.get("error"))
    if name == "task" and _is_root(record) and is_question(record.get("input")) and answers:
        return None
    return _SKIPPED.get(name, "other span")


def _choices(output: Any) -> Any:
    """Put the bare choices that its wrapper of OpenAI's client logs back into a completion."""
    listed = as_json(output)
    if (
        isinstance(listed, list)
        and listed
        and all(isinstance(item, dict) and isinstance(item.get("message"), dict) for item in listed)
    ):
        return {"choices": listed}
    return output


def _values(record: dict[str, Any]) -> Row:
    metadata, metrics = as_dict(record.get("metadata")), as_dict(record.get("metrics"))
    started = to_time(metrics.get("start"))
    parents = as_json(record.get("span_parents"))
    expected = record.get("expected")
    values: Row = {
        "request_time": started or to_time(record.get("created")),
        "time_basis": "request_start" if started else None,
        "duration_s": seconds_between(started, to_time(metrics.get("end"))),
        "time_to_first_chunk_s": to_number(metrics.get("time_to_first_token")),
        "trace_id": text_of_value(record.get("root_span_id")),
        "span_id": text_of_value(record.get("span_id")),
        "parent_span_id": to_text(parents[0]) if isinstance(parents, list) and parents else None,
        "is_root": _is_root(record),
        "cost_usd": to_number(metrics.get("estimated_cost")),
        "error_type": exception_name(record.get("error")),
        **_parameters(metadata),
        "tags": text_list(record.get("tags")),
        "source_version": _transaction(record.get("_xact_id")),
        # Whether somebody wrote it for this response is not known: it is no correction.
        "reference_answer": expected if isinstance(expected, str) else _as_text(expected),
    }
    values.update((k, text_of_value(first_of(metadata, *names))) for k, names in _METADATA.items())
    values.update((column, to_count(metrics.get(name))) for column, name in _METRICS.items())
    held = _PARAMETERS | set(_METADATA["user_id"])
    held |= {
        next((name for name in names if metadata.get(name) is not None), "")
        for names in _METADATA.values()
    }
    timed = {"start", "end", "tokens", "time_to_first_token", "estimated_cost", *_METRICS.values()}
    rest = {
        **record,
        "metadata_rest": {k: v for k, v in metadata.items() if k not in held},
        "metrics_rest": {k: v for k, v in metrics.items() if k not in timed},
    }
    values["attributes_json"] = leftover(rest, _READ)
    return values


def _parameters(metadata: dict[str, Any]) -> Row:
    stream = metadata.get("stream")
    tools = as_json(metadata.get("tools"))
    return {
        "request_temperature": to_number(metadata.get("temperature")),
        "request_top_p": to_number(metadata.get("top_p")),
        "request_max_tokens": to_count(first_of(metadata, "max_completion_tokens", "max_tokens")),
        "request_seed": to_count(metadata.get("seed")),
        "request_stream": stream if isinstance(stream, bool) else None,
        "request_reasoning_level": to_text(metadata.get("reasoning_effort")),
        "tool_definitions": to_json(tools) if isinstance(tools, list) and tools else None,
    }


_PARAMETERS = {
    *("temperature", "top_p", "max_tokens", "max_completion_tokens", "seed", "stream"),
    *("reasoning_effort", "tools"),
}


def _as_text(value: Any) -> str | None:
    return None if value in (None, {}, []) else to_json(value)


def _transaction(value: Any) -> int | None:
    """Read a transaction's number exactly: it is too long for a float."""
    number = to_text(value)
    if number is None or not (number.isascii() and number.isdecimal()) or len(number) > 19:
        return None
    return int(number) if int(number) < 2**63 else None


def _scores(record: dict[str, Any], origin: Origin, rows: list[Row]) -> list[Row]:
    target = target_of(
        rows,
        span=text_of_value(record.get("span_id")),
        trace=text_of_value(record.get("root_span_id")),
        is_root=_is_root(record),
    )
    found = []
    for name, value in as_dict(record.get("scores")).items():
        if to_number(value) is None and not isinstance(value, bool):
            continue
        kind, values = votes.score(name, value)
        if kind == "score":
            values |= {"scale_min": 0.0, "scale_max": 1.0}
        common = {**target, "name": name, "annotator_role": "unknown", **values}
        found.append(feedback(origin, NAME, kind, common))
    return found


FORMAT = Format(
    NAME,
    "Braintrust spans",
    "`_xact_id`, `span_id` and `root_span_id`",
    Rank.ENVELOPE,
    recognises,
    decode,
)
