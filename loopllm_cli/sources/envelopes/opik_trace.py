"""Opik's export of its command line: one JSON file per trace, with its spans.

Source: sdks/python/src/opik/cli/exports in github.com/comet-ml/opik
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources import votes
from loopllm_cli.sources.fields import first_of, to_text, to_time
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.opik import SOURCE, to_rows
from loopllm_cli.sources.payloads.pieces import as_dict, text_of_value
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Record, Row, feedback

NAME = "opik_trace"
_KINDS = {"tool": "tool span", "guardrail": "guardrail span"}
_NOTHING: tuple[Any, ...] = (None, "", {}, [])


def recognises(record: Record) -> bool:
    """Return whether a record is one trace beside its spans."""
    return isinstance(record.get("trace"), dict) and isinstance(record.get("spans"), list)


def decode(record: Record, origin: Origin) -> Decoded:
    """Decode one trace: its model spans (or the trace itself), scores and comments.

    Raises:
        BadLine: the trace or a span has no id, or a score has no value.
    """
    trace, spans = record.get("trace"), record.get("spans")
    if not isinstance(trace, dict) or not isinstance(spans, list):
        raise BadLine("a trace without spans")
    trace_id = text_of_value(trace.get("id"))
    if trace_id is None:
        raise BadLine("a trace without an id")
    found = Decoded()
    scored: set[str | None] = set()
    for span in spans:
        if not isinstance(span, dict):
            raise BadLine("a span that is no object")
        kind = to_text(span.get("type"))
        if kind == "llm":
            found.interactions += to_rows(span, trace, origin)
        else:
            found.skipped.append(_KINDS.get(kind or "", "span"))
        target = {
            "target_kind": "span",
            "target_span_id": text_of_value(span.get("id")),
            "target_trace_id": trace_id,
        }
        given = _votes(span, target, origin)
        scored.update(vote["name"] for vote in given)
        found.feedback += given
    if not found.interactions:
        _add_trace(found, trace, origin)
    for vote in _votes(trace, {"target_kind": "trace", "target_trace_id": trace_id}, origin):
        if vote["name"] is not None and vote["name"] in scored:
            found.skipped.append("average of span scores")
        else:
            found.feedback.append(vote)
    return found


def _add_trace(found: Decoded, trace: Record, origin: Origin) -> None:
    failed = trace.get("error_info") not in _NOTHING
    if trace.get("input") in _NOTHING or (trace.get("output") in _NOTHING and not failed):
        found.skipped.append("trace without an answer")
    else:
        found.interactions = to_rows(trace, trace, origin)


def _votes(record: Record, target: Row, origin: Origin) -> list[Row]:
    """Read the scores and comments of a trace or a span."""
    found = []
    scores = record.get("feedback_scores")
    for score in scores if isinstance(scores, list) else []:
        if not isinstance(score, dict):
            raise BadLine("a score that is no object")
        # The value of a score that several people gave is their average.
        by_author = as_dict(score.get("value_by_author"))
        single = [
            {**score, **one, "created_by": author}
            for author, one in by_author.items()
            if isinstance(one, dict)
        ]
        found += [_vote(one, target, origin) for one in single or [score]]
    comments = record.get("comments")
    for comment in comments if isinstance(comments, list) else []:
        text = text_of_value(comment.get("text")) if isinstance(comment, dict) else None
        if text is not None:
            values = {
                "text": text,
                "feedback_id": text_of_value(comment.get("id")),
                "annotator_kind": "HUMAN",
                "annotator_role": "expert",
            }
            common = {**_who_and_when(comment, origin), **target}
            found.append(feedback(origin, SOURCE, "comment", {**values, **common}))
    return found


def _vote(score: Record, target: Row, origin: Origin) -> Row:
    name = text_of_value(score.get("name"))
    kind, values = votes.score(name, score.get("value"), text_of_value(score.get("category_name")))
    values = {
        **values,
        "name": name,
        "explanation": text_of_value(score.get("reason")),
        **_annotator(to_text(score.get("source")), kind),
        **_who_and_when(score, origin),
        **target,
    }
    return feedback(origin, SOURCE, kind, values)


def _who_and_when(record: Record, origin: Origin) -> Row:
    moment = first_of(record, "last_updated_at", "created_at")
    return {
        "annotator_id": text_of_value(first_of(record, "created_by")),
        "feedback_time": to_time(moment, origin.date_format),
    }


def _annotator(source: str | None, kind: str) -> Row:
    if source == "ui":
        return {"annotator_kind": "HUMAN", "annotator_role": "expert"}
    if source == "online_scoring":
        return {"annotator_kind": "LLM", "annotator_role": "unknown"}
    if source == "sdk" and kind == "thumbs":
        return {"annotator_kind": "HUMAN", "annotator_role": "end_user"}
    # Programs send their own measurements with the SDK, too.
    return {"annotator_kind": "UNKNOWN", "annotator_role": "unknown"}


FORMAT = Format(
    NAME,
    "Opik traces",
    "a trace beside its spans",
    Rank.ENVELOPE,
    recognises,
    decode,
)
