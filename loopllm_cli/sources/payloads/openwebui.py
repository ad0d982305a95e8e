"""Open WebUI's chats: the tree of messages that both of its exports hold.

Source: https://github.com/open-webui/open-webui (src/lib/components/chat/Messages.svelte for the
messages, backend/open_webui/models/chats.py for the chat around them)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loopllm_cli.sources.fields import first_of, get_path, to_count, to_number, to_text, to_time
from loopllm_cli.sources.payloads.chat_tree import Node, Tree, context
from loopllm_cli.sources.payloads.pieces import (
    as_dict,
    exception_name,
    leftover,
    text_of_value,
    to_version,
)
from loopllm_cli.sources.rows import (
    Message,
    Origin,
    Row,
    digest,
    feedback,
    interaction,
    safe_id,
    text_message,
)
from loopllm_cli.sources.votes import correction

SOURCE = "openwebui"
_THOUGHT = ('<details type="reasoning"', "</details>")
_READ = {
    *("id", "parentId", "childrenIds", "role", "content", "originalContent", "model", "modelIdx"),
    *("selectedModelId", "models", "done", "timestamp", "annotation", "usage", "info", "files"),
}


@dataclass(slots=True)
class Chat:
    """One chat: its messages, and what is known of all of them."""

    chat_id: str
    tree: Tree
    user_id: str | None
    version: int | None
    params: dict[str, Any]


def read_chat(chat: dict[str, Any], chat_id: str, user_id: str | None) -> Chat:
    """Read a chat as the table of chats holds it: `{"id": ..., "chat": {"history": ...}}`.

    Args:
        chat: the chat; an older one may be without the outer level.
        chat_id: its id.
        user_id: whose chat it is, where the chat does not say so itself.

    Raises:
        BadLine: a time cannot be read.
    """
    inner = as_dict(chat.get("chat")) or chat
    messages = as_dict(get_path(inner, "history.messages"))
    known = {key: message for key, message in messages.items() if isinstance(message, dict)}
    nodes = [_node(key, message, known) for key, message in known.items()]
    return Chat(
        chat_id,
        Tree(nodes, to_text(get_path(inner, "history.currentId"))),
        text_of_value(chat.get("user_id")) or user_id,
        to_version(to_time(chat.get("updated_at"))),
        as_dict(inner.get("params")),
    )


def row_id(chat_id: str, message_id: str) -> str:
    """Return the id of a message's row, whether the row is there or not."""
    return f"{SOURCE}:{safe_id(f'{chat_id}/{message_id}')}"


def model_of(node: Node) -> str | None:
    """Return which model answered: an arena's own name is not one."""
    record = node.record
    return text_of_value(record.get("selectedModelId")) or text_of_value(record.get("model"))


def is_complete(node: Node) -> bool:
    """Return whether a response is there as a whole."""
    has_text = any(p["type"] == "text" and p["content"].strip() for p in node.message["parts"])
    return has_text and node.record.get("done") is not False and not node.record.get("error")


def row_of(chat: Chat, node: Node, origin: Origin) -> Row:
    """Build the row of one response; its input is the path that leads to it."""
    path, is_whole = chat.tree.path(node)
    record = node.record
    model, chosen = text_of_value(record.get("model")), model_of(node)
    state = "partial_stream" if record.get("done") is False else None
    usage = as_dict(record.get("usage")) or as_dict(record.get("info"))
    nanoseconds = to_number(usage.get("total_duration"))
    rest = {**record, "usage_rest": {k: v for k, v in usage.items() if k not in _USAGE}}
    values: Row = {
        "operation_name": "chat",
        "request_time": node.time,
        "time_basis": "response_created" if node.time else None,
        "duration_s": nanoseconds / 1e9 if nanoseconds and nanoseconds > 0 else None,
        "conversation_id": chat.chat_id,
        "turn_index": sum(earlier.is_response for earlier in path),
        "user_id": chat.user_id,
        "request_model": model if model != chosen else None,
        "response_model": chosen,
        "request_temperature": to_number(chat.params.get("temperature")),
        "input_tokens": to_count(first_of(usage, *_INPUT)),
        "output_tokens": to_count(first_of(usage, *_OUTPUT)),
        "error_type": exception_name(record.get("error")),
        "content_state": state or (None if is_whole else "partial_context"),
        "source_version": chat.version,
        "attributes_json": leftover(rest, _READ),
    }
    output = original_of(node)
    return interaction(
        origin,
        SOURCE,
        native_id=f"{chat.chat_id}/{node.node_id}",
        inputs=context(path, text_of_value(chat.params.get("system"))),
        output=output if output["parts"] else None,
        values={**values, "is_visible": bool(output["parts"])},
    )


