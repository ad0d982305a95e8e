"""Langfuse's exports: one observation is one row, in whichever shape it comes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from decoding import decode_all, decoded, row_of, vote_of

from loopllm_cli.sources.envelopes import langfuse_observation
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Origin

Record = dict[str, Any]
ASKED = [{"role": "user", "content": "Where is the key?"}]


def table_row(**fields: Any) -> Record:
    """Return an enriched observation of the blob export."""
    return {
        "id": "o-1",
        "trace_id": "t-1",
        "project_id": "p",
        "environment": "live",
        "type": "GENERATION",
        "parent_observation_id": "",
        "start_time": "2026-10-01 08:00:00.000000",
        "end_time": "2026-10-01 08:00:02.500000",
        "level": "DEFAULT",
        "input": json.dumps(ASKED),
        "output": "Under the mat.",
        "provided_model_name": "m-1",
        "model_parameters": '{"temperature": 0.5, "max_tokens": "null"}',
        "usage_details": {"input": "70", "output": 5, "total": 75},
        "total_cost": 0.25,
        "cost_details": {"total": 0.25},
        "updated_at": "2026-10-01 08:01:00.000000",
        "user_id": "u-1",
        "session_id": "s-1",
        "trace_name": "app",
        "tags": ["a"],
        "release": "r-7",
        **fields,
    }


def legacy_row(**fields: Any) -> Record:
    """Return an observation of the older table, which has no column of its trace."""
    of_trace = ("user_id", "session_id", "trace_name", "tags", "release")
    return {k: v for k, v in table_row(**fields).items() if k not in of_trace}


def trace_row(**fields: Any) -> Record:
    return {
        "id": "t-1",
        "timestamp": "2026-10-01 08:00:00.000000",
        "project_id": "p",
        "bookmarked": False,
        "tags": ["a"],
        "user_id": "u-1",
        "session_id": "s-1",
        "release": "r-7",
        "name": "app",
        "updated_at": "2026-10-01 08:01:00.000000",
        **fields,
    }


def interface_row(**fields: Any) -> Record:
    """Return a line of the interface's batch export."""
    return {
        "id": "o-1",
        "traceId": "t-1",
        "type": "GENERATION",
        "startTime": "2026-10-01T08:00:00.000Z",
        "providedModelName": "m-1",
        "usageDetails": '{"input":70,"output":5}',
        "latencyMs": "2500",
        "timeToFirstTokenMs": 300,
        "input": json.dumps(ASKED),
        "output": "Under the mat.",
        **fields,
    }


def download(*observations: Record, **trace: Any) -> Record:
    """Return a downloaded trace, which holds its observations twice."""
    whole = {"id": "t-1", "userId": "u-1", "sessionId": "s-1", "observations": list(observations)}
    return {"trace": {**whole, **trace}, "observations": list(observations)}


def observation(number: int = 1, kind: str = "GENERATION", **fields: Any) -> Record:
    return {
        "id": f"o-{number}",
        "traceId": "t-1",
        "type": kind,
        "startTime": "2026-10-01T08:00:00.000Z",
        "endTime": "2026-10-01T08:00:02.500Z",
        "parentObservationId": None,
        "input": json.dumps(ASKED),
        "output": json.dumps({"role": "assistant", "content": "Under the mat."}),
        "model": "m-1",
        "usageDetails": {"input": 70, "output": 5, "total": 75},
        **fields,
    }


def score(**fields: Any) -> Record:
    return {
        "id": "sc",
        "traceId": "t-1",
        "observationId": "o-1",
        "name": "helpful",
        "source": "API",
        "dataType": "NUMERIC",
        "value": 0.5,
        "timestamp": "2026-10-01T09:00:00.000Z",
        **fields,
    }


def test_every_shape_of_an_observation_has_the_same_id() -> None:
    joined = decode_all([legacy_row(), trace_row()])[1].interactions[0]
    rows = [row_of(table_row()), row_of(interface_row()), row_of(download(observation())), joined]
    assert ["langfuse:o-1"] * 4 == [row["interaction_id"] for row in rows]
    assert [2.5] * 4 == [row["duration_s"] for row in rows]
    assert [(70, 5)] * 4 == [(row["input_tokens"], row["output_tokens"]) for row in rows]
    assert ["Where is the key?"] * 4 == [row["prompt_text"] for row in rows]


def test_a_legacy_observation_takes_user_session_and_release_from_its_trace_row() -> None:
    for records in ([legacy_row(), trace_row()], [trace_row(), legacy_row()]):
        (row,) = decode_all(records)[1].interactions
        taken = (row["user_id"], row["conversation_id"], row["service_version"], row["tags"])
        assert ("u-1", "s-1", "r-7", ["a"]) == taken


