"""Find out whether a chat template renders tools: what it leaves out, no model can learn.

Must not import: torch and its relatives (a tokenizer is handed in).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jinja2

from loopllm_cli.correct.encoding import encode_answer, encode_prompt
from loopllm_cli.correct.pair_rows import PairRow
from loopllm_cli.model import Message

# What a template does with messages that it was not written for.
_ERRORS = (jinja2.TemplateError, TypeError, ValueError, KeyError, AttributeError)


def shows_tools(row: PairRow, tokenizer: Any) -> bool:
    """Say whether the chat template renders a row's tools, all calls, and all results in it.

    A template that leaves them out would train the model to answer without having been asked; one
    that knows no tools at all may also refuse to render them.
    """
    if not row.has_tools:
        return True
    try:
        return (
            _shows_definitions(row, tokenizer)
            and all(_shows_calls(m, tokenizer) for m in _messages(row))
            and _shows_results(row, tokenizer)
        )
    except _ERRORS:
        return False


def _messages(row: PairRow) -> Sequence[Message]:
    return (*row.prompt, row.chosen_message, row.rejected_message)


def _shows_definitions(row: PairRow, tokenizer: Any) -> bool:
    if not row.tools:
        return True
    with_tools = encode_prompt(tokenizer, row.prompt, row.tools)
    return with_tools != encode_prompt(tokenizer, row.prompt)


def _shows_calls(message: Message, tokenizer: Any) -> bool:
    if not message.get("tool_calls"):
        return True
    asked = [{"role": "user", "content": "?"}]
    silent = {k: v for k, v in message.items() if k != "tool_calls"}
    shown, unshown = (encode_answer(tokenizer, asked, m) for m in (message, silent))
    return shown.answer != unshown.answer


def _shows_results(row: PairRow, tokenizer: Any) -> bool:
    if not any(m["role"] == "tool" and m["content"] for m in row.prompt):
        return True
    silent = [{**m, "content": ""} if m["role"] == "tool" else m for m in row.prompt]
    shown, unshown = (encode_prompt(tokenizer, chat, row.tools) for chat in (row.prompt, silent))
    return shown != unshown
