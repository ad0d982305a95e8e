"""Check every export of pairs with the tool that it is for, and print what the tools read.

For the sample world and for a log with tools: build the pairs, export them to every tool, read the
files with the tool's own loader in an environment of its own, and compare every text, call and
tool definition with the dataset. What `loopllm ingest` can read is read again too, and must give
the same pairs; what people answer in Argilla must come back as their decisions.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopllm_cli.config import Config, PairsConfig
from loopllm_cli.loop.exports import ExportRequest, export_pairs
from loopllm_cli.loop.feedback import PairsRequest, make_pairs
from loopllm_cli.loop.review_import import import_reviews
from loopllm_cli.model import ExportSummary, Pair
from loopllm_cli.pairs.build import build_pairs
from loopllm_cli.pairs.dataset.stored_rows import iter_rows
from loopllm_cli.pairs.evidence.from_store import read_evidence
from loopllm_cli.pairs.review.log import read_decisions
from loopllm_cli.pairs.untouched import Untouched
from loopllm_cli.sources.ingest import IngestOptions, ingest
from loopllm_cli.store.project import Project
from scripts.export_targets.environments import make_environment
from scripts.export_targets.tool_world import write_logs

SAMPLE = Path(__file__).parents[1] / "sample_data"
READERS = Path(__file__).parent / "export_targets" / "readers"
TOOLS = ("trl", "openai", "axolotl", "llamafactory", "argilla")
INGESTED = ("trl", "openai", "llamafactory", "argilla")
Plain = dict[str, Any]


@dataclass(frozen=True)
class World:
    """A project with a dataset of pairs."""

    name: str
    project: Project

    @property
    def dataset(self) -> Path:
        """The folder of its pairs."""
        home = self.project.home / "pairs"
        return home / (home / "latest").read_text()


def make_world(name: str, folder: Path) -> World:
    """Ingest a world's logs and votes, and build its pairs."""
    folder.mkdir()
    logs = [SAMPLE / "logs", SAMPLE / "feedback.jsonl.gz"]
    sources = logs if name == "sample world" else write_logs(folder)
    project = Project(folder)
    ingest(project, [str(source) for source in sources], IngestOptions())
    make_pairs(project, Config(), PairsRequest())
    return World(name, project)


def plain_rows(dataset: Path) -> Iterator[Plain]:
    """Lay the rows of a dataset out as the readers do."""
    for name in ("train", "test", "unpaired"):
        for row in iter_rows(dataset / "data" / f"{name}.parquet"):
            sides = [row[side] for side in ("chosen", "rejected", "completion") if side in row]
            yield {
                "prompt": [_said(message) for message in row["prompt"]],
                "sides": [[_said(message) for message in side] for side in sides],
                "label": row.get("label"),
                "tools": row.get("tools") or [],
            }


def compare(world: World, tool: str, read: dict[str, list[Plain]], made: ExportSummary) -> str:
    """Say whether a tool read each row as the dataset has it, in the dataset's order."""
    expected = [_marked(row, tool) for row in plain_rows(world.dataset)]
    if tool not in ("trl", "llamafactory"):
        expected = [row for row, of in zip(expected, plain_rows(world.dataset), strict=True)
                    if of["label"] is None]  # fmt: skip
    found = [_marked(row, tool) for name in made.n_rows for row in read.get(name, [])]
    if {name: len(rows) for name, rows in read.items() if rows} != made.n_rows:
        return "other rows than were written"
    if len(found) + sum(made.skipped.values()) != len(expected):
        return "rows lost"
    waiting = iter(expected)
    return "yes" if all(row in waiting for row in found) else "changed"


def _marked(row: Plain, tool: str) -> str:
    """Write a row so that equal ones are equal texts."""
    tools = [tool_.get("function", tool_) for tool_ in row["tools"]]
    sides = sorted(row["sides"]) if tool == "argilla" else row["sides"]
    return json.dumps({**row, "sides": sides, "tools": tools}, sort_keys=True)


def _said(message: Plain) -> list[Any]:
    calls = [call["function"] for call in message.get("tool_calls") or []]
    return [message["role"], message["content"], [[c["name"], c["arguments"]] for c in calls]]


def ingest_again(files: list[Path], folder: Path) -> list[Pair]:
    """Ingest exported files into an empty store and build the pairs, nothing left out."""
    project = Project(folder)
    ingest(project, [str(file) for file in files], IngestOptions())
    config = PairsConfig(heldout_share=0.0, per_user=10**6, per_prompt=1_000)
    built = build_pairs(read_evidence(project, "TRUE"), config, Untouched())
    return [*built.train, *built.heldout]