def test_a_legacy_observation_without_its_trace_is_a_row_of_a_smaller_version() -> None:
    (alone,) = decode_all([legacy_row()])[1].interactions
    (joined,) = decode_all([legacy_row(), trace_row()])[1].interactions
    assert alone["user_id"] is None
    assert alone["source_version"] < joined["source_version"]


def test_a_trace_row_alone_waits() -> None:
    assert [] == decode_all([trace_row()])[1].interactions


def test_what_cannot_be_assembled_is_counted() -> None:
    contents = [{"observation": legacy_row(start_time="01/02/2026")}, {"trace": None}, {}]
    found = langfuse_observation.assemble("t-1", contents, Origin("", 0, "test"))
    assert ["malformed observation"] == found.skipped


def test_the_later_update_of_an_observation_has_the_larger_version() -> None:
    early, late = (
        row_of(table_row(updated_at=f"2026-10-01 08:0{minute}:00"))["source_version"]
        for minute in (1, 2)
    )
    assert early < late
    assert row_of(table_row(updated_at=None))["source_version"] is None


@pytest.mark.parametrize("kind", ["TOOL", "SPAN", "EVENT", "AGENT", "RETRIEVER", "new kind", 5])
def test_an_observation_that_is_no_generation_is_counted_not_stored(kind: Any) -> None:
    found = decoded(table_row(type=kind))[1]
    assert (0, 1) == (len(found.interactions), len(found.skipped))


def test_a_generation_that_says_nothing_is_no_row() -> None:
    empty = table_row(input=None, output="", usage_details={})
    assert ["generation without content"] == decoded(empty)[1].skipped


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"input": 10, "input_cached_tokens": 90, "output": 5, "total": 105}, (100, 5, 90, None)),
        ({"input": 100, "input_cached_tokens": 90, "output": 5, "total": 105}, (100, 5, 90, None)),
        ({"input": 10, "output": 5, "output_reasoning": 20}, (10, 25, None, 20)),
        ({"input": 10, "output": 5, "cache_read_input_tokens": 30}, (40, 5, 30, None)),
        ({"input": 10, "prompt_details.cache_read": 4, "output": 5}, (10, 5, 4, None)),
        ({"input": "x"}, (None, None, None, None)),
    ],
)
def test_token_buckets_that_exclude_each_other_are_added_up(usage: Record, tokens: Any) -> None:
    row = row_of(table_row(usage_details=usage))
    names = ("input_tokens", "output_tokens", "cache_read_input_tokens", "reasoning_output_tokens")
    assert tokens == tuple(row[name] for name in names)


def test_an_older_download_has_its_latency_in_milliseconds() -> None:
    row = row_of(download(observation(latency=2500, timeToFirstToken=300)))
    assert (2.5, 0.3) == (row["duration_s"], row["time_to_first_chunk_s"])


def test_a_cost_of_zero_without_details_is_no_cost() -> None:
    assert row_of(table_row(total_cost=0, cost_details={}))["cost_usd"] is None


@pytest.mark.parametrize(
    ("message", "name"), [("RateLimitError: slow down", "RateLimitError"), ("", "error")]
)
def test_an_observation_of_level_error_is_a_failed_call(message: str, name: str) -> None:
    row = row_of(table_row(level="ERROR", status_message=message, output=None))
    assert (name, "absent") == (row["error_type"], row["content_state"])


def test_columns_of_the_interface_that_hold_lists_are_votes_on_the_observation() -> None:
    record = interface_row(**{"user-feedback": "[0]", "tone": ["warm"], "comments": [], "n": None})
    votes = decoded(record)[1].feedback
    assert [("thumbs", -1), ("label", None)] == [(v["kind"], v.get("polarity")) for v in votes]
    assert {"langfuse:o-1"} == {v["target_id"] for v in votes}


def test_known_columns_and_columns_of_tables_are_no_votes() -> None:
    assert [] == decoded(interface_row(tags=["a"], toolCallNames=["b"]))[1].feedback
    assert [] == decoded(table_row(new_column=["a"]))[1].feedback


def test_a_download_holds_each_observation_once() -> None:
    row = row_of(download(observation()))
    assert ("t-1", "s-1", True) == (row["trace_id"], row["conversation_id"], row["is_root"])


def test_a_trace_of_the_api_is_read_like_a_download() -> None:
    record = {"id": "t-1", "timestamp": "2026-10-01T08:00:00Z", "scores": [score()]}
    found = decoded({**record, "observations": [observation()]})[1]
    assert (1, 1) == (len(found.interactions), len(found.feedback))


