"""Evidently: the drift preset on the table, and its text drift on the answers.

The preset's report takes seconds per column because it draws plots, so its own selector of tests
and its own tests are called directly; `report_scores` is the documented way, and
`python -m scripts.bench_detectors --verify` compares both.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report, __version__
from evidently.legacy.calculations.stattests import get_stattest
from evidently.legacy.core import ColumnType
from evidently.legacy.utils import data_drift_utils
from evidently.presets import DataDriftPreset

from scripts.detectors.windows import CATEGORY, Finding, Window, Windows, minus_log

VERSION = __version__
SHARE = 0.5
"""The preset calls a data set drifted when at least this share of its columns is."""


def to_frame(windows: Windows, window: Window) -> pd.DataFrame:
    """Return a window as a data frame, categories as strings."""
    frame = pd.DataFrame(window.table, columns=list(windows.names))
    for i in windows.columns_of(CATEGORY):
        frame[windows.names[i]] = [f"c{int(v)}" for v in window.table[:, i]]
    return frame


def _types(windows: Windows) -> list[ColumnType]:
    return [
        ColumnType.Categorical if kind == CATEGORY else ColumnType.Numerical
        for kind in windows.kinds
    ]


def column_scores(windows: Windows) -> dict[str, tuple[float, bool, bool]]:
    """Return score, alarm and whether the score is a p-value, per column."""
    before, after = (to_frame(windows, w) for w in (windows.baseline, windows.current))
    found = {}
    for name, kind in zip(windows.names, _types(windows), strict=True):
        reference, current = before[name].dropna(), after[name].dropna()
        test = get_stattest(reference, current, kind, None)
        result = test(reference, current, kind, None)
        is_p = test.name in ("ks", "chisquare", "z")
        found[name] = (float(result.drift_score), bool(result.drifted), is_p)
    return found


def preset(windows: Windows) -> Finding:
    """Decide as `DataDriftPreset` does; the score is its least p-value or greatest distance."""
    found = column_scores(windows)
    alarms = {name: drifted for name, (_, drifted, _) in found.items()}
    scores = [minus_log(s) if is_p else s for s, _, is_p in found.values() if np.isfinite(s)]
    verdict = sum(alarms.values()) / len(alarms) >= SHARE
    return Finding(any(alarms.values()), verdict, max(scores, default=0.0), alarms)


# The test compares its score with a thousand random scores that depend on the windows' sizes alone
# (fixed seeds): drawn once per size, they are the same numbers in a hundredth of the time.
_random_scores = data_drift_utils.roc_auc_random_classifier_percentile
_known: dict[bytes, float] = {}


def _random_percentile(y_test: np.ndarray, p_value: float = 0.05) -> float:
    key = np.asarray(y_test).tobytes() + np.float64(p_value).tobytes()
    if key not in _known:
        _known[key] = float(_random_scores(y_test, p_value=p_value))
    return _known[key]


data_drift_utils.roc_auc_random_classifier_percentile = _random_percentile


def text(windows: Windows) -> Finding:
    """Decide by the default text drift: can a classifier tell the windows' answers apart?"""
    sides = [pd.Series(windows.texts(w)) for w in (windows.baseline, windows.current)]
    result = get_stattest(*sides, ColumnType.Text, None)(*sides, ColumnType.Text, None)
    drifted = bool(result.drifted)
    return Finding(drifted, drifted, float(result.drift_score))


def report_scores(windows: Windows) -> tuple[dict[str, tuple[float, bool]], bool]:
    """Return every column's score and alarm and the verdict as the report gives them."""
    names = {kind: [n for n, k in zip(windows.names, _types(windows), strict=True) if k is kind]
             for kind in (ColumnType.Numerical, ColumnType.Categorical)}  # fmt: skip
    definition = DataDefinition(
        numerical_columns=names[ColumnType.Numerical],
        categorical_columns=names[ColumnType.Categorical],
    )
    sides = [
        Dataset.from_pandas(to_frame(windows, w), data_definition=definition)
        for w in (windows.current, windows.baseline)
    ]
    report = Report([DataDriftPreset()], include_tests=True).run(*sides).dict()
    failed = {t["metric_config"]["params"].get("column"): t["status"] == "FAIL"
              for t in report["tests"]}  # fmt: skip
    found, share = {}, 0.0
    for metric in report["metrics"]:
        column = metric["config"].get("column")
        if column:
            found[column] = (float(metric["value"]), failed[column])
        elif "share" in metric["value"]:
            share = float(metric["value"]["share"])
    return found, share >= SHARE


METHODS = {"preset": preset, "text": text}
SLOW = ("text",)
"""Run on the first quarter of the runs only."""
ANSWERS_ONLY = ("text",)
"""These need texts or embeddings."""


def verify(windows: Windows) -> str:
    """Compare the direct calls with the report; empty where they agree."""
    direct = column_scores(windows)
    reported, verdict = report_scores(windows)
    wrong = [
        n
        for n, (score, drifted) in reported.items()
        if not np.isclose(score, direct[n][0], equal_nan=True) or drifted != direct[n][1]
    ]
    if verdict != preset(windows).verdict:
        wrong.append("verdict")
    return ", ".join(wrong)
