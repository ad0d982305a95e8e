"""Watches on untouched traffic: length, refusals, and how well normal answers are foreseen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from loopllm_cli.drift.intervals import t_quantile, wilson
from loopllm_cli.model import Check, Gate

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of sums with the bounds that each leave a tail of `alpha`."""

    value: float
    low: float
    high: float


def paired_ratio(
    moved: FloatArray, size: FloatArray, keys: Sequence[str], alpha: float
) -> Ratio | None:
    """Estimate Σ moved / Σ size over prompts, each the difference of two answers to one prompt.

    Errors are linearised and summed per cluster, with Student's t over the clusters; None for
    fewer than two of them.

    Source: Cochran (1977), "Sampling techniques", section 6.3 (ratio estimator); clusters as in
    `drift/effects.py`.
    """
    total = float(size.sum())
    _, numbers = np.unique(np.asarray(keys, dtype=object).astype(str), return_inverse=True)
    n = len(np.unique(numbers))
    if n < 2 or total <= 0:
        return None
    value = float(moved.sum()) / total
    sums = np.bincount(numbers, weights=(moved - value * size) / total)
    error = float(np.sqrt(n / (n - 1) * (sums**2).sum()))
    reach = float(t_quantile(alpha, np.array([float(n - 1)]))[0]) * error
    return Ratio(value, value - reach, value + reach)


def share_bounds(hits: int, n: int, alpha: float) -> tuple[float, float]:
    """Return Wilson's bounds of a share that each leave a tail of alpha."""
    quantile = np.array([NormalDist().inv_cdf(1 - alpha)])
    low, high = wilson(np.array([hits / n]), np.array([float(n)]), quantile)
    return float(low[0]), float(high[0])


def check_length(
    lengths: tuple[FloatArray, FloatArray], keys: Sequence[str], limits: tuple[float, float]
) -> Check:
    """Judge whether answers to untouched prompts have become longer or shorter.

    Args:
        lengths: characters of the answers without and with the adapter, one per prompt.
        keys: whose prompt each is.
        limits: the relative change that is allowed either way, and the error rate of a bound.
    """
    name = "answer length"
    (before, after), (most, alpha) = lengths, limits
    found = paired_ratio(after - before, before, keys, alpha)
    if found is None:
        return Check(name, Gate.INCONCLUSIVE, "no untouched prompt to measure it on", len(before))
    text = (
        f"{found.value:+.1%} ({found.low:+.1%} … {found.high:+.1%}) on untouched prompts "
        f"({most:.0%} allowed either way)"
    )
    inside = -most <= found.low and found.high <= most
    outside = found.low > most or found.high < -most
    gate = Gate.PASS if inside else Gate.FAIL if outside else Gate.INCONCLUSIVE
    return Check(name, gate, text, len(before), found.value, found.low, found.high)


def check_refusals(refused: tuple[FloatArray, FloatArray], limits: tuple[float, float]) -> Check:
    """Judge how many untouched prompts are refused that were answered without the adapter.

    Args:
        refused: shares of the answers to each prompt that refuse, without and with the adapter.
        limits: the share that may be refused anew, and the error rate of a bound.
    """
    name = "refusals"
    (before, after), (most, alpha) = refused, limits
    answered = before < 0.5
    n, new = int(answered.sum()), int((answered & (after >= 0.5)).sum())
    if n == 0:
        return Check(name, Gate.INCONCLUSIVE, "no untouched prompt is answered at all", 0)
    low, high = share_bounds(new, n, alpha)
    text = f"{new} of {n} answered prompts are refused now, up to {high:.1%} may be"
    text += f" ({most:.0%} allowed)"
    gate = Gate.PASS if high <= most else Gate.FAIL if low > most else Gate.INCONCLUSIVE
    return Check(name, gate, text, n, new / n, low, high)


def check_foresight(
    rise: FloatArray, n_tokens: FloatArray, keys: Sequence[str], limits: tuple[float, float]
) -> Check | None:
    """Judge whether logged answers to untouched prompts have become less likely.

    It is the sentinel for skills that no signal knows: a model that forgets how such answers are
    written gives them fewer nats. None where nothing was logged.

    Args:
        rise: surprise with the adapter minus without it, in nats, one per logged answer.
        n_tokens: the answers' lengths.
        limits: the rise in nats per token that is allowed, and the error rate of a bound.
    """
    name = "logged answers"
    most, alpha = limits
    if not len(rise):
        return None
    found = paired_ratio(rise, n_tokens, keys, alpha)
    if found is None:
        return Check(name, Gate.INCONCLUSIVE, "too few logged answers to untouched prompts", 1)
    text = (
        f"{found.value:+.4f} ({found.low:+.4f} … {found.high:+.4f}) nats per token on "
        f"{len(rise)} answers of untouched traffic (limit {most:g})"
    )
    gate = Gate.PASS if found.high <= most else Gate.FAIL if found.low > most else Gate.INCONCLUSIVE
    return Check(name, gate, text, len(rise), found.value, found.low, found.high)
