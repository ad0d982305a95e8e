"""What an API call says, whatever the API: a request, and a response with its answers.

Every payload decoder (one file per API beside this one) reads into these two; every vendor's
format puts them together with `exchange`. This module must not import any vendor's format.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from loopllm_cli.sources.rows import Message, Origin, Row, interaction


@dataclass(slots=True)
class Request:
    """What was asked.

    `values` holds canonical columns that only a request knows: `request_model`,
    `request_temperature`, `tool_definitions` (JSON), `conversation_id`, `user_id` and so on.
    """

    messages: list[Message]
    values: Row = field(default_factory=dict)


@dataclass(slots=True)
class Answer:
    """One choice of a response; `message` is None where the call failed."""

    message: Message | None
    finish_reason: str | None = None
    finish_reason_raw: str | None = None
    choice_index: int = 0


@dataclass(slots=True)
class Response:
    """What was answered.

    `values` holds canonical columns that only a response knows: `response_id`,
    `response_model`, tokens, `error_type`, `content_state` where it is not full.
    """

    answers: list[Answer] = field(default_factory=list)
    values: Row = field(default_factory=dict)


def exchange(
    origin: Origin,
    source_format: str,
    request: Request | None,
    response: Response | None,
    values: Row,
    *,
    native_id: str | None = None,
    part: str = "",
) -> list[Row]:
    """Build the rows of one call: one per answer, or one without answer for a failed call.

    Args:
        values: what the envelope knows; it overrules the request and the response.
        native_id: the envelope's id of the call; the response's own id where there is none.
        part: tells apart the calls that share a native id.
    """
    merged: Row = {"operation_name": "chat"}
    for known in (request.values if request else {}, response.values if response else {}, values):
        for key, value in known.items():
            if value is not None:
                merged[key] = value
    inputs = request.messages if request and request.messages else None
    answers = response.answers if response and response.answers else [Answer(None)]
    rows = []
    for answer in answers:
        own = merged
        if answer.finish_reason_raw is not None or answer.choice_index or len(answers) > 1:
            own = {**merged, "choice_index": answer.choice_index}
            if answer.finish_reason_raw is not None:
                own["finish_reason"] = answer.finish_reason
                own["finish_reason_raw"] = answer.finish_reason_raw
        rows.append(
            interaction(
                origin,
                source_format,
                native_id=native_id or merged.get("response_id"),
                part=part,
                inputs=inputs,
                output=answer.message,
                values=own,
            )
        )
    return rows


def plain_response(text: str, **values: Any) -> Response:
    """Build a response that is one text."""
    message = {"role": "assistant", "parts": [{"type": "text", "content": text}]}
    return Response([Answer(message)], dict(values))
