"""W&B Weave's feedback: reactions, notes, annotations and scorers' results.

It stands inside the summary of a call (see weave.py), or was exported by itself.

Source: kinds of feedback, https://docs.wandb.ai/weave/guides/tracking/feedback ; fields,
https://github.com/wandb/weave/blob/master/weave/trace_server/trace_server_interface.py
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources import votes
from loopllm_cli.sources.fields import as_json, first_of, to_text, to_time
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.pieces import as_dict
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Row, feedback, to_json

NAME = "weave_feedback"
REF = "weave:///"


def is_ref(value: Any) -> bool:
    """Return whether a value is a reference to an object of the server, which was not followed."""
    return isinstance(value, str) and value.startswith(REF)


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record is feedback that was exported by itself."""
    return isinstance(record.get("feedback_type"), str) and is_ref(record.get("weave_ref"))


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one piece of feedback on a call.

    Raises:
        BadLine: it is not about a call.
    """
    ref = record.get("weave_ref")
    if not is_ref(ref) or not isinstance(record.get("feedback_type"), str):
        raise BadLine("feedback without kind or reference")
    _, found, call_id = str(ref).rpartition("/call/")
    if not found or not call_id:
        return Decoded(skipped=["feedback that is not about a call"])
    target = {"target_kind": "span", "target_span_id": call_id}
    return Decoded([], weave_votes(record, origin, NAME, target))


def weave_votes(item: dict[str, Any], origin: Origin, source: str, target: Row) -> list[Row]:
    """Turn one piece of feedback into rows: one, or one per value that a scorer returned.

    Args:
        item: the feedback; its `feedback_type` is a text.
        source: the format in whose records it stood.
        target: the columns that say what it is about.

    Raises:
        BadLine: a score is malformed.
    """
    kind, payload = item["feedback_type"], as_dict(item.get("payload"))
    common = {
        **target,
        "feedback_id": to_text(item.get("id")),
        "annotator_kind": "HUMAN",
        "annotator_role": "unknown",
        "annotator_id": to_text(item.get("wb_user_id")) or None,
        "feedback_time": to_time(item.get("created_at")),
    }
    if kind.startswith("wandb.reaction."):
        return [_reaction(origin, source, payload, common)]
    if kind.startswith("wandb.note."):
        common |= {"name": "note", "text": to_text(payload.get("note"))}
        return [feedback(origin, source, "comment", common)]
    if kind.startswith("wandb.annotation."):
        common |= {"name": kind.removeprefix("wandb.annotation."), "annotator_role": "expert"}
        return _scores(origin, source, {"": payload.get("value")}, common)
    name = kind.removeprefix("wandb.runnable.")
    common |= {"name": name, "annotator_kind": "UNKNOWN"}
    output = as_json(payload.get("output", payload))
    named = output if isinstance(output, dict) else {"": output}
    return _scores(origin, source, named, common)


def _reaction(origin: Origin, source: str, payload: dict[str, Any], common: Row) -> Row:
    """Read an emoji: two of them are thumbs, of whatever skin; the others are labels."""
    emoji = to_text(first_of(payload, "detoned", "emoji"))
    alias = to_text(first_of(payload, "detoned_alias", "alias"))
    for sign in (emoji, alias):
        try:
            return feedback(origin, source, "thumbs", {**common, **votes.thumb(sign)})
        except BadLine:
            continue
    values = {**common, "name": "reaction", "score_label": emoji or alias}
    return feedback(origin, source, "label", values)


def _scores(origin: Origin, source: str, named: dict[str, Any], common: Row) -> list[Row]:
    """Turn named values into scores; words become labels, or explain a scorer's numbers."""
    words = {k: v for k, v in named.items() if isinstance(v, str) and v.strip()}
    numbers = {k: v for k, v in named.items() if isinstance(v, int | float)}
    explanation = "\n".join(words.values()) or None if numbers else None
    rows = []
    for key, value in numbers.items() if numbers else words.items():
        name = f"{common['name']}.{key}" if key else common["name"]
        word = value if isinstance(value, str) else None
        kind, values = votes.score(name, None if word else value, word)
        own = {**common, "name": name, "explanation": explanation, **values}
        rows.append(feedback(origin, source, kind, own))
    if not rows:
        text = to_json(named) if any(v is not None for v in named.values()) else None
        rows.append(feedback(origin, source, "comment", {**common, "text": text}))
    return rows


FORMAT = Format(
    NAME,
    "Weave feedback",
    "`feedback_type` and a `weave_ref`",
    Rank.ENVELOPE,
    recognises,
    decode,
    feedback_only=True,
)
