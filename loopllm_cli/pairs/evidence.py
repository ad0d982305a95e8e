"""The evidence for pairs: answers, and the votes that are linked to them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from loopllm_cli.model import Message
from loopllm_cli.store import tables
from loopllm_cli.store.linking import Links, iter_votes, read_links, read_votes
from loopllm_cli.store.project import Project

_ANSWER_COLUMNS = (
    *("interaction_id", "context_hash", "prompt_hash", "prompt_text", "input_messages"),
    *("output_messages", "response_text", "content_state", "finish_reason", "error_type"),
    *("request_model", "response_model", "user_id", "conversation_id", "tool_definitions"),
    "request_time",
)
_VOTE_COLUMNS = (
    *("feedback_id", "kind", "target_id", "polarity", "score_value", "scale_min", "scale_max"),
    *("text", "annotator_id", "annotator_kind", "feedback_time", "candidate_ids", "winner_id"),
    "tie",
)

# Newer logs call the system's messages the developer's; chat templates do not know that name.
_ROLES = {r: r for r in ("system", "user", "assistant")} | {"developer": "system"}
REPLACED = "vote that the same person replaced by a later one"


@dataclass(frozen=True, slots=True)
class Answer:
    """One logged response, with what a pair needs of it."""

    interaction_id: str
    context_hash: str | None
    prompt_hash: str | None
    prompt_text: str | None
    input_messages: str | None
    output_messages: str | None
    text: str
    content_state: str
    finish_reason: str | None
    error_type: str | None
    model: str | None
    user_id: str | None
    conversation_id: str | None
    has_tools: bool
    request_time: datetime | None
    segment: str | None = None

    def prompt(self) -> tuple[Message, ...] | None:
        """Return the context as chat messages; None where it is more than text."""
        return to_chat(self.input_messages)

    @property
    def is_plain(self) -> bool:
        """Whether the answer is text and nothing else."""
        return self.output_messages is not None and to_chat(self.output_messages) is not None


@dataclass(frozen=True, slots=True)
class Vote:
    """One piece of feedback, with its targets resolved to interaction ids."""

    feedback_id: str
    kind: str
    target: str | None
    polarity: int | None
    rating: float | None
    text: str | None
    annotator_id: str | None
    annotator_kind: str
    feedback_time: datetime | None
    candidates: tuple[str | None, ...] = ()
    winner: str | None = None
    tie: bool = False


@dataclass(frozen=True)
class Evidence:
    """All answers by id, and all votes in a fixed order."""

    answers: dict[str, Answer]
    votes: tuple[Vote, ...]

    def of_kind(self, kind: str) -> list[Vote]:
        """Return the votes of one kind."""
        return [vote for vote in self.votes if vote.kind == kind]

    @cached_property
    def by_target(self) -> dict[str, list[Vote]]:
        """Map each answer to the votes on it."""
        found: dict[str, list[Vote]] = defaultdict(list)
        for vote in self.votes:
            if vote.target is not None:
                found[vote.target].append(vote)
        return found


def last_words(votes: Sequence[Vote]) -> tuple[tuple[Vote, ...], tuple[Vote, ...]]:
    """Split votes on one answer into what stands and what the same person replaced later.

    Votes of nobody known all stand; so do those of one person where no time tells which of
    them was the last.
    """
    latest: dict[str, datetime] = {}
    for vote in votes:
        if vote.annotator_id and vote.feedback_time:
            known = latest.get(vote.annotator_id, vote.feedback_time)
            latest[vote.annotator_id] = max(known, vote.feedback_time)
    last: list[Vote] = []
    replaced: list[Vote] = []
    for vote in votes:
        time, end = vote.feedback_time, latest.get(vote.annotator_id or "")
        (replaced if time and end and time < end else last).append(vote)
    return tuple(last), tuple(replaced)


def to_chat(messages_json: str | None) -> tuple[Message, ...] | None:
    """Turn stored messages with parts into chat messages of plain text.

    Returns:
        None where a message holds anything but text (tool calls, pictures, reasoning) or was
        said by anybody but the system, the user and the assistant.
    """
    if messages_json is None:
        return None
    chat = []
    for message in json.loads(messages_json):
        role = _ROLES.get(message["role"])
        if role is None or any(part.get("type") != "text" for part in message["parts"]):
            return None
        text = "\n".join(part["content"] for part in message["parts"])
        chat.append({"role": role, "content": text})
    return tuple(chat)


def read_evidence(project: Project, condition: str, segment_column: str | None = None) -> Evidence:
    """Read the answers that fit a SQL condition, and every vote that may concern them.

    Args:
        segment_column: a column of the store whose value is every answer's segment.
    """
    columns = dict.fromkeys((*_ANSWER_COLUMNS, *([segment_column] if segment_column else [])))
    rows = tables.select(
        project.interactions,
        f"SELECT {', '.join(columns)} FROM rows WHERE {condition} "
        "ORDER BY request_time, interaction_id",
    )
    votes = read_votes(project, _VOTE_COLUMNS, "feedback_time NULLS FIRST, feedback_id")
    links = read_links(project, votes)
    answers = {
        row["interaction_id"]: _answer(row, row[segment_column] if segment_column else None)
        for row in (rows.to_pylist() if rows else [])
    }
    # What is mined from users' next turns never becomes a pair.
    said = [v for v in (iter_votes(votes) if votes else ()) if v["kind"] != "implicit"]
    found = tuple(_vote(vote, links) for vote in said)
    return Evidence(answers, found)


def _answer(row: dict[str, Any], segment: Any) -> Answer:
    return Answer(
        interaction_id=row["interaction_id"],
        context_hash=row["context_hash"],
        prompt_hash=row["prompt_hash"],
        prompt_text=row["prompt_text"],
        input_messages=row["input_messages"],
        output_messages=row["output_messages"],
        text=row["response_text"] or "",
        content_state=row["content_state"],
        finish_reason=row["finish_reason"],
        error_type=row["error_type"],
        model=row["response_model"] or row["request_model"],
        user_id=row["user_id"],
        conversation_id=row["conversation_id"],
        has_tools=row["tool_definitions"] is not None,
        request_time=row["request_time"],
        segment=None if segment is None else str(segment),
    )


def _vote(row: dict[str, Any], links: Links) -> Vote:
    link = links.of(row)
    resolve = links.resolve
    low, high, score = row["scale_min"], row["scale_max"], row["score_value"]
    known = None not in (low, high, score) and high > low
    return Vote(
        feedback_id=row["feedback_id"],
        kind=row["kind"],
        # The nearest answer in time is good enough to count with, not to train on.
        target=None if link.method == "time" else link.interaction_id,
        polarity=row["polarity"],
        rating=(score - low) / (high - low) if known else None,
        text=row["text"],
        annotator_id=row["annotator_id"],
        annotator_kind=row["annotator_kind"],
        feedback_time=row["feedback_time"],
        candidates=tuple(resolve(c) for c in row["candidate_ids"] or ()),
        winner=resolve(row["winner_id"]),
        tie=bool(row["tie"]),
    )
