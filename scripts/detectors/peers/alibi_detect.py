"""alibi-detect: tabular tests with Bonferroni's correction; kernel and classifier tests on
embeddings.

Everything at its defaults, with the PyTorch backend; the classifier is a logistic regression on
the default split.
"""

from __future__ import annotations

from typing import Any

import alibi_detect
import numpy as np
from alibi_detect.cd import ClassifierDrift, KSDrift, MMDDrift, TabularDrift
from sklearn.linear_model import LogisticRegression

from scripts.detectors.windows import CATEGORY, RATE, Finding, Windows, minus_log

VERSION = alibi_detect.__version__
MOST_ROWS_OF_MMD = 500
"""Time grows with the square of the rows: minutes per comparison at 2,000."""


def _decide(detector: Any, current: np.ndarray) -> tuple[bool, dict[str, Any]]:
    data = detector.predict(current, return_p_val=True, return_distance=True)["data"]
    return bool(data["is_drift"]), data


def tabular(windows: Windows) -> Finding:
    """Test numbers by Kolmogorov-Smirnov, rates and categories by chi-square."""
    before, after = windows.baseline.table, windows.current.table
    both = np.concatenate([before, after])
    categories = {
        i: sorted({int(v) for v in both[:, i]}) for i in windows.columns_of(RATE, CATEGORY)
    }
    # A column with one value has no chi-square; it cannot have drifted either.
    constant = [i for i, values in categories.items() if len(values) < 2]
    kept = [i for i in range(both.shape[1]) if i not in constant]
    named = {kept.index(i): values for i, values in categories.items() if i in kept}
    detector = TabularDrift(before[:, kept], p_val=0.05, categories_per_feature=named or None)
    drifted, data = _decide(detector, after[:, kept])
    p_values = np.atleast_1d(data["p_val"])
    alarms = {
        windows.names[i]: bool(p < data["threshold"]) for i, p in zip(kept, p_values, strict=True)
    }
    return Finding(drifted, drifted, minus_log(np.nanmin(p_values)), alarms)


def _sides(windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    return tuple(w.embedding.astype(np.float32) for w in (windows.baseline, windows.current))


def ks_embedding(windows: Windows) -> Finding:
    """Test every dimension of the embedding by Kolmogorov-Smirnov."""
    before, after = _sides(windows)
    drifted, data = _decide(KSDrift(before, p_val=0.05), after)
    return Finding(drifted, drifted, minus_log(np.min(data["p_val"])))


def mmd_embedding(windows: Windows) -> Finding:
    """Test the embedding by maximum mean discrepancy and permutations."""
    if len(windows.baseline) > MOST_ROWS_OF_MMD:
        return Finding(error=f"not run on more than {MOST_ROWS_OF_MMD} rows per window")
    before, after = _sides(windows)
    drifted, data = _decide(MMDDrift(before, backend="pytorch", p_val=0.05), after)
    return Finding(drifted, drifted, float(data["distance"]))


def classifier_embedding(windows: Windows) -> Finding:
    """Test whether a classifier on the embedding does better than chance."""
    before, after = _sides(windows)
    model = LogisticRegression(max_iter=1000)
    detector = ClassifierDrift(before, model, backend="sklearn", p_val=0.05, preds_type="probs")
    drifted, data = _decide(detector, after)
    return Finding(drifted, drifted, float(data["distance"]))


METHODS = {
    "tabular": tabular,
    "KS on embeddings": ks_embedding,
    "MMD on embeddings": mmd_embedding,
    "classifier on embeddings": classifier_embedding,
}
SLOW = ("MMD on embeddings",)
"""Run on the first quarter of the runs only."""
ANSWERS_ONLY = ("KS on embeddings", "MMD on embeddings", "classifier on embeddings")
"""These need texts or embeddings."""
