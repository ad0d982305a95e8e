"""Which span attribute is which column, in OpenTelemetry's names and in the dialects'.

The first name that holds a readable value counts: current GenAI names, then older ones, then
OpenInference, then the dialects of single libraries.

Source: https://github.com/open-telemetry/semantic-conventions-genai (and its older releases);
https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md ;
https://ai-sdk.dev/docs/ai-sdk-core/telemetry ; OpenLLMetry, Pydantic AI and MLflow sources.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loopllm_cli.sources.fields import as_json, to_count, to_number, to_text
from loopllm_cli.sources.payloads.otel_parts import to_finish
from loopllm_cli.sources.rows import Record, Row, to_json

_PROVIDERS = {
    "az.ai.openai": "azure.ai.openai",
    "az.ai.inference": "azure.ai.inference",
    "vertex_ai": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "bedrock": "aws.bedrock",
    "xai": "x_ai",
}


def _text(value: Any) -> str | None:
    return to_text(value) or None


def _provider(value: Any) -> str | None:
    text = (_text(value) or "").lower()
    return _PROVIDERS.get(text, text) or None


def _vercel_provider(value: Any) -> str | None:
    return _provider((_text(value) or "").partition(".")[0])


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _amount(value: Any) -> float | None:
    number = to_number(value)
    return number if number is not None and number >= 0 else None


def _milliseconds(value: Any) -> float | None:
    number = _amount(value)
    return None if number is None else number / 1000


def _json(value: Any) -> str | None:
    value = as_json(value)
    if isinstance(value, list):
        # The Vercel AI SDK writes a list of JSON texts.
        value = [as_json(item) for item in value]
    return to_json(value) if isinstance(value, list | dict) and value else None


def _words(value: Any) -> list[str] | None:
    value = as_json(value)
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list):
        return None
    return [word.strip() for word in map(_text, value) if word and word.strip()] or None


_METADATA = ("ai.telemetry.metadata.", "traceloop.association.properties.", "langsmith.metadata.")


def _in_metadata(*names: str) -> tuple[str, ...]:
    return tuple(f"{prefix}{name}" for prefix in _METADATA for name in names)


_Reader = Callable[[Any], Any]
_COLUMNS: tuple[tuple[str, _Reader, tuple[str, ...]], ...] = (
    ("operation_name", _text, ("gen_ai.operation.name",)),
    ("provider_name", _provider, ("gen_ai.provider.name", "llm.provider")),
    ("provider_name", _vercel_provider, ("ai.model.provider",)),
    ("provider_name", _provider, ("gen_ai.system", "llm.system")),
    (
        "request_model",
        _text,
        ("gen_ai.request.model", "llm.request.model_name", "ai.model.id", "model_name"),
    ),
    (
        "response_model",
        _text,
        (
            *("gen_ai.response.model", "llm.response.model_name", "llm.model_name"),
            *("ai.response.model", "llm.response.model"),
        ),
    ),
    ("response_id", _text, ("gen_ai.response.id", "ai.response.id")),
    ("previous_response_id", _text, ("gen_ai.request.previous_response.id",)),
    (
        "conversation_id",
        _text,
        (
            *("gen_ai.conversation.id", "session.id", "gcp.vertex.agent.session_id"),
            *_in_metadata("sessionId", "session_id", "conversation_id", "thread_id", "chat_id"),
            *("mlflow.trace.session", "gen_ai.thread.id"),
        ),
    ),
    (
        "user_id",
        _text,
        ("user.id", "enduser.id", *_in_metadata("userId", "user_id"), "mlflow.trace.user"),
    ),
    ("agent_name", _text, ("gen_ai.agent.name", "agent.name", "agent_name")),
    ("prompt_name", _text, ("gen_ai.prompt.name",)),
    ("prompt_version", _text, ("gen_ai.prompt.version", "llm.prompt_template.version")),
    ("request_temperature", to_number, ("gen_ai.request.temperature", "ai.settings.temperature")),
    ("request_top_p", to_number, ("gen_ai.request.top_p", "ai.settings.topP")),
    ("request_top_k", to_number, ("gen_ai.request.top_k", "ai.settings.topK")),
    (
        "request_max_tokens",
        to_count,
        ("gen_ai.request.max_tokens", "ai.settings.maxOutputTokens", "ai.settings.maxTokens"),
    ),
    ("request_seed", to_count, ("gen_ai.request.seed", "gen_ai.openai.request.seed")),
    (
        "request_stream",
        _flag,
        ("gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming"),
    ),
    ("request_reasoning_level", _text, ("gen_ai.request.reasoning.level",)),
    (
        "tool_definitions",
        _json,
        ("gen_ai.tool.definitions", "ai.prompt.tools", "mlflow.chat.tools"),
    ),
    (
        "input_tokens",
        to_count,
        (
            *("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
            *("ai.usage.inputTokens", "ai.usage.promptTokens", "llm.usage.prompt_tokens"),
        ),
    ),
    (
        "output_tokens",
        to_count,
        (
            *("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
            *("llm.token_count.completion", "ai.usage.outputTokens", "ai.usage.completionTokens"),
            "llm.usage.completion_tokens",
        ),
    ),
    (
        "cache_read_input_tokens",
        to_count,
        (
            *("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens"),
            *(
                "gen_ai.usage.details.cache_read_tokens",
                "llm.token_count.prompt_details.cache_read",
            ),
            *("ai.usage.cachedInputTokens", "ai.usage.inputTokenDetails.cacheReadTokens"),
        ),
    ),
    (
        "cache_write_input_tokens",
        to_count,
        (
            *("gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens"),
            "gen_ai.usage.cache_creation_input_tokens",
            "gen_ai.usage.details.cache_write_tokens",
            "llm.token_count.prompt_details.cache_write",
            "ai.usage.inputTokenDetails.cacheWriteTokens",
        ),
    ),
    (
        "reasoning_output_tokens",
        to_count,
        (
            *("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens"),
            "gen_ai.usage.details.reasoning_tokens",
            "llm.token_count.completion_details.reasoning",
            *("ai.usage.reasoningTokens", "ai.usage.outputTokenDetails.reasoningTokens"),
        ),
    ),
    ("cost_usd", _amount, ("llm.cost.total", "operation.cost", "gen_ai.usage.cost")),
    ("time_to_first_chunk_s", _amount, ("gen_ai.response.time_to_first_chunk",)),
    (
        "time_to_first_chunk_s",
        _milliseconds,
        ("ai.response.msToFirstChunk", "ai.stream.msToFirstChunk"),
    ),
    ("error_type", _text, ("error.type",)),
    ("http_status", to_count, ("http.response.status_code", "http.status_code")),
    ("tags", _words, ("tag.tags", "langsmith.span.tags")),
)
_RESOURCE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("service_name", ("service.name",)),
    ("service_version", ("service.version",)),
    ("deployment_environment", ("deployment.environment.name", "deployment.environment")),
)
_FINISH = (
    *("gen_ai.response.finish_reasons", "gen_ai.response.finish_reason", "llm.finish_reason"),
    *("ai.response.finishReason", "ai.finishReason", "gen_ai.completion.0.finish_reason"),
)


def read_columns(attributes: Record) -> tuple[Row, set[str]]:
    """Read the columns that a span's attributes hold, and which attributes they came from.

    An attribute that says the same as the one that was taken counts as read, too.
    """
    values: Row = {}
    used: set[str] = set()
    for column, read, names in _COLUMNS:
        for name in names:
            if name not in attributes:
                continue
            value = read(attributes[name])
            same = value is not None and values.setdefault(column, value) == value
            # A provider's name that was shortened is kept whole beside its column.
            if same and read is not _vercel_provider:
                used.add(name)
    reasons = finish_reasons(attributes)
    if reasons:
        values["finish_reason"], values["finish_reason_raw"] = to_finish(reasons[0])
        used.update(name for name in _FINISH if _reasons(attributes.get(name)) == reasons)
    return values, used


def read_resource(resource: Record) -> tuple[Row, Record]:
    """Read the columns that a resource's attributes hold, and what is left of them."""
    values: Row = {}
    rest = dict(resource)
    for column, names in _RESOURCE:
        for name in names:
            value = _text(resource.get(name))
            if value is not None and values.setdefault(column, value) == value:
                rest.pop(name, None)
    return values, rest


def finish_reasons(attributes: Record) -> list[Any]:
    """Return the finish reasons of a response, by choice."""
    for name in _FINISH:
        reasons = _reasons(attributes.get(name))
        if reasons:
            return reasons
    return []


def _reasons(value: Any) -> list[Any]:
    value = as_json(value)
    return value if isinstance(value, list) else [value] if value else []
