"""Views of a text that several signals share: lower case, words, fenced blocks.

Exists so that each is made once per row. Every pattern here runs in linear time on any input,
because logs hold whatever a model produced.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from loopllm_cli.signals.batch import RowBatch

_CURLY = "’‘ʼ＇´"

# Scripts written without spaces: each character counts as one word, so that a Chinese answer
# is not one long word (Kana, Han, and Thai to Lao, Myanmar and Khmer).
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
# \w leaves out combining marks, which would cut Hindi, Arabic and decomposed words in pieces.
_MARKS = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0dff"
_SPACED = rf"[^\W{_UNSPACED}]+(?:[{_MARKS}]+[^\W{_UNSPACED}]*)*"
_ASCII_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
_ANY_WORD = re.compile(rf"[{_UNSPACED}]|{_SPACED}(?:'{_SPACED})?")

_FENCE = re.compile(r"^[ \t>]*(`{3,}|~{3,})([^\n`]*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block: its label in lower case, what it holds, and where in the text it stands."""

    label: str
    body: str
    start: int
    end: int


def straight(text: str) -> str:
    """Return a text in lower case with every kind of apostrophe straight."""
    lowered = text.lower()
    if not lowered.isascii():
        for mark in _CURLY:  # several times as fast as str.translate
            lowered = lowered.replace(mark, "'")
    return lowered


def split_words(lowered: str) -> list[str]:
    """Split a lower-case text into words; unspaced scripts give one word per character."""
    if lowered.isascii():
        return _ASCII_WORD.findall(lowered)
    return _ANY_WORD.findall(lowered)


def find_fences(text: str) -> list[Fence]:
    """Find the blocks between ``` or ~~~ lines; the last may lack its closing line."""
    if "```" not in text and "~~~" not in text:
        return []
    found: list[Fence] = []
    opening: re.Match[str] | None = None
    for line in _FENCE.finditer(text):
        if opening is None:
            opening = line
        elif line[1].startswith(opening[1]) and not line[2].strip():
            body = text[opening.end() + 1 : line.start()]
            found.append(Fence(_label(opening[2]), body, opening.start(), line.end()))
            opening = None
    if opening is not None:
        body = text[opening.end() + 1 :]
        found.append(Fence(_label(opening[2]), body, opening.start(), len(text)))
    return found


def _label(info: str) -> str:
    # "```python title=x" and "```{.python}" both name Python.
    words = info.strip().lower().strip("{}. ").split(maxsplit=1)
    return words[0].split(",")[0] if words else ""


def without_fences(text: str, fences: list[Fence]) -> str:
    """Return the running text of an answer, its fenced blocks cut out."""
    starts = [0, *(fence.end for fence in fences)]
    ends = [*(fence.start for fence in fences), len(text)]
    return "".join(text[start:end] for start, end in zip(starts, ends, strict=True))


def answers_lowered(batch: RowBatch) -> list[str | None]:
    """Return every answer in lower case, apostrophes straight."""
    return batch.once(
        "answers lowered",
        lambda b: [None if t is None else straight(t) for t in b.responses],
    )


def answer_words(batch: RowBatch) -> list[list[str] | None]:
    """Return the words of every answer, in order."""
    return batch.once(
        "answer words",
        lambda b: [None if t is None else split_words(t) for t in answers_lowered(b)],
    )


def prompt_words(batch: RowBatch) -> list[list[str] | None]:
    """Return the words of every prompt, in order."""
    return batch.once(
        "prompt words",
        lambda b: [None if t is None else split_words(straight(t)) for t in b.prompts],
    )


def answer_fences(batch: RowBatch) -> list[list[Fence] | None]:
    """Return the fenced blocks of every answer."""
    return batch.once(
        "answer fences",
        lambda b: [None if t is None else find_fences(t) for t in b.responses],
    )
