"""What callers attach to their calls (metadata, labels), as far as its names tell."""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.columns import ALIASES
from loopllm_cli.sources.fields import to_text
from loopllm_cli.sources.rows import Row


def from_labels(*labels: Any) -> Row:
    """Read the conversation and the user from a caller's own keys; other keys say nothing."""
    found: Row = {}
    for known in labels:
        if isinstance(known, dict) and known:
            for column, keys in _NAMES.items():
                texts = (to_text(known.get(key)) for key in keys)
                found[column] = found.get(column) or next((t for t in texts if t), None)
    return found


_NAMES = {
    "conversation_id": (*ALIASES["conversation_id"], "conversation"),
    "user_id": ALIASES["user_id"],
}
