"""Axolotl: DPO by chat template, with the part of its configuration that reads the files.

Its strategy keeps a message's role and content alone, so rows with tools are left out. It renders
an answer behind a message of its own and looks the text up in the result: an answer that the
template changes, or that stands in that message too, would be cut off without a word.

Source: Axolotl 0.19, `axolotl/prompt_strategies/dpo/chat_template.py`, and "RLHF",
https://docs.axolotl.ai/docs/rlhf.html
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
    without_tools,
)

_HEAD = """\
# Put this into your Axolotl configuration, with the paths as seen from where Axolotl is started.
rl: dpo
"""
_FILE = """\
  - path: {path}
    ds_type: json
    split: train
    type: chat_template.default
    field_messages: messages
    field_chosen: chosen
    field_rejected: rejected
"""
_LISTS = {"train": "datasets:\n", "test": "# Held out: for evaluation alone.\ntest_datasets:\n"}
# What common templates write around the message that Axolotl puts before the answer.
_AROUND = "<|im_start|>system user model assistant [[dummy_message]]<|im_end|>[INST]"


def _write(writing: Writing, parts: Iterable[Part]) -> None:
    config = _HEAD
    for part in parts:
        name = f"pairs_{part.split}.jsonl"
        if writing.lines(name, part.rows(), _row):
            config += _LISTS[part.split] + _FILE.format(path=name)
    writing.text("axolotl.yaml", config)


def _row(row: Row) -> Row:
    without_tools(row)
    chosen, rejected = answer_of(row["chosen"]), answer_of(row["rejected"])
    only_text([*row["prompt"], chosen, rejected])
    for answer in (chosen["content"], rejected["content"]):
        if answer != answer.strip():
            raise NotExpressible("an answer that begins or ends with white space")
        if answer in _AROUND:
            raise NotExpressible("an answer that Axolotl takes for a part of its own message")
    return {"messages": row["prompt"], "chosen": chosen, "rejected": rejected}


TARGET = Target("axolotl", "Axolotl: rl: dpo, chat_template.default", ("pairs",), _write)
