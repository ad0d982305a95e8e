"""TRL's conversational formats as JSON Lines: preference, unpaired preference, with tools.

The README names the files and, where any row has tools, says that messages are JSON: `datasets`
would guess the keys of all messages from those in the first ten megabytes, and fail on the first
tool call after these.

Source: https://huggingface.co/docs/trl/dataset_formats
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from loopllm_cli.pairs.exports.target import Part, Row, Target, Writing

_SIDES = {"pairs": ("prompt", "chosen", "rejected"), "unpaired": ("prompt", "completion")}
_CONFIGS = {"pairs": "default", "unpaired": "unpaired"}
_ABOUT = """
# Preference pairs

Made by loopllm. `load_dataset(FOLDER)` has the pairs, as `DPOTrainer` takes them;
`load_dataset(FOLDER, "unpaired")` single judged answers, as `KTOTrainer` takes them. A split
`test` is held out: train on `train` alone.
"""


class _Files:
    """The files of an export, and which kinds of rows have tools."""

    def __init__(self) -> None:
        self.named: dict[str, dict[str, str]] = {}
        self.with_tools: set[str] = set()

    def row(self, kind: str, row: Row) -> Row:
        made = {side: row[side] for side in _SIDES[kind]}
        more = {name: row[name] for name in ("label", "tools") if row.get(name) is not None}
        messages = (message for side in made.values() for message in side)
        if "tools" in more or any(message.keys() - {"role", "content"} for message in messages):
            self.with_tools.add(kind)
        return {**made, **more}

    def readme(self) -> str:
        lines = ["---", "configs:"]
        for kind, splits in self.named.items():
            lines += [f"- config_name: {_CONFIGS[kind]}", "  data_files:"]
            for split, name in splits.items():
                lines += [f"  - split: {split}", f"    path: {name}"]
        if self.with_tools:
            lines.append("dataset_info:")
        for kind in (kind for kind in self.named if kind in self.with_tools):
            lines += [f"- config_name: {_CONFIGS[kind]}", "  features:"]
            for side in _SIDES[kind]:
                lines += [f"  - name: {side}", "    list: json"]
            lines += ["  - name: label", "    dtype: bool"] if kind == "unpaired" else []
            lines += ["  - name: tools", "    dtype: json"]
        return "\n".join([*lines, "---", _ABOUT])


def _write(writing: Writing, parts: Iterable[Part]) -> None:
    files = _Files()
    for part in parts:
        name = f"{part.kind}_{part.split}.jsonl"
        if writing.lines(name, part.rows(), partial(files.row, part.kind)):
            files.named.setdefault(part.kind, {})[part.split] = name
    writing.text("README.md", files.readme())


TARGET = Target("trl", "TRL: DPOTrainer, KTOTrainer", ("pairs", "unpaired"), _write)
