"""Flat records, conversations and OpenAI pairs become canonical rows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from decoding import decoded, ingest_file, row_of, total
from factories import chat_pair, flat_record, write_jsonl

from loopllm_cli.errors import ConfigError
from loopllm_cli.sources.columns import ALIASES, Mapping, read_mapping
from loopllm_cli.sources.reading import BadLine

SAMPLES = Path(__file__).parents[3].parent / "shared" / "samples"


def parts(row: dict[str, Any], column: str = "output_messages") -> list[dict[str, Any]]:
    """Return the parts of the last message of a column."""
    found: list[dict[str, Any]] = json.loads(row[column])[-1]["parts"]
    return found


@pytest.mark.parametrize("prompt", ALIASES["prompt"])
@pytest.mark.parametrize("response", ALIASES["response"])
def test_every_alias_of_prompt_and_response_is_read(prompt: str, response: str) -> None:
    row = row_of({prompt: "why?", response: "because"})
    assert ("why?", "because") == (row["prompt_text"], row["response_text"])


@pytest.mark.parametrize(
    ("key", "value", "column", "expected"),
    [
        ("session", "c", "conversation_id", "c"),
        ("end_user", 7, "user_id", "7"),
        ("model_name", "m", "response_model", "m"),
        ("ts", "2026-10-01", "request_time", datetime(2026, 10, 1, tzinfo=UTC)),
        ("latency_ms", "1,500", "duration_s", 1.5),
        ("latency_s", "0.25", "duration_s", 0.25),
        ("ttft_ms", 250, "time_to_first_chunk_s", 0.25),
        ("prompt_tokens", "61", "input_tokens", 61),
        ("completion_tokens", 3.0, "output_tokens", 3),
        ("response_cost", 0.03, "cost_usd", 0.03),
        ("status_code", 200, "http_status", 200),
        ("ground_truth", "42", "reference_answer", "42"),
        ("finish_reason", "tool_calls", "finish_reason", "tool_call"),
        ("error", {"code": "rate_limit"}, "error_type", "rate_limit"),
        ("error", "timeout", "error_type", "timeout"),
        ("error", "", "error_type", None),
        ("error", False, "error_type", None),
        ("latency_s", -1, "duration_s", None),
        ("prompt_tokens", -5, "input_tokens", None),
        ("prompt_tokens", 1.5, "input_tokens", None),
        ("prompt_tokens", 10**30, "input_tokens", None),
        ("prompt_tokens", True, "input_tokens", None),
    ],
)
def test_fields_are_read_by_their_usual_names(
    key: str, value: Any, column: str, expected: Any
) -> None:
    assert expected == row_of({"prompt": "p", "response": "r", key: value})[column]


def test_what_no_column_holds_is_kept_as_attributes() -> None:
    row = row_of(flat_record(1, plan="gold", user_id={"no": "id"}, cost="unknown"))
    assert {"plan": "gold", "user_id": {"no": "id"}, "cost": "unknown"} == json.loads(
        row["attributes_json"]
    )


def test_attributes_may_hold_integers_beyond_64_bits() -> None:
    row = row_of(flat_record(1, big=2**70))
    assert {"big": 2**70} == json.loads(row["attributes_json"])


def test_a_system_prompt_is_part_of_the_context() -> None:
    plain, guided = row_of(flat_record(1)), row_of(flat_record(1, system="Be brief."))
    assert plain["context_hash"] != guided["context_hash"]
    assert plain["prompt_hash"] == guided["prompt_hash"]


def test_an_empty_prompt_or_answer_is_kept() -> None:
    row = row_of({"prompt": "", "response": ""})
    assert ("", "", "full") == (row["prompt_text"], row["response_text"], row["content_state"])


def test_a_failed_call_is_a_row_without_answer() -> None:
    row = row_of({"prompt": "p", "error": "timeout"})
    assert ("timeout", None, "absent") == (
        row["error_type"],
        row["response_text"],
        row["content_state"],
    )


def test_a_prompt_without_answer_or_error_is_refused_with_the_reason() -> None:
    with pytest.raises(BadLine, match="no response"):
        decoded({"prompt": "p"})


def test_without_an_id_equal_records_are_one_and_different_ones_are_two() -> None:
    one, same, other = (row_of({"prompt": "p", "response": r}) for r in ("a", "a ", "b"))
    assert one["interaction_id"] != other["interaction_id"]
    assert one["response_hash"] == same["response_hash"]


def test_a_mapping_file_names_fields_by_path(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text(
        'date_format = "%d.%m.%Y"\n[columns]\nprompt = "q.text"\nresponse = "a.0"\n'
        'request_time = "day"\n'
    )
    record = {"q": {"text": "why?"}, "a": ["because"], "day": "02.10.2026", "answer": "not me"}
    write_jsonl(tmp_path / "logs.jsonl", [record])
    summary = ingest_file(tmp_path / "logs.jsonl", mapping=read_mapping(path))
    assert (1, datetime(2026, 10, 2, tzinfo=UTC)) == (summary.n_kept, summary.first_time)


def test_the_date_format_of_the_command_line_goes_before_the_mapping_files(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "logs.jsonl", [flat_record(1, timestamp="02/03/2026")])
    mapping = Mapping({}, "%d/%m/%Y")
    summary = ingest_file(tmp_path / "logs.jsonl", mapping=mapping, date_format="%m/%d/%Y")
    assert datetime(2026, 2, 3, tzinfo=UTC) == summary.first_time


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[columns]\npromt = "q"', "did you mean 'prompt'"),
        ("[columns]\nprompt = 1", "fields|did you mean"),
        ("columns = 1", "only date_format"),
        ("[other]\na = 1", "only date_format"),
        ("not toml", "not valid TOML"),
    ],
)
def test_a_wrong_mapping_file_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "map.toml").write_text(content)
    with pytest.raises(ConfigError) as caught:
        read_mapping(tmp_path / "map.toml")
    import re

    assert re.search(said, f"{caught.value.message} {caught.value.hint}")


CONVERSATION = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "one?"},
    {"role": "assistant", "content": "1"},
    {"role": "user", "content": "two?"},
    {"role": "assistant", "content": "2"},
    {"role": "user", "content": "thanks"},
]


def test_a_conversation_gives_one_row_per_answer_with_all_that_came_before() -> None:
    name, found = decoded({"id": "c", "messages": CONVERSATION, "output_tokens": 9})
    first, second = found.interactions
    assert "messages" == name
    assert ["1", "2"] == [first["response_text"], second["response_text"]]
    assert [2, 4] == [len(json.loads(r["input_messages"])) for r in found.interactions]
    assert [None, 9] == [first["output_tokens"], second["output_tokens"]]
    assert ("c", "c", 0, 1) == (
        first["conversation_id"],
        second["conversation_id"],
        first["turn_index"],
        second["turn_index"],
    )


def test_a_conversation_that_is_exported_again_with_more_turns_adds_only_those(
    tmp_path: Path,
) -> None:
    short = {"id": "c", "messages": CONVERSATION[:3]}
    write_jsonl(tmp_path / "logs.jsonl", [short, {"id": "c", "messages": CONVERSATION}])
    summary = ingest_file(tmp_path / "logs.jsonl")
    assert (2, 0, 0) == (summary.n_kept, summary.n_extra_rows, summary.n_rejected)


def test_messages_without_an_answer_are_refused() -> None:
    with pytest.raises(BadLine, match="no assistant turn"):
        decoded({"messages": CONVERSATION[:2]})


@pytest.mark.parametrize(
    "messages",
    [
        [],
        ["text"],
        [{"content": "no role"}],
        [{"role": "user", "content": 5}],
        [{"role": "user", "content": [5]}],
        [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": 5}],
        [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": ["x"]}],
    ],
)
def test_malformed_messages_are_refused(messages: list[Any]) -> None:
    with pytest.raises(BadLine):
        decoded({"messages": messages})


def test_several_choices_are_several_rows_of_one_response() -> None:
    choices = [{"index": k, "message": {"content": f"answer {k}"}} for k in range(3)]
    rows = decoded(chat_pair(1, choices=choices))[1].interactions
    assert 3 == len({row["interaction_id"] for row in rows})
    assert {"chatcmpl-1"} == {row["source_record_id"] for row in rows}
    assert 1 == len({row["context_hash"] for row in rows})


def test_choices_without_an_index_are_told_apart_by_their_place(tmp_path: Path) -> None:
    choices = [{"message": {"content": "a"}}, {"message": {"content": "b"}}]
    write_jsonl(tmp_path / "logs.jsonl", [chat_pair(1, choices=choices)])
    summary = ingest_file(tmp_path / "logs.jsonl")
    assert (1, 1, 0) == (summary.n_kept, summary.n_extra_rows, summary.n_rejected)


def test_two_choices_with_one_index_are_a_conflict_and_both_are_kept(tmp_path: Path) -> None:
    choices = [{"index": 0, "message": {"content": c}} for c in "ab"]
    write_jsonl(tmp_path / "logs.jsonl", [chat_pair(1, choices=choices), chat_pair(2)])
    summary = ingest_file(tmp_path / "logs.jsonl")
    assert (2, 1, 1) == (summary.n_kept, summary.n_extra_rows, summary.n_conflicts)


def test_a_tool_call_is_kept_as_sent_even_where_its_arguments_are_no_json() -> None:
    call = {"id": "c1", "function": {"name": "find", "arguments": '{"broken'}}
    choices = [{"message": {"content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"}]
    row = row_of(chat_pair(1, choices=choices))
    assert (1, "", "tool_call") == (row["n_tool_calls"], row["response_text"], row["finish_reason"])
    assert '{"broken' == parts(row)[0]["arguments"]


def test_a_legacy_function_call_is_a_tool_call() -> None:
    message = {"content": None, "function_call": {"name": "find", "arguments": "{}"}}
    assert 1 == row_of(chat_pair(1, choices=[{"message": message}]))["n_tool_calls"]


def test_a_refusal_field_is_the_answer() -> None:
    message = {"content": None, "refusal": "I cannot."}
    assert "I cannot." == row_of(chat_pair(1, choices=[{"message": message}]))["response_text"]


def test_a_picture_is_kept_by_digest() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    row = row_of(chat_pair(1, prompt=[{"type": "text", "text": "what?"}, picture]))
    assert "what?" == row["prompt_text"]
    assert "AAAA" not in row["input_messages"]
    assert ["text", "blob"] == [p["type"] for p in parts(row, "input_messages")]


def test_a_tool_answer_in_the_context_is_kept() -> None:
    record = chat_pair(1)
    record["request"]["messages"] += [
        {"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "f"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "42"}]},
    ]
    assert "42" == parts(row_of(record), "input_messages")[0]["response"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [({"code": "rate"}, "rate"), ({"type": "t", "code": None}, "t"), ("boom", "boom")],
)
def test_an_error_response_is_a_row_named_by_the_wrappers_id(error: Any, expected: str) -> None:
    row = row_of(chat_pair(1, error=error, request_id="call-1"))
    assert ("openai_chat:call-1", expected) == (row["interaction_id"], row["error_type"])


def test_an_error_beside_empty_choices_is_an_error() -> None:
    record = chat_pair(1)
    record["response"].update(choices=None, error={"type": "overloaded"})
    assert "overloaded" == row_of(record)["error_type"]


@pytest.mark.parametrize("choices", [[], "text", [1], [{"text": 1}]])
def test_malformed_choices_are_refused(choices: Any) -> None:
    record = chat_pair(1)
    record["response"]["choices"] = choices
    with pytest.raises(BadLine):
        decoded(record)


@pytest.mark.parametrize(
    ("asked", "answered"),
    [("input", "output"), ("req", "res"), ("request_body", "response_body"), ("body", "response")],
)
def test_pairs_are_known_by_what_is_inside(asked: str, answered: str) -> None:
    pair = chat_pair(1)
    record = {asked: pair["request"], answered: pair["response"]}
    assert "openai_chat" == decoded(record)[0]


def test_usage_of_a_pair_is_read() -> None:
    row = row_of(chat_pair(1))
    assert (12, 8) == (row["input_tokens"], row["output_tokens"])


def test_an_unknown_format_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        decoded({}, only="open_ai_chat")
    assert "openai_chat" in caught.value.hint


@pytest.mark.parametrize("only", ["flat", "messages", "openai_chat", "feedback"])
@pytest.mark.parametrize("record", [{}, {"x": 1}, {"prompt": 5}, {"messages": 5}, {"winner": []}])
def test_a_forced_format_refuses_what_it_cannot_read(only: str, record: dict[str, Any]) -> None:
    with pytest.raises(BadLine):
        decoded(record, only=only)


@pytest.mark.parametrize(
    ("name", "kept", "votes"),
    [
        ("generic_flat", 2, 0),
        ("generic_messages", 2, 0),
        ("generic_feedback", 0, 4),
        ("openai_chat_pairs", 3, 0),
    ],
)
def test_the_sample_exports_decode(name: str, kept: int, votes: int, tmp_path: Path) -> None:
    source = SAMPLES / f"{name}.jsonl"
    if not source.is_file():
        pytest.skip(f"no samples at {SAMPLES}")
    path = tmp_path / source.name
    path.write_bytes(source.read_bytes())
    summary = ingest_file(path)
    assert summary.n_lines == total(summary)
    assert kept == summary.n_kept
    assert 0 == summary.n_rejected, summary.rejected_by_reason
    if votes:
        assert summary.n_feedback > 0
