"""Segments: groups of rows with like prompts, fixed when a baseline is made.

A change of traffic must not look like a change of the model, so windows are compared segment by
segment. A logged column (a route, a prompt template) resolves traffic exactly; without one,
prompts are clustered, which resolves it only as far as the clusters do. Only what makes answers
differ needs to be resolved, so prompts are near each other when they are alike in their words, in
how they are written, and in what the baseline's answers to such prompts looked like (prognostic
scores: ridge regression of the signals on words and writing).

Source: latent semantic analysis, Deerwester et al. (1990), J. American Society for Information
Science 41:391-407; Hansen (2008), "The prognostic analogue of the propensity score", Biometrika
95:481-488; Ward (1963), "Hierarchical grouping to optimize an objective function", JASA
58:236-244. Ward needs no random start, so equal windows give equal segments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.linalg import eigh

from loopllm_cli.profiles.features import (
    N_STYLE,
    FloatMatrix,
    hashed_counts,
    style_of,
    unit_rows,
    words_of,
)
from loopllm_cli.signals.batch import RowBatch

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ROWS_PER_SEGMENT = 25
MAX_SEGMENTS = 60
OTHER = "prompts unlike the baseline's"
_SAMPLE = 3_000
_MIN_NAME_ROWS = 5
_MIN_DOCUMENTS = 5
_N_TOPICS = 100
_LONGEST_NAME = 4

_STYLE_WEIGHT, _SCORE_WEIGHT = 0.3, 0.6
_N_SCORES = 8
_TOPIC_SCALE, _RIDGE = 5.0, 100.0
"""Weights beside topics of length one, and the regression's penalty, in the middle of a plateau.
With words alone, 36 clusters left 39% to 76% of what a traffic shift does to signals, on the four
services of `scripts/simulate_mix.py`; with all three, see its part `seen`."""
_MOST_DEVIATIONS = 4.0
_LEAST_SPREAD = 0.01
"""Where prompts are all written alike, the last one longer by a letter is not another kind."""


@dataclass(frozen=True)
class SegmentModel:
    """A rule that gives every row one segment number; the last number is "none of these".

    Shapes, for prompt clusters (empty for a column): `projection` (n_features, n_topics) turns
    words into topics; `loadings` (n_topics + N_STYLE + 1, n_scores) turns topics, style and a
    constant into scores; `centroids` (n_segments, n_topics + n_scores); `floors` (n_segments,)
    is the least similarity in topics of a member.
    """

    basis: str
    labels: tuple[str, ...]
    projection: FloatMatrix
    centroids: FloatMatrix
    floors: FloatMatrix
    loadings: FloatMatrix = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))

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
        topics = _to_topics(batch.prompts, self.projection)
        nearest = _nearest(_place(topics, batch.prompts, self.loadings), self.centroids)
        best = _similarity(topics, self.centroids[nearest])
        return np.where(best >= self.floors[nearest], nearest, len(self.labels)).astype(np.int64)

    def families(self, segments: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """Return groups of segments whose prompts are alike, from pairs to nearly all of them.

        The inner nodes of Ward's tree over the segments' centroids, so they are known before any
        answer is. None where a column names the segments: its values are not near each other.
        """
        placed = sorted({k for k in segments if k < len(self.centroids)})
        if len(placed) < 3:
            return ()
        members: list[tuple[int, ...]] = [(k,) for k in placed]
        for left, right, *_ in linkage(self.centroids[placed], method="ward"):
            members.append(tuple(sorted(members[int(left)] + members[int(right)])))
        return tuple(members[len(placed) : -1])


def fit_column(batch: RowBatch, column: str) -> SegmentModel:
    """Use a logged column's most frequent values as segments."""
    counts = Counter(str(v) for v in batch.values(column) if v is not None)
    frequent = sorted(counts, key=lambda value: (-counts[value], value))[:MAX_SEGMENTS]
    labels = tuple(sorted(frequent))
    empty = np.zeros((0, 0), dtype=np.float32)
    return SegmentModel(column, labels, empty, empty, empty)


