"""Two samples of rows as scores per cluster: what the omnibus test permutes.

An amount gives two scores, its rank (mid-rank among both windows' rows) and its distance from
the middle, 1.5 (2U − 1)², so that a change of spread shows; a rate gives itself; a signal that
applies to some rows only gives a 0/1 score more. Every score is centred within its prompt
segment over both windows' rows. Their sum over the current window's rows is then the change at
the shared mix (the weights n_B n_C / (n_B + n_C) per segment), so traffic that moves between
segments does not count.

Source: van Elteren (1960), "On the combination of independent two-sample tests of Wilcoxon",
Bulletin of the International Statistical Institute 37:351-361 (ranks combined over strata with
these weights); Ansari & Bradley (1960), Annals of Mathematical Statistics 31:1174-1189, and Mood
(1954), 25:514-522 (ranks from the middle as a test of spread).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from loopllm_cli.profiles.sample import RowSample

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

MIN_MINORITY = 4
"""Rows in which a 0/1 score must differ from the others, over both windows: with fewer, no
arrangement of them among the windows is rarer than about one in sixteen."""
N_COMPONENTS = 32
_MIN_SCALE = 1e-9


@dataclass(frozen=True)
class Scores:
    """Scores of all comparable rows of two windows, centred and of unit spread.

    Shapes: `values` (n, n_scores); `vectors` (n, at most N_COMPONENTS), the answers' strongest
    directions, as long as they come; `is_current` and `clusters` (n,), clusters numbered.
    """

    names: tuple[str, ...]
    values: FloatArray
    vectors: FloatArray
    is_current: BoolArray
    clusters: IntArray


def to_scores(baseline: RowSample, current: RowSample) -> Scores:
    """Score the rows of the segments that both windows have.

    Args:
        baseline, current: samples of the same signals.
    """
    shared = np.intersect1d(baseline.segments, current.segments)
    windows = [s.take(np.flatnonzero(np.isin(s.segments, shared))) for s in (baseline, current)]
    before = windows[0]
    segments = np.concatenate([w.segments for w in windows]).astype(np.int64)
    values = np.concatenate([w.values for w in windows]).astype(np.float64)
    named = [
        (name, centred)
        for name, column in _columns(baseline.signal_names, values)
        if (centred := _standard(column, segments)) is not None
    ]
    raw = np.concatenate([w.answer_vectors for w in windows]).astype(np.float64)
    keys = np.concatenate([w.clusters for w in windows])
    return Scores(
        names=tuple(name for name, _ in named),
        values=np.stack([c for _, c in named], axis=1) if named else np.zeros((len(keys), 0)),
        vectors=_strongest(_centred(raw, segments)),
        is_current=np.arange(len(keys)) >= len(before),
        clusters=np.unique(keys, return_inverse=True)[1].astype(np.int64),
    )


def _columns(names: tuple[str, ...], values: FloatArray) -> Iterator[tuple[str, FloatArray]]:
    """Yield each score by name, NaN where it does not apply."""
    patterns: set[bytes] = set()
    for name, column in zip(names, values.T, strict=True):
        applies = np.isfinite(column)
        if 0 < applies.sum() < len(column) and applies.tobytes() not in patterns:
            patterns.add(applies.tobytes())
            yield f"{name}: applies", applies.astype(float)
        kept = column[applies]
        if not len(kept) or kept.min() == kept.max():
            continue
        if np.isin(kept, (0.0, 1.0)).all():
            yield name, column
            continue
        uniform = np.full(len(column), np.nan)
        uniform[applies] = (rankdata(kept) - 0.5) / len(kept)
        yield name, uniform
        yield f"{name}: spread", 1.5 * (2 * uniform - 1) ** 2


def _standard(column: FloatArray, segments: IntArray) -> FloatArray | None:
    """Centre a score within segments and scale it to unit spread; 0 where it does not apply."""
    applies = np.isfinite(column)
    kept = column[applies]
    common = np.unique(kept, return_counts=True)[1].max()
    if len(kept) - common < MIN_MINORITY:
        return None
    out = np.zeros(len(column))
    out[applies] = _centred(kept[:, None], segments[applies])[:, 0]
    scale = float(np.sqrt(np.mean(out[applies] ** 2)))
    return out / scale if scale > _MIN_SCALE else None


def _centred(values: FloatArray, segments: IntArray) -> FloatArray:
    _, numbers = np.unique(segments, return_inverse=True)
    rows = np.maximum(np.bincount(numbers), 1)
    totals = np.stack([np.bincount(numbers, weights=v) for v in values.T], axis=1)
    return np.asarray(values - (totals / rows[:, None])[numbers])


def _strongest(vectors: FloatArray) -> FloatArray:
    """Rotate vectors to their strongest directions, found over both windows together.

    Labels play no part in it, so that permuting them leaves it as it is.
    """
    power, directions = np.linalg.eigh(vectors.T @ vectors)
    keep = [k for k in np.argsort(-power)[:N_COMPONENTS] if power[k] > _MIN_SCALE * len(vectors)]
    return np.asarray(vectors @ directions[:, keep])
