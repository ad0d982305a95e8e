"""Keep the tables fit: many small files become few, and files that no version needs any more go.

Every commit adds a file, and reading opens them all. Both steps are Delta's own; a reader that
began before finds its files for another week.
"""

from __future__ import annotations

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import DeltaError

from loopllm_cli.model import TableUpkeep, Upkeep
from loopllm_cli.store import tables
from loopllm_cli.store.locations import Location
from loopllm_cli.store.project import Project

SMALL_BYTES = 16 * 1024 * 1024
FEWEST_SMALL = 16
"""So many small files are worth a rewrite: two weeks of nights, at 20 ms less per question."""
TARGET_BYTES = 128 * 1024 * 1024
KEEP_HOURS = 7 * 24
"""Delta's own default: no reader and no time travel of the last week loses its files."""


def keep_up(project: Project, lock_wait_s: float, *, dry_run: bool = False) -> Upkeep:
    """Put small files together and remove old ones, in every table that there is.

    Args:
        dry_run: only say what would be done.

    Raises:
        Locked: another process kept writing.
        StoreUnavailable: a table cannot be read or written.
    """
    places = {
        "responses": project.interactions,
        "feedback": project.feedback,
        "parts": project.parts,
    }
    with project.writing(lock_wait_s):
        found = [_keep_up(name, place, dry_run) for name, place in places.items()]
    return Upkeep(tuple(one for one in found if one is not None), dry_run)


def _keep_up(name: str, place: Location, dry_run: bool) -> TableUpkeep | None:
    table = tables.open_table(place)
    if table is None:
        return None
    before = len(table.file_uris())
    n_small = _n_small(table)
    worth_it = n_small >= FEWEST_SMALL
    try:
        if worth_it and not dry_run:
            mark = CommitProperties(app_transactions=[tables.MARK])
            table.optimize.compact(target_size=TARGET_BYTES, commit_properties=mark)
        removed = table.vacuum(KEEP_HOURS, dry_run=dry_run)
        if removed and not dry_run:
            table.create_checkpoint()
    except (DeltaError, OSError) as error:
        raise tables.unwritable(place, error) from error
    return TableUpkeep(
        name, before, len(table.file_uris()), n_small if worth_it else 0, len(removed)
    )


def _n_small(table: DeltaTable) -> int:
    sizes = pa.chunked_array(table.get_add_actions(flatten=True).column("size_bytes"))
    return sum(size < SMALL_BYTES for size in sizes.to_pylist())
