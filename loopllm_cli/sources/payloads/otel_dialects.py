"""Where single libraries put prompts and answers on their spans.

Each reader takes a span's attributes and returns the two sides of the call, None for a side that
it does not find. `DIALECTS` has them in the order in which they are tried.

Source: OpenLLMetry's semantic conventions, https://github.com/traceloop/openllmetry ; Pydantic
AI's `models/instrumented.py` ; MLflow's `tracing/constant.py` ; LangSmith's exporter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loopllm_cli.sources.fields import as_json, to_text
from loopllm_cli.sources.payloads import anything
from loopllm_cli.sources.payloads.body import Answer, Request, Response, plain_response
from loopllm_cli.sources.payloads.flattened import nested
from loopllm_cli.sources.payloads.otel_adk import read_adk
from loopllm_cli.sources.payloads.otel_attributes import finish_reasons
from loopllm_cli.sources.payloads.otel_parts import (
    as_json_list,
    from_event,
    is_cut,
    to_answers,
    to_finish,
    to_message,
    to_messages,
    to_role,
    to_system,
    tool_call,
    tool_response,
)
from loopllm_cli.sources.payloads.otel_vercel import read_vercel
from loopllm_cli.sources.rows import Message, Record, Row, to_json

Sides = tuple[Request | None, Response | None]
Reader = Callable[[Record], Sides]


def read_current(attributes: Record) -> Sides:
    """Read the current GenAI attributes; a JSON text that lost its end stays a text.

    Raises:
        BadLine: the messages are malformed.
    """
    get = attributes.get
    asked, said = get("gen_ai.input.messages"), get("gen_ai.output.messages")
    messages = to_messages(asked, "user")
    system = to_system(get("gen_ai.system_instructions"))
    values: Row = {}
    if system is not None:
        # The model saw it first of all; a context is the same wherever its system prompt stood.
        messages = messages if messages and messages[0] == system else [system, *messages]
        values["system_instructions"] = to_json(system["parts"])
    # A system prompt alone is not what was asked.
    request = Request(messages if asked is not None else [], values)
    answers = to_answers(said, finish_reasons(attributes))
    state = {"content_state": "truncated"} if is_cut(asked) or is_cut(said) else {}
    known = request if request.messages or values else None
    return known, Response(answers, state) if answers else None


def read_openllmetry(attributes: Record) -> Sides:
    """Read numbered `gen_ai.prompt.N` and `gen_ai.completion.N`, or one value of each name.

    LangSmith's exporter writes what a run took and gave as one JSON text under these names.

    Raises:
        BadLine: the messages are malformed.
    """
    request = response = None
    asked = _numbered(attributes, "gen_ai.prompt", "user")
    if asked:
        tools = nested(attributes, "llm.request.functions")
        request = Request(asked, {"tool_definitions": to_json(tools) if tools else None})
    elif isinstance(attributes.get("gen_ai.prompt"), str | list | dict):
        request = anything.read_request(attributes["gen_ai.prompt"])
    said = _numbered(attributes, "gen_ai.completion", "assistant")
    if said:
        reasons = nested(attributes, "gen_ai.completion")
        response = Response([_choice(m, place, reasons) for place, m in enumerate(said)])
    elif isinstance(attributes.get("gen_ai.completion"), str | list | dict):
        response = anything.read_response(attributes["gen_ai.completion"])
    return request, response


def _choice(message: Message, place: int, items: list[Any]) -> Answer:
    finish, raw = to_finish(items[place].get("finish_reason"))
    return Answer(message, finish, raw, place)


def _numbered(attributes: Record, prefix: str, role: str) -> list[Message]:
    if not any(key.startswith(f"{prefix}.") for key in attributes):
        return []
    items = nested(attributes, prefix)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return []
    messages = []
    for item in items:
        said = to_role(item.get("role"), role)
        if said == "tool":
            parts = [tool_response(item.get("tool_call_id"), item.get("content"))]
            messages.append({"role": said, "parts": parts})
            continue
        message = to_message({"role": said, "content": as_json_list(item)}, role)
        reasoning = to_text(item.get("reasoning"))
        if reasoning:
            message["parts"].insert(0, {"type": "reasoning", "content": reasoning})
        calls = item.get("tool_calls")
        for call in calls if isinstance(calls, list) else []:
            if isinstance(call, dict):
                parts = message["parts"]
                parts.append(tool_call(call.get("id"), call.get("name"), call.get("arguments")))
        messages.append(message)
    return messages


def read_events(attributes: Record) -> Sides:
    """Read the lists of older events that Pydantic AI and Logfire keep on a span.

    Raises:
        BadLine: a message is malformed.
    """
    for name in ("events", "all_messages_events"):
        events = as_json(attributes.get(name))
        if isinstance(events, list) and any(_event_name(event) for event in events):
            return from_events([(_event_name(event), event) for event in events])
    return _read_run(attributes)


def _event_name(event: Any) -> str:
    name = to_text(event.get("event.name")) if isinstance(event, dict) else None
    if name is None and isinstance(event, dict) and isinstance(event.get("role"), str):
        name = f"gen_ai.{event['role']}.message"
    return name or ""


def from_events(events: list[tuple[str, Any]]) -> Sides:
    """Put a call together from its older events, in order; no choice takes the last answer.

    Raises:
        BadLine: a message is malformed.
    """
    messages: list[Message] = []
    answers: list[Answer] = []
    for name, body in events:
        if name == "gen_ai.choice" or (name.startswith("gen_ai.") and name.endswith(".message")):
            message, answer = from_event(name, body)
            messages += [message] if message else []
            answers += [answer] if answer else []
    if not answers and messages and messages[-1]["role"] == "assistant":
        answers = [Answer(messages.pop())]
    said = answers if any(a.message or a.finish_reason_raw for a in answers) else []
    return Request(messages) if messages else None, Response(said) if said else None


def _read_run(attributes: Record) -> Sides:
    """Read an agent's whole run: all messages, of which the last is the answer."""
    messages = to_messages(attributes.get("pydantic_ai.all_messages"), "user")
    final = attributes.get("final_result")
    request = response = None
    if messages and messages[-1]["role"] == "assistant":
        response = Response([Answer(messages.pop())])
    if messages:
        request = Request(messages)
    if response is None and final is not None and final != "":
        response = plain_response(final if isinstance(final, str) else to_json(final))
    return request, response


