"""LiteLLM: the standard logging payload of its callbacks, and the proxy's table of spend logs.

Both may log the same call; each keeps the ids of its own format.

Source: https://docs.litellm.ai/docs/proxy/logging_spec ;
https://github.com/BerriAI/litellm/blob/main/schema.prisma
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from loopllm_cli.sources.fields import as_json, first_of, get_path, to_count, to_number, to_time
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.anything import read_request, read_response
from loopllm_cli.sources.payloads.body import Request, Response, exchange
from loopllm_cli.sources.payloads.openai_chat import to_usage
from loopllm_cli.sources.payloads.pieces import (
    as_dict,
    exception_name,
    leftover,
    seconds_between,
    text_list,
    text_of_value,
)
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Message, Origin, Row

STANDARD = "litellm_standard"
SPEND = "litellm_spend"
_IDS = {STANDARD: "id", SPEND: "request_id"}
_REDACTED = "redacted-by-litellm"
_OTHER_CALLS = {
    "embedding": "embedding call",
    "moderation": "moderation call",
    "image": "image call",
    "video": "video call",
    "speech": "audio call",
    "transcription": "audio call",
    "rerank": "rerank call",
    "ocr": "document call",
    "vector_store": "retrieval call",
    "file": "file call",
    "batch": "batch call",
    "mcp": "tool call",
}
_READ = {
    *("id", "trace_id", "call_id", "call_type", "stream", "custom_llm_provider", "status"),
    *("total_tokens", "prompt_tokens", "completion_tokens", "startTime", "endTime"),
    *("completionStartTime", "response_time", "response_cost", "model", "messages", "response"),
    *("model_parameters", "end_user", "request_tags", "request_id", "spend", "user"),
    *("request_duration_ms", "session_id", "cache_hit"),
    # The caller's address is personal, and nothing here needs it.
    "requester_ip_address",
}


def recognises_standard(record: dict[str, Any]) -> bool:
    """Return whether a record is a standard logging payload."""
    return "model_map_information" in record and "model_group" in record


def recognises_spend(record: dict[str, Any]) -> bool:
    """Return whether a record is a row of the spend logs."""
    return all(key in record for key in ("request_id", "spend", "call_type", "startTime"))


def decode_standard(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one logging payload.

    Raises:
        BadLine: it has no id, or a payload is malformed.
    """
    metadata = as_dict(record.get("metadata"))
    values: Row = {
        "trace_id": text_of_value(record.get("trace_id")),
        "request_id": text_of_value(record.get("call_id")),
        "conversation_id": text_of_value(
            first_of(metadata, "requester_metadata.session_id", "session_id")
        ),
        "cost_usd": to_number(record.get("response_cost")),
        "user_id": text_of_value(record.get("end_user"))
        or text_of_value(metadata.get("user_api_key_end_user_id")),
        "request_stream": _flag(record.get("stream")),
    }
    return _decode(record, origin, STANDARD, record.get("messages"), values)


