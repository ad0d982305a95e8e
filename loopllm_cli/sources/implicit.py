"""Implicit feedback: what users show in what they say next."""

from __future__ import annotations

from loopllm_cli.sources.rows import Message, Origin, Row


def implicit_feedback(origin: Origin, row: Row, messages: list[Message]) -> list[Row]:
    """Return the feedback rows that one interaction's input messages give."""
    return []
