"""`loopllm forget`: what it erases, what it leaves, and that the bytes are gone."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import loopllm
from factories import feedback_record, flat_record, write_jsonl

from loopllm_cli.loop.forget import forget
from loopllm_cli.loop.promotions import append, make_event
from loopllm_cli.model import Choice, ReviewDecision
from loopllm_cli.pairs.review.log import ReviewLog, read_decisions
from loopllm_cli.sources.redaction import UserHasher
from loopllm_cli.store import erase, tables
from loopllm_cli.store.project import Project
from loopllm_cli.store.schema import PARTS
from loopllm_cli.store.secret import read_key

ALICE = "alice@example.org"
HERS = "a sentence that only alice ever wrote"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project with a user's rows, votes, rejects, pairs, runs and an adapter."""
    folder = tmp_path_factory.mktemp("template")
    logs = [flat_record(k, user_id=f"u-{k % 3}", conversation_id=f"c-{k % 5}") for k in range(20)]
    hers = [
        flat_record(
            k, user_id=ALICE, prompt=f"{HERS} {k}", conversation_id="hers", trace_id=f"t{k}"
        )
        for k in (100, 101, 102)
    ]
    votes = [
        feedback_record("r-1", user=ALICE),  # hers, on another's
        feedback_record("r-100", user="u-1"),  # another's, on hers
        feedback_record("r-2", user="u-2"),
        feedback_record("r-4", "rating", 3, user="u-2"),  # without a scale, it says nothing
        feedback_record("r-3", "correction", "Better.", user="u-1"),
        feedback_record("r-101", "correction", "Better, too.", user=ALICE),
    ]
    bad = [{"nothing": "known", "who": ALICE}, {"nothing": "known", "who": "malice@example.orgs"}]
    files = [
        str(write_jsonl(folder / "logs.jsonl", [*logs, *hers, *bad])),
        str(write_jsonl(folder / "votes.jsonl", votes)),
    ]
    place = ("--project", str(folder), "-q")
    assert 0 == loopllm("ingest", *files, *place, "--max-reject-rate", "1").code
    window = ("--until", "2026-10-01T00:10", "--segment-by", "prompt_name")
    assert 0 == loopllm("baseline", "create", "v1", *window, *place).code
    assert 0 == loopllm("pairs", *place).code
    _add_run_and_adapters(folder)
    _add_parts(folder)
    _add_reviews_and_samples(folder)
    return folder


def _add_run_and_adapters(folder: Path) -> None:
    home = folder / ".loopllm"
    dataset = next(path.parent for path in (home / "pairs").glob("*/card.json"))
    hers, others = _ids(folder, "prompt_text LIKE '%alice%'"), _ids(folder, "TRUE")[:2]
    run = {
        "asked_window": {"where": f"user_id = '{ALICE}'"},
        "segments": [{"example_ids": [hers[0], *others]}],
    }
    write_json(home / "drift" / "v1-0.json", run)
    pairs_hash = json.loads((dataset / "card.json").read_text())["content_hash"]
    lineage = {"pairs_hash": pairs_hash, "pairs_path": "elsewhere"}
    write_json(home / "adapters" / "on-hers" / "lineage.json", lineage)
    write_json(home / "adapters" / "on-others" / "lineage.json", {"pairs_hash": "x"})
    outside = folder / "outside"
    shutil.copytree(dataset, outside)
    for record in (home / "pair-sets").glob("*.json"):
        record.unlink()  # it names this folder, and the tests run in copies
    write_json(home / "pair-sets" / "copy.json", {"path": "outside"})


def _add_parts(folder: Path) -> None:
    rows = [
        {
            **{field.name: "x" for field in PARTS if field.type == pa.string()},
            "source_version": 0,
            "group_key": group,
            "part_key": str(number),
            "content_json": json.dumps({"user": user, "text": HERS if user == ALICE else "none"}),
        }
        for number, (group, user) in enumerate(
            [("g1", ALICE), ("g1", "nobody"), ("t100/s", "nobody"), ("g2", "m" + ALICE)]
        )
    ]
    tables.append(Project(folder).home / "parts", pa.Table.from_pylist(rows, schema=PARTS))