def test_without_a_generation_the_root_is_the_row() -> None:
    below = observation(2, "TOOL", parentObservationId="o-1")
    found = decoded(download(observation(1, "AGENT"), below))[1]
    (row,) = found.interactions
    assert ("langfuse:o-1", "invoke_agent") == (row["interaction_id"], row["operation_name"])
    assert ["tool span"] == found.skipped


def test_without_observations_the_trace_itself_is_the_row() -> None:
    row = row_of(download(input="Where is the key?", output="Under the mat."))
    assert ("langfuse:t-1", None) == (row["interaction_id"], row["span_id"])


def test_of_a_call_that_was_logged_twice_the_inner_one_was_not_shown() -> None:
    inner = observation(2, parentObservationId="o-1")
    rows = decoded(download(observation(), inner))[1].interactions
    assert [True, False] == [row["is_visible"] for row in rows]


def test_a_ring_of_parents_ends() -> None:
    ring = [observation(n, "SPAN", parentObservationId=f"o-{3 - n}") for n in (1, 2)]
    found = decoded(download(*ring, observation(4, parentObservationId="o-1")))[1]
    assert 1 == len(found.interactions)


def test_the_model_that_answered_is_told_from_the_one_that_was_asked_for() -> None:
    body = {"id": "c", "model": "m-1-2026", "choices": [{"message": {"content": "Yes."}}]}
    row = row_of(table_row(output=json.dumps(body)))
    assert ("m-1", "m-1-2026") == (row["request_model"], row["response_model"])


def test_an_answer_that_is_json_stays_the_text_it_was() -> None:
    assert '{"place": "mat"}' == row_of(table_row(output='{"place": "mat"}'))["response_text"]


@pytest.mark.parametrize(
    ("fields", "kind", "polarity", "who"),
    [
        ({"dataType": "BOOLEAN", "value": 0}, "thumbs", -1, ("HUMAN", "end_user")),
        ({"dataType": "BOOLEAN", "value": 1}, "thumbs", 1, ("HUMAN", "end_user")),
        (
            {"dataType": "BOOLEAN", "value": 1, "source": "ANNOTATION"},
            "score",
            None,
            ("HUMAN", "expert"),
        ),
        ({"source": "EVAL"}, "score", None, ("LLM", "unknown")),
        ({}, "score", None, ("UNKNOWN", "unknown")),
        (
            {"dataType": "CATEGORICAL", "stringValue": "warm", "value": 3},
            "label",
            None,
            ("UNKNOWN", "unknown"),
        ),
        ({"dataType": "TEXT", "stringValue": "Fine."}, "comment", None, ("UNKNOWN", "unknown")),
    ],
)
def test_a_score_has_the_kind_and_annotator_that_its_type_and_source_say(
    fields: Record, kind: str, polarity: int | None, who: tuple[str, str]
) -> None:
    vote = vote_of(score(**fields))
    assert (kind, polarity) == (vote["kind"], vote["polarity"])
    assert who == (vote["annotator_kind"], vote["annotator_role"])


@pytest.mark.parametrize("key", ["longStringValue", "stringValue"])
def test_a_correction_is_the_text_of_either_column(key: str) -> None:
    vote = vote_of(score(dataType="CORRECTION", value=0, source="ANNOTATION", **{key: "At home."}))
    assert ("correction", "At home.", "expert") == (
        vote["kind"],
        vote["text"],
        vote["annotator_role"],
    )


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ({}, "span"),
        ({"observationId": None}, "trace"),
        ({"observationId": None, "traceId": None, "sessionId": "s-1"}, "conversation"),
        ({"observationId": None, "traceId": None, "datasetRunId": "d"}, "group"),
    ],
)
def test_a_score_keeps_the_level_it_was_given_at(target: Record, kind: str) -> None:
    vote = vote_of(score(**target))
    assert (kind, target.get("sessionId")) == (vote["target_kind"], vote["target_conversation_id"])


def test_the_same_score_in_the_table_and_in_a_download_is_one_vote() -> None:
    spelling = {"traceId": "trace_id", "observationId": "observation_id", "dataType": "data_type"}
    table = {spelling.get(key, key): value for key, value in score().items()}
    (inside,) = decoded(download(observation(), scores=[score(), score()]))[1].feedback
    assert vote_of(table)["feedback_id"] == inside["feedback_id"]


@pytest.mark.parametrize(
    "record",
    [
        score(value=None),
        score(dataType="CORRECTION", stringValue=" "),
        score(traceId=None, observationId=None),
        table_row(id=None),
        legacy_row(id=""),
        trace_row(id=None),
        download(observation(id=None)),
        download(5),  # type: ignore[arg-type]
    ],
)
def test_a_record_without_id_target_or_value_is_refused(record: Record) -> None:
    with pytest.raises(BadLine):
        decoded(record)
