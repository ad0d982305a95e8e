"""Open WebUI, LibreChat and FastChat: chats as trees, votes, comparisons and regenerations."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from decoding import decode_all, decoded

from loopllm_cli.sources.formats import format_by_name
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin

START = 1788257000


def said(key: str, parent: str | None, text: str, **more: Any) -> dict[str, Any]:
    """Return a message of Open WebUI; keys that begin with `q` are questions."""
    role = "user" if key.startswith("q") else "assistant"
    made = {"id": key, "parentId": parent, "role": role, "content": text, "timestamp": START}
    return made | ({} if role == "user" else {"model": "m", "done": True}) | more


def webui(*messages: dict[str, Any], current: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a chat of Open WebUI."""
    history = {"messages": {m["id"]: m for m in messages}, "currentId": current}
    chat = {"history": history, **more}
    return {"id": "ch", "user_id": "u", "chat": chat, "updated_at": START + 90}


def rated(chat: dict[str, Any], key: str, rating: Any, **more: Any) -> dict[str, Any]:
    """Return a rating of Open WebUI for one message of a chat."""
    return {
        "id": "fb",
        "user_id": "u",
        "type": "rating",
        "data": {"rating": rating, **more},
        "meta": {"arena": False, "chat_id": "ch", "message_id": key},
        "snapshot": {"chat": chat},
        "updated_at": START + 95,
    }


def duel(**of_second: Any) -> dict[str, Any]:
    """Return a chat in which two models answered one question at once."""
    return webui(
        said("q1", None, "Tea or coffee?", models=["m", "n"]),
        said("a1", "q1", "Tea.", modelIdx=0),
        said("a2", "q1", "Coffee.", model="n", modelIdx=1, **of_second),
        current="a2",
    )


def votes_of(found: Decoded, kind: str) -> list[dict[str, Any]]:
    """Return the votes of one kind."""
    return [vote for vote in found.feedback if vote["kind"] == kind]


def test_a_rating_brings_the_rated_response_its_siblings_and_the_vote() -> None:
    record = rated(duel(), "a1", 1, reason="tone", comment="warm", details={"rating": 9})
    found = decoded(record)[1]
    assert ["openwebui:ch/a1", "openwebui:ch/a2"] == [
        row["interaction_id"] for row in found.interactions
    ]
    assert 1 == len({row["context_hash"] for row in found.interactions})
    assert [("thumbs", 1), ("rating", 1)] == [(v["kind"], v["polarity"]) for v in found.feedback]
    assert {"tone\nwarm"} == {vote["explanation"] for vote in found.feedback}


@pytest.mark.parametrize(("rating", "winner"), [(1, "openwebui:ch/a1"), (-1, "openwebui:ch/a2")])
def test_a_rating_beside_another_model_is_a_comparison(rating: int, winner: str) -> None:
    found = decoded(rated(duel(), "a1", rating, sibling_model_ids=["n"]))[1]
    (vote,) = votes_of(found, "comparison")
    assert (["openwebui:ch/a1", "openwebui:ch/a2"], winner, False) == (
        vote["candidate_ids"],
        vote["winner_id"],
        vote["tie"],
    )


@pytest.mark.parametrize(
    ("of_second", "siblings"),
    [
        ({}, None),
        ({"done": False}, ["n"]),
        ({"content": " "}, ["n"]),
        ({"model": "m"}, ["m"]),
        ({}, ["another"]),
    ],
)
def test_a_sibling_that_was_no_rival_is_not_compared(
    of_second: dict[str, Any], siblings: list[str] | None
) -> None:
    chat = duel()
    chat["chat"]["history"]["messages"]["a2"] |= of_second
    assert [] == votes_of(
        decoded(rated(chat, "a1", 1, sibling_model_ids=siblings))[1], "comparison"
    )


def test_two_siblings_that_were_rated_alike_are_a_tie() -> None:
    chat = duel(annotation={"rating": 1})
    (vote,) = votes_of(decoded(rated(chat, "a1", 1, sibling_model_ids=["n"]))[1], "comparison")
    assert (None, True) == (vote["winner_id"], vote["tie"])


def test_answers_asked_for_at_once_do_not_replace_each_other() -> None:
    chat = duel(timestamp=START + 5)
    assert [] == votes_of(decoded(rated(chat, "a1", -1))[1], "regeneration")


