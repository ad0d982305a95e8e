"""Artificial services for `simulate_drift.py`: rows whose true change is known.

Every run draws a baseline window and a current one from the same service: rows fall into prompt
segments of unequal size and level, and may belong to users whose rows are alike. Twelve signals
with a bad side are measured: rates from 0.2% to 80%, and amounts with heavy tails.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import special

from loopllm_cli.model import SignalInfo, SignalKind, Worse
from loopllm_cli.profiles.clusters import N_BUCKETS
from loopllm_cli.profiles.profile import Profile, build_profile

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MEAN_ROWS_PER_USER = 10
MAX_SEGMENTS = 60
ROWS_PER_SEGMENT = 50


@dataclass(frozen=True)
class Measure:
    """A signal and its law in the baseline.

    A rate has `level` as its mean. An amount is lognormal with `sigma` (of the logarithm), and
    zero in all rows but a share `level` of them.
    """

    info: SignalInfo
    group: str
    level: float
    sigma: float = 0.0

    @property
    def worst(self) -> float:
        """The change at the edge of the tolerance, with its sign."""
        return self.info.tolerance if self.info.worse is Worse.UP else -self.info.tolerance


def _rate(name: str, group: str, level: float, worse: Worse, tolerance: float) -> Measure:
    return Measure(SignalInfo(name, SignalKind.RATE, worse, tolerance, name), group, level)


def _amount(name: str, level: float, sigma: float, worse: Worse, tolerance: float) -> Measure:
    info = SignalInfo(name, SignalKind.AMOUNT, worse, tolerance, name)
    return Measure(info, "amounts", level, sigma)


MEASURES = (
    _rate("0.2% up", "rare", 0.002, Worse.UP, 0.005),
    _rate("0.2% up, other", "rare", 0.002, Worse.UP, 0.005),
    _rate("2% up", "rare", 0.02, Worse.UP, 0.01),
    _rate("98% down", "rare", 0.98, Worse.DOWN, 0.01),
    _rate("80% down", "common", 0.80, Worse.DOWN, 0.03),
    _rate("50% down", "common", 0.50, Worse.DOWN, 0.03),
    _rate("20% up", "common", 0.20, Worse.UP, 0.02),
    _rate("30% down", "common", 0.30, Worse.DOWN, 0.03),
    _amount("lognormal 1.0 up", 1.0, 1.0, Worse.UP, 0.2),
    _amount("lognormal 1.0 down", 1.0, 1.0, Worse.DOWN, 0.1),
    _amount("lognormal 0.5 up", 1.0, 0.5, Worse.UP, 0.1),
    _amount("mostly zero, down", 0.3, 0.7, Worse.DOWN, 0.1),
)
INFOS = tuple(m.info for m in MEASURES)
GROUPS = ("rare", "common", "amounts")


@dataclass(frozen=True)
class World:
    """A service and two windows of it.

    Attributes:
        edge: the true change, in tolerances towards the bad side, of the signals in `moved`.
        user_share: share of the latent variance that a user's rows have in common.
        tilt: how strongly the current traffic moves towards segments that look bad.
        clustered: whether rows come from users (of very unequal activity) or are independent.
        returning: whether the baseline's users are there again in the current window.
        resolved: whether the comparison knows the segments, or takes all rows for one.
    """

    n_baseline: int
    n_current: int
    edge: float = 0.0
    moved: tuple[str, ...] = tuple(m.info.name for m in MEASURES)
    clustered: bool = False
    returning: bool = False
    user_share: float = 0.3
    tilt: float = 0.0
    resolved: bool = True
    n_segments: int | None = None
    segment_spread: float = 0.6
    measures: tuple[Measure, ...] = MEASURES

    @property
    def segments(self) -> int:
        """Number of segments that a baseline of this size gets."""
        if self.n_segments is not None:
            return self.n_segments
        return max(1, min(MAX_SEGMENTS, self.n_baseline // ROWS_PER_SEGMENT))

    @property
    def names(self) -> tuple[str, ...]:
        """The signals' names."""
        return tuple(m.info.name for m in self.measures)

    def true_changes(self) -> FloatArray:
        """Return the true change of every signal, as it is judged."""
        return np.array([self.edge * m.worst * (m.info.name in self.moved) for m in self.measures])

    def still(self) -> World:
        """Return the same world without a change."""
        return replace(self, edge=0.0)


