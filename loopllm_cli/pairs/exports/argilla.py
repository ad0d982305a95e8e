"""Argilla: pairs to be judged by people, as a folder that `Dataset.from_disk` reads.

Which side is which, and which models wrote them, is not told: who knows what others chose agrees
with it. What people answer comes back with `loopllm pairs import`, which knows a pair by `pair_id`
in the metadata and a side by its text.

Source: argilla 2.8, `argilla/datasets/_io/_disk.py` (the folder), `records/_resource.py`
(`Record.from_dict`), `settings/_resource.py` (`Settings.from_json`); "Import and export datasets",
https://docs.argilla.io/latest/how_to_guides/import_export/
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import chain

from loopllm_cli.pairs.exports.target import Part, Row, Target, Writing, answer_of, only_text

SIDES = ("response_a", "response_b")
_TITLES = {"prompt": "Conversation", "response_a": "First answer", "response_b": "Second answer"}
_OPTIONS = {
    "response_a": "The first is better",
    "response_b": "The second is better",
    "both_good": "Both are good",
    "both_bad": "Both are bad",
}
_TERMS, _NUMBERS = ("pair_id", "rule", "split", "segment"), ("margin", "confidence")
_AGENT = "votes"


def _write(writing: Writing, parts: Iterable[Part]) -> None:
    rows: Iterator[Row] = chain.from_iterable(part.rows() for part in parts)
    writing.array("records.json", rows, lambda row: _record(row, writing.suggest))
    writing.json(".argilla/settings.json", _settings())
    writing.json(".argilla/dataset.json", {"name": "preference_pairs", "status": "draft"})


def _record(row: Row, suggest: bool) -> Row:
    chosen, rejected = answer_of(row["chosen"]), answer_of(row["rejected"])
    only_text([*row["prompt"], chosen, rejected])
    origin = row["origin"]
    texts = [chosen["content"], rejected["content"]]
    # The same pair is always shown in the same order, and no order tells which side is which.
    turned = bool(hashlib.blake2b(origin["pair_id"].encode(), digest_size=1).digest()[0] % 2)
    shown = dict(zip(SIDES, reversed(texts) if turned else texts, strict=True))
    fields: Row = {"prompt": row["prompt"], **shown}
    if row.get("tools"):
        fields["tools"] = json.dumps(row["tools"], ensure_ascii=False, indent=1)
    known = {name: origin.get(name) for name in (*_TERMS, *_NUMBERS)}
    return {
        "id": origin["pair_id"],
        "fields": fields,
        "metadata": {name: value for name, value in known.items() if value is not None},
        "suggestions": {"preference": _suggestion(origin, SIDES[turned])} if suggest else {},
        "responses": {},
        "vectors": {},
    }


def _suggestion(origin: Row, side: str) -> Row:
    score = origin.get("confidence")
    return {"value": side, "agent": _AGENT} | ({} if score is None else {"score": score})


def _settings() -> Row:
    return {
        "guidelines": "Which of the two answers is better? Judge what it says, not its length.",
        "fields": [
            _field("prompt", {"type": "chat", "use_markdown": False}),
            *(_field(name, {"type": "text", "use_markdown": False}) for name in SIDES),
            _field("tools", {"type": "text", "use_markdown": False}, required=False),
        ],
        "questions": [
            {
                "name": "preference",
                "title": "Which answer is better?",
                "required": True,
                "settings": {
                    "type": "label_selection",
                    "options": [{"value": k, "text": v} for k, v in _OPTIONS.items()],
                    "visible_options": len(_OPTIONS),
                },
            }
        ],
        "vectors": [],
        "metadata": [
            *(_metadata(name, "terms") for name in _TERMS),
            *(_metadata(name, "float") for name in _NUMBERS),
        ],
        "allow_extra_metadata": False,
        "distribution": {"strategy": "overlap", "min_submitted": 1},
        "mapping": None,
    }


def _field(name: str, settings: Row, required: bool = True) -> Row:
    title = _TITLES.get(name, name.capitalize())
    return {"name": name, "title": title, "required": required, "settings": settings}


def _metadata(name: str, kind: str) -> Row:
    # Annotators see what they may filter by, and nothing that the votes say.
    shown = name not in _NUMBERS
    settings = {"type": kind, "visible_for_annotators": shown}
    return {"name": name, "title": name, "visible_for_annotators": shown, "settings": settings}


TARGET = Target("argilla", "Argilla: Dataset.from_disk", ("pairs",), _write)
