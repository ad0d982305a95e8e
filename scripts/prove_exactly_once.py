"""Prove that ingest stores each row once, whatever is killed, runs at once or runs full.

    python -m scripts.prove_exactly_once kills --megabytes 8 --times 180 --commit-kb 512
    python -m scripts.prove_exactly_once kills --megabytes 100 --times 20
    python -m scripts.prove_exactly_once at-once --megabytes 20
    python -m scripts.prove_exactly_once disk-full        (as root: it mounts a small file system)
    python -m scripts.prove_exactly_once memory --megabytes 1000

A store is compared with another one by all columns of its three tables but those that say when
and from where a row was read: `source_path`, `source_line` and `ingest_id`. The memory is that of
a Linux system's /proc.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from loopllm_cli.store import tables
from loopllm_cli.store.project import Project
from scripts.mixed_exports import write_exports

_ROOT = Path(__file__).parents[1]
_KEYS = {"interactions": "interaction_id", "feedback": "feedback_id", "parts": "content_digest"}
_READING = {"source_path", "source_line", "ingest_id"}
# What is small for the sake of a short proof is set from outside, not by an option for users.
_DRIVER = """
import loopllm_cli.sources.ingest as room
import loopllm_cli.sources.files as files
if {commit_bytes}:
    room.COMMIT_BYTES = {commit_bytes}
    files.BLOCK_BYTES = min(files.BLOCK_BYTES, {commit_bytes} // 2)
from loopllm_cli.app import main
main()
"""


def start(
    project: Path, paths: Sequence[Path], *more: str, commit_bytes: int = 0
) -> subprocess.Popen[bytes]:
    """Start an ingest into a project's folder, in a process group of its own."""
    asked = ["ingest", *map(str, paths), "--project", str(project), "-q", *more]
    return subprocess.Popen(
        [sys.executable, "-c", _DRIVER.format(commit_bytes=commit_bytes), *asked],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # One key, so that the pseudonyms of all projects are alike.
        env={**os.environ, "PYTHONPATH": str(_ROOT), "LOOPLLM_KEY": "a key of the proofs"},
    )


def finish(run: subprocess.Popen[bytes]) -> str:
    """Wait for an ingest that must succeed, and return what it said.

    Raises:
        SystemExit: it failed.
    """
    out, err = run.communicate()
    if run.returncode:
        raise SystemExit(f"ingest ended with {run.returncode}: {err.decode()[-2000:]}")
    return out.decode()


def contents(project: Path) -> dict[str, Counter[str]]:
    """Return what a store says: per table, the digest of each row and how often it is there."""
    said = {}
    for name in _KEYS:
        found: Counter[str] = Counter()
        columns: list[str] = []
        for batch in tables.iter_select(Project(project).home / name, "SELECT * FROM rows"):
            if isinstance(batch, pa.Schema):
                columns = [c for c in sorted(batch.names) if c not in _READING]
                continue
            values = [batch.column(c).to_pylist() for c in columns]
            for row in zip(*values, strict=True):
                known = [(c, v) for c, v in zip(columns, row, strict=True) if v is not None]
                found[hashlib.blake2b(repr(known).encode(), digest_size=12).hexdigest()] += 1
        said[name] = found
    return said


def n_doubled(project: Path) -> int:
    """Count the ids that stand more than once in a table."""
    n = 0
    for name, key in _KEYS.items():
        sql = f"SELECT {key} FROM rows GROUP BY {key} HAVING COUNT(*) > 1"
        found = tables.select(Project(project).home / name, sql)
        n += found.num_rows if found is not None else 0
    return n


@dataclass
class Kills:
    """What became of killed runs."""

    n: int = 0
    n_unlike: int = 0
    n_doubled: int = 0
    moments: Counter[str] = field(default_factory=Counter)
    n_rows: dict[str, int] = field(default_factory=dict)
    n_bytes: int = 0
    clean_s: float = 0.0

    def __str__(self) -> str:
        sizes = ", ".join(f"{n:,} {name}" for name, n in self.n_rows.items())
        when = ", ".join(f"{n} {name}" for name, n in self.moments.most_common())
        return (
            f"{self.n} kills over {self.n_bytes / 1e6:.1f} MB ({sizes}; undisturbed: "
            f"{self.clean_s:.1f} s): {self.n_unlike} stores unlike, {self.n_doubled} ids doubled; "
            f"killed {when}"
        )


def kill_many_times(
    folder: Path, n_bytes: int, n_times: int, *, seed: int = 0, commit_bytes: int = 0, jobs: int = 1
) -> Kills:
    """Kill an ingest at moments spread over its run, each time in a fresh store, and run it again.

    Raises:
        SystemExit: the second run failed.
    """
    paths = write_exports(folder / "exports", n_bytes)
    options = ("--jobs", str(jobs))
    begun = time.monotonic()
    finish(start(folder / "clean", paths, *options, commit_bytes=commit_bytes))
    seen = Kills(clean_s=time.monotonic() - begun, n_bytes=sum(p.stat().st_size for p in paths))
    expected = contents(folder / "clean")
    seen.n_rows = {name: found.total() for name, found in expected.items()}
    rng = random.Random(seed)
    n_commits = _n_commits(folder / "clean")
    for _ in range(n_times):
        project = folder / "killed"
        run = start(project, paths, *options, commit_bytes=commit_bytes)
        _wait(run, project, rng.uniform(0, n_commits), seen.clean_s)
        ended = run.poll() is not None
        if not ended:
            os.killpg(run.pid, 9)
        run.communicate()
        seen.moments[_moment(project, ended, seen.n_rows)] += 1
        finish(start(project, paths, *options, commit_bytes=commit_bytes))
        seen.n += 1
        seen.n_unlike += contents(project) != expected
        seen.n_doubled += n_doubled(project)
        shutil.rmtree(project)
        print(seen, file=sys.stderr, flush=True)  # a long proof that is stopped has said something
    return seen


def _n_commits(project: Path) -> int:
    return sum(1 for _ in Path(project).glob(".loopllm/*/_delta_log/*.json"))


def _wait(run: subprocess.Popen[bytes], project: Path, progress: float, clean_s: float) -> None:
    """Wait until so many commits are done, and then for the rest of a commit's time.

    Moments in seconds would all fall before the first commit where the machine is busy.
    """
    begun = time.monotonic()
    while _n_commits(project) < int(progress) and run.poll() is None:
        time.sleep(0.002)
    if progress < 1:
        time.sleep(progress * clean_s / 2)
    else:
        each_s = (time.monotonic() - begun) / int(progress)
        time.sleep(progress % 1 * each_s)


def _moment(project: Path, ended: bool, n_rows: dict[str, int]) -> str:
    if ended:
        return "after the end"
    stored = {name: n_of(project, name) for name in n_rows}
    if not any(stored.values()):
        return "before the first commit"
    return "between the last commits and the end" if stored == n_rows else "between commits"


def n_of(project: Path, table: str) -> int:
    """Count a table's rows."""
    found = tables.select(Project(project).home / table, "SELECT COUNT(*) AS n FROM rows")
    return int(found.column("n").to_pylist()[0]) if found is not None else 0


def at_once(folder: Path, n_bytes: int, n_runs: int = 8) -> tuple[bool, int, dict[str, int]]:
    """Run ingests of overlapping files at once.

    Returns:
        Whether the store is like that of one clean run, how many ids are doubled, its rows.
    """
    paths = write_exports(folder / "exports", n_bytes, conflicts=False)
    calls = paths[0].read_bytes().splitlines(keepends=True)
    cuts = []
    for number in range(n_runs):
        at = len(calls) * number // (n_runs + 1)
        cut = folder / f"cut-{number}.jsonl"
        cut.write_bytes(b"".join(calls[at : at + 2 * len(calls) // (n_runs + 1) + 1]))
        cuts.append(cut)
    finish(start(folder / "clean", [*cuts, *paths[1:]]))
    rng = random.Random(n_runs)
    shares = []
    for number, cut in enumerate(cuts):
        # Each has a cut of the calls and half of the rest; what belongs together comes apart.
        share = [cut, *(p for k, p in enumerate(paths[1:]) if (k + number) % 2)]
        rng.shuffle(share)
        shares.append(share)
    runs = [start(folder / "together", share, commit_bytes=1 << 19) for share in shares]
    for run in runs:
        finish(run)
    same = contents(folder / "together") == contents(folder / "clean")
    return same, n_doubled(folder / "together"), {n: n_of(folder / "together", n) for n in _KEYS}


@contextmanager
def small_disk(folder: Path, n_kb: int) -> Iterator[Path]:
    """Mount a small file system.

    Raises:
        PermissionError: that is not allowed here.
    """
    place = folder / "disk"
    place.mkdir()
    sized = ["mount", "-t", "tmpfs", "-o", f"size={n_kb}k", "tmpfs", str(place)]
    if subprocess.run(sized, capture_output=True, check=False).returncode:
        raise PermissionError("a file system cannot be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill_disk(folder: Path, n_bytes: int, disk_kb: int) -> tuple[int, str, dict[str, int], bool]:
    """Ingest onto a disk that is too small, then onto the same disk made larger.

    Returns:
        Exit code and message of the first run, the rows that a reader found after it, and
        whether the store is like that of a clean run in the end.
    """
    paths = write_exports(folder / "exports", n_bytes)
    finish(start(folder / "clean", paths))
    with small_disk(folder, disk_kb) as disk:
        run = start(disk, paths, commit_bytes=1 << 19)
        _, err = run.communicate()
        readable = {name: n_of(disk, name) for name in _KEYS}
        subprocess.run(["mount", "-o", "remount,size=2g", str(disk)], check=True)
        finish(start(disk, paths))
        same = contents(disk) == contents(folder / "clean") and not n_doubled(disk)
    return run.returncode, err.decode(), readable, same


def peak_bytes(project: Path, path: Path, jobs: int) -> tuple[int, int, float]:
    """Ingest a file.

    Returns:
        The largest sum of the memory of all its processes, its exit code, and seconds.
    """
    begun, peak = time.monotonic(), 0
    run = start(project, [path], "--jobs", str(jobs), "--max-reject-rate", "1.0")
    while run.poll() is None:
        peak = max(peak, sum(map(_resident_bytes, _tree(run.pid))))
        time.sleep(0.02)
    run.communicate()
    return peak, run.returncode, time.monotonic() - begun


def _tree(pid: int) -> list[int]:
    found = [pid]
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += _tree(int(child))
    except OSError:
        pass  # it has just ended
    return found


def _resident_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def main() -> None:
    """Run one proof as the command line asks, and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("proof", choices=["kills", "at-once", "disk-full", "memory"])
    parser.add_argument("--megabytes", type=float, default=8)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--commit-kb", type=int, default=0, help="0: as users have it")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    n_bytes = int(asked.megabytes * 1e6)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if asked.proof == "kills":
            seen = kill_many_times(
                folder,
                n_bytes,
                asked.times,
                seed=asked.seed,
                commit_bytes=asked.commit_kb * 1024,
                jobs=asked.jobs,
            )
            print(seen)
        elif asked.proof == "at-once":
            same, doubled, rows = at_once(folder, n_bytes)
            print(f"8 runs at once: like a clean run: {same}; ids doubled: {doubled}; {rows}")
        elif asked.proof == "disk-full":
            code, said, readable, same = fill_disk(folder, n_bytes, 3000)
            print(f"exit {code}, {said.strip()!r}; readable then: {readable}; same later: {same}")
        else:
            _print_memory(folder, n_bytes)


def _print_memory(folder: Path, n_bytes: int) -> None:
    from scripts.large_files import LARGE_FILES

    for what, write in LARGE_FILES.items():
        path = folder / what.replace(" ", "-")
        write(path, n_bytes)
        for jobs in (1, 2):
            peak, code, seconds = peak_bytes(folder / f"store-{jobs}", path, jobs)
            size = f"{path.stat().st_size / 1e6:.0f} MB"
            print(f"{what}, {size}, {jobs} jobs: {peak / 1e6:.0f} MB, {seconds:.0f} s, exit {code}")
            shutil.rmtree(folder / f"store-{jobs}")
        path.unlink()


if __name__ == "__main__":
    main()