_INPUT = ("prompt_tokens", "input_tokens", "prompt_eval_count")
_OUTPUT = ("completion_tokens", "output_tokens", "eval_count")
_USAGE = {*_INPUT, *_OUTPUT, "total_duration", "total_tokens"}


def changes_of(chat: Chat, node: Node, row: Row, origin: Origin) -> list[Row]:
    """Return what a user did to a response: wrote it anew, or had it made anew."""
    common = {
        "target_id": row["interaction_id"],
        "target_key": "interaction_id",
        "annotator_kind": "HUMAN",
        "annotator_role": "end_user",
        "annotator_id": chat.user_id,
    }
    found = []
    edited = node.record.get("content")
    if _is_edited(node):
        values = {**common, "name": "edited", **correction(edited)}
        found.append(feedback(origin, SOURCE, "correction", values))
    later = chat.tree.replacement(node)
    if later is not None:
        values = {**common, "name": "regenerated", "feedback_time": later.time}
        found.append(feedback(origin, SOURCE, "regeneration", values))
    return found


def original_of(node: Node) -> Message:
    """Return a response as the model gave it, before a user's edit in place."""
    if not _is_edited(node):
        return node.message
    return {"role": "assistant", "parts": _text_parts(node.record["originalContent"])}


def _is_edited(node: Node) -> bool:
    original, edited = node.record.get("originalContent"), node.record.get("content")
    return (
        isinstance(original, str)
        and isinstance(edited, str)
        and bool(original.strip() and edited.strip())
        and original.strip() != edited.strip()
    )


def _node(key: str, message: dict[str, Any], known: dict[str, dict[str, Any]]) -> Node:
    role = text_of_value(message.get("role")) or "user"
    parent_id = text_of_value(message.get("parentId"))
    parent = known.get(parent_id) if parent_id else None
    asked = parent.get("models") if parent else None
    lane = ""
    if isinstance(asked, list) and len(asked) > 1:
        # Several models were asked at once: their answers do not replace each other.
        lane = to_text(message.get("modelIdx")) or text_of_value(message.get("model")) or ""
    time = to_time(message.get("timestamp"))
    return Node(key, parent_id, _message(role, message), time, lane, message)


def _message(role: str, message: dict[str, Any]) -> Message:
    content = message.get("content")
    if role == "assistant":
        return {"role": role, "parts": _text_parts(content)}
    parts = text_message(role, content)["parts"] if isinstance(content, str) else []
    files = message.get("files")
    for file in files if isinstance(files, list) else ():
        kind = text_of_value(file.get("type")) if isinstance(file, dict) else None
        parts.append({"type": "blob", "modality": kind or "file", "sha": digest(file)})
    return {"role": role, "parts": parts}


def _text_parts(content: Any) -> list[dict[str, Any]]:
    """Split a response into its text and the thoughts that are folded into it as HTML."""
    if not isinstance(content, str):
        return []
    texts, thoughts, at = [], [], 0
    while (start := content.find(_THOUGHT[0], at)) >= 0:
        end = content.find(_THOUGHT[1], start)
        if end < 0:
            break
        texts.append(content[at:start])
        thoughts.append(_unfolded(content[start:end]))
        at = end + len(_THOUGHT[1])
    text = "".join((*texts, content[at:]))
    parts = [{"type": "reasoning", "content": thought} for thought in thoughts if thought]
    if thoughts:
        text = text.strip()
    return [*parts, {"type": "text", "content": text}] if text else parts


def _unfolded(block: str) -> str:
    body = block.partition("</summary>")[2] or block.partition(">")[2]
    return "\n".join(line.removeprefix("> ").removeprefix(">") for line in body.strip().split("\n"))
