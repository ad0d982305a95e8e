"""How much evidence a score is, when one may look every night: two lanes and a budget.

A budget of B false pages a year is the bound on the *expected number* of false pages in 365
nights, whatever the signals do as long as no change is beyond its tolerance. It is spent on J
one-sided signals in two lanes, and expectations add:

    FAST   every night, for the windows of the last 1, 3 and 7 nights: z > Φ⁻¹(1 − a),
           a = share · B · fast / (365 J)
    SLOW   an e-process that starts anew every 7 nights and runs on: log e ≥ log(J / a),
           a = B (1 − fast) · 7 / 365 for all of a start's nights together (Ville's inequality)

The e-process is the mixture of likelihood ratios exp(μ S − μ² h / 2) over a half-normal μ ≥ 0,

    log e = log mean over ρ of [log 2 + ½ log(ρ / (h + ρ)) + z² h / (2 (h + ρ))
                                + log Φ(z √(h / (h + ρ)))]

with ρ tuned to three sizes of window. Given the score's approximate normality, e has an
expectation of at most 1 at any stopping time, and the chance that it ever reaches 1/a is at most a.
Restarts need no common filtration: their errors are added, not multiplied.

Source: Robbins (1970), Annals of Mathematical Statistics 41:1397-1409 (normal mixtures); Howard,
Ramdas, McAuliffe & Sekhon (2021), Annals of Statistics 49:1055-1080, sec. 3.2-3.5 (one-sided
mixture, choice of ρ); Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, https://arxiv.org/abs/2103.06476
(asymptotic confidence sequences); Shin, Ramdas & Rinaldo, https://arxiv.org/abs/2203.03532
(restarts).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from loopllm_cli.drift.night_plan import NightSettings

FloatArray = npt.NDArray[np.float64]

NIGHTS_PER_YEAR = 365
WINDOWS = (1, 3, 7)
"""Nights in the windows of the fast lane: tonight, three nights, a week."""
SHARES = (0.15, 0.65, 0.2)
"""Parts of the fast lane's budget that its windows get."""
RESTART_EVERY = 7
STARTS_FOLLOWED = (0, 1, 2, 3, 5, 8, 12)
"""Starts of the slow lane that a night looks at, by age in restarts. Looking at fewer starts than
have begun only lowers the error; by a quarter of a year most monitors are limited by their
baseline, not by nights."""
MIXTURE_NIGHTS = (1.0, 5.0, 25.0)
"""Sizes of window, in nights, that the mixture is tuned to."""
_ROUNDS = 30


def fast_thresholds(settings: NightSettings, family: int) -> FloatArray:
    """Return the score that a window of each length has to exceed, shape (n_windows,)."""
    budget = settings.false_pages_per_year * settings.fast / NIGHTS_PER_YEAR
    tails = budget * np.array(SHARES) / family
    result: FloatArray = -special.ndtri(tails)
    return result


def slow_error(settings: NightSettings) -> float:
    """Return the chance that one start of the e-process may ever page falsely."""
    slow = settings.false_pages_per_year * (1 - settings.fast)
    return float(slow * RESTART_EVERY / NIGHTS_PER_YEAR)


def slow_threshold(settings: NightSettings, family: int) -> float:
    """Return the log e-value at which the slow lane pages."""
    return float(np.log(family / slow_error(settings)))


def spent_by(settings: NightSettings, n_nights: int) -> float:
    """Return the expected number of false pages that so many nights may have cost, at most."""
    starts = -(-n_nights // RESTART_EVERY)
    fast = settings.false_pages_per_year * settings.fast / NIGHTS_PER_YEAR
    return float(n_nights * fast + starts * slow_error(settings))


def tuned(clock: FloatArray, log_threshold: float) -> FloatArray:
    """Return the ρ whose mixture crosses soonest around a clock (Howard et al. 2021, eq. 26)."""
    rho: FloatArray = np.maximum(clock, 1e-9) / (2 * log_threshold + np.log1p(2 * log_threshold))
    return rho


def log_evidence(z: FloatArray, clock: FloatArray, rho: FloatArray) -> FloatArray:
    """Return log e-values of scores.

    Shapes: z and clock (n_windows, n_signals); rho (n_mixture, n_windows, n_signals).
    """
    whole = clock + rho
    part = clock / whole
    logs = (
        np.log(2.0)
        + 0.5 * np.log(rho / whole)
        + z**2 * part / 2
        + special.log_ndtr(z * np.sqrt(part))
    )
    result: FloatArray = special.logsumexp(logs, axis=0) - np.log(len(rho))
    return result


def radius(clock: FloatArray, rho: FloatArray, level: float) -> FloatArray:
    """Return how many standard errors a time-uniform two-sided interval reaches.

    The boundary of the two-sided normal mixture (Robbins 1970; Howard et al. 2021, eq. 14).
    """
    whole = clock + rho
    width: FloatArray = np.sqrt(
        2 * whole / np.maximum(clock, 1e-9) * (-np.log1p(-level) + 0.5 * np.log(whole / rho))
    )
    return width


def score_needed(clock: FloatArray, rho: FloatArray, log_threshold: float) -> FloatArray:
    """Return the score at which the e-value reaches the threshold, by bisection."""
    low, high = np.zeros_like(clock), np.full_like(clock, 60.0)
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        enough = log_evidence(middle, clock, rho) >= log_threshold
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return high
