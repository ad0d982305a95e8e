"""Judgements about spans: OpenInference annotations, Phoenix's, and OpenTelemetry's evaluations.

Source: https://github.com/Arize-ai/openinference/blob/main/spec/annotations.md ; the event
`gen_ai.evaluation.result` of https://github.com/open-telemetry/semantic-conventions-genai
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources import votes
from loopllm_cli.sources.fields import first_of, to_text
from loopllm_cli.sources.payloads.flattened import nested
from loopllm_cli.sources.payloads.otlp import Event, Span, moment
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Row, feedback

EVALUATION = "gen_ai.evaluation.result"
_KINDS = ("HUMAN", "LLM", "CODE")
_ROLES = {"API": "end_user", "APP": "expert"}
_INLINE = (("annotations", "annotation"), ("evaluations", "evaluation"))


def judgement(name: str | None, value: Any, label: Any, explanation: str | None) -> tuple[str, Row]:
    """Read what was said; an explanation alone is a comment.

    Raises:
        BadLine: nothing was said.
    """
    if value is None and not label and explanation:
        return "comment", {"text": explanation}
    return votes.score(name, value, label or None)


def annotation(origin: Origin, source_format: str, record: Any, target: Row) -> Row:
    """Turn one annotation into a vote, by OpenInference's names or Phoenix's.

    A score has no fixed range or direction, so it alone never gives a polarity.

    Args:
        target: the columns that say what it is about.

    Raises:
        BadLine: it is no object, or has neither score nor label nor explanation.
    """
    if not isinstance(record, dict):
        raise BadLine("an annotation that is no object")
    result = record.get("result")
    said = {**record, **result} if isinstance(result, dict) else record

    def get(key: str) -> Any:
        return first_of(said, key, f"result.{key}")

    name = to_text(first_of(said, "name", "annotation_name"))
    explanation = to_text(get("explanation")) or None
    kind, row = judgement(name, get("score"), get("label"), explanation)
    annotator = (to_text(said.get("annotator_kind")) or "").upper()
    source = (to_text(said.get("source")) or "").upper()
    is_human = annotator == "HUMAN"
    who = to_text(said.get("user_id")) or to_text(said.get("identifier"))
    values = {
        **row,
        **target,
        "feedback_id": to_text(said.get("id")) or None,
        "name": name,
        "explanation": explanation if kind != "comment" else None,
        "annotator_kind": annotator if annotator in _KINDS else "UNKNOWN",
        "annotator_role": _ROLES.get(source, "unknown") if is_human else None,
        "annotator_id": who or None,
        "feedback_time": moment(first_of(said, "updated_at", "created_at")),
    }
    return feedback(origin, source_format, kind, values)


def inline(origin: Origin, source_format: str, span: Span, row: Row | None) -> Decoded:
    """Read the annotations among a span's attributes, of all their scopes.

    One about the trace or the session stays there: it is no vote about this span.

    Args:
        row: the span's own row, where it has exactly one.
    """
    found = Decoded()
    scopes = {"": own_target(span, row), "trace.": trace_target(span.trace_id)}
    session = to_text(span.attributes.get("session.id"))
    scopes["session."] = {"target_kind": "conversation", "target_conversation_id": session}
    for scope, target in scopes.items():
        for many, one in _INLINE:
            prefix = f"{scope}{many}"
            if not any(key.startswith(prefix) for key in span.attributes):
                continue
            items = nested(span.attributes, prefix)
            for item in items if isinstance(items, list) else [items]:
                inner = item.get(one, item) if isinstance(item, dict) else None
                try:
                    found.feedback.append(annotation(origin, source_format, inner, target))
                except BadLine as reason:
                    found.skipped.append(str(reason))
    return found


def own_target(span: Span, row: Row | None) -> Row:
    """Return the target of a vote that stands on a span."""
    target: Row = {
        "target_kind": "span",
        "target_span_id": span.span_id,
        "target_trace_id": span.trace_id,
    }
    if row is not None:
        target.update(target_id=row["interaction_id"], target_key="interaction_id")
    elif span.span_id:
        target["target_key"] = "span_id"
    return target


def trace_target(trace_id: str | None) -> Row:
    """Return the target of a vote about a whole trace."""
    return {"target_kind": "trace", "target_trace_id": trace_id, "target_key": "trace_id"}


def evaluation(origin: Origin, source_format: str, event: Event) -> Row:
    """Turn an evaluation event into a vote about its span's response.

    The convention says neither who judged nor on what scale; only a name such as "user_thumb"
    tells that it was a person.

    Raises:
        BadLine: it has neither score nor label nor explanation.
    """
    get = event.attributes.get
    name = to_text(get("gen_ai.evaluation.name"))
    explanation = to_text(get("gen_ai.evaluation.explanation")) or None
    kind, row = judgement(
        name,
        get("gen_ai.evaluation.score.value"),
        get("gen_ai.evaluation.score.label"),
        explanation,
    )
    by_user = name is not None and name.lower().startswith(("user", "human", "end_user"))
    response_id = to_text(get("gen_ai.response.id")) or None
    target = "response" if response_id else "span" if event.span_id else "trace"
    key = "response_id" if response_id else "span_id" if event.span_id else None
    values = {
        **row,
        "name": name,
        "explanation": explanation if kind != "comment" else None,
        "annotator_kind": "HUMAN" if by_user else "UNKNOWN",
        "annotator_role": "end_user" if by_user else None,
        "feedback_time": moment(event.time),
        "target_kind": target,
        "target_key": key or ("trace_id" if event.trace_id else "none"),
        "target_response_id": response_id,
        "target_span_id": event.span_id,
        "target_trace_id": event.trace_id,
    }
    return feedback(origin, source_format, kind, values)
