"""Artificial services for `simulate_nights.py`: night after night, with known changes.

Thirty signals, twenty of them one-sided: rates from 0.2% to 98%, lognormal amounts, amounts that
are mostly zero. Rows fall into segments with levels of their own. What disturbs nightly monitors
can be switched on: a mix that wobbles, sessions whose rows are alike, a week, and shocks that hit
all rows of a night alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
from scipy import special

from loopllm_cli.model import SignalInfo, SignalKind, Worse
from loopllm_cli.profiles.clusters import N_BUCKETS
from loopllm_cli.profiles.days import DaySums, build_days
from loopllm_cli.profiles.profile import Profile, build_profile

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_FIRST = date(2026, 1, 5)
_R, _A = SignalKind.RATE, SignalKind.AMOUNT
_U, _D, _E = Worse.UP, Worse.DOWN, Worse.EITHER

# kind, worse side, tolerance, level, sigma of the logarithm
_TABLE = (
    (_R, _U, 0.005, 0.002, 0.0), (_R, _U, 0.005, 0.002, 0.0), (_R, _U, 0.005, 0.005, 0.0),
    (_R, _U, 0.005, 0.01, 0.0), (_R, _U, 0.01, 0.02, 0.0), (_R, _U, 0.01, 0.02, 0.0),
    (_R, _U, 0.01, 0.05, 0.0), (_R, _U, 0.02, 0.10, 0.0), (_R, _U, 0.02, 0.20, 0.0),
    (_R, _D, 0.01, 0.98, 0.0), (_R, _D, 0.03, 0.90, 0.0), (_R, _D, 0.03, 0.80, 0.0),
    (_R, _D, 0.03, 0.50, 0.0), (_R, _D, 0.03, 0.30, 0.0),
    (_A, _U, 0.20, 1.0, 1.0), (_A, _U, 0.10, 1.0, 1.0), (_A, _D, 0.10, 1.0, 1.0),
    (_A, _U, 0.10, 1.0, 0.5), (_A, _D, 0.10, 0.3, 0.7), (_A, _U, 0.20, 0.3, 0.7),
    (_R, _E, 0.02, 0.10, 0.0), (_R, _E, 0.05, 0.40, 0.0), (_R, _E, 0.02, 0.02, 0.0),
    (_R, _E, 0.02, 0.80, 0.0), (_R, _E, 0.05, 0.60, 0.0), (_R, _E, 0.02, 0.05, 0.0),
    (_A, _E, 0.10, 1.0, 1.0), (_A, _E, 0.10, 1.0, 0.5), (_A, _E, 0.20, 1.0, 0.7),
    (_A, _E, 0.10, 0.3, 0.7),
)  # fmt: skip


def _name(row: tuple[SignalKind, Worse, float, float, float]) -> str:
    kind, worse, tolerance, level, sigma = row
    if kind is SignalKind.RATE:
        return f"{level:.1%} {worse.value} {100 * tolerance:g} pp"
    zeros = "" if level == 1.0 else f" {1 - level:.0%} zero"
    return f"σ {sigma:g}{zeros} {worse.value} {tolerance:.0%}"


NAMES = tuple(f"{k:02d} {_name(row)}" for k, row in enumerate(_TABLE))
INFOS = tuple(
    SignalInfo(name, row[0], row[1], row[2], name) for name, row in zip(NAMES, _TABLE, strict=True)
)
IS_RATE = np.array([row[0] is SignalKind.RATE for row in _TABLE])
PAGING = np.array([row[1] is not Worse.EITHER for row in _TABLE])
SIDE = np.array([-1.0 if row[1] is Worse.DOWN else 1.0 for row in _TABLE])
TOLERANCE = np.array([row[2] for row in _TABLE])
LEVEL = np.array([row[3] for row in _TABLE])
SIGMA = np.array([row[4] for row in _TABLE])


@dataclass(frozen=True)
class Service:
    """A service and how it is watched.

    Attributes:
        edge: the true change of the one-sided signals after the baseline, in tolerances towards
            the bad side; from night `onset` on.
        session: largest number of rows of a session (drawn from 3 on), 0 for independent rows.
        alike: share of the latent variance that a session's rows have in common.
        shock: standard deviation of the shocks that all rows of a night share, in latent ones.
        week: the size of the weekday's effect on half of the signals, in latent deviations.
        wobble: concentration of the nightly mix about the usual one (Dirichlet), 0 for a fixed mix.
        spread: how much segments differ, in latent deviations.
        sizes: the true change of every signal, instead of `edge`.
    """

    n_night: int = 2000
    n_baseline: int = 20_000
    baseline_nights: int = 10
    edge: float = 0.0
    onset: int = 0
    session: int = 0
    alike: float = 0.3
    shock: float = 0.0
    week: float = 0.0
    wobble: float = 0.0
    n_segments: int = 6
    spread: float = 0.3
    sizes: tuple[float, ...] = ()
    seed: int = 0

    @property
    def change(self) -> FloatArray:
        """The true changes after the onset, with their signs."""
        if self.sizes:
            return np.where(PAGING, SIDE * np.array(self.sizes), 0.0)
        return np.where(PAGING, self.edge * SIDE * TOLERANCE, 0.0)


class Source:
    """Draws the days of one service."""

    def __init__(self, service: Service, rng: np.random.Generator) -> None:
        self.service = service
        self._rng = rng
        n_segments = service.n_segments
        self._mix = rng.dirichlet(np.full(n_segments, 5.0))
        self._offset = rng.standard_normal((n_segments, len(NAMES))) * service.spread
        # Rows and segments together have the level on average; amounts have no use for it.
        middle = special.ndtri(np.where(IS_RATE, LEVEL, 0.5)) * np.sqrt(1 + service.spread**2)
        self._rate = special.ndtr(middle + self._offset)
        self._week = rng.standard_normal((7, len(NAMES))) * service.week
        self._week[:, ::2] = 0.0
        self._shared: FloatArray | None = None

    def baseline(self) -> tuple[DaySums, Profile]:
        """Draw the baseline, by day and by cluster bucket."""
        per_night = self.service.n_baseline // self.service.baseline_nights
        parts = [
            self.rows(d, per_night, changed=False) for d in range(self.service.baseline_nights)
        ]
        values, segments, buckets = (np.concatenate(p) for p in zip(*parts, strict=True))
        sizes = [len(part[1]) for part in parts]
        dates = np.repeat(
            np.array([_FIRST + timedelta(d) for d in range(len(parts))], dtype="datetime64[D]"),
            sizes,
        )
        n = self.service.n_segments
        days = build_days(NAMES, values, segments, dates, n, buckets=buckets)
        return days, build_profile(NAMES, values, segments, buckets, n)

    def night(self, number: int) -> tuple[FloatArray, int]:
        """Draw a night's sums, shape (4, n_segments, n_signals), and its weekday."""
        service = self.service
        day = service.baseline_nights + number
        changed = number >= service.onset
        values, segments, _ = self.rows(day, service.n_night, changed=changed)
        order = np.argsort(segments, kind="stable")
        values, segments = values[order], segments[order]
        member = (segments == np.arange(service.n_segments)[:, None]).astype(float)
        n = np.repeat(member.sum(axis=1)[:, None], len(NAMES), axis=1)
        square = values * values
        sums = [n, member @ values, member @ square, member @ (square * values)]
        return np.stack(sums), day % 7

    def rows(self, day: int, n: int, *, changed: bool) -> tuple[FloatArray, IntArray, IntArray]:
        """Draw some rows of a day that share its shock: values, segments and cluster buckets."""
        service, rng = self.service, self._rng
        mix = self._mix
        if service.wobble:
            mix = rng.dirichlet(service.wobble * mix)
        latent = rng.standard_normal((n, len(NAMES)), dtype=np.float32)
        if service.session:
            sizes = rng.integers(3, service.session + 1, n // 3 + 1)
            session = np.repeat(np.arange(len(sizes)), sizes)[:n]
            common = rng.standard_normal((len(sizes), len(NAMES)), dtype=np.float32)[session]
            latent *= np.float32(np.sqrt(1 - service.alike))
            latent += np.float32(np.sqrt(service.alike)) * common
            segments = rng.choice(len(mix), len(sizes), p=mix)[session]
            buckets = rng.integers(0, N_BUCKETS, len(sizes))[session]
        else:
            segments = rng.choice(len(mix), n, p=mix)
            buckets = rng.integers(0, N_BUCKETS, n)
        moved = self._shock() + self._week[day % 7]
        latent += moved.astype(np.float32)
        change = service.change if changed else np.zeros(len(NAMES))
        return self._values(latent, segments, change), segments, buckets

    @contextmanager
    def one_shock(self) -> Iterator[None]:
        """Let all rows that are drawn meanwhile share one shock."""
        self._shared = self._shock()
        try:
            yield
        finally:
            self._shared = None

    def _shock(self) -> FloatArray:
        if self._shared is not None:
            return self._shared
        return self.service.shock * self._rng.standard_normal(len(NAMES))

    def _values(self, latent: FloatArray, segments: IntArray, change: FloatArray) -> FloatArray:
        rate = np.clip(self._rate + np.where(IS_RATE, change, 0.0), 0.0, 1.0)
        limits = special.ndtri(rate).astype(np.float32)
        out = (latent < limits[segments]).astype(float)
        amounts = np.flatnonzero(~IS_RATE)
        lean = (0.3 * self._offset[:, amounts]).astype(np.float32)[segments]
        values = np.exp(SIGMA[amounts].astype(np.float32) * latent[:, amounts] + lean)
        some = np.flatnonzero(LEVEL[amounts] < 1.0)
        zero = self._rng.random((len(latent), len(some))) >= LEVEL[amounts][some]
        values[:, some] *= ~zero
        out[:, amounts] = values * (1 + change[amounts])
        return out
