"""Read a pairs folder: `data/{train,test,retention}.parquet` and `card.json`.

Must not import: torch and its relatives.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from loopllm_cli.errors import BadPairs
from loopllm_cli.model import Message


@dataclass(frozen=True, slots=True)
class PairRow:
    """One context with its better and its worse answer.

    A retention row has the liked answer on both sides.
    """

    prompt: tuple[Message, ...]
    chosen: str
    rejected: str

    def as_trl(self) -> dict[str, list[Message]]:
        """Return the row in TRL's conversational preference format.

        Source: TRL documentation, "Dataset formats and types", preference, conversational.
        """
        return {
            "prompt": list(self.prompt),
            "chosen": [{"role": "assistant", "content": self.chosen}],
            "rejected": [{"role": "assistant", "content": self.rejected}],
        }


@dataclass(frozen=True, slots=True)
class RawPairs:
    """The rows of a pairs folder as they are written, unchecked, and its card.

    Rows are dicts with `prompt`, `chosen` and `rejected` as lists of messages; anything in them
    may still be None.
    """

    train: list[dict[str, Any]]
    test: list[dict[str, Any]]
    retention: list[dict[str, Any]]
    card: dict[str, Any] = field(default_factory=dict)


def read_pairs(folder: Path) -> RawPairs:
    """Read the files of a pairs folder.

    Raises:
        BadPairs: the folder, its training file or a column is missing, or a file is damaged.
    """
    train = folder / "data" / "train.parquet"
    if not train.is_file():
        raise BadPairs(
            f"{folder} holds no data/train.parquet",
            "make the folder with: loopllm pairs",
        )
    return RawPairs(
        train=_read_table(train, ("prompt", "chosen", "rejected")),
        test=_read_optional(folder / "data" / "test.parquet", ("prompt", "chosen", "rejected")),
        retention=_read_optional(folder / "data" / "retention.parquet", ("prompt", "chosen")),
        card=_read_card(folder / "card.json"),
    )


def answer_text(messages: Any) -> str | None:
    """Return the text of a one-message answer, or None when there is no such thing."""
    if not isinstance(messages, list) or len(messages) != 1 or not isinstance(messages[0], dict):
        return None
    if messages[0].get("role") != "assistant":
        return None
    content = messages[0].get("content")
    return content if isinstance(content, str) else None


def prompt_messages(messages: Any) -> tuple[Message, ...] | None:
    """Return the messages of a context, or None when one of them has no role or text."""
    if not isinstance(messages, list) or not messages:
        return None
    kept = []
    for message in messages:
        role, content = (message or {}).get("role"), (message or {}).get("content")
        if not isinstance(role, str) or not isinstance(content, str):
            return None
        kept.append({"role": role, "content": content})
    return tuple(kept)


def _read_optional(path: Path, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    return _read_table(path, columns) if path.is_file() else []


def _read_table(path: Path, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    try:
        names = pq.read_schema(path).names
        missing = [name for name in columns if name not in names]
        if missing:
            raise BadPairs(
                f"{path} lacks the column(s) {', '.join(missing)} (it has: {', '.join(names)})",
                "make the folder with: loopllm pairs",
            )
        rows: list[dict[str, Any]] = pq.read_table(path, columns=list(columns)).to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise BadPairs(
            f"{path} cannot be read as Parquet: {error}", "make the pairs again: loopllm pairs"
        ) from error
    return rows


def _read_card(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise BadPairs(f"{path} is not valid JSON: {error}", "make the pairs again") from error
    return card if isinstance(card, dict) else {}
