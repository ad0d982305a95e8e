"""Amazon Bedrock's bodies: the Converse API, and the models' own ones behind InvokeModel.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.fields import first_of, get_path, to_count, to_number, to_text
from loopllm_cli.sources.payloads.bedrock_models import (
    PROMPT_KEYS,
    cohere_messages,
    is_cohere_history,
    own_chunks,
    own_response,
    own_texts,
    to_finish_reason,
)
from loopllm_cli.sources.payloads.body import Answer, Request, Response
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Message, Row, digest, text_message, to_json

_BLOCKS = {
    *("text", "image", "document", "video", "audio", "toolUse", "toolResult", "reasoningContent"),
    *("guardContent", "cachePoint", "citationsContent", "searchResult"),
}
_LIMITS = (
    *("inferenceConfig.maxTokens", "inferenceConfig.max_new_tokens", "max_gen_len"),
    *("max_tokens_to_sample", "max_tokens", "textGenerationConfig.maxTokenCount"),
)


def read_request(body: dict[str, Any]) -> Request | None:
    """Read a Converse request or a model's own body; None where it is neither.

    Raises:
        BadLine: a message is malformed.
    """
    operation = "chat"
    if _is_converse(body):
        messages = _converse(body)
    elif isinstance(body.get("inputText"), str):
        messages, operation = [text_message("user", body["inputText"])], "text_completion"
    elif isinstance(body.get("prompt"), str) and any(key in body for key in PROMPT_KEYS):
        messages, operation = [text_message("user", body["prompt"])], "text_completion"
    elif isinstance(body.get("message"), str) and is_cohere_history(body.get("chat_history")):
        messages = cohere_messages(body)
    else:
        return None
    tools = first_of(body, "toolConfig.tools", "tools")
    config = ("inferenceConfig.", "", "textGenerationConfig.")
    values: Row = {
        "operation_name": operation,
        "request_model": to_text(first_of(body, "modelId", "model")),
        "request_temperature": to_number(first_of(body, *(f"{c}temperature" for c in config))),
        "request_top_p": to_number(
            first_of(body, "inferenceConfig.topP", "top_p", "p", "textGenerationConfig.topP")
        ),
        "request_top_k": to_number(first_of(body, "inferenceConfig.topK", "top_k", "k")),
        "request_max_tokens": to_count(first_of(body, *_LIMITS)),
        "tool_definitions": to_json(tools) if isinstance(tools, list) and tools else None,
    }
    return Request(messages, values)


def read_response(body: dict[str, Any]) -> Response | None:
    """Read a Converse response or a model's own one; None where it is neither.

    Raises:
        BadLine: an answer is malformed.
    """
    message = get_path(body, "output.message")
    if isinstance(message, dict):
        raw = to_text(body.get("stopReason"))
        latency = to_number(get_path(body, "metrics.latencyMs"))
        values = {"duration_s": None if latency is None else latency / 1000, **_usage(body)}
        parts = _parts(message.get("content"))
        answer = Answer({"role": "assistant", "parts": parts}, to_finish_reason(raw), raw)
        return Response([answer], values)
    return own_response(body)


def is_chunks(value: Any) -> bool:
    """Return whether a value is a stream's list of events or of partial answers."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(chunk, dict) for chunk in value)
        and any("messageStart" in c or "contentBlockDelta" in c or own_texts(c) for c in value)
    )


def read_chunks(chunks: list[dict[str, Any]]) -> Response | None:
    """Put a stream together; without its end, `content_state` is partial_stream.

    Raises:
        BadLine: a chunk is malformed.
    """
    if any("messageStart" in chunk or "contentBlockDelta" in chunk for chunk in chunks):
        whole = read_response(_whole(chunks))
    else:
        whole = own_chunks(chunks)
    if whole is not None and whole.answers[0].finish_reason_raw is None:
        whole.values["content_state"] = "partial_stream"
    return whole


def _is_converse(body: dict[str, Any]) -> bool:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return False
    contents = [m.get("content") if isinstance(m, dict) else None for m in messages]
    return all(
        isinstance(content, list)
        and all(isinstance(b, dict) and "type" not in b and _BLOCKS & b.keys() for b in content)
        for content in contents
    )


