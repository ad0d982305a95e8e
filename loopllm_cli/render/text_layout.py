"""Lay out terminal lines: a label with parts that wrap between words, and plain tables.

rich's own tables wrap inside cells and pad to the right edge; these never wrap, cut only the
first column, and leave no trailing blanks, so that output diffs and greps well.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from loopllm_cli.model import Gate, Status, Verdict
from loopllm_cli.render.clean import ELLIPSIS, cut

LABEL = 11
MIN_WIDTH, MAX_WIDTH = 60, 120
MIN_FLEX = 10

STYLES: dict[str, str] = {
    Verdict.WORSE: "bold red",
    Verdict.BETTER: "green",
    Verdict.CHANGED: "yellow",
    Verdict.UNCHANGED: "",
    Verdict.INCONCLUSIVE: "cyan",
    Status.OK: "bold green",
    Status.DEGRADED: "bold red",
    Status.INCONCLUSIVE: "bold cyan",
    Gate.PASS: "bold green",
    Gate.FAIL: "bold red",
}

# For terminals without Unicode, one cell for one cell so that columns stay straight.
_ASCII = str.maketrans({
    "−": "-", "–": "-", "…": "~", "→": ">", "·": "|", "±": "<", "×": "x", "“": '"', "”": '"',
    "∞": "?",
})  # fmt: skip


def emit(console: Console, lines: Sequence[Text]) -> None:
    """Print finished lines as they are."""
    plain = not (console.encoding or "utf-8").lower().startswith("utf")
    for line in lines:
        shown = line.copy()
        shown.rstrip()
        if plain:
            shown.plain = shown.plain.translate(_ASCII).encode("ascii", "replace").decode()
        console.print(shown, soft_wrap=True, highlight=False)


def width_of(console: Console) -> int:
    """Return the width to lay out for: the console's, within reason."""
    return max(MIN_WIDTH, min(MAX_WIDTH, console.width))


def labelled(
    label: str | Text, parts: Sequence[str | Text], width: int, *, between: str = " · "
) -> list[Text]:
    """Write a label and its parts, breaking between parts and only then between words."""
    room = width - LABEL
    rows = _pack([_text(part) for part in parts], room, between)
    head = _text(label, "bold")
    if cell_len(head.plain) >= LABEL:
        head = Text.assemble(head, " ")
    head.pad_right(max(0, LABEL - cell_len(head.plain)))
    blank = " " * LABEL
    return [Text.assemble(head if place == 0 else blank, row) for place, row in enumerate(rows)]


def _pack(parts: list[Text], room: int, between: str) -> list[Text]:
    """Fill rows greedily; a part wider than a row is broken at its blanks."""
    rows: list[Text] = []
    for part in parts:
        size = cell_len(part.plain)
        if rows and cell_len(rows[-1].plain) + len(between) + size <= room:
            rows[-1] = Text.assemble(rows[-1], between, part)
        elif size <= room:
            rows.append(part)
        else:
            words = [Text(cut(word, room)) for word in part.plain.split(" ")]
            broken = _pack(words, room, " ")
            rows.extend(broken)
    return rows or [Text("")]


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    width: int,
    *,
    right: frozenset[int] = frozenset(),
    indent: int = 2,
) -> list[Text]:
    """Write a table whose first column gives way when the line would be too long."""
    cells = [[_text(cell) for cell in row] for row in rows]
    head = [Text(header, style="dim") for header in headers]
    widths = column_widths([head, *cells], width - indent)
    gap = " " * _gap(widths, width - indent)
    return [_cut_line(_row(row, widths, right, " " * indent, gap), width) for row in [head, *cells]]


def column_widths(rows: Sequence[Sequence[Text]], room: int) -> list[int]:
    """Return the widths of the columns; the first one shrinks to what is left."""
    widths = [max(cell_len(row[i].plain) for row in rows) for i in range(len(rows[0]))]
    excess = sum(widths) + len(widths) - 1 - room
    if excess > 0:
        widths[0] = max(MIN_FLEX, widths[0] - excess)
    return widths


def fits(rows: Sequence[Sequence[str | Text]], width: int, indent: int = 2) -> bool:
    """Tell whether a table needs no cutting."""
    widths = [max(cell_len(_text(row[i]).plain) for row in rows) for i in range(len(rows[0]))]
    return sum(widths) + len(widths) - 1 + indent <= width


def _gap(widths: Sequence[int], room: int) -> int:
    return 2 if sum(widths) + 2 * (len(widths) - 1) <= room else 1


def _row(
    cells: Sequence[Text], widths: Sequence[int], right: frozenset[int], indent: str, gap: str
) -> Text:
    line = Text(indent)
    for place, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        shown = cell.copy()
        if cell_len(shown.plain) > width:
            shown = Text(cut(shown.plain, width), style=cell.style)
        blank = " " * (width - cell_len(shown.plain))
        parts = (blank, shown) if place in right else (shown, blank)
        line.append_text(Text.assemble(*parts))
        line.append(gap)
    line.rstrip()
    return line


def _cut_line(line: Text, width: int) -> Text:
    if cell_len(line.plain) > width:
        line.truncate(width - 1)
        line.append(ELLIPSIS)
    return line


def _text(part: str | Text, style: str = "") -> Text:
    return part if isinstance(part, Text) else Text(part, style=style)


def verdict_text(verdict: Verdict) -> Text:
    """Return a verdict's word in its colour."""
    return Text(verdict.value, style=STYLES[verdict])


def gate_text(gate: Gate) -> Text:
    """Return a gate's word in its colour."""
    return Text(gate.value, style=STYLES[gate])
