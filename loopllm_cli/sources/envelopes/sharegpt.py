"""ShareGPT conversations, and their variant with a preferred and a rejected last answer.

A conversation may start with the model, because long ones were cut into pieces.

Source: the layout of the ShareGPT collection; LLaMA-Factory's description of it, with `tools`,
`system`, `function_call` and `observation`,
https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.fields import as_json, to_text
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.conversation import Conversation, decode_turns, is_turns
from loopllm_cli.sources.payloads.preference import Side, Verdict, compared
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Message, Origin, Row, text_message, to_json

NAME = "sharegpt"
PREFERENCE = "sharegpt_preference"
_USED = {"id", "conversations", "system", "tools", "model", "chosen", "rejected"}
_ROLES = {
    **dict.fromkeys(("human", "user"), "user"),
    **dict.fromkeys(("gpt", "assistant", "model", "chatgpt", "bing", "bard"), "assistant"),
    "system": "system",
    "function_call": "assistant",
    **dict.fromkeys(("observation", "tool"), "tool"),
}


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record holds turns with `from` and `value`."""
    return is_turns(record.get("conversations"), "from") and "chosen" not in record


def recognises_preference(record: dict[str, Any]) -> bool:
    """Return whether a record holds turns and two answers to them."""
    answers = (record.get("chosen"), record.get("rejected"))
    return is_turns(record.get("conversations"), "from") and all(
        isinstance(answer, dict) for answer in answers
    )


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one conversation into one row per assistant turn.

    Raises:
        BadLine: a turn is malformed, or none is the assistant's.
    """
    talk = Conversation(
        _messages(record),
        _values(record),
        native_id=to_text(record.get("id")),
        once={"attributes_json": _rest(record)},
    )
    return decode_turns(origin, NAME, talk)


def decode_preference(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one preference into two rows and their comparison.

    Raises:
        BadLine: a turn or an answer is malformed.
    """
    inputs = _messages(record)
    values = {**_values(record), "attributes_json": _rest(record)}
    answers = [_message(record.get(name)) for name in ("chosen", "rejected")]
    if any(answer["role"] != "assistant" for answer in answers):
        raise BadLine("an answer that does not end with the assistant")
    sides = [Side(inputs, answer, values) for answer in answers]
    native_id = to_text(record.get("id"))
    return compared(origin, PREFERENCE, sides, Verdict(0), native_id)


def _messages(record: dict[str, Any]) -> list[Message]:
    turns = record.get("conversations")
    if not isinstance(turns, list) or not turns:
        raise BadLine("conversations is no list of turns")
    messages = [_message(turn) for turn in turns]
    system = to_text(record.get("system"))
    if system and messages[0]["role"] != "system":
        messages.insert(0, text_message("system", system))
    return messages


def _message(turn: Any) -> Message:
    if not isinstance(turn, dict):
        raise BadLine("a turn that is no object")
    speaker, text = turn.get("from"), turn.get("value")
    role = _ROLES.get(speaker) if isinstance(speaker, str) else None
    if role is None:
        raise BadLine("a turn of an unknown speaker")
    if not isinstance(text, str):
        raise BadLine("a turn without text")
    if speaker == "function_call":
        return {"role": role, "parts": _tool_calls(text)}
    if role == "tool":
        return {
            "role": role,
            "parts": [{"type": "tool_call_response", "id": None, "response": text}],
        }
    return text_message(role, text)


def _tool_calls(text: str) -> list[dict[str, Any]]:
    """Read one call, or a list of calls that were made at once."""
    read = as_json(text)
    calls = read if isinstance(read, list) and read else [read]
    if all(isinstance(call, dict) and call for call in calls):
        return [_tool_call(call) for call in calls]
    # A call that is no JSON stays as written: that is worth seeing.
    return [{"type": "tool_call", "id": None, "name": None, "arguments": text}]


def _tool_call(call: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "tool_call",
        "id": None,
        "name": to_text(call.get("name")),
        "arguments": call.get("arguments", call.get("parameters")),
    }


def _values(record: dict[str, Any]) -> Row:
    tools = as_json(record.get("tools"))
    return {
        "response_model": to_text(record.get("model")),
        "tool_definitions": to_json(tools) if isinstance(tools, list) and tools else None,
    }


def _rest(record: dict[str, Any]) -> str | None:
    rest = {k: v for k, v in record.items() if k not in _USED and v not in (None, "", [], {})}
    return to_json(rest) if rest else None


FORMATS = [
    Format(
        NAME,
        "ShareGPT conversations",
        "`conversations` of `from` and `value`",
        Rank.DATASET,
        recognises,
        decode,
    ),
    Format(
        PREFERENCE,
        "ShareGPT preferences",
        "`conversations` beside `chosen` and `rejected`",
        Rank.DATASET,
        recognises_preference,
        decode_preference,
    ),
]
