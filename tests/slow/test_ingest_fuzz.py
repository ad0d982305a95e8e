"""Minutes of damaged exports in every container: no crash, and every record is accounted for."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loopllm_cli.errors import LoopllmError
from loopllm_cli.model import IngestSummary
from loopllm_cli.sources import files
from loopllm_cli.sources import ingest as ingest_room
from loopllm_cli.sources.ingest import IngestOptions, ingest
from loopllm_cli.store import tables
from loopllm_cli.store.project import Project
from scripts.make_export_samples import FILES
from scripts.mixed_exports import write_exports
from tests.levels import mostly_long

pytestmark = pytest.mark.slow

Record = dict[str, Any]


def _lines(records: list[Record]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def _table(records: list[Record]) -> bytes:
    buffer = pa.BufferOutputStream()
    texts = [{key: json.dumps(value) for key, value in record.items()} for record in records]
    pq.write_table(pa.Table.from_pylist(texts), buffer)
    return bytes(buffer.getvalue().to_pybytes())


def _zstd(content: bytes) -> bytes:
    buffer = pa.BufferOutputStream()
    with pa.CompressedOutputStream(buffer, "zstd") as stream:
        stream.write(content)
    return bytes(buffer.getvalue().to_pybytes())


CONTAINERS: dict[str, Callable[[list[Record]], bytes]] = {
    "jsonl": _lines,
    "json": lambda records: json.dumps(records).encode(),
    "pretty.json": lambda records: json.dumps(records, indent=2).encode(),
    "page.json": lambda records: json.dumps({"data": records, "meta": {"page": 1}}).encode(),
    "glued.json": lambda records: b"".join(json.dumps([r]).encode() for r in records),
    "sse": lambda records: b"".join(b"data: " + json.dumps(r).encode() + b"\n\n" for r in records),
    "repr.jsonl": lambda records: "\n".join(map(str, records)).encode(),
    "utf16.jsonl": lambda records: _lines(records).decode().encode("utf-16"),
    "parquet": _table,
    "jsonl.gz": lambda records: gzip.compress(_lines(records)),
    "jsonl.zst": lambda records: _zstd(_lines(records)),
    "jsonl.bz2": lambda records: bz2.compress(_lines(records)),
    "jsonl.xz": lambda records: lzma.compress(_lines(records)),
}
VALUES = (
    *(None, True, -1, 0, 2**53 + 1, 2**70, 1e308, "", "x" * 5000, "1/2/2026", "[REDACTED]"),
    *([], {}, [[]], {"a": {"b": None}}, "\x00\x1b[31m\u202e", "{", '[{"role": "user"}]', "up"),
    *(["a", 1, None], {"role": "user", "content": []}, "2026-10-01T00:00:00Z", 1_790_000_000),
)


def changed(record: Record, rng: random.Random) -> Record:
    """Change one value, or name, somewhere in a record."""
    record = json.loads(json.dumps(record))
    place: Any = record
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return record
        key = rng.choice(keys)
        if isinstance(place[key], dict | list) and place[key] and rng.random() < 0.8:
            place = place[key]
            continue
        what = rng.randrange(4)
        if what == 0 and isinstance(place, dict):
            del place[key]
        elif what == 1 and isinstance(place, dict):
            place[rng.choice(("id", "type", "x", "messages", "data"))] = place.pop(key)
        elif what == 2:
            place[key] = [place[key]]
        else:
            place[key] = rng.choice(VALUES)
        return record


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Cut, repeat, flip or insert some bytes."""
    held = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at, n = rng.randrange(len(held) + 1), rng.choice((1, 1, 3, 40, 2000))
        what = rng.randrange(5)
        if what == 0:
            del held[at : at + n]
        elif what == 1:
            held[at:at] = held[at : at + n]
        elif what == 2:
            held[at:at] = bytes([rng.choice(b'"{}[]\n\\\x00,\xff')])
        elif what == 3 and at < len(held):
            held[at] ^= 1 << rng.randrange(8)
        else:
            del held[at:]
    return bytes(held)


def sources() -> list[tuple[str, list[Record]]]:
    """Return records of many tools."""
    found = []
    for name, (write, make) in FILES.items():
        records = make()[:12]
        found.append((name, records))
        assert write(records)
    with tempfile.TemporaryDirectory() as folder:
        for path in write_exports(Path(folder) / "exports", 30_000):
            text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            lines = json.loads(text) if path.suffix == ".json" else text.splitlines()[:12]
            records = [line if isinstance(line, dict) else json.loads(line) for line in lines[:12]]
            found.append((path.name, records))
    return found


def check(summary: IngestSummary, folder: Path) -> None:
    """Check that an account adds up, and that the store holds what it says."""
    assert summary.n_lines == sum(
        (
            *(summary.n_blank, summary.n_kept, summary.n_duplicates, summary.n_feedback),
            *(summary.n_feedback_duplicates, summary.n_parts, summary.n_skipped),
            summary.n_rejected,
        )
    )
    assert summary.n_rejected == sum(summary.rejected_by_reason.values())
    n_rows = 0
    for name, key in (("interactions", "interaction_id"), ("feedback", "feedback_id")):
        place = Project(folder).home / name
        found = tables.select(place, f"SELECT {key} AS id FROM rows")
        ids = found.column("id").to_pylist() if found is not None else []
        assert len(ids) == len(set(ids))
        n_rows += len(ids)
    assert n_rows >= summary.n_kept + summary.n_feedback


@pytest.mark.parametrize("seconds", mostly_long((60, 180), slow=(60,)))
def test_no_damage_crashes_ingest_and_all_is_accounted_for(
    monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    seed = 20261122
    rng = random.Random(seed)
    monkeypatch.setattr(ingest_room, "read_key", lambda project: bytes(32))
    records_of = sources()
    ended = time.monotonic() + seconds
    seen: Counter[str] = Counter()
    while time.monotonic() < ended:
        monkeypatch.setattr(files, "BLOCK_BYTES", rng.choice((997, 64 * 1024, 2 << 20)))
        monkeypatch.setattr(ingest_room, "COMMIT_BYTES", rng.choice((1, 1 << 16, 1 << 25)))
        name, records = rng.choice(records_of)
        container = rng.choice(list(CONTAINERS))
        if rng.random() < 0.6:
            records = [changed(r, rng) if rng.random() < 0.5 else r for r in records]
        try:
            content = CONTAINERS[container](records)
        except (pa.ArrowException, TypeError):
            continue  # what cannot be written in this container
        if rng.random() < 0.6:
            content = damaged(content, rng)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"logs.{container}"
            path.write_bytes(content)
            try:
                summary = ingest(
                    Project(Path(folder)), [str(path)], IngestOptions(max_reject_rate=1.0)
                )
                check(summary, Path(folder))
                seen["read"] += 1
            except LoopllmError as error:
                seen[type(error).__name__] += 1
            except BaseException:
                kept = Path(tempfile.gettempdir()) / f"fuzz-{name}.{container}"
                kept.write_bytes(content)
                print(f"seed {seed}, after {seen.total()} files: {kept}")
                raise
    print(dict(seen))
    assert seen["read"] > seen.total() * 0.5
    assert {"read", "UnknownFormat", "DataError", "EmptyInput", "TooManyBadRows"} >= set(seen)
