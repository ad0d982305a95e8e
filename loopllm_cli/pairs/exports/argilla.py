"""Argilla: pairs to be judged by people; which side is which is not told.

`records.json` is what `dataset.records.from_json` reads, `questions.json` the fields and the
question that the dataset needs. What people answer comes back with `loopllm pairs import`, which
knows a pair by `pair_id` in the metadata and a side by its text.

Source: argilla 2.8, `Record.from_dict`, https://docs.argilla.io/latest/how_to_guides/record/
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator

from loopllm_cli.pairs.exports.target import (
    NotExpressible,
    Part,
    Row,
    Target,
    Writing,
    answer_of,
    only_text,
)

SIDES = ("response_a", "response_b")
_QUESTIONS = {
    "guidelines": "Which of the two answers is better? Judge the answer, not its length.",
    "fields": [
        {"name": "prompt", "type": "chat"},
        *({"name": name, "type": "text", "use_markdown": False} for name in SIDES),
    ],
    "questions": [
        {
            "name": "preference",
            "type": "label",
            "labels": {
                "response_a": "the first",
                "response_b": "the second",
                "both_good": "both are good",
                "both_bad": "both are bad",
            },
        }
    ],
    "metadata": ["pair_id", "rule", "split", "segment"],
}


def _write(writing: Writing, parts: Iterable[Part]) -> None:
    records = list(_records(writing, parts))
    writing.n_rows["records.json"] = len(records)
    writing.text("records.json", json.dumps(records, ensure_ascii=False, indent=1) + "\n")
    writing.text("questions.json", json.dumps(_QUESTIONS, indent=2) + "\n")


def _records(writing: Writing, parts: Iterable[Part]) -> Iterator[Row]:
    for part in parts:
        for row in part.rows():
            try:
                yield _record(row)
            except NotExpressible as error:
                writing.skipped[str(error)] += 1


def _record(row: Row) -> Row:
    chosen, rejected = answer_of(row["chosen"]), answer_of(row["rejected"])
    only_text([*row["prompt"], chosen, rejected])
    origin = row["origin"]
    texts = [chosen["content"], rejected["content"]]
    # The same pair is always shown in the same order, and no order tells which side is which.
    if hashlib.blake2b(origin["pair_id"].encode(), digest_size=1).digest()[0] % 2:
        texts.reverse()
    known = {name: origin.get(name) for name in ("pair_id", "rule", "split", "segment")}
    return {
        "id": origin["pair_id"],
        "fields": {"prompt": row["prompt"], **dict(zip(SIDES, texts, strict=True))},
        "metadata": {name: value for name, value in known.items() if value is not None},
        "suggestions": {},
        "responses": {},
        "vectors": {},
    }


TARGET = Target("argilla", "Argilla 2: records.from_json", ("pairs",), _write)
