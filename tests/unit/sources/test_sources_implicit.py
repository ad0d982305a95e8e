"""What users show in their next message becomes a sign about the answer before it."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from decoding import decoded, full

from loopllm_cli.sources import implicit_rules
from loopllm_cli.sources.implicit import implicit_feedback, mine_messages
from loopllm_cli.sources.implicit_rules import mine_follow_up
from loopllm_cli.sources.rows import Origin, interaction, text_message
from loopllm_cli.store.schema import FEEDBACK
from scripts.measure_implicit import SIGNS, counts, found_sign, read_examples, wilson

ASKED = "Which bus goes from the station to the harbour?"
ANSWERED = "Line 7 goes there every ten minutes."
ORIGIN = Origin("a.jsonl", 1, "test")


def name_of(said_next: str, asked: str | None = ASKED, answered: str = ANSWERED) -> str | None:
    sign = mine_follow_up(asked, answered, said_next)
    return sign.name if sign else None


@pytest.mark.parametrize(
    ("said_next", "expected"),
    [
        ("Thanks, and how do I buy a ticket?", "thanks"),
        ("what about the larger one?", None),
        ("No buses at night?", None),
        ("Is that the wrong direction?", None),
        ("Please write to them. Thanks!", None),
        ("no thanks", None),
        ("That's wrong.", "complaint"),
        ("No, I meant the other harbour", "complaint"),
        ("I’d say that’s not right", None),
        ("That’s not right", "complaint"),
        ("No, it's line 12", "own_correction"),
        ("No, it's fine", None),
        ("which bus from the station goes to the harbour", "rephrase"),
        ("Which bus goes from the station to the airport?", None),
        ("I want to talk to a real person, this is useless", "ask_human"),
        ("Are you a real person?", None),
        ("shorter please", "revision"),
        ("thanks, but that's wrong", "complaint"),
        ("", None),
        ("   \n", None),
        ("???", None),
        ("👍", None),
    ],
)
def test_a_follow_up_gives_the_sign_that_a_reader_would_see(
    said_next: str, expected: str | None
) -> None:
    assert expected == name_of(said_next)


@pytest.mark.parametrize(
    "said_next", ["no, still the same", "Great!", "I get an error", "there is no such button"]
)
def test_what_answers_a_question_of_the_model_says_nothing_of_its_answer(said_next: str) -> None:
    assert name_of(said_next) is not None or said_next.startswith("no")
    assert name_of(said_next, answered="Does it work after a restart?") is None


def test_a_wish_for_another_form_is_no_dissatisfaction() -> None:
    sign = mine_follow_up(ASKED, ANSWERED, "make it more formal")
    assert sign is not None
    assert ("revision", None) == (sign.name, sign.polarity)


def test_an_unknown_question_is_never_asked_again() -> None:
    assert name_of(ASKED, asked=None) is None


@pytest.mark.parametrize("piece", ["so ", "no ", "not ", "thanks ", "a", "i mean ", "不", "1,2. "])
def test_a_long_message_is_read_only_at_its_beginning(piece: str) -> None:
    name_of(piece * 20000)
    assert name_of("x" * 300 + " thanks") is None


# The labelled messages


def test_the_labelled_messages_are_enough_and_not_all_english() -> None:
    examples = [*read_examples("dev"), *read_examples("test")]
    nothing = sum(example["label"] == "nothing" for example in examples)
    assert len(examples) >= 400
    assert nothing >= 0.45 * len(examples)
    assert sum(example["lang"] != "en" for example in examples) >= 80
    assert {"nothing", *SIGNS} == {example["label"] for example in examples}


def test_signs_in_the_test_half_are_found_as_often_as_documented() -> None:
    found = counts("test")
    for sign, (hits, findings, labels) in found.items():
        assert hits / findings >= 0.9, f"{sign}: precision"
        assert hits / labels >= 0.85, f"{sign}: recall"
    hits, findings, _ = found["any sign"]
    assert wilson(hits, findings)[0] >= 0.9


class Everything:
    """Stands for triggers of which every message holds all."""

    def isdisjoint(self, words: list[str]) -> bool:
        return False

    def get(self, word: str, default: int) -> int:
        return -1


def test_no_sign_is_lost_by_looking_only_at_messages_with_a_trigger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    examples = [*read_examples("dev"), *read_examples("test")]
    quick = [found_sign(example) for example in examples]
    monkeypatch.setattr(implicit_rules, "_TRIGGERS", Everything())
    monkeypatch.setattr(implicit_rules, "TRIGGER_BITS", Everything())
    assert [found_sign(example) for example in examples] == quick


# Rows


def conversation(*said: str) -> list[dict[str, Any]]:
    roles = ("user", "assistant")
    return [text_message(roles[at % 2], text) for at, text in enumerate(said)]


def row_after(*said: str, **origin: Any) -> dict[str, Any]:
    return interaction(
        Origin("a.jsonl", 1, "test", **origin),
        "messages",
        native_id="c-1",
        inputs=conversation(*said),
        output=text_message("assistant", "Gladly."),
        values={"conversation_id": "c-1", "user_id": "asker-1"},
    )


def test_a_sign_is_about_the_answer_before_it_and_copies_no_text() -> None:
    said = [("user", ASKED), ("assistant", ANSWERED), ("user", "That's wrong, Bob Miller says")]
    messages = [{"role": role, "content": text} for role, text in (*said, ("assistant", "Sorry."))]
    record = {"id": "c-1", "ts": "2026-10-01T12:00:00Z", "user": "asker-1", "messages": messages}
    first, second = decoded(record, hash_user=lambda user: f"<{user}>")[1].interactions
    assert [] == implicit_feedback(ORIGIN, first)
    origin = Origin("a.jsonl", 1, "test", hash_user=lambda user: f"<{user}>")
    (vote,) = implicit_feedback(origin, second)
    vote = full(vote, FEEDBACK.names)
    expected = {
        "source_format": "implicit",
        "kind": "implicit",
        "name": "complaint",
        "polarity": -1,
        "score_value": 0.8,
        "annotator_kind": "HUMAN",
        "annotator_role": "end_user",
        "annotator_id": "<asker-1>",
        "feedback_time": second["request_time"],
        "target_kind": "response",
        "target_conversation_id": "c-1",
        "target_response_hash": first["response_hash"],
        "explanation": None,
        "text": None,
    }
    assert expected == {name: vote[name] for name in expected}
    assert b"Miller" not in orjson.dumps(vote)


def test_messages_that_are_given_need_not_be_read() -> None:
    said = ("Hello.", "Hi.", ASKED, ANSWERED, "That's wrong.")
    row = row_after(*said)
    assert implicit_feedback(ORIGIN, row) == implicit_feedback(ORIGIN, row, conversation(*said))


def test_a_row_after_a_tools_result_does_not_count_the_message_again() -> None:
    row = row_after(ASKED, ANSWERED, "That's wrong.")
    messages = json.loads(row["input_messages"])
    tool = {"role": "tool", "parts": [{"type": "tool_call_response", "id": "1", "response": "7"}]}
    assert [] == implicit_feedback(ORIGIN, row, [*messages, tool])
    row["input_messages"] = json.dumps([*messages, tool], separators=(",", ":"), sort_keys=True)
    assert [] == implicit_feedback(ORIGIN, row)


@pytest.mark.parametrize(
    "text", ['{"parts":[{"content":"x"}],"role":"user"}', '"role":"assistant"']
)
def test_texts_that_look_like_stored_messages_are_texts(text: str) -> None:
    (vote,) = implicit_feedback(
        ORIGIN, row_after(text, text + ".", text, ANSWERED, "That's wrong.")
    )
    assert "complaint" == vote["name"]


def test_a_message_inside_a_tools_arguments_is_none() -> None:
    call = {"type": "tool_call", "id": "1", "name": "say", "arguments": {"parts": [{"parts": []}]}}
    messages = conversation(ASKED, ANSWERED, "That's wrong.")
    messages[1]["parts"].append(call)
    messages[2]["parts"].append(call)
    row = row_after(ASKED)
    row["input_messages"] = json.dumps(messages, separators=(",", ":"), sort_keys=True)
    assert ["complaint"] == [vote["name"] for vote in implicit_feedback(ORIGIN, row)]


@pytest.mark.parametrize("stored", [None, "", "[]", '[{"parts":[],"role":"user"}]', "x"])
def test_a_row_without_an_earlier_answer_gives_nothing(stored: str | None) -> None:
    assert [] == implicit_feedback(ORIGIN, {"input_messages": stored})


def test_every_answer_of_a_conversation_is_looked_at() -> None:
    said = (ASKED, ANSWERED, "That's wrong.", "Line 8.", "Thanks!", "Gladly.")
    found = [(place, sign.name) for place, sign in mine_messages(conversation(*said))]
    assert [(1, "complaint"), (3, "thanks")] == found
