"""Votes that are looked at all at once make the same pairs as votes made one by one.

Numbered seeds, not drawn examples: evidence is large, and drawing it piece by piece is slow.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loopllm_cli.config import PairsConfig
from loopllm_cli.pairs.build import BuiltPairs, build_pairs
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.evidence.from_store import read_evidence
from loopllm_cli.pairs.untouched import Untouched
from loopllm_cli.sources.rows import Origin, Row, feedback, interaction, text_message
from loopllm_cli.store import tables
from loopllm_cli.store.project import Project
from loopllm_cli.store.schema import FEEDBACK, INTERACTIONS

START = datetime(2026, 10, 1, tzinfo=UTC)
ORIGIN = Origin("a.jsonl", 1, "test")
N_SEEDS, N_ANSWERS, N_VOTES = 10, 40, 160
TEXTS = ["yes", "no", "It left the store today.", "I'm sorry, but I cannot help with that.", ""]
KINDS = ["thumbs"] * 6 + ["rating"] * 3 + ["score", "comparison", "correction", "regeneration"]
KINDS += ["copy", "implicit", "ranking", "comment"]
PEOPLE = ["ann", "bob", "eve", "", None]


def some_answer(rng: random.Random, number: int) -> Row:
    """Return a stored response to one of a few contexts, often one that may not be used."""
    minute = timedelta(minutes=number) if rng.random() < 0.9 else timedelta(days=400)
    return interaction(
        ORIGIN,
        "t",
        native_id=f"r{number}",
        inputs=[text_message("user", f"What of order {rng.randrange(18)}?")],
        output=text_message("assistant", rng.choice(TEXTS)),
        values={
            "request_time": rng.choice([START + minute] * 9 + [None]),
            "user_id": rng.choice(["u", "v", None]),
            "conversation_id": rng.choice(["k", "l", None]),
            "turn_index": rng.choice([0, 1, 2, None]),
            "error_type": rng.choice([None] * 15 + ["timeout"]),
            "finish_reason": rng.choice(["stop"] * 9 + ["length", None]),
        },
    )


def some_vote(rng: random.Random, kind: str) -> Row:
    """Return a stored vote of any kind, on anything, by anybody, at any time."""
    sides = [f"r{rng.randrange(N_ANSWERS + 2)}" for _ in range(rng.randrange(4))]
    compared = {"candidate_ids": sides, "winner_id": rng.choice([*sides, None])}
    values: dict[str, Any] = {
        "annotator_kind": rng.choice(["HUMAN"] * 15 + ["LLM"]),
        "annotator_id": rng.choice(PEOPLE),
        "feedback_time": rng.choice([None, *(START + timedelta(hours=h) for h in range(5))]),
        "polarity": rng.choice([1, 1, 1, -1, 0, None]),
        "name": rng.choice([None] * 6 + ["edited", "help", ""]),
        "explanation": rng.choice([None] * 9 + ["slow_response", "too long"]),
        "text": rng.choice(TEXTS) if kind == "correction" else None,
    }
    if kind in ("rating", "score", "ranking"):
        scale = rng.choice([(1.0, 5.0), (1.0, 5.0), (None, None)])
        score = float(rng.randint(1, 6))
        values |= {"score_value": score, "scale_min": scale[0], "scale_max": scale[1]}
    target = {"target_id": f"r{rng.randrange(N_ANSWERS + 2)}"}
    values |= compared if kind == "comparison" else target
    return feedback(ORIGIN, "t", kind, values)


def stored(folder: Path, seed: int) -> Project:
    """Store answers and votes."""
    rng, project = random.Random(seed), Project(folder)
    answers = [some_answer(rng, number) for number in range(N_ANSWERS)]
    votes = [some_vote(rng, rng.choice(KINDS)) for _ in range(N_VOTES)]
    alone = list({row["feedback_id"]: row for row in votes}.values())
    tables.append(project.interactions, tables.to_table(answers, INTERACTIONS))
    tables.append(project.feedback, tables.to_table(alone, FEEDBACK))
    return project


def one_by_one(evidence: Evidence) -> Evidence:
    """Return the same evidence, without columns."""
    evidence.load(evidence.answers.values())
    return Evidence(dict(evidence.answers), tuple(evidence.votes))


def config_of(seed: int) -> PairsConfig:
    """Return settings under which caps, judges and held-out pairs come up."""
    rng = random.Random(seed)
    return PairsConfig(
        per_user=rng.choice([1, 50]),
        heldout_share=rng.choice([0.0, 0.5]),
        allow_judge=rng.random() < 0.3,
        max_unpaired=rng.choice([3, 1000]),
        retention=rng.choice([2, 400]),
    )


def parts(built: BuiltPairs) -> tuple[Any, ...]:
    """Return all that is made of evidence, in its order."""
    assert built.reasons is not None
    said = (built.dropped, built.reasons.to_pylist(), built.n_feedback, built.n_mined)
    return (built.train, built.heldout, built.retention, built.unpaired, *said)


def both(project: Project, config: PairsConfig) -> tuple[BuiltPairs, BuiltPairs]:
    """Build pairs of votes made one by one, and of their columns."""
    plain = one_by_one(read_evidence(project, "TRUE"))
    columns = read_evidence(project, "TRUE")
    return build_pairs(plain, config, Untouched()), build_pairs(columns, config, Untouched())


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[BuiltPairs, BuiltPairs]]:
    """Return what the seeds make."""
    folder = tmp_path_factory.mktemp("stores")
    return [both(stored(folder / str(seed), seed), config_of(seed)) for seed in range(N_SEEDS)]


@pytest.mark.parametrize("seed", range(N_SEEDS))
def test_columns_of_votes_make_what_single_votes_make(
    cases: list[tuple[BuiltPairs, BuiltPairs]], seed: int
) -> None:
    expected, actual = cases[seed]
    assert parts(expected) == parts(actual)


def test_votes_over_the_cap_of_one_person_are_refused_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loopllm_cli.pairs.evidence.admissible._VOTES_PER_PAIR", 4)
    expected, actual = both(stored(tmp_path, 1), PairsConfig(per_user=2))
    assert parts(expected) == parts(actual)
    assert actual.dropped["over the cap of votes by one person"] > 0


def test_the_seeds_reach_what_is_set_aside(cases: list[tuple[BuiltPairs, BuiltPairs]]) -> None:
    """Else the tests above would hold for want of cases."""
    reasons = {reason for _, actual in cases for reason in actual.dropped}
    wanted = {
        "thumb without an opposite one on the same context",
        "vote that the same person replaced by a later one",
        "rating without another by the same person on the same context",
        "thumb that is neither up nor down",
        "thumb on an answer that is not in the window",
        "feedback dated before its answer",
        "feedback of a judge model or a program",
        "vote that may be about an edited text",
        "an answer that was cut off",
        "copied answer: no sign of approval by itself",
    }
    assert set() == wanted - reasons
