"""whylogs: profiles of both windows, compared by the default drift scores of each column."""

from __future__ import annotations

import pandas as pd
import whylogs
from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

from scripts.detectors.windows import CATEGORY, Finding, Window, Windows, minus_log

VERSION = whylogs.__version__


def _profile(windows: Windows, window: Window) -> object:
    frame = pd.DataFrame(window.table, columns=list(windows.names))
    for i in windows.columns_of(CATEGORY):
        frame[windows.names[i]] = [f"c{int(v)}" for v in window.table[:, i]]
    return whylogs.log(pandas=frame).view()


def profiles(windows: Windows) -> Finding:
    """Flag the columns whose category is DRIFT; "possible drift" is not counted."""
    views = [_profile(windows, w) for w in (windows.current, windows.baseline)]
    scores = calculate_drift_scores(*views, with_thresholds=True)
    known = {name: score for name, score in scores.items() if score is not None}
    alarms = {name: score["drift_category"] == "DRIFT" for name, score in known.items()}
    least = min((score["pvalue"] for score in known.values()), default=1.0)
    return Finding(any(alarms.values()), None, minus_log(least), alarms)


METHODS = {"profiles": profiles}
