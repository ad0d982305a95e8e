"""Number the ids that votes name, in every spelling that tools give them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loopllm_cli.store.arrays import arrow_ints, numpy_ints

Numbers = npt.NDArray[np.int64]
_HEX = r"(0x)?[0-9a-fA-F]{16}|(0x)?[0-9a-fA-F]{32}|[0-9a-fA-F-]{36}"
_WHOLE_HEX = re.compile(_HEX)
_UUID = r"^([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$"
_DASHED = r"\1-\2-\3-\4-\5"


def spellings(key: str) -> Iterator[str]:
    """Yield the ways in which tools write one id: as it is, and hex in lower case without marks.

    Example:
        >>> list(spellings("0x5E0C9A1FB2D84736"))
        ['0x5E0C9A1FB2D84736', '5e0c9a1fb2d84736']
    """
    yield key
    if _WHOLE_HEX.fullmatch(key):
        plain = key.lower().removeprefix("0x").replace("-", "")
        if plain != key:
            yield plain
        if len(plain) == 32:
            uuid = "-".join((plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:]))
            if uuid != key:
                yield uuid


@dataclass(frozen=True)
class Keys:
    """The distinct ids that votes name, and the numbers of their spellings.

    `names` are all spellings, the ids themselves first: `spelled[0][k] = k`. `spelled[1]` is the
    number of the plain form, `spelled[2]` that of the form with dashes, -1 where it has no such.
    """

    names: pa.ChunkedArray
    spelled: tuple[Numbers, Numbers, Numbers]

    def wanted(self, keys: Numbers) -> Numbers:
        """Return the numbers of all spellings of some keys, each once."""
        asked = np.zeros(len(self.spelled[0]) + 1, bool)
        asked[keys] = True  # -1 marks the last one, which is no key
        marked = np.zeros(len(self.names) + 1, bool)
        for spelled in self.spelled:
            marked[spelled[asked[:-1]]] = True
        return np.nonzero(marked[:-1])[0]


def number_keys(columns: list[pa.ChunkedArray]) -> tuple[Keys, list[Numbers]]:
    """Number the ids in some columns of votes.

    Returns:
        The keys; and per column the number of each value, -1 where it is null.
    """
    chunks = [
        chunk.cast(pa.large_string(), safe=False) for column in columns for chunk in column.chunks
    ]
    joined = pa.chunked_array(chunks, pa.large_string()).dictionary_encode()
    whole = (
        np.concatenate([numpy_ints(chunk.indices) for chunk in joined.chunks])
        if joined.num_chunks
        else np.empty(0, np.int64)
    )
    numbers = np.split(whole, np.cumsum([len(column) for column in columns])[:-1])
    names = joined.chunk(0).dictionary if joined.num_chunks else pa.nulls(0, pa.large_string())
    return spell(names), numbers


def spell(names: pa.Array) -> Keys:
    """Find the spellings of distinct ids, all at once; see `spellings`."""
    own = np.arange(len(names))
    none = np.full(len(names), -1)
    hexed = pc.indices_nonzero(pc.match_substring_regex(names, f"^({_HEX})$"))
    if not len(hexed):
        return Keys(pa.chunked_array([names]), (own, none, none.copy()))
    at = numpy_ints(hexed)
    keys = names.take(hexed)
    bare = pc.replace_substring_regex(pc.utf8_lower(keys), "^0x", "")
    plain = pc.replace_substring(bare, "-", "")
    dashed = pc.replace_substring_regex(plain, _UUID, _DASHED)
    # Spellings of different ids may be the same text, and that of a third id.
    added = pa.chunked_array([plain, dashed]).unique()
    known = numpy_ints(pc.index_in(added, value_set=names))
    fresh = known < 0
    known[fresh] = len(names) + np.arange(fresh.sum())
    more = added.filter(pc.is_null(pc.index_in(added, value_set=names)))
    spelled = []
    for text in (plain, dashed):
        number = none.copy()
        number[at] = known[numpy_ints(pc.index_in(text, value_set=added))]
        number[number == own] = -1
        spelled.append(number)
    # What has no form with dashes comes back as its plain form.
    spelled[1][spelled[1] == spelled[0]] = -1
    everything = pa.chunked_array([names, more])
    return Keys(everything, (own, spelled[0], spelled[1]))


def take_names(keys: Keys, numbers: Numbers) -> pa.Array:
    """Return the texts of some spellings."""
    taken = keys.names.take(arrow_ints(numbers))
    return taken.combine_chunks() if isinstance(taken, pa.ChunkedArray) else taken
