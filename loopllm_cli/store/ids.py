"""Which ids are in a table now, also those that other writers have added meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import FileSystem, PyFileSystem

from loopllm_cli.errors import StoreUnavailable
from loopllm_cli.store import tables
from loopllm_cli.store.known import KnownIds, UInt64, hash_text
from loopllm_cli.store.locations import Location, explain

_BATCH_ROWS = 65_536


class TableIds:
    """The ids of one table, read file by file as files appear.

    Args:
        location: the table.
        key: the id's column.
        content: columns that together tell one version of a row from another.
    """

    def __init__(self, location: Location, key: str, content: tuple[str, ...]) -> None:
        self.location = location
        self.key = key
        self._content = content
        self._files: set[str] = set()
        self._table: DeltaTable | None = None
        self.known = KnownIds()

    def refresh(self) -> None:
        """Read the ids of files that have been added since the last look.

        Raises:
            StoreUnavailable: a file is missing or damaged.
        """
        self._table = table = tables.open_table(self.location)
        if table is None:
            return
        files = _files(table)
        for name in sorted(files - self._files):
            self._read(table, name)
        self._files |= files

    def append(
        self, rows: pa.Table, ids: UInt64, contents: UInt64, app_ids: Sequence[str] = ()
    ) -> None:
        """Append rows to the table as it was at the last look.

        Raises:
            Locked: another writer has written to it meanwhile.
            StoreUnavailable: the table cannot be written.
        """
        if self._table is None:
            tables.create(self.location, rows, app_ids=app_ids)
        else:
            tables.append(self.location, rows, app_ids=app_ids, table=self._table)
        self._took(ids, contents)

    def replace(self, rows: pa.Table, ids: UInt64, contents: UInt64) -> None:
        """Put rows in the place of those with their keys, as `append` appends."""
        tables.replace(self.location, rows, self.key, table=self._table)
        self._took(ids, contents)

    def _took(self, ids: UInt64, contents: UInt64) -> None:
        """Note rows that have just been written, so that their file need not be read."""
        if self._table is not None:
            self._files |= _files(self._table)
        self.known.add(ids, contents)

    def _read(self, table: DeltaTable, name: str) -> None:
        columns = [self.key, *self._content]
        try:
            with self._open(table, name) as file:
                present = [name for name in columns if name in file.schema_arrow.names]
                for batch in file.iter_batches(_BATCH_ROWS, columns=present, use_threads=False):
                    self.known.add(*digests(batch, self.key, self._content))
        except (OSError, pa.ArrowException) as error:
            raise StoreUnavailable(
                f"cannot read {name} of {self.location} ({explain(error)[0]})",
                "check the permissions; if files are missing, ingest the logs again elsewhere",
            ) from error

    def _open(self, table: DeltaTable, name: str) -> pq.ParquetFile:
        """Open a file on a disk, or through the engine's own access to an object store."""
        if isinstance(self.location, Path):
            return pq.ParquetFile(self.location / name)
        store: FileSystem = PyFileSystem(DeltaStorageHandler.from_table(table._table))
        return pq.ParquetFile(store.open_input_file(name))


def digests(
    rows: pa.RecordBatch | pa.Table, key: str, content: tuple[str, ...]
) -> tuple[UInt64, UInt64]:
    """Return the 64-bit digests of rows' ids, and of their contents together with their ids.

    Two ids whose digests are alike are told apart by the second digest.
    """
    names = rows.schema.names
    keys = rows.column(key).to_pylist()
    ids = np.fromiter(map(hash_text, keys), dtype=np.uint64, count=len(keys))
    values = [
        rows.column(name).to_pylist() if name in names else [None] * len(keys) for name in content
    ]
    said = (
        hash_text("\x1f".join(map(str, row)) + "\x1f") for row in zip(keys, *values, strict=True)
    )
    return ids, np.fromiter(said, dtype=np.uint64, count=len(keys))


def _files(table: DeltaTable) -> set[str]:
    """Return the names of a table's files; it has no partitions, so they lie in its folder."""
    return {uri.rsplit("/", 1)[-1] for uri in table.file_uris()}
