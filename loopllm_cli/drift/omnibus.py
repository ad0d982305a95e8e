"""Do two windows differ in a way that no single signal needs to name? One test over everything.

Parts, each strong against other changes:

largest      the largest studentised change of any score (`scores.py`)
many         the sum of the squares of all scores' changes
together     Hotelling's T² over all scores and the answers' strongest directions
answers      the same over the answers' directions alone

Each is measured in steps from the median to the 95% point of its permutations; the statistic is
the root of the sum of squares of the parts' steps above the median. Of 60 combinations tried on
diluted real changes (100 runs in each of 11 cells, at equal false alarms) it found most: 0.54 on
average, where the greater of the largest and together found 0.53, a kernel distance of the
answers 0.39 and Kolmogorov-Smirnov per signal 0.20. `scripts/simulate_omnibus.py` has fresh draws.

The distribution comes from permuting whole clusters between the windows; clusters that have rows
in both windows (users who return, prompts that are asked again) count by their own difference,
whose sign is drawn instead.
The seed follows from the data, so that equal windows give equal p-values and different windows
do not share one set of permutations. The test informs and never pages.

Source: Phipson & Smyth (2010), "Permutation p-values should never be zero", Statistical
Applications in Genetics and Molecular Biology 9:39 (+1); Westfall & Young (1993),
"Resampling-based multiple testing" (largest statistic); Hotelling (1931), Annals of Mathematical
Statistics 2:360-378; Chung & Romano (2013), "Exact and asymptotically robust permutation tests",
Annals of Statistics 41:484-507 (studentised statistics); Besag & Clifford (1991), "Sequential
Monte Carlo p-values", Biometrika 78:301-304 (early stop).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from loopllm_cli.drift.scores import Scores, to_scores
from loopllm_cli.model import Omnibus, OmnibusPart, ScoreChange
from loopllm_cli.profiles.sample import RowSample

FloatArray = npt.NDArray[np.float64]
SingleArray = npt.NDArray[np.float32]

MIN_BITS = 7.0
"""There must be 2^7 arrangements of the clusters at least: with fewer, no p-value is below 1%."""
PARTS = ("largest", "many", "together", "answers")
_BATCH = 100
_MAX_TELLING = 10


@dataclass(frozen=True, slots=True)
class OmnibusSettings:
    """How long to permute, and when a difference is one.

    Permuting stops after `first` permutations when more than `clearly_none` of them are at least
    as far apart as the windows are.
    """

    alpha: float = 0.05
    permutations: int = 499
    first: int = 199
    clearly_none: float = 0.2


def run_omnibus(
    baseline: RowSample, current: RowSample, settings: OmnibusSettings | None = None
) -> Omnibus:
    """Test whether two samples of rows differ in anything, at the shared mix of prompts.

    Returns:
        The p-value with what contributed most; a p-value of 1 and a note where too few clusters
        are left to tell.
    """
    settings = settings or OmnibusSettings()
    if min(len(baseline), len(current)) == 0:
        return _nothing("a window has no rows")
    scores = to_scores(baseline, current)
    if not len(scores.clusters):
        return _nothing("no segment occurs in both windows")
    if not scores.values.shape[1] + scores.vectors.shape[1]:
        return _nothing("nothing varies")
    design = _to_design(scores)
    if design.bits() < MIN_BITS:
        return _nothing("too few users or prompts to tell chance from change")
    observed = design.statistics(design.own)
    permuted = _permute(design, observed, settings)
    return _to_result(scores.names, observed, permuted, settings)


def _nothing(note: str) -> Omnibus:
    return Omnibus(p_value=1.0, statistic=0.0, n_permutations=0, parts=(), scores=(), note=note)


@dataclass(frozen=True)
class _Labels:
    """Arrangements of clusters between the windows, one per row.

    Shapes: `pure` (n, n_pure) is 1 − π for the current window and −π for the baseline;
    `mixed` (n, n_mixed) is +1 or −1.
    """

    pure: SingleArray
    mixed: SingleArray


@dataclass(frozen=True)
class _Statistics:
    """Shapes: `parts` (n, n_parts), `changes` (n, n_scores), studentised."""

    parts: FloatArray
    changes: FloatArray


@dataclass(frozen=True)
class _Design:
    """Sums of scores per cluster, ready to be signed by labels.

    Shapes: `pure` (n_pure, n_columns): sums of clusters that lie in one window; `mixed`
    (n_mixed, n_columns): the others' differences, times n_B n_C / (n_B + n_C) of their rows.
    Columns are scores, then the answers' directions.
    """

    pure: SingleArray
    mixed: SingleArray
    n_scores: int
    whitening: tuple[FloatArray, FloatArray]
    own: _Labels
    share: float
    seed: int

    def statistics(self, labels: _Labels) -> _Statistics:
        """Compute every part's statistic for arrangements."""
        j = self.n_scores
        sums = (labels.pure @ self.pure + labels.mixed @ self.mixed).astype(np.float64)
        spread = labels.pure**2 @ self.pure[:, :j] ** 2 + (self.mixed[:, :j] ** 2).sum(axis=0)
        # Never less than a fifth of what all clusters show: few rare events may miss a window.
        least = 0.2 * self._pooled(j)
        changes = sums[:, :j] / np.sqrt(np.maximum(np.maximum(spread, least), 1e-12))
        together, answers = self.whitening
        parts = [
            np.abs(changes).max(axis=1) if j else np.zeros(len(sums)),
            (changes**2).sum(axis=1),
            ((sums @ together) ** 2).sum(axis=1),
            ((sums[:, j:] @ answers) ** 2).sum(axis=1),
        ]
        return _Statistics(np.stack(parts, axis=1), changes)

    def _pooled(self, j: int) -> SingleArray:
        scale = self.share * (1 - self.share)
        pooled = scale * (self.pure[:, :j] ** 2).sum(axis=0) + (self.mixed[:, :j] ** 2).sum(axis=0)
        return np.asarray(pooled, dtype=np.float32)

    def bits(self) -> float:
        """Return how many arrangements differ in their distance, as a power of two."""
        n, n_current = self.own.pure.shape[1], int((self.own.pure > 0).sum())
        ways = special.gammaln(n + 1) - special.gammaln(n_current + 1)
        ways -= special.gammaln(n - n_current + 1)
        # Swapping everything leaves every distance as it is.
        return float(ways / np.log(2) + len(self.mixed) - 1)

    def draw(self, rng: np.random.Generator, n: int) -> _Labels:
        """Draw arrangements at random."""
        pure = rng.permuted(np.repeat(self.own.pure, n, axis=0), axis=1)
        signs = rng.integers(0, 2, (n, len(self.mixed)), dtype=np.int8)
        return _Labels(pure, (2.0 * signs - 1.0).astype(np.float32))


