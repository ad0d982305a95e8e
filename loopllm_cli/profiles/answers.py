"""Answers as vectors, and how often a baseline's answers use which words.

Kept so that a later window's answers can be compared with the baseline's without keeping any
answer. The words are those that answers to many users (or to many prompts) share; words with
digits are left out, so that no number of one person's is kept.
"""

from __future__ import annotations

import json
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loopllm_cli.profiles.features import N_FEATURES, hashed_counts, unit_rows
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.signals.texts import answer_words

IntArray = npt.NDArray[np.int64]

N_DIMENSIONS = 128
MAX_WORDS = 2_000
MIN_CLUSTERS = 10
"""Answers to this many users (or prompts) must use a word before a baseline keeps it."""
MIN_ROWS = 5
_MIN_NEW_USERS = 2
_BLOCK = 2_000
_LONGEST_WORD = 30
_DIGIT = re.compile(r"\d")
# A second hash of each feature's number decides its sign, the same on every machine.
_SIGNS = np.array(
    [1 - 2 * (zlib.crc32(b"sign %d" % k) & 1) for k in range(N_FEATURES)], dtype=np.float32
)


@dataclass(frozen=True)
class WordCounts:
    """In how many of a window's answers words occur, and how many answers there were."""

    words: tuple[str, ...]
    rows: IntArray
    n_answers: int

    def share_of(self) -> dict[str, float]:
        """Return the share of answers that use each word."""
        n = max(self.n_answers, 1)
        return {word: float(k) / n for word, k in zip(self.words, self.rows, strict=True)}


@dataclass(frozen=True)
class AnswerSpace:
    """The words that a baseline's answers share."""

    vocabulary: WordCounts

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the space as named arrays, ready to be saved."""
        words = json.dumps({"words": self.vocabulary.words, "n": self.vocabulary.n_answers})
        return {
            "answers_words": np.frombuffer(words.encode(), dtype=np.uint8),
            "answers_word_rows": self.vocabulary.rows.astype(np.int32),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> AnswerSpace:
        """Read what `to_arrays` wrote."""
        card = json.loads(arrays["answers_words"].tobytes())
        rows = arrays["answers_word_rows"].astype(np.int64)
        return cls(WordCounts(tuple(card["words"]), rows, card["n"]))


def fit_answers(batch: RowBatch, keys: Sequence[str], positions: IntArray) -> AnswerSpace:
    """Learn the frequent words of a baseline's answers.

    Args:
        keys: one cluster key per row of the batch.
        positions: the rows to learn from, by number.
    """
    rows, clusters, n_answers = _count(batch, keys, positions)
    shared = [word for word in rows if len(clusters[word]) >= MIN_CLUSTERS]
    words = tuple(sorted(sorted(shared, key=lambda word: (-rows[word], word))[:MAX_WORDS]))
    counts = np.array([rows[word] for word in words], dtype=np.int64)
    return AnswerSpace(WordCounts(words, counts, n_answers))


def to_vectors(texts: list[str | None]) -> npt.NDArray[np.float16]:
    """Place texts in a space of hashed words and word pairs that no window has shaped.

    Directions learned from a baseline fit its own rows better than any later ones, which a test
    takes for a change; a space fixed beforehand treats both windows alike.

    Returns:
        Shape (n_texts, N_DIMENSIONS): vectors of length about one, zeros where a text is missing.

    Source: Weinberger et al. (2009), "Feature hashing for large scale multitask learning", ICML,
    https://arxiv.org/abs/0902.2206 (signed hashing keeps inner products on average).
    """
    out = np.zeros((len(texts), N_DIMENSIONS), dtype=np.float16)
    for start in range(0, len(texts), _BLOCK):
        block = unit_rows(hashed_counts(texts[start : start + _BLOCK])) * _SIGNS
        folded = block.reshape(len(block), -1, N_DIMENSIONS).sum(axis=1)
        out[start : start + _BLOCK] = folded
    return out


def count_words(
    batch: RowBatch, keys: Sequence[str], positions: IntArray, known: WordCounts
) -> WordCounts:
    """Count a window's answers that use known words, or words that are frequent only in it.

    Args:
        known: the baseline's vocabulary. A word beyond it counts only if the answers to more
            than one user (or prompt) and at least MIN_ROWS answers use it.
    """
    rows, clusters, n_answers = _count(batch, keys, positions)
    new = {
        word: n
        for word, n in rows.items()
        if n >= MIN_ROWS and len(clusters[word]) >= _MIN_NEW_USERS
    }
    words = (*known.words, *sorted(set(new) - set(known.words)))
    counts = np.array([rows.get(word, 0) for word in words], dtype=np.int64)
    return WordCounts(words, counts, n_answers)


def _count(
    batch: RowBatch, keys: Sequence[str], positions: IntArray
) -> tuple[Counter[str], dict[str, set[str]], int]:
    """Count the answers with each word, and name up to MIN_CLUSTERS clusters that have it."""
    rows: Counter[str] = Counter()
    clusters: dict[str, set[str]] = {}
    answers = answer_words(batch)
    n_answers = 0
    for i in positions:
        words = answers[i]
        if words is None:
            continue
        n_answers += 1
        for word in set(words):
            if len(word) > _LONGEST_WORD or _DIGIT.search(word):
                continue
            rows[word] += 1
            seen = clusters.setdefault(word, set())
            if len(seen) < MIN_CLUSTERS:
                seen.add(keys[i])
    return rows, clusters, n_answers
