"""Public dataset shapes become rows per answer, and comparisons only of answers to one prompt."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import orjson
import pytest
from decoding import decode_all, decoded, row_of, vote_of

from loopllm_cli.sources.envelopes import argilla_record, openassistant
from loopllm_cli.sources.formats import all_formats
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Origin

ASKED = "Which bus goes to the harbour?"
LONG = "Line 7 goes there every ten minutes."
SHORT = "Line 7."


def user(text: str = ASKED) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str = LONG) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def turn(speaker: str, value: Any) -> dict[str, Any]:
    return {"from": speaker, "value": value}


SHAREGPT = {"id": "s-1", "conversations": [turn("human", ASKED), turn("gpt", LONG)]}
SHAREGPT_PREFERENCE = {
    "conversations": [turn("human", ASKED)],
    "chosen": turn("gpt", LONG),
    "rejected": turn("gpt", SHORT),
}
ARENA = {
    "question_id": "q-1",
    "model_a": "m-a",
    "model_b": "m-b",
    "winner": "model_b",
    "judge": "voter-1",
    "conversation_a": [user(), assistant(LONG)],
    "conversation_b": [user(), assistant(SHORT)],
    "tstamp": 1790000000.5,
}
LMSYS = {
    "conversation_id": "l-1",
    "model": "m-1",
    "conversation": [user(), assistant(), user("Thanks, NAME_1."), assistant("Gladly.")],
    "openai_moderation": [{"flagged": False}],
    "redacted": False,
}
WILDCHAT = {
    "conversation_hash": "w-1",
    "model": "m-1",
    "timestamp": "2026-10-01T12:05:00+00:00",
    "hashed_ip": "0af1",
    "redacted": False,
    "conversation": [
        {**user(), "hashed_ip": "0af1", "timestamp": None, "turn_identifier": 31},
        {**assistant(), "timestamp": "2026-10-01T12:00:00+00:00", "turn_identifier": 31},
        {**user("And back?"), "redacted": True, "turn_identifier": 32},
        {**assistant("Line 8."), "timestamp": "2026-10-01T12:05:00Z", "turn_identifier": 32},
    ],
}
OASST = {
    "message_id": "o-2",
    "parent_id": "o-1",
    "message_tree_id": "o-1",
    "user_id": "volunteer-2",
    "text": LONG,
    "role": "assistant",
    "rank": 0,
    "created_date": "2026-10-01T12:00:00+00:00",
    "deleted": False,
    "synthetic": False,
}
ULTRA = {
    "instruction": ASKED,
    "completions": [
        {
            "model": "m-1",
            "response": LONG,
            "annotations": {
                "helpfulness": {"Rating": "5", "Rationale": "complete"},
                "honesty": {"Rating": "N/A"},
            },
            "overall_score": 10.0,
            "critique": "It says all that matters.",
        }
    ],
}
BINARISED = {
    "prompt": ASKED,
    "chosen": [user(), assistant(LONG)],
    "rejected": [user(), assistant(SHORT)],
    "score_chosen": 8.0,
    "score_rejected": 3.5,
}
HH = {
    "chosen": f"\n\nHuman: {ASKED}\n\nAssistant: {LONG}",
    "rejected": f"\n\nHuman: {ASKED}\n\nAssistant: {SHORT}",
}
ARGILLA = {
    "id": "a-1",
    "_server_id": "5f",
    "status": "completed",
    "fields": {"prompt": ASKED, "response1": LONG, "response2": SHORT},
    "metadata": {"model": "m-1"},
    "responses": {"preference": [{"value": "response2", "user_id": "expert-1"}]},
    "suggestions": {"preference": {"value": "response1", "score": 0.7, "agent": "judge-1"}},
}
ARGILLA_FLAT = {
    "id": "a-2",
    "_server_id": "60",
    "prompt": ASKED,
    "response": LONG,
    "quality.responses": [4, 2, 1],
    "quality.responses.users": ["expert-1", "expert-2", "expert-3"],
    "quality.responses.status": ["submitted", "draft", "discarded"],
    "quality.suggestion": 5,
    "quality.suggestion.agent": "judge-1",
}
TRL = {"prompt": ASKED, "chosen": LONG, "rejected": SHORT}
UNPAIRED = {"prompt": [user()], "completion": [assistant()], "label": False}
EXAMPLES = {
    "sharegpt": SHAREGPT,
    "sharegpt_preference": SHAREGPT_PREFERENCE,
    "chatbot_arena": ARENA,
    "lmsys_chat": LMSYS,
    "wildchat": WILDCHAT,
    "openassistant": OASST,
    "ultrafeedback": ULTRA,
    "hh_rlhf": HH,
    "argilla_record": ARGILLA,
    "trl_preference": TRL,
    "trl_unpaired": UNPAIRED,
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_shape_is_recognised_by_its_own_format_alone(name: str) -> None:
    mine = [f.name for f in all_formats() if f.name in EXAMPLES and f.recognises(EXAMPLES[name])]
    assert ([name], name) == (mine, decoded(EXAMPLES[name])[0])


@pytest.mark.parametrize("record", [BINARISED, ARGILLA_FLAT, {**TRL, "prompt": [user()]}])
def test_the_other_layout_of_a_shape_is_recognised_too(record: dict[str, Any]) -> None:
    mine = [f.name for f in all_formats() if f.name in EXAMPLES and f.recognises(record)]
    assert [decoded(record)[0]] == mine


def spoilt(value: Any, bad: Any) -> list[Any]:
    """Return copies of a value with each single part of it replaced."""
    found = [bad]
    if isinstance(value, dict):
        for key in value:
            found += [{**value, key: one} for one in spoilt(value[key], bad)]
    if isinstance(value, list):
        for place in range(len(value)):
            found += [
                [*value[:place], one, *value[place + 1 :]] for one in spoilt(value[place], bad)
            ]
    return found


@pytest.mark.parametrize("bad", [None, "x", "", 5, -1.5, True, [], {}, ["x"], [1], {"a": 1}])
def test_malformed_values_are_refused_and_break_nothing(bad: Any) -> None:
    mine = [shape for shape in all_formats() if shape.name in EXAMPLES]
    for record in (*EXAMPLES.values(), BINARISED, ARGILLA_FLAT):
        for changed in (one for one in spoilt(record, bad) if isinstance(one, dict)):
            for shape in mine:
                shape.recognises(changed)
                try:  # also what `--format` forces upon a record
                    found = shape.decode(changed, Origin("a", 1, "t"))
                except BadLine:
                    continue
                if shape.assemble and found.parts:
                    contents = [orjson.loads(orjson.dumps(p.content)) for p in found.parts]
                    found.add(shape.assemble("g", contents, Origin("a", 1, "t")))
                assert found.interactions or found.feedback or found.parts or found.skipped


# ShareGPT


def test_a_sharegpt_conversation_may_start_with_the_model() -> None:
    turns = [turn("gpt", "Hello."), turn("human", ASKED), turn("gpt", LONG), turn("human", "Ok")]
    _, found = decoded({"conversations": turns})
    assert [("Hello.", None, "partial_context"), (LONG, ASKED, "full")] == [
        (row["response_text"], row.get("prompt_text"), row["content_state"])
        for row in found.interactions
    ]
    assert 1 == len({row["conversation_id"] for row in found.interactions})


def test_sharegpt_calls_of_tools_are_turns_of_the_model() -> None:
    call = '{"name": "find_bus", "arguments": {"to": "harbour"}}'
    turns = [turn("human", ASKED), turn("function_call", call), turn("observation", "7")]
    _, found = decoded({"conversations": [*turns, turn("gpt", LONG)], "tools": "[{}]"})
    assert [["find_bus"], None] == [row.get("tool_call_names") for row in found.interactions]
    roles = [m["role"] for m in json.loads(found.interactions[1]["input_messages"])]
    assert ["user", "assistant", "tool"] == roles


def test_sharegpt_calls_that_were_made_at_once_are_one_turn() -> None:
    calls = [{"name": "find_bus", "arguments": {"to": "harbour"}}, {"name": "find_tram"}]
    _, found = decoded(
        {"conversations": [turn("human", ASKED), turn("function_call", json.dumps(calls))]}
    )
    (row,) = found.interactions
    assert (["find_bus", "find_tram"], 2) == (row["tool_call_names"], row["n_tool_calls"])
    (said,) = json.loads(row["output_messages"])
    assert [{"to": "harbour"}, None] == [part["arguments"] for part in said["parts"]]


@pytest.mark.parametrize("text", ["find_bus(to=harbour)", "[]", "{}", '["find_bus"]'])
def test_a_sharegpt_call_that_is_none_stays_as_written(text: str) -> None:
    _, found = decoded({"conversations": [turn("human", ASKED), turn("function_call", text)]})
    (said,) = json.loads(found.interactions[0]["output_messages"])
    assert [(None, text)] == [(part["name"], part["arguments"]) for part in said["parts"]]


def test_sharegpt_preferences_are_compared_by_nobody_known() -> None:
    _, found = decoded(SHAREGPT_PREFERENCE)
    ids = [row["interaction_id"] for row in found.interactions]
    (vote,) = found.feedback
    assert (ids, ids[0], "UNKNOWN") == (
        vote["candidate_ids"],
        vote["winner_id"],
        vote["annotator_kind"],
    )


# Chatbot Arena


@pytest.mark.parametrize(
    ("winner", "side"), [("model_a", 0), ("model_b", 1), ("tie", None), ("tie (bothbad)", None)]
)
def test_an_arena_vote_on_one_turn_is_a_comparison(winner: str, side: int | None) -> None:
    _, found = decoded({**ARENA, "winner": winner})
    ids = [row["interaction_id"] for row in found.interactions]
    (vote,) = found.feedback
    assert ["chatbot_arena:q-1.a", "chatbot_arena:q-1.b"] == ids
    assert (None if side is None else ids[side], side is None) == (vote["winner_id"], vote["tie"])


def test_an_arena_vote_on_several_turns_stays_with_the_conversations() -> None:
    more = [user("And back?"), assistant("Line 8.")]
    _, found = decoded({**ARENA, "conversation_b": [user(), assistant(SHORT), *more]})
    assert [("q-1.a", 0), ("q-1.b", 0), ("q-1.b", 1)] == [
        (row["conversation_id"], row["turn_index"]) for row in found.interactions
    ]
    assert [("conversation", "q-1.a", 0.0), ("conversation", "q-1.b", 1.0)] == [
        (vote["target_kind"], vote["target_conversation_id"], vote["score_value"])
        for vote in found.feedback
    ]
    assert ["a preference between whole conversations"] == found.skipped


# LMSYS-Chat and WildChat


def test_lmsys_turns_are_redacted_from_the_first_mask_on() -> None:
    _, found = decoded({**LMSYS, "redacted": True})
    assert ["full", "redacted"] == [row["content_state"] for row in found.interactions]
    assert "openai_moderation" in json.loads(found.interactions[-1]["attributes_json"])


def test_wildchat_turns_have_their_own_times_and_no_address() -> None:
    _, found = decoded(WILDCHAT)
    assert [("wildchat:w-1.31", 0, "full"), ("wildchat:w-1.31.1", 5, "redacted")] == [
        (row["interaction_id"], row["request_time"].minute, row["content_state"])
        for row in found.interactions
    ]
    assert b"0af1" not in orjson.dumps(found.interactions)


def test_the_last_wildchat_turn_may_have_the_time_of_the_conversation() -> None:
    record = {**WILDCHAT, "conversation": [user(), assistant(), user(), assistant("Line 8.")]}
    assert [None, 5] == [
        row["request_time"] and row["request_time"].minute
        for row in decoded(record)[1].interactions
    ]


# OpenAssistant


def tree() -> list[dict[str, Any]]:
    first = {"message_id": "o-1", "parent_id": None, "role": "prompter", "text": ASKED}
    first = {**OASST, **first, "user_id": "volunteer-1", "rank": None}
    others = [
        {**OASST, "message_id": f"o-{rank + 2}", "text": text, "rank": rank}
        for rank, text in enumerate((LONG, SHORT, "No idea.", "Walk."))
    ]
    return [first, *others]


def test_each_rank_beats_the_next_among_siblings() -> None:
    _, found = decode_all(tree())
    pairs = [vote["candidate_ids"] for vote in found.feedback if vote["kind"] == "comparison"]
    ids = [f"openassistant:o-{number}" for number in (2, 3, 4, 5)]
    assert sorted(map(list, pairwise(ids))) == sorted(pairs)
    assert {"volunteer-1"} == {row["user_id"] for row in found.interactions}


@pytest.mark.parametrize("flag", ["deleted", "synthetic"])
def test_deleted_and_synthetic_answers_are_marked_and_not_compared(flag: str) -> None:
    messages = tree()
    messages[2][flag] = True
    _, found = decode_all(messages)
    pairs = [vote["candidate_ids"] for vote in found.feedback if vote["kind"] == "comparison"]
    assert [["openassistant:o-4", "openassistant:o-5"]] == pairs
    tags = {row["interaction_id"]: row["tags"] for row in found.interactions}
    assert [flag] == tags["openassistant:o-3"]


def test_a_tree_in_one_record_is_the_tree_in_pieces() -> None:
    first, *others = tree()
    whole = {"message_tree_id": "o-1", "prompt": {**first, "replies": others}}
    assert ["full"] * 4 == [row["content_state"] for row in decode_all([whole])[1].interactions]


def test_an_answer_whose_question_is_not_there_yet_has_a_partial_context() -> None:
    contents = tree()
    origin = Origin("a", 1, "t")
    early = openassistant.assemble("o-1", contents[1:2], origin).interactions[0]
    late = openassistant.assemble("o-1", contents, origin).interactions[0]
    assert ("partial_context", "full") == (early["content_state"], late["content_state"])
    assert early["interaction_id"] == late["interaction_id"]
    assert early["source_version"] < late["source_version"]


def test_a_message_that_answers_itself_ends() -> None:
    loop = {**OASST, "parent_id": "o-2"}
    assert "partial_context" == decode_all([loop])[1].interactions[0]["content_state"]


# UltraFeedback


def test_aspects_are_ratings_of_a_model_and_not_applicable_is_none() -> None:
    _, found = decoded(ULTRA)
    assert [("helpfulness", 5.0, 1, "LLM"), ("overall_score", 10.0, None, "LLM")] == [
        (vote["name"], vote["score_value"], vote.get("polarity"), vote["annotator_kind"])
        for vote in found.feedback
    ]
    assert ["an aspect without a rating"] == found.skipped


@pytest.mark.parametrize(("score", "tie"), [(3.5, False), (8.0, True)])
def test_equal_scores_are_a_tie_whatever_was_chosen(score: float, tie: bool) -> None:
    _, found = decoded({**BINARISED, "score_rejected": score})
    vote = found.feedback[-1]
    assert ("comparison", "LLM", tie, 8.0 - score) == (
        vote["kind"],
        vote["annotator_kind"],
        vote["tie"],
        vote["score_value"],
    )


# hh-rlhf and TRL


def test_transcripts_are_split_at_their_last_answer() -> None:
    before = f"\n\nHuman: Hello.\n\nAssistant: Hi.\n\nHuman: {ASKED}\n\nAssistant: "
    _, found = decoded({"chosen": before + LONG, "rejected": before + SHORT})
    assert [(ASKED, LONG), (ASKED, SHORT)] == [
        (row["prompt_text"], row["response_text"]) for row in found.interactions
    ]
    assert "HUMAN" == found.feedback[0]["annotator_kind"]


def test_transcripts_that_part_earlier_are_not_compared() -> None:
    other = HH["rejected"] + "\n\nHuman: And back?\n\nAssistant: Line 8."
    _, found = decoded({**HH, "rejected": other})
    assert ([], ["a preference between whole conversations"]) == (found.feedback, found.skipped)


@pytest.mark.parametrize(
    ("prompt", "chosen", "rejected"),
    [
        (ASKED, LONG, SHORT),
        ([user()], [assistant(LONG)], [assistant(SHORT)]),
        (None, [user(), assistant(LONG)], [user(), assistant(SHORT)]),
        (ASKED, [user(), assistant(LONG)], [user(), assistant(SHORT)]),
        (None, f"{ASKED} Take line 7.", f"{ASKED} Take line 8."),
    ],
)
def test_a_prompt_may_stand_apart_or_inside_the_answers(
    prompt: Any, chosen: Any, rejected: Any
) -> None:
    record = {"prompt": prompt, "chosen": chosen, "rejected": rejected}
    _, found = decoded({key: value for key, value in record.items() if value is not None})
    (vote,) = found.feedback
    assert found.interactions[0]["interaction_id"] == vote["winner_id"]
    assert found.interactions[0]["prompt_text"].startswith(ASKED)


def test_the_same_answer_in_two_records_is_one_row() -> None:
    _, found = decode_all([TRL, {**TRL, "chosen": "Take the ferry.", "rejected": LONG}])
    assert 3 == len({row["interaction_id"] for row in found.interactions})


def test_equal_answers_are_not_compared() -> None:
    _, found = decoded({**TRL, "rejected": LONG})
    assert (1, [], ["a preference between two equal answers"]) == (
        len(found.interactions),
        found.feedback,
        found.skipped,
    )


@pytest.mark.parametrize(("label", "polarity"), [(True, 1), (False, -1)])
def test_a_label_is_a_thumb_of_nobody_known(label: bool, polarity: int) -> None:
    vote = vote_of({**UNPAIRED, "label": label})
    assert ("thumbs", polarity, "UNKNOWN") == (
        vote["kind"],
        vote["polarity"],
        vote["annotator_kind"],
    )


def test_a_log_with_a_label_is_no_training_record() -> None:
    record = {"prompt": ASKED, "completion": LONG, "label": True, "ts": "2026-10-01"}
    assert "flat" == decoded(record)[0]


# Argilla


def test_annotators_and_models_prefer_on_their_own_account() -> None:
    _, found = decoded(ARGILLA)
    ids = [row["interaction_id"] for row in found.interactions]
    assert [("HUMAN", "expert-1", ids[1]), ("LLM", "judge-1", ids[0])] == [
        (vote["annotator_kind"], vote["annotator_id"], vote["winner_id"]) for vote in found.feedback
    ]


def test_only_submitted_responses_count_and_ratings_have_no_scale() -> None:
    _, found = decoded(ARGILLA_FLAT)
    assert [(4.0, "HUMAN", None), (5.0, "LLM", None)] == [
        (vote["score_value"], vote["annotator_kind"], vote["polarity"]) for vote in found.feedback
    ]


@pytest.mark.parametrize(
    ("question", "value", "kind"),
    [
        ("safe", "yes", "label"),
        ("topics", ["bus", "ferry"], "label"),
        ("why", "It leaves out the return journey.\nThat matters here.", "comment"),
        ("correction", "Line 7 or 9.", "correction"),
        ("quality", 3, "rating"),
    ],
)
def test_an_argilla_value_tells_its_kind(question: str, value: Any, kind: str) -> None:
    responses = {question: [{"value": value, "user_id": "expert-1", "status": "submitted"}]}
    fields = {"prompt": ASKED, "response": LONG}
    assert (
        kind
        == vote_of({**ARGILLA, "fields": fields, "responses": responses, "suggestions": {}})["kind"]
    )


def test_an_argilla_ranking_is_a_comparison_per_step() -> None:
    ranks = [{"value": "response2", "rank": 1}, {"value": "response1", "rank": 2}]
    responses = {"order": [{"value": ranks, "user_id": "expert-1"}]}
    _, found = decoded({**ARGILLA, "responses": responses, "suggestions": {}})
    (vote,) = found.feedback
    assert found.interactions[1]["interaction_id"] == vote["winner_id"]


def test_a_question_names_its_answer_or_is_left_out() -> None:
    said = [{"value": 4, "user_id": "expert-1"}]
    responses = {"quality_response-2": said, "quality": said}
    _, found = decoded({**ARGILLA, "responses": responses, "suggestions": {}})
    assert [found.interactions[1]["interaction_id"]] == [v["target_id"] for v in found.feedback]
    assert ["an answer to a question about several responses"] == found.skipped


def test_a_record_of_other_fields_is_counted_and_not_stored() -> None:
    record = {**ARGILLA, "fields": {"picture": "cat"}}
    found = argilla_record.decode(record, Origin("a", 1, "t"))
    assert ([], ["a record without a prompt and an answer"]) == (found.interactions, found.skipped)


# Comparisons with both texts in generic feedback


@pytest.mark.parametrize(
    ("preference", "side", "distance"),
    [(1.1, 0, 0.8), (1.5, None, 0.0), (1.75, 1, 0.5), (1.0, 0, None), ("2.0", 1, None)],
)
def test_a_graded_preference_goes_to_the_nearer_side(
    preference: Any, side: int | None, distance: float | None
) -> None:
    texts = {"instruction": ASKED, "output_1": LONG, "output_2": SHORT}
    models = {"generator_1": "m-1", "generator_2": "m-2"}
    _, found = decoded({**texts, **models, "preference": preference})
    (vote,) = found.feedback
    ids = [row["interaction_id"] for row in found.interactions]
    assert (None if side is None else ids[side]) == vote["winner_id"]
    assert distance == pytest.approx(vote.get("score_value")) if distance else True
    assert ["m-1", "m-2"] == [row["response_model"] for row in found.interactions]


@pytest.mark.parametrize("preference", [0.5, 2.5, "1.x", [], -1])
def test_a_preference_beyond_both_sides_is_refused(preference: Any) -> None:
    record = {"prompt": ASKED, "output_1": LONG, "output_2": SHORT, "preference": preference}
    with pytest.raises(BadLine):
        decoded(record)


def test_who_compares_is_not_who_asked() -> None:
    record = {"prompt": ASKED, "response_a": LONG, "response_b": SHORT, "winner": "a"}
    _, found = decoded({**record, "annotator": "expert-1", "user": "asker-1"})
    assert {"asker-1"} == {row["user_id"] for row in found.interactions}
    assert "expert-1" == found.feedback[0]["annotator_id"]
    _, found = decoded({**record, "annotator": "expert-1"})
    assert {None} == {row["user_id"] for row in found.interactions}


@pytest.mark.parametrize(
    "scale", [{"scale_min": 1, "scale_max": 10}, {"rating_min": 1, "rating_max": 10}]
)
def test_a_rating_inside_a_record_is_read_on_the_records_scale(scale: dict[str, int]) -> None:
    vote = vote_of({"prompt": ASKED, "response": LONG, "rating": 4, **scale})
    assert (1.0, 10.0, -1) == (vote["scale_min"], vote["scale_max"], vote["polarity"])
    assert 4.0 == vote["score_value"]


def test_a_vote_inside_a_record_is_by_its_user_under_the_same_pseudonym() -> None:
    record = {"prompt": ASKED, "response": LONG, "feedback": "up", "user": "asker-1"}
    _, found = decoded(record, hash_user=lambda user: f"<{user}>")
    assert "<asker-1>" == found.interactions[0]["user_id"] == found.feedback[0]["annotator_id"]


def test_a_training_record_keeps_its_tools() -> None:
    tools = [{"type": "function", "function": {"name": "find_bus"}}]
    assert tools == json.loads(row_of({**UNPAIRED, "tools": tools})["tool_definitions"])
