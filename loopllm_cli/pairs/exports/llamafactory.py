"""LLaMA-Factory: ShareGPT conversations with two ranked answers, or one with a KTO tag.

Source: https://github.com/hiyouga/LLaMA-Factory, data/README.md: `ranking`, `kto_tag`, and the
entry in `dataset_info.json`. Its loader wants user and assistant to take turns.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from loopllm_cli.pairs.exports.target import (
    NotExpressible,
    Part,
    Row,
    Target,
    Writing,
    answer_of,
    only_text,
)

_FROM = {"user": "human", "assistant": "gpt"}
_COLUMNS = {"messages": "conversations", "system": "system"}


def _write(writing: Writing, parts: Iterable[Part]) -> None:
    info: Row = {}
    for part in parts:
        paired = part.kind == "pairs"
        name = f"pairs_{part.split}" if paired else part.kind
        if writing.lines(f"{name}.jsonl", part.rows(), _pair if paired else _judged):
            info[f"loopllm_{name}"] = _info(f"{name}.jsonl", paired)
    writing.text("dataset_info.json", json.dumps(info, indent=2) + "\n")


def _info(name: str, paired: bool) -> Row:
    sides = {"chosen": "chosen", "rejected": "rejected"} if paired else {"kto_tag": "label"}
    return {
        "file_name": name,
        "formatting": "sharegpt",
        **({"ranking": True} if paired else {}),
        "columns": {**_COLUMNS, **sides},
    }


def _pair(row: Row) -> Row:
    made = _conversation(row)
    for side in ("chosen", "rejected"):
        answer = answer_of(row[side])
        only_text([answer])
        made[side] = {"from": "gpt", "value": answer["content"]}
    return made


def _judged(row: Row) -> Row:
    answer = answer_of(row["completion"])
    only_text([answer])
    made = _conversation(row)
    made["conversations"].append({"from": "gpt", "value": answer["content"]})
    return {**made, "label": row["label"]}


def _conversation(row: Row) -> Row:
    """Return the turns of a context and its system message.

    Raises:
        NotExpressible: there are tools, several system messages, or turns out of order.
    """
    if row.get("tools"):
        raise NotExpressible("a context with tools")
    only_text(row["prompt"])
    system = [m["content"] for m in row["prompt"] if m["role"] == "system"]
    turns = [m for m in row["prompt"] if m["role"] != "system"]
    if len(system) > 1 or (system and row["prompt"][0]["role"] != "system"):
        raise NotExpressible("a system message in the middle of a conversation")
    if any(turn["role"] != ("user", "assistant")[i % 2] for i, turn in enumerate(turns)):
        raise NotExpressible("turns that do not alternate")
    said = [{"from": _FROM[turn["role"]], "value": turn["content"]} for turn in turns]
    return {"conversations": said, "system": system[0] if system else ""}


TARGET = Target("llamafactory", "LLaMA-Factory: dpo, kto", ("pairs", "unpaired"), _write)
