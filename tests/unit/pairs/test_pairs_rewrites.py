"""When a text that somebody wrote is a better answer, and when it is a remark, a part or data."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pair_evidence import BAD, GOOD, answer, build, correction, sides, vote

from loopllm_cli.pairs.evidence.vote import Vote

LONG = (
    "Your parcel was handed to the carrier on Monday. It arrives within seven working days. "
    "You can follow it on the carrier's page with the number in your confirmation mail. "
    "If it does not arrive, write to us, and we will send the goods again free of charge."
)
ORDER = {"order": 12, "status": "sent"}


def edit(target: str, text: str | None, **fields: Any) -> Vote:
    """Return a user's edit in place."""
    return vote("correction", target, text=text, polarity=-1, name="edited", **fields)


def reasons(
    text: str, of: str = BAD, source_format: str = "feedback", **fields: Any
) -> dict[str, int]:
    """Correct an answer and return why it makes no pair."""
    vote = correction("b", text, source_format=source_format)
    return dict(build([answer("b", of, **fields)], [vote]).dropped)


@pytest.mark.parametrize(
    "text",
    [
        *("The answer should mention the refund policy.", "Wrong, it is five days.", "too long"),
        *(
            "It should be five days.",
            "This is incorrect.",
            "Should say five days",
            "ok",
            "...",
            "Good!",
        ),
        *("hallucinated", "Not correct: we pay after 5 days", "- missing the date", "n/a", "TODO"),
    ],
)
def test_a_remark_on_the_answer_is_no_answer(text: str) -> None:
    assert {"a correction that is a remark, not an answer": 1} == reasons(text)


@pytest.mark.parametrize(
    "text",
    [
        *("Please restart the router.", "Add the flour, then the eggs.", "No refunds are paid."),
        *("Missing parcels are sent again.", "Should you need help, call us.", "Too bad, but no."),
        *(
            "Yes",
            "[No]",
            "\U0001f389\U0001f389",
            "It arrives on Monday.",
            "The answer is 42.",
            "Correct the date on page two, then sign.",
        ),
    ],
)
def test_a_short_answer_that_opens_like_a_remark_is_an_answer(text: str) -> None:
    assert {} == reasons(text)


def test_yes_may_correct_no() -> None:
    assert {} == reasons("Yes", "No")


@pytest.mark.parametrize(
    "text",
    ["It arrives within five working days.", "It arrives within seven working days.", LONG[:80]],
)
def test_one_sentence_of_an_answer_is_no_answer(text: str) -> None:
    assert {"a correction of a part of the answer": 1} == reasons(text, LONG)


def test_a_short_text_of_its_own_may_replace_a_long_one() -> None:
    assert {} == reasons("We are sorry: your refund is on its way to you.", LONG)


NO_DATA = "a correction that is data, of an answer that is not"
LAYOUT = "a correction of the data's layout only"
KEYS = "a correction with other keys than the answer"


@pytest.mark.parametrize(
    ("text", "of", "reason"),
    [
        (json.dumps(ORDER), BAD, NO_DATA),
        ("{'expected': 'five days'}", BAD, NO_DATA),
        ('["five", "days"]', json.dumps(ORDER), NO_DATA),
        (json.dumps(ORDER, indent=2), json.dumps(ORDER), LAYOUT),
        (f"```json\n{json.dumps(ORDER)}\n```", str(ORDER), LAYOUT),
        (json.dumps({"order": 12}), json.dumps(ORDER), KEYS),
        (json.dumps({**ORDER, "why": "x"}), json.dumps(ORDER), KEYS),
    ],
)
def test_an_annotation_tools_object_corrects_data_of_the_same_keys_only(
    text: str, of: str, reason: str
) -> None:
    assert {reason: 1} == reasons(text, of, "langsmith_feedback")
    written = reasons(text, of)
    assert ({LAYOUT: 1} if reason == LAYOUT else {}) == written


def test_a_value_in_data_may_be_corrected() -> None:
    assert {} == reasons(json.dumps({**ORDER, "status": "lost"}), json.dumps(ORDER))


@pytest.mark.parametrize("text", ["{" * 5_000, "[" * 100_000 + "]" * 100_000, "{'a': " + "(" * 90])
def test_broken_or_deep_data_is_a_text_like_any_other(text: str) -> None:
    assert not set(reasons(text)) & {"a correction of the data's layout only"}


def test_the_expected_value_of_a_dataset_is_no_correction() -> None:
    found = reasons(GOOD, source_format="mlflow_trace", reference_answer=f"{GOOD}\n")
    assert {"a correction that repeats the expected value of a dataset": 1} == found
    assert {} == reasons(GOOD, reference_answer=GOOD)


def test_one_digit_is_no_typo() -> None:
    assert {} == reasons(LONG.replace("Monday", "Monday 2"), LONG.replace("Monday", "Monday 3"))
    assert {"a correction of a typo only": 1} == reasons(LONG.replace("parcel", "parsel"), LONG)


def test_experts_write_rewrites() -> None:
    built = build([answer("b")], [correction("b", role="expert")])
    assert ["expert rewrite"] == [pair.rule for pair in built.train]


def test_an_edit_has_a_rule_and_bounds_of_its_own() -> None:
    new = "We paid you back already."
    said = [edit("b", BAD.replace("help pages", "pages on refunds")), edit("c", new)]
    built = build([answer("b"), answer("c", LONG, to="other")], said)
    assert ["user edit"] == [pair.rule for pair in built.train]
    assert {"an edit that is a new text": 1} == built.dropped
    kept = build([answer("c", LONG, to="other")], said[1:], max_user_edit=1.0)
    assert [(new, LONG)] == sides(kept.train)


@pytest.mark.parametrize("text", [BAD.upper(), f"**{BAD}**", BAD.replace(" ", "\n")])
def test_an_edit_of_the_layout_teaches_nothing(text: str) -> None:
    built = build([answer("b")], [edit("b", text)])
    assert 1 == sum(built.dropped.values())
    assert set(built.dropped) <= {"an edit of the layout only", "an edit of a typo only"}


def test_of_one_person_the_last_text_counts() -> None:
    said = [correction("b", GOOD, at=1), correction("b", f"{GOOD} Or six.", at=2)]
    built = build([answer("b")], said)
    assert [f"{GOOD} Or six."] == [pair.chosen for pair in built.train]
    assert {"vote that the same person replaced by a later one": 1} == built.dropped


def test_a_user_corrects_what_was_just_said() -> None:
    """After two more turns, what they write may hold what came up in these."""
    talk = [
        answer(f"r{i}", to=f"q{i}", conversation_id="k", turn_index=i, request_time=START_AT[i])
        for i in range(4)
    ]
    late = correction("r0", at=200)
    assert {"correction that came more than one turn later": 1} == build(talk, [late]).dropped
    assert 1 == len(build(talk, [correction("r2", at=200)]).train)
    assert 1 == len(build(talk, [correction("r0", at=200, role="expert")]).train)
    assert 1 == len(build(talk, [correction("r0", at=15)]).train)


START_AT = [vote("copy", None, at=10 * i).feedback_time for i in range(4)]
