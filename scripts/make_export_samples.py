"""Write small exports, as each tool writes them, to sample_data/exports: the same bytes each time.

They are the inputs of the commands in docs/getting-your-logs-out.md. A made-up library answers
questions of made-up readers; the shapes are the tools', the sentences are ours.

    python -m scripts.make_export_samples
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

Record = dict[str, Any]

FOLDER = Path(__file__).parents[1] / "sample_data" / "exports"
START = datetime(2026, 10, 12, 9, 30, tzinfo=UTC)
MODEL = "desk-model-2026-09"
SYSTEM = "You answer for the desk of the Harbour Street Library."
# The question, the answer, and how many words each costs; the third answer is wrong.
CALLS = (
    ("How do I renew a book?", "Open Loans, and choose Renew beside the title.", 31, 11),
    ("May I return a book at another branch?", "Yes, at any branch of the city.", 34, 9),
    ("Is the reading room open on Sundays?", "No, it is closed on Sundays.", 33, 8),
)
CORRECTION = "Yes, on Sundays it is open from noon to five."
FIELDS = ("id", "timestamp", "model", "session_id", "user_id", "prompt", "response")


def at(number: int, seconds: float = 0.0) -> datetime:
    """Return when a call began, or some seconds after that."""
    return START + timedelta(minutes=7 * number, seconds=seconds)


def iso(moment: datetime) -> str:
    """Write a time as most tools do."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def nanos(moment: datetime) -> str:
    """Write a time as OTLP does."""
    return f"{int(moment.timestamp())}{moment.microsecond * 1000:09d}"


def trace_id(number: int) -> str:
    """Return the id of a call's trace, as hex."""
    return f"5f{number:030x}"


def span_id(number: int) -> str:
    """Return the id of a call's span, as hex."""
    return f"a7{number:014x}"


def run_id(number: int) -> str:
    """Return a UUID for a call."""
    return f"6f0d2c1e-0000-4000-8000-{number:012x}"


def messages(number: int) -> list[Record]:
    """Return what was asked, as OpenAI's API takes it."""
    return [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": CALLS[number][0]},
    ]


def completion(number: int, model: str = MODEL) -> Record:
    """Return what OpenAI's API, and servers like it, answer."""
    _, answer, n_in, n_out = CALLS[number]
    return {
        "id": f"chatcmpl-desk{number}",
        "object": "chat.completion",
        "created": int(at(number, 1).timestamp()),
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": answer, "refusal": None},
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": n_in,
            "completion_tokens": n_out,
            "total_tokens": n_in + n_out,
        },
    }


def claude_message(number: int) -> Record:
    """Return what Anthropic's API answers."""
    _, answer, n_in, n_out = CALLS[number]
    return {
        "id": f"msg_desk{number}",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [{"type": "text", "text": answer}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": n_in,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": n_out,
        },
    }


def flat(number: int) -> Record:
    """Return a record as people write it themselves."""
    question, answer, _, _ = CALLS[number]
    values = (
        *(f"call-{number}", iso(at(number)), MODEL, f"visit-{number // 2}", f"reader-{number}"),
        *(question, answer),
    )
    return dict(zip(FIELDS, values, strict=True))


def home_made() -> list[Record]:
    """Return flat records, two of them with the reader's verdict."""
    records = [flat(number) for number in range(3)]
    records[0]["feedback"] = "up"
    records[2] |= {"feedback": "down", "correction": CORRECTION}
    return records


def home_made_table() -> list[Record]:
    """Return flat records for a spreadsheet."""
    return [{**flat(number), "rating": rating} for number, rating in ((0, 5), (1, 4), (2, 1))]


def home_made_other_names() -> list[Record]:
    """Return records whose names nobody could guess."""
    return [
        {
            "ref": f"call-{number}",
            "asked": {"at": at(number).strftime("%d.%m.%Y %H:%M"), "text": CALLS[number][0]},
            "said": {"text": CALLS[number][1], "by": MODEL},
        }
        for number in range(3)
    ]


def home_made_feedback() -> list[Record]:
    """Return votes on the flat records, kept in a file of their own."""
    return [
        {"response_id": "call-1", "kind": "rating", "value": 4, "scale_min": 1, "scale_max": 5},
        {"response_id": "call-2", "kind": "thumbs", "value": "down", "user": "reader-2"},
        {"response_id": "call-2", "kind": "correction", "value": CORRECTION, "user": "desk-7"},
    ]


