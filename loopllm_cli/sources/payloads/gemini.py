"""Google's Gemini API (AI Studio and Vertex) to OpenTelemetry parts; camel and snake case.

Source: https://ai.google.dev/api/generate-content , GenerateContentResponse and UsageMetadata.
"""

from __future__ import annotations

import re
from typing import Any

from loopllm_cli.sources.fields import to_count, to_number, to_text, to_time
from loopllm_cli.sources.payloads.body import Answer, Request, Response
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Message, Row, digest, text_message, to_json

_FINISH = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "MALFORMED_FUNCTION_CALL": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "MALFORMED_RESPONSE": "error",
    "FINISH_REASON_UNSPECIFIED": None,
}
_FILTERED = {
    *("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR"),
    *("LANGUAGE", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
}
_ROLES = {"model": "assistant", "function": "tool", "user": "user", "system": "system"}
_CAPITAL = re.compile(r"(?<=[a-z])([A-Z])")


def get(body: Any, name: str) -> Any:
    """Return a field by its camel case name, also where it was logged in snake case."""
    if not isinstance(body, dict):
        return None
    value = body.get(name)
    return body.get(_CAPITAL.sub(r"_\1", name).lower()) if value is None else value


def read_request(body: dict[str, Any]) -> Request | None:
    """Read a request; None where the body is none.

    Raises:
        BadLine: a content is malformed.
    """
    contents = body.get("contents")
    if not contents or not isinstance(contents, list | str | dict):
        return None
    messages = _contents(contents)
    config = get(body, "generationConfig")
    if not isinstance(config, dict):
        config = body.get("config")  # the SDK's own call has everything else in there
    system = get(body, "systemInstruction") or get(config, "systemInstruction")
    if system:
        parts = [part for turn in _contents(system) for part in turn["parts"]]
        messages.insert(0, {"role": "system", "parts": parts})
    tools = body.get("tools") or get(config, "tools")
    level = get(get(config, "thinkingConfig"), "thinkingLevel")
    values: Row = {
        "request_model": to_model(body.get("model")),
        "request_temperature": to_number(get(config, "temperature")),
        "request_top_p": to_number(get(config, "topP")),
        "request_top_k": to_number(get(config, "topK")),
        "request_max_tokens": to_count(get(config, "maxOutputTokens")),
        "request_seed": to_count(get(config, "seed")),
        "request_reasoning_level": level if isinstance(level, str) else None,
        "tool_definitions": to_json(tools) if isinstance(tools, list) and tools else None,
    }
    return Request(messages, values)


def read_response(body: dict[str, Any]) -> Response | None:
    """Read a response, or the error or the refusal of the prompt in its place.

    Raises:
        BadLine: a candidate is malformed.
    """
    error = body.get("error")
    if isinstance(error, dict) and isinstance(error.get("status"), str) and "code" in error:
        status = to_count(error["code"])
        return Response([], {"error_type": error["status"], "http_status": status})
    candidates, usage = body.get("candidates"), get(body, "usageMetadata")
    blocked = to_text(get(get(body, "promptFeedback"), "blockReason"))
    if not isinstance(candidates, list) and (blocked is None or candidates is not None):
        return None
    values: Row = {
        "response_id": to_text(get(body, "responseId")),
        "response_model": to_text(get(body, "modelVersion")),
        "request_time": to_time(get(body, "createTime")),
        **(_usage(usage) if isinstance(usage, dict) else {}),
    }
    if not candidates and blocked is not None:
        return Response([Answer(None, "content_filter", blocked)], values)
    return Response([_answer(one, place) for place, one in enumerate(candidates or [])], values)


def is_chunks(value: Any) -> bool:
    """Return whether a value is a stream's list of partial responses."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(c, dict) and ("candidates" in c or get(c, "usageMetadata")) for c in value
        )
    )


def read_chunks(chunks: list[dict[str, Any]]) -> Response | None:
    """Put a stream's chunks together; without its end, `content_state` is partial_stream.

    Raises:
        BadLine: a chunk is malformed.
    """
    whole = Response()
    answers: dict[int, Answer] = {}
    for chunk in chunks:
        piece = read_response({**chunk, "candidates": chunk.get("candidates") or []})
        if piece is None:
            raise BadLine("a stream chunk without candidates")
        whole.values.update((k, v) for k, v in piece.values.items() if v is not None)
        for answer in piece.answers:
            before = answers.setdefault(answer.choice_index, answer)
            if before is not answer:
                _append(before, answer)
    whole.answers = [answers[index] for index in sorted(answers)]
    if not whole.answers or any(answer.finish_reason_raw is None for answer in whole.answers):
        whole.values["content_state"] = "partial_stream" if whole.answers else "absent"
    return whole


def _append(before: Answer, answer: Answer) -> None:
    if before.message is not None and answer.message is not None:
        for part in answer.message["parts"]:
            last = before.message["parts"][-1] if before.message["parts"] else {}
            if part["type"] in ("text", "reasoning") and part["type"] == last.get("type"):
                last["content"] += part["content"]
            else:
                before.message["parts"].append(part)
    if answer.finish_reason_raw is not None:
        before.finish_reason_raw = answer.finish_reason_raw
        called = before.message is not None and _calls(before.message)
        before.finish_reason = to_finish_reason(answer.finish_reason_raw, called=bool(called))


def to_model(value: Any) -> str | None:
    """Read a model's name without the resource path before it."""
    name = to_text(value)
    return name.rsplit("/", 1)[-1] if name else None


def to_finish_reason(raw: str | None, *, called: bool = False) -> str | None:
    """Map Gemini's finish reasons to OpenTelemetry's; unknown ones pass in lower case."""
    if raw is None:
        return None
    if raw == "STOP" and called:
        return "tool_call"
    return "content_filter" if raw in _FILTERED else _FINISH.get(raw, raw.lower())


def _usage(usage: dict[str, Any]) -> Row:
    """Read the token counts; thoughts and tools' results are counted apart by this API."""
    asked, used = (to_count(get(usage, k)) for k in ("promptTokenCount", "toolUsePromptTokenCount"))
    said, thought = (
        to_count(get(usage, k)) for k in ("candidatesTokenCount", "thoughtsTokenCount")
    )
    return {
        "input_tokens": None if asked is None else to_count(asked + (used or 0)),
        "output_tokens": None
        if said is None and thought is None
        else to_count((said or 0) + (thought or 0)),
        "cache_read_input_tokens": to_count(get(usage, "cachedContentTokenCount")),
        "reasoning_output_tokens": thought,
    }


def _answer(candidate: Any, place: int) -> Answer:
    if not isinstance(candidate, dict):
        raise BadLine("a candidate that is no object")
    raw, index = to_text(get(candidate, "finishReason")), to_count(candidate.get("index"))
    turns = _contents(candidate.get("content") or {"role": "model", "parts": []})
    message = {"role": "assistant", "parts": [part for turn in turns for part in turn["parts"]]}
    return Answer(
        message,
        to_finish_reason(raw, called=_calls(message)),
        raw,
        place if index is None else index,
    )


def _calls(message: Message) -> bool:
    return any(part["type"] == "tool_call" for part in message["parts"])


def _contents(contents: Any) -> list[Message]:
    """Turn contents into messages; results of tools become messages of the tool."""
    if isinstance(contents, str):
        return [text_message("user", contents)]
    if isinstance(contents, dict):
        contents = [contents]
    if not isinstance(contents, list):
        raise BadLine("contents that are no list")
    messages: list[Message] = []
    for content in contents:
        if isinstance(content, str):
            messages.append(text_message("user", content))
            continue
        if not isinstance(content, dict):
            raise BadLine("a content that is no object")
        named = content.get("role")
        role = _ROLES.get(named, named) if isinstance(named, str) else "user"
        pieces = content.get("parts")
        if "parts" not in content and isinstance(content.get("text"), str):
            pieces = [content]
        pieces = pieces if pieces is not None else []
        if not isinstance(pieces, list):
            pieces = [pieces]
        parts = [_part(piece) for piece in pieces]
        results = [part for part in parts if part["type"] == "tool_call_response"]
        others = [part for part in parts if part["type"] != "tool_call_response"]
        if results:
            messages.append({"role": "tool", "parts": results})
        if others or not results:
            messages.append({"role": role, "parts": others})
    return messages


def _part(part: Any) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "content": part}
    if not isinstance(part, dict):
        raise BadLine("a part that is no object")
    if isinstance(part.get("text"), str):
        kind = "reasoning" if part.get("thought") is True else "text"
        return {"type": kind, "content": part["text"]}
    call, result = get(part, "functionCall"), get(part, "functionResponse")
    if isinstance(call, dict):
        name = to_text(call.get("name"))
        call_id = to_text(call.get("id"))
        return {"type": "tool_call", "id": call_id, "name": name, "arguments": call.get("args")}
    if isinstance(result, dict):
        call_id = to_text(result.get("id")) or to_text(result.get("name"))
        return {"type": "tool_call_response", "id": call_id, "response": result.get("response")}
    for key, kind in (("executableCode", "call"), ("codeExecutionResult", "call_response")):
        run = get(part, key)
        if isinstance(run, dict):
            name = f"server_tool_{kind}"
            return {"type": name, "name": "code_execution", name: run}
    data = get(part, "inlineData") or get(part, "fileData")
    mime = to_text(get(data, "mimeType")) or "unknown"
    return {"type": "blob", "modality": mime.split("/")[0], "sha": digest(part)}
