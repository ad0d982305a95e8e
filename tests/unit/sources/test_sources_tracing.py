"""LangSmith, MLflow and Opik: runs, traces and what people said about them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from decoding import decode_all, decoded, row_of, vote_of

from loopllm_cli.sources.reading import BadLine

Record = dict[str, Any]
ASKED = {"messages": [{"role": "user", "content": "Where is the key?"}]}


def run(**fields: Any) -> Record:
    """Return a run of LangSmith."""
    return {
        "id": "run-1",
        "trace_id": "root",
        "parent_run_id": "root",
        "run_type": "llm",
        "name": "model",
        "start_time": "2026-10-01T08:00:00",
        "end_time": "2026-10-01T08:00:02",
        "first_token_time": "2026-10-01T08:00:00.500000",
        "status": "success",
        "error": None,
        "inputs": ASKED,
        "outputs": {"output": "Under the mat."},
        "extra": {"metadata": {"ls_model_name": "m-1", "thread_id": "th"}},
        "session_id": "project",
        "prompt_tokens": "61",
        "completion_tokens": 5,
        "total_cost": "0.25",
        **fields,
    }


def chain(**fields: Any) -> Record:
    root = {"id": "root", "parent_run_id": None, "run_type": "chain"}
    return run(**{**root, "inputs": {"question": "Where?"}, **fields})


def langsmith_vote(**fields: Any) -> Record:
    return {
        "id": "f",
        "run_id": "run-1",
        "trace_id": "root",
        "key": "helpful",
        "score": None,
        "value": None,
        "comment": None,
        "correction": None,
        "feedback_source": {"type": "api", "user_id": None},
        "created_at": "2026-10-01T09:00:00+00:00",
        **fields,
    }


def mlflow(span: Record | None = None, *assessments: Record, **info: Any) -> Record:
    """Return a trace of MLflow's third schema with one span."""
    known = {"trace_id": "tr-1", "trace_metadata": {"mlflow.trace.user": "u-1"}}
    spans = [] if span is None else [span]
    return {"info": {**known, "assessments": [*assessments], **info}, "data": {"spans": spans}}


def mlflow_span(kind: str = "CHAT_MODEL", **fields: Any) -> Record:
    return {
        "span_id": "qRs8d9Di9BU=",
        "parent_span_id": "",
        "name": "model",
        "start_time_unix_nano": 1790841600000000000,
        "end_time_unix_nano": 1790841602500000000,
        "status": {"code": "STATUS_CODE_OK"},
        "attributes": {
            "mlflow.spanType": json.dumps(kind),
            "mlflow.spanInputs": json.dumps(ASKED),
            "mlflow.spanOutputs": json.dumps("Under the mat."),
            "mlflow.chat.tokenUsage": json.dumps({"input_tokens": 61, "output_tokens": 5}),
        },
        **fields,
    }


def assessment(**fields: Any) -> Record:
    return {
        "assessment_id": "a",
        "assessment_name": "helpful",
        "source": {"source_type": "HUMAN", "source_id": "u-1"},
        "create_time": "2026-10-01T09:00:00Z",
        **fields,
    }


def opik(*spans: Record, **trace: Any) -> Record:
    known = {"id": "t-1", "thread_id": "th", "start_time": "2026-10-01 08:00:00+00:00"}
    return {"trace": {**known, "input": ASKED, "output": None, **trace}, "spans": list(spans)}


def opik_span(**fields: Any) -> Record:
    return {
        "id": "s-1",
        "trace_id": "t-1",
        "type": "llm",
        "start_time": "2026-10-01 08:00:00+00:00",
        "end_time": "2026-10-01 08:00:02.500000+00:00",
        "input": ASKED,
        "output": {"output": "Under the mat."},
        "usage": {"prompt_tokens": 61, "completion_tokens": 5},
        **fields,
    }


def opik_score(**fields: Any) -> Record:
    return {"name": "helpful", "value": 1.0, "source": "ui", "created_by": "ann", **fields}


def test_a_run_keeps_its_project_apart_from_its_conversation() -> None:
    row = row_of(run())
    assert ("th", "root", "run-1") == (row["conversation_id"], row["trace_id"], row["span_id"])
    assert (2.0, 0.5, 61, 0.25) == (
        *(row["duration_s"], row["time_to_first_chunk_s"]),
        *(row["input_tokens"], row["cost_usd"]),
    )


def test_a_parquet_row_holds_json_in_strings() -> None:
    texts = {key: json.dumps(run()[key]) for key in ("inputs", "outputs", "extra")}
    plain, packed = row_of(run()), row_of(run(**texts))
    assert plain["content_digest"] == packed["content_digest"]
    assert "m-1" == packed["request_model"]


