"""Amazon Bedrock's model invocation log: the bodies are those of the model's own API.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-logging.html
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.batches import other_call
from loopllm_cli.sources.fields import (
    as_json,
    first_of,
    to_count,
    to_error,
    to_number,
    to_text,
    to_time,
)
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.labels import from_labels
from loopllm_cli.sources.payloads.anything import read_request, read_response
from loopllm_cli.sources.payloads.body import Response, exchange
from loopllm_cli.sources.payloads.pieces import as_dict, leftover
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Row
from loopllm_cli.sources.wrapped import known

NAME = "bedrock_invocation"
_READ = {
    *("schemaType", "schemaVersion", "timestamp", "requestId", "operation", "modelId"),
    *("errorCode", "input", "output"),
}
_READ_INSIDE = {
    *("inputContentType", "inputBodyJson", "inputTokenCount", "cacheReadInputTokenCount"),
    *("cacheWriteInputTokenCount", "outputContentType", "outputBodyJson", "outputTokenCount"),
}


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record is an entry of the invocation log."""
    return record.get("schemaType") == "ModelInvocationLog"


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one invocation.

    Raises:
        BadLine: a body has the shape of an API's and is malformed.
    """
    given, made = as_dict(record.get("input")), as_dict(record.get("output"))
    asked, answered = as_json(given.get("inputBodyJson")), as_json(made.get("outputBodyJson"))
    model = to_text(record.get("modelId"))
    other = _other(model, answered)
    if other is not None:
        return Decoded(skipped=[other])
    native_id = to_text(record.get("requestId"))
    if native_id is None and model is None:
        raise BadLine("an invocation without a request id or a model")
    request, response = read_request(asked), read_response(answered) or Response()
    operation = to_text(record.get("operation")) or ""
    inside = {**given, **made}
    rest = {key: value for key, value in inside.items() if key not in _READ_INSIDE}
    values: Row = {
        **known(from_labels(record.get("requestMetadata"))),
        **_timing(answered),
        "request_time": to_time(record.get("timestamp"), origin.date_format),
        "request_id": native_id,
        "provider_name": "aws.bedrock",
        "request_model": model,
        "request_stream": operation.endswith("Stream") if operation else None,
        "error_type": to_error(record.get("errorCode")),
        "attributes_json": leftover({**rest, **record}, _READ),
    }
    response.values = {**_tokens(given, made), **known(response.values)}
    return Decoded(exchange(origin, NAME, request, response, values, native_id=native_id))


def _tokens(given: dict[str, Any], made: dict[str, Any]) -> Row:
    """Read the log's own counts, which stand in where the body has none."""
    fresh = to_count(given.get("inputTokenCount"))
    read = to_count(given.get("cacheReadInputTokenCount"))
    written = to_count(given.get("cacheWriteInputTokenCount"))
    return {
        "input_tokens": None if fresh is None else to_count(fresh + (read or 0) + (written or 0)),
        "output_tokens": to_count(made.get("outputTokenCount")),
        "cache_read_input_tokens": read,
        "cache_write_input_tokens": written,
    }


def _timing(answered: Any) -> Row:
    """Read what a stream's last chunk says of its timing."""
    for chunk in reversed(answered) if isinstance(answered, list) else ():
        metrics = as_dict(chunk.get("amazon-bedrock-invocationMetrics")) if _is_dict(chunk) else {}
        if metrics:
            whole, first = (
                to_number(metrics.get(f"{k}Latency")) for k in ("invocation", "firstByte")
            )
            return {
                "duration_s": None if whole is None or whole < 0 else whole / 1000,
                "time_to_first_chunk_s": None if first is None or first < 0 else first / 1000,
            }
    return {}


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def _other(model: str | None, answered: Any) -> str | None:
    """Return what an invocation is that generates no text."""
    if isinstance(answered, dict):
        if first_of(answered, "embedding", "embeddings", "embeddingsByType") is not None:
            return "embedding call"
        if isinstance(first_of(answered, "images", "artifacts"), list):
            return "image call"
    words = ("embed", "rerank", "stable-", "image-generator", "canvas")
    name = (model or "").lower()
    if any(word in name for word in words[:2]):
        return "embedding call" if "embed" in name else "rerank call"
    return "image call" if any(word in name for word in words[2:]) else other_call(model)


FORMAT = Format(
    NAME,
    "Amazon Bedrock invocation logs",
    "the schema type ModelInvocationLog",
    Rank.ENVELOPE,
    recognises,
    decode,
)
