"""What a candidate must be before anybody trains on it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pair_evidence import BAD, GOOD, answer, build, comparison, correction, down, parts, up

from loopllm_cli.config import PairsConfig
from loopllm_cli.pairs.candidates import Candidate
from loopllm_cli.pairs.chat import to_messages
from loopllm_cli.pairs.guards import refuse

REFUSAL = "I'm sorry, but I cannot help with that request."
CALL = {"type": "tool_call", "id": "c1", "name": "pay", "arguments": '{"eur": 5}'}
RESULT = {"type": "tool_call_response", "id": "c1", "response": "paid"}
THOUGHT = json.dumps([{"role": "assistant", "parts": [{"type": "reasoning", "content": "hm"}]}])
STEPS = json.dumps([{"role": "assistant", "parts": [CALL, RESULT]}])
PICTURE = json.dumps([{"role": "user", "parts": [{"type": "blob", "modality": "image"}]}])
FUNCTION = parts(("user", "q"), ("function", "4"))
ENDED = parts(("user", "q"), ("assistant", "a"))

BAD_ANSWERS: list[tuple[dict[str, Any], str]] = [
    ({"error_type": "timeout"}, "an answer that is an error"),
    ({"finish_reason": "length"}, "an answer that was cut off"),
    ({"finish_reason": "content_filter"}, "an answer that was cut off"),
    ({"content_state": "redacted"}, "an answer whose content was not logged in full"),
    ({"content_state": "absent"}, "an answer whose content was not logged in full"),
    ({"output_messages": THOUGHT}, "an answer with pictures, reasoning or other parts"),
    ({"output_messages": STEPS}, "an answer with pictures, reasoning or other parts"),
    ({"output_messages": None}, "an answer with pictures, reasoning or other parts"),
    ({"output_messages": "[broken"}, "an answer with pictures, reasoning or other parts"),
    ({"input_messages": PICTURE}, "a context with pictures, reasoning or other parts"),
    ({"input_messages": FUNCTION}, "a context with pictures, reasoning or other parts"),
    ({"input_messages": ENDED}, "a context with pictures, reasoning or other parts"),
    ({"input_messages": "[]"}, "a context with pictures, reasoning or other parts"),
    ({"input_messages": None}, "a context with pictures, reasoning or other parts"),
    ({"input_messages": parts(("user", "x" * 400_001))}, "a context of enormous length"),
]


@pytest.mark.parametrize(("fields", "reason"), BAD_ANSWERS)
@pytest.mark.parametrize("side", ["chosen", "rejected"])
def test_nobody_trains_on_an_answer_that_is_no_plain_whole_answer(
    fields: dict[str, Any], reason: str, side: str
) -> None:
    """Each guard holds on either side of a comparison."""
    good = answer("a", GOOD, **(fields if side == "chosen" else {}))
    bad = answer("b", BAD, **(fields if side == "rejected" else {}))
    built = build([good, bad], [comparison("a", "b")])
    assert ([], {reason: 1}) == (built.train, built.dropped)


@pytest.mark.parametrize(("fields", "reason"), BAD_ANSWERS)
def test_a_correction_does_not_mend_an_unusable_answer(fields: dict[str, Any], reason: str) -> None:
    built = build([answer("b", BAD, **fields)], [correction("b")])
    assert ([], {reason: 1}) == (built.train, built.dropped)


@pytest.mark.parametrize("finish", [None, "stop", "tool_call"])
def test_a_finished_answer_passes(finish: str | None) -> None:
    assert 1 == len(build([answer("b", finish_reason=finish)], [correction("b")]).train)


def test_an_answer_without_logged_context_pairs_with_nothing() -> None:
    """Two unknown contexts are not the same context."""
    lost: dict[str, Any] = {"context_hash": None}
    built = build([answer("a", GOOD, **lost), answer("b", BAD, **lost)], [comparison("a", "b")])
    assert {"an answer whose content was not logged in full": 1} == built.dropped


@pytest.mark.parametrize("text", [BAD, f"  {BAD}\n", f"{BAD}   \n\n"])
def test_sides_that_differ_in_blanks_at_line_ends_only_are_the_same(text: str) -> None:
    built = build([answer("a", text), answer("b", BAD)], [comparison("a", "b")])
    assert {"both sides are the same": 1} == built.dropped


def test_letters_composed_in_two_ways_are_the_same() -> None:
    votes = [comparison("a", "b")]
    built = build([answer("a", "cafe\u0301 au lait"), answer("b", "caf\u00e9 au lait")], votes)
    assert {"both sides are the same": 1} == built.dropped


@pytest.mark.parametrize("texts", [("", BAD), (GOOD, " \n")])
def test_an_empty_side_teaches_nothing(texts: tuple[str, str]) -> None:
    built = build([answer("a", texts[0]), answer("b", texts[1])], [up("a"), down("b")])
    assert {"an empty side": 2} == built.dropped


def test_a_refusal_is_not_preferred_to_an_answer() -> None:
    built = build([answer("a", REFUSAL), answer("b", BAD)], [comparison("a", "b")])
    assert {"the chosen side is a refusal": 1} == built.dropped


def test_an_answer_is_preferred_to_a_refusal() -> None:
    built = build([answer("a", GOOD), answer("b", REFUSAL)], [comparison("a", "b")])
    assert 1 == len(built.train)


def test_the_better_of_two_refusals_may_be_chosen() -> None:
    polite = f"{REFUSAL} Our legal team can, at any time of the day."
    built = build([answer("a", polite), answer("b", REFUSAL)], [comparison("a", "b")])
    assert 1 == len(built.train)


def test_a_correction_of_a_typo_teaches_nothing() -> None:
    built = build([answer("b", BAD)], [correction("b", BAD.replace("refunds", "refund"))])
    assert {"a correction of a typo only": 1} == built.dropped


def test_a_new_text_is_no_correction_where_the_configuration_says_so() -> None:
    unlike = "0123456789" * 8
    assert 1 == len(build([answer("b", BAD)], [correction("b", unlike)]).train)
    built = build([answer("b", BAD)], [correction("b", unlike)], max_edit=0.8)
    assert {"a correction that is a new text": 1} == built.dropped


def test_edits_are_no_bound_for_comparisons() -> None:
    """Two answers that differ in a letter may differ in what matters."""
    built = build([answer("a", f"{BAD}!"), answer("b", BAD)], [comparison("a", "b")], max_edit=0.0)
    assert 1 == len(built.train)


def called(name: str, arguments: str, call_id: str = "c1", text: str = "") -> dict[str, Any]:
    """Return the fields of an answer that calls a tool."""
    call = {"type": "tool_call", "id": call_id, "name": name, "arguments": arguments}
    said = [{"type": "text", "content": text}] if text else []
    output = json.dumps([{"role": "assistant", "parts": [*said, call]}])
    return {"output_messages": output, "n_tool_calls": 1, "has_tools": True, "tools": "[1]"}


def test_whole_messages_are_compared_with_their_tool_calls() -> None:
    """Two answers without a word differ by what they call."""
    right, wrong = called("pay", '{"eur": 5}'), called("pay", '{"eur": 500}')
    built = build([answer("a", "", **right), answer("b", "", **wrong)], [comparison("a", "b")])
    (pair,) = built.train
    assert ("", "", "[1]") == (pair.chosen, pair.rejected, pair.tools)
    (call,) = json.loads(pair.chosen_calls or "")
    function = {"name": "pay", "arguments": {"eur": 5}}
    assert {"type": "function", "id": "c1", "function": function} == call
    assert "500" in (pair.rejected_calls or "")


def test_the_same_call_under_another_id_is_the_same_answer() -> None:
    one, other = called("pay", '{"eur": 5}'), called("pay", '{"eur":5}', call_id="c2")
    built = build([answer("a", "", **one), answer("b", "", **other)], [comparison("a", "b")])
    assert {"both sides are the same": 1} == built.dropped


def test_an_answer_may_be_better_than_a_call() -> None:
    built = build(
        [answer("a", GOOD), answer("b", "", **called("pay", "{}"))], [comparison("a", "b")]
    )
    assert [(None, True)] == [(p.chosen_calls, p.rejected_calls is not None) for p in built.train]


def test_an_answer_of_enormous_length_is_on_neither_side() -> None:
    much = "x " * 60_000
    for said in ([comparison("a", "b")], [comparison("b", "a")]):
        built = build([answer("a", much), answer("b")], said)
        assert {"an answer of enormous length": 1} == built.dropped
    built = build([answer("b")], [correction("b", much)])
    assert {"an answer of enormous length": 1} == built.dropped


def test_words_do_not_correct_a_call() -> None:
    built = build([answer("b", "", **called("pay", "{}"))], [correction("b")])
    assert {"a correction in words of an answer that calls tools": 1} == built.dropped


def test_answers_to_different_contexts_never_pair() -> None:
    candidate = Candidate("made by hand", answer("b"), answer("a", GOOD, to="other"), None, ())
    assert "answers to different contexts" == refuse(candidate, PairsConfig())


@pytest.mark.parametrize(
    ("better", "worse", "same"),
    [
        ("Write to <EMAIL_3f9a1c>.", "Write to us.", False),
        ("Write to <EMAIL_3f9a1c>.", "Mail <EMAIL_3f9a1c> please.", True),
        ("Write to <EMAIL_3f9a1c>.", "Write to <EMAIL_000000>.", False),
        ("Dear [PERSON],", "Dear Anna,", False),
        ("Dear [Your Name], all is well.", "Dear you, all is well.", True),
        ("Use <div> here.", "Use a table here.", True),
    ],
)
def test_data_that_was_masked_on_one_side_only_makes_no_pair(
    better: str, worse: str, same: bool
) -> None:
    built = build([answer("a", better), answer("b", worse)], [comparison("a", "b")])
    assert ({} if same else {"masked data on one side only": 1}) == built.dropped


@pytest.mark.parametrize(
    "text",
    [
        *("Internal Server Error", "Error: model not found", "An unexpected error occurred."),
        *("Something went wrong. Try again.", "null", "Request timed out after 60 s", "Error 502"),
        *("(Error: no model)", "  Rate limit exceeded", "Traceback (most recent call last):"),
    ],
)
def test_an_error_message_is_never_chosen(text: str) -> None:
    built = build([answer("a", text), answer("b", BAD)], [comparison("a", "b")])
    assert {"the chosen side is an error message": 1} == built.dropped


@pytest.mark.parametrize(
    "text",
    [
        *("Errors of this kind come from a missing file.", "None of these are refunds."),
        *("Error handling in Python begins with try.", "Something went well.", "Nullify it."),
        *("Error: " + "the parser reads on. " * 40, "Exceptional service needs patience."),
    ],
)
def test_an_answer_about_errors_is_an_answer(text: str) -> None:
    built = build([answer("a", text), answer("b", BAD)], [comparison("a", "b")])
    assert 1 == len(built.train)


@pytest.mark.parametrize(
    "fields", [{"name": "should_refuse"}, {"label": "unsafe"}, {"explanation": "Policy 4: no."}]
)
def test_a_refusal_may_be_chosen_where_somebody_said_so(fields: dict[str, str]) -> None:
    built = build([answer("a", REFUSAL), answer("b", BAD)], [comparison("a", "b", **fields)])
    assert 1 == len(built.train)


def test_an_edit_far_down_a_very_long_text_is_seen() -> None:
    start = "word " * 6_000
    long = answer("b", start + "x " * 1_000)
    assert 1 == len(build([long], [correction("b", start + "y " * 1_000)]).train)


def test_sides_are_trimmed_and_otherwise_kept_as_said() -> None:
    (pair,) = build([answer("b", f" {BAD}\n")], [correction("b", f"\n{GOOD}  two\n")]).train
    assert (f"{GOOD}  two", BAD) == (pair.chosen, pair.rejected)


def test_a_prompt_keeps_all_messages_in_chat_form() -> None:
    stored = parts(("system", "Be brief."), ("user", "a"), ("assistant", "b"), ("user", "q"))
    assert (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "q"},
    ) == to_messages(stored)


def test_a_developer_speaks_as_the_system_does() -> None:
    """Chat templates know the older name."""
    assert ({"role": "system", "content": "Be brief."},) == to_messages(
        parts(("developer", "Be brief."))
    )


def test_several_text_parts_become_lines() -> None:
    two = [{"type": "text", "content": "a"}, {"type": "text", "content": "b"}]
    stored = json.dumps([{"role": "user", "parts": two}])
    assert ({"role": "user", "content": "a\nb"},) == to_messages(stored)