def test_messages_and_generations_of_langchain_are_read() -> None:
    message = {"lc": 1, "id": ["HumanMessage"], "kwargs": {"content": "Where?", "type": "human"}}
    said = {"lc": 1, "id": ["AIMessage"], "kwargs": {"content": "Here.", "type": "ai"}}
    row = row_of(
        run(
            inputs={"messages": [[message]]},
            outputs={"generations": [[{"text": "Here.", "message": said}]]},
        )
    )
    assert ("Where?", "Here.") == (row["prompt_text"], row["response_text"])


def test_counts_of_the_answer_itself_go_before_those_of_the_run() -> None:
    usage = {"input_tokens": 7, "output_tokens": 3, "input_token_details": {"cache_read": 2}}
    row = row_of(run(outputs={"output": "Here.", "usage_metadata": usage}))
    assert (7, 3, 2) == (
        *(row["input_tokens"], row["output_tokens"]),
        row["cache_read_input_tokens"],
    )


def test_a_pending_run_is_a_row_that_its_end_replaces() -> None:
    pending = row_of(run(outputs=None, end_time=None, status="pending"))
    assert ("absent", None) == (pending["content_state"], pending["source_version"])
    assert row_of(run())["source_version"] > 0


def test_a_failed_run_has_the_name_of_its_error() -> None:
    failed = run(outputs=None, status="error", error="Traceback ...\nTimeoutError: too slow")
    assert "TimeoutError" == row_of(failed)["error_type"]


@pytest.mark.parametrize("kind", ["tool", "retriever", "embedding", "parser", "new", 5])
def test_a_run_that_is_no_model_is_counted_not_stored(kind: Any) -> None:
    found = decoded(run(run_type=kind))[1]
    assert (0, 1) == (len(found.interactions), len(found.skipped))


def test_a_chain_that_answers_a_question_by_itself_is_a_row() -> None:
    row = row_of(chain(child_run_ids=[]))
    assert ("Where?", "invoke_agent", True) == (
        *(row["prompt_text"], row["operation_name"]),
        row["is_root"],
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"child_run_ids": ["run-1"]},
        {"parent_run_id": "other"},
        {"inputs": {"a": 1, "b": 2}},
        {"outputs": None},
    ],
)
def test_a_chain_with_a_run_below_or_without_question_and_answer_is_none(fields: Record) -> None:
    assert ["chain run"] == decoded(chain(**fields))[1].skipped


@pytest.mark.parametrize(
    ("fields", "kind", "polarity"),
    [
        ({"key": "user_score", "score": 0}, "thumbs", -1),
        ({"key": "user_score", "score": True}, "thumbs", 1),
        ({"score": 0.5}, "score", None),
        ({"value": "warm"}, "label", None),
        ({"value": {"a": 1}}, "comment", None),
        ({"comment": "Fine."}, "comment", None),
        ({"correction": "At home."}, "correction", -1),
        ({"correction": {"output": "At home."}}, "correction", -1),
        ({"correction": '{"output": "At home."}'}, "correction", -1),
        ({"correction": {"output": "At home.", "city": "B"}}, "comment", None),
    ],
)
def test_feedback_has_the_kind_of_what_it_holds(
    fields: Record, kind: str, polarity: int | None
) -> None:
    vote = vote_of(langsmith_vote(**fields))
    assert (kind, polarity) == (vote["kind"], vote["polarity"])


def test_a_score_with_a_correction_is_two_votes() -> None:
    votes = decoded(langsmith_vote(score=1, correction="At home."))[1].feedback
    assert ["score", "correction"] == [vote["kind"] for vote in votes]


@pytest.mark.parametrize(
    ("source", "who"),
    [
        ("api", ("HUMAN", "end_user")),
        ("app", ("HUMAN", "expert")),
        ("model", ("LLM", "unknown")),
        ("new", ("UNKNOWN", "unknown")),
    ],
)
def test_the_source_of_feedback_says_who_judged(source: str, who: tuple[str, str]) -> None:
    vote = vote_of(langsmith_vote(correction="At home.", feedback_source={"type": source}))
    assert who == (vote["annotator_kind"], vote["annotator_role"])


def test_feedback_on_the_root_is_about_the_trace() -> None:
    vote = vote_of(langsmith_vote(score=1, run_id="root"))
    target = (vote["target_kind"], vote["target_span_id"], vote["target_trace_id"])
    assert ("trace", "root", "root") == target
    assert "span" == vote_of(langsmith_vote(score=1))["target_kind"]


