"""Messages with parts, as OpenTelemetry's GenAI conventions write them.

They come as a JSON text (on spans) or as structures (on events), from instrumentations of every
age, so each level accepts both and falls back to chat messages where there are no parts.

Source: OpenTelemetry GenAI message schemas,
https://github.com/open-telemetry/semantic-conventions-genai/tree/main/docs/gen-ai
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.fields import as_json, to_count, to_text
from loopllm_cli.sources.payloads import openai_chat
from loopllm_cli.sources.payloads.body import Answer
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Message, digest, text_message, to_json

_FINISH = {
    "tool_calls": "tool_call",
    "tool_use": "tool_call",
    "function_call": "tool_call",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_context_window_exceeded": "length",
    "safety": "content_filter",
    "refusal": "content_filter",
}
_ROLES = {"model": "assistant", "ai": "assistant", "human": "user"}
_MAX_CHOICES = 1000


def to_role(raw: Any, default: str) -> str:
    """Return a message's role in OpenTelemetry's words; libraries pass on their provider's."""
    text = to_text(raw) or default
    return _ROLES.get(text.lower(), text)


def to_finish(raw: Any) -> tuple[str | None, str | None]:
    """Return OpenTelemetry's finish reason and the one that was logged.

    Instrumentations pass on their provider's words in any case and with either dash.
    """
    text = to_text(raw)
    if not text:
        return None, None
    word = text.rpartition(".")[2].lower().replace("-", "_")
    return _FINISH.get(word, word), text


def is_cut(value: Any) -> bool:
    """Return whether a text was a JSON list or object and lost its end to a length limit."""
    return isinstance(value, str) and value[:2] in ("[{", '{"') and isinstance(as_json(value), str)


def to_messages(value: Any, role: str) -> list[Message]:
    """Read messages from a list, one object, their JSON, or a plain text.

    Args:
        role: whose message it is where that is not said.

    Raises:
        BadLine: it is none of these.
    """
    value = as_json(value)
    if value is None or value in ("", [], {}):
        return []
    if isinstance(value, str):
        return [text_message(role, value)]
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        raise BadLine("messages that are no list")
    return [to_message(message, role) for message in value]


def to_message(value: Any, role: str) -> Message:
    """Read one message with parts, or a chat message with a content.

    Raises:
        BadLine: it is neither.
    """
    value = as_json(value)
    if isinstance(value, str):
        return text_message(role, value)
    if not isinstance(value, dict):
        raise BadLine("a message that is no object")
    said = to_role(value.get("role"), role)
    if "parts" not in value:
        return openai_chat.to_message({**value, "role": said, "content": as_json_list(value)})
    parts = as_json(value["parts"])
    if not isinstance(parts, list | None):
        raise BadLine("message parts that are no list")
    message: Message = {"role": said, "parts": [to_part(part) for part in parts or []]}
    name = to_text(value.get("name"))
    return {**message, "name": name} if name else message


def as_json_list(message: dict[str, Any]) -> Any:
    """Return a message's content; a JSON list of typed parts inside a text becomes that list."""
    content = message.get("content")
    parts = as_json(content) if isinstance(content, str) and content[:2] == "[{" else content
    typed = isinstance(parts, list) and all(isinstance(p, dict) and "type" in p for p in parts)
    return (
        parts if typed else content if isinstance(content, str | list | None) else to_json(content)
    )


def to_part(part: Any) -> dict[str, Any]:
    """Read one part; a kind that is not known is kept as it is.

    Raises:
        BadLine: it is neither an object nor a text.
    """
    if isinstance(part, str):
        return {"type": "text", "content": part}
    if not isinstance(part, dict):
        raise BadLine("a message part that is no object")
    kind = to_text(part.get("type")) or "unknown"
    if kind in ("text", "reasoning", "thinking"):
        content = part.get("content", part.get("text"))
        return {
            "type": "text" if kind == "text" else "reasoning",
            "content": content if isinstance(content, str | None) else to_json(content),
        }
    if kind == "tool_call":
        return tool_call(part.get("id"), part.get("name"), part.get("arguments"))
    if kind == "tool_call_response":
        return tool_response(part.get("id"), part.get("response", part.get("result")))
    if kind in ("blob", "file", "uri"):
        return media(part.get("modality"), part.get("uri", part.get("file_id")), part)
    return {**part, "type": kind}


