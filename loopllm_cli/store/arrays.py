"""Arrow columns from Python and numpy values.

Exists because Arrow's own conversion of lists loads pandas where it is installed, which takes
longer than most commands. Must not import pandas.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = 1_000_000


def arrow_floats(values: npt.NDArray[np.float64]) -> pa.Array:
    """Make a column of numpy floats, null where NaN."""
    data = np.ascontiguousarray(values, dtype=np.float64)
    return _fixed(data, ~np.isnan(data), pa.float64())


def arrow_strings(values: Sequence[str]) -> pa.Array:
    """Make a column of texts; its offsets have 64 bits, as all together may pass 2 GB."""
    return _texts(values, None, pa.large_string())


def arrow_bytes(values: Sequence[bytes]) -> pa.Array:
    """Make a column of byte strings, with offsets of 64 bits."""
    return _binary(values, None, pa.large_binary())


def arrow_mask(values: npt.NDArray[np.bool_]) -> pa.Array:
    """Make a column of truth values, such as a filter takes."""
    bits = pa.py_buffer(np.packbits(values, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, bits])


def arrow_column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Make a column of a type from Python values, null where None.

    Shapes: one element per value.
    """
    there = np.fromiter((value is not None for value in values), dtype=bool, count=len(values))
    if pa.types.is_string(kind):
        return _texts([value or "" for value in values], there, kind)
    if pa.types.is_timestamp(kind):
        moments = [0 if value is None else _microseconds(value) for value in values]
        return _fixed(np.array(moments, dtype=np.int64), there, kind)
    if pa.types.is_floating(kind):
        return _fixed(np.array([value or 0.0 for value in values], dtype=np.float64), there, kind)
    if pa.types.is_integer(kind):
        dtype = np.int8 if kind == pa.int8() else np.int64
        return _fixed(np.array([value or 0 for value in values], dtype=dtype), there, kind)
    if pa.types.is_boolean(kind):
        bits = np.packbits(np.array([bool(value) for value in values]), bitorder="little")
        return pa.Array.from_buffers(kind, len(values), [_bitmap(there), pa.py_buffer(bits)])
    return pa.array(values, kind)


def _fixed(data: npt.NDArray[Any], there: npt.NDArray[np.bool_], kind: pa.DataType) -> pa.Array:
    return pa.Array.from_buffers(kind, len(data), [_bitmap(there), pa.py_buffer(data)])


def _texts(
    values: Sequence[str], there: npt.NDArray[np.bool_] | None, kind: pa.DataType
) -> pa.Array:
    return _binary([value.encode() for value in values], there, kind)


def _binary(
    encoded: Sequence[bytes], there: npt.NDArray[np.bool_] | None, kind: pa.DataType
) -> pa.Array:
    lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
    ends = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum(lengths, out=ends[1:])
    narrow = pa.types.is_string(kind)
    if narrow and ends[-1] > np.iinfo(np.int32).max:
        raise OverflowError("more than 2 GB of text in one column of one batch")
    offsets = ends.astype(np.int32) if narrow else ends
    valid = None if there is None else _bitmap(there)
    buffers = [valid, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(kind, len(encoded), buffers)


def _bitmap(there: npt.NDArray[np.bool_]) -> pa.Buffer | None:
    return None if there.all() else pa.py_buffer(np.packbits(there, bitorder="little"))


def _microseconds(moment: datetime) -> int:
    # Exact: a float holds microseconds of this century.
    return round((moment - _EPOCH).total_seconds() * _MICROSECOND)
