"""What pairs say, tool calls included, as plain text."""

from __future__ import annotations

from loopllm_cli.model import Message, Pair
from loopllm_cli.pairs.chat import said


def context_of(pair: Pair) -> str:
    """Return a pair's whole context."""
    return "\n".join(said(message) for message in pair.prompt)


def last_asked(prompt: tuple[Message, ...]) -> str:
    """Return the last thing that the user said; empty where there is none."""
    texts = [said(message) for message in prompt if message.get("role") == "user"]
    return texts[-1] if texts else ""


def chosen_of(pair: Pair) -> str:
    """Return the chosen side with its tool calls."""
    return pair.chosen if pair.chosen_calls is None else f"{pair.chosen}\n{pair.chosen_calls}"


def rejected_of(pair: Pair) -> str:
    """Return the rejected side with its tool calls."""
    calls = pair.rejected_calls
    return pair.rejected if calls is None else f"{pair.rejected}\n{calls}"
