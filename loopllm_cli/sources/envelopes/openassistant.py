"""OpenAssistant's message trees: volunteers write, answer and rank.

A message arrives as a record of its own (or a tree as one record), so the messages of a tree are
put together by `message_tree_id`. Every answer is a row; its rank among its siblings (0 is best)
is a vote, and so is every step from one rank to the next, except where one of the two answers was
deleted or is synthetic.

Source: https://huggingface.co/datasets/OpenAssistant/oasst1
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from loopllm_cli.sources.fields import to_count, to_text, to_time
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.preference import Verdict, comparison, inline_vote
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import (
    Decoded,
    Message,
    Origin,
    Part,
    Record,
    Row,
    feedback,
    interaction,
    text_message,
    to_json,
)

NAME = "openassistant"
_ROLES = {"prompter": "user", "assistant": "assistant"}
_USED = {
    *("message_id", "parent_id", "message_tree_id", "user_id", "created_date", "text", "role"),
    *("rank", "deleted", "synthetic", "model_name", "replies"),
}
_HUMAN = {"annotator_kind": "HUMAN"}


def recognises(record: Record) -> bool:
    """Return whether a record is a message of a tree, or a tree with its first prompt."""
    if "message_tree_id" not in record:
        return False
    role = record.get("role")
    return (isinstance(role, str) and role in _ROLES) or isinstance(record.get("prompt"), dict)


def decode(record: Record, origin: Origin) -> Decoded:
    """Take in one message, or all messages of one tree.

    Raises:
        BadLine: a message has no id, text or known role.
    """
    tree = to_text(record.get("message_tree_id"))
    if not tree:
        raise BadLine("a message without its tree's id")
    found = Decoded()
    if isinstance(record.get("prompt"), dict):
        beside = {k: v for k, v in record.items() if k == "tree_state"}
        messages = [{**beside, **message} for message in _flattened(record["prompt"])]
    else:
        messages = [record]
    for message in messages:
        _check(message)
        to_time(message.get("created_date"), origin.date_format)
        found.parts.append(Part(tree, str(message["message_id"]), message))
    return found


def _flattened(root: Any) -> Iterator[Record]:
    """Yield the messages of a tree, each with its parent's id."""
    waiting = [(None, root)]
    while waiting:
        parent, message = waiting.pop(0)
        if not isinstance(message, dict):
            raise BadLine("a reply that is no object")
        replies = message.get("replies")
        own = {key: value for key, value in message.items() if key != "replies"}
        yield {"parent_id": parent, **own}
        if isinstance(replies, list):
            waiting += [(message.get("message_id"), reply) for reply in replies]


def _check(message: Record) -> None:
    if not to_text(message.get("message_id")):
        raise BadLine("a message without an id")
    if not isinstance(message.get("text"), str):
        raise BadLine("a message without text")
    role = message.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise BadLine("a message of an unknown role")


def assemble(group: str, contents: Sequence[Record], origin: Origin) -> Decoded:
    """Put a tree together from those of its messages that are known.

    An answer whose earlier messages are not all there has a partial context until they are.
    """
    messages = {str(message["message_id"]): message for message in contents}
    found, siblings = Decoded(), defaultdict(list)
    for message in contents:
        if message["role"] != "assistant":
            continue
        row = _row(message, messages, group, origin)
        row["source_version"] = len(contents)
        found.interactions.append(row)
        rank = to_count(message.get("rank"))
        if rank is not None:
            vote = inline_vote(row, name="rank", score_value=float(rank), **_HUMAN)
            found.feedback.append(feedback(origin, NAME, "ranking", vote))
            if not row["tags"]:
                siblings[to_text(message.get("parent_id"))].append((rank, row))
    for ranked in siblings.values():
        by_rank = dict(ranked)
        for rank, row in sorted(ranked, key=lambda pair: pair[0]):
            worse = by_rank.get(rank + 1)
            if worse is not None and by_rank[rank] is row:
                found.add(comparison(origin, NAME, [row, worse], Verdict(0, dict(_HUMAN))))
    return found


def _time(message: Record, origin: Origin) -> datetime | None:
    try:
        return to_time(message.get("created_date"), origin.date_format)
    except BadLine:  # it was taken in with --date-format, which is not given now
        return None


def _row(message: Record, messages: dict[str, Record], tree: str, origin: Origin) -> Row:
    path, complete = _path(message, messages)
    tags = [flag for flag in ("deleted", "synthetic") if message.get(flag) is True]
    rest = {k: v for k, v in message.items() if k not in _USED and v not in (None, "", [], {})}
    author = to_text(message.get("user_id"))
    if author is not None:
        rest["author"] = origin.hash_user(author) if origin.hash_user else author
    asker = path[-1] if path else {}
    time = _time(message, origin)
    values: Row = {
        "operation_name": "chat",
        "conversation_id": tree,
        "turn_index": sum(earlier["role"] == "assistant" for earlier in path),
        "user_id": to_text(asker.get("user_id")),
        "request_time": time,
        "time_basis": "response_created" if time else "none",
        "response_model": to_text(message.get("model_name")),
        "tags": tags or None,
        "content_state": None if complete else "partial_context",
        "attributes_json": to_json(rest) if rest else None,
    }
    inputs: list[Message] = [text_message(_ROLES[m["role"]], m["text"]) for m in path]
    return interaction(
        origin,
        NAME,
        native_id=str(message["message_id"]),
        inputs=inputs or None,
        output=text_message("assistant", message["text"]),
        values=values,
    )


def _path(message: Record, messages: dict[str, Record]) -> tuple[list[Record], bool]:
    """Return the messages before one, from the root on, and whether none is missing."""
    path: list[Record] = []
    seen = {str(message["message_id"])}
    parent = to_text(message.get("parent_id"))
    while parent:
        earlier = messages.get(parent)
        if earlier is None or parent in seen:
            return path[::-1], False
        seen.add(parent)
        path.append(earlier)
        parent = to_text(earlier.get("parent_id"))
    return path[::-1], bool(path)


FORMAT = Format(
    NAME,
    "OpenAssistant messages",
    "a `message_tree_id`",
    Rank.DATASET,
    recognises,
    decode,
    assemble,
)
