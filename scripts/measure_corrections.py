"""Repair several sample worlds with `correct --auto`, and ask each world's own truth.

    python -m scripts.measure_corrections --worlds 0 1 2 --seeds 0 1 2

A world is a pair of models of its own (weights, training order), with its traffic, answers and
feedback: world 0 is sample_data, the others are built. In each, the drift is found, pairs are
built, and adapters are trained with several seeds, with nobody naming a learning rate. Once per
world, one in five of the training pairs is exchanged, and once only those pairs are used whose
better answer a person wrote. Each adapter that the search kept goes through `verify`.

Printed are right answers to held-out prompts that no log holds (40 per intent), of the intents that
are broken without the adapter and of the others: mean (worst).
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scripts.project import ROOT, Project
from scripts.world import grammar
from scripts.world.build import build
from scripts.world.canaries import read_canaries
from scripts.world.decode import score

SAMPLE = ROOT / "sample_data"
RECIPE = ROOT / "configs" / "tiny.toml"
ENDS = {0: "passed", 11: "refused", 12: "inconclusive"}


@dataclass
class World(Project):
    """A built world and the project that watches it."""

    data: Path

    def prepare(self) -> None:
        """Run everything up to the pairs."""
        self.folder.mkdir(parents=True)
        self.run("ingest", str(self.data / "logs"), str(self.data / "feedback.jsonl.gz"))
        self.run("baseline", "create", "v1", "--until", "2026-09-21")
        self.run("drift", "--baseline", "v1")
        self.run("pairs", "--pairs-out", str(self.folder / "pairs"))
        _flip_one_in_five(self.folder / "pairs", self.folder / "pairs-flipped")
        only = RECIPE.read_text("utf-8").replace(
            "corrections_only = false", "corrections_only = true"
        )
        (self.folder / "only.toml").write_text(only, encoding="utf-8")

    def repair(self, name: str, seed: int, pairs: str, recipe: Path) -> dict[str, Any]:
        """Search for a rate, prove what the search kept, and ask the truth."""
        begun = time.monotonic()
        adapter = self.folder / name
        model = self.data / "models" / "v2"
        found: dict[str, Any] = {"seed": seed}
        code = self.run(
            *("correct", "--auto", "--seed", str(seed), "--model", str(model)),
            *("--recipe", str(recipe), "--pairs", str(self.folder / pairs)),
            *("--adapter-out", str(adapter)),
        )
        if code == 0:
            found["verify"] = ENDS[self.run("verify", str(adapter))]
            trained = tomllib.loads((adapter / "recipe.toml").read_text("utf-8"))
            found["learning_rate"] = trained["correct"]["learning_rate"]
            shares = score(model, adapter, read_canaries(self.data / "canaries.jsonl"))
            found["broken"] = [shares[intent] for intent in grammar.BROKEN]
            found["others"] = [s for intent, s in shares.items() if intent not in grammar.BROKEN]
        else:
            found["verify"] = {3: "pairs refused", 11: "no rate passed", 12: "too few prompts"}[
                code
            ]
        return {**found, "seconds": time.monotonic() - begun}


def _flip_one_in_five(source: Path, target: Path) -> None:
    """Copy a folder of pairs with every fifth training pair exchanged."""
    for file in source.rglob("*"):
        if file.is_file():
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    path = target / "data" / "train.parquet"
    table = pq.read_table(path)
    rows = [
        {**row, "chosen": row["rejected"], "rejected": row["chosen"]} if at % 5 == 0 else row
        for at, row in enumerate(table.to_pylist())
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every world and seed asked for and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folder", type=Path, help="keep worlds and projects here")
    parser.add_argument("--json-out", type=Path)
    asked = parser.parse_args(arguments)
    root = asked.folder or Path(tempfile.mkdtemp(prefix="corrections-"))
    print("| world | pairs | seed | rate | broken intents | others | verify |")
    print("|---|---|---|---|---|---|---|", flush=True)
    found = []
    for number in asked.worlds:
        data = SAMPLE if number == 0 else root / f"world-{number}"
        if not (data / "facts.json").exists():
            build(number, data)
        world = World(root / f"project-{number}", data)
        world.prepare()
        runs = [("all", seed, "pairs", RECIPE) for seed in asked.seeds]
        runs.append(("one in five flipped", asked.seeds[0], "pairs-flipped", RECIPE))
        runs.append(("corrections only", asked.seeds[0], "pairs", world.folder / "only.toml"))
        for label, seed, pairs, recipe in runs:
            name = f"{label.replace(' ', '-')}-{seed}"
            one = {"world": number, "pairs": label, **world.repair(name, seed, pairs, recipe)}
            found.append(one)
            shares = " | ".join(_mean_and_worst(one.get(key)) for key in ("broken", "others"))
            rate = f"{one['learning_rate']:g}" if "learning_rate" in one else "–"
            print(
                f"| {number} | {label} | {seed} | {rate} | {shares} | {one['verify']} |", flush=True
            )
            if asked.json_out:
                asked.json_out.write_text(json.dumps(found, indent=2), encoding="utf-8")


def _mean_and_worst(shares: list[float] | None) -> str:
    return f"{statistics.mean(shares):.1%} ({min(shares):.1%})" if shares else "–"


if __name__ == "__main__":
    main()
