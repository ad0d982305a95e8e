"""Read a pairs folder: `data/{train,test,retention,unpaired}.parquet`, its provenance and card.

Must not import: torch and its relatives.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
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

    @property
    def better(self) -> PairRow:
        """The better answer alone, on both sides."""
        return replace(self, rejected=self.chosen, rejected_calls=self.chosen_calls)

    @property
    def worse(self) -> PairRow:
        """The worse answer alone, on both sides."""
        return replace(self, chosen=self.rejected, chosen_calls=self.rejected_calls)

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

    def as_answer(self) -> dict[str, Any]:
        """Return the better answer alone in TRL's conversational prompt-completion format."""
        row = self.as_trl()
        del row["rejected"]
        return {"completion" if key == "chosen" else key: value for key, value in row.items()}


@dataclass(frozen=True, slots=True)
class VoteRow:
    """One answer that somebody liked or disliked; `row` holds it on both sides."""

    row: PairRow
    label: bool

    @property
    def has_tools(self) -> bool:
        """Whether tools were offered, called or answered."""
        return self.row.has_tools

    def as_trl(self) -> dict[str, Any]:
        """Return the row in TRL's conversational unpaired preference format."""
        return {**self.row.as_answer(), "label": self.label}


def _answer(text: str, calls: tuple[Message, ...]) -> Message:
    message: Message = {"role": "assistant", "content": text}
    return {**message, "tool_calls": list(calls)} if calls else message


@dataclass(frozen=True, slots=True)
class RawPairs:
    """The rows of a pairs folder as they are written, unchecked, and its card.

    Rows are dicts with `prompt`, `chosen` and `rejected` as lists of messages, those of
    `unpaired` with `prompt`, `completion` and `label`; anything in them may still be None.
    `train_rules` says which rule made each training pair; it is empty where nothing says so.
    """

    train: list[dict[str, Any]]
    test: list[dict[str, Any]]
    retention: list[dict[str, Any]]
    card: dict[str, Any] = field(default_factory=dict)
    unpaired: list[dict[str, Any]] = field(default_factory=list)
    train_rules: tuple[str, ...] = ()


_PAIR = ("prompt", "chosen", "rejected")


def read_pairs(folder: Path, need: str = "train") -> RawPairs:
    """Read the files of a pairs folder.

    Args:
        folder: as `loopllm pairs` writes it.
        need: the file that must be there, "train" or "unpaired".

    Raises:
        BadPairs: the folder, a needed file or a column is missing, or a file is damaged.
    """
    data = folder / "data"
    if not (data / f"{need}.parquet").is_file():
        raise BadPairs(
            f"{folder} holds no data/{need}.parquet",
            "make the folder with: loopllm pairs",
        )
    return RawPairs(
        train=_read_optional(data / "train.parquet", _PAIR),
        test=_read_optional(data / "test.parquet", _PAIR),
        retention=_read_optional(data / "retention.parquet", ("prompt", "chosen")),
        card=_read_card(folder / "card.json"),
        unpaired=_read_optional(data / "unpaired.parquet", ("prompt", "completion", "label")),
        train_rules=_read_rules(folder / "provenance.parquet"),
    )


def _read_rules(path: Path) -> tuple[str, ...]:
    """Read which rule made each training pair; provenance lies in the order of the data."""
    if not path.is_file():
        return ()
    rows = _read_table(path, ("split", "rule"))
    return tuple(str(row["rule"]) for row in rows if row["split"] == "train")


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


# Columns that are read where they are there.
_MORE = ("tools", "weight")


def to_vote(raw: dict[str, Any]) -> VoteRow | None:
    """Return a raw judged answer, None where its context, answer or label is missing."""
    row = to_row({"chosen": raw["completion"], "prompt": raw["prompt"], "tools": raw.get("tools")})
    return (
        VoteRow(row, raw["label"]) if row is not None and isinstance(raw["label"], bool) else None
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
        wanted = [*columns, *(n for n in _MORE if n in names and n not in columns)]
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
