"""Who can be relied on, and how often votes are wrong, from votes on the same two answers alone.

Each of two answers a and b is the better one with equal odds; rater j says which and is right with
probability r_j; the r_j come from a population g, a histogram over a grid, estimated with them:

    P(y_ij = z_i | r_j) = r_j,    r_j ~ g,    P(z_i = a) = 1/2

That is the one-coin model of Dawid & Skene (1979), Applied Statistics 28:20-28, with a free
population instead of fixed rates, so that raters with few votes shrink to the mean and spammers
(r = 1/2) and adversaries (r < 1/2) have a place. It is fitted by belief propagation, where what a
vote says of its rater is read off the other votes on the item, never off itself (Liu, Peng & Ihler
2012, "Variational inference for crowdsourcing", NIPS 25, section 3); plain EM counts a vote as its
own witness and is too sure where an item has two or three votes. Items differ in nothing: where
some comparisons are harder than others, close calls are surer here than they are in truth.

Votes cannot tell the world from its mirror image: people are taken to be right more often than not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.special import betaln, expit, logit, stdtrit, xlog1py, xlogy

from loopllm_cli.drift.intervals import wilson

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_Z95 = 1.959963984540054
# The population before any vote is seen weighs as much as ten raters. Its Beta's parameters sum to
# the second number: up to `_FEW` raters, a narrow one would pull them together; of more raters that
# are alike, a wide one lets luck pass for skill (docs/pairs-measured.md).
_FEW, _WIDE, _NARROW, _PRIOR_FLOOR = 20, (10.0, 8.0), (10.0, 30.0), 0.02
_MAX_LOGIT, _N_BINS = 8.0, 400
_MAX_ROUNDS, _STILL = 60, 2e-3
_CHUNK = 200_000
# Of few raters, intervals are widened by a jackknife over groups of items, on the first votes only,
# whose number keeps it within seconds.
_GROUPS, _QUICK = 20, 20_000


@dataclass(frozen=True)
class Votes:
    """Who voted how: one element per vote, at most one vote of a rater on an item.

    `side` is +1 or -1 by which of the item's two answers was preferred. Abstentions and ties are
    left out.
    """

    item: IntArray
    rater: IntArray
    side: IntArray

    def __len__(self) -> int:
        return len(self.item)


@dataclass(frozen=True)
class Shared:
    """How far raters agree on items that several of them judged.

    `agreement` is the chance that two votes on an item, drawn at random from those on it, agree;
    items count by their votes, as in Krippendorff's alpha, which is 2 * agreement - 1 here.
    """

    n_items: int
    agreement: float
    low: float
    high: float


@dataclass(frozen=True)
class Noise:
    """The share of wrong votes, with a 95% interval; NaN where no two raters judged the same."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Reliability:
    """How often each rater is right, and how much each vote counts.

    `mean`, `low` and `high` are per rater (posterior mean and 95% interval), `n_shared` the items
    that others judged too; `typical` is the population's mean. `weight` is per vote: the log-odds
    that it is right, by what its rater said on other items.
    """

    mean: FloatArray
    low: FloatArray
    high: FloatArray
    n_shared: IntArray
    typical: float
    weight: FloatArray
    noise: Noise


def measure_agreement(votes: Votes) -> Shared:
    """Measure how far raters agree, with Wilson's 95% interval at the effective number of items.

    Source: Krippendorff (2004), Content Analysis, ch. 11 (items by their votes); the effective
    number is that of a ratio of sums over items (Cochran 1977, Sampling Techniques, ch. 6).
    """
    n = np.bincount(votes.item).astype(float)
    total = np.bincount(votes.item, votes.side, len(n))
    several = n > 1
    n, total = n[several], total[several]
    if not len(n):
        return Shared(0, np.nan, np.nan, np.nan)
    # Of k(k-1) ordered pairs of votes, those that agree less those that do not sum to total^2 - k.
    right = n * (1 + (total**2 - n) / (n * (n - 1))) / 2
    share = float(right.sum() / n.sum())
    spread = float(((right - share * n) ** 2).sum() / n.sum() ** 2)
    most = float(n.sum() ** 2 / (n**2).sum())
    size = min(share * (1 - share) / spread, most) if spread > 0 else most
    low, high = wilson(np.array([share]), np.array([size]), np.array([_Z95]))
    return Shared(len(n), share, float(low[0]), float(high[0]))


