"""A vote finds its response by the first key that fits exactly one, and is never guessed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loopllm_cli.sources.rows import Origin, Row, feedback, interaction, text_hash, text_message
from loopllm_cli.store import tables
from loopllm_cli.store.linking import (
    Link,
    count_links,
    iter_votes,
    read_links,
    read_votes,
    spellings,
)
from loopllm_cli.store.project import Project
from loopllm_cli.store.schema import FEEDBACK, INTERACTIONS

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
ORIGIN = Origin("a.jsonl", 1, "test")


def answer(name: str, **values: Any) -> Row:
    """Return a response row with its own id and text."""
    return interaction(
        ORIGIN,
        "t",
        native_id=name,
        inputs=[text_message("user", "Where is my parcel?")],
        output=text_message("assistant", values.pop("text", f"Answer {name}.")),
        values={"request_time": NOON, **values},
    )


def vote(**values: Any) -> Row:
    """Return a thumb of an end user."""
    return feedback(ORIGIN, "t", "thumbs", {"polarity": 1, "annotator_kind": "HUMAN", **values})


def linked(folder: Path, answers: list[Row], *votes: Row) -> list[Link]:
    """Store responses and votes, and return each vote's link."""
    project = Project(folder)
    tables.append(project.interactions, tables.to_table(answers, INTERACTIONS))
    tables.append(project.feedback, tables.to_table(votes, FEEDBACK))
    found = read_votes(project, ("feedback_id",))
    assert found is not None
    links = read_links(project, found)
    by_id = {v["feedback_id"]: links.of(k) for k, v in enumerate(iter_votes(found))}
    return [by_id[v["feedback_id"]] for v in votes]


TRACE = [
    answer("tool", trace_id="tr", span_id="s1", is_visible=False),
    answer("root", trace_id="tr", span_id="s2", is_visible=True, is_root=True),
    answer("other", trace_id="tr2", span_id="s3"),
]


def test_the_own_id_goes_before_everything_else(tmp_path: Path) -> None:
    (link,) = linked(tmp_path, TRACE, vote(target_id="other", target_trace_id="tr"))
    assert ("t:other", "source_record_id") == (link.interaction_id, link.method)


def test_a_span_goes_before_its_trace(tmp_path: Path) -> None:
    (link,) = linked(tmp_path, TRACE, vote(target_span_id="s1", target_trace_id="tr"))
    assert "t:tool" == link.interaction_id


def test_a_vote_on_a_trace_is_about_its_one_visible_answer(tmp_path: Path) -> None:
    (link,) = linked(tmp_path, TRACE, vote(target_kind="trace", target_trace_id="tr"))
    assert ("linked", "t:root", "trace_id") == (link.status, link.interaction_id, link.method)


def test_a_trace_with_several_visible_answers_is_ambiguous_unless_one_is_its_root(
    tmp_path: Path,
) -> None:
    answers = [answer("a", trace_id="tr"), answer("b", trace_id="tr")]
    (link,) = linked(tmp_path, answers, vote(target_trace_id="tr"))
    assert ("ambiguous", None, 2) == (link.status, link.interaction_id, link.n_candidates)
    answers = [answer("a", trace_id="tr", is_root=True), answer("b", trace_id="tr")]
    (link,) = linked(tmp_path / "2", answers, vote(target_trace_id="tr"))
    assert "t:a" == link.interaction_id


@pytest.mark.parametrize(("kind", "status"), [("HUMAN", "linked"), ("LLM", "orphan")])
def test_only_people_mean_the_answer_when_they_judge_another_span(
    kind: str, status: str, tmp_path: Path
) -> None:
    said = vote(
        target_kind="span", target_span_id="gone", target_trace_id="tr", annotator_kind=kind
    )
    assert status == linked(tmp_path, TRACE, said)[0].status


def test_a_vote_on_a_conversation_stays_one_unless_it_names_the_turn(tmp_path: Path) -> None:
    answers = [answer(f"a{k}", conversation_id="c", turn_index=k) for k in range(3)]
    whole = vote(target_kind="conversation", target_conversation_id="c")
    turn = vote(target_kind="conversation", target_conversation_id="c", target_turn_index=1)
    links = linked(tmp_path, answers, whole, turn)
    assert ["conversation", "linked"] == [link.status for link in links]
    assert "t:a1" == links[1].interaction_id


def test_the_text_of_an_answer_finds_it_within_its_conversation(tmp_path: Path) -> None:
    answers = [
        answer("a", conversation_id="c", text="Same words."),
        answer("b", conversation_id="d", text="Same words."),
    ]
    said = text_hash("Same words.")
    inside = vote(target_conversation_id="d", target_response_hash=said)
    anywhere = vote(target_response_hash=said)
    links = linked(tmp_path, answers, inside, anywhere)
    assert [("linked", "t:b"), ("ambiguous", None)] == [
        (link.status, link.interaction_id) for link in links
    ]


@pytest.mark.parametrize(
    ("minutes", "expected"), [(1, "t:first"), (20, "t:second"), (50, None), (-5, None)]
)
def test_the_nearest_earlier_answer_is_meant_within_half_an_hour(
    minutes: int, expected: str | None, tmp_path: Path
) -> None:
    answers = [
        answer("first", conversation_id="c"),
        answer("second", conversation_id="c", request_time=NOON + timedelta(minutes=10)),
    ]
    given = vote(target_conversation_id="c", feedback_time=NOON + timedelta(minutes=minutes))
    (link,) = linked(tmp_path, answers, given)
    assert expected == link.interaction_id
    assert link.method == ("time" if expected else None)


@pytest.mark.parametrize(
    "spelling",
    ["0x5E0C9A1FB2D84736", "5E0C9A1FB2D84736", "0d5be4f3-9f2c-4c8a-8a0e-6f1b77c2d934"],
)
def test_ids_are_found_in_any_spelling(spelling: str, tmp_path: Path) -> None:
    plain = spelling.lower().removeprefix("0x").replace("-", "")
    (link,) = linked(tmp_path, [answer("a", span_id=plain)], vote(target_span_id=spelling))
    assert "t:a" == link.interaction_id
    assert plain in list(spellings(spelling))


def test_an_orphan_is_explained_by_the_form_of_its_id(tmp_path: Path) -> None:
    foreign = vote(target_id="chatcmpl-77", target_key="request_id")
    late = vote(target_id="n-9", target_key="id", feedback_time=NOON)
    linked(tmp_path / "1", [answer("n-1")], foreign)
    assert "request_id like chatcmpl-*" in count_links(Project(tmp_path / "1")).why
    linked(tmp_path / "2", [answer("n-1")], late)
    count = count_links(Project(tmp_path / "2"))
    assert (1, 0) == (count.orphans, count.linked)
    assert "the oldest vote is of 2026-10-01" in count.why


def test_what_is_mined_is_not_counted_as_feedback(tmp_path: Path) -> None:
    mined = feedback(ORIGIN, "implicit", "implicit", {"target_response_hash": "x", "polarity": -1})
    linked(tmp_path, [answer("a")], mined)
    assert (0, 0) == (count_links(Project(tmp_path)).linked, count_links(Project(tmp_path)).orphans)
