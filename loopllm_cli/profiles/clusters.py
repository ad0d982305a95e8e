"""The unit whose rows depend on each other, hashed into buckets that merge.

One user's answers are alike, so rows are not independent: errors are computed from sums per
cluster. Keeping one sum per hashed bucket of clusters instead of one per cluster keeps profiles
small and mergeable; the variance between buckets estimates the same thing (grouped jackknife),
with fewer degrees of freedom.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from loopllm_cli.signals.batch import RowBatch

N_BUCKETS = 256
_ORDER = ("user_id", "conversation_id", "prompt_hash", "interaction_id")


def cluster_keys(batch: RowBatch, column: str | None = None) -> list[str]:
    """Name each row's cluster: its user, else its conversation, else its prompt.

    Args:
        column: a column to use first instead of the user.

    Returns:
        One key per row; keys of different kinds never collide.
    """
    order = (column, *_ORDER) if column else _ORDER
    columns = [(name, batch.values(name)) for name in order]
    keys = []
    for row in range(len(batch)):
        name, value = next(
            ((n, v[row]) for n, v in columns if v[row] is not None), ("row", str(row))
        )
        keys.append(f"{name}:{value}")
    return keys


def to_buckets(keys: list[str]) -> npt.NDArray[np.int64]:
    """Hash cluster keys into 0..N_BUCKETS-1, the same on every machine."""
    known = {key: _bucket(key) for key in set(keys)}
    return np.array([known[key] for key in keys], dtype=np.int64)


def _bucket(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest()) % N_BUCKETS