def _converse(body: dict[str, Any]) -> list[Message]:
    messages: list[Message] = []
    if body.get("system"):
        messages.append({"role": "system", "parts": _parts(body["system"])})
    for message in body["messages"]:
        role, parts = message.get("role"), _parts(message["content"])
        if not isinstance(role, str):
            raise BadLine("a message without a role")
        results = [part for part in parts if part["type"] == "tool_call_response"]
        others = [part for part in parts if part["type"] != "tool_call_response"]
        if results:
            messages.append({"role": "tool", "parts": results})
        if others or not results:
            messages.append({"role": role, "parts": others})
    return messages


def _parts(content: Any) -> list[dict[str, Any]]:
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "content": content}]
    if not isinstance(content, list):
        raise BadLine("a message content that is neither text nor blocks")
    return [part for block in content for part in _block(block)]


def _block(block: Any) -> list[dict[str, Any]]:
    if not isinstance(block, dict):
        raise BadLine("a content block that is no object")
    get = block.get
    if isinstance(get("text"), str):
        return [{"type": "text", "content": get("text")}]
    thought = first_of(block, "reasoningContent.reasoningText.text")
    if isinstance(thought, str):
        return [{"type": "reasoning", "content": thought}]
    use, result = get("toolUse"), get("toolResult")
    if isinstance(use, dict):
        call = {"type": "tool_call", "id": to_text(use.get("toolUseId"))}
        return [{**call, "name": to_text(use.get("name")), "arguments": use.get("input")}]
    if isinstance(result, dict):
        part = {"type": "tool_call_response", "id": to_text(result.get("toolUseId"))}
        failed = {"status": "error"} if result.get("status") == "error" else {}
        return [{**part, **failed, "response": result.get("content")}]
    guarded = first_of(block, "guardContent.text.text")
    if isinstance(guarded, str):
        return [{"type": "text", "content": guarded}]
    if "citationsContent" in block:
        return _parts(get_path(block, "citationsContent.content"))
    if "cachePoint" in block:
        return []
    kind = next(iter(sorted(block)), "unknown")
    return [{"type": "blob", "modality": kind, "sha": digest(block)}]


def _usage(body: dict[str, Any]) -> Row:
    """Read Converse's token counts; it counts the input without what was written or read cached."""
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return {}
    read, written = (to_count(usage.get(f"cache{k}InputTokens")) for k in ("Read", "Write"))
    fresh = to_count(usage.get("inputTokens"))
    return {
        "input_tokens": None if fresh is None else to_count(fresh + (read or 0) + (written or 0)),
        "output_tokens": to_count(usage.get("outputTokens")),
        "cache_read_input_tokens": read,
        "cache_write_input_tokens": written,
    }


def _whole(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Put the events of ConverseStream together to the body of Converse."""
    body: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    for event in events:
        start, delta = event.get("contentBlockStart"), event.get("contentBlockDelta")
        if isinstance(start, dict) and isinstance(get_path(start, "start.toolUse"), dict):
            use = {**start["start"]["toolUse"], "input": ""}
            blocks[to_count(start.get("contentBlockIndex")) or 0] = {"toolUse": use}
        if isinstance(delta, dict) and isinstance(delta.get("delta"), dict):
            block = blocks.setdefault(to_count(delta.get("contentBlockIndex")) or 0, {})
            _extend(block, delta["delta"])
        body["stopReason"] = get_path(event, "messageStop.stopReason") or body.get("stopReason")
        if isinstance(event.get("metadata"), dict):
            body.update(event["metadata"])
    content = [blocks[index] for index in sorted(blocks) if blocks[index]]
    return {**body, "output": {"message": {"role": "assistant", "content": content}}}


def _extend(block: dict[str, Any], delta: dict[str, Any]) -> None:
    if isinstance(delta.get("text"), str):
        block["text"] = block.get("text", "") + delta["text"]
    thought = get_path(delta, "reasoningContent.text")
    if isinstance(thought, str):
        before = get_path(block, "reasoningContent.reasoningText.text") or ""
        block["reasoningContent"] = {"reasoningText": {"text": before + thought}}
    piece = get_path(delta, "toolUse.input")
    if isinstance(piece, str):
        block.setdefault("toolUse", {"input": ""})["input"] += piece
