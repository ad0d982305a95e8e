"""Cut every batch into micro batches of similar length, so that little padding is computed.

TRL 1.16 has no padding-free batches for preference pairs. The samplers of transformers 5.23 that
know of lengths do not work with its trainers: the column of lengths is removed from the data
before the sampler sees it. They also change what is learned: `group_by_length` fills whole batches
with rows of one length, and `batch_rebalance` cuts micro batches of different sizes, whose mean
losses then count the same.

Must not import: torch and its relatives at the top.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

BATCHINGS = ("random", "balanced")


class BalancedBatches:
    """Yield rows in a random order that is sorted by length inside each batch.

    A batch holds the same rows as without sorting, so an optimizer step averages over the same
    pairs; only which of them share a micro batch differs. The longest come first, so a lack of
    memory shows at once. The order depends on seed and epoch alone, which is what resuming needs.

    Source: accelerate 1.15, `SeedableRandomSampler`: the same seed gives its batches.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        """Take lengths by row, rows per optimizer step over all processes, and the seed."""
        self._lengths = np.asarray(lengths, dtype=np.int64)
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._lengths)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order is yielded; the Trainer calls it, also when it resumes."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        """Yield row numbers."""
        import torch

        generator = torch.Generator().manual_seed(self._seed + self._epoch)
        order = torch.randperm(len(self), generator=generator).numpy()
        for first in range(0, len(order), self._batch_size):
            batch = order[first : first + self._batch_size]
            ranked = batch[np.argsort(-self._lengths[batch], kind="stable")]
            yield from (int(row) for row in ranked)


def row_lengths(dataset: Any, max_length: int | None) -> list[int]:
    """Return the tokens that each row of a dataset prepared by DPOTrainer is padded from."""
    columns = (dataset["prompt_ids"], dataset["chosen_ids"], dataset["rejected_ids"])
    whole = [
        len(prompt) + max(len(chosen), len(rejected))
        for prompt, chosen, rejected in zip(*columns, strict=True)
    ]
    return [min(n, max_length) if max_length else n for n in whole]


def balance_batches(trainer: Any, seed: int) -> None:
    """Make a DPOTrainer draw balanced batches.

    Args:
        trainer: before `train`; its sampler is replaced. Not for a KTOTrainer, whose neighbouring
            rows belong together.
        seed: of the order of the rows.
    """
    args = trainer.args
    step = args.train_batch_size * args.gradient_accumulation_steps * max(1, args.world_size)
    sampler = BalancedBatches(row_lengths(trainer.train_dataset, args.max_length), step, seed)
    trainer._get_train_sampler = lambda dataset=None: sampler
