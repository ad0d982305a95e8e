"""Whether a value satisfies a JSON Schema, for the schemas that tools and answers have.

Exists because logged schemas are log text: checking must end soon on any of them, and must not
run their patterns, which may take exponential time. So this follows the keywords of `FOLLOWED`
(types also in capitals, as Gemini writes them), passes over others as the specification says of
unknown ones, and stops at a budget of steps. `pattern` is followed on request only.

Source: JSON Schema 2020-12, Validation, https://json-schema.org/draft/2020-12/json-schema-validation
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

MAX_STEPS = 20_000
MAX_DEPTH = 60
FOLLOWED = (
    *("type", "enum", "const", "properties", "required", "additionalProperties", "items"),
    *("prefixItems", "minItems", "maxItems", "minimum", "maximum", "exclusiveMinimum"),
    *("exclusiveMaximum", "minLength", "maxLength", "anyOf", "oneOf", "allOf", "not", "$ref"),
    *("nullable", "pattern", "$defs", "definitions"),
)
_NOTES = (
    *("title", "description", "default", "examples", "example", "deprecated", "readOnly"),
    *("writeOnly", "$schema", "$id", "$comment", "format", "strict", "propertyOrdering"),
)
"""Keywords that ask for nothing; `format` does not either, unless a validator is told so."""

_BOUNDS: tuple[tuple[str, Callable[[Any, Any], bool]], ...] = (
    ("minimum", lambda value, bound: value >= bound),
    ("maximum", lambda value, bound: value <= bound),
    ("exclusiveMinimum", lambda value, bound: value > bound),
    ("exclusiveMaximum", lambda value, bound: value < bound),
)


class TooDeep(Exception):
    """A schema takes more steps than any real one; whether a value satisfies it is not known."""


def satisfies(value: Any, schema: Any, *, patterns: bool = False) -> bool | None:
    """Say whether a value satisfies a schema; None where the schema takes too long to follow.

    Args:
        patterns: follow `pattern` too, which may take for ever.

    Example:
        >>> satisfies({"city": 3}, {"properties": {"city": {"type": "string"}}})
        False
    """
    try:
        return _Check(schema, patterns).holds(value, schema, 0)
    except (TooDeep, RecursionError):
        return None


def unknown_keyword(schema: Any, depth: int = 0) -> str | None:
    """Return a keyword of a schema that is not followed and asks for something, if there is one."""
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        return None
    for key in schema:
        if key not in FOLLOWED and key not in _NOTES:
            return str(key)
    named = [schema[k] for k in ("properties", "$defs", "definitions") if k in schema]
    lists = [schema[k] for k in ("prefixItems", "anyOf", "oneOf", "allOf") if k in schema]
    inner = [schema[k] for k in ("additionalProperties", "items", "not") if k in schema]
    inner += [part for parts in named if isinstance(parts, Mapping) for part in parts.values()]
    inner += [part for parts in lists if isinstance(parts, list) for part in parts]
    found = (unknown_keyword(part, depth + 1) for part in inner)
    return next((key for key in found if key is not None), None)


def is_number(value: Any) -> bool:
    """Say whether a value is a number; truth values are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


class _Check:
    """One check of a value, with its budget."""

    def __init__(self, root: Any, patterns: bool) -> None:
        self.root = root
        self.patterns = patterns
        self.steps = 0

    def holds(self, value: Any, schema: Any, depth: int) -> bool:
        self.steps += 1
        if self.steps > MAX_STEPS or depth > MAX_DEPTH:
            raise TooDeep
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, Mapping):
            return True  # no schema at all asks for nothing
        if value is None and schema.get("nullable") is True:
            return True
        return (
            self._is_of_type(value, schema)
            and _is_listed(value, schema)
            and _is_within(value, schema)
            and self._matches(value, schema)
            and self._has_items(value, schema, depth)
            and self._has_properties(value, schema, depth)
            and self._combines(value, schema, depth)
        )

    def _is_of_type(self, value: Any, schema: Mapping[str, Any]) -> bool:
        wanted = schema.get("type")
        names = wanted if isinstance(wanted, list) else [wanted]
        known = [n.lower() for n in names if isinstance(n, str)]
        known = [n for n in known if n in _TYPES]
        return not known or any(_TYPES[name](value) for name in known)

    def _matches(self, value: Any, schema: Mapping[str, Any]) -> bool:
        pattern = schema.get("pattern")
        if not self.patterns or not isinstance(value, str) or not isinstance(pattern, str):
            return True
        return re.search(pattern, value) is not None

    def _has_items(self, value: Any, schema: Mapping[str, Any], depth: int) -> bool:
        if not isinstance(value, list):
            return True
        first = schema.get("prefixItems")
        first = first if isinstance(first, list) else []
        placed = zip(value, first, strict=False)
        if not all(self.holds(item, part, depth + 1) for item, part in placed):
            return False
        rest = schema.get("items")
        if rest is None or isinstance(rest, list):
            return True
        return all(self.holds(item, rest, depth + 1) for item in value[len(first) :])

    def _has_properties(self, value: Any, schema: Mapping[str, Any], depth: int) -> bool:
        if not isinstance(value, Mapping):
            return True
        required = schema.get("required")
        if isinstance(required, list) and any(
            isinstance(name, str) and name not in value for name in required
        ):
            return False
        named = schema.get("properties")
        named = named if isinstance(named, Mapping) else {}
        for name, part in named.items():
            if name in value and not self.holds(value[name], part, depth + 1):
                return False
        more = schema.get("additionalProperties")
        if more is None or "patternProperties" in schema:
            return True
        return all(
            self.holds(inner, more, depth + 1) for name, inner in value.items() if name not in named
        )

    def _combines(self, value: Any, schema: Mapping[str, Any], depth: int) -> bool:
        def held(parts: list[Any]) -> list[bool]:
            return [self.holds(value, part, depth + 1) for part in parts]

        every, some, one = (schema.get(key) for key in ("allOf", "anyOf", "oneOf"))
        if isinstance(every, list) and not all(held(every)):
            return False
        if isinstance(some, list) and not any(held(some)):
            return False
        if isinstance(one, list) and sum(held(one)) != 1:
            return False
        if "not" in schema and self.holds(value, schema["not"], depth + 1):
            return False
        pointer = schema.get("$ref")
        if not isinstance(pointer, str):
            return True
        return self.holds(value, self._referred(pointer), depth + 1)

    def _referred(self, pointer: str) -> Any:
        if not pointer.startswith("#"):
            return True
        found = self.root
        for key in pointer[1:].split("/")[1:]:
            key = key.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or key not in found:
                return True
            found = found[key]
        return found


_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": is_number,
    "integer": lambda value: is_number(value) and float(value).is_integer(),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, Mapping),
    "null": lambda value: value is None,
}


def _is_listed(value: Any, schema: Mapping[str, Any]) -> bool:
    listed = schema.get("enum")
    if isinstance(listed, list) and not any(_same(value, one) for one in listed):
        return False
    return "const" not in schema or _same(value, schema["const"])


def _same(one: Any, other: Any) -> bool:
    # In Python True equals 1; in JSON it does not.
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _is_within(value: Any, schema: Mapping[str, Any]) -> bool:
    if is_number(value):
        return all(fits(value, schema[key]) for key, fits in _BOUNDS if is_number(schema.get(key)))
    if isinstance(value, str | list):
        unit = "Length" if isinstance(value, str) else "Items"
        low: Any = schema.get(f"min{unit}")
        high: Any = schema.get(f"max{unit}")
        return (not is_number(low) or len(value) >= low) and (
            not is_number(high) or len(value) <= high
        )
    return True
