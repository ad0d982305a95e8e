"""Azure API Management's log of language model calls: several rows per call.

Row 0 of a call has the counts, the others the messages, cut into pieces that are concatenated
in the order of their sequence numbers.

Source: https://learn.microsoft.com/azure/api-management/api-management-howto-llm-logs
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loopllm_cli.sources.fields import as_json, to_count, to_text, to_time
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.body import Answer, Request, Response, exchange
from loopllm_cli.sources.payloads.openai_chat import to_finish_reason, to_messages
from loopllm_cli.sources.payloads.pieces import leftover
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Message, Origin, Part, Record, Row, text_message

NAME = "azure_apim"
_READ = {
    *("TimeGenerated", "CorrelationId", "SequenceNumber", "RequestMessages", "ResponseMessages"),
    *("DeploymentName", "ModelName", "PromptTokens", "CompletionTokens", "TotalTokens"),
    *("IsStreamCompletion", "Type"),
}


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record is a row of the table."""
    if "CorrelationId" not in record or "SequenceNumber" not in record:
        return False
    return "RequestMessages" in record or "ResponseMessages" in record


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Take one row as a part of its call.

    Raises:
        BadLine: it has no correlation id or sequence number, or messages that are no text.
    """
    group, number = to_text(record.get("CorrelationId")), to_count(record.get("SequenceNumber"))
    if not group or number is None:
        raise BadLine("a log row without correlation id and sequence number")
    for key in ("RequestMessages", "ResponseMessages"):
        if not isinstance(record.get(key), str | list | None):
            raise BadLine("messages that are neither text nor a list")
    content = {**record, "SequenceNumber": number}
    return Decoded(parts=[Part(group, f"{number:019d}", content)])


def assemble(group: str, contents: Sequence[Record], origin: Origin) -> Decoded:
    """Build the row of one call; its messages alone wait for the answer or the counts."""
    asked, is_whole = _messages(contents, "RequestMessages", "user")
    said, is_whole_answer = _messages(contents, "ResponseMessages", "assistant")
    counted = [row for row in contents if row["SequenceNumber"] == 0 or row.get("ModelName")]
    if not said and not counted:
        return Decoded()
    times = [time for row in contents if (time := _time(row, origin)) is not None]
    values: Row = {
        **_counts(counted),
        "request_time": min(times, default=None),
        "request_id": group,
        "source_version": len(contents),
        "attributes_json": leftover({k: v for row in contents for k, v in row.items()}, _READ),
    }
    if said and not (is_whole and is_whole_answer):
        values["content_state"] = "truncated"
    answers = [
        Answer({**message, "role": "assistant"}, choice_index=index)
        for index, message in enumerate(said)
    ]
    rows = exchange(origin, NAME, Request(asked), Response(answers), values, native_id=group)
    return Decoded(rows)


def _counts(counted: list[Record]) -> Row:
    row = counted[0] if counted else {}
    streamed = row.get("IsStreamCompletion")
    failed = to_text(row.get("FinishReason"))
    return {
        "request_model": to_text(row.get("DeploymentName")) or None,
        "response_model": to_text(row.get("ModelName")) or None,
        "input_tokens": to_count(row.get("PromptTokens")),
        "output_tokens": to_count(row.get("CompletionTokens")),
        "request_stream": streamed if isinstance(streamed, bool) else None,
        "finish_reason": to_finish_reason(failed),
        "finish_reason_raw": failed,
    }


def _time(row: Record, origin: Origin) -> Any:
    try:
        return to_time(row.get("TimeGenerated"), origin.date_format)
    except BadLine:
        return None


def _messages(contents: Sequence[Record], key: str, role: str) -> tuple[list[Message], bool]:
    """Put the pieces of one side together; and whether they are messages, not a torn text."""
    pieces = [row[key] for row in contents if row.get(key)]
    if not pieces:
        return [], True
    if all(isinstance(piece, str) for piece in pieces):
        whole = as_json("".join(pieces))
        listed = [whole] if isinstance(whole, dict) else whole
        if not isinstance(listed, list):
            listed = [as_json(piece) for piece in pieces]
    else:
        listed = pieces
    messages = [m for part in listed for m in (part if isinstance(part, list) else [part])]
    try:
        return to_messages(messages), True
    except BadLine:
        texts = (piece if isinstance(piece, str) else "" for piece in pieces)
        return [text_message(role, "".join(texts))], False


FORMAT = Format(
    NAME,
    "Azure API Management LLM logs",
    "a correlation id and a sequence number",
    Rank.ENVELOPE,
    recognises,
    decode,
    assemble,
)
