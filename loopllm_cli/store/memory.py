"""Keep the memory of large reads in bounds.

A command that reads millions of rows makes millions of small objects and frees large buffers.
Python's collector walks all objects again and again, though none of them is garbage; and the C
library keeps what the engine has freed. Both cost more than the work itself.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa


@contextmanager
def collection_paused() -> Iterator[None]:
    """Let Python's collector of cyclic garbage rest while many objects are made."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def give_back() -> None:
    """Hand freed memory back to the system.

    Source: malloc_trim(3); only the GNU C library has it, and elsewhere nothing is done.
    """
    pa.default_memory_pool().release_unused()
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return
    trim(0)
