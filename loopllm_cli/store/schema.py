"""The canonical tables: one row per model response, one row per piece of feedback.

Column names are OpenTelemetry GenAI attribute names without `gen_ai.` and with underscores for
dots, because dotted names need quoting in SQL engines; the attribute itself is in the field's
metadata (`otel`).

Source: OpenTelemetry semantic conventions for generative AI,
https://github.com/open-telemetry/semantic-conventions-genai
"""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = 2

_TIME = pa.timestamp("us", tz="UTC")


def _field(name: str, kind: pa.DataType, otel: str = "", *, null: bool = True) -> pa.Field:
    metadata = {"otel": otel} if otel else None
    return pa.field(name, kind, nullable=null, metadata=metadata)


INTERACTIONS = pa.schema(
    [
        _field("interaction_id", pa.string(), null=False),
        _field("content_digest", pa.string(), null=False),
        # What the exporter counts up when it changes a record; a larger one replaces a smaller.
        _field("source_version", pa.int64()),
        _field("source_format", pa.string(), null=False),
        _field("source_path", pa.string(), null=False),
        _field("source_line", pa.int64()),
        _field("source_record_id", pa.string()),
        _field("ingest_id", pa.string(), null=False),
        _field("schema_version", pa.int64(), null=False),
        _field("request_time", _TIME),
        _field("time_basis", pa.string(), null=False),
        _field("duration_s", pa.float64()),
        _field("time_to_first_chunk_s", pa.float64(), "gen_ai.response.time_to_first_chunk"),
        _field("trace_id", pa.string()),
        _field("span_id", pa.string()),
        _field("parent_span_id", pa.string()),
        _field("is_root", pa.bool_()),
        _field("is_visible", pa.bool_()),
        _field("conversation_id", pa.string(), "gen_ai.conversation.id"),
        _field("turn_index", pa.int64()),
        _field("choice_index", pa.int64(), null=False),
        _field("response_id", pa.string(), "gen_ai.response.id"),
        _field("previous_response_id", pa.string(), "gen_ai.request.previous_response.id"),
        _field("request_id", pa.string()),
        _field("user_id", pa.string(), "user.id"),
        _field("operation_name", pa.string(), "gen_ai.operation.name"),
        _field("provider_name", pa.string(), "gen_ai.provider.name"),
        _field("request_model", pa.string(), "gen_ai.request.model"),
        _field("response_model", pa.string(), "gen_ai.response.model"),
        _field("prompt_name", pa.string(), "gen_ai.prompt.name"),
        _field("prompt_version", pa.string(), "gen_ai.prompt.version"),
        _field("agent_name", pa.string(), "gen_ai.agent.name"),
        _field("service_name", pa.string(), "service.name"),
        _field("service_version", pa.string(), "service.version"),
        _field("deployment_environment", pa.string(), "deployment.environment.name"),
        _field("request_temperature", pa.float64(), "gen_ai.request.temperature"),
        _field("request_top_p", pa.float64(), "gen_ai.request.top_p"),
        _field("request_top_k", pa.float64(), "gen_ai.request.top_k"),
        _field("request_stream", pa.bool_(), "gen_ai.request.stream"),
        _field("request_reasoning_level", pa.string(), "gen_ai.request.reasoning.level"),
        _field("request_max_tokens", pa.int64(), "gen_ai.request.max_tokens"),
        _field("request_seed", pa.int64(), "gen_ai.request.seed"),
        _field("system_instructions", pa.string(), "gen_ai.system_instructions"),
        _field("input_messages", pa.string(), "gen_ai.input.messages"),
        _field("output_messages", pa.string(), "gen_ai.output.messages"),
        _field("tool_definitions", pa.string(), "gen_ai.tool.definitions"),
        _field("prompt_text", pa.string()),
        _field("response_text", pa.string()),
        _field("reasoning_text", pa.string()),
        _field("reference_answer", pa.string()),
        _field("tool_call_names", pa.list_(pa.string())),
        _field("n_tool_calls", pa.int64()),
        _field("modalities", pa.list_(pa.string())),
        _field("context_hash", pa.string()),
        _field("prompt_hash", pa.string()),
        _field("response_hash", pa.string()),
        _field("content_state", pa.string(), null=False),
        _field("input_tokens", pa.int64(), "gen_ai.usage.input_tokens"),
        _field("output_tokens", pa.int64(), "gen_ai.usage.output_tokens"),
        _field("cache_read_input_tokens", pa.int64(), "gen_ai.usage.cache_read.input_tokens"),
        _field("cache_write_input_tokens", pa.int64(), "gen_ai.usage.cache_write.input_tokens"),
        _field("reasoning_output_tokens", pa.int64(), "gen_ai.usage.reasoning.output_tokens"),
        _field("cost_usd", pa.float64()),
        _field("finish_reason", pa.string(), "gen_ai.response.finish_reasons"),
        _field("finish_reason_raw", pa.string()),
        _field("error_type", pa.string(), "error.type"),
        _field("http_status", pa.int64()),
        _field("tags", pa.list_(pa.string())),
        _field("attributes_json", pa.string()),
        # Which rules masked the texts, such as "secrets/1"; null where none did.
        _field("redaction", pa.string()),
    ]
)

FEEDBACK = pa.schema(
    [
        _field("feedback_id", pa.string(), null=False),
        _field("source_format", pa.string(), null=False),
        _field("source_path", pa.string(), null=False),
        _field("source_line", pa.int64()),
        _field("ingest_id", pa.string(), null=False),
        _field("schema_version", pa.int64(), null=False),
        _field("kind", pa.string(), null=False),
        _field("name", pa.string(), "gen_ai.evaluation.name"),
        _field("score_value", pa.float64(), "gen_ai.evaluation.score.value"),
        _field("score_label", pa.string(), "gen_ai.evaluation.score.label"),
        _field("text", pa.string()),
        _field("explanation", pa.string(), "gen_ai.evaluation.explanation"),
        _field("scale_min", pa.float64()),
        _field("scale_max", pa.float64()),
        _field("polarity", pa.int8()),
        _field("annotator_kind", pa.string(), null=False),
        _field("annotator_role", pa.string()),
        _field("annotator_id", pa.string()),
        _field("feedback_time", _TIME),
        # What the vote is about, in the exporter's own words; see store/linking.py.
        _field("target_kind", pa.string(), null=False),
        _field("target_id", pa.string()),
        _field("target_key", pa.string(), null=False),
        _field("target_span_id", pa.string()),
        _field("target_response_id", pa.string(), "gen_ai.response.id"),
        _field("target_trace_id", pa.string()),
        _field("target_conversation_id", pa.string(), "gen_ai.conversation.id"),
        _field("target_turn_index", pa.int64()),
        _field("target_response_hash", pa.string()),
        _field("candidate_ids", pa.list_(pa.string())),
        _field("winner_id", pa.string()),
        _field("tie", pa.bool_()),
    ]
)

# Pieces of a response that arrive apart (a request and its answer in two files, the messages of
# a conversation, the chunks of a stream), kept until their group can be put together, and after.
PARTS = pa.schema(
    [
        _field("source_format", pa.string(), null=False),
        _field("group_key", pa.string(), null=False),
        _field("part_key", pa.string(), null=False),
        _field("source_version", pa.int64(), null=False),
        _field("source_path", pa.string(), null=False),
        _field("source_line", pa.int64()),
        _field("ingest_id", pa.string(), null=False),
        _field("content_digest", pa.string(), null=False),
        _field("content_json", pa.string(), null=False),
    ]
)
