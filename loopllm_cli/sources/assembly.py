"""Put together the responses whose pieces came apart, for the groups that an ingest touched."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from loopllm_cli.sources.chunk import Batch, Decoder, part_digest
from loopllm_cli.sources.fields import read_stored
from loopllm_cli.sources.formats import all_formats
from loopllm_cli.store import tables
from loopllm_cli.store.project import Project

_BYTES_PER_PASS = 128 * 1024 * 1024
_COLUMNS = (
    "source_format, group_key, part_key, source_version, content_digest, content_json, "
    "source_path, source_line"
)
_Best = tuple[int, str, str, str, int]


def assembled(project: Project, decoder: Decoder, groups: set[int]) -> Iterator[Batch]:
    """Yield a batch per touched group, from all its parts that the store holds.

    The parts are read in several passes, so that memory holds a bounded share of them.

    Args:
        groups: the digests of the groups (see `part_digest`).
    """
    sized = tables.select(project.parts, "SELECT SUM(LENGTH(content_json)) AS n FROM rows")
    if sized is None or not groups:
        return
    n_passes = 1 + (sized.column("n").to_pylist()[0] or 0) // _BYTES_PER_PASS
    for turn in range(n_passes):
        wanted = {group for group in groups if group % n_passes == turn}
        for (name, group), parts in sorted(_read(project, wanted).items()):
            shape = next((f for f in all_formats() if f.name == name), None)
            if shape is None or shape.assemble is None:
                continue  # of a plug-in that is no longer installed
            best = [parts[key] for key in sorted(parts)]
            contents = [read_stored(part[2]) for part in best]
            yield decoder.assemble(shape, group, contents, best[-1][3:])


def _read(project: Project, wanted: set[int]) -> dict[tuple[str, str], dict[str, _Best]]:
    """Read the newest version of each part of some groups."""
    found: dict[tuple[str, str], dict[str, _Best]] = {}
    for batch in tables.iter_select(project.parts, f"SELECT {_COLUMNS} FROM rows"):
        if isinstance(batch, pa.Schema):
            continue
        names, keys = batch.column("source_format").to_pylist(), batch.column("group_key")
        for index, (name, group) in enumerate(zip(names, keys.to_pylist(), strict=True)):
            if part_digest(name, group) not in wanted:
                continue
            row = {c: batch.column(c)[index].as_py() for c in batch.schema.names}
            key = row["part_key"]
            parts = found.setdefault((name, group), {})
            best: _Best = (
                row["source_version"],
                row["content_digest"],
                row["content_json"],
                row["source_path"],
                row["source_line"] or 0,
            )
            if key not in parts or parts[key][:2] < best[:2]:
                parts[key] = best
    return found
