"""Feedback records: thumbs, ratings, corrections and comparisons, by id or inside a record.

Polarity is set only by an explicit rule: a thumb, or a rating whose scale is known. A bare
number without a scale stays without polarity.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from loopllm_cli.sources import votes
from loopllm_cli.sources.columns import ALIASES, PLAIN
from loopllm_cli.sources.fields import first_of, to_number, to_text, to_time
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.preference import Side, Verdict, compared, read_prompt
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Row, feedback, text_message

NAME = "feedback"
# The narrowest first: a trace may hold many responses, a span holds one.
TARGETS = ("interaction_id", "response_id", "request_id", "message_id", "span_id", "trace_id", "id")
# What happened, without a judgement: a user took over an answer, asked for another, left.
EVENTS = ("copy", "accept", "regeneration", "escalation", "abandon", "comment")
KINDS = ("thumbs", "rating", "correction", "comparison", *EVENTS)
_SIDES = (("response_a", "response_b"), ("response_1", "response_2"), ("output_1", "output_2"))
_SIDE_NAMES = {"a": 0, "1": 0, "b": 1, "2": 1}


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record says something about a response instead of holding one."""
    if _sides(record):
        return True
    has_target = any(record.get(key) is not None for key in (*TARGETS, "candidates"))
    has_response = any(isinstance(record.get(k), str) for k in ALIASES["response"])
    has_messages = isinstance(record.get("messages"), list)
    return has_target and not has_response and not has_messages and _kind(record) is not None


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one piece of feedback (a comparison with both texts also brings its two rows).

    Raises:
        BadLine: kind, value or target is missing or cannot be understood.
    """
    names = _sides(record)
    if names:
        return _inline_comparison(record, origin, names)
    kind = _kind(record)
    if kind is None:
        raise BadLine("feedback of unknown kind")
    values = {**_who_and_when(record, origin), **_target(record)}
    if kind == "comparison":
        values.update(_comparison(record))
    elif kind in EVENTS:
        said = record.get(kind) if isinstance(record.get(kind), str) else record.get("value")
        values["score_label"] = to_text(said)
    else:
        values.update(_judgement(kind, _value(record, kind), record))
    return Decoded([], [feedback(origin, NAME, kind, values)])


def inline_feedback(
    origin: Origin, row: Row, inline: dict[str, Any], record: dict[str, Any]
) -> list[Row]:
    """Turn the votes that stand in an interaction's own record into feedback rows.

    Args:
        inline: value by kind of field; missing and empty ones are no votes.
        record: may say the scale of a rating.

    Raises:
        BadLine: a vote cannot be understood.
    """
    kinds = {"feedback": "thumbs", "rating": "rating", "correction": "correction"}
    # The row's user is a pseudonym already, and must stay the same one.
    origin = replace(origin, hash_user=None)
    rows = []
    for name, value in inline.items():
        if value is None or value == "":
            continue
        values = {
            "target_id": row["interaction_id"],
            "target_key": "interaction_id",
            "annotator_id": row["user_id"],
            "feedback_time": row["request_time"],
            "annotator_kind": "HUMAN",
            **_judgement(kinds[name], value, record),
        }
        rows.append(feedback(origin, row["source_format"], kinds[name], values))
    return rows


def _kind(record: dict[str, Any]) -> str | None:
    named = record.get("kind") or record.get("feedback_type")
    if isinstance(named, str):
        return named.lower() if named.lower() in KINDS else None
    if record.get("type") in KINDS:
        return str(record["type"])
    if "winner" in record and "candidates" in record:
        return "comparison"
    # An event is named as such: a record that merely has a comment is no feedback yet.
    judgements = (kind for kind in KINDS if kind not in EVENTS)
    return next((kind for kind in judgements if record.get(kind) is not None), None)


def _value(record: dict[str, Any], kind: str) -> Any:
    words = ("text", "comment") if kind == "correction" else ("score", "text", "label")
    for key in (kind, "value", *words):
        if record.get(key) is not None:
            return record[key]
    raise BadLine(f"{kind} without a value")


def _who_and_when(record: dict[str, Any], origin: Origin) -> Row:
    def first(names: tuple[str, ...]) -> Any:
        return next((record[n] for n in names if record.get(n) is not None), None)

    return {
        "feedback_id": to_text(record.get("feedback_id")),
        "name": to_text(record.get("name")),
        "annotator_id": to_text(first(("annotator_id", "annotator", *ALIASES["user_id"]))),
        "annotator_kind": to_text(record.get("annotator_kind")) or "HUMAN",
        "feedback_time": to_time(
            first(("feedback_time", *ALIASES["request_time"])), origin.date_format
        ),
        "explanation": to_text(first(("explanation", "comment", "reason"))),
    }


def _target(record: dict[str, Any]) -> Row:
    for key in TARGETS:
        if record.get(key) is not None:
            return {"target_id": to_text(record[key]), "target_key": key}
    return {"target_id": None, "target_key": "none"}


def _judgement(kind: str, value: Any, record: dict[str, Any]) -> Row:
    if kind == "thumbs":
        return votes.thumb(value)
    if kind == "rating":
        low = first_of(record, "scale_min", "rating_min")
        return votes.rating(value, low, first_of(record, "scale_max", "rating_max"))
    return votes.correction(value)


def _comparison(record: dict[str, Any]) -> Row:
    candidates = record.get("candidates") or record.get("candidate_ids")
    named = record.get("winner")
    winner = to_text(record.get("winner_id") if named is None else named)
    ids = [to_text(c) for c in candidates] if isinstance(candidates, list) else []
    if len(ids) < 2 or None in ids or len(set(ids)) != len(ids):
        raise BadLine("a comparison without two candidates")
    tie = winner is not None and winner.lower().startswith(("tie", "both"))
    if not tie and winner not in ids:
        raise BadLine("a comparison whose winner is no candidate")
    return {"candidate_ids": ids, "winner_id": None if tie else winner, "tie": tie}


def _sides(record: dict[str, Any]) -> tuple[str, str] | None:
    for names in _SIDES:
        if all(isinstance(record.get(name), str) for name in names):
            asked = any(record.get(k) is not None for k in (*ALIASES["prompt"], "messages"))
            return names if asked and ("winner" in record or "preference" in record) else None
    return None


def _inline_comparison(record: dict[str, Any], origin: Origin, names: tuple[str, str]) -> Decoded:
    if isinstance(record.get("messages"), list):
        inputs = read_prompt(record["messages"])
    else:
        inputs = read_prompt(to_text(PLAIN.get(record, "prompt")))
    who = _who_and_when(record, origin)
    sides = []
    for name in names:
        values = {
            "request_time": who["feedback_time"],
            # Who judges is not who asked: the row's user is named as such or unknown.
            "user_id": to_text(PLAIN.get(record, "user_id")),
            "conversation_id": to_text(record.get("conversation_id")),
            "response_model": to_text(
                first_of(record, f"model_{name[-1]}", f"generator_{name[-1]}")
            ),
        }
        sides.append(Side(inputs, text_message("assistant", record[name]), values))
    winner, distance = _inline_winner(record)
    if distance is not None:
        who.update(score_value=distance, scale_min=0.0, scale_max=1.0)
    if distance is not None or f"generator_{names[0][-1]}" in record:
        # AlpacaEval's annotators are mostly models, and a shade is a probability or a mean.
        who["annotator_kind"] = to_text(record.get("annotator_kind")) or "UNKNOWN"
    verdict = Verdict(winner, who)
    return compared(origin, NAME, sides, verdict, to_text(record.get("id")))


def _inline_winner(record: dict[str, Any]) -> tuple[int | None, float | None]:
    """Read the place of the better answer (None for a tie), and by how much where that is said.

    AlpacaEval grades from 1.0 (the first is better) over 1.5 (a tie) to 2.0 (the second is): the
    nearer side wins, and the distance from the tie is kept as a share, 0 to 1.

    Source: https://github.com/tatsu-lab/alpaca_eval
    """
    said = record.get("winner", record.get("preference"))
    grade = to_number(said)
    if grade is not None and 1 < grade < 2:
        return None if grade == 1.5 else int(grade > 1.5), abs(grade - 1.5) * 2
    winner = str(said).strip().lower()
    if winner.startswith(("tie", "both")) or winner in ("0", "0.0", "none"):
        return None, None
    side = winner.removesuffix(".0")
    for prefix in ("model_", "response_", "output_"):
        side = side.removeprefix(prefix)
    if side in _SIDE_NAMES:
        return _SIDE_NAMES[side], None
    raise BadLine("a comparison whose winner is neither side")


FORMAT = Format(
    NAME,
    "feedback records",
    "a judgement and the id of what it is about",
    Rank.GENERIC,
    recognises,
    decode,
    feedback_only=True,
)
