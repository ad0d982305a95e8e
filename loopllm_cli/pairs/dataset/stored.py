"""Read a dataset folder back: the pairs with their provenance, one at a time.

Must not know: how pairs are made. Columns that this version does not know are kept as text.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from loopllm_cli.errors import BadPairs, UsageError
from loopllm_cli.model import Message, Pair
from loopllm_cli.pairs.dataset.stored_rows import decoded
from loopllm_cli.store.project import Project

_FILES = {"train": "train", "test": "test"}
_TUPLES = frozenset(
    {"feedback_ids", "interaction_ids", "annotator_ids", "votes_against", "signals"}
)
_SPLIT_COLUMNS = (
    *("user_id", "chosen_user_id", "conversation_id", "chosen_conversation_id", "prompt_hash"),
)
_SAMPLED = "#sample-"
_NEVER_NULL = {"rule": "", "context_hash": "", "prompt_hash": "", "margin": 1.0}
_OWN = frozenset(field.name for field in fields(Pair))


class StoredPairs:
    """The pairs of a dataset folder, in the order of its provenance.

    Args:
        folder: as `loopllm pairs` writes it.

    Raises:
        UsageError: there is no such dataset.
        BadPairs: it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / "provenance.parquet").is_file():
            raise UsageError(f"{folder} is no dataset of pairs", "make one with: loopllm pairs")
        self.card = read_card(folder)
        provenance = self._read("provenance.parquet")
        splits = provenance.column("split").to_pylist()
        places = [i for i, split in enumerate(splits) if split in _FILES]
        self._provenance = provenance.take(pa.array(places, pa.int64()))
        self.splits: list[str] = [splits[i] for i in places]
        self.ids: list[str] = self.column("pair_id")
        counts: Counter[str] = Counter()
        self._rows: list[int] = []
        for split in self.splits:
            self._rows.append(counts[split])
            counts[split] += 1
        self._counts = counts

    def __len__(self) -> int:
        return len(self.ids)

    def column(self, name: str) -> list[Any]:
        """Return one column of the provenance; nulls where the dataset has none of that name."""
        if name not in self._provenance.column_names:
            return [None] * len(self._provenance)
        return list(self._provenance.column(name).to_pylist())

    @cached_property
    def split_columns(self) -> dict[str, list[Any]]:
        """The columns whose values the two sides of the split must not share."""
        return {name: self.column(name) for name in _SPLIT_COLUMNS}

    def pair(self, place: int) -> Pair:
        """Read a pair with its texts.

        Raises:
            BadPairs: the data does not fit the provenance.
        """
        row = self._row(place)
        data = self._data_row(place)
        chosen, rejected = data["chosen"] or [], data["rejected"] or []
        known: dict[str, Any] = {**_NEVER_NULL}
        known |= {k: v for k, v in row.items() if k in _OWN and v is not None}
        known |= {name: tuple(row.get(name) or ()) for name in _TUPLES}
        known |= {
            "prompt": tuple(_message(message) for message in data["prompt"] or []),
            "chosen": _text_of(chosen),
            "rejected": _text_of(rejected),
            "chosen_calls": _calls_of(chosen),
            "rejected_calls": _calls_of(rejected),
            "tools": _as_text(data.get("tools")),
        }
        blank = {f.name: None for f in fields(Pair) if f.name not in known}
        return Pair(**{**blank, **known})

    def details(self, place: int) -> dict[str, str]:
        """Return what the provenance says beyond a pair's own fields."""
        row = self._row(place)
        return {
            name: _as_text(value) or ""
            for name, value in row.items()
            if name not in _OWN and name != "split" and value not in (None, "", [])
        }

    def _row(self, place: int) -> dict[str, Any]:
        return dict(self._provenance.slice(place, 1).to_pylist()[0])

    def _data_row(self, place: int) -> dict[str, Any]:
        split = self.splits[place]
        table = self._data[split]
        if len(table) != self._counts[split]:
            raise BadPairs(
                f"{self.folder}: data and provenance do not fit", "make it anew: loopllm pairs"
            )
        return decoded(table.slice(self._rows[place], 1).to_pylist()[0])

    @cached_property
    def _data(self) -> dict[str, pa.Table]:
        return {split: self._read(f"data/{name}.parquet") for split, name in _FILES.items()}

    def _read(self, name: str) -> pa.Table:
        try:
            return pq.ParquetFile(self.folder / name).read()
        except (OSError, pa.ArrowException) as error:
            said = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise BadPairs(
                f"cannot read {self.folder / name} ({said})", "make it anew: loopllm pairs"
            ) from error


def logged_id(interaction_id: str) -> str:
    """Return the logged answer that an id goes back to: of a sampled one, the one it stands for."""
    return interaction_id.split(_SAMPLED, 1)[0]


def latest_pairs(project: Project) -> Path:
    """Return the folder of the newest dataset.

    Raises:
        UsageError: none has been built.
    """
    pointer = project.home / "pairs" / "latest"
    folder = pointer.parent / pointer.read_text(encoding="utf-8") if pointer.is_file() else None
    if folder is None or not folder.is_dir():
        raise UsageError("no pairs have been built", "begin with: loopllm pairs")
    return folder


def read_dropped(folder: Path) -> dict[str, str]:
    """Return why pieces of feedback make no pair, by id; empty where a dataset does not say."""
    try:
        table = pq.ParquetFile(folder / "dropped.parquet").read(columns=["feedback_id", "reason"])
    except (OSError, pa.ArrowException, KeyError):
        return {}
    ids, reasons = (table.column(name).to_pylist() for name in ("feedback_id", "reason"))
    return dict(zip(ids, reasons, strict=True))


def read_card(folder: Path) -> dict[str, Any]:
    """Return a dataset's card; an empty one where there is none that can be read."""
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        card = None
    return card if isinstance(card, dict) else {}


def _message(message: Message) -> Message:
    """Return a message with its role and content as texts, and everything else that it has."""
    return {**message, "role": str(message.get("role")), "content": _said(message)}


def _said(message: Any) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else _as_text(content) or ""


def _text_of(messages: list[Any]) -> str:
    return "\n".join(text for text in map(_said, messages) if text)


def _calls_of(messages: list[Any]) -> str | None:
    calls = [call for m in messages for call in m.get("tool_calls") or []]
    return json.dumps(calls, ensure_ascii=False) if calls else None


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
