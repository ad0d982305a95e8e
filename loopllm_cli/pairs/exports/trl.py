"""TRL's conversational formats as JSON Lines: preference, unpaired preference, with tools.

Source: https://huggingface.co/docs/trl/dataset_formats
"""

from __future__ import annotations

from collections.abc import Iterable

from loopllm_cli.pairs.exports.target import Part, Row, Target, Writing


def _write(writing: Writing, parts: Iterable[Part]) -> None:
    for part in parts:
        name = part.kind if part.kind == "unpaired" else f"preference_{part.split}"
        writing.lines(f"{name}.jsonl", part.rows(), _row)


def _row(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in ("origin", "weight")}


TARGET = Target("trl", "TRL: DPOTrainer, KTOTrainer", ("pairs", "unpaired"), _write)
