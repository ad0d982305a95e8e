"""deepchecks: feature drift of the table with its default condition, and multivariate drift.

The check of text properties computes the same scores with the same condition from a table of
properties; the tabular check is used because it takes such a table without the texts.
"""

from __future__ import annotations

import deepchecks
import pandas as pd
from deepchecks.tabular import Dataset
from deepchecks.tabular.checks import FeatureDrift, MultivariateDrift

from scripts.detectors.windows import CATEGORY, RATE, Finding, Window, Windows

VERSION = deepchecks.__version__


def _dataset(windows: Windows, window: Window) -> Dataset:
    frame = pd.DataFrame(window.table, columns=list(windows.names))
    for i in windows.columns_of(CATEGORY, RATE):
        frame[windows.names[i]] = [f"c{int(v)}" for v in window.table[:, i]]
    categories = [windows.names[i] for i in windows.columns_of(CATEGORY, RATE)]
    return Dataset(frame, cat_features=categories)


def features(windows: Windows) -> Finding:
    """Flag the columns whose drift score is 0.2 or more, the default condition."""
    check = FeatureDrift().add_condition_drift_score_less_than()
    sides = [_dataset(windows, w) for w in (windows.baseline, windows.current)]
    result = check.run(*sides, with_display=False)
    scores = {n: v["Drift score"] for n, v in result.value.items() if v["Drift score"] is not None}
    drifted = not result.passed_conditions(fail_if_warning=True)
    alarms = {name: score >= 0.2 for name, score in scores.items()}
    return Finding(drifted, drifted, float(max(scores.values(), default=0.0)), alarms)


def multivariate(windows: Windows) -> Finding:
    """Flag windows that a classifier tells apart by 0.25 or more, the default condition."""
    check = MultivariateDrift().add_condition_overall_drift_value_less_than()
    sides = [_dataset(windows, w) for w in (windows.baseline, windows.current)]
    result = check.run(*sides, with_display=False)
    drifted = not result.passed_conditions(fail_if_warning=True)
    return Finding(drifted, drifted, float(result.value["domain_classifier_auc"]))


METHODS = {"features": features, "multivariate": multivariate}
SLOW = ("multivariate",)
"""Run on the first quarter of the runs only."""
