"""What the providers' own APIs and log services export becomes rows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from decoding import decode_all, decoded, row_of

from loopllm_cli.sources.envelopes import openai_batch
from loopllm_cli.sources.payloads import anything
from loopllm_cli.sources.payloads.body import Request, Response
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Origin, Record

ASKED = "Which train goes to Ghent?"
SAID = "The one on platform 4."


def request_of(body: Any) -> Request:
    request = anything.read_request(body)
    assert request is not None
    return request


def response_of(body: Any) -> Response:
    response = anything.read_response(body)
    assert response is not None
    return response


def texts_of(response: Response) -> list[str]:
    (answer,) = response.answers
    assert answer.message is not None
    return [part["content"] for part in answer.message["parts"] if part["type"] == "text"]


def response_object(**changes: Any) -> Record:
    item = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": SAID}],
    }
    usage = {
        "input_tokens": 9,
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 2},
    }
    body = {"id": "resp_7", "object": "response", "created_at": 1772452800, "status": "completed"}
    return {**body, "model": "m-2", "output": [item], "usage": usage, **changes}


def anthropic_message(**changes: Any) -> Record:
    body = {"id": "msg_7", "type": "message", "role": "assistant", "model": "c-1"}
    content = [{"type": "text", "text": SAID}]
    usage = {"input_tokens": 4, "output_tokens": 6}
    return {**body, "content": content, "stop_reason": "end_turn", "usage": usage, **changes}


def completion(**changes: Any) -> Record:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": SAID},
        "finish_reason": "stop",
    }
    body = {"id": "chatcmpl-7", "object": "chat.completion", "created": 1772452800, "model": "m-2"}
    return {**body, "choices": [choice], **changes}


# --- OpenAI Responses


def test_instructions_become_the_system_message_and_items_of_one_side_one_message() -> None:
    request = request_of(
        {
            "model": "m-1",
            "instructions": "Answer briefly.",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": ASKED}]},
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Look it up."}]},
                {"type": "function_call", "call_id": "c1", "name": "trains", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c1", "output": "4"},
            ],
        }
    )
    expected = [
        ("system", ["text"]),
        ("user", ["text"]),
        ("assistant", ["reasoning", "tool_call"]),
        ("tool", ["tool_call_response"]),
    ]
    assert expected == [(m["role"], [p["type"] for p in m["parts"]]) for m in request.messages]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ("stop", "completed")),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            ("length", "max_output_tokens"),
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            ("content_filter", "content_filter"),
        ),
        (
            {"output": [{"type": "function_call", "call_id": "c", "name": "trains"}]},
            ("tool_call", "completed"),
        ),
        ({"output": [{"type": "web_search_call", "id": "w"}]}, ("stop", "completed")),
    ],
)
def test_a_response_status_maps_to_a_finish_reason(
    changes: Record, expected: tuple[str, str]
) -> None:
    row = row_of({"request": {"input": ASKED}, "response": response_object(**changes)})
    assert expected == (row["finish_reason"], row["finish_reason_raw"])


@pytest.mark.parametrize(
    ("asked", "answered", "expected"),
    [
        ({"input": ASKED}, {}, "full"),
        ({"input": ASKED, "previous_response_id": "resp_6"}, {}, "partial_context"),
        ({"input": ASKED}, {"previous_response_id": "resp_6"}, "partial_context"),
        ({"input": ASKED, "conversation": {"id": "conv-1"}}, {}, "partial_context"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, {}, "partial_context"),
    ],
)
def test_a_response_that_continues_another_says_that_its_context_is_partial(
    asked: Record, answered: Record, expected: str
) -> None:
    row = row_of({"req": {"model": "m-1", **asked}, "res": response_object(**answered)})
    assert expected == row["content_state"]


def test_a_bare_response_is_older_than_the_same_response_beside_its_request() -> None:
    alone = row_of(response_object())
    pair = row_of({"input": {"input": ASKED}, "output": response_object()})
    assert "partial_context" == alone["content_state"]
    assert alone["interaction_id"] == pair["interaction_id"]
    assert (1, 2) == (alone["source_version"], pair["source_version"])


def test_a_response_that_is_not_finished_is_skipped() -> None:
    _, found = decoded(response_object(status="in_progress", output=[]))
    assert (["a response that is not finished"], []) == (found.skipped, found.interactions)


def test_of_a_stream_of_the_responses_api_the_last_event_is_the_row() -> None:
    _, found = decode_all(
        [
            {"type": "response.output_text.delta", "sequence_number": 3, "delta": "The"},
            {"type": "response.completed", "sequence_number": 4, "response": response_object()},
        ]
    )
    assert ["resp_7"] == [row["response_id"] for row in found.interactions]
    assert ["stream event"] == found.skipped


# --- Anthropic


def test_anthropic_input_tokens_include_what_was_read_from_and_written_to_the_cache() -> None:
    usage = {
        "input_tokens": 4,
        "cache_read_input_tokens": 30,
        "cache_creation_input_tokens": 5,
        "output_tokens": 6,
    }
    row = row_of(
        {
            "request": {"messages": [{"role": "user", "content": ASKED}]},
            "response": anthropic_message(usage=usage),
        }
    )
    assert "anthropic_messages" == row["source_format"]
    assert (39, 30, 5, 6) == (
        row["input_tokens"],
        row["cache_read_input_tokens"],
        row["cache_write_input_tokens"],
        row["output_tokens"],
    )


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_call"),
        ("refusal", "content_filter"),
        ("pause_turn", None),
    ],
)
def test_anthropic_stop_reasons_map_to_finish_reasons(raw: str, expected: str | None) -> None:
    row = row_of(anthropic_message(stop_reason=raw))
    assert (expected, raw) == (row["finish_reason"], row["finish_reason_raw"])


def test_an_anthropic_error_beside_a_request_is_not_taken_for_an_openai_pair() -> None:
    row = row_of(
        {
            "request": {"system": "Be kind.", "messages": [{"role": "user", "content": ASKED}]},
            "response": {"type": "error", "error": {"type": "overloaded_error", "message": "no"}},
        }
    )
    assert ("anthropic_messages", "overloaded_error") == (row["source_format"], row["error_type"])
    assert "absent" == row["content_state"]


def test_results_of_tools_leave_the_users_question_the_last_user_message() -> None:
    request = request_of(
        {
            "system": [{"type": "text", "text": "Be kind."}],
            "messages": [
                {"role": "user", "content": ASKED},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f"}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]},
            ],
        }
    )
    assert ["system", "user", "assistant", "tool"] == [m["role"] for m in request.messages]


def test_blocks_of_an_answer_with_citations_are_one_text() -> None:
    content = [{"type": "text", "text": "The one "}, {"type": "text", "text": "on platform 4."}]
    assert [SAID] == texts_of(response_of(anthropic_message(content=content)))


def stream_events(*last: Record) -> list[Record]:
    started = {"id": "msg_7", "role": "assistant", "usage": {"input_tokens": 4, "output_tokens": 1}}
    return [
        {"type": "message_start", "message": started},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "The one "},
        },
        {"type": "content_block_delta", "index": 0, "delta": {"text": "on platform 4."}},
        {
            "type": "content_block_start",
            "index": 1,
            "content_block": {"type": "tool_use", "id": "t"},
        },
        {"type": "content_block_delta", "index": 1, "delta": {"partial_json": '{"to":'}},
        {"type": "content_block_delta", "index": 1, "delta": {"partial_json": '"Ghent"}'}},
        *last,
    ]


def test_events_of_an_anthropic_stream_are_put_together() -> None:
    end = {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use"},
        "usage": {"output_tokens": 9},
    }
    response = response_of(stream_events(end))
    (answer,) = response.answers
    assert answer.message is not None
    assert [SAID] == texts_of(response)
    assert {"to": "Ghent"} == answer.message["parts"][1]["arguments"]
    assert (4, 9) == (response.values["input_tokens"], response.values["output_tokens"])
    assert "content_state" not in response.values


def test_an_anthropic_stream_without_its_end_is_partial() -> None:
    assert "partial_stream" == response_of(stream_events()).values["content_state"]


# --- Gemini


@pytest.mark.parametrize("snake", [False, True])
def test_gemini_bodies_are_read_in_camel_and_in_snake_case(snake: bool) -> None:
    def name(camel: str, other: str) -> str:
        return other if snake else camel

    request = request_of(
        {
            "contents": [{"role": "user", "parts": [{"text": ASKED}]}],
            name("systemInstruction", "system_instruction"): {"parts": [{"text": "Be kind."}]},
            name("generationConfig", "generation_config"): {
                name("maxOutputTokens", "max_output_tokens"): 50
            },
        }
    )
    response = response_of(
        {
            "candidates": [
                {
                    "content": {"role": "model", "parts": [{"text": SAID}]},
                    name("finishReason", "finish_reason"): "MAX_TOKENS",
                }
            ],
            name("usageMetadata", "usage_metadata"): {
                name("promptTokenCount", "prompt_token_count"): 8,
                name("candidatesTokenCount", "candidates_token_count"): 5,
                name("thoughtsTokenCount", "thoughts_token_count"): 3,
            },
        }
    )
    assert ["system", "user"] == [m["role"] for m in request.messages]
    assert 50 == request.values["request_max_tokens"]
    assert [SAID] == texts_of(response)
    assert (8, 8, 3) == tuple(
        response.values[k] for k in ("input_tokens", "output_tokens", "reasoning_output_tokens")
    )
    assert "length" == response.answers[0].finish_reason


def test_chunks_of_a_gemini_stream_are_put_together() -> None:
    def chunk(text: str, **more: Any) -> Record:
        return {"candidates": [{"content": {"parts": [{"text": text}]}, **more}]}

    whole = response_of([chunk("The one "), chunk("on platform 4.", finishReason="STOP")])
    torn = response_of([chunk("The one ")])
    assert [SAID] == texts_of(whole)
    assert "stop" == whole.answers[0].finish_reason
    assert "partial_stream" == torn.values["content_state"]


def test_a_prompt_that_gemini_blocked_has_no_answer() -> None:
    row = row_of(
        {
            "endpoint": "e",
            "logging_time": "2026-03-02 12:00:00.5 UTC",
            "request_id": "18364758544493064720",
            "full_request": {"contents": [{"role": "user", "parts": [{"text": ASKED}]}]},
            "full_response": {"promptFeedback": {"blockReason": "SAFETY"}},
        }
    )
    assert ("absent", "content_filter", "SAFETY") == (
        row["content_state"],
        row["finish_reason"],
        row["finish_reason_raw"],
    )


def test_vertex_payload_lists_stand_in_for_the_whole_bodies() -> None:
    pieces = ["The one ", "on platform 4."]
    row = row_of(
        {
            "endpoint": "e",
            "logging_time": "2026-03-02T12:00:00Z",
            "request_payload": [json.dumps({"contents": [{"parts": [{"text": ASKED}]}]})],
            "response_payload": [
                json.dumps({"candidates": [{"content": {"parts": [{"text": text}]}}]})
                for text in pieces
            ],
        }
    )
    assert (ASKED, SAID, "partial_stream") == (
        row["prompt_text"],
        row["response_text"],
        row["content_state"],
    )


# --- Bedrock


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ({"prompt": ASKED, "max_gen_len": 9}, {"generation": SAID, "stop_reason": "stop"}),
        (
            {"inputText": ASKED},
            {
                "inputTextTokenCount": 3,
                "results": [{"outputText": SAID, "completionReason": "FINISH"}],
            },
        ),
        (
            {"message": ASKED, "chat_history": [{"role": "CHATBOT", "message": "Hello."}]},
            {"text": SAID, "generation_id": "g", "finish_reason": "COMPLETE"},
        ),
        ({"prompt": ASKED, "max_tokens": 9}, {"outputs": [{"text": SAID, "stop_reason": "stop"}]}),
        (
            {"messages": [{"role": "user", "content": [{"text": ASKED}]}]},
            {"output": {"message": {"content": [{"text": SAID}]}}, "stopReason": "end_turn"},
        ),
        (
            {"anthropic_version": "bedrock", "messages": [{"role": "user", "content": ASKED}]},
            anthropic_message(),
        ),
        (
            json.dumps({"prompt": ASKED, "max_gen_len": 9}),
            [{"generation": "The one "}, {"generation": "on platform 4.", "stop_reason": "stop"}],
        ),
    ],
)
def test_a_bedrock_log_holds_the_body_of_the_models_own_api(asked: Any, answered: Any) -> None:
    row = row_of(bedrock(asked, answered))
    assert (ASKED, SAID) == (row["prompt_text"], row["response_text"])
    assert "full" == row["content_state"]


def bedrock(asked: Any, answered: Any, **more: Any) -> Record:
    return {
        "schemaType": "ModelInvocationLog",
        "requestId": "b-7",
        "modelId": "maker.model-v1",
        "input": {"inputBodyJson": asked, "inputTokenCount": 5, "cacheReadInputTokenCount": 7},
        "output": {"outputBodyJson": answered, "outputTokenCount": 4},
        **more,
    }


def test_the_counts_of_a_bedrock_log_stand_in_where_the_body_has_none() -> None:
    row = row_of(bedrock({"inputText": ASKED}, None))
    assert ("absent", 12, 7, 4) == (
        row["content_state"],
        row["input_tokens"],
        row["cache_read_input_tokens"],
        row["output_tokens"],
    )


def test_an_embedding_in_a_bedrock_log_is_skipped() -> None:
    _, found = decoded(bedrock({"inputText": ASKED}, {"embedding": [0.1]}))
    assert (["embedding call"], []) == (found.skipped, found.interactions)


def test_events_of_a_converse_stream_are_put_together() -> None:
    response = response_of(
        [
            {"messageStart": {"role": "assistant"}},
            {"contentBlockDelta": {"delta": {"text": "The one "}, "contentBlockIndex": 0}},
            {"contentBlockDelta": {"delta": {"text": "on platform 4."}, "contentBlockIndex": 0}},
            {"messageStop": {"stopReason": "max_tokens"}},
            {
                "metadata": {
                    "usage": {"inputTokens": 2, "cacheReadInputTokens": 3, "outputTokens": 5}
                }
            },
        ]
    )
    assert [SAID] == texts_of(response)
    assert (5, 5) == (response.values["input_tokens"], response.values["output_tokens"])
    assert "length" == response.answers[0].finish_reason


# --- LangChain


@pytest.mark.parametrize(
    "messages",
    [
        [[{"lc": 1, "id": ["HumanMessage"], "kwargs": {"content": ASKED, "type": "human"}}]],
        [{"lc": 1, "id": ["langchain", "HumanMessage"], "kwargs": {"content": ASKED}}],
        [{"type": "human", "data": {"content": ASKED}}],
        [{"type": "human", "content": [{"type": "text", "text": ASKED}]}],
        [["human", ASKED]],
    ],
)
def test_langchain_messages_are_read_in_each_of_their_forms(messages: list[Any]) -> None:
    expected = [{"role": "user", "parts": [{"type": "text", "content": ASKED}]}]
    assert expected == request_of({"messages": messages}).messages
    assert expected == request_of(messages).messages


def test_a_langchain_result_has_its_counts_and_finish_reason() -> None:
    usage = {"input_tokens": 8, "output_tokens": 5, "input_token_details": {"cache_read": 2}}
    message = {
        "content": SAID,
        "type": "ai",
        "usage_metadata": usage,
        "response_metadata": {"model_name": "m-2", "finish_reason": "STOP"},
    }
    response = response_of(
        {"generations": [[{"text": SAID, "message": {"lc": 1, "kwargs": message}}]]}
    )
    assert [SAID] == texts_of(response)
    assert ("m-2", 8, 5, 2) == tuple(
        response.values[key]
        for key in ("response_model", "input_tokens", "output_tokens", "cache_read_input_tokens")
    )
    assert "stop" == response.answers[0].finish_reason


def test_a_langchain_tool_call_counts_once() -> None:
    block = {"type": "tool_use", "id": "t", "name": "trains", "input": {}}
    message = {
        "type": "ai",
        "content": [block],
        "tool_calls": [{"id": "t", "name": "trains", "args": {}}],
    }
    (answer,) = response_of({"messages": [["human", ASKED], message]}).answers
    assert answer.message is not None
    assert ["tool_call"] == [part["type"] for part in answer.message["parts"]]


# --- Batches


def batch_input(name: str = "job-1", text: str = ASKED) -> Record:
    body = {"model": "m-1", "messages": [{"role": "user", "content": text}]}
    return {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}


def batch_output(name: str = "job-1", **changes: Any) -> Record:
    response = {"status_code": 200, "request_id": "r", "body": completion()}
    return {"id": "batch_req_7", "custom_id": name, "response": response, "error": None, **changes}


@pytest.mark.parametrize("turned", [False, True])
def test_a_batch_result_finds_its_request_in_either_order(turned: bool) -> None:
    records = [batch_input(), batch_output(), batch_input("job-2", "Which bus?")]
    _, found = decode_all(reversed(records) if turned else records)
    (row,) = found.interactions
    assert ("openai_batch:batch_req_7", ASKED, SAID) == (
        row["interaction_id"],
        row["prompt_text"],
        row["response_text"],
    )
    assert ("full", 2, "job-1") == (row["content_state"], row["source_version"], row["request_id"])


def test_a_batch_result_without_its_request_is_an_older_row_without_context() -> None:
    (row,) = decode_all([batch_output()])[1].interactions
    assert ("partial_context", 1) == (row["content_state"], row["source_version"])


def parts_of(record: Record, path: str) -> list[Record]:
    return [part.content for part in openai_batch.decode(record, Origin(path, 1, "t")).parts]


@pytest.mark.parametrize(
    ("folder", "expected"), [("may", "Which bus?"), ("june", ASKED), ("july", None)]
)
def test_of_several_requests_with_one_custom_id_the_one_in_the_results_folder_counts(
    folder: str, expected: str | None
) -> None:
    contents = [
        *parts_of(batch_input(text="Which bus?"), "may/input.jsonl"),
        *parts_of(batch_input(), "june/input.jsonl"),
        *parts_of(batch_output(), f"{folder}/output.jsonl"),
    ]
    (row,) = openai_batch.assemble("job-1", contents, Origin("", 0, "t")).interactions
    assert expected == row.get("prompt_text")
    assert ("full" if expected else "partial_context") == row["content_state"]


def test_a_failed_call_of_a_batch_is_a_row_with_its_error() -> None:
    failed = batch_output(response=None, error={"code": "batch_expired", "message": "too late"})
    (row,) = decode_all([failed, batch_input()])[1].interactions
    assert ("batch_expired", "absent", ASKED) == (
        row["error_type"],
        row["content_state"],
        row["prompt_text"],
    )


def test_embeddings_of_a_batch_are_skipped() -> None:
    asked = {"custom_id": "e", "url": "/v1/embeddings", "body": {"model": "m", "input": "x"}}
    body = {"object": "list", "data": [{"object": "embedding", "embedding": [0.1]}]}
    done = batch_output("e", response={"status_code": 200, "request_id": "r", "body": body})
    assert ["embedding call", "embedding call"] == decode_all([asked, done])[1].skipped


def test_an_anthropic_batch_is_joined_with_its_requests() -> None:
    params = {"model": "c-1", "max_tokens": 9, "messages": [{"role": "user", "content": ASKED}]}
    _, found = decode_all(
        [
            {"custom_id": "job-1", "params": params},
            {"custom_id": "job-1", "result": {"type": "succeeded", "message": anthropic_message()}},
            {"custom_id": "job-2", "result": {"type": "canceled"}},
        ]
    )
    joined, canceled = found.interactions
    assert (ASKED, SAID, "full") == (
        joined["prompt_text"],
        joined["response_text"],
        joined["content_state"],
    )
    assert ("canceled", "absent") == (canceled["error_type"], canceled["content_state"])


# --- Streams, stored completions, preferences, Azure


def chunk(index: int = 0, finish: str | None = None, **delta: Any) -> Record:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    body = {"id": "chatcmpl-9", "object": "chat.completion.chunk", "created": 1772452800}
    return {**body, "model": "m-2", "choices": [choice]}


def test_chunks_are_put_together_by_choice() -> None:
    calls = [{"index": 0, "id": "t", "function": {"name": "trains", "arguments": '{"to":'}}]
    more = [{"index": 0, "function": {"arguments": '"Ghent"}'}}]
    usage = {**chunk(), "choices": [], "usage": {"prompt_tokens": 8, "completion_tokens": 5}}
    _, found = decode_all(
        [
            chunk(0, role="assistant", content="The one "),
            chunk(1, role="assistant", tool_calls=calls),
            chunk(0, content="on platform 4."),
            chunk(1, tool_calls=more),
            chunk(0, "stop"),
            chunk(1, "tool_calls"),
            usage,
        ]
    )
    text, call = found.interactions
    assert (SAID, "stop", 8, 7) == (
        text["response_text"],
        text["finish_reason"],
        text["input_tokens"],
        text["source_version"],
    )
    assert (["trains"], "tool_call", 1) == (
        call["tool_call_names"],
        call["finish_reason"],
        call["choice_index"],
    )
    assert '{"to":"Ghent"}' == json.loads(call["output_messages"])[0]["parts"][0]["arguments"]


def test_a_stream_without_its_end_is_partial() -> None:
    (row,) = decode_all([chunk(role="assistant", content="The one ")])[1].interactions
    assert ("partial_stream", "The one ") == (row["content_state"], row["response_text"])


def test_the_end_of_a_stream_at_the_front_of_a_rotated_log_stays_the_end() -> None:
    end = [chunk(content="on platform 4."), chunk(finish="stop")]
    (row,) = decode_all([*end, chunk(role="assistant", content="The one ")])[1].interactions
    assert SAID == row["response_text"]


def test_a_stored_completion_takes_its_messages_from_their_parts() -> None:
    parts = [{"type": "text", "text": ASKED}]
    stored = completion(
        messages=[{"role": "user", "content": None, "content_parts": parts}],
        metadata={"session": "s-1"},
        temperature=0.5,
    )
    row = row_of(stored)
    assert (ASKED, "full", "s-1", 0.5) == (
        row["prompt_text"],
        row["content_state"],
        row["conversation_id"],
        row["request_temperature"],
    )
    assert "partial_context" == row_of(completion())["content_state"]


def test_a_preference_file_gives_two_rows_and_a_comparison_by_nobody_known() -> None:
    _, found = decoded(
        {
            "input": {"messages": [{"role": "user", "content": ASKED}]},
            "preferred_output": [{"role": "assistant", "content": SAID}],
            "non_preferred_output": [{"role": "assistant", "content": "No idea."}],
        }
    )
    better, worse = found.interactions
    (vote,) = found.feedback
    assert (0, 1) == (better["choice_index"], worse["choice_index"])
    assert better["context_hash"] == worse["context_hash"]
    assert (better["interaction_id"], "UNKNOWN", "comparison") == (
        vote["winner_id"],
        vote["annotator_kind"],
        vote["kind"],
    )


def apim(number: int, **columns: Any) -> Record:
    empty = {"RequestMessages": "", "ResponseMessages": "", "ModelName": "", "PromptTokens": 0}
    return {"CorrelationId": "a-1", "SequenceNumber": number, **empty, **columns}


def test_pieces_of_azure_messages_are_joined_in_the_order_of_their_numbers() -> None:
    asked = json.dumps([{"role": "user", "content": ASKED}])
    said = json.dumps([{"role": "assistant", "content": SAID}])
    rows = [
        apim(10, ResponseMessages=said[20:]),
        apim(0, ModelName="m-2", PromptTokens=8, CompletionTokens=5),
        apim(1, RequestMessages=asked[:25]),
        apim(2, RequestMessages=asked[25:]),
        apim(9, ResponseMessages=said[:20]),
    ]
    (row,) = decode_all(rows)[1].interactions
    assert (ASKED, SAID, "m-2", 8, "full") == (
        row["prompt_text"],
        row["response_text"],
        row["response_model"],
        row["input_tokens"],
        row["content_state"],
    )
    (torn,) = decode_all([r for r in rows if r["SequenceNumber"] != 10])[1].interactions
    assert "truncated" == torn["content_state"]


def test_an_azure_question_alone_waits_and_counts_alone_are_a_row_without_content() -> None:
    asked = json.dumps([{"role": "user", "content": ASKED}])
    assert [] == decode_all([apim(1, RequestMessages=asked)])[1].interactions
    (row,) = decode_all([apim(0, ModelName="m-2", PromptTokens=8)])[1].interactions
    assert ("absent", 8) == (row["content_state"], row["input_tokens"])


# --- Hostile values


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"request": {"input": [5]}, "response": response_object()}, "an item that is no object"),
        (anthropic_message(content="x"), "a message without content blocks"),
        (anthropic_message(content=[5]), "a content block without a type"),
        ({"custom_id": None, "result": {"type": "expired"}}, "a batch record without a custom id"),
        ({"custom_id": "a", "result": {"type": [1]}}, "a batch result of unknown type"),
        (batch_output(error={}, response={}), "a batch result without a response or an error"),
        ({**chunk(), "choices": [7]}, "a chunk with a malformed choice"),
        (
            {"input": {}, "preferred_output": [], "non_preferred_output": []},
            "no prompt",
        ),
        (apim(1, CorrelationId=[]), "a log row without correlation id and sequence number"),
    ],
)
def test_a_malformed_record_is_refused_with_a_reason(record: Record, reason: str) -> None:
    with pytest.raises(BadLine) as refused:
        decoded(record)
    assert reason == str(refused.value)