def decode_spend(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one row of the spend logs; without stored prompts it has no content.

    Raises:
        BadLine: it has no id, or a payload is malformed.
    """
    given = as_json(record.get("messages"))
    if given in (None, "", {}, []):
        given = as_dict(record.get("proxy_server_request")).get("messages")
    duration = to_number(record.get("request_duration_ms"))
    values: Row = {
        "request_id": text_of_value(record.get("request_id")),
        "conversation_id": text_of_value(record.get("session_id")),
        "cost_usd": to_number(record.get("spend")),
        "user_id": text_of_value(record.get("end_user")) or text_of_value(record.get("user")),
        "duration_s": duration / 1000 if duration is not None and duration >= 0 else None,
    }
    return _decode(record, origin, SPEND, given, values)


def _decode(record: dict[str, Any], origin: Origin, name: str, given: Any, values: Row) -> Decoded:
    native_id = text_of_value(record.get(_IDS[name]))
    if native_id is None:
        raise BadLine("a call without an id")
    kind = (text_of_value(record.get("call_type")) or "").lower()
    other = next((reason for part, reason in _OTHER_CALLS.items() if part in kind), None)
    if other is not None:
        return Decoded(skipped=[other])
    request = _request(record, given)
    response = read_response(record.get("response"))
    values = {**_common(record, response), **{k: v for k, v in values.items() if v is not None}}
    if values["error_type"] is not None:
        # A failed call is logged with counts and a cost of zero.
        empty = ("input_tokens", "output_tokens", "cost_usd", "time_to_first_chunk_s")
        values.update((column, values.get(column) or None) for column in empty)
    elif values.get("response_id") is None:
        values["response_id"] = native_id
    if _is_redacted(request, response):
        values["content_state"] = "redacted"
    return Decoded(exchange(origin, name, request, response, values, native_id=native_id))


def _request(record: dict[str, Any], given: Any) -> Request | None:
    """Read the messages together with the parameters that stand beside them."""
    given = as_json(given)
    if isinstance(given, list) and given and all(isinstance(message, dict) for message in given):
        return read_request({**as_dict(record.get("model_parameters")), "messages": given})
    return read_request(given)


def _common(record: dict[str, Any], response: Response | None) -> Row:
    get = record.get
    metadata = as_dict(get("metadata"))
    start, end = to_time(get("startTime")), to_time(get("endTime"))
    first = to_time(get("completionStartTime"))
    known = response.values if response else {}
    is_streamed = get("stream") is not False and first and end and first < end
    error = _error(record, metadata)
    rest = {
        **record,
        "metadata": {k: v for k, v in metadata.items() if k not in _METADATA},
        "cached": _flag(get("cache_hit")) or None,
    }
    values: Row = {
        **{k: v for k, v in to_usage(as_dict(metadata.get("usage_object"))).items() if v},
        "request_time": start,
        "time_basis": "request_start" if start else None,
        "duration_s": seconds_between(start, end),
        "time_to_first_chunk_s": seconds_between(start, first) if is_streamed else None,
        "response_id": known.get("response_id"),
        "provider_name": text_of_value(get("custom_llm_provider")),
        "request_model": text_of_value(get("model")),
        "input_tokens": to_count(get("prompt_tokens")),
        "output_tokens": to_count(get("completion_tokens")),
        "error_type": error or known.get("error_type"),
        "tags": text_list(get("request_tags")),
        "attributes_json": leftover(rest, _READ),
    }
    status = to_count(first_of(record, "error_information.error_code"))
    status = status or to_count(get_path(metadata, "error_information.error_code"))
    values["http_status"] = status if status and 100 <= status < 600 else None
    return values


_METADATA = {
    *("usage_object", "requester_ip_address", "status", "user_api_key_user_id"),
    *("user_api_key_end_user_id", "user_api_key_user_email"),
}


def _error(record: dict[str, Any], metadata: dict[str, Any]) -> str | None:
    status = text_of_value(record.get("status")) or text_of_value(metadata.get("status"))
    if status != "failure":
        return None
    for told in (
        as_dict(record.get("error_information")),
        as_dict(metadata.get("error_information")),
    ):
        name = text_of_value(told.get("error_class"))
        if name:
            return name
    return exception_name(record.get("error_str")) or "error"


def _flag(value: Any) -> bool | None:
    """Read a flag, also from Python's and the database's words for it; an empty one is unknown."""
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    return {"true": True, "false": False}.get(word)


def _is_redacted(request: Request | None, response: Response | None) -> bool:
    messages = list(request.messages) if request else []
    answers = response.answers if response else []
    messages += [answer.message for answer in answers if answer.message]
    return any(text.strip() == _REDACTED for text in _texts(messages))


def _texts(messages: list[Message]) -> Iterable[str]:
    for message in messages:
        for part in message["parts"]:
            if isinstance(part.get("content"), str):
                yield part["content"]


FORMATS = [
    Format(
        STANDARD,
        "LiteLLM logging payloads",
        "`model_map_information` and `model_group`",
        Rank.ENVELOPE,
        recognises_standard,
        decode_standard,
    ),
    Format(
        SPEND,
        "LiteLLM spend logs",
        "`request_id`, `spend` and `call_type`",
        Rank.ENVELOPE,
        recognises_spend,
        decode_spend,
    ),
]