def estimate_reliability(votes: Votes, n_raters: int) -> Reliability | None:
    """Estimate how often each rater is right, and the share of wrong votes.

    Returns:
        None where no two raters judged the same item: nothing tells then.
    """
    shared = measure_agreement(votes)
    if not shared.n_items:
        return None
    several = np.bincount(votes.item)[votes.item] > 1
    active, rater = np.unique(votes.rater[several], return_inverse=True)
    inner = Votes(votes.item[several], rater, votes.side[several])
    start = float(np.clip((1 + _skill(shared.agreement)) / 2, 0.55, 0.98))
    fitted = _propagate(inner, len(active), start)
    limits = np.empty((3, n_raters))
    limits[:] = unseen = _summary(_FINE.on(fitted.population)[None])
    limits[:, active] = _finely(_tally(rater, fitted.log_odds, len(active)), fitted.population)
    if len(active) <= _FEW:
        limits[1:, active] = _widen(inner, limits[:, active], shared, start)
    weight = logit(limits[0])[votes.rater]
    weight[several] = fitted.weight
    n_shared = np.zeros(n_raters, dtype=np.int64)
    n_shared[active] = np.bincount(rater)
    noise = _noise(shared, 1 - float(limits[0][votes.rater].mean()), len(active))
    mean, low, high = limits
    return Reliability(mean, low, high, n_shared, float(unseen[0, 0]), weight, noise)


class _Grid:
    """Values that a rater's reliability may take, with the width of each one's cell."""

    def __init__(self, inside: FloatArray) -> None:
        self.values = np.concatenate([[0.005], inside, [0.995]])
        edges = np.concatenate([[0.0], (self.values[1:] + self.values[:-1]) / 2, [1.0]])
        self.widths = np.diff(edges)

    def right(self) -> FloatArray:
        """Return P(a vote as it was cast | reliability), a row per bin of the others' odds."""
        p = _ODDS[:, None]
        return np.asarray(p * self.values + (1 - p) * (1 - self.values))

    def on(self, population: FloatArray) -> FloatArray:
        """Return the coarse grid's population on this one."""
        mass = np.interp(self.values, _GRID.values, population / _GRID.widths) * self.widths
        return np.asarray(mass / mass.sum())


_ODDS = expit(np.linspace(-_MAX_LOGIT, _MAX_LOGIT, _N_BINS))
_GRID = _Grid(np.array([0.02, *np.arange(0.06, 0.95, 0.04), 0.98]))
_FINE = _Grid(np.arange(0.01, 0.995, 0.01))


@dataclass(frozen=True)
class _Fitted:
    """Per vote: the log-odds that it is right by the others' votes, and by its rater's."""

    log_odds: FloatArray
    weight: FloatArray
    population: FloatArray


def _beta_density(x: FloatArray, a: float, b: float) -> FloatArray:
    density: FloatArray = np.exp(xlogy(a - 1, x) + xlog1py(b - 1, -x) - betaln(a, b))
    return density


def _propagate(votes: Votes, n_raters: int, start: float) -> _Fitted:
    """Pass messages between items and raters, and refit the population, until nothing moves."""
    worth, size = _WIDE if n_raters <= _FEW else _NARROW
    density = _beta_density(_GRID.values, start * size, (1 - start) * size) + _PRIOR_FLOOR
    first = population = density * _GRID.widths / (density * _GRID.widths).sum()
    weight = np.full(len(votes), logit(start))
    for _ in range(_MAX_ROUNDS):
        total = np.bincount(votes.item, votes.side * weight)[votes.item]
        log_odds = np.clip(votes.side * total - weight, -_MAX_LOGIT, _MAX_LOGIT)
        belief = _believe(_tally(votes.rater, log_odds, n_raters), _GRID, population)
        population = (belief.sum(axis=0) + worth * first) / (n_raters + worth)
        before, weight = weight, _weigh(votes.rater, log_odds, belief)
        if np.abs(weight - before).mean() < _STILL:
            break
    return _Fitted(log_odds, weight, population)


def _bins(log_odds: FloatArray) -> IntArray:
    return np.rint((log_odds / _MAX_LOGIT + 1) / 2 * (_N_BINS - 1)).astype(np.int64)


def _tally(rater: IntArray, log_odds: FloatArray, n_raters: int) -> csr_array:
    """Count each rater's votes by what the others' votes say of them."""
    ones = np.ones(len(rater))
    return csr_array((ones, (rater, _bins(log_odds))), shape=(n_raters, _N_BINS))


