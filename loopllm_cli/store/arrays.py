"""Arrow columns from Python and numpy values, and numpy arrays from Arrow columns.

Exists because Arrow's own conversion loads pandas where it is installed, which takes
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


def arrow_ints(values: npt.NDArray[Any]) -> pa.Array:
    """Make a column of whole numbers."""
    return _fixed(np.ascontiguousarray(values, dtype=np.int64), np.ones(1, bool), pa.int64())


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """Return a column of texts as one array; its offsets have 64 bits."""
    wide = column.cast(pa.large_string())
    return pa.concat_arrays(wide.chunks) if wide.num_chunks else pa.nulls(0, pa.large_string())


def numpy_ints(column: pa.Array | pa.ChunkedArray, missing: int = -1) -> npt.NDArray[np.int64]:
    """Return a column of whole numbers or times, `missing` where it is null."""
    parts = [_ints_of(chunk, missing) for chunk in _chunks(column)]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def numpy_floats(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Return a column of numbers, NaN where it is null."""
    parts = []
    for chunk in _chunks(column):
        wide = chunk.cast(pa.float64())
        data = np.frombuffer(wide.buffers()[1], np.float64) if len(wide) else np.empty(0)
        data = data[wide.offset : wide.offset + len(wide)]
        parts.append(np.where(_there(wide), data, np.nan))
    return np.concatenate(parts) if parts else np.empty(0)


def numpy_mask(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Return a column of truth values, False where it is null."""
    parts = []
    for chunk in _chunks(column):
        parts.append(_bits(chunk.buffers()[1], chunk) & _there(chunk))
    return np.concatenate(parts) if parts else np.empty(0, bool)


def _chunks(column: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    return column.chunks if isinstance(column, pa.ChunkedArray) else [column]


def _ints_of(chunk: pa.Array, missing: int) -> npt.NDArray[np.int64]:
    if not len(chunk):
        return np.empty(0, np.int64)
    width = chunk.type.bit_width // 8
    kind = f"{'u' if pa.types.is_unsigned_integer(chunk.type) else 'i'}{width}"
    data = np.frombuffer(chunk.buffers()[1], kind)[chunk.offset : chunk.offset + len(chunk)]
    return np.where(_there(chunk), data, missing).astype(np.int64)


def _there(chunk: pa.Array) -> npt.NDArray[np.bool_]:
    bitmap = chunk.buffers()[0] if chunk.null_count else None
    return np.ones(len(chunk), bool) if bitmap is None else _bits(bitmap, chunk)


def _bits(bitmap: pa.Buffer | None, chunk: pa.Array) -> npt.NDArray[np.bool_]:
    if bitmap is None or not len(chunk):
        return np.zeros(len(chunk), bool)
    end = chunk.offset + len(chunk)
    bits = np.unpackbits(np.frombuffer(bitmap, np.uint8), count=end, bitorder="little")
    return bits[chunk.offset :].astype(bool)


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
