"""Make text that comes from logs inert before anyone looks at it.

Prompts, segment labels, model names and paths are written by strangers. Shown raw, they could
recolour or retitle a terminal, forge a verdict line, or reverse the reading order of a report.
Escaping for HTML is jinja2's work and for JSON the encoder's; this module removes what no
escaping helps against.
"""

from __future__ import annotations

import re
import unicodedata

from rich.cells import cell_len
from rich.markup import escape

ELLIPSIS = "…"

# Terminal escapes, ECMA-48 section 5 and 8. A string payload (OSC, DCS, SOS, PM, APC) goes only
# when it is terminated; otherwise just its introducer does, so that nothing can hide behind it.
_STRING_BODY = r"(?:[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c))?"
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    rf"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f]){_STRING_BODY}"
    r"|\x1b[ -/]*[0-~]?"
)
_BLANK = re.compile(r"\s+")

# Characters that Unicode calls letters or marks and that show nothing.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
# Control, format (bidi, zero width, tags), surrogate, private use, unassigned.
_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_MARKS = frozenset({"Mn", "Me"})
_MAX_MARKS = 2  # no living script stacks more on one letter; a tower of them covers other lines


def clean_text(text: object, width: int | None = None) -> str:
    """Return one printable line, cut to `width` terminal cells.

    Args:
        text: anything; what is not a string is converted first.
        width: cells, not characters (a CJK character takes two); None keeps everything.

    Example:
        >>> clean_text("ok\\x1b[31m red\\u202e\\nnext", 10)
        'ok red ne…'
    """
    bare = _ESCAPES.sub("", str(text))
    # White space first: a tab or a line separator is a gap between words, not nothing.
    bare = _visible(_BLANK.sub(" ", bare))
    bare = _BLANK.sub(" ", bare).strip()
    return bare if width is None else cut(bare, width)


def _visible(text: str) -> str:
    """Drop what shows nothing or disturbs its neighbours."""
    if text.isascii() and text.isprintable():
        return text
    kept: list[str] = []
    marks = 0
    for char in text:
        category = unicodedata.category(char)
        if category in _DROPPED or char in _INVISIBLE or "\ufe00" <= char <= "\ufe0f":
            continue
        marks = marks + 1 if category in _MARKS else 0
        if marks <= _MAX_MARKS:
            kept.append(char)
    return "".join(kept)


def cut(text: str, width: int) -> str:
    """Shorten to `width` terminal cells, with an ellipsis where something is missing."""
    if cell_len(text) <= width:
        return text
    if width < 1:
        return ""
    used = 0
    for place, char in enumerate(text):
        used += cell_len(char)
        if used > width - 1:
            return text[:place].rstrip() + ELLIPSIS
    return text


def clean_markup(text: object, width: int | None = None) -> str:
    """Return `clean_text` escaped for places where rich reads `[markup]`."""
    return escape(clean_text(text, width))
