"""`loopllm pairs show`: a pair with its evidence, or why a piece of feedback made none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from command_line import Said, loopllm
from factories import feedback_record, flat_record, write_jsonl
from rich.cells import cell_len

BETTER = "Parcel {} was handed to the courier and arrives today before noon."
HOSTILE = "\x1b]0;title\x07\x1b[31mred\x1b[0m [bold]markup[/bold] \u202ereversed\u202c {{7*7}}"
HUGE = "word and " * 10_000


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project with pairs of corrections, one against, one hostile, one enormous."""
    folder = tmp_path_factory.mktemp("template")
    logs = [flat_record(k, session_id=f"k-{k}") for k in range(12)]
    logs.append(flat_record(50, response=HOSTILE, session_id=f"k {HOSTILE}", user_id=HOSTILE))
    logs.append(flat_record(51, response=HUGE, session_id="k-51"))
    votes = [feedback_record(f"r-{k}", "correction", BETTER.format(k)) for k in range(12)]
    votes += [
        feedback_record("r-3", user="u-5"),  # somebody liked what was corrected
        feedback_record("r-50", "correction", f"{HOSTILE} and better"),
        feedback_record("r-51", "correction", HUGE + "and an end that makes it better " * 200),
        feedback_record("nothing", user="u-6"),
    ]
    place = ("--project", str(folder), "-q")
    file = str(write_jsonl(folder / "logs.jsonl", [*logs, *votes]))
    assert 0 == loopllm("ingest", file, *place).code
    assert 0 == loopllm("pairs", *place).code
    return folder


@pytest.fixture
def filled(project_dir: Path, template: Path) -> Path:
    """Return a copy of that project, which is the working directory."""
    shutil.copytree(template, project_dir, dirs_exist_ok=True)
    return project_dir


def provenance() -> list[dict[str, Any]]:
    """Return what the dataset says of its pairs."""
    (path,) = Path(".loopllm/pairs").glob("*/provenance.parquet")
    rows = pq.ParquetFile(path).read().to_pylist()
    return [row for row in rows if row["split"] in ("train", "test")]


def made_of(number: int) -> dict[str, Any]:
    """Return the pair that was made of an answer."""
    (row,) = [r for r in provenance() if r["interaction_ids"] == [f"flat:r-{number}"]]
    return row


def shown(number: int, *more: str) -> Said:
    return loopllm("pairs", "show", made_of(number)["pair_id"], *more)


def test_a_pair_is_shown_with_everything_it_was_made_of(filled: Path) -> None:
    row = made_of(1)
    said = shown(1)
    assert (0, "") == (said.code, said.err)
    for part in (row["pair_id"], *row["feedback_ids"], "flat:r-1", "rule correction", "k-1"):
        assert part in said.out
    assert "[-" in said.out
    assert "{+was handed to the courier and+}" in said.out
    assert "1 for it · 0 against it" in said.out
    assert {"train": "train", "test": "held out"}[row["split"]] in said.out
    assert [] == [line for line in said.out.splitlines() if cell_len(line) > 80]


@pytest.mark.parametrize("what", ["pair_id", "feedback_ids", "interaction_ids"])
def test_a_pair_is_found_by_any_id_that_it_was_made_of(what: str, filled: Path) -> None:
    row = made_of(1)
    name = row[what] if isinstance(row[what], str) else row[what][0]
    found = loopllm("pairs", "show", name, "--json").document
    assert ["loopllm.pair/1", row["pair_id"]] == [
        found["schema"],
        *(p["pair"]["pair_id"] for p in found["pairs"]),
    ]


def test_the_beginning_of_a_pairs_id_is_enough_where_it_names_one(filled: Path) -> None:
    name = made_of(1)["pair_id"]
    assert name == loopllm("pairs", "show", name[:10], "--json").document["identifier"]


def test_feedback_against_a_pair_is_shown_as_such(filled: Path) -> None:
    found = shown(3, "--json").document["pairs"][0]["feedback"]
    assert ["for", "against"] == [vote["says"] for vote in found]
    assert "up" == found[1]["score"]
    assert "1 for it · 1 against it" in shown(3).out


def test_an_unknown_id_is_one_clear_error_that_names_the_nearest(filled: Path) -> None:
    name = made_of(1)["pair_id"]
    wrong = f"{name[:-2]}zz"
    said = loopllm("pairs", "show", wrong)
    assert (2, "") == (said.code, said.out)
    assert f"no pair, feedback or answer '{wrong}'" in said.err
    assert f"nearest: {name}" in said.err


@pytest.mark.parametrize("wrong", ["", "\x1b[31m", "' OR 1 = 1 --", "x" * 100_000, "../../etc"])
def test_a_strange_id_is_an_error_like_any_other(wrong: str, filled: Path) -> None:
    said = loopllm("pairs", "show", wrong)
    assert 2 == said.code
    assert "\x1b" not in said.err


