"""Prompts as vectors without a download: hashed word n-grams, and how the text is written.

Numbers become 0, so that order numbers do not make every prompt its own topic.
"""

from __future__ import annotations

import re
import zlib
from itertools import pairwise

import numpy as np
import numpy.typing as npt

FloatMatrix = npt.NDArray[np.float32]

N_FEATURES = 1024
N_STYLE = 8
_MAX_WORDS = 200
_MAX_CHARS = 4_000
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\d+")


def words_of(text: str | None) -> list[str]:
    """Split a text into lower-case words with numbers masked."""
    return _WORD.findall(_NUMBER.sub("0", (text or "").lower()))[:_MAX_WORDS]


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


def style_of(texts: list[str | None]) -> FloatMatrix:
    """Measure how texts are written: their length, lines, questions, digits, marks and capitals.

    Two requests about one topic get answers of other lengths and shapes when one is a line and
    the other a page; words alone do not tell them apart. A number counts as one digit.

    Returns:
        Shape (n_texts, N_STYLE).
    """
    rows = [_style(text or "") for text in texts]
    return np.array(rows, dtype=np.float32).reshape(len(texts), N_STYLE)


def _style(text: str) -> tuple[float, ...]:
    part = _NUMBER.sub("0", text[:_MAX_CHARS])
    beyond = max(len(text) - _MAX_CHARS, 0)
    digits = sum(map(str.isdigit, part))
    letters = sum(map(str.isalpha, part))
    marks = len(part) - digits - letters - sum(map(str.isspace, part))
    amounts = (len(part) + beyond, len(part.split()), part.count("\n"), digits, marks)
    capitals = sum(map(str.isupper, part)) / max(letters, 1)
    ends = part.rstrip().endswith(("?", "？", "؟"))
    return (*np.log1p(amounts).tolist(), capitals, float("?" in part), float(ends))


def unit_rows(matrix: FloatMatrix) -> FloatMatrix:
    """Scale every row to length one; rows of zeros stay."""
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    result: FloatMatrix = (matrix / np.where(norms > 0, norms, 1.0)).astype(np.float32)
    return result
