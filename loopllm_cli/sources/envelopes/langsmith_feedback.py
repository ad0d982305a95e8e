"""LangSmith's feedback, as `list_feedback` gives it.

A pairwise judgement is one record per run, which share a group: they are kept until the group
is there and become one comparison, beside each run's own score.

Source: python/langsmith/schemas.py in github.com/langchain-ai/langsmith-sdk
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loopllm_cli.sources import votes
from loopllm_cli.sources.fields import as_json, first_of, to_number, to_text, to_time
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.pieces import as_dict, text_of_value
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Part, Record, Row, feedback, to_json

NAME = "langsmith_feedback"


def recognises(record: Record) -> bool:
    """Return whether a record is one piece of feedback on a run."""
    return (
        "run_id" in record
        and "key" in record
        and ("score" in record or "feedback_source" in record)
    )


def decode(record: Record, origin: Origin) -> Decoded:
    """Decode one record into its score and its correction.

    Raises:
        BadLine: it has neither, or is about nothing.
    """
    name = text_of_value(record.get("key"))
    judgements = _judgements(record, name)
    source = as_dict(record.get("feedback_source"))
    common: Row = {
        "feedback_id": text_of_value(record.get("id")),
        "name": name,
        "explanation": text_of_value(record.get("comment")),
        "annotator_id": text_of_value(source.get("user_id")),
        "feedback_time": to_time(first_of(record, "modified_at", "created_at"), origin.date_format),
        **_target(record),
    }
    found = Decoded()
    for kind, values in judgements:
        annotator = _annotator(to_text(source.get("type")), kind)
        found.feedback.append(feedback(origin, NAME, kind, {**common, **annotator, **values}))
    found.parts = _parts(record, found.feedback[0])
    return found


def _judgements(record: Record, name: str | None) -> list[tuple[str, Row]]:
    found: list[tuple[str, Row]] = []
    score, value = record.get("score"), as_json(record.get("value"))
    if isinstance(value, dict | list) and value:
        found.append(("comment", {"text": to_json(value)}))
        value = None
    if score is not None or to_text(value) or isinstance(value, bool):
        word = value if isinstance(value, str) else None
        found.append(votes.score(name, value if score is None else score, word))
    correction = as_json(record.get("correction"))
    if correction not in (None, "", {}, []):
        found.append(_correction(correction))
    if not found:
        comment = text_of_value(record.get("comment"))
        if comment is None:
            raise BadLine("a score without a value")
        found.append(("comment", {"text": comment, "explanation": None}))
    return found


def _correction(value: Any) -> tuple[str, Row]:
    """Read a correction: a text, or a dict of one text; of more parts none is the answer."""
    text = next(iter(value.values())) if isinstance(value, dict) and len(value) == 1 else value
    if isinstance(text, str) and text.strip():
        return "correction", votes.correction(text)
    return "comment", {"text": to_json(value)}


def _annotator(source: str | None, kind: str) -> Row:
    if source == "app":
        return {"annotator_kind": "HUMAN", "annotator_role": "expert"}
    if source in ("model", "auto_eval"):
        return {"annotator_kind": "LLM", "annotator_role": "unknown"}
    if source == "api" and kind in ("thumbs", "correction"):
        return {"annotator_kind": "HUMAN", "annotator_role": "end_user"}
    return {"annotator_kind": "UNKNOWN", "annotator_role": "unknown"}


def _target(record: Record) -> Row:
    run, trace = text_of_value(record.get("run_id")), text_of_value(record.get("trace_id"))
    if run is None and trace is None:
        project = text_of_value(record.get("session_id"))
        if project is None:
            raise BadLine("feedback on nothing")
        return {"target_kind": "group", "target_id": project, "target_key": "session_id"}
    # Users vote on the root: what they saw may be the answer of a model's run below it.
    kind = "trace" if run in (None, trace) else "span"
    return {"target_kind": kind, "target_span_id": run, "target_trace_id": trace}


def _parts(record: Record, vote: Row) -> list[Part]:
    group = text_of_value(record.get("feedback_group_id"))
    run, score = text_of_value(record.get("run_id")), to_number(record.get("score"))
    if isinstance(record.get("score"), bool):
        score = float(record["score"])
    if group is None or run is None or score is None:
        return []
    moment = vote["feedback_time"]
    content = {
        "run_id": run,
        "score": score,
        "name": vote["name"],
        "annotator_kind": vote["annotator_kind"],
        "annotator_role": vote["annotator_role"],
        "annotator_id": vote["annotator_id"],
        "time": moment.isoformat() if moment else None,
    }
    version = int(moment.timestamp() * 1_000_000) if moment else 0
    return [Part(group, run, content, version)]


def assemble(group: str, contents: Sequence[Record], origin: Origin) -> Decoded:
    """Build the comparison of a group's runs: the highest score wins, equal ones are a tie."""
    scores: dict[str, float] = {}
    for content in contents:
        run, score = to_text(content.get("run_id")), to_number(content.get("score"))
        if run is not None and score is not None:
            scores[run] = score
    if len(scores) < 2:
        return Decoded()
    best = max(scores.values())
    winners = [run for run, score in scores.items() if score == best]
    first = contents[0]
    values: Row = {
        "feedback_id": group,
        "name": to_text(first.get("name")),
        "annotator_kind": to_text(first.get("annotator_kind")),
        "annotator_role": to_text(first.get("annotator_role")),
        "feedback_time": to_time(first.get("time")),
        "target_kind": "group",
        "target_key": "id",
        "candidate_ids": list(scores),
        "winner_id": winners[0] if len(winners) == 1 else None,
        "tie": len(winners) > 1,
    }
    row = feedback(origin, NAME, "comparison", values)
    # The part holds the pseudonym already.
    row["annotator_id"] = to_text(first.get("annotator_id"))
    return Decoded(feedback=[row])


FORMAT = Format(
    NAME,
    "LangSmith feedback",
    "a key and a score of a run",
    Rank.ENVELOPE,
    recognises,
    decode,
    assemble,
    feedback_only=True,
)