def test_without_a_dataset_the_way_to_make_one_is_told(project_dir: Path) -> None:
    said = loopllm("pairs", "show", "x")
    assert 2 == said.code
    assert "loopllm pairs" in said.err
    assert 2 == loopllm("pairs", "show", "x", "--pairs", "nowhere").code


def test_feedback_that_made_no_pair_is_shown_with_its_reason(filled: Path) -> None:
    (path,) = Path(".loopllm/pairs").glob("*/dropped.parquet")
    dropped = pq.ParquetFile(path).read().to_pylist()
    card = json.loads((path.parent / "card.json").read_text())
    assert sum(card["dropped"].values()) == len(dropped) == 2
    for row in dropped:
        said = loopllm("pairs", "show", row["feedback_id"])
        assert (0, "") == (said.code, said.err)
        assert " ".join(row["reason"].split()) in " ".join(said.out.split())
        assert "thumbs up" in said.out


def test_rows_that_have_been_forgotten_since_are_told(filled: Path, tmp_path: Path) -> None:
    row = made_of(1)
    kept = tmp_path / "kept"
    (dataset,) = (p.parent for p in Path(".loopllm/pairs").glob("*/card.json"))
    shutil.copytree(dataset, kept)
    assert 0 == loopllm("forget", "--id", "flat:r-1").code
    said = loopllm("pairs", "show", row["pair_id"], "--pairs", str(kept))
    assert 0 == said.code
    assert "1 no longer in the store" in " ".join(said.out.split())
    found = loopllm("pairs", "show", row["pair_id"], "--pairs", str(kept), "--json").document
    assert found["pairs"][0]["answers"][0]["forgotten"]
    assert found["pairs"][0]["feedback"][0]["forgotten"]


def test_log_text_reaches_the_terminal_inert(filled: Path) -> None:
    said = shown(50)
    assert 0 == said.code
    assert not {"\x1b", "\x07", "\u202e", "\u202c"} & set(said.out)
    assert "[bold]markup[/bold]" in said.out
    assert [] == [line for line in said.out.splitlines() if cell_len(line) > 80]


def test_an_enormous_answer_is_cut_and_shown_whole_when_asked(filled: Path) -> None:
    said = shown(51)
    assert (0, "") == (said.code, said.err)
    assert len(said.out) < 20_000
    assert "characters more, shown with -v" in said.out
    assert len(shown(51, "-v").out) > 180_000


def test_what_the_audit_found_about_a_pair_is_shown_with_it(filled: Path) -> None:
    row = made_of(1)
    (path,) = Path(".loopllm/pairs").glob("*/card.json")
    card = json.loads(path.read_text())
    finding = {"name": "length", "text": "the chosen side is longer", "severity": "warn"}
    quiet = {"name": "pii", "text": "nothing of the kind", "severity": "ok"}
    examples = {"examples": [row["pair_id"]]}
    # The record of the drift run is gone: that is no reason not to show the pair.
    card |= {"findings": [finding | examples, quiet | examples], "drift_run_id": "v1-0"}
    path.write_text(json.dumps(card))
    said = shown(1)
    assert "audit      the chosen side is longer" in said.out
    assert "nothing of the kind" not in said.out
    assert "drift run v1-0" in said.out
    assert "audit" not in shown(2).out
    asked = loopllm("pairs", "review", "--reviewer", "a", "--limit", "1", stdin=b"g\n")
    assert "Where is parcel 1?" in asked.out


def test_a_damaged_dataset_is_an_error_and_no_crash(filled: Path) -> None:
    name = made_of(1)["pair_id"]
    (dataset,) = (p.parent for p in Path(".loopllm/pairs").glob("*/card.json"))
    for file in ("data/train.parquet", "data/test.parquet"):
        (dataset / file).write_bytes(b"PAR1 broken")
    assert 3 == loopllm("pairs", "show", name).code
    (dataset / "provenance.parquet").write_bytes(b"")
    assert 3 == loopllm("pairs", "show", name).code
    (dataset / "card.json").write_text("[")
    assert 3 == loopllm("pairs", "show", name).code


def test_an_option_before_the_subcommand_is_refused_as_it_would_have_no_effect(
    filled: Path,
) -> None:
    said = loopllm("pairs", "--project", "elsewhere", "show", "x")
    assert 2 == said.code
    assert "give --project after show" in said.err
    assert not Path("elsewhere").exists()


def test_a_wrong_subcommand_or_option_builds_nothing(filled: Path) -> None:
    before = sorted(Path(".loopllm").rglob("*"))
    for args in (("shwo", "x"), ("--nope",), ("show",), ("show", "x", "--nope")):
        assert 2 == loopllm("pairs", *args).code
    assert "Did you mean 'show'" in loopllm("pairs", "shwo").err
    assert before == sorted(Path(".loopllm").rglob("*"))
