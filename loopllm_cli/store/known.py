"""Which ids a table holds, in 16 bytes each, so that de-duplication stays small at any size.

An id and its content are known by their 64-bit XXH3 digests, in sorted runs that are merged as
they grow. Two different rows are taken for one only if both digests collide; where only the
id's does, the caller looks at the stored row itself.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xxhash

UInt64 = npt.NDArray[np.uint64]
_MAX_RUNS = 8


def hash_text(text: str) -> int:
    """Return the 64-bit digest by which an id or a content is known."""
    return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"))


class KnownIds:
    """A growing map from ids to contents, both as 64-bit digests.

    Shapes: ids and contents are one-dimensional and of one length.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[UInt64, UInt64]] = []

    def __len__(self) -> int:
        return sum(len(ids) for ids, _ in self._runs)

    def add(self, ids: UInt64, contents: UInt64) -> None:
        """Take up ids; the content of one that is known already becomes the new one."""
        if not len(ids):
            return
        # Reversed, so that of equal ids the last one comes first and is kept.
        unique, first = np.unique(ids[::-1], return_index=True)
        self._runs.append((unique, contents[::-1][first]))
        if len(self._runs) > _MAX_RUNS:
            everything = [np.concatenate(parts) for parts in zip(*self._runs, strict=True)]
            self._runs = []
            self.add(everything[0], everything[1])

    def find(self, ids: UInt64) -> tuple[npt.NDArray[np.bool_], UInt64]:
        """Return, per id, whether it is known and its content (0 where it is not)."""
        known = np.zeros(len(ids), dtype=bool)
        contents = np.zeros(len(ids), dtype=np.uint64)
        for run_ids, run_contents in self._runs:
            at = np.searchsorted(run_ids, ids)
            at[at == len(run_ids)] = 0
            hit = run_ids[at] == ids
            known |= hit
            contents[hit] = run_contents[at[hit]]
        return known, contents
