"""Times out of Arrow columns.

Exists because Arrow's own conversion of timestamps loads pandas where it is installed, which
takes longer than most commands. Must not import pandas.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_moments(column: pa.ChunkedArray) -> list[datetime | None]:
    """Return a timestamp column as datetimes: in UTC, or without a zone where it has none."""
    zone = column.type.tz
    start = _EPOCH if zone else _EPOCH.replace(tzinfo=None)
    whole = column.cast(pa.timestamp("us", tz=zone), safe=False).cast(pa.int64())
    return [None if n is None else start + timedelta(microseconds=n) for n in whole.to_pylist()]
