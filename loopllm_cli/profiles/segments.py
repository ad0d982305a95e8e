"""Segments: groups of rows with like prompts, fixed when a baseline is made.

A change of traffic must not look like a change of the model, so windows are compared segment by
segment. A logged column (a route, a prompt template) resolves traffic exactly; without one,
prompts are clustered by their words (spherical k-means, Dhillon & Modha 2001), which resolves it
only as far as the clusters do.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.cluster.vq import kmeans2

from loopllm_cli.profiles.features import FloatMatrix, hashed_counts, unit_rows, words_of
from loopllm_cli.signals.batch import RowBatch

IntArray = npt.NDArray[np.int64]

ROWS_PER_SEGMENT = 60
MAX_SEGMENTS = 40
OTHER = "prompts unlike the baseline's"
_SAMPLE = 6_000
_MIN_WORD_ROWS = 5
_SAME_TOPIC = 0.80


@dataclass(frozen=True)
class SegmentModel:
    """A rule that gives every row one segment number; the last number is "none of these".

    Shapes: `centroids` (n_segments, n_features) and `idf` (n_features,) for prompt clusters,
    empty for a column; `floors` (n_segments,) is the least similarity of a member.
    """

    basis: str
    labels: tuple[str, ...]
    centroids: FloatMatrix
    idf: FloatMatrix
    floors: FloatMatrix

    @property
    def n_segments(self) -> int:
        """Number of segments, "none of these" included."""
        return len(self.labels) + 1

    def label(self, number: int) -> str:
        """Return a segment's words."""
        return self.labels[number] if number < len(self.labels) else OTHER

    def assign(self, batch: RowBatch) -> IntArray:
        """Return each row's segment number, shape (n_rows,)."""
        if self.basis != "prompts":
            index = {label: i for i, label in enumerate(self.labels)}
            values = batch.values(self.basis)
            return np.array([index.get(str(v), len(self.labels)) for v in values], dtype=np.int64)
        if not self.labels:
            return np.zeros(len(batch), dtype=np.int64)
        vectors = unit_rows(hashed_counts(batch.prompts) * self.idf)
        similarity = vectors @ self.centroids.T
        nearest = np.argmax(similarity, axis=1)
        best = similarity[np.arange(len(batch)), nearest]
        return np.where(best >= self.floors[nearest], nearest, len(self.labels)).astype(np.int64)


def fit_column(batch: RowBatch, column: str) -> SegmentModel:
    """Use a logged column's most frequent values as segments."""
    counts = Counter(str(v) for v in batch.values(column) if v is not None)
    labels = tuple(sorted(value for value, _ in counts.most_common(MAX_SEGMENTS)))
    empty = np.zeros((0, 0), dtype=np.float32)
    return SegmentModel(column, labels, empty, empty, empty)


def fit_prompts(batch: RowBatch, seed: int = 0) -> SegmentModel:
    """Cluster a window's prompts; the number of clusters follows from the number of rows."""
    prompts = batch.prompts
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(prompts))[:_SAMPLE]
    counts = hashed_counts([prompts[i] for i in chosen])
    document_share = (counts > 0).mean(axis=0)
    idf = (np.log((1 + len(chosen)) / (1 + len(chosen) * document_share)) + 1).astype(np.float32)
    vectors = unit_rows(counts * idf)
    n_distinct = len(np.unique(vectors.round(4), axis=0))
    n_clusters = max(1, min(MAX_SEGMENTS, len(prompts) // ROWS_PER_SEGMENT, n_distinct))
    centroids = _cluster(vectors, n_clusters, rng)
    similarity = vectors @ centroids.T
    nearest = np.argmax(similarity, axis=1)
    used = [k for k in range(len(centroids)) if (nearest == k).any()]
    floors = [np.quantile(similarity[nearest == k, k], 0.01) * 0.8 for k in used]
    labels = _name_clusters([words_of(prompts[i]) for i in chosen], nearest, used)
    return SegmentModel(
        "prompts", labels, centroids[used], idf[None, :], np.array(floors, dtype=np.float32)
    )


def _cluster(vectors: FloatMatrix, n_clusters: int, rng: np.random.Generator) -> FloatMatrix:
    """Cluster unit vectors, then join clusters that are the same topic in other words."""
    found, _ = kmeans2(vectors, n_clusters, minit="++", rng=rng, missing="warn")
    centroids = unit_rows(np.asarray(found, dtype=np.float32))
    while len(centroids) > 1:
        similarity = centroids @ centroids.T - 2 * np.eye(len(centroids), dtype=np.float32)
        a, b = divmod(int(np.argmax(similarity)), len(centroids))
        if similarity[a, b] < _SAME_TOPIC:
            break
        merged = unit_rows((centroids[a] + centroids[b])[None, :])
        centroids = np.vstack([np.delete(centroids, (a, b), axis=0), merged])
    result: FloatMatrix = centroids
    return result


def _name_clusters(words: list[list[str]], nearest: IntArray, used: list[int]) -> tuple[str, ...]:
    """Name clusters by their tell-tale words; a word of few rows is never shown.

    Words with digits are left out too: names are read by many people, and must not carry what
    one user wrote.
    """
    overall = Counter(w for row in words for w in set(row))
    names: list[str] = []
    for k in used:
        rows = [set(words[i]) for i in np.flatnonzero(nearest == k)]
        inside = Counter(w for row in rows for w in row)
        scores: dict[str, Any] = {
            w: n / len(rows) * np.log(len(words) / overall[w] + 0.5)
            for w, n in inside.items()
            if n >= _MIN_WORD_ROWS and len(w) > 2 and not any(c.isdigit() for c in w)
        }
        best = sorted(scores, key=lambda w: (-scores[w], w))[:3]
        name = " ".join(best) or f"cluster {k + 1}"
        names.append(name if name not in names else f"{name} ({k + 1})")
    return tuple(names)
