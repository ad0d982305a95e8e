"""What whole conversations show: answers asked for again, and users who gave up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from factories import write_jsonl

from loopllm_cli.sources.ingest import IngestOptions, ingest
from loopllm_cli.store import tables
from loopllm_cli.store.project import Project

ASKED = "When does my parcel arrive?"
COMPLAINT = "No, that is wrong, I asked about the other parcel."


def turn(number: int, minute: int, messages: list[str], **fields: Any) -> dict[str, Any]:
    """Return a call in a conversation, with what was said before it."""
    roles = ("user", "assistant")
    return {
        "id": f"r-{number}",
        "timestamp": f"2026-10-01T12:{minute:02d}:00Z",
        "conversation_id": "c-1",
        "messages": [{"role": roles[k % 2], "content": m} for k, m in enumerate(messages)],
        "response": f"Answer {number}.",
        **fields,
    }


LATER = {"id": "r-99", "timestamp": "2026-10-04T12:00:00Z", "prompt": "p", "response": "r"}


def signs(folder: Path, *records: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Ingest records, and return the mined signs with their targets."""
    project = Project(folder)
    ingest(project, [str(write_jsonl(folder / "a.jsonl", records))], IngestOptions())
    found = tables.select(
        project.feedback, "SELECT name, target_id FROM rows WHERE kind = 'implicit' ORDER BY name"
    )
    return [tuple(row.values()) for row in found.to_pylist()] if found else []


def test_the_same_context_sent_again_is_a_regeneration(tmp_path: Path) -> None:
    again = [turn(1, 0, [ASKED]), turn(2, 2, [ASKED])]
    assert [("regenerated", "flat:r-1")] == signs(tmp_path, *again)


@pytest.mark.parametrize(
    "again",
    [
        [turn(1, 0, [ASKED]), turn(2, 45, [ASKED])],
        [turn(1, 0, [ASKED], error="timeout"), turn(2, 2, [ASKED])],
        [turn(1, 0, [ASKED]), turn(2, 0, [ASKED])],
        [turn(1, 0, [ASKED]), turn(2, 2, [ASKED], conversation_id="c-2")],
    ],
    ids=["much later", "after a failure", "at once", "elsewhere"],
)
def test_other_repetitions_are_none(again: list[dict[str, Any]], tmp_path: Path) -> None:
    assert [] == signs(tmp_path, *again)


def test_a_conversation_that_ends_with_a_complaint_is_abandoned_once_a_day_has_passed(
    tmp_path: Path,
) -> None:
    talk = [turn(1, 0, [ASKED]), turn(2, 2, [ASKED, "Answer 1.", COMPLAINT])]
    assert [("complaint", None)] == signs(tmp_path / "1", *talk)
    expected = [("abandoned", "flat:r-2"), ("complaint", None)]
    assert expected == signs(tmp_path / "2", *talk, LATER)


def test_a_conversation_that_goes_on_is_not_abandoned(tmp_path: Path) -> None:
    said = [ASKED, "Answer 1.", COMPLAINT, "Answer 2.", "And how heavy may it be?"]
    talk = [turn(k + 1, 2 * k, said[: 2 * k + 1]) for k in range(3)]
    assert [("complaint", None)] == signs(tmp_path, *talk, LATER)


def test_what_is_said_at_the_very_end_counts_although_it_has_no_answer(tmp_path: Path) -> None:
    messages = [
        {"role": "user", "content": ASKED},
        {"role": "assistant", "content": "Tomorrow."},
        {"role": "user", "content": "Great, thank you!"},
    ]
    assert [("thanks", None)] == signs(tmp_path, {"id": "c-1", "messages": messages})
