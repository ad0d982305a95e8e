"""NannyML: univariate drift (Jensen-Shannon) and multivariate drift (PCA reconstruction error).

Both split the baseline and the current window into ten chunks each and flag a chunk that lies
beyond the mean plus three standard deviations of the baseline's chunks.
"""

from __future__ import annotations

import nannyml
import numpy as np
import pandas as pd

from scripts.detectors.windows import CATEGORY, Finding, Window, Windows

VERSION = nannyml.__version__
_LEAST_SD = 1e-9
FEWEST_CHUNKS = 5


def _frame(windows: Windows, window: Window) -> pd.DataFrame:
    frame = pd.DataFrame(window.table, columns=list(windows.names))
    for i in windows.columns_of(CATEGORY):
        labels = [f"c{int(v)}" for v in window.table[:, i]]
        frame[windows.names[i]] = pd.Series(labels, dtype="category")
    return frame


def _frames(windows: Windows) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Return both windows and the columns that vary; others have no bins."""
    before, after = _frame(windows, windows.baseline), _frame(windows, windows.current)
    return before, after, [n for n in windows.names if before[n].nunique() > 1]


def _score(reference: pd.DataFrame, analysis: pd.DataFrame) -> float:
    """Return how many of the baseline chunks' standard deviations the farthest chunk lies away."""
    values = reference["value"].astype(float)
    spread = max(float(np.nanstd(values)), _LEAST_SD)
    farthest = np.nanmax(np.abs(analysis["value"].astype(float) - np.nanmean(values)))
    return float(farthest / spread)


def univariate(windows: Windows) -> Finding:
    """Flag chunks column by column, with the default distance, chunks and thresholds."""
    return _univariate(windows)


def univariate_equal_chunks(windows: Windows) -> Finding:
    """The same with chunks of one size: distances depend on the chunk's size.

    The current window is one chunk where the baseline has five such chunks, else ten chunks.
    """
    n = len(windows.current)
    whole = len(windows.baseline) >= FEWEST_CHUNKS * n
    return _univariate(windows, chunk_size=n if whole else max(n // 10, 1))


def _univariate(windows: Windows, **chunking: int) -> Finding:
    before, after, names = _frames(windows)
    calculator = nannyml.UnivariateDriftCalculator(column_names=names, **chunking).fit(before)
    result = calculator.calculate(after)
    sides = [result.filter(period=p).to_df(multilevel=True) for p in ("reference", "analysis")]
    alarms, scores = {}, []
    for name in names:
        reference, analysis = (side[(name, "jensen_shannon")] for side in sides)
        alarms[name] = bool(analysis["alert"].astype(bool).any())
        scores.append(_score(reference, analysis))
    return Finding(any(alarms.values()), None, max(scores, default=0.0), alarms)


def reconstruction(windows: Windows) -> Finding:
    """Flag chunks by the error of reconstructing their rows from the baseline's components."""
    before, after, names = _frames(windows)
    calculator = nannyml.DataReconstructionDriftCalculator(column_names=names).fit(before)
    result = calculator.calculate(after)
    reference, analysis = (
        result.filter(period=p).to_df(multilevel=True)["reconstruction_error"]
        for p in ("reference", "analysis")
    )
    drifted = bool(analysis["alert"].astype(bool).any())
    return Finding(drifted, None, _score(reference, analysis))


METHODS = {
    "univariate": univariate,
    "univariate, equal chunks": univariate_equal_chunks,
    "reconstruction": reconstruction,
}
SLOW = ("univariate, equal chunks", "reconstruction")
"""Run on the first quarter of the runs only."""
