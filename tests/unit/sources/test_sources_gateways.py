"""Weave, Braintrust, Datadog, Helicone and LiteLLM records become rows and votes."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from decoding import decoded, row_of, vote_of

from loopllm_cli.sources.reading import BadLine

ASKED = [{"role": "user", "content": "Which bus goes to the harbour?"}]
ANSWERED = {
    "id": "chatcmpl-7",
    "object": "chat.completion",
    "model": "m-2026-01",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "The number nine."},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 12, "completion_tokens": 5},
}


def call(**changes: Any) -> dict[str, Any]:
    """Return a Weave call of a model."""
    return {
        "id": "c1",
        "op_name": "weave:///acme/bot/op/openai.chat.completions.create:v1",
        "trace_id": "t1",
        "parent_id": None,
        "started_at": "2026-09-01T10:00:00Z",
        "ended_at": "2026-09-01T10:00:02Z",
        "inputs": {"self": "weave:///acme/bot/object/x:1", "model": "m", "messages": ASKED},
        "output": ANSWERED,
        "exception": None,
        "summary": {},
    } | changes


def span(**changes: Any) -> dict[str, Any]:
    """Return a Braintrust span of a model."""
    return {
        "id": "r1",
        "_xact_id": "1000195000000000001",
        "created": "2026-09-01T10:00:00Z",
        "root_span_id": "s0",
        "span_id": "s1",
        "span_parents": ["s0"],
        "is_root": False,
        "input": ASKED,
        "output": ANSWERED["choices"],
        "span_attributes": {"type": "llm"},
    } | changes


def datadog(**changes: Any) -> dict[str, Any]:
    """Return a Datadog span of a model."""
    attributes = {
        "trace_id": "11",
        "span_id": "22",
        "parent_id": "undefined",
        "ml_app": "bus-bot",
        "span_kind": "llm",
        "start_ns": 1788257000000000000,
        "duration": 2_500_000_000,
        "input": {"messages": ASKED},
        "output": {"messages": [{"content": "The number nine."}]},
    }
    return {"id": "e1", "type": "span", "attributes": attributes | changes}


def helicone(**changes: Any) -> dict[str, Any]:
    """Return a Helicone request."""
    return {
        "request_id": "q1",
        "response_id": "h1",
        "request_created_at": "2026-09-01T10:00:00Z",
        "response_created_at": "2026-09-01T10:00:02Z",
        "response_status": 200,
        "request_body": {"model": "m", "messages": ASKED},
        "response_body": ANSWERED,
        "request_path": "/v1/chat/completions",
        "provider": "OPENAI",
        "prompt_tokens": 12,
        "completion_tokens": 5,
    } | changes


def standard(**changes: Any) -> dict[str, Any]:
    """Return a LiteLLM logging payload."""
    return {
        "id": "chatcmpl-7",
        "call_type": "acompletion",
        "status": "success",
        "stream": True,
        "startTime": 1788257000.0,
        "completionStartTime": 1788257000.5,
        "endTime": 1788257002.0,
        "model": "m",
        "model_group": "alias",
        "model_map_information": {},
        "messages": ASKED,
        "response": ANSWERED,
        "model_parameters": {"temperature": 0.5},
        "metadata": {},
    } | changes


def spend(**changes: Any) -> dict[str, Any]:
    """Return a row of LiteLLM's spend logs."""
    return {
        "request_id": "chatcmpl-7",
        "call_type": "acompletion",
        "spend": 0.01,
        "startTime": "2026-09-01T10:00:00Z",
        "endTime": "2026-09-01T10:00:02Z",
        "model": "m",
        "messages": {},
        "response": {},
        "cache_hit": "",
    } | changes


