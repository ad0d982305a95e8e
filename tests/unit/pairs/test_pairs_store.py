"""From the store to a dataset: linked votes, windows, segments, and places that are taken."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from factories import feedback_record, flat_record, write_jsonl

from loopllm_cli.config import Config, PairsConfig
from loopllm_cli.errors import AlreadyExists, NoFeedback, UsageError
from loopllm_cli.loop.feedback import PairsRequest, latest_pairs, make_pairs
from loopllm_cli.model import Window
from loopllm_cli.pairs.evidence.from_store import read_evidence
from loopllm_cli.sources.ingest import IngestOptions, ingest
from loopllm_cli.store.project import Project

Record = dict[str, Any]
BETTER = "Parcel {} was handed to the courier and arrives today before noon."


def stored(folder: Path, records: Iterable[Record]) -> Project:
    """Return a project that has ingested records."""
    project = Project(folder)
    ingest(project, [str(write_jsonl(folder / "log.jsonl", records))], IngestOptions())
    return project


def corrected(n: int = 20) -> list[Record]:
    """Return records with a correction each."""
    votes = [feedback_record(f"r-{i}", "correction", BETTER.format(i)) for i in range(n)]
    return [*(flat_record(i, session_id=f"k-{i}") for i in range(n)), *votes]


def test_votes_find_their_answers_by_any_id_of_the_log(project_dir: Path) -> None:
    records = [flat_record(1, response_id="resp-1"), flat_record(2)]
    votes = [
        feedback_record("resp-1"),
        feedback_record("r-2", value="down"),
        feedback_record("gone"),
        {"candidates": ["resp-1", "r-2"], "winner": "r-2", "user": "u-1"},
    ]
    evidence = read_evidence(stored(project_dir, [*records, *votes]), "TRUE")
    one, two = evidence.answers
    thumbs = [(v.target, v.polarity) for v in evidence.of_kind("thumbs")]
    assert {(one, 1), (two, -1), (None, 1)} == set(thumbs)
    (compared,) = evidence.of_kind("comparison")
    assert ((one, two), two) == (compared.candidates, compared.winner)
    assert {one: 1, two: 1} == {name: len(votes) for name, votes in evidence.by_target.items()}


def test_ratings_are_read_as_shares_of_their_scale(project_dir: Path) -> None:
    votes = [
        feedback_record("r-1", "rating", 4, scale_min=1, scale_max=5),
        feedback_record("r-1", "rating", 4),
    ]
    evidence = read_evidence(stored(project_dir, [flat_record(1), *votes]), "TRUE")
    assert {0.75, None} == {vote.rating for vote in evidence.votes}


def test_a_column_of_the_store_can_name_the_segments(project_dir: Path) -> None:
    records = [flat_record(1, prompt_name="refund"), flat_record(2)]
    votes = [feedback_record("r-1"), feedback_record("r-2")]
    evidence = read_evidence(stored(project_dir, [*records, *votes]), "TRUE", "prompt_name")
    assert ["refund", None] == [a.segment for a in evidence.answers.values()]


def test_a_store_without_anything_holds_no_evidence(project_dir: Path) -> None:
    evidence = read_evidence(Project(project_dir), "TRUE")
    assert ({}, ()) == (evidence.answers, evidence.votes)


def test_answers_outside_the_window_make_no_pair(project_dir: Path) -> None:
    project = stored(project_dir, corrected())
    window = Window(where="source_record_id <> 'r-3'")
    summary = make_pairs(project, Config(), PairsRequest(window))
    assert {"correction of an answer that is not in the window": 1} == summary.dropped
    assert 19 == summary.n_train + summary.n_heldout


def test_the_same_store_gives_the_same_dataset(
    project_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is read, and in whichever order its lines came."""
    monkeypatch.setenv("LOOPLLM_KEY", "one key for both projects")
    found = []
    for name, records in (("one", corrected()), ("two", corrected()[::-1])):
        (project_dir / name).mkdir()
        project = stored(project_dir / name, records)
        for _ in range(2):
            summary = make_pairs(project, Config(), PairsRequest())
            assert Path(summary.path) == latest_pairs(project)
            found.append((summary.content_hash, (latest_pairs(project) / "card.json").read_bytes()))
    assert 1 == len(set(found))
    assert found[0][0].startswith(latest_pairs(project).name)


def test_other_settings_give_another_dataset_beside_the_first(
    project_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPLLM_KEY", "another key may split alike by chance")
    project = stored(project_dir, corrected())
    first = make_pairs(project, Config(), PairsRequest())
    second = make_pairs(project, Config(pairs=PairsConfig(seed=1)), PairsRequest())
    assert first.content_hash != second.content_hash
    assert Path(first.path).is_dir()
    assert Path(second.path) == latest_pairs(project)


def test_a_chosen_place_is_replaced_only_where_it_holds_a_dataset(project_dir: Path) -> None:
    project = stored(project_dir, corrected())
    out = PairsRequest(out=project_dir / "out")
    make_pairs(project, Config(), out)
    again = make_pairs(project, Config(), out)
    assert str(project_dir / "out") == again.path
    with pytest.raises(UsageError, match="no pairs have been built"):
        latest_pairs(project)


@pytest.mark.parametrize("card", [None, "", "{}", "[]", '{"content_hash"'])
def test_a_folder_of_somebody_else_is_left_alone(project_dir: Path, card: str | None) -> None:
    project = stored(project_dir, corrected())
    theirs = project_dir / "theirs"
    theirs.mkdir()
    (theirs / "letter.txt").write_text("mine")
    if card is not None:
        (theirs / "card.json").write_text(card)
    with pytest.raises(AlreadyExists, match="is no dataset of loopllm"):
        make_pairs(project, Config(), PairsRequest(out=theirs))
    assert "mine" == (theirs / "letter.txt").read_text()


def test_a_file_in_the_way_is_left_alone(project_dir: Path) -> None:
    project = stored(project_dir, corrected())
    (project_dir / "taken").write_text("mine")
    with pytest.raises(AlreadyExists, match="is no dataset of loopllm"):
        make_pairs(project, Config(), PairsRequest(out=project_dir / "taken"))


def test_a_store_without_feedback_says_so(project_dir: Path) -> None:
    project = stored(project_dir, [flat_record(1)])
    with pytest.raises(NoFeedback, match="no feedback has been ingested"):
        make_pairs(project, Config(), PairsRequest())


def test_feedback_that_makes_no_pair_says_why(project_dir: Path) -> None:
    project = stored(project_dir, [flat_record(1), feedback_record("r-1")])
    reason = "none of 1 pieces of feedback makes a pair .1 thumb without an opposite one"
    with pytest.raises(NoFeedback, match=reason):
        make_pairs(project, Config(), PairsRequest())
    assert not (project_dir / ".loopllm" / "pairs").exists()


def test_the_card_names_the_settings(project_dir: Path) -> None:
    project = stored(project_dir, corrected())
    summary = make_pairs(project, Config(pairs=PairsConfig(per_user=2)), PairsRequest())
    card = json.loads((Path(summary.path) / "card.json").read_text())
    assert (2, None) == (card["settings"]["per_user"], card["baseline_name"])
    assert {"over the cap per user": 6} == summary.dropped
