"""Arrow columns from Python and numpy values.

Exists because Arrow's own conversion of lists loads pandas where it is installed, which takes
longer than most commands. Must not import pandas.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def arrow_floats(values: npt.NDArray[np.float64]) -> pa.Array:
    """Make a column of numpy floats, null where NaN."""
    data = np.ascontiguousarray(values, dtype=np.float64)
    valid = np.packbits(~np.isnan(data), bitorder="little")
    return pa.Array.from_buffers(pa.float64(), len(data), [pa.py_buffer(valid), pa.py_buffer(data)])


def arrow_strings(values: Sequence[str]) -> pa.Array:
    """Make a column of texts."""
    encoded = [value.encode() for value in values]
    ends = np.cumsum([0, *(len(text) for text in encoded)], dtype=np.int64)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    # Offsets of 64 bits, because all the texts together may pass 2 GB.
    return pa.Array.from_buffers(pa.large_string(), len(encoded), buffers)
