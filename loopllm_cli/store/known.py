"""Which ids a table holds, in 16 bytes each, so that de-duplication stays small at any size.

An id and its content are known by their 64-bit XXH3 digests, in sorted runs that are merged as
they grow. Two different rows are taken for one only if both digests collide; where only the
id's does, the caller looks at the stored row itself.

Runs are at least half as long as the ones after them, so there are few of them, and each id is
moved only as often as the number of ids doubles.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xxhash

UInt64 = npt.NDArray[np.uint64]


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
        while len(self._runs) > 1 and len(self._runs[-2][0]) < 2 * len(self._runs[-1][0]):
            self._merge_last_two()

    def _merge_last_two(self) -> None:
        (ids, contents), (new_ids, new_contents) = self._runs[-2:]
        # The newer run comes first, so that of equal ids its content is kept.
        unique, first = np.unique(np.concatenate([new_ids, ids]), return_index=True)
        self._runs[-2:] = [(unique, np.concatenate([new_contents, contents])[first])]

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