def skipped(record: dict[str, Any]) -> list[str]:
    """Return why a record gave no row, having checked that it gave none."""
    found = decoded(record)[1]
    assert [] == found.interactions
    return found.skipped


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (call(deleted_at="2026-09-02"), "deleted call"),
        (call(output=None, ended_at=None), "call that has not ended"),
        (call(output=[0.1, 0.2]), "call without a text answer"),
        (call(parent_id="c0", inputs={"query": "bus"}, output="found"), "child call"),
        (call(inputs={"k": 3}, output={"n": 1}), "root call without question and answer"),
        (span(span_attributes={"type": "tool"}), "tool span"),
        (span(span_attributes={"type": "score"}, scores={"right": 1}), "score span"),
        (span(span_attributes={"type": "task"}, input="a?", output="b"), "task span"),
        (span(span_attributes={"type": "llm", "purpose": "scorer"}), "scorer span"),
        (span(span_attributes={"type": "of our own"}), "other span"),
        (datadog(span_kind="retrieval"), "retrieval span"),
        (datadog(span_kind="workflow", parent_id="7"), "workflow span"),
        (helicone(request_path="/v1/embeddings"), "embedding call"),
        (helicone(response_status=-2, response_body={}), "pending request"),
        (standard(call_type="aembedding"), "embedding call"),
        (spend(call_type="aimage_generation"), "image call"),
    ],
)
def test_what_is_no_response_is_counted_by_a_reason(record: dict[str, Any], reason: str) -> None:
    assert [reason] == skipped(record)


def test_a_weave_call_has_its_model_tokens_and_version() -> None:
    row = row_of(call())
    assert ("m", "m-2026-01", 12, 5) == (
        row["request_model"],
        row["response_model"],
        row["input_tokens"],
        row["output_tokens"],
    )
    assert ("openai", 2.0, 1788256802000000) == (
        row["provider_name"],
        row["duration_s"],
        row["source_version"],
    )


def test_tokens_of_a_parent_in_weave_are_not_taken_because_they_sum_up_its_children() -> None:
    usage = {"usage": {"m": {"input_tokens": 90, "output_tokens": 9}}}
    child = row_of(call(parent_id="c0", output="The number nine.", summary=usage))
    root = row_of(call(inputs={"question": "Which?"}, output={"answer": "Nine."}, summary=usage))
    assert (90, "m") == (child["input_tokens"], child["response_model"])
    assert (None, None, "Nine.") == (
        root["input_tokens"],
        root["response_model"],
        root["response_text"],
    )


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"output": "weave:///acme/bot/object/out:1"}, "absent"),
        ({"inputs": {"messages": "weave:///acme/bot/object/in:1"}}, "partial_context"),
        ({"inputs": {"messages": ["weave:///acme/bot/object/in:1", *ASKED]}}, "partial_context"),
        ({"inputs": {"question": "weave:///acme/bot/object/q:1"}}, "partial_context"),
    ],
)
def test_references_that_weave_did_not_follow_are_missing_content(
    changes: dict[str, Any], state: str
) -> None:
    row = row_of(call(**changes))
    assert state == row["content_state"]
    assert "weave:///" not in f"{row['input_messages']}{row['output_messages']}"


def test_a_failed_weave_call_is_a_row_with_the_name_of_its_error() -> None:
    row = row_of(call(output=None, exception="Traceback\n  File x\nopenai.RateLimitError: slow"))
    assert ("openai.RateLimitError", "absent") == (row["error_type"], row["content_state"])