@pytest.mark.parametrize(("second", "winner", "tie"), [(0, "a", False), (1, None, True)])
def test_the_scores_of_a_group_are_one_comparison(second: int, winner: Any, tie: bool) -> None:
    pair = [
        langsmith_vote(id=name, run_id=name, score=score, feedback_group_id="g")
        for name, score in (("a", 1), ("b", second))
    ]
    *scores, comparison = decode_all(pair)[1].feedback
    assert ["score", "score"] == [vote["kind"] for vote in scores]
    assert (["a", "b"], winner, tie) == (
        *(comparison["candidate_ids"], comparison["winner_id"]),
        comparison["tie"],
    )


def test_half_a_group_is_no_comparison_yet() -> None:
    half = langsmith_vote(score=1, feedback_group_id="g")
    assert ["score"] == [vote["kind"] for vote in decode_all([half])[1].feedback]


def test_a_span_of_mlflow_is_a_row_by_trace_and_hex_id() -> None:
    row = row_of(mlflow(mlflow_span()))
    assert ("tr-1", "a91b3c77d0e2f415") == (row["trace_id"], row["span_id"])
    assert (2.5, 61, "u-1") == (row["duration_s"], row["input_tokens"], row["user_id"])
    assert "Under the mat." == row["response_text"]


def test_a_trace_of_the_older_schema_is_read() -> None:
    span = mlflow_span("LLM", context={"span_id": "0x5E0C9A1FB2D84736"}, parent_id=None)
    del span["span_id"]
    span["start_time"] = span.pop("start_time_unix_nano")
    row = row_of({"info": {"request_id": "tr-0"}, "data": {"spans": [span]}})
    assert ("tr-0", "5e0c9a1fb2d84736") == (row["trace_id"], row["span_id"])


def test_only_one_level_of_json_is_undone_in_an_answer() -> None:
    span = mlflow_span()
    span["attributes"]["mlflow.spanOutputs"] = json.dumps('{"place": "mat"}')
    assert '{"place": "mat"}' == row_of(mlflow(span))["response_text"]


def test_a_failed_span_has_the_type_of_its_exception() -> None:
    event = {"name": "exception", "attributes": {"exception.type": "TimeoutError"}}
    span = mlflow_span(status={"code": "STATUS_CODE_ERROR", "message": "x"}, events=[event])
    assert "TimeoutError" == row_of(mlflow(span))["error_type"]


def test_without_a_model_span_the_root_is_the_row() -> None:
    row = row_of(mlflow(mlflow_span("UNKNOWN"), client_request_id="q-1"))
    assert ("invoke_agent", "q-1") == (row["operation_name"], row["request_id"])
    nested = mlflow(mlflow_span("TOOL", parent_span_id="aGVsbG8gMTI="))
    assert ["tool span"] == decoded(nested)[1].skipped


@pytest.mark.parametrize(
    ("fields", "kind", "polarity"),
    [
        ({"feedback": {"value": False}}, "thumbs", -1),
        ({"feedback": {"value": True}, "source": {"source_type": "LLM_JUDGE"}}, "score", None),
        ({"feedback": {"value": 0.5}}, "score", None),
        ({"feedback": {"value": "warm"}}, "label", None),
        ({"feedback": {"value": {"a": 1}}}, "comment", None),
        ({"expectation": {"value": "At home."}}, "correction", -1),
        ({"expectation": {"serialized_value": {"value": '"At home."'}}}, "correction", -1),
    ],
)
def test_an_assessment_has_the_kind_of_what_it_holds(
    fields: Record, kind: str, polarity: int | None
) -> None:
    vote = vote_of(mlflow(None, assessment(**fields)))
    assert (kind, polarity) == (vote["kind"], vote["polarity"])
    assert "tr-1" == vote["target_trace_id"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"feedback": {"value": True}, "valid": False}, "superseded assessment"),
        ({"expectation": {"value": ["a"]}}, "expectation that is no text"),
        (
            {"expectation": {"value": "a"}, "source": {"source_type": "CODE"}},
            "expectation not by a person",
        ),
        ({"feedback": {"error": {"error_code": "x"}}}, "failed assessment"),
    ],
)
def test_an_assessment_that_judges_nothing_is_counted(fields: Record, reason: str) -> None:
    found = decoded(mlflow(None, assessment(**fields)))[1]
    assert ([], [reason]) == (found.feedback, found.skipped)