def draw_windows(world: World, rng: np.random.Generator) -> tuple[Profile, Profile]:
    """Draw a baseline and a current window, as profiles."""
    n_segments = world.segments
    badness = rng.standard_normal(n_segments)
    shares = rng.dirichlet(np.full(n_segments, 2.0))
    tilted = shares * np.exp(world.tilt * badness)
    moved = np.array([m.info.name in world.moved for m in world.measures])
    profiles = []
    offset = 0
    user_effects: FloatArray | None = None
    for n_rows, mix, edge in (
        (world.n_baseline, shares, 0.0),
        (world.n_current, tilted / tilted.sum(), world.edge),
    ):
        users = _users(world, n_rows, rng) + offset
        effects = rng.standard_normal((users.max() + 1, len(world.measures)))
        if user_effects is not None and world.returning:
            known = min(len(effects), len(user_effects))
            effects[:known] = user_effects[:known]
        user_effects = effects
        segments = rng.choice(n_segments, n_rows, p=mix)
        latent = np.sqrt(world.user_share) * effects[users] + np.sqrt(
            1 - world.user_share
        ) * rng.standard_normal((n_rows, len(world.measures)))
        values = _measured(world, latent, badness[segments], edge * moved)
        profiles.append(
            build_profile(
                tuple(m.info.name for m in world.measures),
                values,
                segments if world.resolved else np.zeros_like(segments),
                _buckets(users),
                n_segments,
            )
        )
        if not world.returning:
            offset = int(users.max()) + 1
            user_effects = None
    return profiles[0], profiles[1]


def _users(world: World, n_rows: int, rng: np.random.Generator) -> IntArray:
    """Give rows to users of very unequal activity (lognormal, sigma 1)."""
    if not world.clustered:
        return np.arange(n_rows)
    n_users = max(2, n_rows // MEAN_ROWS_PER_USER)
    activity = np.exp(rng.standard_normal(n_users))
    drawn: IntArray = rng.choice(n_users, n_rows, p=activity / activity.sum())
    return drawn


def _buckets(users: IntArray) -> IntArray:
    # A fixed multiplicative hash: users share buckets as they do in the program.
    mixed = (users.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
    return (mixed % np.uint64(N_BUCKETS)).astype(np.int64)


def _measured(
    world: World, latent: FloatArray, badness: FloatArray, edge: FloatArray
) -> FloatArray:
    out = np.empty_like(latent)
    for j, m in enumerate(world.measures):
        change = edge[j] * m.worst
        towards_bad = badness if m.info.worse is Worse.UP else -badness
        if m.info.kind is SignalKind.RATE:
            rare = min(m.level, 1 - m.level)
            sign = towards_bad if m.level <= 0.5 else -towards_bad
            spread = world.segment_spread * (1 - 2 * rare)
            part = np.clip(rare * np.exp(spread * sign - spread**2 / 2), 0.0, 0.9)
            p = part if m.level <= 0.5 else 1 - part
            out[:, j] = special.ndtr(latent[:, j]) > 1 - np.clip(p + change, 0.0, 1.0)
        else:
            factor = np.exp(0.5 * world.segment_spread * towards_bad) * (1 + change)
            occurs = special.ndtr(latent[:, j]) > 1 - m.level
            # Within the rows where it occurs the latent is a truncated normal; good enough as a
            # heavy-tailed amount, and the true ratio of means is exactly 1 + change.
            out[:, j] = np.where(occurs, factor * np.exp(m.sigma * latent[:, j]), 0.0)
    return out
