"""How long the training rows are, in tokens, and what padding makes of it.

Must not import: torch and its relatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of every training row, sorted: context and longer answer, as they are trained on."""

    tokens: tuple[int, ...]
    answer_longest: int

    @classmethod
    def of(
        cls, tokens: Sequence[int], max_length: int = 1_000_000, answers: Sequence[int] = ()
    ) -> Lengths:
        """Sort lengths and cut them as the collator cuts rows.

        Args:
            tokens: of each row, at least one.
            max_length: what a row is cut to.
            answers: tokens of each longer answer; without them a whole row is assumed.
        """
        if not len(tokens):
            raise ValueError("no rows: lengths need at least one")
        cut = sorted(max(1, min(int(n), max_length)) for n in tokens)
        longest = max((min(int(n), max_length) for n in answers), default=cut[-1])
        return cls(tuple(cut), max(1, min(longest, cut[-1])))

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return len(self.tokens)

    @property
    def longest(self) -> int:
        """The longest row."""
        return self.tokens[-1]

    @property
    def mean(self) -> float:
        """The mean length."""
        return float(np.mean(self.tokens))

    def quantile(self, share: float) -> int:
        """Return the length that a share of the rows does not exceed."""
        return int(np.quantile(self.tokens, share, method="inverted_cdf"))

    def padded(self, micro_batch: int, batch: int = 0) -> float:
        """Return the mean length that a row has after padding.

        Args:
            micro_batch: rows that are padded to the longest of them.
            batch: rows that are sorted by length before they are cut into micro batches; 0 leaves
                them in random order.

        Source: David and Nagaraja (2003) Order Statistics, section 2.1: the j-th smallest of b
        draws lies at quantile Beta(j, b - j + 1); the longest of m draws is its case j = b = m.
        """
        if batch <= micro_batch:
            return self._longest_of(micro_batch)
        tops = range(micro_batch, batch + 1, micro_batch)
        return float(np.mean([self._ordered(top, batch) for top in tops]))

    def padding_share(self, micro_batch: int, batch: int = 0) -> float:
        """Return the share of computed tokens that are padding."""
        return 1.0 - self.mean / self.padded(micro_batch, batch)

    def _longest_of(self, n: int) -> float:
        edges = np.arange(len(self.tokens) + 1) / len(self.tokens)
        return float(np.sum(np.asarray(self.tokens) * np.diff(edges**n)))

    def _ordered(self, rank: int, n: int) -> float:
        from scipy.stats import beta

        edges = np.arange(len(self.tokens) + 1) / len(self.tokens)
        weights = np.diff(beta.cdf(edges, rank, n - rank + 1))
        return float(np.sum(np.asarray(self.tokens) * weights))
