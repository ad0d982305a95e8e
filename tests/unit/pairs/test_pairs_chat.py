"""Stored messages as chat messages, with tool calls and what tools answered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loopllm_cli.pairs.chat import calls_of, is_answer, side_key, to_messages

CALL = {"type": "tool_call", "id": "c1", "name": "look", "arguments": '{"order": 7}'}
RESULT = {"type": "tool_call_response", "id": "c1", "response": {"status": "sent"}}
ASKED = {"role": "user", "parts": [{"type": "text", "content": "where is it?"}]}
FUNCTION = {"name": "look", "arguments": {"order": 7}}


def stored(*messages: dict[str, Any]) -> str:
    """Write messages as the store keeps them."""
    return json.dumps(messages)


def said(role: str, *parts: dict[str, Any]) -> dict[str, Any]:
    """Return one message."""
    return {"role": role, "parts": list(parts)}


def text(content: str | None) -> dict[str, Any]:
    """Return a part that is text."""
    return {"type": "text", "content": content}


def test_a_call_and_its_result_become_messages() -> None:
    prompt = to_messages(stored(ASKED, said("assistant", text("I look."), CALL),
                                said("tool", RESULT)))  # fmt: skip
    call = {"type": "function", "id": "c1", "function": FUNCTION}
    assert (
        {"role": "user", "content": "where is it?"},
        {"role": "assistant", "content": "I look.", "tool_calls": [call]},
        {"role": "tool", "content": '{"status": "sent"}', "tool_call_id": "c1"},
    ) == prompt


def test_a_message_that_holds_several_steps_becomes_several() -> None:
    steps = said("assistant", text("I look."), CALL, RESULT, text("It was sent."))
    prompt = to_messages(stored(ASKED, steps, ASKED))
    assert prompt is not None
    assert ["user", "assistant", "tool", "assistant", "user"] == [m["role"] for m in prompt]
    assert "It was sent." == prompt[3]["content"]


def test_results_that_a_user_hands_in_come_before_what_they_say() -> None:
    prompt = to_messages(stored(said("user", RESULT, text("and now?"))))
    assert prompt is not None
    assert ["tool", "user"] == [message["role"] for message in prompt]


@pytest.mark.parametrize(
    ("arguments", "read"),
    [('{"a": 1}', {"a": 1}), ("no json", "no json"), ("[1]", "[1]"), (None, {}),
     ({"a": 1}, {"a": 1}), ("{" * 9_000, "{" * 9_000)],
)  # fmt: skip
def test_arguments_are_objects_where_they_can_be_read(arguments: Any, read: Any) -> None:
    output = stored(said("assistant", {**CALL, "arguments": arguments}))
    (call,) = json.loads(calls_of(output) or "")
    assert read == call["function"]["arguments"]


@pytest.mark.parametrize(
    "messages",
    [
        *(None, "", "[", "{}", "3", '"x"', "[1]", "[]", "[" * 100_000),
        stored({"role": "user"}), stored({"role": 1, "parts": []}),
        stored(said("function", text("4"))),
        stored(said("user", {"type": "blob", "modality": "image"})), stored(said("user", {})),
        stored(said("assistant", {"type": "reasoning", "content": "hm"})),
        stored(said("user", {"type": "text", "content": ["x"]})),
        stored({"role": "user", "parts": "x"}),
        stored(said("assistant", {"type": "tool_call", "name": None})),
        '[{"role": "user", "parts": [{"type": "text", "content": "\\ud800"}]}]',
    ],
)  # fmt: skip
def test_what_is_no_conversation_of_text_is_none(messages: str | None) -> None:
    assert to_messages(messages) is None
    assert not is_answer(messages)
    assert calls_of(messages) is None


def test_an_answer_is_one_message_of_text_and_calls() -> None:
    assert is_answer(stored(said("assistant", text("hello"))))
    assert is_answer(stored(said("assistant", CALL)))
    # The text may stand apart from its message.
    assert is_answer(stored(said("assistant", text(None))))
    assert not is_answer(stored(said("user", text("hello"))))
    assert not is_answer(stored(said("assistant", CALL, RESULT)))
    assert not is_answer(stored(said("assistant", text("a")), said("assistant", text("b"))))


def test_an_answer_of_text_alone_calls_nothing() -> None:
    assert calls_of(stored(said("assistant", text("hello")))) is None


def test_sides_are_told_apart_by_their_calls_without_ids() -> None:
    one = json.dumps([{"type": "function", "id": "c1", "function": FUNCTION}])
    same = json.dumps([{"type": "function", "id": "c9", "function": FUNCTION}])
    other = json.dumps([{"type": "function", "function": {**FUNCTION, "name": "pay"}}])
    assert side_key("", one) == side_key("", same)
    assert (
        len({side_key("", one), side_key("", other), side_key("x", one), side_key("", None)}) == 4
    )
    assert side_key("", "broken") != side_key("", "[1]") != side_key("", None)
