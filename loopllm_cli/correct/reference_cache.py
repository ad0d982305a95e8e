"""Keep the reference's log-probabilities by content, and use them again in later runs.

TRL 1.16 can compute them before training, and keeps them beside the dataset's Arrow file under a
fingerprint of the whole dataset. Pairs that are read into memory have no such file, so nothing is
ever found again, and one new pair would change the fingerprint of all. Here every row has its own
key, so a run computes only the rows that are new.

Must not import: torch and its relatives at the top.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from loopllm_cli.correct.processes import is_main, wait_for_all

Pair = tuple[float, float]
_CREATE = "CREATE TABLE IF NOT EXISTS logps (key BLOB PRIMARY KEY, chosen REAL, rejected REAL)"
# SQLite's own default limit on variables in one statement. Source: sqlite.org/limits.html, 9.
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class ReferenceUse:
    """How many rows were found, and how many had to be computed."""

    n_cached: int
    n_computed: int


class ReferenceCache:
    """A file of log-probabilities by row key; it holds hashes and numbers, never text.

    A file that cannot be read is started again: it only saves time.
    """

    def __init__(self, path: Path) -> None:
        """Name the file; it is made when something is first kept."""
        self._path = path

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Pair]:
        """Return what is known of some keys."""
        found: dict[bytes, Pair] = {}
        if not self._path.is_file():
            return found
        with contextlib.suppress(sqlite3.Error), self._open() as database:
            for first in range(0, len(keys), _AT_ONCE):
                some = keys[first : first + _AT_ONCE]
                marks = ",".join("?" * len(some))
                query = f"SELECT key, chosen, rejected FROM logps WHERE key IN ({marks})"
                for key, chosen, rejected in database.execute(query, some):
                    if _is_logp(chosen) and _is_logp(rejected):
                        found[bytes(key)] = (chosen, rejected)
        return found

    def put(self, values: Mapping[bytes, Pair]) -> None:
        """Keep values; what cannot be written is computed again by the next run."""
        rows = [(key, *pair) for key, pair in values.items() if all(map(_is_logp, pair))]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._write(rows)
        except sqlite3.OperationalError:  # locked, full or read only: nothing is wrong with it
            return
        except sqlite3.DatabaseError:
            self._path.unlink(missing_ok=True)
            with contextlib.suppress(sqlite3.Error):
                self._write(rows)

    def _write(self, rows: Sequence[tuple[bytes, float, float]]) -> None:
        with self._open() as database, database:
            database.execute(_CREATE)
            database.executemany("INSERT OR REPLACE INTO logps VALUES (?, ?, ?)", rows)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self._path, timeout=10)) as database:
            yield database


def row_keys(dataset: Any, model_key: str, max_length: int | None) -> list[bytes]:
    """Return a key per row of a dataset that a DPOTrainer has prepared.

    The token ids hold what the chat template and the tokenizer made of a row, so another template
    gives other keys by itself.

    Args:
        dataset: with `prompt_ids`, `chosen_ids` and `rejected_ids`.
        model_key: of everything that the numbers depend on beside the tokens: the model's hash,
            its number format and storage.
        max_length: what rows are cut to.
    """
    head = hashlib.sha256(f"{model_key}\0{max_length}\0".encode())
    keys = []
    columns = (dataset["prompt_ids"], dataset["chosen_ids"], dataset["rejected_ids"])
    for parts in zip(*columns, strict=True):
        digest = head.copy()
        for ids in parts:
            digest.update(len(ids).to_bytes(8, "little"))
            digest.update(np.asarray(ids, dtype="<i8").tobytes())
        keys.append(digest.digest())
    return keys


def attach_reference(trainer: Any, path: Path | None, model_key: str) -> ReferenceUse:
    """Give a DPOTrainer its reference log-probabilities, from the cache as far as it has them.

    Rows are computed in the order and size of batches that TRL uses, by TRL's own function, so a
    first run gives the numbers of `precompute_ref_log_probs`.

    Args:
        trainer: made with `precompute_ref_log_probs=False`, before `train`.
        path: the cache file, None to keep nothing.
        model_key: see `row_keys`.
    """
    dataset = trainer.train_dataset
    keys = row_keys(dataset, model_key, trainer.args.max_length)
    cache = ReferenceCache(path) if path is not None else None
    known = cache.get(keys) if cache else {}
    # All processes must agree on what is missing before the main one writes.
    wait_for_all()
    missing = [row for row, key in enumerate(keys) if key not in known]
    if missing:
        computed = _compute(trainer, dataset.select(missing))
        fresh = {keys[row]: pair for row, pair in zip(missing, computed, strict=True)}
        if cache and is_main():
            cache.put(fresh)
        known |= fresh
        wait_for_all()
    pairs = [known[key] for key in keys]
    dataset = dataset.add_column("ref_chosen_logps", [chosen for chosen, _ in pairs])
    trainer.train_dataset = dataset.add_column("ref_rejected_logps", [worse for _, worse in pairs])
    # TRL reads the columns when this is set, and collates them whenever they are there.
    trainer.precompute_ref_logps = True
    return ReferenceUse(len(keys) - len(missing), len(missing))


def _compute(trainer: Any, rows: Any) -> list[Pair]:
    """Run the model without its adapter over rows.

    Source: TRL 1.16, `DPOTrainer._precompute_ref_logps`.
    """
    import torch
    from torch.utils.data import DataLoader

    args = trainer.args
    loader = trainer.accelerator.prepare(
        DataLoader(
            rows,
            batch_size=args.precompute_ref_batch_size or args.per_device_train_batch_size,
            collate_fn=trainer.data_collator,
            pin_memory=args.dataloader_pin_memory,
            shuffle=False,
        )
    )
    sides: tuple[list[Any], list[Any]] = ([], [])
    for batch in loader:
        scored = trainer.compute_ref_log_probs(trainer.model, batch)
        gathered = trainer.accelerator.gather_for_metrics(scored)
        for side, values in zip(sides, gathered, strict=True):
            side.append(values.float().cpu())
    chosen, rejected = (torch.cat(side).tolist() for side in sides)
    return list(zip(chosen, rejected, strict=True))


def _is_logp(value: Any) -> bool:
    # A log-probability is never above zero but for rounding; what is not one is computed again.
    return isinstance(value, float) and -1e9 < value < 1.0