def test_the_first_answer_was_regenerated_where_the_chat_went_on_from_a_later_one() -> None:
    first = said("q1", None, "Tea or coffee?")
    answers = [said(f"a{n}", "q1", f"Tea {n}.", timestamp=START + n) for n in (1, 2, 3)]
    left = decoded(webui(first, *answers, current="a2"))[1]
    went_on = decoded(webui(first, *answers, said("q2", "a3", "More?"), current="q2"))[1]
    went_back = decoded(webui(first, *answers, current="a1"))[1]
    targets = [
        [vote["target_id"] for vote in votes_of(found, "regeneration")]
        for found in (left, went_on, went_back)
    ]
    assert [["openwebui:ch/a1"], ["openwebui:ch/a1", "openwebui:ch/a2"], []] == targets
    (vote,) = votes_of(left, "regeneration")
    assert ("regenerated", "HUMAN", "end_user") == (
        vote["name"],
        vote["annotator_kind"],
        vote["annotator_role"],
    )
    assert "polarity" not in vote


def test_an_edit_in_place_is_a_correction_of_what_the_model_said() -> None:
    edited = said("a1", "q1", "Green tea.", originalContent="Tea.")
    later = said("a2", "q2", "Hot.")
    found = decoded(
        webui(said("q1", None, "Tea?"), edited, said("q2", "a1", "Hot?"), later, current="a2")
    )[1]
    (vote,) = votes_of(found, "correction")
    assert ("Tea.", "Green tea.") == (found.interactions[0]["response_text"], vote["text"])
    # What follows was said after the edit.
    assert "Green tea." in found.interactions[1]["input_messages"]


def test_both_exports_of_open_webui_give_the_same_rows() -> None:
    by_rating = decoded(rated(duel(), "a1", 1))[1].interactions
    by_chat = decoded(duel())[1].interactions
    assert by_rating == by_chat


def test_a_rating_whose_message_is_gone_keeps_its_vote_and_the_siblings() -> None:
    chat = webui(said("q1", None, "Tea?", childrenIds=["a1", "a2"]), said("a2", "q1", "Yes."))
    found = decoded(rated(chat, "a1", -1))[1]
    assert (["openwebui:ch/a2"], ["openwebui:ch/a1"]) == (
        [row["interaction_id"] for row in found.interactions],
        [vote["target_id"] for vote in found.feedback],
    )


def test_a_rating_that_was_taken_back_is_counted() -> None:
    assert ["rating that was taken back"] == decoded(rated(duel(), "a1", None))[1].skipped


def test_thoughts_that_are_folded_into_an_answer_are_not_its_text() -> None:
    text = (
        '<details type="reasoning" done="true">\n<summary>Thought</summary>\n> a\n> b\n</details>'
    )
    chat = webui(said("q1", None, "Tea?"), said("a1", "q1", f"{text}\nYes."))
    (row,) = decoded(chat)[1].interactions
    assert ("Yes.", "a\nb") == (row["response_text"], row["reasoning_text"])


def test_an_answer_of_open_webui_has_its_usage_state_and_arena_model() -> None:
    answer = said(
        "a1",
        "q0",
        "Te",
        done=False,
        model="arena",
        selectedModelId="n",
        usage={"prompt_eval_count": 7, "eval_count": 2, "total_duration": 1_500_000_000},
    )
    (row,) = decoded(webui(answer, params={"system": "Be brief."}))[1].interactions
    assert ("partial_stream", 7, 2, 1.5, "arena", "n") == (
        row["content_state"],
        row["input_tokens"],
        row["output_tokens"],
        row["duration_s"],
        row["request_model"],
        row["response_model"],
    )


def test_a_chat_brings_every_branch_and_the_votes_on_it() -> None:
    chat = duel(annotation={"rating": -1, "reason": "cold"})
    found = decoded(chat)[1]
    (vote,) = found.feedback
    assert 2 == len(found.interactions)
    assert ("thumbs", -1, "cold", "openwebui:ch/a2") == (
        vote["kind"],
        vote["polarity"],
        vote["explanation"],
        vote["target_id"],
    )


def test_a_chat_whose_messages_go_in_a_circle_is_read_to_its_end() -> None:
    chat = webui(said("a1", "q1", "Tea."), said("q1", "a1", "Tea?"))
    (row,) = decoded(chat)[1].interactions
    assert "partial_context" == row["content_state"]


def libre(key: str, parent: str | None, text: str, second: int, **more: Any) -> dict[str, Any]:
    """Return a message of LibreChat; keys that begin with `q` are questions."""
    return {
        "messageId": key,
        "conversationId": "cv",
        "parentMessageId": parent or "00000000-0000-0000-0000-000000000000",
        "user": "u",
        "isCreatedByUser": key.startswith("q"),
        "text": text,
        "model": "m",
        "endpoint": "openAI",
        "createdAt": f"2026-09-01T10:00:{second:02}Z",
        "updatedAt": f"2026-09-01T10:00:{second:02}Z",
    } | more


