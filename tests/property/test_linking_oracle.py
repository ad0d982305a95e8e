"""Linking all votes at once finds what linking them one by one finds, on random stores."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from slow_links import SlowLinks

from loopllm_cli.store import tables
from loopllm_cli.store.linking import Link, iter_votes, read_links, read_votes
from loopllm_cli.store.project import Project
from loopllm_cli.store.schema import FEEDBACK, INTERACTIONS
from loopllm_cli.store.spellings import spellings

START = datetime(2026, 10, 1, tzinfo=UTC)
HEX = ["5e0c9a1fb2d84736", "0d5be4f39f2c4c8a8a0e6f1b77c2d934", "aaaaaaaaaaaaaaaa", "0" * 32]
IDS = [*HEX, *"abcdef", "", "ü", "0x", "chatcmpl-1", "-" * 36, "A" * 36, "\u202e"]
N_STORES = 30


def spelled(rng: random.Random, name: str) -> str:
    """Write an id as one of the tools does."""
    ways = [name, name.upper(), f"0x{name}", *spellings(name)]
    return rng.choice([name, *ways]) if name in HEX else name


def some_id(rng: random.Random, share: float = 0.5) -> str | None:
    """Return an id, or none."""
    return spelled(rng, rng.choice(IDS)) if rng.random() < share else None


def some_time(rng: random.Random) -> datetime | None:
    """Return a time that many others share, or none."""
    return rng.choice([None, *(START + timedelta(minutes=10 * k) for k in range(8))])


def some_answer(rng: random.Random, number: int) -> dict[str, Any]:
    """Return a row, with only what linking looks at."""
    return {
        **dict.fromkeys(INTERACTIONS.names),
        "interaction_id": rng.choice([f"r{number}", f"r{number}", f"{rng.choice(IDS)}{number}"]),
        "content_digest": "d",
        "source_format": "t",
        "source_path": "p",
        "ingest_id": "i",
        "schema_version": 2,
        "time_basis": "logged",
        "choice_index": 0,
        "content_state": "full",
        "source_record_id": some_id(rng, 0.3),
        "response_id": some_id(rng, 0.3),
        "request_id": some_id(rng, 0.2),
        "span_id": some_id(rng, 0.3),
        "trace_id": some_id(rng, 0.4),
        "conversation_id": some_id(rng, 0.7),
        "response_hash": rng.choice([None, *HEX]),
        "is_visible": rng.choice([True, True, False, None]),
        "is_root": rng.choice([True, False, None]),
        "turn_index": rng.choice([None, 0, 1, 2, -1]),
        "request_time": some_time(rng),
    }


def some_vote(rng: random.Random, number: int) -> dict[str, Any]:
    """Return a vote that names its answer in any way, or in several."""
    candidates = [some_id(rng, 1.0) for _ in range(rng.randrange(4))]
    return {
        **dict.fromkeys(FEEDBACK.names),
        "feedback_id": f"v{number}",
        "source_format": "t",
        "source_path": "p",
        "ingest_id": "i",
        "schema_version": 2,
        "kind": "thumbs",
        "annotator_kind": rng.choice(["HUMAN", "HUMAN", "LLM", "CODE", "UNKNOWN"]),
        "target_kind": rng.choice(["response", "span", "trace", "conversation"]),
        "target_key": "none",
        "target_id": rng.choice([some_id(rng, 0.4), f"r{rng.randrange(9)}", None]),
        "target_span_id": some_id(rng, 0.3),
        "target_response_id": some_id(rng, 0.2),
        "target_trace_id": some_id(rng, 0.3),
        "target_conversation_id": some_id(rng, 0.6),
        "target_turn_index": rng.choice([None, None, 0, 1, 2, -1, 2**62]),
        "target_response_hash": rng.choice([None, None, "", *HEX]),
        "candidate_ids": rng.choice([None, candidates]),
        "feedback_time": some_time(rng),
    }


def both_ways(seed: int, folder: Path) -> tuple[list[Link], list[Link], list[Any], list[Any]]:
    """Link the votes of a random store in both ways, and resolve their candidates."""
    rng = random.Random(seed)
    answers = [some_answer(rng, k) for k in range(rng.choice([1, 12, 40]))]
    votes = [some_vote(rng, k) for k in range(60)]
    project = Project(folder)
    # In two files, so that blocks are put together.
    for part in (answers[: len(answers) // 2], answers[len(answers) // 2 :]):
        if part:
            tables.append(project.interactions, tables.to_table(part, INTERACTIONS))
    tables.append(project.feedback, tables.to_table(votes, FEEDBACK))
    slow = SlowLinks.of_rows(answers)
    read = read_votes(project, ("feedback_id",))
    assert read is not None
    links = read_links(project, read)
    rows = list(iter_votes(read))
    names = [name for row in rows for name in row["candidate_ids"] or ()]
    return (
        [slow.of(row) for row in rows],
        [links.of(number) for number in range(len(rows))],
        [slow.resolve(name) for name in names],
        [links.id_of(int(response)) for response in links.candidates],
    )


Linked = tuple[list[Link], list[Link], list[Any], list[Any]]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[Linked]:
    """Link the votes of all stores, in both ways."""
    return [both_ways(seed, tmp_path_factory.mktemp("store")) for seed in range(N_STORES)]


@pytest.mark.parametrize("seed", range(N_STORES))
def test_votes_find_what_they_find_one_by_one(seed: int, stores: list[Linked]) -> None:
    slow, fast, slow_names, fast_names = stores[seed]
    assert slow == fast
    assert slow_names == fast_names


def test_the_stores_reach_every_way_of_linking(stores: list[Linked]) -> None:
    """Else the test above would hold for want of cases."""
    ways = {(link.status, link.method) for _, links, _, _ in stores for link in links}
    keys = ("source_record_id", "response_id", "span_id", "trace_id", "response_hash", "time")
    assert {("linked", key) for key in (*keys, "turn_index", "interaction_id")} <= ways
    assert {("ambiguous", key) for key in (*keys, "turn_index")} <= ways
    assert {("orphan", None), ("conversation", None)} <= ways
