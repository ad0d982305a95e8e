"""Control over many signals: the chance that any of them is wrongly called worse.

Source: Holm (1979), "A simple sequentially rejective multiple test procedure", Scandinavian
Journal of Statistics 6:65-70.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def holm(p_values: FloatArray) -> FloatArray:
    """Return Holm's adjusted p-values, in the order given.

    Example:
        >>> [round(float(p), 3) for p in holm(np.array([0.01, 0.04, 0.03]))]
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    n = len(p_values)
    steps = p_values[order] * np.arange(n, 0, -1)
    adjusted = np.empty(n)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
