"""LibreChat: messages as its database holds them, put together into conversations.

Messages are a tree: a regenerated answer is a sibling of the first one. The time of a vote is not
kept; the message's last change is the nearest to it.

Source: https://github.com/danny-avila/LibreChat
(packages/data-schemas/src/schema/message.ts)
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from loopllm_cli.sources import votes
from loopllm_cli.sources.fields import get_path, to_count, to_text, to_time
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.chat_tree import Node, Tree, context
from loopllm_cli.sources.payloads.openai_chat import to_finish_reason
from loopllm_cli.sources.payloads.pieces import leftover, text_of_value, to_version
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import (
    Decoded,
    Origin,
    Part,
    Record,
    Row,
    digest,
    feedback,
    interaction,
)

NAME = "librechat_message"
_ROOT = "00000000-0000-0000-0000-000000000000"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TYPED = {
    *("$date", "$oid", "$numberLong", "$numberInt", "$numberDouble", "$numberDecimal"),
}
_MAX_DEPTH = 16
_PROVIDERS = {
    "openAI": "openai",
    "azureOpenAI": "azure.ai.openai",
    "anthropic": "anthropic",
    "google": "gcp.gen_ai",
    "bedrock": "aws.bedrock",
}
_READ = {
    *("_id", "__v", "messageId", "conversationId", "parentMessageId", "user", "model", "text"),
    *("content", "isCreatedByUser", "unfinished", "error", "finish_reason", "tokenCount"),
    *("feedback", "createdAt", "updatedAt"),
}


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record is a message."""
    return all(key in record for key in ("messageId", "conversationId", "isCreatedByUser"))


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Keep one message as a part of its conversation.

    Raises:
        BadLine: it does not say which message of which conversation it is.
    """
    record = {key: _plain(value) for key, value in record.items()}
    message_id = text_of_value(record.get("messageId"))
    group = text_of_value(record.get("conversationId"))
    if message_id is None or group is None:
        raise BadLine("a message without its conversation")
    parent_id = text_of_value(record.get("parentMessageId"))
    created, updated = to_time(record.get("createdAt")), to_time(record.get("updatedAt"))
    content: Record = {
        "id": message_id,
        "parent": None if parent_id == _ROOT else parent_id,
        "is_user": record.get("isCreatedByUser") is True,
        "parts": _parts(record),
        "created": to_version(created),
        "updated": to_version(updated),
        "values": _values(record),
    }
    found = Decoded()
    vote = record.get("feedback")
    if isinstance(vote, dict) and vote.get("rating") is not None:
        try:
            content["vote"] = {**votes.thumb(vote["rating"]), "explanation": _explanation(vote)}
        except BadLine:
            found.skipped.append("rating of unknown kind")
    version = to_version(created, updated) or 0
    found.parts.append(Part(group, message_id, content, version))
    return found


def _plain(value: Any, depth: int = 0) -> Any:
    """Undo the database's typed values, at whatever level they stand."""
    if depth > _MAX_DEPTH:
        return value
    if isinstance(value, dict):
        if len(value) == 1 and not _TYPED.isdisjoint(value):
            return _plain(next(iter(value.values())), depth + 1)
        return {key: _plain(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, depth + 1) for inner in value]
    return value


def _parts(record: Record) -> list[dict[str, Any]]:
    """Read what a message says: its list of contents, or its plain text."""
    listed = record.get("content")
    contents = [c for c in listed if isinstance(c, dict)] if isinstance(listed, list) else []
    parts = [part for content in contents for part in _content(content)]
    text = record.get("text")
    if isinstance(text, str) and text and not any(p["type"] == "text" for p in parts):
        parts.append({"type": "text", "content": text})
    return parts


def _content(content: dict[str, Any]) -> list[dict[str, Any]]:
    kind = text_of_value(content.get("type")) or "unknown"
    said = content.get(kind)
    if isinstance(said, dict) and isinstance(said.get("value"), str):
        said = said["value"]
    if kind in ("text", "think") and isinstance(said, str):
        return [{"type": "text" if kind == "text" else "reasoning", "content": said}]
    if kind == "tool_call" and isinstance(said, dict):
        call_id = to_text(said.get("id"))
        call = {
            "type": "tool_call",
            "id": call_id,
            "name": to_text(said.get("name")),
            "arguments": said.get("args"),
        }
        output = said.get("output")
        if output is None:
            return [call]
        return [call, {"type": "tool_call_response", "id": call_id, "response": output}]
    if kind in ("text", "think", "error", "agent_update"):
        return []
    return [{"type": "blob", "modality": kind.split("_")[0], "sha": digest(content)}]


