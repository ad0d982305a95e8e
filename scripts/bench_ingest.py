"""Measure `loopllm ingest` beside other ways to turn JSON Lines into Parquet, in one run.

    python -m scripts.bench_ingest --megabytes 100 --rounds 3

Every candidate is a process of its own, and rounds are interleaved (A B C A B C ...), so that a
busy machine is busy for all. Printed are medians of CPU seconds (user and system, all processes),
wall time and peak memory, and CPU as a ratio to the first candidate. The peers read a clean file,
because a single broken line stops most of them; they neither check, hash, mask nor de-duplicate.
Peers that are not installed are left out (pip install duckdb polars pysimdjson).
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.bench_logs import SHAPES, write_logs

POLL_S = 0.02


@dataclass(frozen=True)
class Figure:
    """What one process took."""

    cpu_s: float
    wall_s: float
    rss_mb: float


def parse_only(source: Path, out: Path) -> None:
    """Parse every line with simdjson: the floor of reading."""
    import simdjson

    parser = simdjson.Parser()
    with source.open("rb") as stream:
        for line in stream:
            parser.parse(line)


def write_only(source: Path, out: Path) -> None:
    """Write the lines as one column of zstd Parquet: the floor of writing."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    lines = source.read_bytes().split(b"\n")
    table = pa.table({"line": pa.array(lines, pa.binary())})
    pq.write_table(table, out / "x.parquet", compression="zstd", compression_level=1)


def orjson_loop(source: Path, out: Path) -> None:
    """Parse with orjson, gather columns, write Parquet."""
    import orjson
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None
    with source.open("rb") as stream:
        while lines := stream.readlines(8 << 20):
            table = pa.Table.from_pylist([orjson.loads(line) for line in lines])
            writer = writer or pq.ParquetWriter(
                out / "x.parquet", table.schema, compression="zstd", compression_level=1
            )
            writer.write_table(table)
    if writer:
        writer.close()


def pandas_chunks(source: Path, out: Path) -> None:
    """Read with pandas in chunks, write Parquet."""
    import pandas

    for number, frame in enumerate(pandas.read_json(source, lines=True, chunksize=10_000)):
        frame.to_parquet(out / f"{number}.parquet", compression="zstd")


def datasets_json(source: Path, out: Path) -> None:
    """Read with Hugging Face datasets, write Parquet."""
    from datasets import load_dataset

    loaded = load_dataset("json", data_files=str(source), cache_dir=str(out), split="train")
    loaded.to_parquet(out / "x.parquet")


def duckdb_json(source: Path, out: Path) -> None:
    """Read with DuckDB, write Parquet."""
    import duckdb

    duckdb.sql(
        f"COPY (SELECT * FROM read_json('{source}', format='newline_delimited')) "
        f"TO '{out}/x.parquet' (FORMAT parquet, COMPRESSION zstd)"
    )


def polars_json(source: Path, out: Path) -> None:
    """Read with Polars, write Parquet."""
    import polars

    polars.scan_ndjson(source).sink_parquet(out / "x.parquet", compression="zstd")


def ingest(*options: str) -> Callable[[Path, Path], None]:
    """Return a run of `loopllm ingest` with some options."""

    def run(source: Path, out: Path) -> None:
        from loopllm_cli.app import app

        arguments = ["ingest", str(source), "--project", str(out), "-q", *options]
        app(arguments, standalone_mode=False)

    return run


CANDIDATES: dict[str, tuple[Callable[[Path, Path], None], str | None]] = {
    "loopllm, 1 process": (ingest("--jobs", "1"), None),
    "loopllm, 2 processes": (ingest("--jobs", "2"), None),
    "loopllm, nothing masked": (ingest("--jobs", "1", "--redact", "off"), None),
    "parse only (simdjson)": (parse_only, "simdjson"),
    "write only (zstd Parquet)": (write_only, None),
    "orjson loop": (orjson_loop, None),
    "pandas": (pandas_chunks, None),
    "datasets": (datasets_json, "datasets"),
    "DuckDB": (duckdb_json, "duckdb"),
    "Polars": (polars_json, "polars"),
}


def measure(name: str, source: Path) -> Figure:
    """Run one candidate in a fresh process and an empty folder."""
    out = Path(tempfile.mkdtemp(prefix="bench-"))
    command = [sys.executable, "-m", "scripts.bench_ingest", "--run", name, str(source), str(out)]
    begun = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = _watch_memory(process.pid)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    shutil.rmtree(out, ignore_errors=True)
    if process.returncode:
        raise SystemExit(f"{name} failed with {process.returncode}")
    return Figure(usage.ru_utime + usage.ru_stime, wall, max(peak(), usage.ru_maxrss / 1024))


def _watch_memory(pid: int) -> Callable[[], float]:
    """Watch the memory of a process and its children; call the result for the peak in MB."""
    if importlib.util.find_spec("psutil") is None:
        return lambda: 0.0
    import psutil

    peak = 0.0
    root = psutil.Process(pid)

    def watch() -> None:
        nonlocal peak
        while True:
            try:
                tree = [root, *root.children(recursive=True)]
                peak = max(peak, sum(p.memory_info().rss for p in tree) / 2**20)
            except psutil.Error:
                return
            if root.status() == psutil.STATUS_ZOMBIE:
                return
            time.sleep(POLL_S)

    threading.Thread(target=watch, daemon=True).start()
    return lambda: peak


def report(figures: dict[str, list[Figure]], n_bytes: int) -> None:
    """Print a Markdown table of medians."""
    print("| candidate | CPU s | MB per CPU s | wall s | peak MB | CPU ratio |")
    print("|---|---|---|---|---|---|")
    first = None
    for name, taken in figures.items():
        cpu = statistics.median(f.cpu_s for f in taken)
        wall = statistics.median(f.wall_s for f in taken)
        rss = statistics.median(f.rss_mb for f in taken)
        first = first or cpu
        rate = n_bytes / 1e6 / cpu
        print(f"| {name} | {cpu:.1f} | {rate:.0f} | {wall:.1f} | {rss:.0f} | {cpu / first:.2f} |")


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark, or one candidate in this process."""
    if arguments[:1] == ["--run"]:
        name, source, out = arguments[1:]
        CANDIDATES[name][0](Path(source), Path(out))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=sorted(SHAPES), default="openai")
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="candidates whose names hold one of these")
    asked = parser.parse_args(arguments)
    names = [
        name
        for name, (_, package) in CANDIDATES.items()
        if (package is None or importlib.util.find_spec(package))
        and (not asked.only or any(word in name for word in asked.only))
    ]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "logs.jsonl"
        n_lines = write_logs(source, asked.shape, int(asked.megabytes * 1e6), clean=True)
        n_bytes = source.stat().st_size
        print(f"{asked.shape}: {n_lines:,} records, {n_bytes / 1e6:.0f} MB, n = {asked.rounds}\n")
        figures: dict[str, list[Figure]] = {name: [] for name in names}
        for _ in range(asked.rounds):
            for name in names:
                figures[name].append(measure(name, source))
        report(figures, n_bytes)


if __name__ == "__main__":
    main(sys.argv[1:])
