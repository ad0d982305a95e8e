"""Argilla records: texts with what annotators (responses) and models (suggestions) said of them.

Two layouts: nested, and flat with `question.responses`, `.users` and `.status`. Only submitted
responses count; the nested layout does not tell a response's status, there all of them do.
A question whose value names one of the answers' fields is a preference; a number is a rating,
whose scale a record does not tell.

Source: https://github.com/argilla-io/argilla/blob/main/argilla/src/argilla/records/_io/_generic.py
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from loopllm_cli.sources import votes
from loopllm_cli.sources.columns import ALIASES, PLAIN
from loopllm_cli.sources.fields import to_number, to_text
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.preference import (
    Verdict,
    answer_rows,
    comparison,
    inline_vote,
    read_prompt,
    read_side,
)
from loopllm_cli.sources.rows import Decoded, Origin, Record, Row, feedback, to_json

NAME = "argilla_record"
_ANSWER = re.compile(
    r"(response|answer|output|completion|generation|answer_text|chosen|rejected)s?([-_ ]?\w{1,2})?",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"(.+)\.(responses|suggestion)(\.(users|status|score|agent))?")
_NESTED = {"fields", "metadata", "suggestions", "responses", "vectors"}
_LABEL_CHARS = 100


@dataclass(frozen=True, slots=True)
class Said:
    """One answer to one question, and who gave it."""

    question: str
    value: Any
    who: Row


def recognises(record: Record) -> bool:
    """Return whether a record has a server's id and answers to questions."""
    if "_server_id" not in record:
        return False
    return isinstance(record.get("responses"), dict) or any(
        key.endswith((".responses", ".suggestion")) for key in record
    )


def decode(record: Record, origin: Origin) -> Decoded:
    """Decode one record into a row per answer field, and a vote per answer to a question.

    Raises:
        BadLine: the prompt or an answer is malformed.
    """
    nested = isinstance(record.get("fields"), dict)
    fields = record["fields"] if nested else _plain(record)
    asked = next((fields[k] for k in (*ALIASES["prompt"], "messages") if fields.get(k)), None)
    names = [k for k, v in fields.items() if _ANSWER.fullmatch(k) and isinstance(v, str | list)]
    names = [name for name in names if fields[name]]
    if asked is None or not names:
        return Decoded(skipped=["a record without a prompt and an answer"])
    values = _values(record, fields, nested)
    sides = [read_side(read_prompt(asked), fields[name], **values) for name in names]
    native_id = to_text(record.get("id")) or to_text(record.get("_server_id"))
    rows = dict(zip(names, answer_rows(origin, NAME, sides, native_id), strict=True))
    found = Decoded(list(rows.values()))
    for said in _said(record):
        found.add(_vote(origin, rows, said))
    return found


def _plain(record: Record) -> Record:
    return {k: v for k, v in record.items() if not _QUESTION.fullmatch(k) and k not in _NESTED}


def _values(record: Record, fields: Record, nested: bool) -> Row:
    metadata = record.get("metadata")
    beside = metadata if isinstance(metadata, dict) else {} if nested else fields
    used = {"id", "_server_id", *ALIASES["prompt"], *ALIASES["model"], "messages"}
    rest = {"status": record.get("status"), **beside}
    if nested:
        rest.update((k, v) for k, v in fields.items() if k not in used)
    rest = {
        key: value
        for key, value in rest.items()
        if key not in used and not _ANSWER.fullmatch(key) and value not in (None, "", [], {})
    }
    model = to_text(PLAIN.get(beside, "model"))
    return {"response_model": model, "attributes_json": to_json(rest) if rest else None}


