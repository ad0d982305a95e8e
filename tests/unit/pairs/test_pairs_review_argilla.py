"""Decisions that come home from Argilla, in every layout in which it writes records.

The layouts are those of argilla 2.8.0: `Record.to_dict()`, `to_list(flatten=True)`, and the
server's `GET /api/v1/datasets/{id}/records?include=responses`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from reviewed_pairs import pair, stored

from loopllm_cli.errors import EmptyInput
from loopllm_cli.loop.review_import import import_reviews
from loopllm_cli.model import Choice, Pair
from loopllm_cli.pairs.review.apply import apply_reviews, exchanged
from loopllm_cli.pairs.review.log import read_decisions
from loopllm_cli.store.project import Project

ANA, BEN = "4f3f2898-69e3-5a0d-820a-c4e87987dbce", "3f10dbe8-4cbd-5e31-9b1f-af0cb9dda9cf"
Record = dict[str, Any]
Answers = list[tuple[str, Any, str]]  # who, what, status


def fields_of(about: Pair, *, swapped: bool = True) -> Record:
    sides = (about.rejected, about.chosen) if swapped else (about.chosen, about.rejected)
    return {"prompt": list(about.prompt), "response_a": sides[0], "response_b": sides[1]}


def nested(about: Pair, answers: Answers, *, status: str = "completed") -> Record:
    """As `to_json` writes it: a response has no status of its own, and no time."""
    return {
        "id": f"record of {about.pair_id}",
        "fields": fields_of(about),
        "metadata": {"pair_id": about.pair_id},
        "suggestions": {"preference": {"value": "response_b", "score": 0.9, "agent": "loopllm"}},
        "responses": {"preference": [{"value": what, "user_id": who} for who, what, _ in answers]},
        "vectors": {},
        "status": status,
        "_server_id": None,
    }


def flat(about: Pair, answers: Answers) -> Record:
    """As `to_list(flatten=True)` writes it."""
    return {
        "id": f"record of {about.pair_id}",
        "status": "pending",
        "_server_id": None,
        **fields_of(about),
        "pair_id": about.pair_id,
        "preference.responses": [what for _, what, _ in answers],
        "preference.responses.users": [who for who, _, _ in answers],
        "preference.responses.status": [status for _, _, status in answers],
        "comment.responses": ["because"],
        "comment.responses.users": [ANA],
        "comment.responses.status": ["submitted"],
    }


def of_api(about: Pair, answers: Answers) -> Record:
    """As the server's API answers."""
    return {
        "id": "0bc53e0f-0d4b-4a8e-8d3c-6d1b8f1f2b1e",
        "external_id": f"record of {about.pair_id}",
        "status": "pending",
        "fields": fields_of(about),
        "metadata": {"pair_id": about.pair_id},
        "responses": [
            {
                "id": "9d7f",
                "values": {"preference": {"value": what}} if what is not None else None,
                "user_id": who,
                "status": status,
                "inserted_at": "2026-11-02T10:00:00",
                "updated_at": "2026-11-02T10:05:00",
            }
            for who, what, status in answers
        ],
    }


LAYOUTS = {"nested": nested, "flat": flat, "api": of_api}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_annotators_answer_is_a_decision_whatever_side_stood_first(
    layout: str, tmp_path: Path
) -> None:
    project, about = Project(tmp_path), pair(1)
    stored(project, [about])
    record = LAYOUTS[layout](about, [(ANA, "response_a", "submitted")])
    result = import_reviews(project, json.dumps([record]).encode())
    (decision,) = read_decisions(project)
    assert (1, 1, 1) == (result.n_records, result.n_decisions, result.n_reviewers)
    assert (about.pair_id, Choice.REJECTED) == (decision.pair_id, decision.choice)
    assert ("argilla", ("f-1",)) == (decision.source, decision.feedback_ids)
    (after,), _ = apply_reviews([about], [decision])
    assert about.rejected == after.chosen


def test_an_annotator_is_a_pseudonym_and_the_time_is_the_servers(tmp_path: Path) -> None:
    project, about = Project(tmp_path), pair(1)
    stored(project, [about])
    import_reviews(project, json.dumps(of_api(about, [(ANA, "response_b", "submitted")])).encode())
    (decision,) = read_decisions(project)
    assert decision.reviewer.startswith("u_")
    assert ANA not in "".join(p.read_text() for p in (project.home / "reviews").iterdir())
    assert "2026-11-02T10:05:00+00:00" == (decision.time and decision.time.isoformat())


