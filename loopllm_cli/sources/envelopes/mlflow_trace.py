"""MLflow's traces, of both schema versions.

Version 3 has `info.trace_id` and OTLP-like spans with base64 ids; version 2 has
`info.request_id` and spans with a `context`. Values of attributes are JSON in a string in both.

Source: mlflow/entities/trace_info.py, span.py and assessment.py in github.com/mlflow/mlflow
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources import votes
from loopllm_cli.sources.fields import (
    as_json,
    first_of,
    get_path,
    to_count,
    to_hex_id,
    to_text,
    to_time,
)
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads import logged, otlp
from loopllm_cli.sources.payloads.body import exchange
from loopllm_cli.sources.payloads.otel_attributes import read_columns
from loopllm_cli.sources.payloads.pieces import (
    as_dict,
    exception_name,
    is_answer,
    is_question,
    leftover,
    text_of_value,
)
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Record, Row, feedback, to_json

NAME = "mlflow_trace"
_ROWS = ("CHAT_MODEL", "LLM")
_KINDS = {
    "TOOL": "tool span",
    "AGENT": "agent span",
    "CHAIN": "chain span",
    "RETRIEVER": "retriever span",
    "RERANKER": "reranker span",
    "EMBEDDING": "embedding span",
    "PARSER": "parser span",
    "MEMORY": "memory span",
}
_ANNOTATORS = {"HUMAN": "HUMAN", "LLM_JUDGE": "LLM", "AI_JUDGE": "LLM", "CODE": "CODE"}
_READ = {
    *("mlflow.spanType", "mlflow.spanInputs", "mlflow.spanOutputs", "mlflow.traceRequestId"),
    *("mlflow.chat.tokenUsage", "mlflow.trace.session", "mlflow.trace.user"),
}


def recognises(record: Record) -> bool:
    """Return whether a record is one trace."""
    data = record.get("data")
    info = record.get("info")
    return (
        isinstance(info, dict)
        and isinstance(data, dict)
        and isinstance(data.get("spans"), list)
        and ("trace_id" in info or "request_id" in info)
    )


def decode(record: Record, origin: Origin) -> Decoded:
    """Decode one trace: its model spans (or its root) and its assessments.

    Raises:
        BadLine: a span is malformed, or an assessment has no value.
    """
    info = as_dict(record.get("info"))
    trace_id = text_of_value(first_of(info, "trace_id", "request_id"))
    if trace_id is None:
        raise BadLine("a trace without an id")
    spans = get_path(record, "data.spans")
    about = _about(info, trace_id)
    found = Decoded()
    rest = []
    for span in spans if isinstance(spans, list) else []:
        if not isinstance(span, dict):
            raise BadLine("a span that is no object")
        if _kind(span) in _ROWS:
            found.interactions += _rows(span, about, origin)
        else:
            rest.append(span)
    if not found.interactions:
        root = next((span for span in rest if _is_application(span)), None)
        if root is not None:
            rest.remove(root)
            found.interactions = _rows(root, {**about, "operation_name": "invoke_agent"}, origin)
    found.skipped = [_KINDS.get(_kind(span), "span") for span in rest]
    if len(found.interactions) == 1:
        found.interactions[0]["request_id"] = text_of_value(info.get("client_request_id"))
    assessments = as_json(info.get("assessments"))
    for assessment in assessments if isinstance(assessments, list) else []:
        _add_vote(found, assessment, about, origin)
    if not (found.interactions or found.feedback or found.skipped):
        found.skipped.append("trace without spans")
    return found


def _about(info: Record, trace_id: str) -> Row:
    """Read the columns that all rows of a trace share."""
    metadata = {**as_dict(info.get("request_metadata")), **as_dict(info.get("trace_metadata"))}
    tags = as_dict(info.get("tags"))
    return {
        "trace_id": trace_id,
        "conversation_id": text_of_value(metadata.get("mlflow.trace.session")),
        "user_id": text_of_value(metadata.get("mlflow.trace.user")),
        "service_version": text_of_value(metadata.get("mlflow.source.git.commit")),
        "attributes_json": leftover({"tags": tags}, set()),
    }


def _kind(span: Record) -> str:
    kind = as_json(as_dict(span.get("attributes")).get("mlflow.spanType"))
    return kind.upper() if isinstance(kind, str) else ""


def _is_application(span: Record) -> bool:
    attributes = as_dict(span.get("attributes"))
    parent = first_of(span, "parent_span_id", "parent_id")
    asked, said = (attributes.get(f"mlflow.span{side}") for side in ("Inputs", "Outputs"))
    return not parent and is_question(as_json(asked, 1)) and is_answer(as_json(said, 1))


def _rows(span: Record, about: Row, origin: Origin) -> list[Row]:
    # One level only: below it, a text that looks like JSON is what the model wrote.
    attributes = {key: as_json(value, 1) for key, value in as_dict(span.get("attributes")).items()}
    span_id = to_hex_id(first_of(span, "span_id", "context.span_id"))
    if span_id is None:
        raise BadLine("a span without an id")
    request = logged.read_request(attributes.get("mlflow.spanInputs"))
    response = logged.read_response(attributes.get("mlflow.spanOutputs"))
    noted, used = read_columns({k: v for k, v in attributes.items() if k not in _READ})
    usage = as_dict(attributes.get("mlflow.chat.tokenUsage"))
    counts = {
        "input_tokens": to_count(usage.get("input_tokens")),
        "output_tokens": to_count(usage.get("output_tokens")),
    }
    if response is not None and response.values.get("input_tokens") is not None:
        counts = {}
    start = otlp.moment(first_of(span, "start_time_unix_nano", "start_time"))
    end = otlp.moment(first_of(span, "end_time_unix_nano", "end_time"))
    parent = to_hex_id(first_of(span, "parent_span_id", "parent_id"))
    values: Row = {
        **noted,
        **{name: value for name, value in about.items() if value is not None},
        **counts,
        "request_time": start,
        "time_basis": "request_start" if start else None,
        "duration_s": otlp.seconds_between(
            first_of(span, "start_time_unix_nano", "start_time"),
            first_of(span, "end_time_unix_nano", "end_time"),
        )
        if start and end
        else None,
        "span_id": span_id,
        "parent_span_id": parent,
        "is_root": parent is None,
        "error_type": _error(span),
        "attributes_json": _rest(span, attributes, used, about),
    }
    native_id = f"{about['trace_id']}:{span_id}"
    return exchange(origin, NAME, request, response, values, native_id=native_id)


def _error(span: Record) -> str | None:
    status = as_dict(span.get("status"))
    code = to_text(first_of(status, "code")) or to_text(span.get("status_code")) or ""
    if not code.upper().endswith("ERROR"):
        return None
    events = span.get("events")
    for event in events if isinstance(events, list) else []:
        noted = as_dict(event.get("attributes")) if isinstance(event, dict) else {}
        named = text_of_value(as_json(noted.get("exception.type")))
        if named:
            return named
    return exception_name(first_of(status, "message") or span.get("status_message")) or "error"


def _rest(span: Record, attributes: Record, used: set[str], about: Row) -> str | None:
    kept = {k: v for k, v in attributes.items() if k not in _READ and k not in used}
    rest = {**as_dict(about["attributes_json"]), "name": span.get("name"), "attributes": kept}
    return leftover(rest, set())


def _add_vote(found: Decoded, assessment: Any, about: Row, origin: Origin) -> None:
    if not isinstance(assessment, dict):
        raise BadLine("an assessment that is no object")
    if assessment.get("valid") is False:
        found.skipped.append("superseded assessment")
        return
    source = as_dict(assessment.get("source"))
    annotator = _ANNOTATORS.get(to_text(source.get("source_type")) or "", "UNKNOWN")
    judgement = _judgement(assessment, annotator)
    if isinstance(judgement, str):
        found.skipped.append(judgement)
        return
    kind, values = judgement
    author = text_of_value(source.get("source_id"))
    role = "expert" if kind == "correction" else "unknown"
    if author is not None and author == about["user_id"]:
        role = "end_user"
    span = to_hex_id(assessment.get("span_id"))
    values = {
        **values,
        "feedback_id": text_of_value(assessment.get("assessment_id")),
        "name": text_of_value(first_of(assessment, "assessment_name", "name")),
        "explanation": text_of_value(assessment.get("rationale")),
        "annotator_kind": annotator,
        "annotator_role": role,
        "annotator_id": author,
        "feedback_time": to_time(
            first_of(assessment, "last_update_time", "create_time"), origin.date_format
        ),
        "target_kind": "span" if span else "trace",
        "target_span_id": span,
        "target_trace_id": about["trace_id"],
    }
    found.feedback.append(feedback(origin, NAME, kind, values))


def _judgement(assessment: Record, annotator: str) -> tuple[str, Row] | str:
    """Return an assessment's kind and values, or why it is none."""
    expectation = as_dict(assessment.get("expectation"))
    if expectation:
        wanted = expectation.get("value")
        if wanted is None:
            wanted = as_json(get_path(expectation, "serialized_value.value"))
        # An expected fact or label is no answer, and a program's is no person's.
        if annotator != "HUMAN":
            return "expectation not by a person"
        if not isinstance(wanted, str) or not wanted.strip():
            return "expectation that is no text"
        return "correction", votes.correction(wanted)
    said = as_dict(assessment.get("feedback"))
    value = said.get("value")
    if value is None:
        return "failed assessment" if said.get("error") else "assessment without a value"
    name = text_of_value(first_of(assessment, "assessment_name", "name"))
    if isinstance(value, dict | list):
        return "comment", {"text": to_json(value)}
    is_vote = isinstance(value, bool) and annotator == "HUMAN"
    if isinstance(value, str):
        return votes.score(name, None, value) if value.strip() else "assessment without a value"
    return votes.score(name, value, is_boolean=is_vote)


FORMAT = Format(
    NAME,
    "MLflow traces",
    "info beside data.spans",
    Rank.ENVELOPE,
    recognises,
    decode,
)
