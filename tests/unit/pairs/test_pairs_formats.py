"""From the exports of chat programs to pairs: regenerations, edits, and votes on edited answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pair_evidence import BAD, GOOD

from loopllm_cli.config import PairsConfig
from loopllm_cli.pairs.build import BuiltPairs, build_pairs
from loopllm_cli.pairs.evidence.from_store import read_evidence
from loopllm_cli.pairs.untouched import Untouched
from loopllm_cli.sources.ingest import IngestOptions, ingest
from loopllm_cli.store.project import Project

THIRD = "You are welcome; write again whenever anything else is not as it should be."


def pairs_of(folder: Path, records: list[dict[str, Any]]) -> BuiltPairs:
    """Ingest an export and build its pairs, nothing held out."""
    log = folder / "export.jsonl"
    log.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    project = Project(folder)
    summary = ingest(project, [str(log)], IngestOptions())
    assert 0 == summary.n_rejected
    return build_pairs(read_evidence(project, "TRUE"), PairsConfig(heldout_share=0.0), Untouched())


def librechat(
    name: str, parent: str | None, text: str, minute: int, *, user: bool
) -> dict[str, Any]:
    """Return one message of a LibreChat conversation."""
    return {
        "messageId": name,
        "conversationId": "c1",
        "parentMessageId": parent or "00000000-0000-0000-0000-000000000000",
        "isCreatedByUser": user,
        "text": text,
        "user": "u1",
        "model": None if user else "gpt-4o",
        "endpoint": "openAI",
        "createdAt": f"2026-10-01T10:{minute:02}:00.000Z",
        "updatedAt": f"2026-10-01T10:{minute:02}:00.000Z",
    }


TALK = [
    librechat("q", None, "Where is my refund?", 0, user=True),
    librechat("old", "q", BAD, 1, user=False),
    librechat("new", "q", GOOD, 2, user=False),
]
GOES_ON = [
    librechat("q2", "new", "Thank you!", 3, user=True),
    librechat("a2", "q2", THIRD, 4, user=False),
]


def test_an_answer_of_librechat_that_was_kept_beats_the_one_it_replaced(tmp_path: Path) -> None:
    (pair,) = pairs_of(tmp_path, TALK + GOES_ON).train
    assert ("regeneration", GOOD, BAD) == (pair.rule, pair.chosen, pair.rejected)


def test_a_branch_of_librechat_that_ends_there_says_nothing(tmp_path: Path) -> None:
    assert [] == pairs_of(tmp_path, TALK).train


def openwebui(answers: dict[str, dict[str, Any]], current: str) -> dict[str, Any]:
    """Return a chat of Open WebUI with one question and some answers to it."""
    question = {"id": "q", "parentId": None, "childrenIds": list(answers), "role": "user",
                "content": "Where is my refund?", "timestamp": 1_790_000_000}  # fmt: skip
    plain = {"parentId": "q", "childrenIds": [], "role": "assistant", "model": "m", "done": True}
    messages = {"q": question}
    for n, (name, fields) in enumerate(answers.items()):
        messages[name] = {"id": name, **plain, "timestamp": 1_790_000_010 + n, **fields}
    history = {"messages": messages, "currentId": current}
    return {"id": "c", "user_id": "u", "chat": {"id": "c", "models": ["m"], "history": history}}


def test_an_edit_in_open_webui_is_better_than_what_was_edited(tmp_path: Path) -> None:
    edited = BAD.replace("help pages", "pages on refunds")
    chat = openwebui({"a": {"content": edited, "originalContent": BAD}}, "a")
    (pair,) = pairs_of(tmp_path, [chat]).train
    assert ("user edit", edited, BAD) == (pair.rule, pair.chosen, pair.rejected)


def test_a_thumb_on_an_edited_answer_is_not_heard(tmp_path: Path) -> None:
    """Open WebUI does not say when an answer was edited, so the thumb may be on the edit."""
    edited = BAD.replace("help pages", "pages on refunds")
    said = {"content": edited, "originalContent": BAD, "annotation": {"rating": 1}}
    other = {"content": GOOD, "annotation": {"rating": -1}}
    built = pairs_of(tmp_path, [openwebui({"a": said, "b": other}, "a")])
    assert ["user edit"] == [pair.rule for pair in built.train]
    assert 1 == built.dropped["vote that may be about an edited text"]


def test_a_regeneration_and_a_thumb_in_open_webui_make_one_pair(tmp_path: Path) -> None:
    old = {"content": BAD, "annotation": {"rating": -1}}
    (pair,) = pairs_of(tmp_path, [openwebui({"a": old, "b": {"content": GOOD}}, "b")]).train
    assert ("regeneration", GOOD, BAD) == (pair.rule, pair.chosen, pair.rejected)
    assert 2 == len(pair.feedback_ids)
