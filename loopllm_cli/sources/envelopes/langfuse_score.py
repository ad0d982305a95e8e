"""Langfuse's scores and corrections: the table of the blob export, and the API (v2 and v3).

In v3 the value has the score's own type, and what it is about stands in `subject`.

Source: https://langfuse.com/docs/api-and-data-platform/features/scores-api ;
packages/shared/src/domain/scores.ts in github.com/langfuse/langfuse
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources import votes
from loopllm_cli.sources.fields import to_text, to_time
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.langfuse import SOURCE
from loopllm_cli.sources.payloads.pieces import text_of_value
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Record, Row, feedback

NAME = "langfuse_score"
_SPELLINGS = {
    "traceId": "trace_id",
    "observationId": "observation_id",
    "sessionId": "session_id",
    "datasetRunId": "dataset_run_id",
    "dataType": "data_type",
    "stringValue": "string_value",
    "longStringValue": "long_string_value",
    "authorUserId": "author_user_id",
    "createdAt": "created_at",
}
_TARGETS = ("trace_id", "observation_id", "session_id", "dataset_run_id")
_SUBJECTS = {
    "trace": "trace_id",
    "observation": "observation_id",
    "session": "session_id",
    "experiment": "dataset_run_id",
}


def recognises(record: Record) -> bool:
    """Return whether a record is one score."""
    has_type = "data_type" in record or "dataType" in record
    keys = ("trace_id", "traceId", "session_id", "sessionId", "dataset_run_id", "datasetRunId")
    about = isinstance(record.get("subject"), dict) or any(key in record for key in keys)
    return has_type and "source" in record and "name" in record and about


def decode(record: Record, origin: Origin) -> Decoded:
    """Decode one score.

    Raises:
        BadLine: it has no value, or says nothing about what it is of.
    """
    return Decoded(feedback=[to_vote(record, origin)])


def to_vote(record: Record, origin: Origin, trace_id: str | None = None) -> Row:
    """Build the feedback row of one score.

    Args:
        trace_id: the trace in whose record the score stands.

    Raises:
        BadLine: it has no value, or says nothing about what it is of.
    """
    score = {_SPELLINGS.get(key, key): value for key, value in record.items()}
    score.update(_of_subject(score.get("subject")))
    name = text_of_value(score.get("name"))
    source = to_text(score.get("source"))
    kind, values = _judgement(score, name, source)
    author = text_of_value(score.get("author_user_id"))
    values = {
        **values,
        "feedback_id": text_of_value(score.get("id")),
        "name": name,
        "explanation": text_of_value(score.get("comment")),
        "annotator_id": author,
        "feedback_time": to_time(
            score.get("timestamp") or score.get("created_at"), origin.date_format
        ),
        **_annotator(source, kind),
        **_target(score, trace_id),
    }
    return feedback(origin, SOURCE, kind, values)


def _judgement(score: Record, name: str | None, source: str | None) -> tuple[str, Row]:
    data_type, value = to_text(score.get("data_type")), score.get("value")
    words = text_of_value(score.get("long_string_value")) or text_of_value(
        score.get("string_value")
    )
    if words is None and data_type in ("CATEGORICAL", "TEXT", "CORRECTION"):
        words = value if isinstance(value, str) else None
    if data_type == "CORRECTION":
        return "correction", votes.correction(words)
    if data_type == "TEXT":
        if not words or not words.strip():
            raise BadLine("a score without a value")
        return "comment", {"text": words}
    if data_type == "CATEGORICAL":
        # The number beside a category is the category's, in a scale that is not exported.
        return votes.score(name, None if words else value, words)
    # A yes or no that came through the API is the user's; an expert's may be about anything.
    is_thumb = data_type == "BOOLEAN" and source == "API"
    return votes.score(name, value, words, is_boolean=is_thumb)


def _of_subject(subject: Any) -> Row:
    """Read what the API's third version says a score is about."""
    if not isinstance(subject, dict):
        return {}
    column = _SUBJECTS.get(to_text(subject.get("kind")) or "")
    found = {column: subject.get("id")} if column else {}
    return {**found, "trace_id": subject.get("traceId")} if "traceId" in subject else found


def _annotator(source: str | None, kind: str) -> Row:
    if source == "ANNOTATION":
        return {"annotator_kind": "HUMAN", "annotator_role": "expert"}
    if source == "EVAL":
        return {"annotator_kind": "LLM", "annotator_role": "unknown"}
    if source == "API" and kind in ("thumbs", "correction"):
        return {"annotator_kind": "HUMAN", "annotator_role": "end_user"}
    # Programs send their own measurements through the API, too.
    return {"annotator_kind": "UNKNOWN", "annotator_role": "unknown"}


def _target(score: Record, trace_id: str | None) -> Row:
    trace, span, session, run = (text_of_value(score.get(key)) for key in _TARGETS)
    trace = trace or trace_id
    if span:
        kind = "span"
    elif trace:
        kind = "trace"
    elif session:
        kind = "conversation"
    elif run:
        return {"target_kind": "group", "target_id": run, "target_key": "dataset_run_id"}
    else:
        raise BadLine("a score of nothing")
    return {
        "target_kind": kind,
        "target_span_id": span,
        "target_trace_id": trace,
        "target_conversation_id": session,
    }


def decode_all(items: Any, origin: Origin, trace_id: str | None) -> list[Row]:
    """Decode the scores that stand in a trace's record, each id once; no list gives none.

    Raises:
        BadLine: a score is malformed.
    """
    found = {}
    for place, item in enumerate(items if isinstance(items, list) else []):
        if isinstance(item, dict):  # lists of traces have the ids alone
            found[to_text(item.get("id")) or f"#{place}"] = item
    return [to_vote(item, origin, trace_id) for item in found.values()]


FORMAT = Format(
    NAME,
    "Langfuse scores",
    "a score with dataType and source",
    Rank.ENVELOPE,
    recognises,
    decode,
    feedback_only=True,
)