def openai_wrapper(model: str = MODEL) -> list[Record]:
    """Return requests beside responses, as our wrapper logs them; the last call failed."""
    records: list[Record] = [
        {
            "timestamp": at(number).timestamp(),
            "session_id": f"visit-{number // 2}",
            "user_id": f"reader-{number}",
            "request": {"model": model, "messages": messages(number), "temperature": 0.2},
            "response": completion(number, model),
            "latency_s": 0.9,
        }
        for number in range(3)
    ]
    failed = {"error": {"type": "RateLimitError", "message": "too many requests"}}
    records.append({**records[0], "timestamp": at(3).timestamp(), "response": failed})
    return records


def openai_compatible() -> list[Record]:
    """Return the same log of a server that speaks OpenAI's API."""
    return openai_wrapper("local/desk-7b")[:3]


def openai_batch_input() -> list[Record]:
    """Return the file that was uploaded as a batch."""
    return [
        {
            "custom_id": f"desk-{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": MODEL, "messages": messages(number)},
        }
        for number in range(3)
    ]


def openai_batch_output() -> list[Record]:
    """Return the batch's results, in an order of their own."""
    return [
        {
            "id": f"batch_req_{number}",
            "custom_id": f"desk-{number}",
            "response": {
                "status_code": 200,
                "request_id": f"req_{number}",
                "body": completion(number),
            },
            "error": None,
        }
        for number in (2, 0, 1)
    ]


def openai_stored() -> list[Record]:
    """Return stored completions, each with its messages."""
    return [
        {**completion(n), "metadata": {"session_id": f"visit-{n // 2}"}, "messages": messages(n)}
        for n in range(3)
    ]


def anthropic_wrapper() -> list[Record]:
    """Return requests beside messages, as our wrapper logs them."""
    return [
        {
            "timestamp": at(number).timestamp(),
            "user_id": f"reader-{number}",
            "request": {**_claude_request(number), "system": SYSTEM},
            "response": claude_message(number),
            "latency_s": 1.1,
        }
        for number in range(3)
    ]


def anthropic_batch_requests() -> list[Record]:
    """Return the requests that were sent as a batch."""
    return [
        {"custom_id": f"desk-{number}", "params": _claude_request(number)} for number in range(3)
    ]


def anthropic_batch_results() -> list[Record]:
    """Return the batch's results; the last request expired."""
    done: list[Record] = [
        {
            "custom_id": f"desk-{number}",
            "result": {"type": "succeeded", "message": claude_message(number)},
        }
        for number in (1, 0)
    ]
    return [*done, {"custom_id": "desk-2", "result": {"type": "expired"}}]


def _claude_request(number: int) -> Record:
    return {
        "model": MODEL,
        "max_tokens": 200,
        "messages": [{"role": "user", "content": CALLS[number][0]}],
    }


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


def _attributes(values: Record) -> list[Record]:
    """Write attributes as OTLP's JSON has them."""
    written = []
    for key, value in values.items():
        if isinstance(value, int):
            written.append({"key": key, "value": {"intValue": str(value)}})
        elif isinstance(value, float):
            written.append({"key": key, "value": {"doubleValue": value}})
        elif isinstance(value, list):
            listed = [{"stringValue": item} for item in value]
            written.append({"key": key, "value": {"arrayValue": {"values": listed}}})
        else:
            written.append({"key": key, "value": {"stringValue": value}})
    return written


def _span(number: int) -> Record:
    question, answer, n_in, n_out = CALLS[number]
    asked = [{"role": "user", "parts": [{"type": "text", "content": question}]}]
    part = {"type": "text", "content": answer}
    said = [{"role": "assistant", "parts": [part], "finish_reason": "stop"}]
    return {
        "traceId": trace_id(number),
        "spanId": span_id(number),
        "parentSpanId": "",
        "name": f"chat {MODEL}",
        "kind": 3,
        "startTimeUnixNano": nanos(at(number)),
        "endTimeUnixNano": nanos(at(number, 0.9)),
        "attributes": _attributes(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": MODEL,
                "gen_ai.response.model": MODEL,
                "gen_ai.response.id": f"chatcmpl-desk{number}",
                "gen_ai.conversation.id": f"visit-{number // 2}",
                "gen_ai.usage.input_tokens": n_in,
                "gen_ai.usage.output_tokens": n_out,
                "gen_ai.response.finish_reasons": ["stop"],
                "gen_ai.input.messages": json.dumps(asked),
                "gen_ai.output.messages": json.dumps(said),
            }
        ),
        "status": {},
    }