def _explanation(vote: dict[str, Any]) -> str | None:
    tag = vote.get("tag")
    word = text_of_value(get_path(tag, "key") if isinstance(tag, dict) else tag)
    return ": ".join(part for part in (word, text_of_value(vote.get("text"))) if part) or None


def _values(record: Record) -> Row:
    """Read the columns that a message has by itself, without its conversation."""
    endpoint = text_of_value(record.get("endpoint"))
    model = text_of_value(record.get("model"))
    agent = model if model and model.startswith(("agent_", "asst_")) else None
    raw = text_of_value(record.get("finish_reason"))
    failed = record.get("error") is True
    used = _READ - {"text"} if failed else _READ
    values = {
        "user_id": text_of_value(record.get("user")),
        "provider_name": _PROVIDERS.get(endpoint) if endpoint else None,
        "response_model": None if agent else model,
        "agent_name": agent,
        "output_tokens": to_count(record.get("tokenCount")),
        "finish_reason": to_finish_reason(raw),
        "finish_reason_raw": raw,
        "error_type": "error" if failed else None,
        "content_state": "partial_stream" if record.get("unfinished") is True else None,
        "attributes_json": leftover(record, used),
    }
    return {column: value for column, value in values.items() if value is not None}


def assemble(group: str, contents: Sequence[Record], origin: Origin) -> Decoded:
    """Build the row of every response of a conversation, and the votes on them.

    A row's version counts what is known of the conversation, so that it grows with each message
    that arrives and with each one that changes.
    """
    tree = Tree(_node(content) for content in contents)
    version = sum(max(1, (c["updated"] or c["created"] or 0) // 1000) for c in contents)
    found = Decoded()
    for node in tree.nodes.values():
        if not node.is_response:
            continue
        row = _row(tree, node, group, version, origin)
        found.interactions.append(row)
        found.feedback += _votes(tree, node, row, origin)
    return found


def _node(content: Record) -> Node:
    role = "user" if content["is_user"] else "assistant"
    message = {"role": role, "parts": content["parts"]}
    return Node(content["id"], content["parent"], message, _moment(content["created"]), "", content)


def _moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)


def _row(tree: Tree, node: Node, group: str, version: int, origin: Origin) -> Row:
    path, is_whole = tree.path(node)
    values: Row = {
        "operation_name": "chat",
        "request_time": node.time,
        "time_basis": "response_created" if node.time else None,
        "conversation_id": group,
        "source_version": version,
        **node.record["values"],
    }
    if is_whole:
        values["turn_index"] = sum(earlier.is_response for earlier in path)
    elif "content_state" not in values:
        values["content_state"] = "partial_context"
    # The text of a failed call is the program's notice, not an answer.
    output = node.message if node.message["parts"] and "error_type" not in values else None
    if output:
        values["is_visible"] = any(part["type"] == "text" for part in output["parts"])
    return interaction(
        origin, NAME, native_id=node.node_id, inputs=context(path), output=output, values=values
    )


def _votes(tree: Tree, node: Node, row: Row, origin: Origin) -> list[Row]:
    common = {
        "target_id": row["interaction_id"],
        "target_key": "interaction_id",
        "annotator_kind": "HUMAN",
        "annotator_role": "end_user",
        "annotator_id": node.record["values"].get("user_id"),
    }
    found = []
    vote = node.record.get("vote")
    if vote:
        values = {**common, **vote, "feedback_time": _moment(node.record["updated"])}
        found.append(feedback(origin, NAME, "thumbs", values))
    later = tree.replacement(node)
    if later is not None:
        values = {**common, "name": "regenerated", "feedback_time": later.time}
        found.append(feedback(origin, NAME, "regeneration", values))
    return found


FORMAT = Format(
    NAME,
    "LibreChat messages",
    "`messageId`, `conversationId` and `isCreatedByUser`",
    Rank.ENVELOPE,
    recognises,
    decode,
    assemble,
)