@pytest.mark.parametrize("layout", ["flat", "api"])
def test_what_was_not_submitted_is_left_out_and_counted(layout: str, tmp_path: Path) -> None:
    project, about = Project(tmp_path), pair(1)
    stored(project, [about])
    answers = [
        (ANA, "response_a", "draft"),
        (BEN, "response_b", "submitted"),
        ("c", "response_b", "discarded"),
    ]
    result = import_reviews(project, json.dumps(LAYOUTS[layout](about, answers)).encode())
    assert 1 == result.n_decisions
    assert 2 == result.skipped["responses that were not submitted"]


def test_a_pending_record_without_statuses_is_left_out_as_nothing_tells_a_draft(
    tmp_path: Path,
) -> None:
    project, about = Project(tmp_path), pair(1)
    stored(project, [about])
    record = nested(about, [(ANA, "response_a", "")], status="pending")
    result = import_reviews(project, json.dumps(record).encode())
    assert (0, {"responses whose status the layout does not tell": 1}) == (
        result.n_decisions,
        result.skipped,
    )


@pytest.mark.parametrize(
    ("value", "choice"),
    [
        ("response_b", Choice.CHOSEN),
        ("B", Choice.CHOSEN),
        ("a", Choice.REJECTED),
        ("chosen", Choice.CHOSEN),
        ("both good", Choice.BOTH_GOOD),
        ("tie", Choice.BOTH_GOOD),
        ("both_bad", Choice.BOTH_BAD),
        ("Neither", Choice.BOTH_BAD),
        ([{"value": "response_b", "rank": 1}, {"value": "response_a", "rank": 2}], Choice.CHOSEN),
        (
            [{"value": "response_b", "rank": 1}, {"value": "response_a", "rank": 1}],
            Choice.BOTH_GOOD,
        ),
        (["response_a", "response_b"], Choice.REJECTED),
        ("a comment", None),
        (4, None),
        (None, None),
        ([], None),
        ([{"rank": None}], None),
        ({"value": 1}, None),
    ],
)
def test_an_answer_is_read_by_field_rank_or_word(
    value: Any, choice: Choice | None, tmp_path: Path
) -> None:
    project, about = Project(tmp_path), pair(1)
    stored(project, [about])
    import_reviews(project, json.dumps(flat(about, [(ANA, value, "submitted")])).encode())
    assert ([choice] if choice else []) == [d.choice for d in read_decisions(project)]


def test_records_on_unknown_pairs_and_lines_that_are_none_are_counted(tmp_path: Path) -> None:
    project = Project(tmp_path)
    stored(project, [pair(1)])
    lines = [json.dumps(flat(pair(k), [(ANA, "response_a", "submitted")])) for k in (1, 2)]
    lines += ["{", "3", "[" * 100_000]
    result = import_reviews(project, "\n".join(lines).encode())
    expected = {
        "lines that are no record": 3,
        "records on pairs that the dataset does not hold": 1,
        "answers that are no judgement of the two sides": 1,
    }
    assert (1, expected) == (result.n_decisions, result.skipped)


def test_reading_a_file_again_changes_nothing_and_new_answers_are_added(tmp_path: Path) -> None:
    project, about = Project(tmp_path), pair(1)
    stored(project, [about])
    first = [(ANA, "response_a", "submitted")]
    import_reviews(project, json.dumps(flat(about, first)).encode())
    more = json.dumps(flat(about, [*first, (BEN, "response_b", "submitted")])).encode()
    again = import_reviews(project, more)
    assert (1, 1) == (again.n_decisions, again.n_known)
    assert 2 == len(read_decisions(project))


def test_of_a_pair_that_a_review_has_turned_the_decision_is_on_the_votes_order(
    tmp_path: Path,
) -> None:
    project, voted = Project(tmp_path), pair(1)
    turned = exchanged(voted, 1)
    stored(project, [turned])
    record = flat(turned, [(ANA, "response_b", "submitted")])
    import_reviews(project, json.dumps(record).encode())
    (decision,) = read_decisions(project)
    assert (voted.pair_id, Choice.REJECTED) == (decision.pair_id, decision.choice)


@pytest.mark.parametrize("content", [b"", b"[]", b"\n\n", b"\xff\xfe", b"3"])
def test_a_file_without_a_record_is_an_error(content: bytes, tmp_path: Path) -> None:
    project = Project(tmp_path)
    stored(project, [pair(1)])
    with pytest.raises(EmptyInput):
        import_reviews(project, content)