def same_pairs(pairs: list[Pair], exported: list[Plain]) -> str:
    """Say whether pairs are those that were exported, by prompt, texts and calls."""
    found = {_marked(_of_pair(pair), "") for pair in pairs}
    wanted = {_marked({**row, "label": None}, "") for row in exported if len(row["sides"]) == 2}
    return f"{len(found & wanted)} of {len(wanted)}" + ("" if found <= wanted else ", and others")


def _of_pair(pair: Pair) -> Plain:
    def side(text: str, calls: str | None) -> list[list[Any]]:
        made = {"role": "assistant", "content": text, "tool_calls": json.loads(calls or "[]")}
        return [_said(made)]

    return {
        "prompt": [_said(message) for message in pair.prompt],
        "sides": [side(pair.chosen, pair.chosen_calls), side(pair.rejected, pair.rejected_calls)],
        "label": None,
        "tools": json.loads(pair.tools or "[]"),
    }


def check(world: World, tool: str, python: Path, work: Path) -> list[str]:
    """Export to one tool, read it there, and return a row of the table."""
    out = work / f"{world.name} {tool}"
    made = export_pairs(world.project, ExportRequest(tool, None, out, "all"))
    answers = work / f"{world.name} answers"
    answers.mkdir(exist_ok=True)
    command = [str(python), str(READERS / f"read_{tool}.py"), str(out)]
    done = subprocess.run(
        [*command, str(answers)] if tool == "argilla" else command,
        capture_output=True, text=True, check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(work / f"cache {tool}"),
             "HF_DATASETS_CACHE": str(work / f"cache {tool} {world.name}")},
    )  # fmt: skip
    written, left = sum(made.n_rows.values()), sum(made.skipped.values())
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no word"])[-1]
        return [world.name, tool, "?", str(written), str(left), "0", reason[:80], ""]
    read = json.loads(done.stdout.strip().splitlines()[-1])
    n_read = sum(map(len, read["files"].values()))
    equal = compare(world, tool, read["files"], made)
    again = _again(world, tool, (out, answers), read["files"], work)
    return [world.name, tool, read["version"], str(written), str(left), str(n_read), equal, again]


def _again(
    world: World, tool: str, places: tuple[Path, Path], read: dict[str, list[Plain]], work: Path
) -> str:
    out, answers = places
    if tool == "argilla":
        return _answered(world, answers)
    if tool not in INGESTED:
        return ""
    files = [out / name for name in read if name.startswith("pairs")]
    pairs = ingest_again(files, work / f"{world.name} {tool} again")
    rows = [row for name, rows in read.items() if name.startswith("pairs") for row in rows]
    return same_pairs(pairs, [_functions(row) for row in rows])


def _functions(row: Plain) -> Plain:
    tools = [tool if "function" in tool or tool.get("type") else {"function": tool}
             for tool in row["tools"]]  # fmt: skip
    return {**row, "tools": tools}


def _answered(world: World, answers: Path) -> str:
    """Bring home what was answered, in both layouts; the second one holds nothing new."""
    first = import_reviews(world.project, (answers / "flat.json").read_bytes())
    second = import_reviews(world.project, (answers / "nested.json").read_bytes())
    n_given = len(json.loads((answers / "flat.json").read_text()))
    kept = len(read_decisions(world.project))
    known = f"{second.n_known} known again"
    return f"{first.n_decisions} of {n_given} answers, {known}, {kept} kept"


def main() -> int:
    """Print the table; end with 1 if any tool read anything else than was exported."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path, help="where the tools' environments are kept")
    parser.add_argument("--tools", nargs="+", default=TOOLS, choices=TOOLS)
    options = parser.parse_args()
    os.environ.setdefault("LOOPLLM_KEY", "the demo's users are invented")
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        kept = (options.environments or work / "environments").absolute()
        worlds = [make_world(name, work / name) for name in ("sample world", "log with tools")]
        print("| pairs of | tool | version | written | left out | read | equal | ingested again |")
        print("|---|---|---|---:|---:|---:|---|---|")
        failed = False
        for tool in options.tools:
            python, reason = make_environment(kept, tool)
            for world in worlds:
                row = ([world.name, tool, "not installed", "", "", "", reason, ""] if reason
                       else check(world, tool, python, work))  # fmt: skip
                failed |= row[6] != "yes"
                print(f"| {' | '.join(row)} |", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
