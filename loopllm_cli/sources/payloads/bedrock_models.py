"""The bodies of models behind Bedrock's InvokeModel, each as its maker defined it.

Llama, Titan, Cohere's Command, Mistral and the older Claude; Anthropic's Messages have their own
decoder.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.fields import first_of, get_path, to_count, to_text
from loopllm_cli.sources.payloads.body import Answer, Response
from loopllm_cli.sources.rows import Message, Row, text_message

_FINISH = {
    **dict.fromkeys(
        ("end_turn", "stop_sequence", "finished", "finish", "complete", "stop"), "stop"
    ),
    **dict.fromkeys(("max_tokens", "length", "model_context_window_exceeded"), "length"),
    **dict.fromkeys(
        ("guardrail_intervened", "content_filtered", "error_toxic", "refusal"), "content_filter"
    ),
    **dict.fromkeys(("malformed_model_output", "malformed_tool_use", "error"), "error"),
    **dict.fromkeys(("stop_criteria_met", "stop_sequences"), "stop"),
    **dict.fromkeys(("tool_use", "tool_calls", "tool_call"), "tool_call"),
    "error_limit": "length",
}
PROMPT_KEYS = ("max_gen_len", "max_tokens_to_sample", "num_generations", "max_tokens", "top_p")
_TEXT_KEYS = ("generation", "outputText", "completion", "text")
_COHERE_ROLES = {"USER": "user", "CHATBOT": "assistant", "SYSTEM": "system", "TOOL": "tool"}


def to_finish_reason(raw: str | None) -> str | None:
    """Map the models' reasons to OpenTelemetry's; unknown ones pass in lower case."""
    return None if raw is None else _FINISH.get(raw.lower(), raw.lower())


def is_cohere_history(history: Any) -> bool:
    """Return whether a value is the list of earlier turns in Cohere's own roles."""
    return isinstance(history, list) and all(
        isinstance(turn, dict) and _cohere_role(turn) is not None for turn in history
    )


def _cohere_role(turn: dict[str, Any]) -> str | None:
    role = turn.get("role")
    return _COHERE_ROLES.get(role.upper()) if isinstance(role, str) else None


def cohere_messages(body: dict[str, Any]) -> list[Message]:
    """Turn a chat request of Cohere's Command R into messages."""
    messages = []
    if isinstance(body.get("preamble"), str) and body["preamble"]:
        messages.append(text_message("system", body["preamble"]))
    for turn in body["chat_history"]:
        text = to_text(turn.get("message"))
        if text is not None:
            messages.append(text_message(_cohere_role(turn) or "user", text))
    return [*messages, text_message("user", body["message"])]


def own_texts(body: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Return the texts of a model's own response, each with its reason to stop."""
    reason = to_text(first_of(body, "stop_reason", "completionReason", "finish_reason"))
    for key, told in (
        ("generation", ("stop_reason", "prompt_token_count", "generation_token_count")),
        ("outputText", ("completionReason", "index", "totalOutputTextTokenCount")),
        ("completion", ("stop_reason", "stop")),
        ("text", ("generation_id", "is_finished", "chat_history", "finish_reason")),
    ):
        if isinstance(body.get(key), str) and any(name in body for name in told):
            return [(body[key], reason)]
    for name, key in (("results", "outputText"), ("outputs", "text"), ("generations", "text")):
        several = body.get(name)
        if isinstance(several, list) and several and all(_holds(one, key) for one in several):
            reasons = ("completionReason", "stop_reason", "finish_reason")
            return [(one[key], to_text(first_of(one, *reasons))) for one in several]
    return []


def _holds(value: Any, key: str) -> bool:
    return isinstance(value, dict) and isinstance(value.get(key), str)


def own_response(body: dict[str, Any]) -> Response | None:
    """Read a model's own response; None where it is none that is known."""
    texts = own_texts(body)
    if not texts:
        return None
    said = first_of(body, "generation_token_count", "totalOutputTextTokenCount")
    if said is None and len(texts) == 1:
        said = get_path(body, "results.0.tokenCount")
    values: Row = {
        "input_tokens": to_count(first_of(body, "prompt_token_count", "inputTextTokenCount")),
        "output_tokens": to_count(said),
        "response_id": to_text(first_of(body, "response_id", "generation_id")),
    }
    answers = [
        Answer(text_message("assistant", text), to_finish_reason(raw), raw, index)
        for index, (text, raw) in enumerate(texts)
    ]
    return Response(answers, values)


def own_chunks(chunks: list[dict[str, Any]]) -> Response | None:
    """Join the texts of a stream of a model's own partial answers."""
    pieces: list[str] = []
    raw: str | None = None
    values: Row = {}
    for chunk in chunks:
        response = own_response(chunk)
        if response is None:
            # Not the last one: it may have its text alone.
            texts = (chunk.get(key) for key in _TEXT_KEYS)
            pieces += [next((text for text in texts if isinstance(text, str)), "")]
            continue
        values.update((k, v) for k, v in response.values.items() if v is not None)
        message = response.answers[0].message
        pieces.append(message["parts"][0]["content"] if message else "")
        raw = response.answers[0].finish_reason_raw or raw
    message = text_message("assistant", "".join(pieces))
    return Response([Answer(message, to_finish_reason(raw), raw)], values)
