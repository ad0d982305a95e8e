"""Structures that were flattened into dotted names, because span attributes are flat."""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.fields import as_json
from loopllm_cli.sources.rows import Record

_MAX_STEPS = 24
_MAX_LEVELS = 8


def nested(attributes: Record, prefix: str) -> Any:
    """Build the structure below a prefix out of flattened names; None where there is nothing.

    `a.0.b` and `a.10.b` are the first and the eleventh of a list whatever their order; gaps
    close up. A structure that was logged as one value (Phoenix's tables have lists of dicts with
    dotted keys), or as its JSON, is read the same.

    Example:
        >>> nested({"m.1.message.role": "user", "m.0.message.role": "system"}, "m")
        [{'message': {'role': 'system'}}, {'message': {'role': 'user'}}]
    """
    start = f"{prefix}."
    flat = {key[len(start) :]: attributes[key] for key in attributes if key.startswith(start)}
    if flat:
        return _listed(_unflatten(flat, 0))
    whole = as_json(attributes.get(prefix))
    return _listed(_unflatten_value(whole, 0)) if isinstance(whole, dict | list) else None


def _unflatten(flat: Record, level: int) -> Record:
    tree: Record = {}
    for key, value in flat.items():
        *way, last = str(key).split(".", _MAX_STEPS)
        node = tree
        for step in way:
            inner = node.get(step)
            if not isinstance(inner, dict):
                inner = node[step] = {}
            node = inner
        value = _unflatten_value(value, level + 1)
        known = node.get(last)
        if isinstance(known, dict):
            known.update(value if isinstance(value, dict) else {})
        else:
            node[last] = value
    return tree


def _unflatten_value(value: Any, level: int) -> Any:
    if level < _MAX_LEVELS and isinstance(value, dict):
        return _unflatten(value, level)
    if level < _MAX_LEVELS and isinstance(value, list):
        return [_unflatten_value(item, level + 1) for item in value]
    return value


def _listed(node: Any, level: int = 0) -> Any:
    """Turn dicts whose keys are all numbers into lists."""
    if level > _MAX_STEPS + _MAX_LEVELS:
        return node
    if isinstance(node, list):
        return [_listed(item, level + 1) for item in node]
    if not isinstance(node, dict):
        return node
    if node and all(key.isdecimal() and len(key) < 10 for key in node):
        return [_listed(node[key], level + 1) for key in sorted(node, key=int)]
    return {key: _listed(value, level + 1) for key, value in node.items()}
