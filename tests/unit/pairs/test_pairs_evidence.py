"""Evidence from a store: what is read, what is not, and that both ways of holding it agree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loopllm_cli.pairs.chat import is_answer, to_messages
from loopllm_cli.pairs.evidence.answer import UNREAD, TextNotRead
from loopllm_cli.pairs.evidence.answer_texts import PLAIN, is_plain_json
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.evidence.from_store import read_evidence, with_segments
from loopllm_cli.sources.rows import Origin, Row, feedback, interaction, text_message
from loopllm_cli.store import tables
from loopllm_cli.store.project import Project
from loopllm_cli.store.schema import FEEDBACK, INTERACTIONS

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
ORIGIN = Origin("a.jsonl", 1, "test")


def answer(name: str, **values: Any) -> Row:
    """Return a stored response."""
    return interaction(
        ORIGIN,
        "t",
        native_id=name,
        inputs=[text_message("user", values.pop("asked", "Where is my parcel?"))],
        output=text_message("assistant", f"Answer {name}."),
        values={"request_time": NOON, "user_id": "u", **values},
    )


def vote(kind: str, **values: Any) -> Row:
    """Return a stored vote of an end user."""
    return feedback(ORIGIN, "t", kind, {"annotator_kind": "HUMAN", "annotator_id": "u", **values})


def evidence(folder: Path, answers: list[Row], votes: list[Row]) -> Evidence:
    """Store answers and votes, and read the evidence."""
    project = Project(folder)
    tables.append(project.interactions, tables.to_table(answers, INTERACTIONS))
    tables.append(project.feedback, tables.to_table(votes, FEEDBACK))
    return read_evidence(project, "TRUE")


VOTES = [
    vote("thumbs", target_id="a", polarity=1, feedback_time=NOON + timedelta(minutes=2)),
    vote("comparison", candidate_ids=["a", "b"], winner_id="b", feedback_time=NOON),
    vote("rating", target_id="b", score_value=4.0, scale_min=1.0, scale_max=5.0),
    vote("implicit", target_id="a", polarity=-1, score_value=0.7),
]


def test_only_answers_that_a_vote_concerns_are_read(tmp_path: Path) -> None:
    found = evidence(tmp_path, [answer(name) for name in "abc"], VOTES)
    assert {"t:a", "t:b"} == set(found.answers)


def test_turns_around_a_corrected_answer_are_read_as_well(tmp_path: Path) -> None:
    turns = [answer(name, conversation_id="k", turn_index=k) for k, name in enumerate("abc")]
    elsewhere = answer("d", conversation_id="l")
    votes = [vote("correction", target_id="a", text="Better.")]
    assert {"t:a", "t:b", "t:c"} == set(evidence(tmp_path, [*turns, elsewhere], votes).answers)


def test_a_text_that_was_not_read_is_an_error_and_no_empty_text(tmp_path: Path) -> None:
    found = evidence(tmp_path, [answer("a"), answer("b")], VOTES)
    a, b = found.answers["t:a"], found.answers["t:b"]
    for use in (len, bool, str, lambda text: text.strip(), lambda text: f"{text}", hash):
        with pytest.raises(TextNotRead):
            use(a.text)
    with pytest.raises(TextNotRead):
        a.prompt()
    found.load([a])
    assert "Answer a." == a.text
    assert ({"role": "user", "content": "Where is my parcel?"},) == a.prompt()
    assert b.text is UNREAD


def test_segments_are_told_once_the_texts_are_read(tmp_path: Path) -> None:
    found = evidence(tmp_path, [answer("a"), answer("b", asked="Refund?")], VOTES)
    told = with_segments(found, lambda answers: [a.prompt_text for a in answers])
    a, b = told.answers["t:a"], told.answers["t:b"]
    assert a.segment is None
    told.load([a, b])
    assert ("Where is my parcel?", "Refund?") == (a.segment, b.segment)


def test_votes_come_in_order_of_time_with_everything_that_rules_ask(tmp_path: Path) -> None:
    found = evidence(tmp_path, [answer("a"), answer("b")], VOTES)
    by_kind = {vote.kind: vote for vote in found.votes}
    # Of two without a time, the id decides.
    assert ["comparison", "thumbs"] == [vote.kind for vote in found.votes][2:]
    assert ("t:a", 1, "u") == (
        by_kind["thumbs"].target,
        by_kind["thumbs"].polarity,
        by_kind["thumbs"].annotator_id,
    )
    assert (("t:a", "t:b"), "t:b") == (
        by_kind["comparison"].candidates,
        by_kind["comparison"].winner,
    )
    assert 0.75 == by_kind["rating"].rating
    assert (0.7, None) == (by_kind["implicit"].confidence, by_kind["thumbs"].confidence)
    assert "source_record_id" == by_kind["thumbs"].method


def test_stored_votes_answer_like_a_list_of_them(tmp_path: Path) -> None:
    found = evidence(tmp_path, [answer("a"), answer("b")], VOTES)
    plain = Evidence(dict(found.answers), tuple(found.votes))
    assert plain.votes == tuple(found.votes[k] for k in range(len(found.votes)))
    for kind in ("thumbs", "comparison", "nothing"):
        assert plain.of_kind(kind) == found.of_kind(kind)
    for name in (*plain.answers, "t:gone"):
        assert plain.by_target.get(name, []) == found.by_target.get(name, [])
        assert plain.mined.get(name, []) == found.mined.get(name, [])
    assert plain.said() == found.said()
    assert plain.votes_on({"t:a"}) == found.votes_on({"t:a"})
    some = {plain.votes[0].feedback_id, plain.votes[2].feedback_id}
    assert tuple(plain.only(some).votes) == tuple(found.only(some).votes)


def test_answers_that_were_let_go_are_made_again(tmp_path: Path) -> None:
    found = evidence(tmp_path, [answer("a"), answer("b")], VOTES)
    kept = found.answers["t:a"]
    found.load([kept])
    found.keep([kept])
    assert found.answers["t:a"] is kept
    assert found.answers["t:b"].text is UNREAD
    assert ["t:a", "t:b"] == list(found.answers)
    assert "t:gone" not in found.answers


@pytest.mark.parametrize(
    ("parts", "plain"),
    [
        ([{"type": "text", "content": 'say "type": and "parts":'}], True),
        ([{"type": "text", "content": "a"}, {"type": "text", "content": "b"}], False),
        ([{"type": "reasoning", "content": "a"}], False),
        ([{"type": "tool_call", "name": "f", "arguments": "{}"}], False),
        ([], False),
    ],
)
def test_an_answer_of_one_text_is_told_by_its_shape(parts: list[Any], plain: bool) -> None:
    row = interaction(
        ORIGIN, "t", native_id="a", inputs=[], output={"role": "assistant", "parts": parts},
        values={},
    )  # fmt: skip
    assert plain == is_plain_json(row["output_messages"] or "")


def test_the_shape_that_is_kept_of_a_plain_answer_is_one_text() -> None:
    assert is_answer(PLAIN)
    assert ({"role": "assistant", "content": ""},) == to_messages(PLAIN)
