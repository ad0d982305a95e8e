"""Find the responses that ids name: per key, how many there are and which is the only one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loopllm_cli.store import tables
from loopllm_cli.store.arrays import arrow_mask, numpy_ints, numpy_mask, one_array
from loopllm_cli.store.locations import Location
from loopllm_cli.store.spellings import Keys, Numbers, take_names

IDS = ("interaction_id", "source_record_id", "response_id", "request_id", "span_id", "trace_id")
KEYS = (*IDS, "conversation_id", "response_hash")
_FACTS = ("is_visible", "is_root", "turn_index", "request_time")
# Looking up builds a table of all wanted keys for each block of rows, so that blocks must not be
# small beside the keys; and memory must grow with the votes, not with the responses.
_MIN_BLOCK = 1 << 17
_MAX_TABLE = 8
NEVER = np.iinfo(np.int64).min

Found = tuple[Numbers, Numbers]
"""Per question: how many responses fit, and one of them (-1 where none does)."""


@dataclass(frozen=True)
class Named:
    """The responses that any wanted key names; a response is a number, -1 is none.

    `hits` holds, per key column, the numbers of key spellings and beside them the rows that hold
    them; the other arrays have an entry per row.
    """

    ids: pa.Array
    response: Numbers
    hits: dict[str, tuple[Numbers, Numbers]]
    is_visible: npt.NDArray[np.bool_]
    is_root: npt.NDArray[np.bool_]
    turn: Numbers
    time: Numbers
    said: Numbers

    def by_key(self, column: str, keep: npt.NDArray[np.bool_] | None = None) -> Groups:
        """Group the responses by the spellings that name them in a column.

        Args:
            keep: of all rows, those to look at.
        """
        names, rows = self.hits[column]
        if keep is not None:
            names, rows = names[keep[rows]], rows[keep[rows]]
        return Groups(names, self.response[rows])


class Groups:
    """Responses by a whole number, found by a table where the numbers are dense enough."""

    def __init__(self, keys: Numbers, responses: Numbers) -> None:
        order = np.lexsort((responses, keys))
        keys, responses = keys[order], responses[order]
        # A response counts once, however many rows of the store are the same one.
        first = _changes(keys) | _changes(responses)
        keys, responses = keys[first], responses[first]
        (starts,) = np.nonzero(_changes(keys))
        self._keys = keys[starts]
        self._counts = np.diff(np.append(starts, len(keys)))
        self._first = responses[starts]

    def find(self, keys: Numbers) -> Found:
        """Count the responses of each key; negative keys have none."""
        if not len(self._keys):
            return np.zeros(len(keys), np.int64), np.full(len(keys), -1)
        at = self._places(keys)
        there = (self._keys[at] == keys) & (keys >= 0)
        return np.where(there, self._counts[at], 0), np.where(there, self._first[at], -1)

    def _places(self, keys: Numbers) -> Numbers:
        top = int(self._keys[-1])
        if top > _MAX_TABLE * max(len(self._keys), len(keys)):
            return np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        table = np.zeros(top + 1, np.int64)
        table[self._keys] = np.arange(len(self._keys))
        return table[np.clip(keys, 0, top)]


def _changes(values: Numbers) -> npt.NDArray[np.bool_]:
    changed = np.ones(len(values), bool)
    changed[1:] = values[1:] != values[:-1]
    return changed


class Pairs:
    """Number pairs of whole numbers, so that they can be grouped and looked up."""

    def __init__(self, seconds: Numbers) -> None:
        self._known = np.unique(seconds)

    def number(self, firsts: Numbers, seconds: Numbers) -> Numbers:
        """Return a number per pair, negative where the second one was never seen."""
        if not len(self._known):
            return np.full(len(firsts), -1)
        at = np.minimum(np.searchsorted(self._known, seconds), len(self._known) - 1)
        there = (self._known[at] == seconds) & (firsts >= 0)
        return np.where(there, firsts * len(self._known) + at, -1)

    def number_below(self, firsts: Numbers, seconds: Numbers) -> Numbers:
        """Return the number of each first with the largest second that is not above its own."""
        at = np.searchsorted(self._known, seconds, side="right") - 1
        return np.where((at >= 0) & (firsts >= 0), firsts * len(self._known) + at, -1)


def read_named(location: Location, keys: Keys, wanted: dict[str, Numbers]) -> Named:
    """Read the responses that any wanted key names, in one pass over the store.

    Args:
        wanted: per key column the numbers of the spellings to look for.
    """
    looked = {column: take_names(keys, numbers) for column, numbers in wanted.items()}
    block = max(_MIN_BLOCK, max((len(n) for n in wanted.values()), default=0) // 2)
    hits: dict[str, list[tuple[Numbers, Numbers]]] = {column: [] for column in KEYS}
    taken: list[pa.Table] = []
    n_rows = 0
    for rows in _blocks(location, block):
        found = {
            column: numpy_ints(pc.index_in(held, value_set=looked[column]))
            for column in KEYS
            if column in looked
            and (held := rows.column(column).cast(pa.large_string())).null_count < len(held)
        }
        named = np.zeros(rows.num_rows, bool)
        for at in found.values():
            named |= at >= 0
        place = n_rows + np.cumsum(named) - 1
        for column, at in found.items():
            (there,) = np.nonzero(at >= 0)
            hits[column].append((wanted[column][at[there]], place[there]))
        said = found.get("response_hash")
        kept = rows.select(["interaction_id", *_FACTS]).filter(arrow_mask(named))
        taken.append(kept.append_column("said", _said(said, wanted, named)))
        n_rows += kept.num_rows
    return _named(taken, hits)


def _blocks(location: Location, n_rows: int) -> Iterator[pa.Table]:
    """Read the key columns in blocks of at least so many rows."""
    sql = f"SELECT {', '.join(dict.fromkeys((*KEYS, *_FACTS)))} FROM rows"
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in tables.iter_select(location, sql):
        if isinstance(batch, pa.RecordBatch) and batch.num_rows:
            held.append(batch)
            count += batch.num_rows
            if count >= n_rows:
                yield tables.plain_strings(pa.Table.from_batches(held))
                held, count = [], 0
    if held:
        yield tables.plain_strings(pa.Table.from_batches(held))


def _said(
    found: Numbers | None, wanted: dict[str, Numbers], named: npt.NDArray[np.bool_]
) -> pa.Array:
    """Return the number of each kept row's text hash, NEVER where no vote names it."""
    if found is None:
        numbers = np.full(int(named.sum()), NEVER)
    else:
        some = found[named]
        numbers = np.where(some >= 0, wanted["response_hash"][np.maximum(some, 0)], NEVER)
    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(numbers)])


def _named(taken: list[pa.Table], hits: dict[str, list[tuple[Numbers, Numbers]]]) -> Named:
    empty = np.empty(0, np.int64)
    if not taken:
        nothing = dict.fromkeys(KEYS, (empty, empty))
        none = np.empty(0, bool)
        return Named(
            pa.nulls(0, pa.large_string()), empty, nothing, none, none, empty, empty, empty
        )
    rows = pa.concat_tables(taken)
    coded = one_array(rows.column("interaction_id")).dictionary_encode()
    time = rows.column("request_time")
    return Named(
        ids=coded.dictionary,
        response=numpy_ints(coded.indices),
        hits={
            column: (
                np.concatenate([empty, *(names for names, _ in found)]),
                np.concatenate([empty, *(at for _, at in found)]),
            )
            for column, found in hits.items()
        },
        is_visible=numpy_mask(rows.column("is_visible")),
        is_root=numpy_mask(rows.column("is_root")),
        turn=numpy_ints(rows.column("turn_index"), NEVER),
        time=numpy_ints(time.cast(pa.timestamp("us", time.type.tz), safe=False), NEVER),
        said=numpy_ints(rows.column("said"), NEVER),
    )
