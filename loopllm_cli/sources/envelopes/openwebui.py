"""Open WebUI: the export of ratings ("evaluations"), and the export of all chats.

A rating holds the whole chat, so the rated response, its siblings and the vote come from one
record. Ids are made of the chat and the message, so that both exports give the same rows.

Source: https://github.com/open-webui/open-webui (backend/open_webui/models/feedbacks.py,
src/lib/components/chat/Messages/ResponseMessage.svelte)
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources import votes
from loopllm_cli.sources.fields import first_of, get_path, to_number, to_time
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.chat_tree import Node
from loopllm_cli.sources.payloads.openwebui import (
    SOURCE,
    Chat,
    changes_of,
    is_complete,
    model_of,
    read_chat,
    row_id,
    row_of,
)
from loopllm_cli.sources.payloads.pieces import as_dict, text_list, text_of_value
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Row, feedback

NAME = "openwebui_feedback"
CHAT_NAME = "openwebui_chat"


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record is a rating with its snapshot of the chat."""
    data, meta = record.get("data"), record.get("meta")
    return (
        record.get("type") == "rating"
        and isinstance(data, dict)
        and "rating" in data
        and isinstance(meta, dict)
    )


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one rating: the rows of the rated response and its siblings, and the votes.

    Raises:
        BadLine: it does not say which message of which chat it is about.
    """
    data, meta = as_dict(record.get("data")), as_dict(record.get("meta"))
    chat_id = text_of_value(meta.get("chat_id"))
    message_id = text_of_value(meta.get("message_id"))
    if chat_id is None or message_id is None:
        raise BadLine("a rating without its chat and message")
    user_id = text_of_value(record.get("user_id"))
    snapshot = as_dict(as_dict(record.get("snapshot")).get("chat"))
    chat = read_chat(snapshot, chat_id, user_id)
    found = Decoded()
    for node in _rated_and_siblings(chat, message_id):
        row = row_of(chat, node, origin)
        found.interactions.append(row)
        found.feedback += changes_of(chat, node, row, origin)
    common = {
        "target_id": row_id(chat_id, message_id),
        "target_key": "interaction_id",
        "feedback_id": text_of_value(record.get("id")),
        "annotator_kind": "HUMAN",
        "annotator_role": "end_user",
        "annotator_id": user_id,
        "feedback_time": to_time(first_of(record, "updated_at", "created_at")),
        "explanation": _explanation(data),
    }
    ratings = _ratings(data, common, origin)
    if not ratings:
        found.skipped.append("rating that was taken back")
    found.feedback += ratings
    found.feedback += _comparisons(chat, data, meta, common, origin)
    return found


def _rated_and_siblings(chat: Chat, message_id: str) -> list[Node]:
    """Return the responses that a rating is about; the rated one may be gone from the snapshot."""
    tree = chat.tree
    rated = tree.nodes.get(message_id)
    if rated is not None:
        return [rated, *tree.siblings(rated)] if rated.is_response else []
    for node in tree.nodes.values():
        if message_id in (text_list(node.record.get("childrenIds")) or ()):
            others = (n for n in tree.nodes.values() if n.parent_id == node.node_id)
            return [other for other in others if other.is_response]
    return []


def _explanation(told: dict[str, Any]) -> str | None:
    parts = [text_of_value(told.get("reason")), text_of_value(told.get("comment"))]
    tags = text_list(told.get("tags"))
    if tags:
        parts.append(f"tags: {', '.join(tags)}")
    return "\n".join(part for part in parts if part) or None


def _ratings(told: dict[str, Any], common: Row, origin: Origin) -> list[Row]:
    """Read the thumb, and the finer rating that may stand beside it."""
    found = []
    thumb = told.get("rating")
    if thumb not in (None, "", 0):
        values = {**common, "name": "rating", **votes.thumb(thumb)}
        found.append(feedback(origin, SOURCE, "thumbs", values))
    fine = to_number(get_path(told, "details.rating"))
    if fine is not None and 1 <= fine <= 10:
        values = {**common, "name": "details.rating", **votes.rating(fine, 1, 10)}
        found.append(feedback(origin, SOURCE, "rating", values))
    return found


def _comparisons(
    chat: Chat, data: dict[str, Any], meta: dict[str, Any], common: Row, origin: Origin
) -> list[Row]:
    """Compare the rated response with each sibling of another model that stood beside it.

    A thumb up says that it beats all of them, a thumb down that it loses to all of them: so does
    the program's own leaderboard. Two that were rated alike are no better than each other.
    """
    rated = chat.tree.nodes.get(str(text_of_value(meta.get("message_id"))))
    rating = to_number(data.get("rating"))
    models = text_list(data.get("sibling_model_ids"))
    if rated is None or rating not in (1, -1) or not (models or meta.get("arena") is True):
        return []
    found = []
    for other in chat.tree.siblings(rated):
        model = model_of(other)
        is_rival = model != model_of(rated) and (models is None or model in models)
        if not is_rival or not (is_complete(rated) and is_complete(other)):
            continue
        ids = [row_id(chat.chat_id, node.node_id) for node in (rated, other)]
        tie = to_number(get_path(other.record, "annotation.rating")) == rating
        values = {
            **common,
            "name": "arena" if meta.get("arena") is True else "siblings",
            "target_id": None,
            "candidate_ids": ids,
            "winner_id": None if tie else ids[0] if rating == 1 else ids[1],
            "tie": tie,
        }
        found.append(feedback(origin, SOURCE, "comparison", values))
    return found


def recognises_chat(record: dict[str, Any]) -> bool:
    """Return whether a record is a chat with the tree of its messages."""
    history = get_path(record, "chat.history")
    return isinstance(history, dict) and isinstance(history.get("messages"), dict)


def decode_chat(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one chat into a row per response, on every branch, with the votes on them.

    Raises:
        BadLine: the chat has no id, or a thumb is neither up nor down.
    """
    chat_id = text_of_value(first_of(record, "id", "chat.id"))
    if chat_id is None:
        raise BadLine("a chat without an id")
    chat = read_chat(record, chat_id, None)
    found = Decoded()
    for node in chat.tree.nodes.values():
        if not node.is_response:
            continue
        row = row_of(chat, node, origin)
        found.interactions.append(row)
        found.feedback += changes_of(chat, node, row, origin)
        annotation = as_dict(node.record.get("annotation"))
        common = {
            "target_id": row["interaction_id"],
            "target_key": "interaction_id",
            "annotator_kind": "HUMAN",
            "annotator_role": "end_user",
            "annotator_id": chat.user_id,
            "explanation": _explanation(annotation),
        }
        found.feedback += _ratings(annotation, common, origin)
    if not found.interactions:
        found.skipped.append("chat without a response")
    return found


FORMATS = [
    Format(
        NAME,
        "Open WebUI ratings",
        'a `"type": "rating"` with `data.rating` and `meta`',
        Rank.ENVELOPE,
        recognises,
        decode,
    ),
    Format(
        CHAT_NAME,
        "Open WebUI chats",
        "`chat.history.messages`",
        Rank.ENVELOPE,
        recognises_chat,
        decode_chat,
    ),
]
