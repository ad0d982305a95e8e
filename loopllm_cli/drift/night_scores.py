"""The signed score of a window of nights against "the change is d", in information time.

With n rows and mean m per stratum, h = n_B n_C / (n_B + n_C), and the baseline's values times
r = 1 + d for an amount (r = 1 and a shift of d for a rate):

    S = Σ h (m_C − r m_B − shift)        H = Σ h
    V = deff_B Σ h² v_B / n_B + deff_C Σ h² v_C / n_C          x = S / √V
    κ = deff_C² Σ h³ k_C / n_C² − deff_B² Σ h³ k_B / n_B²      g = κ / V^1.5

S of a growing window is a random walk in the clock H: two windows with the same baseline share the
baseline's error, so their means have the covariance of the longer one. The clock stops at n_B:
no number of nights can tell more than the baseline knows.

Variances are those under the hypothesis. A rate's come from the pooled rate that is closest to it
(Farrington & Manning 1990; here with the pooled events instead of the likelihood's maximum), and
are never less than the baseline's own rate and the pooled one show; an amount's second and third
moments from both samples about their common mean, and never less than the window's own. The
skewness g corrects the tail (Wilson & Hilferty 1931):

    z = 6/g ((g x / 2 + 1)^(1/3) − 1) + g / 6

only where it makes the tail heavier; a window whose sum is more skewed than 2 is not judged, as the
correction fails there. What the between-night variance owes to few baseline nights enters as
degrees of freedom (Satterthwaite 1946), brought back to a normal score by Wallace's (1959) formula.

Source: Farrington & Manning (1990), Statistics in Medicine 9:1447-1454; Wilson & Hilferty (1931),
PNAS 17:684-688; Satterthwaite (1946), Biometrics Bulletin 2:110-114; Wallace (1959), Annals of
Mathematical Statistics 30:1121-1130.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loopllm_cli.drift.influence import ratio
from loopllm_cli.drift.night_plan import Group, Sums

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

MAX_SKEW = 2.0
"""Checked against Poisson tails: at g = 2 (a quarter of an event expected) z of four events is 3.5
where 3.65 is exact; at g = 10 a single event of probability 1% would count as z = 3.3."""
MIN_INFORMATION = 5.0
"""Windows worth fewer rows are not judged."""
NOT_JUDGED = -1000.0
"""The score of a window that cannot be judged."""


@dataclass(frozen=True)
class Windows:
    """Windows of one group, summed; arrays of shape (n_windows, n_group) but for the sums.

    `sums` have shape (n_windows, n_strata, n_group); `kept` is the share of the rows that count.
    """

    group: Group
    sums: Sums
    kept: FloatArray
    design_effect: FloatArray

    @property
    def information(self) -> FloatArray:
        """The clock H, in rows."""
        whole: FloatArray = _harmonic(self.group.base.n, self.sums.n).sum(axis=-2)
        return whole

    @property
    def clock(self) -> FloatArray:
        """The clock in rows that are independent."""
        return self.information / self.design_effect

    def pick(self, windows: npt.NDArray[np.int64]) -> Windows:
        """Return one window per signal, as a single row."""
        column = np.arange(len(windows))
        return Windows(
            self.group,
            Sums(*(part[windows, :, column].T[None] for part in self.sums)),
            self.kept[windows, column][None],
            self.design_effect[windows, column][None],
        )

    def levels(self) -> tuple[FloatArray, FloatArray]:
        """Return the baseline's and the windows' means at the strata that both have."""
        base, now = self.group.base, self.sums
        weight = _harmonic(base.n, now.n)
        whole = weight.sum(axis=-2)
        before = (weight * ratio(base.total, base.n)).sum(axis=-2)
        after = (weight * ratio(now.total, now.n)).sum(axis=-2)
        return ratio(before, whole, np.nan), ratio(after, whole, np.nan)

    def changes(self) -> FloatArray:
        """Return the point estimates: differences of rates, or relative changes."""
        before, after = self.levels()
        with np.errstate(invalid="ignore"):
            relative = ratio(after, before, np.nan) - 1
        return np.where(self.group.is_rate, after - before, relative)


def score(windows: Windows, change: FloatArray, *, upwards: bool) -> FloatArray:
    """Return normal scores of "the change is beyond `change`", shape (n_windows, n_group).

    Args:
        change: shape (n_group,) or (n_windows, n_group); the hypothesis.
        upwards: whether beyond means above it or below it.
    """
    base, now = windows.group.base, windows.sums
    weight = _harmonic(base.n, now.n)
    is_rate = windows.group.is_rate
    change = np.broadcast_to(change, weight.shape[::2])[:, None, :]
    shift = np.where(is_rate, change, 0.0)
    scaled = _scaled(base, np.where(is_rate, 1.0, 1.0 + change))
    moved = weight * (ratio(now.total, now.n) - ratio(scaled.total, scaled.n) - shift)
    rates = _rate_moments(scaled, now, shift)
    amounts = _amount_moments(scaled, now)
    v_b, v_c, k_b, k_c = (np.where(is_rate, r, a) for r, a in zip(rates, amounts, strict=True))
    per_b, per_c = ratio(weight, scaled.n), ratio(weight, now.n)
    spread_b = (weight * per_b * v_b).sum(axis=1) * windows.group.deff_whole
    own = np.where(is_rate, 0.0, _own_variance(now))
    spread_c = np.maximum((weight * per_c * v_c).sum(axis=1), (weight * per_c * own).sum(axis=1))
    spread_c = spread_c * windows.design_effect
    skew_c = (weight * per_c**2 * k_c).sum(axis=1) * windows.design_effect**2
    skew_b = (weight * per_b**2 * k_b).sum(axis=1) * windows.group.deff_whole**2
    variance = spread_b + spread_c
    sign = 1.0 if upwards else -1.0
    x = sign * ratio(moved.sum(axis=1), np.sqrt(variance))
    skew = sign * ratio(skew_c - skew_b, variance**1.5)
    z = to_normal(correct_tail(x, skew), _freedom(windows, spread_b, spread_c))
    judged = (weight.sum(axis=1) >= MIN_INFORMATION) & (variance > 0) & (skew <= MAX_SKEW)
    return np.where(judged, z, NOT_JUDGED)


def correct_tail(x: FloatArray, skew: FloatArray) -> FloatArray:
    """Return the normal score of a standardised sum with a skewness, never larger than x."""
    g = np.maximum(skew, 1e-6)
    corrected = 6 / g * (np.cbrt(g * x / 2 + 1) - 1) + g / 6
    return np.where(x > 0, np.minimum(corrected, x), x)


def undo_tail(z: FloatArray, skew: FloatArray) -> FloatArray:
    """Return the standardised sum that has a normal score; the inverse of `correct_tail`."""
    g = np.maximum(skew, 1e-6)
    return np.maximum(2 / g * (((z - g / 6) * g / 6 + 1) ** 3 - 1), z)


def to_normal(t: FloatArray, df: FloatArray) -> FloatArray:
    """Return the normal score of a t statistic (Wallace 1959), with its sign."""
    part = (8 * df + 1) / (8 * df + 3)
    size: FloatArray = part * np.sqrt(df * np.log1p(t**2 / df))
    return np.sign(t) * np.minimum(size, np.abs(t))


def _harmonic(n_b: FloatArray, n_c: FloatArray) -> FloatArray:
    return ratio(n_b * n_c, n_b + n_c)


def _scaled(base: Sums, by: FloatArray) -> Sums:
    return Sums(base.n, base.total * by, base.total_sq * by**2, base.total_cu * by**3)


def _bessel(n: FloatArray) -> FloatArray:
    """Return n / (n − 1), at most 2."""
    return ratio(n, np.maximum(n - 1.0, n / 2), 1.0)


def _rate_moments(base: Sums, now: Sums, shift: FloatArray) -> tuple[FloatArray, ...]:
    both = base.n + now.n
    events = base.total + now.total
    under_b = np.clip(ratio(events - now.n * shift, both), 0.0, 1.0)
    under_c = np.clip(under_b + shift, 0.0, 1.0)
    own = np.clip(ratio(base.total, base.n), 0.0, 1.0)
    pooled = np.clip(ratio(events, both), 0.0, 1.0)
    unbiased = _bessel(both)
    v_b = np.maximum(under_b * (1 - under_b), own * (1 - own)) * unbiased
    v_c = np.maximum(under_c * (1 - under_c), pooled * (1 - pooled)) * unbiased
    return v_b, v_c, v_b * (1 - 2 * under_b), v_c * (1 - 2 * under_c)


def _amount_moments(base: Sums, now: Sums) -> tuple[FloatArray, ...]:
    n = base.n + now.n
    total, square, cube = (
        base.total + now.total,
        base.total_sq + now.total_sq,
        base.total_cu + now.total_cu,
    )
    mean = ratio(total, n)
    variance = ratio(np.maximum(square - n * mean**2, 0.0), n) * _bessel(n)
    variance = np.where(variance > 1e-12 * ratio(square, n), variance, 0.0)
    third = ratio(cube - 3 * mean * square + 2 * n * mean**3, n)
    return variance, variance, third, third


def _own_variance(now: Sums) -> FloatArray:
    squares = np.maximum(now.total_sq - ratio(now.total**2, now.n), 0.0)
    return np.where(now.n >= 2, ratio(squares, now.n - 1.0), 0.0)


def _freedom(windows: Windows, spread_b: FloatArray, spread_c: FloatArray) -> FloatArray:
    """Return degrees of freedom: only the part that nights add is known no better than they."""
    group = windows.group
    nights = spread_b * (1 - group.base_kept) + spread_c * (1 - windows.kept)
    share = ratio(nights, spread_b + spread_c)
    df: FloatArray = np.minimum(group.nights_df / np.maximum(share, 1e-4) ** 2, 1e6)
    return df