def _add_reviews_and_samples(folder: Path) -> None:
    """Add decisions on her pair and on another's, one of hers, and answers drawn for prompts."""
    project = Project(folder)
    pseudonym = UserHasher(read_key(project))(ALICE)
    hers = tuple(_ids(folder, "prompt_text LIKE '%alice%'"))
    others = tuple(_ids(folder, "prompt_text NOT LIKE '%alice%'"))
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    decisions = [
        ReviewDecision("on-hers", Choice.CHOSEN, "ben", moment, interaction_ids=hers[:1]),
        ReviewDecision("by-her", Choice.CHOSEN, pseudonym, moment, interaction_ids=others[:1]),
        ReviewDecision("stays", Choice.CHOSEN, "ben", moment, interaction_ids=others[:1]),
    ]
    ReviewLog(project).append(*decisions)
    ReviewLog(project).append(decisions[0])
    rows = [
        {"interaction_id": name, "user_id": user, "conversation_id": "c", "text": text}
        for name, user, text in [
            (f"{hers[0]}#sample-0", "unknown", HERS),
            (hers[1], pseudonym, HERS),
            (f"{others[0]}#sample-1", "u-x", "kept text"),
        ]
    ]
    place = folder / ".loopllm" / "samples" / "m.parquet"
    place.parent.mkdir()
    pq.write_table(pa.Table.from_pylist(rows), place)
    export = folder / ".loopllm" / "exports" / "trl"
    (dataset,) = (p.parent for p in (folder / ".loopllm" / "pairs").glob("*/card.json"))
    shutil.copytree(dataset, export)


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.fixture
def filled(project_dir: Path, template: Path) -> Project:
    """Return a copy of that project, which is the working directory."""
    shutil.copytree(template, project_dir, dirs_exist_ok=True)
    return Project(Path())


def _ids(folder: Path, where: str) -> list[str]:
    sql = f"SELECT interaction_id FROM rows WHERE {where} ORDER BY interaction_id"
    found = tables.select(Project(folder).interactions, sql)
    return list(found.column("interaction_id").to_pylist()) if found else []


def contents(home: Path) -> str:
    """Return everything that the files of a project say, Parquet files decoded."""
    said = []
    for path in sorted(p for p in home.rglob("*") if p.is_file() and p.suffix != ".npz"):
        if path.suffix == ".parquet":
            said.append(str(pq.ParquetFile(path).read().to_pylist()))
        said.append(path.read_bytes().decode("utf-8", "replace"))
    return "\n".join(said)


def test_a_user_is_erased_everywhere_and_others_are_not(filled: Project) -> None:
    pseudonym = UserHasher(read_key(filled))(ALICE)
    ids = _ids(Path(), "prompt_text LIKE '%alice%'")
    before = contents(filled.home)
    assert all(trace in before for trace in (HERS, ALICE, pseudonym, *ids))
    said = loopllm("forget", "--user", ALICE, "--json")
    assert (0, "") == (said.code, said.err), said
    counts = {k: said.document[k] for k in said.document if k.startswith("n_")}
    assert {
        "n_interactions": 3,
        "n_feedback": 3,
        "n_parts": 3,
        "n_rejects": 1,
        "n_baselines": 1,
    } == counts
    after = contents(filled.home).replace("m" + ALICE, "").replace("malice@", "")
    assert [] == [trace for trace in (HERS, ALICE, pseudonym, *ids) if trace in after]
    assert 20 == len(_ids(Path(), "TRUE"))


def test_a_user_may_be_named_by_the_pseudonym(filled: Project) -> None:
    pseudonym = UserHasher(read_key(filled))(ALICE)
    assert 3 == loopllm("forget", "--user", pseudonym, "--json").document["n_interactions"]


def test_whom_it_was_about_is_not_repeated(filled: Project) -> None:
    said = loopllm("forget", "--user", ALICE)
    assert ALICE not in said.out + said.err
    assert "3 responses · 3 votes · 3 parts · 1 rejected line" in said.out


def test_a_dataset_with_any_of_it_goes_and_its_adapters_are_named(filled: Project) -> None:
    dataset = next(path.parent for path in (filled.home / "pairs").glob("*/card.json"))
    found = loopllm("forget", "--user", ALICE, "--json").document
    assert [str(dataset), ".loopllm/exports/trl"] == found["datasets"]
    assert not dataset.exists()
    assert not (filled.home / "pairs" / "latest").exists()
    assert ["outside"] == found["datasets_elsewhere"]
    assert Path("outside").exists()
    assert [str(filled.home / "adapters" / "on-hers")] == found["adapters"]
    run = json.loads((filled.home / "drift" / "v1-0.json").read_text())
    assert (2, None) == (len(run["segments"][0]["example_ids"]), run["asked_window"]["where"])