def _to_design(scores: Scores) -> _Design:
    columns = np.concatenate([scores.values, scores.vectors], axis=1)
    n_clusters = int(scores.clusters.max()) + 1
    share = float(scores.is_current.mean())
    rows = [
        np.bincount(scores.clusters[side], minlength=n_clusters)
        for side in (~scores.is_current, scores.is_current)
    ]
    before, after = (_sums(columns, scores.clusters, side, n_clusters) for side in (
        ~scores.is_current, scores.is_current
    ))  # fmt: skip
    both = (rows[0] > 0) & (rows[1] > 0)
    # Within a cluster that both windows have, its own level cancels.
    weight = 1.0 / np.maximum(rows[0] + rows[1], 1)[:, None]
    mixed = ((rows[0][:, None] * after - rows[1][:, None] * before) * weight)[both]
    alone = ~both
    if not ((rows[0][alone] > 0).any() and (rows[1][alone] > 0).any()):
        alone[:] = False  # all in one window: they cannot change places
    pure = (before + after)[alone]
    label = np.where(rows[1][alone] > 0, 1 - share, -share)[None].astype(np.float32)
    n_units = len(pure) + len(mixed)
    j = scores.values.shape[1]
    covariance = share * (1 - share) * pure.T @ pure + mixed.T @ mixed
    digest = hashlib.blake2b(columns.astype(np.float32).tobytes(), digest_size=8)
    digest.update(scores.is_current.tobytes())
    return _Design(
        pure=pure.astype(np.float32),
        mixed=mixed.astype(np.float32),
        n_scores=j,
        whitening=(_whiten(covariance, n_units), _whiten(covariance[j:, j:], n_units)),
        own=_Labels(label, np.ones((1, len(mixed)), dtype=np.float32)),
        share=share,
        seed=int.from_bytes(digest.digest()),
    )


