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


class NotExpressible(Exception):
    """A tool's format has no place for a row; the message says for what of it."""


@dataclass(frozen=True)
class Part:
    """Rows of one kind and split; `kind` is pairs, retention or unpaired."""

    kind: str
    split: str
    rows: Callable[[], Iterator[Row]]


@dataclass
class Writing:
    """A folder that is being written, and the account of it."""

    folder: Path
    n_rows: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)

    def lines(self, name: str, rows: Iterable[Row], change: Callable[[Row], Row]) -> int:
        """Write rows as JSON Lines, each changed into the tool's form; no file without rows."""
        path, n = self.folder / name, 0
        with path.open("w", encoding="utf-8") as file:
            for row in rows:
                try:
                    made = change(row)
                except NotExpressible as error:
                    self.skipped[str(error)] += 1
                    continue
                file.write(json.dumps(made, ensure_ascii=False) + "\n")
                n += 1
        if n:
            self.n_rows[name] = n
        else:
            path.unlink()
        return n

    def text(self, name: str, content: str) -> None:
        """Write a file of settings."""
        (self.folder / name).write_text(content, encoding="utf-8")


@dataclass(frozen=True)
class Target:
    """An export: its name, what reads it, and how it is written.

    `kinds` are the kinds of rows that it takes.
    """

    name: str
    reader: str
    kinds: tuple[str, ...]
    write: Callable[[Writing, Iterable[Part]], None]


def only_text(messages: Iterable[Row], what: str = "a message") -> None:
    """Refuse messages with tool calls or results.

    Raises:
        NotExpressible: one of them holds any.
    """
    for message in messages:
        if message.get("tool_calls") or message["role"] == "tool":
            raise NotExpressible(f"{what} with tool calls")


def answer_of(messages: list[Row]) -> Row:
    """Return the one message that a side of a pair is."""
    (message,) = messages
    return message
