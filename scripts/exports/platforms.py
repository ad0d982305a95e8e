"""What Langfuse, LangSmith and MLflow export."""

from __future__ import annotations

import json
from typing import Any

from scripts.exports.calls import (
    CALLS,
    CORRECTION,
    MODEL,
    Record,
    at,
    completion,
    iso,
    messages,
    nanos,
    run_id,
    span_id,
    trace_id,
)


def langfuse_observations() -> list[Record]:
    """Return rows of the blob export's enriched observations, and a tool's among them."""
    rows = [_observation(number) for number in range(3)]
    tool = {
        **rows[1],
        "id": "obs-tool",
        "type": "TOOL",
        "parent_observation_id": "obs-1",
        "name": "find_branches",
        "input": '{"city": true}',
        "output": "[]",
        "provided_model_name": "",
        "usage_details": {},
    }
    return [*rows, tool]


def _observation(number: int) -> Record:
    def clock(seconds: float) -> str:
        return at(number, seconds).strftime("%Y-%m-%d %H:%M:%S.%f")

    _, answer, n_in, n_out = CALLS[number]
    return {
        "id": f"obs-{number}",
        "trace_id": f"trace-{number}",
        "project_id": "desk",
        "environment": "production",
        "type": "GENERATION",
        "parent_observation_id": "",
        "start_time": clock(0),
        "end_time": clock(0.9),
        "name": "answer",
        "metadata": {},
        "level": "DEFAULT",
        "status_message": "",
        "input": json.dumps(messages(number)),
        "output": json.dumps({"role": "assistant", "content": answer}),
        "provided_model_name": MODEL,
        "model_parameters": '{"temperature":0.2}',
        "usage_details": {"input": n_in, "output": n_out, "total": n_in + n_out},
        "cost_details": {},
        "completion_start_time": None,
        "prompt_name": "desk",
        "prompt_version": 3,
        "total_cost": 0.0001,
        "latency": 0.9,
        "created_at": clock(2),
        "updated_at": clock(2),
        "tool_calls": [],
        "tool_call_names": [],
        "tool_definitions": {},
        "user_id": f"reader-{number}",
        "session_id": f"visit-{number // 2}",
        "trace_name": "desk",
        "tags": ["web"],
        "release": "2026-10-01",
        "bookmarked": False,
        "public": False,
    }


def langfuse_scores() -> list[Record]:
    """Return scores as the third version of the API gives them, a correction among them."""
    given: tuple[tuple[str, str, str, Any, Record], ...] = (
        ("user-feedback", "BOOLEAN", "API", True, {"kind": "trace", "id": "trace-0"}),
        ("user-feedback", "BOOLEAN", "API", False, _of_observation(2)),
        ("output", "CORRECTION", "ANNOTATION", CORRECTION, _of_observation(2)),
        ("grounded", "NUMERIC", "EVAL", 0.4, _of_observation(2)),
    )
    return [
        {
            "id": f"score-{place}",
            "projectId": "desk",
            "name": name,
            "value": value,
            "dataType": data_type,
            "source": source,
            "timestamp": iso(at(3, place)),
            "environment": "production",
            "createdAt": iso(at(3, place)),
            "updatedAt": iso(at(3, place)),
            "subject": subject,
            "comment": None,
            "authorUserId": "desk-7" if source == "ANNOTATION" else None,
        }
        for place, (name, data_type, source, value, subject) in enumerate(given)
    ]


def _of_observation(number: int) -> Record:
    return {"kind": "observation", "id": f"obs-{number}", "traceId": f"trace-{number}"}


def langsmith_runs() -> list[Record]:
    """Return runs as `list_runs` gives them: three calls, and the chain around the first."""
    runs = [_run(number) for number in range(3)]
    runs[0]["parent_run_id"] = run_id(9)
    runs[0]["trace_id"] = run_id(9)
    chain = {
        **_run(0),
        "id": run_id(9),
        "trace_id": run_id(9),
        "name": "desk",
        "run_type": "chain",
        "child_run_ids": [run_id(0)],
    }
    return [chain, *runs]


