"""Read from and write to the Delta tables.

Delta Lake gives atomic commits (a killed writer leaves no half commit) and plain Parquet files
that Spark, DuckDB, Polars or pandas open as they are, on a disk or in an object store.

Source: https://delta-io.github.io/delta-rs/
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import (
    CommitProperties,
    DeltaTable,
    QueryBuilder,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from loopllm_cli.errors import ConfigError, Locked, StoreUnavailable
from loopllm_cli.store.arrays import arrow_column
from loopllm_cli.store.locations import Location as Location
from loopllm_cli.store.locations import explain

# Every commit carries this mark: of two that build on the same version, the later one fails.
MARK = Transaction("loopllm.writer", 1)
_WRITER = WriterProperties(compression="ZSTD", compression_level=1, max_row_group_size=65_536)


def uri_of(location: Location) -> str:
    """Return a location in the form that the engine takes."""
    return str(location.absolute()) if isinstance(location, Path) else location


def open_table(location: Location) -> DeltaTable | None:
    """Open a table, or return None where none has been written yet.

    Raises:
        StoreUnavailable: the table is there but cannot be read.
    """
    try:
        return DeltaTable(uri_of(location))
    except TableNotFoundError:
        return None
    except (DeltaError, OSError) as error:
        raise _unreadable(location, error) from error


def create(location: Location, rows: pa.Table, *, app_ids: Sequence[str] = ()) -> None:
    """Make a table of some rows, in one atomic commit.

    Args:
        app_ids: see `append`.

    Raises:
        Locked: another writer has made it meanwhile.
        StoreUnavailable: the disk is full or the table cannot be written.
    """
    try:
        write_deltalake(
            uri_of(location),
            rows,
            mode="error",
            writer_properties=_WRITER,
            # With retries, the engine lets a second creation follow upon the first.
            commit_properties=CommitProperties(
                app_transactions=_marks(app_ids), max_commit_retries=0
            ),
        )
    except (DeltaError, OSError) as error:
        raise unwritable(location, error) from error


def create_empty(location: Location, description: str) -> None:
    """Make a table that says something and holds nothing, unless there is one.

    Of several writers at once, one makes it and the others find it.

    Raises:
        StoreUnavailable: the table cannot be written.
    """
    try:
        DeltaTable.create(
            uri_of(location),
            pa.schema([("nothing", pa.bool_())]),
            mode="error",
            description=description,
            commit_properties=CommitProperties(max_commit_retries=0),
        )
    except (DeltaError, OSError) as error:
        found = unwritable(location, error)
        if not isinstance(found, Locked):
            raise found from error


def append(
    location: Location,
    rows: pa.Table,
    *,
    app_ids: Sequence[str] = (),
    table: DeltaTable | None = None,
) -> None:
    """Append rows in one atomic commit.

    Args:
        app_ids: the commit also records that these contents are in the table (Delta application
            transactions), see `has_transaction`.
        table: the version to append to; it becomes the new one. The newest, if None.

    Raises:
        Locked: another writer has written to the table since that version.
        StoreUnavailable: the disk is full or the table cannot be written.
    """
    table = table or open_table(location)
    if table is None:
        create(location, rows, app_ids=app_ids)
        return
    try:
        write_deltalake(
            table,
            rows,
            mode="append",
            schema_mode="merge",
            writer_properties=_WRITER,
            commit_properties=CommitProperties(app_transactions=_marks(app_ids)),
        )
    except (DeltaError, OSError) as error:
        raise unwritable(location, error) from error


def replace(
    location: Location, rows: pa.Table, key: str, *, table: DeltaTable | None = None
) -> None:
    """Put rows in the place of those with the same key, in one atomic commit.

    Args:
        table: as for `append`.

    Raises:
        Locked: another writer has written to the table since that version.
        StoreUnavailable: the disk is full or the table cannot be written.
    """
    table = table or open_table(location)
    if table is None:
        create(location, rows)
        return
    try:
        table.merge(
            rows,
            predicate=f"t.{key} = s.{key}",
            source_alias="s",
            target_alias="t",
            writer_properties=_WRITER,
            commit_properties=CommitProperties(app_transactions=_marks(())),
        ).when_matched_update_all().execute()
    except (DeltaError, OSError) as error:
        raise unwritable(location, error) from error


def _marks(app_ids: Sequence[str]) -> list[Transaction]:
    return [MARK, *(Transaction(app_id, 1) for app_id in app_ids)]


def unwritable(location: Location, error: Exception) -> StoreUnavailable | Locked:
    """Return the error for a table that could not be written: the disk, or another writer."""
    full = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error)
    if not full and (isinstance(error, CommitFailedError) or "already exists" in str(error)):
        return Locked(
            f"another loopllm process has written to {location} at the same moment",
            "run the command again: nothing is half written",
        )
    said, remedy = explain(error)
    return StoreUnavailable(
        f"cannot write to the table at {location} ({'disk full' if full else said})",
        remedy or "free some space and run the command again: nothing is half written",
    )


def has_transaction(location: Location, app_id: str) -> bool:
    """Return whether a commit has recorded this content before."""
    table = open_table(location)
    return table is not None and table.transaction_version(app_id) is not None


def select(location: Location, sql: str, **others: Location) -> pa.Table | None:
    """Run one SELECT over a table, which the query calls `rows`; None where no table exists.

    Args:
        others: further tables that the query joins, by the names it gives them.

    Raises:
        ConfigError: the query is not valid for this table.
        StoreUnavailable: the table's files are missing or damaged.
    """
    batches = iter_select(location, sql, **others)
    schema = next(batches, None)
    if schema is None:
        return None
    assert isinstance(schema, pa.Schema)
    return plain_strings(pa.Table.from_batches(batches, schema))


def iter_select(
    location: Location, sql: str, **others: Location
) -> Iterator[pa.Schema | pa.RecordBatch]:
    """Run one SELECT like `select`, and yield its schema, then its batches as they come.

    Nothing is yielded where the table, or one of the others, does not exist.

    Raises:
        ConfigError: the query is not valid for this table.
        StoreUnavailable: the table's files are missing or damaged.
    """
    tables = {name: open_table(place) for name, place in {"rows": location, **others}.items()}
    if any(table is None for table in tables.values()):
        return
    try:
        engine = QueryBuilder()
        for name, table in tables.items():
            assert table is not None
            engine = engine.register(name, table)
        # pa.table(reader) would load pandas, to ask whether the reader is a data frame.
        reader = pa.RecordBatchReader.from_stream(engine.execute(sql))
        yield reader.schema
        yield from reader
    except (DeltaError, ValueError, OSError) as error:
        for name, place in {"rows": location, **others}.items():
            _check_readable(place, tables[name])
        raise ConfigError(
            f"the store cannot answer that question ({explain(error)[0]})",
            "check --where: a SQL expression on the columns of the store, such as "
            "\"response_model = 'm-2' AND output_tokens > 10\"",
        ) from error


def _check_readable(location: Location, table: DeltaTable | None) -> None:
    """Read the whole table to tell a damaged one from a wrong question.

    Raises:
        StoreUnavailable: it cannot be read.
    """
    if table is None:
        return
    try:
        everything = QueryBuilder().register("rows", table).execute("SELECT * FROM rows")
        for _ in pa.RecordBatchReader.from_stream(everything):
            pass
    except (DeltaError, ValueError, OSError) as error:
        raise _unreadable(location, error) from error


def _unreadable(location: Location, error: Exception) -> StoreUnavailable:
    said, remedy = explain(error)
    return StoreUnavailable(
        f"cannot read the table at {location} ({said})",
        remedy or "check the permissions; if files are missing, ingest the logs again elsewhere",
    )


def quoted(text: str) -> str:
    """Write a text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def to_table(rows: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Build a table of a schema from rows by column name; what a row does not name is null."""
    # Most columns of most exports are empty.
    named = set().union(*rows)
    columns = []
    for field in schema:
        name = field.name
        values = [row.get(name) for row in rows] if name in named else None
        columns.append(
            pa.nulls(len(rows), field.type) if values is None else arrow_column(values, field.type)
        )
    return pa.Table.from_arrays(columns, schema=schema)


def plain_strings(table: pa.Table) -> pa.Table:
    """Cast string views to strings, which every Arrow consumer understands."""
    return table.cast(pa.schema([f.with_type(_plain_type(f.type)) for f in table.schema]))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_plain_type(kind.value_type))
    return kind
