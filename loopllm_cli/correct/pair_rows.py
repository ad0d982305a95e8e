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
from loopllm_cli.pairs.chat import has_calls
from loopllm_cli.pairs.dataset.stored_rows import decoded


@dataclass(frozen=True, slots=True)
class PairRow:
    """One context with its better and its worse answer.

    A retention row has the liked answer on both sides. `tools` are the definitions that the
    context was served with; the calls are what an answer asked of them beside its text.
    """

    prompt: tuple[Message, ...]
    chosen: str
    rejected: str
    tools: tuple[Message, ...] = ()
    chosen_calls: tuple[Message, ...] = ()
    rejected_calls: tuple[Message, ...] = ()

    @property
    def chosen_message(self) -> Message:
        """The better answer as a chat message."""
        return _answer(self.chosen, self.chosen_calls)

    @property
    def rejected_message(self) -> Message:
        """The worse answer as a chat message."""
        return _answer(self.rejected, self.rejected_calls)

    @property
    def has_tools(self) -> bool:
        """Whether tools were offered, called or answered."""
        calls = has_calls(self.prompt)
        return calls or bool(self.tools or self.chosen_calls or self.rejected_calls)

    def as_trl(self) -> dict[str, Any]:
        """Return the row in TRL's conversational preference format.

        Source: TRL documentation, "Dataset formats and types", preference, conversational.
        """
        row: dict[str, Any] = {
            "prompt": list(self.prompt),
            "chosen": [self.chosen_message],
            "rejected": [self.rejected_message],
        }
        return {**row, "tools": json.dumps(self.tools)} if self.tools else row


def _answer(text: str, calls: tuple[Message, ...]) -> Message:
    message: Message = {"role": "assistant", "content": text}
    return {**message, "tool_calls": list(calls)} if calls else message


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


def answer_message(messages: Any) -> Message | None:
    """Return the message of a one-message answer, or None when there is no such thing."""
    found = prompt_messages(messages)
    if found is None or len(found) != 1 or found[0]["role"] != "assistant":
        return None
    said = found[0]
    return said if said["content"].strip() or said.get("tool_calls") else None


def prompt_messages(messages: Any) -> tuple[Message, ...] | None:
    """Return the messages of a context, or None when one of them has no role or text."""
    if not isinstance(messages, list) or not messages:
        return None
    kept = []
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            return None
        calls, content = message.get("tool_calls"), message.get("content")
        # Some programs say nothing at all beside a call.
        content = "" if content is None and calls else content
        if not isinstance(content, str) or not isinstance(calls, list | None):
            return None
        made: Message = {"role": message["role"], "content": content}
        made |= {"tool_calls": calls} if calls else {}
        made |= {k: message[k] for k in ("tool_call_id", "name") if message.get(k) is not None}
        kept.append(made)
    return tuple(kept)


def to_row(raw: dict[str, Any]) -> PairRow | None:
    """Return a raw row as a pair, None where its context or an answer is empty or missing.

    A row without a rejected side gets the chosen one on both.
    """
    prompt, chosen = prompt_messages(raw["prompt"]), answer_message(raw["chosen"])
    rejected = answer_message(raw["rejected"]) if "rejected" in raw else chosen
    tools = raw.get("tools") or []
    if prompt is None or chosen is None or rejected is None or not isinstance(tools, list):
        return None
    return PairRow(
        prompt,
        chosen["content"],
        rejected["content"],
        tuple(tools),
        tuple(chosen.get("tool_calls", ())),
        tuple(rejected.get("tool_calls", ())),
    )


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
        wanted = [*columns, *(name for name in ("tools",) if name in names)]
        rows = [decoded(row) for row in pq.read_table(path, columns=wanted).to_pylist()]
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
