"""Measure the audit of pairs: how often it blames good sets, and how often it finds planted faults.

    python -m scripts.simulate_audit alarms   good sets: random subsets of the sample world's pairs
    python -m scripts.simulate_audit power    every fault at several strengths
    python -m scripts.simulate_audit card     the sample world's own audit, as in the data card

Each prints Markdown. Pairs, drift run and baseline are made anew from sample_data, as a user would.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from loopllm_cli.config import Config, PairsConfig
from loopllm_cli.loop.audit import context_of, references_of
from loopllm_cli.loop.records import latest_drift_run
from loopllm_cli.model import Finding, PairsSummary, Severity
from loopllm_cli.pairs.audit import CHECKS, AuditContext, audit_pairs
from loopllm_cli.pairs.audit.card import card_lines
from loopllm_cli.pairs.audit.context import Case
from loopllm_cli.pairs.build import BuiltPairs
from loopllm_cli.profiles.baseline import read_baseline
from loopllm_cli.store.project import Project
from scripts.audit_faults import FAULTS
from scripts.sample_pairs import make_sample, read_built

BEGIN, END = "<!-- the sample world's data card -->", "<!-- end of the data card -->"
"""Between these, a page holds what `card` prints."""

SIZES = (30, 60, 120, 0)
"""Training pairs of a subset; 0 takes all."""


@dataclass(frozen=True)
class World:
    """The sample world's pairs, and what an audit knows of them."""

    built: BuiltPairs
    summary: PairsSummary
    context: AuditContext

    def audit(self, built: BuiltPairs) -> tuple[Finding, ...]:
        """Audit a set that was made of this world's pairs."""
        return audit_pairs(built, self.context, PairsConfig())

    def case(self, built: BuiltPairs) -> Case:
        """Bring a set of this world's pairs before single checks."""
        return Case(built, self.context, PairsConfig())

    def subset(self, n: int, rng: random.Random) -> BuiltPairs:
        """Draw some of the training pairs, and of liked answers and of drops in proportion."""
        train, kept = self.built.train, self.built.retention
        n = min(n or len(train), len(train))
        part = n / len(train)
        dropped = Counter(
            {
                why: sum(rng.random() < part for _ in range(k))
                for why, k in self.built.dropped.items()
            }
        )
        return replace(
            self.built,
            train=rng.sample(train, n),
            retention=rng.sample(kept, round(len(kept) * part)),
            dropped=dropped,
        )


def load_world(folder: Path) -> World:
    """Make the sample world's pairs in a new project."""
    summary = make_sample(folder)
    built = read_built(Path(summary.path))
    project = Project(folder)
    run = latest_drift_run(project)
    assert run is not None
    context = context_of(project, Config(), run, read_baseline(project, run.baseline_name))
    hashes = [pair.context_hash for pair in (*built.train, *built.heldout)]
    return World(built, summary, replace(context, references=references_of(project, hashes)))


def alarms(world: World, n_runs: int) -> Iterator[str]:
    """Tabulate how often good sets are blamed."""
    yield "| pairs | sets | any fail | any warn | by finding |"
    yield "| ---: | ---: | ---: | ---: | --- |"
    for size in SIZES:
        rng = random.Random(size)
        runs = n_runs if size else 1
        loud: Counter[tuple[str, str]] = Counter()
        worst: Counter[Severity] = Counter()
        n = len(world.subset(size, rng).train)
        for _ in range(runs):
            found = world.audit(world.subset(size, rng))
            loud.update((f.name, f.severity.value) for f in found if f.severity is not Severity.OK)
            worst.update({f.severity for f in found})
        named = ", ".join(f"{name} {100 * k / runs:.1f}%" for (name, _), k in loud.most_common())
        fail, warn = (100 * worst[s] / runs for s in (Severity.FAIL, Severity.WARN))
        yield f"| {n} | {runs:,} | {fail:.1f}% | {warn:.1f}% | {named or 'none'} |"


def power(world: World, n_runs: int) -> Iterator[str]:
    """Tabulate how often planted faults are found."""
    yield "| fault | finding | strength | 60 pairs: warn, fail | all pairs: warn, fail |"
    yield "| --- | --- | ---: | ---: | ---: |"
    owners = {f.name: check for check in CHECKS for f in check(world.case(world.built))}
    for name, fault in FAULTS.items():
        checks = {owners[one] for one in fault.findings}
        for strength in fault.strengths:
            cells = []
            for size in (60, 0):
                rng = random.Random(f"{name} {strength} {size}")
                found: Counter[Severity] = Counter()
                for _ in range(n_runs):
                    spoiled = fault.plant(world.subset(size, rng), strength, rng)
                    case = world.case(spoiled)
                    seen = [one for check in checks for one in check(case)]
                    found[_worst(seen, fault.findings)] += 1
                fail = 100 * found[Severity.FAIL] / n_runs
                warn = 100 * found[Severity.WARN] / n_runs
                cells.append(f"{warn:.0f}%, {fail:.0f}%")
            shown = ", ".join(fault.findings)
            yield f"| {name} | {shown} | {strength:.0%} | {' | '.join(cells)} |"


def _worst(found: Sequence[Finding], names: tuple[str, ...]) -> Severity:
    said = {one.severity for one in found if one.name in names}
    return next((s for s in (Severity.FAIL, Severity.WARN) if s in said), Severity.OK)


def card(world: World) -> Iterator[str]:
    """Print what the sample world's own data card says."""
    yield from card_lines(world.summary)


def main() -> None:
    """Run the command given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("alarms", "power", "card"))
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--write", type=Path, help="a page whose data card is to be replaced")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        world = load_world(Path(folder))
        lines = {
            "alarms": lambda: alarms(world, given.runs),
            "power": lambda: power(world, given.runs),
            "card": lambda: card(world),
        }[given.what]()
        said = []
        for line in lines:
            print(line, flush=True)
            said.append(line)
    if given.write:
        _write_into(given.write, "\n".join(said).strip())


def _write_into(page: Path, text: str) -> None:
    """Replace what a page holds between the marks."""
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
