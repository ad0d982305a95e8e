"""Anthropic's Message Batches: the requests, and the file of results.

The prompt stands only in the requests. A result whose request is not known yet is a row without
context, which is replaced once the request comes.

Source: https://docs.anthropic.com/en/api/retrieving-message-batch-results
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loopllm_cli.sources.batches import custom_id, joined, request_part, result_part
from loopllm_cli.sources.fields import get_path, to_text
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.anthropic import read_response, to_request
from loopllm_cli.sources.payloads.body import Request, Response, exchange
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Record, Row, to_json

NAME = "anthropic_batch"
_WITHOUT_ANSWER = ("canceled", "expired")


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record is a request of a batch or a result."""
    return "custom_id" in record and ("params" in record or "result" in record)


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Take one line as a part of its call.

    Raises:
        BadLine: the request or the result is malformed.
    """
    if "params" in record:
        if not isinstance(record["params"], dict):
            raise BadLine("a batch request without parameters")
        to_request(record["params"])
        return Decoded(parts=[request_part(record, record["params"], origin)])
    custom_id(record)
    result = record["result"]
    if not isinstance(result, dict):
        raise BadLine("a batch result that is no object")
    response = _response(result)
    message_id = to_text(response.values.get("response_id"))
    return Decoded(parts=[result_part(record, result, message_id, origin)])


def assemble(group: str, contents: Sequence[Record], origin: Origin) -> Decoded:
    """Build the rows of the results that share a custom id."""
    found = Decoded()
    for native_id, result, body in joined(contents):
        try:
            request: Request | None = None if body is None else to_request(body)
            response = _response(result)
        except BadLine:
            continue
        error = result.get("error")
        request_id = response.values.pop("request_id", None)
        rest = {"error": error, "anthropic_request_id": request_id}
        rest = {key: value for key, value in rest.items() if value}
        values: Row = {
            "provider_name": "anthropic",
            "source_version": len(contents),
            # The caller's own id.
            "request_id": group,
            "attributes_json": to_json(rest) if rest else None,
        }
        found.interactions += exchange(origin, NAME, request, response, values, native_id=native_id)
    return found


def _response(result: dict[str, Any]) -> Response:
    """Read a result: a message, an error, or that there was none."""
    kind = result.get("type")
    if kind == "succeeded":
        message = result.get("message")
        response = read_response(message) if isinstance(message, dict) else None
        if response is None:
            raise BadLine("a batch result without a message")
        return response
    if kind == "errored":
        error = result.get("error")
        # Older results have the error itself, newer ones an envelope with a request id around it.
        inner = get_path(error, "error") if isinstance(error, dict) else None
        named = inner if isinstance(inner, dict) else error
        told = to_text(named.get("type")) if isinstance(named, dict) else None
        request_id = to_text(error.get("request_id")) if isinstance(error, dict) else None
        return Response([], {"error_type": told or "errored", "request_id": request_id})
    if kind in _WITHOUT_ANSWER:
        return Response([], {"error_type": kind})
    raise BadLine("a batch result of unknown type")


FORMAT = Format(
    NAME,
    "Anthropic message batches",
    "a custom id beside parameters or a result",
    Rank.VENDOR,
    recognises,
    decode,
    assemble,
)