def read_pairs(attributes: Record) -> Sides:
    """Read what a function took and gave: MLflow, OpenLLMetry's entities, Logfire, LiveKit.

    Raises:
        BadLine: a side has the shape of an API's body and is malformed.
    """
    for asked, said in _PAIRS:
        if asked in attributes or said in attributes:
            given, made = as_json(attributes.get(asked)), as_json(attributes.get(said))
            if said == "response_data" and isinstance(made, dict) and "message" in made:
                made = {"choices": [{"message": made["message"]}], "usage": made.get("usage")}
            if asked == "lk.chat_ctx" and isinstance(given, dict):
                given = given.get("items", given)
            return anything.read_request(given), anything.read_response(made)
    return None, None


_PAIRS = (
    ("mlflow.spanInputs", "mlflow.spanOutputs"),
    ("traceloop.entity.input", "traceloop.entity.output"),
    ("request_data", "response_data"),
    ("lk.chat_ctx", "lk.response.text"),
)

DIALECTS: tuple[tuple[tuple[str, ...], Reader], ...] = (
    (("gen_ai.prompt", "gen_ai.completion", "llm.request.functions"), read_openllmetry),
    (
        (
            *("ai.prompt", "ai.response.text", "ai.response.object", "ai.response.toolCalls"),
            *("ai.response.reasoning", "ai.result"),
        ),
        read_vercel,
    ),
    (("events", "all_messages_events", "pydantic_ai.all_messages", "final_result"), read_events),
    (("gcp.vertex.agent.llm_request", "gcp.vertex.agent.llm_response"), read_adk),
    (tuple(name for pair in _PAIRS for name in pair), read_pairs),
)
"""Each dialect's reader, by the names (or their beginnings, up to a dot) that hold its content."""
