"""`loopllm pairs export`: the newest dataset in another tool's files, and back again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import Said, loopllm
from factories import feedback_record, flat_record, write_jsonl

from loopllm_cli.pairs.dataset.stored import StoredPairs, latest_pairs
from loopllm_cli.store.project import Project

BETTER = "Parcel {} was handed to the courier and arrives today before noon."
HOSTILE = "\x1b]0;title\x07\x1b[31mred\x1b[0m [bold]markup[/bold] \u202ereversed\u202c {{7*7}}"
TOOLS = ("argilla", "axolotl", "llamafactory", "openai", "trl")
N_PAIRS = 10


def make_pairs(folder: Path, records: list[Any], *more: str) -> None:
    """Ingest records into a project and build its pairs."""
    place = ("--project", str(folder), "-q")
    file = str(write_jsonl(folder / "logs.jsonl", records))
    ingested = loopllm("ingest", file, *place, *more)
    assert 0 == ingested.code, ingested.err
    built = loopllm("pairs", *place)
    assert 0 == built.code, built.err


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project with pairs of corrections, one of them hostile."""
    folder = tmp_path_factory.mktemp("template")
    logs = [flat_record(k, session_id=f"k-{k}", user_id=f"u-{k}") for k in range(N_PAIRS - 1)]
    logs.append(flat_record(50, response=HOSTILE, session_id="k-50", user_id="u-50"))
    votes = [feedback_record(f"r-{k}", "correction", BETTER.format(k)) for k in range(N_PAIRS - 1)]
    votes.append(feedback_record("r-50", "correction", f"{HOSTILE} and better"))
    make_pairs(folder, [*logs, *votes])
    return folder


@pytest.fixture
def filled(project_dir: Path, template: Path) -> Path:
    """Return a copy of that project, which is the working directory."""
    shutil.copytree(template, project_dir, dirs_exist_ok=True)
    return project_dir


def export(*args: str) -> Said:
    """Export, and expect it to succeed."""
    said = loopllm("pairs", "export", *args)
    assert (0, "") == (said.code, said.err)
    return said


def content_of(folder: Path) -> set[tuple[str, str, str]]:
    """Return what was asked, chosen and rejected in the newest dataset of a project."""
    stored = StoredPairs(latest_pairs(Project(folder)))
    pairs = [stored.pair(place) for place in range(len(stored))]
    return {(json.dumps(p.prompt), p.chosen, p.rejected) for p in pairs}


@pytest.mark.parametrize("tool", TOOLS)
def test_the_newest_dataset_is_written_where_it_is_said(filled: Path, tool: str) -> None:
    said = export(tool)
    (out,) = Path(".loopllm/exports").glob(f"*/{tool}")
    assert str(out) in said.out
    assert out.parent.name == latest_pairs(Project(filled)).name
    assert "\x1b" not in said.out
    assert (out / "provenance.parquet").is_file()


def test_json_tells_files_rows_and_what_is_left_out(filled: Path) -> None:
    said = export("openai", "--split", "all", "--json", "--out", "elsewhere")
    shown = said.document
    assert ("openai", "elsewhere") == (shown["target"], Path(shown["path"]).name)
    assert N_PAIRS == sum(shown["n_rows"].values())
    assert {} == shown["skipped"]
    files = {path.name for path in Path("elsewhere").glob("*.jsonl")}
    assert files == set(shown["n_rows"])


def test_held_out_pairs_are_not_written_unasked(filled: Path) -> None:
    n = {s: sum(export("trl", "--split", s, "--json").document["n_rows"].values())
         for s in ("train", "test", "all")}  # fmt: skip
    assert N_PAIRS == n["all"] == n["train"] + n["test"]
    assert n["test"] > 0


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("excel",), 2, "no export 'excel'"),
        (("trl", "--split", "half"), 2, "no split 'half'"),
        (("trl", "--pairs", "nowhere"), 2, "no dataset of pairs"),
        ((), 2, "Missing argument"),
    ],
)
def test_what_is_not_there_is_said(
    filled: Path, args: tuple[str, ...], code: int, message: str
) -> None:
    said = loopllm("pairs", "export", *args)
    assert code == said.code
    assert message in said.err
    assert not Path(".loopllm/exports").exists() or not [*Path(".loopllm/exports").iterdir()]


def test_a_project_without_pairs_is_told_how_to_make_some(project_dir: Path) -> None:
    loopllm("ingest", str(write_jsonl(project_dir / "logs.jsonl", [flat_record(1)])), "-q")
    said = loopllm("pairs", "export", "trl")
    assert (2, True) == (said.code, "loopllm pairs" in said.err)


def test_a_folder_of_others_is_not_overwritten(filled: Path) -> None:
    theirs = filled / "theirs"
    theirs.mkdir()
    (theirs / "thesis.txt").write_text("years of work")
    said = loopllm("pairs", "export", "trl", "--out", str(theirs))
    assert 0 != said.code
    assert "no export of loopllm" in said.err
    assert ["thesis.txt"] == [path.name for path in theirs.iterdir()]


@pytest.mark.parametrize("tool", ["trl", "openai", "llamafactory"])
def test_an_export_that_is_ingested_again_gives_the_same_pairs(filled: Path, tool: str) -> None:
    export(tool, "--split", "all", "--out", "out")
    other = filled / "other"
    other.mkdir()
    files = [str(path) for path in sorted(Path("out").glob("*.jsonl"))]
    place = ("--project", str(other), "-q")
    said = loopllm("ingest", *files, *place)
    assert (0, "") == (said.code, said.err)
    assert 0 == loopllm("pairs", *place).code
    assert content_of(filled) == content_of(other)
    assert N_PAIRS == len(content_of(other))


def test_what_people_say_in_argilla_comes_back(filled: Path) -> None:
    """Records with submitted answers, as its API gives them, are read by `pairs import`."""
    export("argilla", "--split", "all", "--out", "out")
    records = json.loads(Path("out/records.json").read_text())
    for place, record in enumerate(records):
        value = ("response_a", "response_b")[place % 2]
        record["responses"] = [
            {"status": "submitted", "user_id": "ana", "values": {"preference": {"value": value}}}
        ]
    Path("answered.json").write_text(json.dumps(records))
    said = loopllm("pairs", "import", "answered.json", "--json")
    assert 0 == said.code, said.err
    assert (N_PAIRS, N_PAIRS, {}) == tuple(
        said.document[name] for name in ("n_records", "n_decisions", "skipped")
    )


def test_what_is_forgotten_goes_from_exports_too(filled: Path) -> None:
    export("trl", "--split", "all")
    (out,) = Path(".loopllm/exports").glob("*/trl")
    assert any("Parcel 3" in path.read_text() for path in out.glob("*.jsonl"))
    said = loopllm("forget", "--user", "u-3")
    assert 0 == said.code, said.err
    left = list(Path(".loopllm/exports").rglob("*.jsonl"))
    assert not any("Parcel 3" in path.read_text() for path in left)