@pytest.mark.parametrize(
    ("kind", "payload", "expected"),
    [
        ("wandb.reaction.1", {"emoji": "👍🏽", "detoned": "👍"}, ("thumbs", 1, "👍", None)),
        ("wandb.reaction.1", {"emoji": "🎉", "alias": ":tada:"}, ("label", None, "🎉", None)),
        ("wandb.annotation.is_rude", {"value": True}, ("score", None, None, 1.0)),
        ("wandb.annotation.topic", {"value": "travel"}, ("label", None, "travel", None)),
        ("wandb.runnable.fit", {"output": {"s": 0.5, "why": "ok"}}, ("score", None, None, 0.5)),
    ],
)
def test_weave_feedback_has_a_polarity_only_where_it_is_a_thumb(
    kind: str, payload: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    record = {"weave_ref": "weave:///acme/bot/call/c1", "feedback_type": kind, "payload": payload}
    vote = vote_of(record)
    actual = (vote["kind"], vote["polarity"], vote["score_label"], vote["score_value"])
    assert expected == actual
    assert ("span", "c1") == (vote["target_kind"], vote["target_span_id"])


def test_feedback_on_a_weave_call_that_is_no_response_is_about_its_trace() -> None:
    item = {"id": "f", "feedback_type": "wandb.reaction.1", "payload": {"emoji": "👎"}}
    record = call(inputs={}, output={"n": 1}, summary={"weave": {"feedback": [item]}})
    vote = vote_of(record)
    assert ("trace", "t1", None) == (
        vote["target_kind"],
        vote["target_trace_id"],
        vote["target_id"],
    )


def test_a_braintrust_transaction_is_read_without_losing_its_last_digits() -> None:
    assert 1000195000000000001 == row_of(span())["source_version"]


def test_what_braintrust_expected_is_a_reference_and_no_correction() -> None:
    found = decoded(span(expected="Take the nine."))[1]
    assert "Take the nine." == found.interactions[0]["reference_answer"]
    assert [] == found.feedback


def test_a_braintrust_score_has_a_scale_and_an_unknown_judge() -> None:
    found = decoded(span(scores={"right": 0.25, "unset": None}))[1]
    (vote,) = found.feedback
    assert ("score", 0.25, 0.0, 1.0, "UNKNOWN") == (
        vote["kind"],
        vote["score_value"],
        vote["scale_min"],
        vote["scale_max"],
        vote["annotator_kind"],
    )
    assert "polarity" not in vote


def test_a_datadog_user_is_read_from_the_tags_and_stays_nowhere_else() -> None:
    tags = ["env:prod", "user_id:u:9", "session_id:s-4", "version:2.1", "usr.email:a", "team:bus"]
    row = row_of(datadog(tags=tags), hash_user=lambda user: f"hashed {len(user)}")
    assert ("prod", "hashed 3", "s-4", "2.1", ["team:bus"]) == (
        row["deployment_environment"],
        row["user_id"],
        row["conversation_id"],
        row["service_version"],
        row["tags"],
    )
    assert "u:9" not in json.dumps(row, default=str)


def test_datadog_counts_in_nanoseconds() -> None:
    row = row_of(datadog())
    assert (2.5, 2026) == (row["duration_s"], row["request_time"].year)


def test_datadog_messages_with_tools_are_one_answer_and_without_them_choices() -> None:
    tool = {"role": "assistant", "tool_calls": [{"tool_id": "t", "name": "find", "arguments": {}}]}
    with_tool = decoded(datadog(output={"messages": [{"content": "Wait."}, tool]}))[1]
    choices = decoded(datadog(output={"messages": [{"content": "Nine."}, {"content": "9"}]}))[1]
    assert [["find"]] == [row["tool_call_names"] for row in with_tool.interactions]
    assert [0, 1] == [row["choice_index"] for row in choices.interactions]


def test_a_datadog_evaluation_that_failed_says_nothing() -> None:
    evaluation = {
        "right": {"value": 0.5, "status": "OK", "reasoning": "close"},
        "broken": {"value": 0, "status": "ERROR"},
    }
    (vote,) = decoded(datadog(evaluation=evaluation))[1].feedback
    assert ("right", "score", "close") == (vote["name"], vote["kind"], vote["explanation"])


def test_a_root_workflow_of_datadog_is_a_row() -> None:
    record = datadog(span_kind="workflow", input={"value": "Which?"}, output={"value": "Nine."})
    assert "Nine." == row_of(record)["response_text"]


@pytest.mark.parametrize(
    "pack",
    [
        lambda body: body,
        json.dumps,
        lambda body: json.dumps(json.dumps(body)),
        lambda body: json.dumps(body).replace('"', '""'),
        lambda body: '"' + json.dumps(body).replace('"', '""') + '"',
    ],
)
def test_a_helicone_body_is_read_however_often_it_was_encoded(pack: Any) -> None:
    row = row_of(helicone(request_body=pack({"messages": ASKED}), response_body=pack(ANSWERED)))
    assert ("Which bus goes to the harbour?", "The number nine.", "chatcmpl-7") == (
        row["prompt_text"],
        row["response_text"],
        row["response_id"],
    )


def test_a_helicone_csv_row_has_its_rating_and_no_response() -> None:
    record = helicone(feedback_rating="false", prompt_tokens="12", delay_ms="1500")
    del record["response_body"]
    record["request_body"] = json.dumps(record["request_body"])
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(record))
    writer.writeheader()
    writer.writerow(record)
    stream.seek(0)
    (read,) = csv.DictReader(stream)
    row, vote = row_of(read), vote_of(read)
    assert ("absent", 12, 1.5, 200) == (
        row["content_state"],
        row["input_tokens"],
        row["duration_s"],
        row["http_status"],
    )
    assert (-1, row["interaction_id"]) == (vote["polarity"], vote["target_id"])


