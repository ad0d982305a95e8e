"""Bodies that a tracing library bent come out as messages, and what is no message as its text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loopllm_cli.sources.payloads import logged
from loopllm_cli.sources.python_repr import from_python_repr

CALL = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def roles(value: Any) -> list[tuple[str, list[str]]]:
    """Return each input message's role and the types of its parts."""
    request = logged.read_request(value)
    assert request is not None
    return [(m["role"], [part["type"] for part in m["parts"]]) for m in request.messages]


def answered(value: Any) -> list[list[Any]]:
    """Return each answer's texts and names of tools."""
    response = logged.read_response(value)
    assert response is not None
    return [
        [part.get("content", part.get("name")) for part in answer.message["parts"]]
        for answer in response.answers
        if answer.message
    ]


def test_messages_with_parts_are_read_and_what_tools_said_is_the_tools() -> None:
    asked = [
        {"role": "user", "parts": [{"type": "text", "content": "Where?"}]},
        {"role": "user", "parts": [{"type": "tool_call_response", "id": "c", "result": "Here."}]},
    ]
    expected = [("user", ["text"]), ("tool", ["tool_call_response"])]
    assert expected == roles(asked) == roles(json.dumps(asked)) == roles({"messages": asked})


def test_an_answer_with_parts_keeps_its_finish_reason() -> None:
    said = {"role": "assistant", "parts": [{"type": "text", "content": "Here."}]}
    response = logged.read_response([{**said, "finish_reason": "stop"}])
    assert response is not None
    assert ("stop", [["Here."]]) == (response.answers[0].finish_reason, answered([said]))


def test_several_output_messages_are_choices_unless_they_are_parallel_calls() -> None:
    def said(*names: str) -> list[Any]:
        return [{"role": "assistant", "content": None, "tool_calls": [CALL]} for _ in names]

    choices = [{"role": "assistant", "content": text} for text in ("One.", "Two.")]
    assert [["One."], ["Two."]] == answered(choices)
    assert [["look", "look"]] == answered(said("a", "b"))


def test_of_a_whole_run_the_last_answer_is_the_response() -> None:
    run = [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "Here."}]
    assert [["Here."]] == answered(run) == answered({"messages": run})


def test_older_events_are_messages() -> None:
    asked = [{"event.name": "gen_ai.user.message", "role": "user", "content": "Where?"}]
    said = {"event.name": "gen_ai.choice", "index": 0, "message": {"content": "Here."}}
    assert [("user", ["text"])] == roles(asked)
    assert [["Here."]] == answered(said)


def test_calls_in_additional_arguments_and_definitions_among_messages_are_found() -> None:
    request = logged.read_request(
        [
            {"role": "user", "content": "Where?"},
            {"role": "assistant", "content": "", "additional_kwargs": {"tool_calls": [CALL]}},
            {"role": "tool", "content": {"type": "function", "function": {"name": "look"}}},
        ]
    )
    assert request is not None
    assert ["user", "assistant"] == [message["role"] for message in request.messages]
    assert "look" in request.values["tool_definitions"]
    assert [["look"]] == answered(
        {"role": "assistant", "content": "", "additional_kwargs": {"tool_calls": [CALL]}}
    )


def test_calls_that_were_logged_as_a_text_are_calls_of_the_assistant() -> None:
    text = json.dumps([CALL])
    asked = [{"role": "user", "content": "Where?"}, {"role": "tool", "content": text}]
    assert [("user", ["text"]), ("assistant", ["tool_call"])] == roles(asked)
    assert [["look"]] == answered([{"role": "assistant", "content": text}])


def test_parts_and_calls_of_the_vercel_sdk_are_read() -> None:
    call = {"type": "tool-call", "toolCallId": "c", "toolName": "look", "input": {}}
    told = {"type": "tool-result", "toolCallId": "c", "toolName": "look", "output": "Here."}
    asked = [{"role": "assistant", "content": [call]}, {"role": "tool", "content": [told]}]
    assert [("assistant", ["tool_call"]), ("tool", ["tool_call_response"])] == roles(asked)
    assert [["look"]] == answered([{"toolCallId": "c", "toolName": "look", "input": "{}"}])
    assert [["Here.", "look"]] == answered({"text": "Here.", "toolCalls": [call]})
    assert [("system", ["text"]), ("user", ["text"])] == roles({"system": "S.", "prompt": "P."})


def test_the_contents_of_an_agent_kit_are_read() -> None:
    asked = {
        "model": "g",
        "config": {"system_instruction": "S.", "tools": [{"function_declarations": []}]},
        "contents": [{"role": "user", "parts": [{"text": "Where?"}]}],
    }
    said = {"content": {"role": "model", "parts": [{"text": "Here."}]}, "finish_reason": "STOP"}
    assert [("system", ["text"]), ("user", ["text"])] == roles(asked)
    assert [["Here."]] == answered(said)


def test_printed_messages_are_read() -> None:
    calls = "tool_calls=[{'id': 'c', 'type': 'function', 'function': {'name': 'look'}}] audio=None"
    asked = {
        "messages": [
            "role='user' content=\"Where's it?\" name=None tool_calls=None",
            f"role='assistant' content=None name=None {calls}",
            "role='tool' content='It\\'s here.' name=None tool_call_id='c' tool_calls=None",
        ]
    }
    request = logged.read_request(asked)
    assert request is not None
    texts = [part.get("content") for m in request.messages for part in m["parts"]]
    assert ["Where's it?", None, None] == texts
    assert "look" == request.messages[1]["parts"][0]["name"]
    assert ("c", "It's here.") == tuple(
        request.messages[2]["parts"][0][key] for key in ("id", "response")
    )


@pytest.mark.parametrize(
    "value",
    [
        [{"role": "user", "content": 5}],
        {"messages": [{"role": "user", "parts": [5]}]},
        {"messages": ["role='user' content='never closed"]},
        {"contents": [5], "config": {}},
        [{"role": "assistant", "parts": [[]]}],
    ],
)
def test_what_cannot_be_read_is_kept_as_its_json(value: Any) -> None:
    assert roles(value)[-1][0] == "user"
    assert 1 == len(answered(value))


@pytest.mark.parametrize("value", [None, "", {}, [], "[]"])
def test_nothing_is_nothing(value: Any) -> None:
    assert logged.read_request(value) is None
    assert logged.read_response(value) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{'a': None, 'b': (1, True)}", {"a": None, "b": [1, True]}),
        ("['it\\'s', \"x\", -1.5e-3, b'y']", ["it's", "x", -0.0015, "y"]),
        ("{1: {2}}", {"1": [2]}),
        ("['\\ud83d\\x00']", ["\ufffd\ufffd"]),
    ],
)
def test_printed_literals_are_read(text: str, value: Any) -> None:
    assert value == from_python_repr(text)


@pytest.mark.parametrize(
    "text",
    [
        "[__import__('os')]",
        "[f()]",
        "[" * 150 + "]" * 150,
        "[" + "-" * 5000 + "1]",
        "[1+1]",
        "{'a'",
        "{[]: 1}",
        "{" + "'\\'" * 50_000,
        "[" + "1" * 5000 + "]",
        "['" + "a" * (1 << 20) + "']",
        "plain",
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_literal_or_too_large_stays_a_text(text: str) -> None:
    assert text == from_python_repr(text)
