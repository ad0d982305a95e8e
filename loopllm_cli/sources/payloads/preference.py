"""Two answers to one prompt, and which of them somebody preferred.

Datasets hold both answers in one record: as texts, as messages, or as two conversations that
part at their last message. Whatever the layout, the answers become rows, and the preference a
comparison of these rows, provided that both answered the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from loopllm_cli.sources.payloads.openai_chat import to_message, to_messages
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import (
    Decoded,
    Message,
    Origin,
    Row,
    feedback,
    interaction,
    text_message,
)

OTHER_CONTEXT = "a preference between whole conversations"
SAME_ANSWER = "a preference between two equal answers"


@dataclass(slots=True)
class Side:
    """One of the answers, with what was asked."""

    inputs: list[Message]
    output: Message
    values: Row = field(default_factory=dict)


@dataclass(slots=True)
class Verdict:
    """Who said what of the answers.

    Args:
        winner: the place of the better answer; None for a tie.
        values: columns of the vote, such as `annotator_kind`.
    """

    winner: int | None
    values: Row = field(default_factory=dict)


def read_prompt(value: Any) -> list[Message]:
    """Read a prompt that is a text or a list of messages.

    Raises:
        BadLine: it is neither.
    """
    if isinstance(value, str):
        return [text_message("user", value)]
    if isinstance(value, list):
        return to_messages(value)
    raise BadLine("no prompt")


def read_side(prompt: list[Message], answer: Any, **values: Any) -> Side:
    """Read an answer that is a text, a message, messages or the whole conversation.

    Args:
        prompt: what was asked; not used where the answer's own messages hold it.

    Raises:
        BadLine: it is nothing of that, does not end with an answer, or answers nothing.
    """
    if isinstance(answer, str):
        messages = [text_message("assistant", answer)]
    elif isinstance(answer, list):
        messages = to_messages(answer)
    elif isinstance(answer, dict):
        messages = [to_message(answer)]
    else:
        raise BadLine("an answer that is neither text nor messages")
    if messages[0]["role"] not in ("system", "developer", "user"):
        messages = prompt + messages
    *inputs, output = messages
    if output["role"] != "assistant":
        raise BadLine("an answer that does not end with the assistant")
    if not inputs:
        raise BadLine("no prompt")
    return Side(inputs, output, values)


def read_sides(prompt: Any, chosen: Any, rejected: Any) -> tuple[Side, Side]:
    """Read the preferred and the other answer; without a prompt, both begin with it.

    Raises:
        BadLine: the prompt or an answer is missing or malformed.
    """
    if prompt is None and isinstance(chosen, str) and isinstance(rejected, str):
        shared = _shared_words(chosen, rejected)
        asked = [text_message("user", chosen[:shared].strip())] if shared else []
        return read_side(asked, chosen[shared:]), read_side(asked, rejected[shared:])
    asked = [] if prompt is None else read_prompt(prompt)
    return read_side(asked, chosen), read_side(asked, rejected)


def _shared_words(one: str, other: str) -> int:
    """Return the length of the common beginning, cut after its last space."""
    same = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        same += 1
    while same and not one[same - 1].isspace():
        same -= 1
    return same if one[:same].strip() else 0


def answer_rows(
    origin: Origin, source_format: str, sides: Sequence[Side], native_id: str | None = None
) -> list[Row]:
    """Build a row per answer.

    Without a native id a row is known by its content alone, so that an answer which stands in
    several records is one row, and every comparison names it.
    """
    return [
        interaction(
            origin,
            source_format,
            native_id=native_id,
            inputs=side.inputs,
            output=side.output,
            values={
                "operation_name": "chat",
                "choice_index": place if native_id is not None else 0,
                **side.values,
            },
        )
        for place, side in enumerate(sides)
    ]


def comparison(
    origin: Origin, source_format: str, rows: Sequence[Row], verdict: Verdict
) -> Decoded:
    """Build the comparison of rows, or say why there is none."""
    ids = list(dict.fromkeys(row["interaction_id"] for row in rows))
    if len({row.get("context_hash") for row in rows}) > 1:
        return Decoded(skipped=[OTHER_CONTEXT])
    if len(ids) < len(rows):
        return Decoded(skipped=[SAME_ANSWER])
    winner = None if verdict.winner is None else ids[verdict.winner]
    values = {
        "target_kind": "group",
        "target_key": "interaction_id",
        **verdict.values,
        "candidate_ids": ids,
        "winner_id": winner,
        "tie": winner is None,
    }
    return Decoded(feedback=[feedback(origin, source_format, "comparison", values)])


def compared(
    origin: Origin,
    source_format: str,
    sides: Sequence[Side],
    verdict: Verdict,
    native_id: str | None = None,
) -> Decoded:
    """Build the rows of the answers and their comparison."""
    rows = answer_rows(origin, source_format, sides, native_id)
    found = Decoded(list({row["interaction_id"]: row for row in rows}.values()))
    found.add(comparison(origin, source_format, rows, verdict))
    return found


def inline_vote(row: Row, **values: Any) -> Row:
    """Return the columns of a vote that stands in its response's own record."""
    return {"target_id": row["interaction_id"], "target_key": "interaction_id", **values}
