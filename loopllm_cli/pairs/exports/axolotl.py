"""Axolotl: DPO by chat template, with the part of its configuration that reads the files.

Source: https://docs.axolotl.ai/docs/rlhf.html, `chat_template.default`.
"""

from __future__ import annotations

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

_CONFIG = """\
# Put this into your Axolotl configuration; the held-out pairs are not to be trained on.
rl: dpo
datasets:
  - path: {path}
    ds_type: json
    split: train
    type: chat_template.default
    field_messages: messages
    field_chosen: chosen
    field_rejected: rejected
    message_property_mappings:
      role: role
      content: content
"""


def _write(writing: Writing, parts: Iterable[Part]) -> None:
    for part in parts:
        name = f"{part.split}.jsonl"
        if writing.lines(name, part.rows(), _row) and part.split == "train":
            writing.text("axolotl.yaml", _CONFIG.format(path=name))


def _row(row: Row) -> Row:
    if row.get("tools"):
        raise NotExpressible("a context with tools")
    chosen, rejected = answer_of(row["chosen"]), answer_of(row["rejected"])
    only_text([*row["prompt"], chosen, rejected])
    return {"messages": row["prompt"], "chosen": chosen, "rejected": rejected}


TARGET = Target("axolotl", "Axolotl: rl: dpo, chat_template.default", ("pairs",), _write)
