"""Over how many tests of counts to correct."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def family_size(least: Sequence[float], alpha: float) -> int:
    """Return over how many tests to correct: those whose counts could show anything at all.

    Args:
        least: the smallest p-value that each test's counts can give.

    Source: Tarone (1990), "A modified Bonferroni method for discrete data", Biometrics 46:515-522.
    """
    smallest = np.asarray(least, dtype=np.float64)
    family = 1
    while int((smallest <= alpha / family).sum()) > family:
        family += 1
    return family