TREE = [
    libre("q1", None, "Tea?", 0),
    libre("a1", "q1", "Yes.", 2, feedback={"rating": "thumbsDown", "tag": "short", "text": "why"}),
    libre("a2", "q1", "Yes, green.", 9),
    libre("q2", "a2", "How hot?", 20),
    libre("a3", "q2", "Very.", 22, unfinished=True),
]


def test_a_conversation_is_put_together_in_any_order() -> None:
    expected = decode_all(TREE)[1]
    for order in itertools.permutations(TREE):
        actual = decode_all(order)[1]
        assert expected.interactions == actual.interactions
        assert expected.feedback == actual.feedback
    assert [("a1", 0, "full"), ("a2", 0, "full"), ("a3", 1, "partial_stream")] == [
        (row["source_record_id"], row["turn_index"], row["content_state"])
        for row in expected.interactions
    ]


def test_siblings_share_their_context_and_the_one_left_behind_was_regenerated() -> None:
    found = decode_all(TREE)[1]
    hashes = {row["source_record_id"]: row["context_hash"] for row in found.interactions}
    assert hashes["a1"] == hashes["a2"] != hashes["a3"]
    assert [("thumbs", -1, "short: why"), ("regeneration", None, None)] == [
        (vote["kind"], vote["polarity"], vote["explanation"]) for vote in found.feedback
    ]
    assert {"librechat_message:a1"} == {vote["target_id"] for vote in found.feedback}


def test_any_part_of_a_conversation_gives_rows_whose_version_grows() -> None:
    versions = []
    for known in (TREE[1:2], TREE[:2], TREE):
        row = next(r for r in decode_all(known)[1].interactions if r["source_record_id"] == "a1")
        versions.append((row["source_version"], row["content_state"]))
    assert ["partial_context", "full", "full"] == [state for _, state in versions]
    assert sorted(versions) == versions
    assert Decoded() == format_by_name("librechat_message").assemble("cv", [], Origin("a", 0, "t"))


def test_values_that_the_database_typed_are_read() -> None:
    typed = libre(
        "a1",
        None,
        "Yes.",
        0,
        _id={"$oid": "65"},
        createdAt={"$date": {"$numberLong": "1788257000000"}},
        tokenCount={"$numberInt": "4"},
    )
    (row,) = decode_all([typed])[1].interactions
    assert (2026, 4) == (row["request_time"].year, row["output_tokens"])


def test_contents_of_librechat_are_texts_thoughts_and_tool_calls() -> None:
    contents = [
        {"type": "think", "think": "Warm."},
        {"type": "tool_call", "tool_call": {"id": "t", "name": "shop", "args": "{}", "output": 3}},
        {"type": "text", "text": {"value": "Buy it."}},
    ]
    (row,) = decode_all([libre("a1", None, "", 0, content=contents)])[1].interactions
    assert ("Buy it.", "Warm.", ["shop"], True) == (
        row["response_text"],
        row["reasoning_text"],
        row["tool_call_names"],
        row["is_visible"],
    )


def test_the_notice_of_a_failure_is_no_answer() -> None:
    (row,) = decode_all([TREE[0], libre("a1", "q1", "No credit left", 1, error=True)])[
        1
    ].interactions
    assert ("error", "absent", None) == (
        row["error_type"],
        row["content_state"],
        row["response_text"],
    )
    assert "No credit left" == json.loads(row["attributes_json"])["text"]


def test_an_unknown_rating_of_librechat_leaves_the_message() -> None:
    _, found = decode_all([libre("a1", None, "Yes.", 0, feedback={"rating": "meh"})])
    assert (["rating of unknown kind"], 1, []) == (
        found.skipped,
        len(found.interactions),
        found.feedback,
    )


def state(conversation: str, *texts: str | None, **more: Any) -> dict[str, Any]:
    """Return a conversation of FastChat."""
    roles = ["USER", "ASSISTANT"]
    messages = [[roles[n % 2], text] for n, text in enumerate(texts)]
    made = {"roles": roles, "messages": messages, "offset": 0, "conv_id": conversation}
    return made | {"model_name": f"model of {conversation}"} | more


