"""Tool definitions in the one layout that chat templates and trainers take.

Logs keep them as each provider's API takes them. The layouts differ in their names alone: a name,
a description and a JSON schema of the arguments.

Sources: OpenAI, "Function calling" (chat completions and responses); Anthropic, "Tool use",
`input_schema`; Google, `FunctionDeclaration`; AWS Bedrock Converse, `toolSpec`; OpenTelemetry's
`gen_ai.tool.definitions`; Transformers, "Tool use" (what `apply_chat_template` takes).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_SCHEMAS = ("parameters", "input_schema", "inputSchema", "parametersJsonSchema")
_LISTS = ("functionDeclarations", "function_declarations")
_KEPT = ("name", "description", "parameters", "strict")
Tool = dict[str, Any]


def as_functions(tools: str | None) -> list[Tool] | None:
    """Lay tool definitions out as `{"type": "function", "function": {"name", ...}}`.

    What is no function (a provider's own search, a computer to be used) stays as it is: a template
    may know it, and an export that does not will say so.

    Returns:
        None where there are no definitions, or nothing that can be read as any.
    """
    try:
        read = json.loads(tools) if tools else None
    except (ValueError, RecursionError):
        return None
    if isinstance(read, dict):
        read = [read]
    if not isinstance(read, list):
        return None
    found = [one for tool in read if isinstance(tool, dict) for one in _functions(tool)]
    return found or None


def is_function(tool: Tool) -> bool:
    """Say whether a tool is a function that a model may call, in the common layout."""
    function = tool.get("function")
    return (
        tool.get("type") == "function"
        and isinstance(function, dict)
        and isinstance(function.get("name"), str)
    )


def _functions(tool: Tool) -> Iterator[Tool]:
    declared = next((tool[name] for name in _LISTS if isinstance(tool.get(name), list)), None)
    if declared is not None:
        yield from (one for d in declared if isinstance(d, dict) for one in _functions(d))
    elif isinstance(tool.get("toolSpec"), dict):
        yield from _functions(tool["toolSpec"])
    elif isinstance(tool.get("function"), dict):
        yield {"type": "function", **tool}
    elif isinstance(tool.get("name"), str) and tool.get("type") in (None, "function", "custom"):
        yield {"type": "function", "function": _function(tool)}
    else:
        yield tool


def _function(tool: Tool) -> Tool:
    schema = next((tool[name] for name in _SCHEMAS if isinstance(tool.get(name), dict)), None)
    if isinstance(schema, dict) and isinstance(schema.get("json"), dict):
        schema = schema["json"]
    made = {name: tool[name] for name in _KEPT if tool.get(name) is not None}
    return made if schema is None else {**made, "parameters": schema}