def fit_prompts(batch: RowBatch, values: FloatArray | None = None) -> SegmentModel:
    """Cluster a window's prompts; the number of clusters follows from the number of prompts.

    Args:
        values: the rows' signals, shape (n_rows, n_signals), NaN where one does not apply.
    """
    prompts = batch.prompts
    # A fixed seed: which rows are sampled must not differ between two runs on one window.
    chosen = np.sort(np.random.default_rng(0).permutation(len(prompts))[:_SAMPLE])
    sample = [prompts[i] for i in chosen]
    projection = _fit_projection(sample)
    topics = _to_topics(sample, projection)
    loadings = _fit_loadings(topics, style_of(sample), None if values is None else values[chosen])
    points = _place(topics, sample, loadings)
    numbers = _cluster(points, _count_clusters(prompts))
    centroids = np.stack([points[numbers == k].mean(axis=0) for k in range(numbers.max() + 1)])
    similarity = _similarity(topics, centroids[numbers])
    floors = [np.quantile(similarity[numbers == k], 0.01) * 0.8 for k in range(len(centroids))]
    users = batch.values("user_id")
    labels = _name_clusters(
        [words_of(prompt) for prompt in sample], numbers, [users[i] for i in chosen]
    )
    return SegmentModel(
        "prompts",
        labels,
        projection,
        centroids.astype(np.float32),
        np.array(floors, dtype=np.float32),
        loadings,
    )