def test_a_promoted_adapter_that_was_trained_on_it_is_a_warning(filled: Project) -> None:
    hers = (filled.home / "adapters" / "on-hers").resolve()
    with filled.writing(10.0):
        append(filled, make_event("promote", hers, "its-hash"))
    said = loopllm("forget", "--user", ALICE).out
    assert "WARNING" in said
    assert "loopllm adapters rollback" in said


def test_rungs_of_a_search_that_were_trained_on_it_are_named(filled: Project) -> None:
    lineage = (filled.home / "adapters" / "on-hers" / "lineage.json").read_text()
    rung = filled.home / "ladders" / "id" / "1.0e-03" / "out"
    rung.mkdir(parents=True)
    (rung / "lineage.json").write_text(lineage)
    assert str(rung) in loopllm("forget", "--user", ALICE, "--json").document["adapters"]


def test_a_dataset_without_any_of_it_stays(filled: Project) -> None:
    found = loopllm("forget", "--id", "flat:r-9", "--json").document
    assert (1, [], []) == (found["n_interactions"], found["datasets"], found["adapters"])


def test_reviews_and_samples_lose_what_is_forgotten_and_nothing_else(filled: Project) -> None:
    found = loopllm("forget", "--user", ALICE, "--json").document
    assert {"reviews", "samples"} == {Path(path).parent.name for path in found["rewritten"]}
    assert ["stays"] == [decision.pair_id for decision in read_decisions(filled)]
    assert 1 == len(list((filled.home / "reviews").iterdir()))
    sampled = pq.ParquetFile(filled.home / "samples" / "m.parquet").read().to_pylist()
    assert ["kept text"] == [row["text"] for row in sampled]
    said = loopllm("forget", "--user", ALICE, "--dry-run")
    assert "rewritten" not in said.out


def test_the_reviewer_herself_may_be_forgotten_by_the_name_she_gave(filled: Project) -> None:
    loopllm("forget", "--user", "ben")
    assert ["by-her"] == [decision.pair_id for decision in read_decisions(filled)]


def test_of_a_dataset_that_stays_the_list_of_dropped_feedback_is_cleaned(filled: Project) -> None:
    dataset = next(path.parent for path in (filled.home / "pairs").glob("*/card.json"))
    before = pq.ParquetFile(dataset / "dropped.parquet").read().to_pylist()
    provenance = (dataset / "provenance.parquet").read_bytes()
    gone = _votes("target_response_id = 'r-4' OR target_id = 'r-4'")
    assert [row["feedback_id"] for row in before if row["feedback_id"] in gone]
    found = loopllm("forget", "--id", "flat:r-4", "--json").document
    assert [] == found["datasets"]
    assert str(dataset / "dropped.parquet") in found["rewritten"]
    after = pq.ParquetFile(dataset / "dropped.parquet").read().to_pylist()
    assert [row for row in before if row["feedback_id"] not in gone] == after
    assert provenance == (dataset / "provenance.parquet").read_bytes()


def test_who_only_voted_is_erased_from_datasets_cards_and_records(filled: Project) -> None:
    dataset = next(path.parent for path in (filled.home / "pairs").glob("*/card.json"))
    voter = UserHasher(read_key(filled))("u-9")
    card = json.loads((dataset / "card.json").read_text())
    people = [{"annotator_id": name, "reliability": 0.9} for name in (voter, "u_other")]
    found = [{"name": "annotators", "text": f"the votes of {voter} are noise", "examples": []}]
    noted = {**card, "agreement": {"annotators": people}, "findings": found}
    write_json(dataset / "card.json", noted)
    write_json(filled.home / "pair-sets" / "one.json", {**noted, "path": str(dataset)})
    result = loopllm("forget", "--user", "u-9", "--json").document
    assert [] == result["datasets"]
    assert {"card.json", "one.json"} == {Path(path).name for path in result["records"]}
    for path in (dataset / "card.json", filled.home / "pair-sets" / "one.json"):
        said = path.read_text()
        assert voter not in said
        assert "u_other" in said
        assert json.loads(said)["content_hash"] == card["content_hash"]