def _sums(columns: FloatArray, clusters: npt.NDArray[np.int64], side: npt.NDArray[np.bool_],
          n: int) -> FloatArray:  # fmt: skip
    return np.stack(
        [np.bincount(clusters[side], weights=c[side], minlength=n) for c in columns.T], axis=1
    )


def _whiten(covariance: FloatArray, n_clusters: int) -> FloatArray:
    """Return the map that gives sums unit covariance, in the directions that clusters support."""
    if not len(covariance):
        return np.zeros((0, 0))
    power, directions = np.linalg.eigh(covariance)
    order = np.argsort(-power)[: max(1, n_clusters // 4)]
    keep = order[power[order] > 1e-4 * power.max()]
    return np.asarray(directions[:, keep] / np.sqrt(np.maximum(power[keep], 1e-12)))


def _permute(design: _Design, observed: _Statistics, settings: OmnibusSettings) -> _Statistics:
    """Permute in batches until the outcome is clear, or all permutations are made."""
    rng = np.random.default_rng(design.seed)
    found: list[_Statistics] = []
    n = 0
    while n < settings.permutations:
        stop = settings.first if n < settings.first else settings.permutations
        size = min(_BATCH, stop - n)
        found.append(design.statistics(design.draw(rng, size)))
        n += size
        if n == settings.first:
            so_far = _joined(found)
            farthest = _farthest(_steps(observed.parts, so_far.parts))
            if (farthest[1:] >= farthest[0]).mean() > settings.clearly_none:
                break
    return _joined(found)


def _joined(found: list[_Statistics]) -> _Statistics:
    return _Statistics(
        np.concatenate([f.parts for f in found]), np.concatenate([f.changes for f in found])
    )


def _farthest(steps: FloatArray) -> FloatArray:
    """Join the parts' steps into one distance, of the windows (first) and each permutation."""
    return np.asarray(np.sqrt((np.maximum(steps, 0.0) ** 2).sum(axis=1)))


def _steps(observed: FloatArray, permuted: FloatArray) -> FloatArray:
    """Measure each part from its median to its 95% point, over windows and permutations alike."""
    everything = np.concatenate([observed, permuted])
    middle, high = np.quantile(everything, [0.5, 0.95], axis=0)
    width = high - middle
    return np.where(width > 0, (everything - middle) / np.where(width > 0, width, 1.0), 0.0)


def _to_result(
    names: tuple[str, ...],
    observed: _Statistics,
    permuted: _Statistics,
    settings: OmnibusSettings,
) -> Omnibus:
    steps = _steps(observed.parts, permuted.parts)
    farthest = _farthest(steps)
    n = len(permuted.parts)
    alone = (1 + (permuted.parts >= observed.parts).sum(axis=0)) / (n + 1)
    p_value = float((1 + (farthest[1:] >= farthest[0]).sum()) / (n + 1))
    parts = tuple(
        OmnibusPart(name, float(steps[0, k]), float(alone[k])) for k, name in enumerate(PARTS)
    )
    return Omnibus(
        p_value=p_value,
        statistic=float(farthest[0]),
        n_permutations=n,
        parts=parts,
        scores=tuple(_telling_scores(names, observed, permuted)),
        differs=p_value <= settings.alpha,
    )


def _telling_scores(
    names: tuple[str, ...], observed: _Statistics, permuted: _Statistics
) -> Iterator[ScoreChange]:
    """Yield the scores that changed most, with p-values adjusted for all of them."""
    if not names:
        return
    changes = observed.changes[0]
    largest = np.abs(permuted.changes).max(axis=1)
    for k in np.argsort(-np.abs(changes), kind="stable")[:_MAX_TELLING]:
        beyond = 1 + (largest >= abs(changes[k])).sum()
        yield ScoreChange(names[k], float(changes[k]), float(beyond / (len(largest) + 1)))
