"""Message objects that were logged as Python prints them: `role='user' content='...' name=None`.

Agno's instrumentation does so. Nothing is executed: only the literals inside are read.
"""

from __future__ import annotations

import re
from typing import Any

from loopllm_cli.sources.python_repr import from_python_repr
from loopllm_cli.sources.reading import BadLine

# Linear: a text that is never closed runs to the end.
_PRINTED = re.compile(
    r"""role='(\w+)' content=(None|'(?:[^'\\]|\\.)*(?:'|\Z)|"(?:[^"\\]|\\.)*(?:"|\Z))""", re.DOTALL
)
_PRINTED_ID = re.compile(r" tool_call_id='([^']*)'")
_PRINTED_CALLS = " tool_calls=[{"
_PRINTED_CALLS_END = re.compile(r"\}\](?= \w+=)")


def role_of(text: str) -> str | None:
    """Return the role of a printed message; None where a text is none."""
    match = _PRINTED.match(text)
    return match[1] if match else None


def to_chat(text: str) -> dict[str, Any]:
    """Read a printed message into the shape of OpenAI's chat messages.

    Raises:
        BadLine: it is none.
    """
    match = _PRINTED.match(text)
    content = from_python_repr(f"[{match[2]}]") if match else None
    if match is None or not isinstance(content, list):
        raise BadLine("a message that is no object")
    rest = text[match.end() :]
    message: dict[str, Any] = {"role": match[1], "content": content[0]}
    called = _PRINTED_ID.search(rest, 0, 400)
    if called:
        message["tool_call_id"] = called[1]
    start = rest.find(_PRINTED_CALLS)
    end = _PRINTED_CALLS_END.search(rest, start) if start >= 0 else None
    if end:
        made = from_python_repr(rest[start + len(_PRINTED_CALLS) - 2 : end.end()])
        message["tool_calls"] = made if isinstance(made, list) else None
    return message
