"""Whatever is damaged in an export: it decodes, is skipped with a reason, or is rejected with one.

Each example export in `sample_data/exports`, and each sample beside the checkout, is damaged at
random places and read as an ingest would read it, parts put together.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutation import Record, mutated

from loopllm_cli.sources.chunk import Batch, Decoder, Settings
from loopllm_cli.sources.containers import Chunk, iter_records
from loopllm_cli.sources.fields import read_stored
from loopllm_cli.sources.formats import format_by_name

ROOT = Path(__file__).parents[2]
EXPORTS = sorted(p for p in (ROOT / "sample_data" / "exports").iterdir() if p.suffix != ".toml")
SAMPLES = sorted(p for p in (ROOT.parent / "shared" / "samples").glob("*.*") if p.suffix != ".log")
SLOW_SECONDS = 60
DECODERS = {level: Decoder(Settings("test", redact=level, key=b"k")) for level in ("off", "basic")}


@cache
def records_of(path: Path) -> tuple[Record, ...]:
    """Return a file's records."""
    return tuple(iter_records(str(path)))


def check(records: Sequence[Record], rng: random.Random, level: str = "off") -> None:
    """Read records, and put together random subsets of their parts; nothing may raise."""
    decoder = DECODERS[level]
    items = [(number, record) for number, record in enumerate(records, 1)]
    batch = decoder.decode("a.jsonl", Chunk(1, items=items))
    assert all(reject.reason for reject in batch.rejects)
    assert all(batch.skipped)
    assert batch.n_skipped <= batch.skipped.total(), "a record gave nothing, and no reason"
    for (name, group), contents in _groups(batch).items():
        shape = format_by_name(name)
        for _ in range(2):
            subset = [content for content in contents if rng.random() < 0.7]
            decoder.assemble(shape, group, subset, ("a.jsonl", 1))


def _groups(batch: Batch) -> dict[tuple[str, str], list[Record]]:
    """Return the contents of a batch's parts by group, in order of their keys, each key once."""
    found: dict[tuple[str, str], dict[str, Record]] = defaultdict(dict)
    for part in batch.parts.to_pylist() if batch.parts is not None else []:
        group = part["source_format"], part["group_key"]
        found[group][part["part_key"]] = read_stored(part["content_json"])
    return {group: [parts[key] for key in sorted(parts)] for group, parts in found.items()}


@pytest.mark.parametrize("path", [*EXPORTS, *SAMPLES], ids=lambda path: path.name)
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(rng=st.randoms(use_true_random=False))
def test_a_damaged_export_is_read_or_refused_with_a_reason(path: Path, rng: random.Random) -> None:
    records = list(records_of(path))
    place = rng.randrange(len(records))
    records[place] = mutated(records[place], rng)
    # The neighbours are what the damaged record's parts are put together with.
    check(records[max(0, place - 2) : place + 3], rng)


@pytest.mark.slow
def test_damaged_exports_for_a_minute() -> None:
    """Another seed each time; it is printed where a record breaks a decoder."""
    seed = time.time_ns()
    rng = random.Random(seed)
    end = time.monotonic() + SLOW_SECONDS
    paths = [*EXPORTS, *SAMPLES]
    n_files = 0
    while time.monotonic() < end:
        records = [mutated(r, rng, 6) for r in records_of(rng.choice(paths)) if rng.random() < 0.9]
        try:
            check(records, rng, "basic" if n_files % 10 == 0 else "off")
        except Exception as error:
            pytest.fail(f"seed {seed}, file {n_files}: {error!r} in {records!r:.20000}")
        n_files += 1
    assert n_files > 30
