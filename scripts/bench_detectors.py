"""Drift detectors side by side on clean, clustered, shifted and really drifted windows.

    python -m scripts.bench_detectors --make-environments ENVS
    python -m scripts.bench_detectors --environments ENVS --runs 200
    python -m scripts.bench_detectors --environments ENVS --parts mix --peers evidently
    python -m scripts.bench_detectors --environments ENVS --verify
    python -m scripts.bench_detectors --parts null,clusters,mix,power --write-docs

Every tool runs in an environment and a process of its own and sees the same windows. Findings are
kept in one file per part (--results): a further call adds what is missing, so a run may be
stopped, and parts may run side by side. A peer without an environment is reported as not run.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import math
import re
import sys
import tempfile
import time
from pathlib import Path

from scripts.detectors.draws import PARTS, Cell, list_cells
from scripts.detectors.environments import make_environments
from scripts.detectors.public import read_pool
from scripts.detectors.results import Results, hash_of_ours
from scripts.detectors.tables import WRITERS, write_costs
from scripts.detectors.tools import OURS, PEERS, TOOLS, Tool, python_of

DOCS = Path(__file__).parents[1] / "docs" / "side-by-side.md"
SLOW_SHARE = 4
N_VERIFIED = 12


def run_part(results: Results, cells: list[Cell], tools: list[Tool], n_runs: int) -> None:
    """Add the findings that are missing, cell by cell, and keep them after each cell."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "windows.npz"
        for cell in cells:
            started = time.perf_counter()
            for run in range(n_runs * cell.runs):
                wanted = {t.name: _missing(results, cell, t, (run, n_runs)) for t in tools}
                if not any(wanted.values()):
                    continue
                cell.windows(run).save(path)
                for tool in tools:
                    if wanted[tool.name]:
                        found = tool.judge(path, wanted[tool.name])
                        for method, finding in found.items():
                            results.add(cell.key, f"{tool.name}: {method}", run, finding)
            results.write()
            took = time.perf_counter() - started
            print(f"{cell.key}: {took:.0f} s", file=sys.stderr, flush=True)


def _missing(results: Results, cell: Cell, tool: Tool, at: tuple[int, int]) -> list[str]:
    """Name the tool's methods that a run of a cell lacks."""
    run, n_runs = at
    kept = []
    for method in tool.methods:
        most = math.ceil(n_runs / SLOW_SHARE) if method in tool.slow else n_runs
        lacks_texts = method in tool.answers_only and not cell.has_texts
        if run >= most * cell.runs or lacks_texts:
            continue
        if not results.has(cell.key, f"{tool.name}: {method}", run):
            kept.append(method)
    return kept


def start_tools(
    stack: contextlib.ExitStack, names: list[str], environments: Path, folder: Path
) -> tuple[list[Tool], dict[str, str]]:
    """Start the tools that can be; return the others with the reason."""
    tools, absent = [], {}
    for name in names:
        python = python_of(name, environments)
        if python is None:
            absent[name] = "no environment"
            continue
        try:
            # Before it starts: the code may be changed while the benchmark runs.
            code = hash_of_ours() if name == OURS else ""
            tool = stack.enter_context(Tool(name, python, folder / f"{name}.log"))
            tool.version = f"{tool.version} {code}".strip()
            tools.append(tool)
        except RuntimeError as problem:
            absent[name] = str(problem)
    return tools, absent


def verify(cells: list[Cell], environments: Path) -> int:
    """Compare Evidently's direct calls with its report; return the number that differ."""
    import subprocess

    python = python_of("evidently", environments)
    if python is None:
        raise SystemExit("verify needs Evidently's environment: --make-environments")
    code = (
        "import sys, warnings; warnings.simplefilter('ignore')\n"
        "from pathlib import Path\n"
        "from scripts.detectors.peers.evidently import verify\n"
        "from scripts.detectors.windows import load_windows\n"
        "print(verify(load_windows(Path(sys.argv[1]))) or 'same')"
    )
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for i in range(N_VERIFIED):
            cell = cells[i % len(cells)]
            path = Path(folder) / "windows.npz"
            cell.windows(i).save(path)
            asked = [str(python), "-c", code, str(path)]
            done = subprocess.run(
                asked, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]
            )
            said = done.stdout.strip().splitlines()[-1]
            wrong += said != "same"
            print(f"{cell.key}, run {i}: {said}", flush=True)
    print(f"{N_VERIFIED - wrong} of {N_VERIFIED} windows the same as the report")
    return wrong


def write_part(part: str, results: Results, cells: list[Cell]) -> str:
    """Write a part's tables with versions and date."""
    versions = ", ".join(f"{name} {v}" for name, v in sorted(results.versions.items()))
    day = datetime.datetime.now(datetime.UTC).date()
    return "\n\n".join((f"{day}; {versions}.", WRITERS[part](results, cells), write_costs(results)))


def into_docs(part: str, text: str, page: Path = DOCS) -> None:
    """Put a part's tables between its markers in the page.

    Raises:
        ValueError: the page has no such markers.
    """
    begin, end = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
    old = page.read_text("utf-8")
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(old):
        raise ValueError(f"{page.name} has no {begin}")
    new = pattern.sub(lambda _: f"{begin}\n\n{text}\n\n{end}", old)
    page.write_text(new, "utf-8")


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=0, help="runs per cell (0: tables only)")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--cells", default="", help="run only cells whose name contains this")
    parser.add_argument("--peers", default=",".join(TOOLS), help="tools to run")
    parser.add_argument("--environments", type=Path, default=Path(".detectors"))
    parser.add_argument("--make-environments", type=Path, metavar="DIR")
    parser.add_argument("--results", type=Path, default=Path(".detectors") / "results")
    parser.add_argument("--fresh", default="", help="tools whose findings are made anew")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into the page")
    parser.add_argument("--verify", action="store_true", help="check Evidently against its report")
    return parser.parse_args()


def main() -> int:
    """Make environments, verify, or run parts and print their tables."""
    asked = _read_arguments()
    if asked.make_environments:
        failures = make_environments(asked.make_environments)
        for peer in PEERS:
            print(f"{peer}: {failures.get(peer, 'ready')}")
        return bool(failures)
    asked.results.mkdir(parents=True, exist_ok=True)
    pool = read_pool(asked.results)
    if asked.verify:
        return verify(list_cells(pool, ("null", "mix")), asked.environments) > 0
    names = [n for n in asked.peers.split(",") if n]
    with contextlib.ExitStack() as stack:
        tools, absent = [], {}
        if asked.runs:
            tools, absent = start_tools(stack, names, asked.environments, asked.results)
        for part in asked.parts.split(","):
            cells = list_cells(pool, (part,))
            results = Results.read(asked.results / f"{part}.json")
            for tool in (t for t in asked.fresh.split(",") if t):
                results.drop(tool)
            for tool in tools:
                results.settle(tool.name, tool.version)
            if tools:
                chosen = [c for c in cells if asked.cells in c.key]
                run_part(results, chosen, tools, asked.runs)
            text = write_part(part, results, cells)
            print(f"\n## {part}\n\n{text}")
            if asked.write_docs:
                into_docs(part, text)
    for name, reason in absent.items():
        print(f"\nnot run: {name} ({reason})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