def test_a_voter_whose_vote_stands_in_a_pair_takes_the_dataset_along(filled: Project) -> None:
    dataset = next(path.parent for path in (filled.home / "pairs").glob("*/card.json"))
    rows = pq.ParquetFile(dataset / "provenance.parquet").read()
    names = rows.column("annotator_ids").to_pylist()
    # Only the name of the annotator is left to tell: the tables do not know this vote any more.
    changed = [["u_0123456789abcdef"] if name else name for name in names]
    place = rows.column_names.index("annotator_ids")
    written = rows.set_column(place, "annotator_ids", pa.array(changed, pa.list_(pa.string())))
    pq.write_table(written, dataset / "provenance.parquet")
    found = loopllm("forget", "--user", "u_0123456789abcdef", "--json").document
    assert [str(dataset)] == found["datasets"]
    assert not dataset.exists()


def _votes(where: str) -> set[str]:
    sql = f"SELECT feedback_id FROM rows WHERE {where}"
    found = tables.select(Project(Path()).feedback, sql)
    return set(found.column("feedback_id").to_pylist()) if found else set()


def test_a_conversation_is_erased_with_the_votes_on_it(filled: Project) -> None:
    found = loopllm("forget", "--conversation", "hers", "--json").document
    assert (3, 2) == (found["n_interactions"], found["n_feedback"])
    assert 20 == len(_ids(Path(), "TRUE"))


def test_a_response_is_erased_by_its_id(filled: Project) -> None:
    found = loopllm("forget", "--id", "flat:r-3", "--json").document
    assert (1, 1) == (found["n_interactions"], found["n_feedback"])
    assert "flat:r-3" not in _ids(Path(), "TRUE")


def test_a_dry_run_says_the_same_and_changes_nothing(filled: Project) -> None:
    before = contents(filled.home)
    planned = loopllm("forget", "--user", ALICE, "--dry-run", "--json").document
    assert before == contents(filled.home)
    assert "would go" in loopllm("forget", "--user", ALICE, "-n").out
    done = loopllm("forget", "--user", ALICE, "--json").document
    assert {**planned, "dry_run": False} == done


def test_a_second_run_finds_nothing_and_says_so(filled: Project) -> None:
    shutil.rmtree("outside")
    loopllm("forget", "--user", ALICE)
    said = loopllm("forget", "--user", ALICE)
    assert (0, "") == (said.code, said.err)
    assert "nothing    the project holds nothing of that user\n" == said.out


def test_the_store_works_as_before_afterwards(filled: Project) -> None:
    loopllm("forget", "--user", ALICE)
    (filled.home / "drift" / "v1-0.json").unlink()  # made up here, no whole record
    assert "1 source" in loopllm("ingest", "votes.jsonl").out
    write_jsonl(Path("more.jsonl"), [flat_record(500)])
    assert 0 == loopllm("ingest", "more.jsonl").code
    assert 21 == len(_ids(Path(), "TRUE"))
    assert 0 == loopllm("status").code
    assert loopllm("drift", "--baseline", "v1").code in (0, 10, 12)


def test_what_was_interrupted_is_completed_by_the_next_run(
    filled: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(erase, "_purge", lambda location: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            forget(filled, "user", ALICE, dry_run=False)
    assert HERS in contents(filled.home)
    assert 0 == forget(filled, "user", ALICE, dry_run=False).n_interactions
    assert HERS not in contents(filled.home)


@pytest.mark.parametrize("args", [(), ("--user", "a", "--id", "b"), ("--user", "")])
def test_exactly_one_selector_is_needed(filled: Project, args: tuple[str, ...]) -> None:
    said = loopllm("forget", *args)
    assert 2 == said.code
    assert "one is needed" in said.err


def test_a_project_without_a_store_is_an_error_of_the_setup(project_dir: Path) -> None:
    said = loopllm("forget", "--user", "a")
    assert 4 == said.code
    assert "nothing has been ingested" in said.err
    assert [] == list(project_dir.iterdir())


def test_a_name_with_a_quote_is_no_condition(filled: Project) -> None:
    assert 0 == loopllm("forget", "--user", "x' OR 'a' = 'a", "--json").document["n_interactions"]
    assert 23 == len(_ids(Path(), "TRUE"))
