"""Signals about agents: sound calls, loops, steps and failing tools."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.signals.catalogue import load_signals
from loopllm_cli.signals.json_schema import MAX_STEPS, satisfies, unknown_keyword
from loopllm_cli.signals.tools import is_error

NAN = float("nan")
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "maximum": 7}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER}}]
ROME = ("weather", '{"city": "Rome"}')


def call(name, arguments):
    """Return the part of a message that calls a tool."""
    return {"type": "tool_call", "id": "1", "name": name, "arguments": arguments}


def said(role, *parts):
    """Return a message of parts; a text is a part of its own."""
    texts = [{"type": "text", "content": p} if isinstance(p, str) else p for p in parts]
    return {"role": role, "parts": texts}


def result(response, **more):
    """Return the message with what a tool sent back."""
    return said("tool", {"type": "tool_call_response", "id": "1", "response": response, **more})


def row(answer, before=(), tools=TOOLS):
    """Return the columns of one row: an answer's parts, the messages before it, the tools."""
    asked = [said("user", "What now?"), *before]
    return {
        "input_messages": json.dumps(asked, separators=(",", ":")),
        "output_messages": json.dumps([said("assistant", *answer)], separators=(",", ":")),
        "tool_definitions": None if tools is None else json.dumps(tools),
    }


def measured(name, *rows):
    """Compute one signal on rows."""
    names = ("input_messages", "output_messages", "tool_definitions")
    schema = pa.schema([(column, pa.string()) for column in names])
    return load_signals()[name].compute(RowBatch(pa.Table.from_pylist(list(rows), schema=schema)))


SHAPES = {
    "Chat Completions": TOOLS,
    "Responses": [{"type": "function", "name": "weather", "parameters": WEATHER}],
    "Messages": [{"name": "weather", "input_schema": WEATHER}],
    "Converse": [{"toolSpec": {"name": "weather", "inputSchema": {"json": WEATHER}}}],
    "Gemini": [{"function_declarations": [{"name": "weather", "parameters": WEATHER}]}],
    "Vercel": [{"name": "weather", "inputSchema": WEATHER}],
    "as texts": [json.dumps({"name": "weather", "parameters": WEATHER})],
}


@pytest.mark.parametrize("tools", SHAPES.values(), ids=SHAPES)
def test_tools_are_read_in_every_shape_that_is_logged(tools):
    """Known and unknown tools, right and wrong arguments, whatever API defined the tools."""
    rows = [
        row([call(*ROME)], tools=tools),
        row([call("weather", {"town": "Rome"})], tools=tools),
        row([call("wether", {"city": "Rome"})], tools=tools),
        row(["It rains."], tools=tools),
    ]
    np.testing.assert_equal(measured("tool_unknown", *rows), [0.0, 0.0, 1.0, NAN])
    np.testing.assert_equal(measured("tool_arguments_invalid", *rows), [0.0, 1.0, NAN, NAN])


def test_a_tool_is_not_unknown_where_the_tools_on_offer_are_not_all_named():
    """No definitions, or a definition of unknown shape, say nothing about names."""
    rows = [
        row([call("anything", {})], tools=None),
        row([call("anything", {})], tools=[{"type": "mcp", "server_url": "https://a.example"}]),
    ]
    np.testing.assert_equal(measured("tool_unknown", *rows), [NAN, NAN])


@pytest.mark.parametrize(
    ("arguments", "broken"),
    [
        ('{"city": "Rome"}', 0.0),
        ({"city": "Rome"}, 0.0),
        (None, 0.0),
        ("", 0.0),
        ('{"city": "Ro', 1.0),
        ("Rome", 1.0),
        ("[1]", 1.0),
    ],
)
def test_arguments_that_are_no_object_are_broken(arguments, broken):
    """A tool takes an object; no arguments at all are an empty one."""
    assert [broken] == measured("tool_arguments_broken", row([call("weather", arguments)])).tolist()


def test_the_same_call_again_in_one_turn_is_a_repetition():
    """Earlier in the input or in the same answer, in any order of keys; a new question is new."""
    again = call("weather", {"days": 2, "city": "Rome"})
    first = said("assistant", call("weather", '{"city": "Rome", "days": 2}'))
    rows = [
        row([again], [first, result("rain")]),
        row([again, again]),
        row([again], [first, result("rain"), said("user", "And now?")]),
        row([again], [said("assistant", call("weather", {"city": "Rome", "days": 3}))]),
        row(["It rains."], [first]),
    ]
    np.testing.assert_equal(measured("tool_repeated", *rows), [1.0, 1.0, 0.0, 0.0, NAN])


def test_steps_are_the_calls_between_the_question_and_the_final_answer():
    """Answers that go on calling are no end; without tools there are no steps to count."""
    step = said("assistant", call(*ROME))
    rows = [
        row(["It rains."], [step, result("rain"), step, result("rain")]),
        row(["Hello."]),
        row([call(*ROME)], [step]),
        row(["Hello."], tools=None),
        row(["It rains."], [step, result("rain"), said("user", "Thanks."), step], tools=None),
    ]
    np.testing.assert_equal(measured("tool_steps", *rows), [2.0, 0.0, NAN, NAN, 1.0])


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"response": "Error: no such city"}, True),
        ({"response": "ValueError: no such city"}, True),
        ({"response": "requests.exceptions.HTTPError: 503"}, True),
        ({"response": "Traceback (most recent call last):\n"}, True),
        ({"response": '{"error": {"code": 404}}'}, True),
        ({"response": '{"error": null, "temperature": 3}'}, False),
        ({"response": {"status": "error"}}, True),
        ({"response": {"status": "ok"}}, False),
        ({"response": "fine", "is_error": True}, True),
        ({"response": "Errors fell by a tenth last year."}, False),
        ({"response": "No error was found."}, False),
        ({"response": '[{"title": "Error handling in Go"}]'}, False),
        ({"response": None}, False),
    ],
)
def test_a_result_is_an_error_if_it_says_so_at_once(part, expected):
    """A mark, an error that says something, or a text that begins as errors do."""
    assert expected is is_error(part)


