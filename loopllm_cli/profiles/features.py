"""Prompts as vectors without a download: hashed word n-grams.

Digits become 0, so that order numbers do not make every prompt its own topic.
"""

from __future__ import annotations

import re
import zlib
from itertools import pairwise

import numpy as np
import numpy.typing as npt

FloatMatrix = npt.NDArray[np.float32]

N_FEATURES = 1024
_MAX_WORDS = 200
_WORD = re.compile(r"\w+")
_DIGIT = re.compile(r"\d")


def words_of(text: str | None) -> list[str]:
    """Split a text into lower-case words with digits masked."""
    return _WORD.findall(_DIGIT.sub("0", (text or "").lower()))[:_MAX_WORDS]


def hashed_counts(texts: list[str | None]) -> FloatMatrix:
    """Count hashed words and word pairs.

    Returns:
        Shape (n_texts, N_FEATURES): square roots of the counts.
    """
    out = np.zeros((len(texts), N_FEATURES), dtype=np.float32)
    for row, text in enumerate(texts):
        words = words_of(text)
        grams = [*words, *(f"{a} {b}" for a, b in pairwise(words))]
        for gram in grams:
            out[row, zlib.crc32(gram.encode("utf-8", "replace")) % N_FEATURES] += 1.0
    result: FloatMatrix = np.sqrt(out)
    return result


def unit_rows(matrix: FloatMatrix) -> FloatMatrix:
    """Scale every row to length one; rows of zeros stay."""
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    result: FloatMatrix = (matrix / np.where(norms > 0, norms, 1.0)).astype(np.float32)
    return result