def test_a_helicone_record_keeps_no_signed_address_and_reads_its_session() -> None:
    properties = {"Helicone-Session-Id": "s-4", "Shop": "north"}
    row = row_of(helicone(signed_body_url="https://x.invalid/s", request_properties=properties))
    assert "s-4" == row["conversation_id"]
    assert {"response_id": "h1", "request_properties_rest": {"Shop": "north"}} == {
        key: value
        for key, value in json.loads(row["attributes_json"]).items()
        if key != "request_path"
    }


def test_helicone_counts_a_cache_beside_the_prompt_only_where_it_cannot_be_inside() -> None:
    inside = row_of(helicone(response_body={}, prompt_cache_read_tokens=10))
    beside = row_of(helicone(response_body={}, prompt_cache_read_tokens=100))
    assert (12, 112) == (inside["input_tokens"], beside["input_tokens"])


@pytest.mark.parametrize(("status", "error"), [(-3, "cancelled"), (429, "429"), (200, None)])
def test_a_helicone_status_says_whether_the_call_failed(status: int, error: str | None) -> None:
    row = row_of(helicone(response_status=status, response_body={}))
    assert (error, status if status > 0 else None) == (row["error_type"], row["http_status"])


def test_helicone_scores_are_votes_without_polarity() -> None:
    scores = {"polite-hcone-bool": 1, "relevance": {"value": 80}, "helicone-score-feedback": 1}
    found = decoded(helicone(scores=scores))[1].feedback
    assert [("polite", 1.0), ("relevance", 80.0)] == [(v["name"], v["score_value"]) for v in found]
    assert all("polarity" not in vote for vote in found)


def test_litellm_has_a_time_to_the_first_chunk_only_where_it_streamed() -> None:
    assert 0.5 == row_of(standard())["time_to_first_chunk_s"]
    assert None is row_of(standard(stream=False))["time_to_first_chunk_s"]


def test_a_failed_litellm_call_has_no_counts_and_no_cost() -> None:
    row = row_of(
        standard(
            status="failure",
            response=None,
            prompt_tokens=0,
            response_cost=0.0,
            error_information={"error_class": "Timeout", "error_code": "408"},
        )
    )
    assert ("Timeout", 408, None, None, None) == (
        row["error_type"],
        row["http_status"],
        row["input_tokens"],
        row["cost_usd"],
        row["response_id"],
    )


@pytest.mark.parametrize("make", [standard, spend])
@pytest.mark.parametrize(
    "response",
    ["redacted-by-litellm", {"text": "redacted-by-litellm"}],
)
def test_what_litellm_redacted_is_marked(make: Any, response: Any) -> None:
    assert "redacted" == row_of(make(response=response))["content_state"]


def test_spend_logs_without_stored_prompts_have_no_content() -> None:
    row = row_of(spend(cache_hit="True"))
    assert ("absent", "chatcmpl-7", 0.01, None) == (
        row["content_state"],
        row["response_id"],
        row["cost_usd"],
        row["user_id"],
    )
    assert {"cached": True} == json.loads(row["attributes_json"])


def test_spend_logs_read_the_messages_from_the_stored_request() -> None:
    stored = json.dumps({"messages": ASKED})
    row = row_of(spend(proxy_server_request=stored, response=json.dumps(ANSWERED)))
    assert ("Which bus goes to the harbour?", "The number nine.", 12) == (
        row["prompt_text"],
        row["response_text"],
        row["input_tokens"],
    )


def test_one_call_in_both_logs_of_litellm_keeps_the_id_of_each() -> None:
    ids = [row_of(make(response=ANSWERED))["interaction_id"] for make in (standard, spend)]
    assert ["litellm_standard:chatcmpl-7", "litellm_spend:chatcmpl-7"] == ids


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("weave_call", call(id=None)),
        ("weave_feedback", {}),
        ("braintrust_span", span(id=None, span_id=None)),
        ("datadog_span", {}),
        ("helicone_request", helicone(request_id=None)),
        ("litellm_standard", standard(id=None)),
        ("litellm_spend", spend(request_id=[])),
        ("weave_call", call(output={"choices": [1]})),
    ],
)
def test_a_malformed_record_is_rejected_with_a_reason(name: str, record: dict[str, Any]) -> None:
    with pytest.raises(BadLine, match=r"^\w+"):
        decoded(record, only=name)
