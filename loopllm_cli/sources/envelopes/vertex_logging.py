"""Vertex AI's request-response logging, as exported from BigQuery.

Rows are a sample of the calls where a sampling rate was set.

Source: https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/request-response-logging
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.batches import other_call
from loopllm_cli.sources.fields import as_json, to_number, to_text, to_time
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.labels import from_labels
from loopllm_cli.sources.payloads.anything import read_request, read_response
from loopllm_cli.sources.payloads.body import Response, exchange
from loopllm_cli.sources.payloads.gemini import to_model
from loopllm_cli.sources.payloads.pieces import as_dict, leftover
from loopllm_cli.sources.rows import Decoded, Origin, Row
from loopllm_cli.sources.wrapped import known

NAME = "vertex_logging"
_READ = {
    *("logging_time", "request_id", "request_payload", "response_payload", "model", "api_method"),
    *("full_request", "full_response", "metadata"),
}


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record is a row of the logging table."""
    bodies = "full_request" in record or "request_payload" in record
    return bodies and "logging_time" in record and "endpoint" in record


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one logged call.

    Raises:
        BadLine: a body has the shape of an API's and is malformed.
    """
    method = to_text(record.get("api_method")) or ""
    model = to_model(record.get("model")) or to_model(record.get("endpoint"))
    other = other_call(method, model)
    if other is not None:
        return Decoded(skipped=[other])
    asked = _body(record, "full_request", "request_payload")
    answered = _body(record, "full_response", "response_payload")
    request, response = read_request(asked), read_response(answered) or Response()
    metadata = as_dict(record.get("metadata"))
    latency = to_number(metadata.get("request_latency"))
    read = _READ | ({"otel_log"} if request or response.answers else set())
    labels = asked.get("labels") if isinstance(asked, dict) else None
    told = {key: value for key, value in metadata.items() if key != "request_latency"}
    values: Row = {
        **known(from_labels(labels)),
        "request_time": to_time(record.get("logging_time"), origin.date_format),
        "duration_s": latency / 1000 if latency is not None and latency >= 0 else None,
        "request_id": to_text(record.get("request_id")),
        "provider_name": "gcp.vertex_ai",
        "request_model": model,
        "request_stream": method.lower().startswith("stream") if method else None,
        "attributes_json": leftover({**record, "labels": labels, "log_metadata": told}, read),
    }
    native_id = to_text(record.get("request_id"))
    return Decoded(exchange(origin, NAME, request, response, values, native_id=native_id))


def _body(record: dict[str, Any], whole: str, pieces: str) -> Any:
    """Return a body: the whole one, or the payloads, of which a stream has several."""
    body = as_json(record.get(whole))
    if body:
        return body
    listed = as_json(record.get(pieces))
    bodies = [as_json(piece) for piece in listed] if isinstance(listed, list) else []
    return bodies[0] if len(bodies) == 1 else bodies


FORMAT = Format(
    NAME,
    "Vertex AI request-response logs",
    "full_request beside logging_time",
    Rank.ENVELOPE,
    recognises,
    decode,
)
