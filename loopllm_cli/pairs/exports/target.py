"""What an export is: rows in, lines of files out, and a count of what the tool cannot express."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = dict[str, Any]
"""One row of a dataset, JSON decoded: messages, `tools`, and `origin` with its provenance."""

ORIGIN = ("split", "pair_id", "rule", "segment", "margin", "confidence")
"""What `origin` holds, at most: exports go to others, and need no users and no feedback."""

Change = Callable[[Row], Row]


class NotExpressible(Exception):
    """A tool's format has no place for a row; the message says for what of it."""


@dataclass(frozen=True)
class Part:
    """Rows of one kind and split; `kind` is pairs or unpaired."""

    kind: str
    split: str
    rows: Callable[[], Iterator[Row]]


@dataclass
class Writing:
    """A folder that is being written, and the account of it.

    With `suggest`, people who are to judge the pairs may be shown what the votes say.
    """

    folder: Path
    suggest: bool = False
    n_rows: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)

    def lines(self, name: str, rows: Iterable[Row], change: Change) -> int:
        """Write rows as JSON Lines, each changed into the tool's form; no file without rows."""
        with (self.folder / name).open("w", encoding="utf-8", newline="\n") as file:
            for made in self._changed(name, rows, change):
                file.write(_as_json(made) + "\n")
        if not self.n_rows[name]:
            (self.folder / name).unlink()
        return self.n_rows[name]

    def array(self, name: str, rows: Iterable[Row], change: Change) -> int:
        """Write rows as one JSON list, a row per line."""
        with (self.folder / name).open("w", encoding="utf-8", newline="\n") as file:
            before = "[\n"
            for made in self._changed(name, rows, change):
                file.write(before + _as_json(made))
                before = ",\n"
            file.write("\n]\n" if self.n_rows[name] else "[]\n")
        return self.n_rows[name]

    def text(self, name: str, content: str) -> None:
        """Write a file of settings."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8", newline="\n")

    def json(self, name: str, content: Row) -> None:
        """Write settings as JSON."""
        self.text(name, json.dumps(content, indent=2) + "\n")

    def _changed(self, name: str, rows: Iterable[Row], change: Change) -> Iterator[Row]:
        self.n_rows[name] += 0
        for row in rows:
            try:
                made = change(row)
            except NotExpressible as error:
                self.skipped[str(error)] += 1
                continue
            self.n_rows[name] += 1
            yield made


@dataclass(frozen=True)
class Target:
    """An export: its name, what reads it, and how it is written.

    `kinds` are the kinds of rows that it takes.
    """

    name: str
    reader: str
    kinds: tuple[str, ...]
    write: Callable[[Writing, Iterable[Part]], None]


def only_text(messages: Iterable[Row]) -> None:
    """Refuse messages with tool calls or results, and such as say nothing.

    Raises:
        NotExpressible: one of them is no plain text.
    """
    for message in messages:
        if message.get("tool_calls") or message["role"] == "tool":
            raise NotExpressible("a message with tool calls or results")
        if not message["content"]:
            raise NotExpressible("a message without text")


def without_tools(row: Row) -> None:
    """Refuse a row whose context was served with tools.

    Raises:
        NotExpressible: it was.
    """
    if row.get("tools"):
        raise NotExpressible("a context with tools")


def answer_of(messages: list[Row]) -> Row:
    """Return the one message that a side of a pair is.

    Raises:
        NotExpressible: there are several, or none, as in a dataset made by hand.
    """
    if len(messages) != 1 or messages[0]["role"] != "assistant":
        raise NotExpressible("an answer that is not one message of the assistant")
    return messages[0]


def _as_json(made: Row) -> str:
    return json.dumps(made, ensure_ascii=False)
