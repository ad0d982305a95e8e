"""OpenAI's Batch API: the input file, the output file and the file of errors.

The prompt stands only in the input file. A result whose input is not known yet is a row without
context, which is replaced once the input comes.

Source: https://platform.openai.com/docs/api-reference/batch
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loopllm_cli.sources.batches import custom_id, joined, other_call, request_part, result_part
from loopllm_cli.sources.fields import first_of, get_path, to_count, to_error, to_text
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.labels import from_labels
from loopllm_cli.sources.payloads import openai_chat, openai_responses
from loopllm_cli.sources.payloads.body import Request, Response, exchange
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Record, Row, to_json
from loopllm_cli.sources.wrapped import known

NAME = "openai_batch"


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record is a line of an input file or of an output file."""
    if "custom_id" not in record:
        return False
    return "body" in record or ("response" in record and "error" in record)


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Take one line as a part of its call.

    Raises:
        BadLine: the request or the response is malformed.
    """
    if "body" in record:
        body = record["body"]
        if not isinstance(body, dict):
            raise BadLine("a batch request without a body")
        other = other_call(first_of(record, "url", "body.model"))
        if other is not None:
            return Decoded(skipped=[other])
        _request(body)
        return Decoded(parts=[request_part(record, body, origin)])
    response, error = record["response"], record["error"]
    answered = response.get("body") if isinstance(response, dict) else None
    if isinstance(answered, dict):
        other = _other(answered)
        if other is not None:
            return Decoded(skipped=[other])
    result = {
        "custom_id": custom_id(record),
        "request_id": get_path(response, "request_id") if isinstance(response, dict) else None,
        "status_code": get_path(response, "status_code") if isinstance(response, dict) else None,
        "body": answered,
        "error": error,
    }
    _response(result)
    return Decoded(parts=[result_part(record, result, to_text(record.get("id")), origin)])


def assemble(group: str, contents: Sequence[Record], origin: Origin) -> Decoded:
    """Build the rows of the results that share a custom id."""
    found = Decoded()
    for native_id, result, body in joined(contents):
        try:
            request = None if body is None else _request(body)
            response = _response(result)
        except BadLine:
            continue
        if request is not None and isinstance(result["body"], dict):
            openai_responses.add_instructions(request, result["body"])
        told = {**response.values, **(known(request.values) if request else {})}
        if response.answers and openai_responses.lacks_context(told, body):
            response.values["content_state"] = "partial_context"
        values = _about(group, result, body, len(contents))
        if response.values.get("request_time") is not None:
            values["time_basis"] = "response_created"
        found.interactions += exchange(origin, NAME, request, response, values, native_id=native_id)
    return found


def _about(group: str, result: Record, body: Record | None, version: int) -> Row:
    """Read what the batch says of a call; the caller's own id is the request's id."""
    metadata = [b.get("metadata") for b in (body, result["body"]) if isinstance(b, dict)]
    rest = {
        "openai_request_id": to_text(result["request_id"]),
        "body_metadata": next((m for m in metadata if m), None),
        "error": result["error"],
    }
    rest = {key: value for key, value in rest.items() if value}
    return {
        **known(from_labels(*metadata)),
        "source_version": version,
        "request_id": group,
        "http_status": to_count(result["status_code"]),
        "attributes_json": to_json(rest) if rest else None,
    }


def _request(body: dict[str, Any]) -> Request:
    request = openai_chat.read_request(body)
    return openai_responses.to_request(body) if request is None else request


def _response(result: dict[str, Any]) -> Response:
    """Read a result: a completion, a response object, or why there is none."""
    body = result["body"]
    if isinstance(body, dict):
        response = openai_responses.read_response(body) or openai_chat.read_response(body)
        if response is not None:
            return response
    error = to_error(result["error"])
    if error is None:
        raise BadLine("a batch result without a response or an error")
    return Response([], {"error_type": error})


def _other(body: dict[str, Any]) -> str | None:
    if isinstance(body.get("data"), list) and body["data"] and "choices" not in body:
        item = body["data"][0]
        return other_call(item.get("object") if isinstance(item, dict) else None) or "other call"
    if isinstance(body.get("results"), list) and "choices" not in body:
        return "moderation call"
    return None


FORMAT = Format(
    NAME,
    "OpenAI batches",
    "a custom id beside a request or a response",
    Rank.VENDOR,
    recognises,
    decode,
    assemble,
)