def event(kind: str, *states: dict[str, Any]) -> dict[str, Any]:
    """Return an event of FastChat's log, about one conversation or two."""
    where = {"state": states[0]} if len(states) == 1 else {"states": list(states)}
    return {"tstamp": START, "type": kind, "ip": "198.51.100.9", **where}


LEFT, RIGHT = state("x", "Tea?", "Yes."), state("y", "Tea?", "No.")


def test_a_chat_and_the_votes_on_it_meet_in_one_row() -> None:
    records = [event("chat", LEFT), event("upvote", LEFT), event("leftvote", LEFT, RIGHT)]
    found = decode_all(records)[1]
    ids = [row["interaction_id"] for row in found.interactions]
    assert (1, 2) == (len(set(ids[:3])), len(set(ids)))
    assert 1 == len({row["content_digest"] for row in found.interactions[:3]})
    assert [ids[0], ids[0]] == [found.feedback[0]["target_id"], found.feedback[1]["winner_id"]]
    # The chat's own event knows most of it.
    assert [2, 1, 1, 1] == [row["source_version"] for row in found.interactions]


def test_a_turn_that_was_generated_anew_is_another_response() -> None:
    again = state("x", "Tea?", "Yes, please.")
    ids = [decoded(event("chat", s))[1].interactions[0]["interaction_id"] for s in (LEFT, again)]
    assert ids[0] != ids[1]
    assert {"fastchat:x.0"} == {name.split("~")[0] for name in ids}


@pytest.mark.parametrize(
    ("kind", "winner", "tie"),
    [
        ("leftvote", 0, False),
        ("rightvote", 1, False),
        ("tievote", None, True),
        ("bothbad_vote", None, True),
    ],
)
def test_a_duel_has_a_winner_or_is_a_tie(kind: str, winner: int | None, tie: bool) -> None:
    (vote,) = decoded(event(kind, LEFT, RIGHT))[1].feedback
    expected = None if winner is None else vote["candidate_ids"][winner]
    assert (expected, tie, kind, "response") == (
        vote["winner_id"],
        vote["tie"],
        vote["score_label"],
        vote["target_kind"],
    )


def test_a_duel_after_the_first_turn_is_about_the_conversations() -> None:
    longer = [state(key, "Tea?", f"{key}.", "Hot?", "Very.") for key in ("x", "y")]
    found = decoded(event("tievote", *longer))[1]
    assert ("conversation", [1, 1]) == (
        found.feedback[0]["target_kind"],
        [row["turn_index"] for row in found.interactions],
    )


def test_examples_of_a_template_are_context_and_no_turns() -> None:
    with_examples = state("x", "One?", "One.", "Tea?", "Yes.", offset=2, system_message="Be kind.")
    (row,) = decoded(event("chat", with_examples))[1].interactions
    assert (0, ["system", "user", "assistant", "user"]) == (
        row["turn_index"],
        [message["role"] for message in json.loads(row["input_messages"])],
    )


@pytest.mark.parametrize(
    ("text", "content_state", "error", "response"),
    [
        ("Ye▌", "partial_stream", None, "Ye"),
        ("**NETWORK ERROR DUE TO HIGH TRAFFIC.**", "absent", "network_error", None),
        (None, "absent", None, None),
    ],
)
def test_an_answer_of_fastchat_may_be_unfinished_or_missing(
    text: str | None, content_state: str, error: str | None, response: str | None
) -> None:
    (row,) = decode_all([event("chat", state("x", "Tea?", text))])[1].interactions
    assert (content_state, error, response) == (
        row["content_state"],
        row["error_type"],
        row["response_text"],
    )


def test_the_address_of_a_caller_is_left_out() -> None:
    found = decoded(event("flag", LEFT))[1]
    assert "198.51.100.9" not in json.dumps([found.interactions, found.feedback], default=str)
    assert ("label", "flag") == (found.feedback[0]["kind"], found.feedback[0]["score_label"])


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("openwebui_feedback", rated(duel(), "a1", "meh")),
        ("openwebui_feedback", {}),
        ("openwebui_chat", {"chat": {"history": {"messages": {}}}}),
        ("librechat_message", {"messageId": [], "conversationId": "c"}),
        ("fastchat_log", event("chat", state("x", "Tea?"))),
        ("fastchat_log", event("leftvote", LEFT, LEFT)),
        ("fastchat_log", {"type": "tievote", "tstamp": 1, "states": [None, None]}),
        ("fastchat_log", {}),
    ],
)
def test_a_malformed_chat_is_rejected_with_a_reason(name: str, record: dict[str, Any]) -> None:
    with pytest.raises(BadLine, match=r"^\w+"):
        decoded(record, only=name)