def _said(record: Record) -> Iterator[Said]:
    """Yield the submitted responses and the suggestions of either layout."""
    responses, suggestions = record.get("responses"), record.get("suggestions")
    for question, given in responses.items() if isinstance(responses, dict) else ():
        for one in given if isinstance(given, list) else ():
            if isinstance(one, dict) and one.get("status", "submitted") == "submitted":
                yield Said(question, one.get("value"), _annotator(one.get("user_id")))
    for question, one in suggestions.items() if isinstance(suggestions, dict) else ():
        if isinstance(one, dict) and one.get("value") is not None:
            yield Said(question, one["value"], _model(one.get("agent"), one.get("score")))
    for key, value in record.items():
        if key.endswith(".responses") and isinstance(value, list):
            users, states = record.get(f"{key}.users"), record.get(f"{key}.status")
            for place, one in enumerate(value):
                if _at(states, place) == "submitted":
                    yield Said(key[: -len(".responses")], one, _annotator(_at(users, place)))
        elif key.endswith(".suggestion") and value is not None:
            who = _model(record.get(f"{key}.agent"), record.get(f"{key}.score"))
            yield Said(key[: -len(".suggestion")], value, who)


def _at(values: Any, place: int) -> Any:
    return values[place] if isinstance(values, list) and place < len(values) else None


def _annotator(user: Any) -> Row:
    return {
        "annotator_kind": "HUMAN",
        "annotator_role": "expert",
        "annotator_id": to_text(user),
    }


def _model(agent: Any, score: Any) -> Row:
    return {
        "annotator_kind": "LLM",
        "annotator_id": to_text(agent),
        "score_value": to_number(score),
    }


def _vote(origin: Origin, rows: dict[str, Row], said: Said) -> Decoded:
    order = _order(said.value, rows)
    if order is not None:
        found = Decoded()
        for better, worse in pairwise(order):
            found.add(_compared(origin, [rows[better], rows[worse]], 0, said))
        return found
    if len(rows) > 1 and isinstance(said.value, str):
        if said.value in rows:
            place = list(rows).index(said.value)
            return _compared(origin, list(rows.values()), place, said)
        if said.value.lower().startswith(("tie", "both")):
            return _compared(origin, list(rows.values()), None, said)
    row = _target(rows, said.question)
    if row is None:
        return Decoded(skipped=["an answer to a question about several responses"])
    judged = _judgement(said)
    if judged is None:
        return Decoded(skipped=["an answer to a question of another type"])
    values = inline_vote(row, name=said.question, **{**said.who, **judged[1]})
    return Decoded(feedback=[feedback(origin, NAME, judged[0], values)])


def _compared(origin: Origin, rows: list[Row], winner: int | None, said: Said) -> Decoded:
    return comparison(origin, NAME, rows, Verdict(winner, {"name": said.question, **said.who}))


def _order(value: Any, rows: dict[str, Row]) -> list[str] | None:
    """Read a ranking of answer fields, best first; None where the value is none.

    Fields of equal rank are in no order, so of each rank the first one alone is kept.
    """
    if not isinstance(value, list) or len(value) < 2:
        return None
    if all(isinstance(one, dict) for one in value):
        by_rank: dict[float, Any] = {}
        for one in value:
            by_rank.setdefault(to_number(one.get("rank")) or 0, one.get("value"))
        value = [by_rank[rank] for rank in sorted(by_rank)]
    known = all(isinstance(name, str) and name in rows for name in value)
    return value if known and len(set(value)) == len(value) else None


def _target(rows: dict[str, Row], question: str) -> Row | None:
    """Return the one answer, or the one whose field the question names."""
    if len(rows) == 1:
        return next(iter(rows.values()))
    asked = re.sub(r"\W|_", "", question.lower())
    named = [name for name in rows if re.sub(r"\W|_", "", name.lower()) in asked]
    return rows[named[0]] if len(named) == 1 else None


def _judgement(said: Said) -> tuple[str, Row] | None:
    value = said.value
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return "label", {"score_label": ", ".join(value)}
    if isinstance(value, int | float) and to_number(value) is not None:
        return "rating", votes.rating(value)
    if not isinstance(value, str) or not value.strip():
        return None
    if said.question in ALIASES["correction"]:
        return "correction", votes.correction(value)
    if len(value) > _LABEL_CHARS or "\n" in value:
        return "comment", {"text": value}
    return "label", {"score_label": value}


FORMAT = Format(
    NAME,
    "Argilla records",
    "a `_server_id` and answers to questions",
    Rank.ENVELOPE,
    recognises,
    decode,
)