def test_an_assessment_of_a_span_names_the_span() -> None:
    vote = vote_of(mlflow(None, assessment(feedback={"value": True}, span_id="qRs8d9Di9BU=")))
    assert ("span", "a91b3c77d0e2f415") == (vote["target_kind"], vote["target_span_id"])


def test_the_trace_s_user_is_the_end_user_of_its_assessment() -> None:
    own = vote_of(mlflow(None, assessment(feedback={"value": True})))
    other = {"source_type": "HUMAN", "source_id": "u-2"}
    theirs = vote_of(mlflow(None, assessment(feedback={"value": True}, source=other)))
    assert ("end_user", "unknown") == (own["annotator_role"], theirs["annotator_role"])


def test_a_model_span_of_opik_is_the_row_of_its_trace() -> None:
    row = row_of(opik(opik_span()))
    assert ("opik:s-1", "th", 2.5, 61) == (
        *(row["interaction_id"], row["conversation_id"]),
        *(row["duration_s"], row["input_tokens"]),
    )


def test_without_a_model_span_the_trace_of_opik_is_the_row() -> None:
    found = decoded(opik(opik_span(type="tool"), output={"output": "Under the mat."}))[1]
    assert ["opik:t-1"] == [row["interaction_id"] for row in found.interactions]
    assert ["tool span"] == found.skipped
    assert ["trace without an answer"] == decoded(opik())[1].skipped


def test_a_failed_trace_is_a_row_without_an_answer() -> None:
    row = row_of(opik(error_info={"exception_type": "TimeoutError", "traceback": "..."}))
    assert ("TimeoutError", "absent") == (row["error_type"], row["content_state"])


def test_scores_of_spans_go_before_their_average_on_the_trace() -> None:
    span = opik_span(feedback_scores=[opik_score()])
    found = decoded(opik(span, feedback_scores=[opik_score(), opik_score(name="other")]))[1]
    targets = [(vote["name"], vote["target_kind"]) for vote in found.feedback]
    assert [("helpful", "span"), ("other", "trace")] == targets
    assert ["average of span scores"] == found.skipped


def test_each_author_of_a_score_is_a_vote() -> None:
    by_author = {"ann": {"value": 1.0}, "bo": {"value": 0.0}}
    record = opik(opik_span(), feedback_scores=[opik_score(value=0.5, value_by_author=by_author)])
    votes = decoded(record)[1].feedback
    assert [("ann", 1.0), ("bo", 0.0)] == [(v["annotator_id"], v["score_value"]) for v in votes]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"category_name": "thumbs_down", "value": 0.0}, ("thumbs", -1, "HUMAN", "expert")),
        ({"source": "online_scoring"}, ("score", None, "LLM", "unknown")),
        ({"source": "sdk"}, ("score", None, "UNKNOWN", "unknown")),
        ({"source": "sdk", "name": "thumb"}, ("thumbs", 1, "HUMAN", "end_user")),
    ],
)
def test_a_score_of_opik_says_who_judged(fields: Record, expected: Any) -> None:
    (vote,) = decoded(opik(opik_span(), feedback_scores=[opik_score(**fields)]))[1].feedback
    names = ("kind", "polarity", "annotator_kind", "annotator_role")
    assert expected == tuple(vote.get(name) for name in names)


def test_a_line_of_the_csv_holds_python_literals() -> None:
    line = {
        "trace_id": "t-1",
        "trace_input": "{'messages': [{'role': 'user', 'content': \"Where's it?\"}]}",
        "trace_output": "{'output': 'Under the mat.', 'score': None}",
        "span_id": "s-1",
    }
    row = row_of(line)
    assert ("opik:t-1", "Where's it?", "Under the mat.") == (
        *(row["interaction_id"], row["prompt_text"]),
        row["response_text"],
    )
    hostile = row_of({**line, "trace_input": "__import__('os').getcwd()"})
    assert "__import__('os').getcwd()" == hostile["prompt_text"]


@pytest.mark.parametrize(
    "record",
    [
        run(id=None),
        langsmith_vote(),
        langsmith_vote(score=1, run_id=None, trace_id=None),
        mlflow(mlflow_span(span_id=None)),
        mlflow(None, trace_id=None),
        mlflow(None, 5),  # type: ignore[arg-type]
        opik(id=None),
        opik(opik_span(id=None)),
        opik(opik_span(), feedback_scores=[opik_score(value=None)]),
        {"trace_id": "", "trace_input": "a", "trace_output": "b"},
    ],
)
def test_a_record_without_id_target_or_value_is_refused(record: Record) -> None:
    with pytest.raises(BadLine):
        decoded(record)
