"""Check every line of an export against the API's own types, and read it back.

The types are those of the openai package, checked by pydantic, unknown keys forbidden; the file's
outer layout is in no package, so its rules are written down here.
"""

import json
import sys
from pathlib import Path

import openai
from openai.types.chat import (
    ChatCompletionAssistantMessageParam,
    ChatCompletionFunctionToolParam,
    ChatCompletionMessageParam,
)
from pydantic import ConfigDict, TypeAdapter
from typing_extensions import TypedDict


class Input(TypedDict, total=False):
    """What was asked."""

    messages: list[ChatCompletionMessageParam]
    tools: list[ChatCompletionFunctionToolParam]
    parallel_tool_calls: bool


class Line(TypedDict):
    """One line of a preference file."""

    __pydantic_config__ = ConfigDict(extra="forbid")
    input: Input
    preferred_output: list[ChatCompletionAssistantMessageParam]
    non_preferred_output: list[ChatCompletionAssistantMessageParam]


def main(folder):
    """Print the rows of every file."""
    line_type = TypeAdapter(Line)
    files = {}
    for path in sorted(Path(folder).glob("*.jsonl")):
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for line in lines:
            line_type.validate_python(line)
            assert len(line["preferred_output"]) == len(line["non_preferred_output"]) == 1
            check_calls(line["input"]["messages"])
        files[path.name] = [plain(line) for line in lines]
    print(json.dumps({"version": f"openai {openai.__version__}", "files": files}))


def check_calls(messages):
    """Every call is followed by its result, as the chat API wants it."""
    waiting = set()
    for message in messages:
        if message["role"] == "tool":
            waiting.remove(message["tool_call_id"])
        else:
            assert not waiting
            waiting = {call["id"] for call in message.get("tool_calls") or []}
    assert not waiting


def plain(line):
    """Lay a line out as the check compares it."""
    sides = [line["preferred_output"], line["non_preferred_output"]]
    return {
        "prompt": [said(message) for message in line["input"]["messages"]],
        "sides": [[said(message) for message in side] for side in sides],
        "label": None,
        "tools": line["input"].get("tools", []),
    }


def said(message):
    """Return a message's role, text and calls."""
    calls = [call["function"] for call in message.get("tool_calls") or []]
    calls = [[call["name"], json.loads(call["arguments"])] for call in calls]
    return [message["role"], message["content"] or "", calls]


if __name__ == "__main__":
    main(sys.argv[1])