def tool_call(call_id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    """Build a tool call; its arguments stay as they were logged."""
    named = {"id": to_text(call_id), "name": to_text(name)}
    return {"type": "tool_call", **named, "arguments": arguments}


def tool_response(call_id: Any, response: Any) -> dict[str, Any]:
    """Build what a tool answered."""
    return {"type": "tool_call_response", "id": to_text(call_id), "response": response}


def media(modality: Any, address: Any, whole: dict[str, Any]) -> dict[str, Any]:
    """Build a part that is no text: a file or an address is kept, inline data by its digest.

    Args:
        address: a file's id or a URI; a `data:` one counts as inline data.
        whole: the part as it was logged, for the digest.
    """
    kind = to_text(modality) or "unknown"
    where = to_text(address)
    if where is None or where.startswith("data:"):
        # Pictures and sounds may be megabytes, and no text is judged by them.
        return {"type": "blob", "modality": kind, "sha": digest(whole)}
    if whole.get("type") == "file":
        return {"type": "file", "modality": kind, "file_id": where}
    return {"type": "uri", "modality": kind, "uri": where}


def to_answers(value: Any, finish_reasons: list[Any]) -> list[Answer]:
    """Read output messages, of which each is one choice.

    Args:
        finish_reasons: those of the whole response, by choice, for messages without their own.

    Raises:
        BadLine: a message is malformed.
    """
    raw = as_json(value)
    said = raw if isinstance(raw, list) else [raw]
    answers = []
    for place, message in enumerate(to_messages(value, "assistant")[:_MAX_CHOICES]):
        own = said[place].get("finish_reason") if isinstance(said[place], dict) else None
        if own is None and place < len(finish_reasons):
            own = finish_reasons[place]
        finish, finish_raw = to_finish(own)
        said_any = message if message["parts"] else None
        answers.append(Answer(said_any, finish, finish_raw, place))
    return answers


def to_system(value: Any) -> Message | None:
    """Read system instructions (a list of parts, or a text) into a message; None for none.

    Raises:
        BadLine: a part is malformed.
    """
    value = as_json(value)
    if value is None or value in ("", [], {}):
        return None
    if isinstance(value, str):
        return text_message("system", value)
    if isinstance(value, dict) and "role" in value:
        return to_message(value, "system")
    parts = value if isinstance(value, list) else [value]
    return {"role": "system", "parts": [to_part(part) for part in parts]}


def from_event(name: str, body: Any) -> tuple[Message | None, Answer | None]:
    """Read one of the older events: an input message, or a choice.

    Events without content (it is opt-in) still bring the finish reason of their choice.

    Args:
        name: `gen_ai.user.message`, `gen_ai.choice` and so on.
        body: the event's body; its JSON, too.

    Raises:
        BadLine: the message inside is malformed.
    """
    body = as_json(body)
    content: dict[str, Any] = body if isinstance(body, dict) else {"content": body}
    if name == "gen_ai.choice":
        message = as_json(content.get("message"))
        if isinstance(message, str):
            message = {"content": message}
        if not isinstance(message, dict):
            message = {key: content[key] for key in ("content", "tool_calls") if key in content}
        elif "tool_calls" in content:
            message = {"tool_calls": content["tool_calls"], **message}
        finish, raw = to_finish(content.get("finish_reason"))
        said = to_message(message, "assistant") if message else None
        index = to_count(content.get("index")) or 0
        return None, Answer(said if said and said["parts"] else None, finish, raw, index)
    role = name.removeprefix("gen_ai.").removesuffix(".message")
    content = {**content, "role": to_text(content.get("role")) or role}
    if content["role"] == "tool" and "tool_call_id" not in content:
        content["tool_call_id"] = content.get("id")
    message = to_message(content, role)
    return (message if message["parts"] else None), None