def _run(number: int) -> Record:
    question, answer, n_in, n_out = CALLS[number]
    return {
        "id": run_id(number),
        "trace_id": run_id(number),
        "name": "ChatModel",
        "run_type": "llm",
        "start_time": at(number).strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "end_time": at(number, 0.9).strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "status": "success",
        "error": None,
        "inputs": {"messages": [{"role": "user", "content": question}], "model": MODEL},
        "outputs": {"role": "assistant", "content": answer},
        "extra": {
            "metadata": {
                "ls_provider": "openai",
                "ls_model_name": MODEL,
                "thread_id": f"visit-{number // 2}",
            }
        },
        "tags": [],
        "session_id": run_id(15),
        "parent_run_id": None,
        "child_run_ids": [],
        "prompt_tokens": n_in,
        "completion_tokens": n_out,
        "total_tokens": n_in + n_out,
        "first_token_time": None,
    }


def langsmith_feedback() -> list[Record]:
    """Return feedback as `list_feedback` gives it; the first is on the chain's run."""
    given = (
        (9, "user_score", 1, None),
        (2, "user_score", 0, None),
        (2, "correction", None, {"output": CORRECTION}),
    )
    return [
        {
            "id": run_id(100 + place),
            "created_at": iso(at(3, place)),
            "modified_at": iso(at(3, place)),
            "run_id": run_id(number),
            "trace_id": run_id(number),
            "key": key,
            "score": score,
            "value": None,
            "comment": None,
            "correction": correction,
            "feedback_source": {"type": "api", "metadata": {}, "user_id": None},
        }
        for place, (number, key, score, correction) in enumerate(given)
    ]


def mlflow_traces() -> list[Record]:
    """Return MLflow's traces as their `to_dict` writes them, with a reader's assessments."""
    traces = [_mlflow_trace(number) for number in range(3)]
    given: tuple[tuple[str, Record], ...] = (
        ("user_satisfaction", {"feedback": {"value": False}}),
        ("expected_response", {"expectation": {"value": CORRECTION}}),
    )
    traces[2]["info"]["assessments"] = [
        {
            "assessment_id": f"assessment-{place}",
            "assessment_name": name,
            "trace_id": f"tr-{trace_id(2)}",
            "source": {"source_type": "HUMAN", "source_id": "reader-2"},
            "create_time": iso(at(3, place)),
            "last_update_time": iso(at(3, place)),
            "valid": True,
            **judged,
        }
        for place, (name, judged) in enumerate(given)
    ]
    return traces


def _mlflow_trace(number: int) -> Record:
    asked = {"model": MODEL, "messages": messages(number)}
    return {
        "info": {
            "trace_id": f"tr-{trace_id(number)}",
            "request_time": iso(at(number)),
            "execution_duration": "0.9s",
            "state": "OK",
            "trace_metadata": {
                "mlflow.trace.session": f"visit-{number // 2}",
                "mlflow.trace.user": f"reader-{number}",
            },
            "tags": {},
            "assessments": [],
        },
        "data": {
            "spans": [
                {
                    "trace_id": trace_id(number),
                    "span_id": span_id(number),
                    "parent_span_id": "",
                    "name": "Completions",
                    "start_time_unix_nano": int(nanos(at(number))),
                    "end_time_unix_nano": int(nanos(at(number, 0.9))),
                    "status": {"code": "STATUS_CODE_OK", "message": ""},
                    "attributes": {
                        "mlflow.spanType": json.dumps("CHAT_MODEL"),
                        "mlflow.spanInputs": json.dumps(asked),
                        "mlflow.spanOutputs": json.dumps(completion(number)),
                    },
                    "events": [],
                }
            ]
        },
    }
