"""Read from and append to the Delta tables.

Delta Lake gives atomic appends (a killed writer leaves no half commit) and plain Parquet files
that Spark, DuckDB, Polars or pandas open as they are.

Source: https://delta-io.github.io/delta-rs/
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, QueryBuilder, Transaction, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from loopllm_cli.errors import ConfigError, StoreUnavailable


def open_table(path: Path) -> DeltaTable | None:
    """Open a table, or return None where none has been written yet.

    Raises:
        StoreUnavailable: the table is there but cannot be read.
    """
    try:
        return DeltaTable(path.absolute())
    except TableNotFoundError:
        return None
    except (DeltaError, OSError) as error:
        raise _unreadable(path, error) from error


def append(path: Path, rows: pa.Table, *, app_id: str | None = None) -> None:
    """Append rows in one atomic commit.

    Args:
        app_id: when given, the commit also records that this content is in the table
            (a Delta application transaction), see `has_transaction`.

    Raises:
        StoreUnavailable: the disk is full or the table cannot be written.
    """
    commit = CommitProperties(app_transactions=[Transaction(app_id, 1)]) if app_id else None
    try:
        write_deltalake(path.absolute(), rows, mode="append", commit_properties=commit)
    except (DeltaError, OSError) as error:
        full = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error)
        raise StoreUnavailable(
            f"cannot write to the table at {path} ({'disk full' if full else _said(error)})",
            "free some space and run the command again: nothing is half written",
        ) from error


def has_transaction(path: Path, app_id: str) -> bool:
    """Return whether a commit has recorded this content before."""
    table = open_table(path)
    return table is not None and table.transaction_version(app_id) is not None


def select(path: Path, sql: str) -> pa.Table | None:
    """Run one SELECT over a table, which the query calls `rows`; None where no table exists.

    Raises:
        ConfigError: the query is not valid for this table.
        StoreUnavailable: the table's files are missing or damaged.
    """
    table = open_table(path)
    if table is None:
        return None
    try:
        reader = QueryBuilder().register("rows", table).execute(sql)
        # pa.table(reader) would load pandas, to ask whether the reader is a data frame.
        return _as_plain_strings(pa.RecordBatchReader.from_stream(reader).read_all())
    except (DeltaError, ValueError, OSError) as error:
        _check_readable(path, table)
        raise ConfigError(
            f"the store cannot answer that question ({_said(error)})",
            "check --where: a SQL expression on the columns of the store, such as "
            "\"response_model = 'm-2' AND output_tokens > 10\"",
        ) from error


def _check_readable(path: Path, table: DeltaTable) -> None:
    """Read the whole table to tell a damaged one from a wrong question.

    Raises:
        StoreUnavailable: it cannot be read.
    """
    try:
        everything = QueryBuilder().register("rows", table).execute("SELECT * FROM rows")
        for _ in pa.RecordBatchReader.from_stream(everything):
            pass
    except (DeltaError, ValueError, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> StoreUnavailable:
    return StoreUnavailable(
        f"cannot read the table at {path} ({_said(error)})",
        "check the permissions; if files are missing, ingest the logs again elsewhere",
    )


def _said(error: Exception) -> str:
    """Return the first line of an engine's message, without its stack."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def concat(tables: Iterable[pa.Table]) -> pa.Table:
    """Join tables of one schema end to end."""
    return pa.concat_tables(tables)


def _as_plain_strings(table: pa.Table) -> pa.Table:
    """Cast string views to strings, which every Arrow consumer understands."""
    fields = [
        f.with_type(pa.string()) if pa.types.is_string_view(f.type) else f for f in table.schema
    ]
    return table.cast(pa.schema(fields))