def _count_clusters(prompts: list[str | None]) -> int:
    """Return how many clusters to form: prompts asked again and again count as one each."""
    counts = Counter(prompts)
    frequent = sum(n >= ROWS_PER_SEGMENT for n in counts.values())
    return max(1, min(MAX_SEGMENTS, frequent + (len(counts) - frequent) // ROWS_PER_SEGMENT))


def _fit_loadings(
    topics: FloatMatrix, style: FloatMatrix, values: FloatArray | None
) -> FloatMatrix:
    """Find the scores that stand beside the topics: the style, and what signals follow from."""
    n_topics = topics.shape[1]
    loadings = np.zeros((n_topics + N_STYLE + 1, N_STYLE))
    mean, spread = style.mean(axis=0, dtype=np.float64), style.std(axis=0, dtype=np.float64)
    slopes = np.where(spread > _LEAST_SPREAD, 1 / np.maximum(spread, _LEAST_SPREAD), 0.0)
    loadings[n_topics:-1] = np.diag(_STYLE_WEIGHT * slopes)
    loadings[-1] = -_STYLE_WEIGHT * slopes * mean
    if values is not None:
        scores = _fit_scores(_TOPIC_SCALE * topics, (style - mean) * slopes, values)
        scores[:n_topics] *= _TOPIC_SCALE
        scores[n_topics:] *= slopes[:, None]
        constant = -np.vstack([topics.T, style.T]).mean(axis=1) @ scores
        loadings = np.hstack([loadings, _SCORE_WEIGHT * np.vstack([scores, constant])])
    return loadings.astype(np.float32)


def _fit_scores(topics: FloatMatrix, style: FloatMatrix, values: FloatArray) -> FloatArray:
    """Regress the signals on topics and style; return the strongest directions of the fits."""
    x = np.hstack([topics, style]).astype(np.float64)
    x -= x.mean(axis=0)
    known = np.isfinite(values)
    n = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, values - np.where(known, values, 0.0).sum(axis=0) / n, 0.0)
    spread = np.sqrt((centred**2).sum(axis=0) / n)
    moving = spread > 0
    if not moving.any():
        return np.zeros((x.shape[1], 0))
    y = np.clip(centred[:, moving] / spread[moving], -_MOST_DEVIATIONS, _MOST_DEVIATIONS)
    slopes = np.linalg.solve(x.T @ x + _RIDGE * np.eye(x.shape[1]), x.T @ y)
    fitted = x @ slopes
    _, directions = eigh(fitted.T @ fitted)
    return np.asarray(slopes @ directions[:, ::-1][:, :_N_SCORES])


def _place(topics: FloatMatrix, prompts: list[str | None], loadings: FloatMatrix) -> FloatMatrix:
    """Return prompts as points: their topics, and their scores beside them."""
    ones = np.ones((len(topics), 1))
    scores = np.hstack([topics, style_of(prompts), ones]) @ loadings
    return np.hstack([topics, scores]).astype(np.float32)


def _nearest(points: FloatMatrix, centroids: FloatMatrix) -> IntArray:
    distance = (centroids**2).sum(axis=1) - 2 * points @ centroids.T
    nearest: IntArray = np.argmin(distance, axis=1).astype(np.int64)
    return nearest


def _similarity(topics: FloatMatrix, centroids: FloatMatrix) -> FloatMatrix:
    """Return the cosine between each row's topics and its centroid's."""
    return np.asarray((topics * unit_rows(centroids[:, : topics.shape[1]])).sum(axis=1))


def _fit_projection(prompts: list[str | None]) -> FloatMatrix:
    """Find the topics of the prompts; rare features and weights of single words are damped."""
    counts = hashed_counts(prompts)
    documents = (counts > 0).sum(axis=0)
    idf = np.sqrt(np.log((1 + len(prompts)) / (1 + documents)) + 1)
    enough = documents >= min(_MIN_DOCUMENTS, max(len(prompts) // 10, 1))
    idf = np.where(enough, idf, 0.0).astype(np.float32)
    # Only features that occur: the others add nothing but cubic time.
    present = np.flatnonzero(idf)
    if not len(present):
        return np.zeros((len(idf), 1), dtype=np.float32)
    vectors = unit_rows(counts * idf)[:, present].astype(np.float64)
    topics = _strongest_directions(vectors)
    result: FloatMatrix = np.zeros((len(idf), topics.shape[1]), dtype=np.float32)
    result[present] = idf[present, None] * topics
    return result


def _strongest_directions(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the leading right singular vectors as columns, from the smaller of both squares."""
    n_rows, n_features = vectors.shape
    size = min(n_rows, n_features)
    strongest = (max(size - _N_TOPICS, 0), size - 1)
    if n_features <= n_rows:
        _, directions = eigh(vectors.T @ vectors, subset_by_index=strongest)
        return np.asarray(directions[:, ::-1])
    powers, sides = eigh(vectors @ vectors.T, subset_by_index=strongest)
    strong = powers > 1e-9 * powers[-1]
    return np.asarray((vectors.T @ sides[:, strong] / np.sqrt(powers[strong]))[:, ::-1])


def _to_topics(prompts: list[str | None], projection: FloatMatrix) -> FloatMatrix:
    return unit_rows(hashed_counts(prompts) @ projection)


def _cluster(vectors: FloatMatrix, n_clusters: int) -> IntArray:
    if n_clusters == 1 or len(vectors) < 2:
        return np.zeros(len(vectors), dtype=np.int64)
    tree = linkage(vectors.astype(np.float64), "ward")
    numbers: IntArray = fcluster(tree, n_clusters, "maxclust").astype(np.int64) - 1
    return numbers


def _name_clusters(
    words: list[list[str]], numbers: IntArray, users: list[str | None]
) -> tuple[str, ...]:
    """Name each cluster by its most telling phrase; a phrase of few rows is never shown.

    Phrases with digits, and phrases of a single user where users are logged, are left out too:
    names are read by many people, and must not carry what one user wrote.
    """
    grams = [_phrases(row) for row in words]
    overall = Counter(gram for row in grams for gram in row)
    names: list[str] = []
    for k in range(int(numbers.max()) + 1):
        rows = np.flatnonzero(numbers == k)
        inside = Counter(gram for i in rows for gram in grams[i])
        writers: dict[tuple[str, ...], set[str | int]] = {gram: set() for gram in inside}
        for i in rows:
            for gram in grams[i]:
                writers[gram].add(users[i] or int(i))
        scores = {
            gram: (n / len(rows)) * np.log(1 + len(words) / overall[gram]) * np.sqrt(len(gram))
            for gram, n in inside.items()
            if n >= _MIN_NAME_ROWS and len(writers[gram]) > 1
        }
        best = max(scores, key=lambda gram: (scores[gram], gram), default=None)
        name = " ".join(best) if best else f"cluster {k + 1}"
        names.append(name if name not in names else f"{name} ({k + 1})")
    return tuple(names)


def _phrases(words: list[str]) -> set[tuple[str, ...]]:
    """Return runs of up to four words without a digit, one of them longer than two letters."""
    plain = [not any(map(str.isdigit, word)) for word in words]
    telling = [len(word) > 2 for word in words]
    found: set[tuple[str, ...]] = set()
    for start in range(len(words)):
        tells = False
        for end in range(start, min(start + _LONGEST_NAME, len(words))):
            if not plain[end]:
                break
            tells = tells or telling[end]
            if tells:
                found.add(tuple(words[start : end + 1]))
    return found
