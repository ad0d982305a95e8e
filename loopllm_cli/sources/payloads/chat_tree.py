"""Chats as trees: every message knows its parent, and a response's siblings are alternatives.

Two chat programs store their conversations so; both are read through `Tree`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from loopllm_cli.sources.rows import Message, Record


@dataclass(slots=True)
class Node:
    """One message of a chat.

    Args:
        node_id: the program's id of the message.
        parent_id: the message before it; None for the first one.
        message: what it says, as OpenTelemetry parts.
        time: when it came, if known.
        lane: tells apart responses that were asked for at the same time; siblings of one lane
            are attempts at the same thing.
        record: the message as it was logged.
    """

    node_id: str
    parent_id: str | None
    message: Message
    time: datetime | None = None
    lane: str = ""
    record: Record = field(default_factory=dict)

    @property
    def is_response(self) -> bool:
        """Whether the assistant said it."""
        return bool(self.message["role"] == "assistant")


class Tree:
    """The messages of one chat, any of which may be missing.

    Args:
        nodes: the messages, in the order in which the program lists siblings.
        current_id: the message at which the user left the chat, if the program tells.
    """

    def __init__(self, nodes: Iterable[Node], current_id: str | None = None) -> None:
        self.nodes = {node.node_id: node for node in nodes}
        self._children: dict[str | None, list[Node]] = {}
        for node in self.nodes.values():
            self._children.setdefault(node.parent_id, []).append(node)
        current = self.nodes.get(current_id) if current_id else None
        self._shown = {node.node_id for node in self.path(current)[0]} if current else set()
        if current:
            self._shown.add(current.node_id)

    def path(self, node: Node) -> tuple[list[Node], bool]:
        """Return the messages before one, from the first on, and whether none is missing."""
        found: list[Node] = []
        seen = {node.node_id}
        parent_id = node.parent_id
        while parent_id is not None:
            parent = self.nodes.get(parent_id)
            if parent is None or parent.node_id in seen:
                return found[::-1], False
            seen.add(parent.node_id)
            found.append(parent)
            parent_id = parent.parent_id
        return found[::-1], True

    def siblings(self, node: Node) -> list[Node]:
        """Return the other responses to the same message."""
        others = self._children.get(node.parent_id, [])
        return [n for n in others if n.is_response and n.node_id != node.node_id]

    def replacement(self, node: Node) -> Node | None:
        """Return the later attempt with which the user went on instead, None where there is none.

        That an attempt was made says little; that the chat went on from it says that it was read.
        """
        if node.node_id in self._shown:
            return None
        others = [n for n in self._children.get(node.parent_id, []) if n.is_response]
        place = next((i for i, n in enumerate(others) if n is node), 0)
        for at, other in enumerate(others):
            if other is node or other.lane != node.lane or not _is_later(other, node, at > place):
                continue
            if other.node_id in self._shown or self._children.get(other.node_id):
                return other
        return None


def _is_later(one: Node, other: Node, is_listed_later: bool) -> bool:
    if one.time is not None and other.time is not None:
        return one.time > other.time
    return is_listed_later


def context(path: list[Node], system: str | None = None) -> list[Message]:
    """Return what the model saw before its response."""
    messages = [node.message for node in path]
    if system:
        messages.insert(0, {"role": "system", "parts": [{"type": "text", "content": system}]})
    return messages