def otel_traces() -> list[Record]:
    """Return lines of the collector's file exporter: model calls, and a tool's span."""
    tool = {
        **_span(1),
        "spanId": span_id(8),
        "parentSpanId": span_id(1),
        "name": "execute_tool find_branches",
        "attributes": _attributes({"gen_ai.operation.name": "execute_tool"}),
    }
    resource = {"attributes": _attributes({"service.name": "desk"})}
    scope = {"name": "desk.instrumentation"}
    return [
        {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": s}]}]}
        for s in ([_span(0), _span(1)], [tool], [_span(2)])
    ]


def otel_logs() -> list[Record]:
    """Return a line of the collector's file exporter with a reader's verdict."""
    event = {
        "timeUnixNano": nanos(at(3)),
        "eventName": "gen_ai.evaluation.result",
        "attributes": _attributes(
            {
                "gen_ai.evaluation.name": "user_thumb",
                "gen_ai.evaluation.score.value": 0.0,
                "gen_ai.evaluation.score.label": "thumbs_down",
                "gen_ai.response.id": "chatcmpl-desk2",
            }
        ),
        "traceId": trace_id(2),
        "spanId": span_id(2),
    }
    resource = {"attributes": _attributes({"service.name": "desk"})}
    return [{"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [event]}]}]}]


def phoenix_spans() -> list[Record]:
    """Return rows of Phoenix's table of spans, as pandas writes them."""
    return [
        {
            "name": "ChatCompletion",
            "span_kind": "LLM",
            "parent_id": None,
            "start_time": iso(at(number)),
            "end_time": iso(at(number, 0.9)),
            "status_code": "OK",
            "status_message": "",
            "context.span_id": span_id(number),
            "context.trace_id": trace_id(number),
            "attributes.openinference.span.kind": "LLM",
            "attributes.llm.model_name": MODEL,
            "attributes.llm.input_messages": [
                {"message.role": "user", "message.content": CALLS[number][0]}
            ],
            "attributes.llm.output_messages": [
                {"message.role": "assistant", "message.content": CALLS[number][1]}
            ],
            "attributes.llm.token_count.prompt": CALLS[number][2],
            "attributes.llm.token_count.completion": CALLS[number][3],
            "attributes.session.id": f"visit-{number // 2}",
        }
        for number in range(3)
    ]


def phoenix_annotations() -> list[Record]:
    """Return rows of Phoenix's table of annotations."""
    given = (
        (0, "user_feedback", "HUMAN", "thumbs_up", 1.0),
        (2, "user_feedback", "HUMAN", "thumbs_down", 0.0),
        (2, "correctness", "LLM", "incorrect", 0.0),
    )
    return [
        {
            "span_id": span_id(number),
            "id": f"annotation-{place}",
            "annotation_name": name,
            "annotator_kind": kind,
            "identifier": "",
            "metadata": {},
            "created_at": iso(at(3, place)),
            "updated_at": iso(at(3, place)),
            "result.label": label,
            "result.score": score,
        }
        for place, (number, name, kind, label, score) in enumerate(given)
    ]


def openwebui_feedbacks() -> list[Record]:
    """Return the export of ratings: a thumb up, and a vote against a second model's answer."""
    return [_rating(0, 1, None), _rating(2, -1, CORRECTION)]


def _rating(number: int, rating: int, other: str | None) -> Record:
    question, answer, _, _ = CALLS[number]
    seconds = int(at(number).timestamp())
    answers = [(f"m-{number}a", MODEL, answer)]
    if other:
        answers.append((f"m-{number}b", "desk-model-2026-10", other))
    history: Record = {
        f"q-{number}": {
            "id": f"q-{number}",
            "parentId": None,
            "childrenIds": [key for key, _, _ in answers],
            "role": "user",
            "content": question,
            "timestamp": seconds,
        }
    }
    for key, model, text in answers:
        history[key] = {
            "id": key,
            "parentId": f"q-{number}",
            "childrenIds": [],
            "role": "assistant",
            "content": text,
            "model": model,
            "done": True,
            "timestamp": seconds + 1,
        }
    chat = {
        "title": "Desk",
        "models": [model for _, model, _ in answers],
        "history": {"messages": history, "currentId": answers[0][0]},
    }
    chat_id = f"chat-{number}"
    return {
        "id": f"feedback-{number}",
        "user_id": f"reader-{number}",
        "version": 0,
        "type": "rating",
        "data": {
            "rating": rating,
            "model_id": MODEL,
            "sibling_model_ids": [model for _, model, _ in answers[1:]] or None,
            "reason": None,
            "comment": "",
            "tags": [],
        },
        "meta": {
            "arena": False,
            "chat_id": chat_id,
            "message_id": answers[0][0],
            "message_index": 2,
            "model_id": MODEL,
        },
        "snapshot": {"chat": {"id": chat_id, "user_id": f"reader-{number}", "chat": chat}},
        "created_at": seconds + 60,
        "updated_at": seconds + 60,
    }


def litellm_payloads() -> list[Record]:
    """Return LiteLLM's standard logging payloads."""
    return [
        {
            "id": f"chatcmpl-desk{number}",
            "trace_id": f"trace-{number}",
            "call_type": "acompletion",
            "stream": False,
            "status": "success",
            "custom_llm_provider": "openai",
            "model": MODEL,
            "model_group": "desk",
            "model_map_information": {},
            "prompt_tokens": CALLS[number][2],
            "completion_tokens": CALLS[number][3],
            "total_tokens": CALLS[number][2] + CALLS[number][3],
            "startTime": at(number).timestamp(),
            "endTime": at(number, 0.9).timestamp(),
            "completionStartTime": at(number, 0.9).timestamp(),
            "response_time": 0.9,
            "response_cost": 0.0001,
            "cache_hit": None,
            "end_user": f"reader-{number}",
            "request_tags": ["web"],
            "messages": messages(number),
            "response": completion(number),
            "model_parameters": {"temperature": 0.2},
            "metadata": {},
        }
        for number in range(3)
    ]


def helicone_requests() -> list[Record]:
    """Return requests as Helicone's export tool writes them with their bodies."""
    return [
        {
            "request_id": f"request-{number}",
            "response_id": f"response-{number}",
            "request_created_at": iso(at(number)),
            "response_created_at": iso(at(number, 0.9)),
            "response_status": 200,
            "request_path": "/v1/chat/completions",
            "request_body": {"model": MODEL, "messages": messages(number)},
            "response_body": completion(number),
            "request_user_id": f"reader-{number}",
            "request_properties": {"Helicone-Session-Id": f"visit-{number // 2}"},
            "request_model": MODEL,
            "response_model": MODEL,
            "provider": "OPENAI",
            "delay_ms": 900,
            "prompt_tokens": CALLS[number][2],
            "completion_tokens": CALLS[number][3],
            "feedback_rating": (True, None, False)[number],
            "feedback_created_at": None if number == 1 else iso(at(3, number)),
            "costUSD": 0.0001,
        }
        for number in range(3)
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


MAPPING = """\
date_format = "%d.%m.%Y %H:%M"

[columns]
id = "ref"
prompt = "asked.text"
request_time = "asked.at"
response = "said.text"
model = "said.by"
"""


def _lines(records: Iterable[Record]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def _array(records: Iterable[Record]) -> str:
    return json.dumps(list(records), ensure_ascii=False, indent=1) + "\n"


def _table(records: Iterable[Record]) -> str:
    rows = list(records)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


FILES: dict[str, tuple[Callable[[Iterable[Record]], str], Callable[[], list[Record]]]] = {
    "home_made.jsonl": (_lines, home_made),
    "home_made.csv": (_table, home_made_table),
    "home_made_other_names.jsonl": (_lines, home_made_other_names),
    "home_made_feedback.jsonl": (_lines, home_made_feedback),
    "openai_wrapper.jsonl": (_lines, openai_wrapper),
    "openai_compatible.jsonl": (_lines, openai_compatible),
    "openai_batch_input.jsonl": (_lines, openai_batch_input),
    "openai_batch_output.jsonl": (_lines, openai_batch_output),
    "openai_stored.jsonl": (_lines, openai_stored),
    "anthropic_wrapper.jsonl": (_lines, anthropic_wrapper),
    "anthropic_batch_requests.jsonl": (_lines, anthropic_batch_requests),
    "anthropic_batch_results.jsonl": (_lines, anthropic_batch_results),
    "langfuse_observations.jsonl": (_lines, langfuse_observations),
    "langfuse_scores.jsonl": (_lines, langfuse_scores),
    "langsmith_runs.jsonl": (_lines, langsmith_runs),
    "langsmith_feedback.jsonl": (_lines, langsmith_feedback),
    "otel_traces.jsonl": (_lines, otel_traces),
    "otel_logs.jsonl": (_lines, otel_logs),
    "phoenix_spans.jsonl": (_lines, phoenix_spans),
    "phoenix_annotations.jsonl": (_lines, phoenix_annotations),
    "openwebui_feedbacks.json": (_array, openwebui_feedbacks),
    "litellm_payloads.jsonl": (_lines, litellm_payloads),
    "helicone_requests.jsonl": (_lines, helicone_requests),
    "mlflow_traces.jsonl": (_lines, mlflow_traces),
}


def files() -> dict[str, str]:
    """Return every file's text by its name."""
    made = {name: write(records()) for name, (write, records) in FILES.items()}
    return {**made, "home_made_mapping.toml": MAPPING}


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=FOLDER)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (out / name).write_text(text, encoding="utf-8")
        print(f"{len(text.encode()):>7,} bytes  {out / name}")


if __name__ == "__main__":
    main()
