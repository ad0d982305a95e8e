"""What a candidate must be before anybody trains on it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pair_evidence import BAD, GOOD, answer, build, comparison, correction, down, parts, up

from loopllm_cli.pairs.evidence import to_chat

REFUSAL = "I'm sorry, but I cannot help with that request."
TOOL_CALL = json.dumps([{"role": "assistant", "parts": [{"type": "tool_call", "name": "pay"}]}])
PICTURE = json.dumps([{"role": "user", "parts": [{"type": "blob", "modality": "image"}]}])
FUNCTION = parts(("user", "q"), ("function", "4"))

BAD_ANSWERS: list[tuple[dict[str, Any], str]] = [
    ({"error_type": "timeout"}, "an answer that is an error"),
    ({"finish_reason": "length"}, "an answer that was cut off"),
    ({"finish_reason": "content_filter"}, "an answer that was cut off"),
    ({"content_state": "redacted"}, "an answer whose content was not logged in full"),
    ({"content_state": "absent"}, "an answer whose content was not logged in full"),
    ({"output_messages": TOOL_CALL}, "an answer with tool calls or more than text"),
    ({"output_messages": None}, "an answer with tool calls or more than text"),
    ({"input_messages": PICTURE}, "context with tools, pictures or more than text"),
    ({"input_messages": FUNCTION}, "context with tools, pictures or more than text"),
    ({"input_messages": None}, "context with tools, pictures or more than text"),
    ({"has_tools": True}, "context with tools, pictures or more than text"),
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
    ) == to_chat(stored)


def test_a_developer_speaks_as_the_system_does() -> None:
    """Chat templates know the older name."""
    assert ({"role": "system", "content": "Be brief."},) == to_chat(
        parts(("developer", "Be brief."))
    )


def test_several_text_parts_become_lines() -> None:
    two = [{"type": "text", "content": "a"}, {"type": "text", "content": "b"}]
    stored = json.dumps([{"role": "user", "parts": two}])
    assert ({"role": "user", "content": "a\nb"},) == to_chat(stored)