def test_a_turn_with_a_failed_tool_counts_until_the_user_speaks_again():
    """The results of this turn are what the answer had to work with."""
    step = said("assistant", call(*ROME))
    rows = [
        row(["Sorry."], [step, result("Error: down")]),
        row(["Rain."], [step, result("Error: down"), said("user", "Again"), step, result("rain")]),
        row(["Hello."]),
    ]
    np.testing.assert_equal(measured("tool_error", *rows), [1.0, 0.0, NAN])


@pytest.mark.parametrize(
    ("value", "schema", "expected"),
    [
        (3, {"type": "integer"}, True),
        (3.0, {"type": "INTEGER"}, True),
        (3.5, {"type": "integer"}, False),
        (True, {"type": "number"}, False),
        (None, {"type": ["string", "null"]}, True),
        (None, {"type": "STRING", "nullable": True}, True),
        ("b", {"enum": ["a", "b"]}, True),
        (1, {"enum": [True]}, False),
        (1, {"const": 2}, False),
        ([1, "a"], {"prefixItems": [{"type": "integer"}], "items": {"type": "string"}}, True),
        ([1, 2], {"items": {"maximum": 1}}, False),
        ([], {"minItems": 1}, False),
        ("abc", {"maxLength": 2}, False),
        (5, {"exclusiveMinimum": 5}, False),
        ({"a": 1, "b": 2}, {"properties": {"a": {}}, "additionalProperties": False}, False),
        ({"a": "x"}, {"additionalProperties": {"type": "integer"}}, False),
        ({}, {"required": ["a"]}, False),
        (4, {"oneOf": [{"minimum": 1}, {"maximum": 9}]}, False),
        (4, {"anyOf": [{"minimum": 9}, {"maximum": 9}]}, True),
        (4, {"allOf": [{"minimum": 1}, {"maximum": 3}]}, False),
        (4, {"not": {"type": "integer"}}, False),
        ({"n": {"n": 1}}, {"$defs": {"t": {"properties": {"n": {"$ref": "#/$defs/s"}}},
                           "s": {"type": "object"}}, "$ref": "#/$defs/t"}, True),
        (4, {"$ref": "https://elsewhere.example/schema"}, True),
        (4, False, False),
        (4, {"type": "mystery"}, True),
    ],
)  # fmt: skip
def test_a_schema_is_followed(value, schema, expected):
    """The keywords that tools and structured answers use."""
    assert expected is satisfies(value, schema)


def test_a_schema_that_never_ends_is_given_up():
    """Loops of references, and alternatives that multiply."""
    loop = {"$ref": "#"}
    assert satisfies(1, loop) is None
    bush = {"$defs": {"t": {"allOf": [{"$ref": "#/$defs/t"}] * 2}}, "$ref": "#/$defs/t"}
    assert satisfies(1, bush) is None
    assert MAX_STEPS < 100_000


def test_logged_patterns_are_not_run():
    """A pattern in a log may take for ever; a user's own is followed on request."""
    schema = {"pattern": "(a+)+$"}
    assert satisfies("a" * 40 + "!", schema) is True
    assert satisfies("b", {"pattern": "^a"}, patterns=True) is False
    assert satisfies("a", {"pattern": "^a"}, patterns=True) is True


def test_a_keyword_that_is_not_followed_is_named():
    """Names of properties are no keywords."""
    assert unknown_keyword({"properties": {"if": {"type": "string"}}}) is None
    expected = "multipleOf"
    assert expected == unknown_keyword({"items": {"anyOf": [{"multipleOf": 2}]}})


HOSTILE = [
    "[", '"tool_call', '[{"parts":[{"type":"tool_call"}]}]', '[{"parts":3,"x":"tool_call"}]',
    '[3,"tool_call"]', '[{"role":"user","parts":[{"type":"tool_call","name":3,"arguments":"{"}]}]',
    '[{"parts":[{"type":"tool_call_response","response":' + "[" * 200 + "]" * 200 + "}]}]",
    '[{"parts":[{"type":"tool_call","name":"a","arguments":' + "[" * 900 + "]" * 900 + "}]}]",
    '[{"parts":[{"type":"tool_call","name":"a","arguments":{"n":123456789012345678901234567890}}]}]',
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_malformed_messages_are_no_reason_to_fail(text):
    """Whatever a log holds, each signal gives a fitting number or none."""
    rows = [{"input_messages": a, "output_messages": b, "tool_definitions": text}
            for a in (text, None) for b in (text, None)]  # fmt: skip
    for name in load_signals():
        if name.startswith(("tool_", "context", "citation")) and name != "tool_call":
            numbers = measured(name, *rows)
            known = numbers[~np.isnan(numbers)]
            assert ((4,), True) == (numbers.shape, bool((known >= 0).all()))
