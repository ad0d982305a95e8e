"""Python's own notation as data: some exporters write `str(record)` into lines and cells."""

from __future__ import annotations

import ast
import re
from typing import Any


def from_python_repr(value: Any) -> Any:
    """Undo Python's `repr` of dicts and lists, which some exporters write into CSV cells.

    A text that is no such literal, has more than 1 MB or more than 100 levels comes back as it is.
    Nothing is executed: only brackets, strings, numbers, None, True and False are read at all.

    Example:
        >>> from_python_repr("{'a': None, 'b': (1, True)}")
        {'a': None, 'b': [1, True]}
    """
    if not isinstance(value, str) or value[:1] not in ("{", "[", "(") or len(value) > _MAX_REPR:
        return value
    bare = _LITERAL_TEXT.sub("0", value)
    if _LITERAL.fullmatch(bare) is None or _levels(bare) > _MAX_REPR_LEVELS:
        return value
    try:
        return _plain_literal(ast.literal_eval(value))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return value


_MAX_REPR = 1 << 20
_MAX_REPR_LEVELS = 100
# A text that is never closed runs to the end, so that the search stays linear.
_LITERAL_TEXT = re.compile(
    r"""b?(?:'(?:[^'\\]|\\.)*(?:'|\Z)|"(?:[^"\\]|\\.)*(?:"|\Z))""", re.DOTALL
)
_LITERAL = re.compile(r"(?:[\s,:{}\[\]()]|None|True|False|-?\d[\d.]*+(?:e[+-]?\d++)?+)*+")


def _levels(text: str) -> int:
    depth = deepest = 0
    for char in text:
        if char in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in ")]}":
            depth -= 1
    return deepest


def _plain_literal(value: Any) -> Any:
    """Turn what a literal may hold into what JSON may hold."""
    if isinstance(value, dict):
        return {str(_plain_literal(key)): _plain_literal(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain_literal(item) for item in value]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        whole = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return whole.replace("\x00", "\ufffd")
    return value
