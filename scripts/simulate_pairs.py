"""How right the pairs are, on stores of votes whose truth is known.

    python -m scripts.simulate_pairs --runs 20 --items 1000
    python -m scripts.simulate_pairs --store --runs 1 --items 1000

Per world: pairs, precision (chosen side truly better) with Wilson's interval, yield (share of items
whose right pair is kept), leaks (held-out pairs that share prompt, user or conversation with the
training ones), AUC of the estimated reliability between honest and planted bad people, coverage of
the noise interval, and in how many runs the noise counted as known. With --store, records are
ingested into a store and read back by the command's own code, where people have pseudonyms, so that
there is no AUC; else they go straight to the rules.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from scipy.stats import mannwhitneyu

from loopllm_cli.config import Config, PairsConfig
from loopllm_cli.drift.intervals import wilson
from loopllm_cli.errors import NoFeedback
from loopllm_cli.loop.feedback import PairsRequest, make_pairs
from loopllm_cli.model import Agreement
from loopllm_cli.pairs.build import build_pairs
from loopllm_cli.pairs.untouched import Untouched
from loopllm_cli.sources.ingest import IngestOptions, ingest
from loopllm_cli.store.project import Project
from scripts.pair_worlds import WORLDS, Store, World, draw_store, to_evidence, to_records

Sides = tuple[str, str]
"""Chosen and rejected text."""


@dataclass(frozen=True)
class Made:
    """The pairs of one store as they came out, and what was found about its votes."""

    train: list[Sides]
    heldout: list[Sides]
    agreement: Agreement | None


@dataclass
class Outcome:
    """What became of stores of one world."""

    n_items: int = 0
    right: int = 0
    wrong: int = 0
    leaks: int = 0
    known: list[bool] = field(default_factory=list)
    covered: list[bool] = field(default_factory=list)
    noise: list[float] = field(default_factory=list)
    aucs: list[float] = field(default_factory=list)

    @property
    def precision(self) -> tuple[float, float, float]:
        """The share of pairs whose chosen side is truly better, with Wilson's 95% interval."""
        n = self.right + self.wrong
        if not n:
            return np.nan, np.nan, np.nan
        rate = np.array([self.right / n])
        low, high = wilson(rate, np.array([float(n)]), np.array([1.96]))
        return float(rate[0]), float(low[0]), float(high[0])

    @property
    def recovered(self) -> float:
        """The share of items whose right pair was kept."""
        return self.right / self.n_items

    def add(self, store: Store, made: Made) -> None:
        """Score one store's pairs against its truth."""
        truth = {(item.better, item.worse) for item in store.items}
        pairs = [*made.train, *made.heldout]
        right = sum(sides in truth for sides in pairs)
        self.n_items += len(store.items)
        self.right += right
        self.wrong += len(pairs) - right
        self.leaks += count_leaks(store, made)
        found = made.agreement
        self.known.append(found is not None and found.noise_high - found.noise_low <= 0.2)
        if found is not None and found.n_shared:
            self.noise.append(found.noise)
            self.covered.append(found.noise_low <= store.noise <= found.noise_high)
            self.aucs += _auc(store, found)


def _auc(store: Store, found: Agreement) -> list[float]:
    """Return how well reliability tells honest from bad people; nothing where all are honest."""
    bad = [a.reliability for a in found.annotators if a.annotator_id in store.bad]
    good = [a.reliability for a in found.annotators if a.annotator_id not in store.bad]
    if not bad or not good:
        return []
    return [float(mannwhitneyu(good, bad).statistic) / (len(good) * len(bad))]


def count_leaks(store: Store, made: Made) -> int:
    """Count held-out pairs that share prompt, user or conversation with a training pair."""
    traits = {}
    for item in store.items:
        prompt = " ".join(re.findall(r"\w+", item.prompt.lower()))
        of_item = {("prompt", prompt), ("user", item.user), ("talk", f"talk-{item.number}")}
        traits[frozenset((item.better, item.worse))] = of_item
    seen = set().union(*(traits[frozenset(sides)] for sides in made.train))
    return sum(not seen.isdisjoint(traits[frozenset(sides)]) for sides in made.heldout)


def from_evidence(store: Store, config: PairsConfig) -> Made:
    """Build pairs of evidence that never was on a disk."""
    built = build_pairs(to_evidence(store), config, Untouched())
    train, heldout = (
        [(pair.chosen, pair.rejected) for pair in pairs] for pairs in (built.train, built.heldout)
    )
    return Made(train, heldout, built.agreement)


def from_store(store: Store, config: PairsConfig) -> Made:
    """Ingest a store's records and build pairs of them, as the commands do."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        log.write_text("".join(json.dumps(record) + "\n" for record in to_records(store)))
        project = Project(Path(folder))
        ingest(project, [str(log)], IngestOptions())
        try:
            summary = make_pairs(project, Config(pairs=config), PairsRequest())
        except NoFeedback:
            return Made([], [], None)
        data = Path(summary.path) / "data"
        train, heldout = (_read_sides(data / f"{name}.parquet") for name in ("train", "test"))
        return Made(train, heldout, summary.agreement)


def _read_sides(path: Path) -> list[Sides]:
    rows = pq.read_table(path, columns=["chosen", "rejected"]).to_pylist()
    return [(row["chosen"][-1]["content"], row["rejected"][-1]["content"]) for row in rows]


def simulate(
    world: World, n_items: int, seeds: Iterable[int], config: PairsConfig, *, store: bool = False
) -> Outcome:
    """Draw stores of a world, one per seed, and score their pairs."""
    outcome = Outcome()
    for seed in seeds:
        drawn = draw_store(world, n_items, np.random.default_rng(seed))
        outcome.add(drawn, (from_store if store else from_evidence)(drawn, config))
    return outcome


def print_table(worlds: Sequence[World], arguments: argparse.Namespace) -> None:
    """Print a row per world."""
    config = PairsConfig(per_user=10_000, min_precision=arguments.min_precision)
    print("| world | pairs | precision | yield | leaks | AUC | noise | covered | known |")
    print("|---|---|---|---|---|---|---|---|---|")
    for world in worlds:
        seeds = range(arguments.seed, arguments.seed + arguments.runs)
        done = simulate(world, arguments.items, seeds, config, store=arguments.store)
        print(
            f"| {world.name} | {(done.right + done.wrong) / arguments.runs:,.0f} "
            f"| {_percent(*done.precision)} | {done.recovered:.0%} | {done.leaks} "
            f"| {_mean(done.aucs)} | {_mean(done.noise)} | {_mean(done.covered)} "
            f"| {_mean(done.known)} |",
            flush=True,
        )


def _percent(rate: float, low: float, high: float) -> str:
    return f"{rate:.1%} ({low:.1%} to {high:.1%})" if rate == rate else "–"


def _mean(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f}" if values else "–"


def main() -> None:
    """Parse the options and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", action="store_true")
    parser.add_argument("--only", default="", help="worlds whose name holds this")
    parser.add_argument("--min-precision", type=float, default=PairsConfig().min_precision)
    arguments = parser.parse_args()
    print_table([w for w in WORLDS if arguments.only in w.name], arguments)


if __name__ == "__main__":
    main()