def _believe(counts: csr_array, grid: _Grid, population: FloatArray) -> FloatArray:
    """Return every rater's posterior over the grid, a row each."""
    logs = np.asarray(counts @ np.log(grid.right())) + np.log(population)
    logs -= logs.max(axis=1, keepdims=True)
    belief = np.exp(logs)
    return np.asarray(belief / belief.sum(axis=1, keepdims=True))


def _weigh(rater: IntArray, log_odds: FloatArray, belief: FloatArray) -> FloatArray:
    """Return the log-odds that each vote is right, by its rater's votes on other items."""
    bins, unseen = _bins(log_odds), 1 / _GRID.right()
    mean = np.empty(len(rater))
    for start in range(0, len(rater), _CHUNK):
        part = slice(start, start + _CHUNK)
        others = belief[rater[part]] * unseen[bins[part]]
        mean[part] = others @ _GRID.values / others.sum(axis=1)
    return np.asarray(logit(mean))


def _finely(counts: csr_array, population: FloatArray) -> FloatArray:
    """Return every rater's posterior mean and 95% interval, a row each."""
    fine, step = _FINE.on(population), _CHUNK // 4
    parts = [
        _summary(_believe(counts[start : start + step], _FINE, fine))
        for start in range(0, counts.shape[0], step)
    ]
    return np.concatenate(parts, axis=1)


def _summary(belief: FloatArray) -> FloatArray:
    """Return mean and 95% interval of beliefs over the fine grid, to the outer edges of cells."""
    below = np.cumsum(belief, axis=1)
    half = _FINE.widths / 2
    low = (_FINE.values - half)[(below > 0.025).argmax(axis=1)]
    high = (_FINE.values + half)[(below >= 0.975).argmax(axis=1)]
    return np.stack([belief @ _FINE.values, np.clip(low, 0, 1), np.clip(high, 0, 1)])


def _widen(votes: Votes, limits: FloatArray, shared: Shared, start: float) -> FloatArray:
    """Return wider limits where raters are few, so that each one's hang on the others' errors.

    The standard error is the jackknife's over groups of items (Shao & Tu 1995, The Jackknife and
    Bootstrap, section 2.3), on so many votes as are quick to fit, and shrunk to all of them.
    """
    mean, low, high = limits
    if len(mean) == 2:
        # Of two raters, only the product of their skills is known: each may be the better one.
        return np.stack([np.full(2, shared.low if shared.low > 0.5 else 0.0), np.ones(2)])
    few = Votes(votes.item[:_QUICK], votes.rater[:_QUICK], votes.side[:_QUICK])
    group = few.item % _GROUPS
    again = []
    for left_out in range(_GROUPS):
        rest = group != left_out
        part = Votes(few.item[rest], few.rater[rest], few.side[rest])
        if len(part):
            fitted = _propagate(part, len(mean), start)
            counts = _tally(part.rater, fitted.log_odds, len(mean))
            again.append(_finely(counts, fitted.population)[0])
    spread = np.std(again, axis=0) * np.sqrt((len(again) - 1) * len(few) / len(votes))
    reach = float(stdtrit(_GROUPS - 1, 0.975)) * spread
    return np.stack(
        [
            np.minimum(low, np.maximum(mean - reach, 0)),
            np.maximum(high, np.minimum(mean + reach, 1)),
        ]
    )


def _skill(agreement: float) -> float:
    """Return 2r - 1 for raters that are all right with probability r."""
    return float(np.sqrt(max(2 * agreement - 1, 0.0)))


def _noise(shared: Shared, value: float, n_raters: int) -> Noise:
    """Carry the agreement's interval over to the share of wrong votes.

    Alike raters agree with probability r^2 + (1-r)^2. Where they differ, who met whom decides how
    far the share of wrong votes lies from that, and the model knows: both are covered. Of two
    raters, one may be always right.
    """
    met = _skill(shared.agreement)
    ratios = (1.0, (1 - 2 * value) / met if met > 0 else 1.0)
    low = min((1 - ratio * _skill(shared.high)) / 2 for ratio in ratios)
    high = max((1 - ratio * _skill(shared.low)) / 2 for ratio in ratios)
    if n_raters == 2:
        low = min(low, (1 - max(shared.high, 0.5)) / 2)
    return Noise(value, max(min(low, value), 0.0), min(max(high, value), 1.0))
