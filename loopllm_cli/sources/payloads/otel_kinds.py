"""Which spans are calls of a model, and what the others are."""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.fields import as_json, to_text
from loopllm_cli.sources.payloads.otlp import Span

CALL = ""
"""The kind of a span that is a model's call."""

AGENT_RUN = "agent span"
OTHER = "span of another kind"
_CALLS = ("chat", "generate_content", "text_completion")
_OPERATIONS = {
    "execute_tool": "tool span",
    "invoke_agent": AGENT_RUN,
    "create_agent": AGENT_RUN,
    "invoke_workflow": "workflow span",
    "embeddings": "embedding span",
    "retrieval": "retriever span",
}
# OpenInference's, OpenLLMetry's, MLflow's and LangSmith's words for the kinds of spans.
_KINDS = {
    "llm": CALL,
    "chat_model": CALL,
    "chat": CALL,
    "completion": CALL,
    "tool": "tool span",
    "agent": AGENT_RUN,
    "chain": "chain span",
    "task": "chain span",
    "workflow": "workflow span",
    "retriever": "retriever span",
    "embedding": "embedding span",
    "reranker": "reranker span",
    "rerank": "reranker span",
    "guardrail": "guardrail span",
    "evaluator": "evaluator span",
    "prompt": "prompt span",
    "parser": "parser span",
}
_KIND_NAMES = (
    *("openinference.span.kind", "traceloop.span.kind", "mlflow.spanType", "langsmith.span.kind"),
    "llm.request.type",
)
_LOOKS_LIKE_CALL = (
    *("gen_ai.request.model", "gen_ai.response.model", "gen_ai.input.messages"),
    *("gen_ai.output.messages", "gen_ai.response.id", "gen_ai.usage.input_tokens"),
    *("gen_ai.usage.output_tokens", "gen_ai.usage.prompt_tokens", "gen_ai.prompt"),
    *("gen_ai.completion", "gen_ai.prompt.0.content", "gen_ai.completion.0.content"),
    *("llm.model_name", "llm.input_messages", "llm.output_messages"),
    *("llm.input_messages.0.message.role", "llm.token_count.prompt", "lk.response.text"),
)
_RUN = ("all_messages_events", "pydantic_ai.all_messages", "final_result")


def kind_of(span: Span) -> str:
    """Return what a span is: `CALL`, or in two words why it is no row."""
    attributes = span.attributes
    if attributes.get("logfire.span_type") == "pending_span":
        # Logfire sends a span when it opens and, under another id, when it closes.
        return "pending span"
    operation = _word(attributes.get("gen_ai.operation.name"))
    if operation in _CALLS:
        return CALL
    if operation in _OPERATIONS:
        return _OPERATIONS[operation]
    vercel = to_text(attributes.get("ai.operationId"))
    if vercel and vercel.startswith("ai."):
        return _vercel(vercel)
    for name in _KIND_NAMES:
        kind = _word(attributes.get(name))
        if kind in _KINDS:
            return _KINDS[kind]
        if kind and kind not in ("unknown", "span"):
            return OTHER
    return OTHER if operation else _by_looks(span)


def _vercel(operation: str) -> str:
    if operation.endswith((".doGenerate", ".doStream")):
        return CALL
    if operation.startswith("ai.embed"):
        return "embedding span"
    # The outer span repeats the prompt and the last answer of the calls inside it.
    return "tool span" if operation.startswith("ai.toolCall") else AGENT_RUN


def _by_looks(span: Span) -> str:
    attributes = span.attributes
    if "gen_ai.tool.name" in attributes or "ai.toolCall.name" in attributes:
        return "tool span"
    if any(name in attributes for name in _RUN):
        return AGENT_RUN
    asked = as_json(attributes.get("gcp.vertex.agent.llm_request"))
    if asked is not None:
        return CALL if asked else "tool span"
    if any(name in attributes for name in _LOOKS_LIKE_CALL):
        return CALL
    return OTHER


def is_run(span: Span) -> bool:
    """Return whether an agent's span holds the messages of its whole run.

    The Vercel AI SDK's outer spans do not count: there is always a span of each call inside.
    """
    attributes = span.attributes
    return "ai.operationId" not in attributes and any(name in attributes for name in _RUN)


def _word(value: Any) -> str:
    text = to_text(as_json(value))
    return text.strip().lower() if text else ""
