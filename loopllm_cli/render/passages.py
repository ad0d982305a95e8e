"""Show longer texts from logs in a terminal: clean, wrapped, in pieces, with differences marked.

The work grows with what is shown, not with what there is: a text is cut into pieces before it is
cleaned and compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Indel
from rich.console import Console
from rich.text import Text

from loopllm_cli.render.clean import clean_text

PIECE_CHARS = 1_600
PIECE_LINES = 24
_INDENT = 2
_TAB = 4
_DEEPEST = 24
# Comparing takes memory and time by the product of the words: half a megabyte for so many.
_MOST_WORDS = 2_000
# Below this similarity nearly every word would carry a mark.
_LEAST_ALIKE = 0.2
_SIGNS = {"removed": ("[-", "-]", "red"), "added": ("{+", "+}", "green")}
_SHOWN = "underline"


@dataclass(frozen=True, slots=True)
class Marked:
    """A line of a text: how far it is indented, and its words, each with whether it differs."""

    indent: int
    words: tuple[tuple[str, bool], ...]


def piece(text: str, number: int = 0) -> tuple[str, bool]:
    """Return a piece of a text, and whether anything comes after it."""
    start = 0
    for _ in range(number):
        start = _end(text, start)
    end = _end(text, start)
    return text[start:end], end < len(text)


def compare(first: str, second: str) -> tuple[list[Marked], list[Marked]] | None:
    """Mark the words in which two pieces differ.

    Returns:
        None where the two are too long to compare, or have too little in common to be worth it.
    """
    lines = [_lines(text) for text in (first, second)]
    words = [[word for _, said in side for word in said] for side in lines]
    if max(map(len, words)) > _MOST_WORDS:
        return None
    if Indel.normalized_similarity(*words) < _LEAST_ALIKE:
        return None
    differs = [[False] * len(side) for side in words]
    for step in Indel.opcodes(*words):
        if step.tag != "equal":
            differs[0][step.src_start : step.src_end] = [True] * (step.src_end - step.src_start)
            differs[1][step.dest_start : step.dest_end] = [True] * (step.dest_end - step.dest_start)
    marked = [list(_marked(side, iter(mark))) for side, mark in zip(lines, differs, strict=True)]
    return marked[0], marked[1]


def unmarked(text: str) -> list[Marked]:
    """Return a piece of text without any mark."""
    return [Marked(indent, tuple((word, False) for word in said)) for indent, said in _lines(text)]


def passage(
    lines: Sequence[Marked], console: Console, width: int, sign: str | None = None
) -> list[Text]:
    """Lay out lines below their label.

    Args:
        sign: how differences are marked: "removed" and "added" in brackets and colour, so that
            they show without colour too; None underlines them, which favours neither side.
    """
    shown: list[Text] = []
    for line in lines:
        text = _line(line, sign)
        if not text.plain.strip():
            if shown and shown[-1].plain:
                shown.append(Text(""))
            continue
        room = width - _INDENT - line.indent
        for row in text.wrap(console, room, tab_size=_TAB, overflow="fold"):
            row.rstrip()
            shown.append(Text.assemble(" " * (_INDENT + line.indent), row))
    while shown and not shown[-1].plain:
        shown.pop()
    return shown or [Text("  (empty)", style="dim")]


def _end(text: str, start: int) -> int:
    end = min(start + PIECE_CHARS, len(text))
    place = start
    for _ in range(PIECE_LINES):
        place = text.find("\n", place, end) + 1
        if not place:
            return end
    return place


def _lines(text: str) -> list[tuple[int, list[str]]]:
    found = []
    for line in text.split("\n"):
        bare = line.expandtabs(_TAB)
        indent = min(len(bare) - len(bare.lstrip(" ")), _DEEPEST)
        found.append((indent, clean_text(line).split(" ")))
    return found


def _marked(lines: Sequence[tuple[int, list[str]]], marks: Iterator[bool]) -> Iterator[Marked]:
    for indent, words in lines:
        yield Marked(indent, tuple((word, next(marks)) for word in words))


def _line(line: Marked, sign: str | None) -> Text:
    """Join the words of a line, with one mark around words that differ in a row."""
    opening, closing, style = _SIGNS[sign] if sign else ("", "", _SHOWN)
    text = Text()
    before = False
    for place, (word, differs) in enumerate(line.words):
        differs = differs and bool(word)
        if before and not differs:
            text.append(closing, style)
        if place:
            text.append(" ", style if before and differs else "")
        if differs and not before:
            text.append(opening, style)
        text.append(word, style if differs else "")
        before = differs
    if before:
        text.append(closing, style)
    return text
