"""The checks on an adapter beside its repairs: what it must not have done, and must have."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from loopllm_cli.config import VerifyConfig
from loopllm_cli.drift.intervals import BoolArray, wilson
from loopllm_cli.drift.verdict import JudgeSettings, judge_status
from loopllm_cli.model import Check, Comparison, Gate, SignalInfo, SignalKind, Status, Verdict


def check_training(stopped_at_step: float | None) -> tuple[Check, ...]:
    """Hold back an adapter whose training was stopped for moving the model too far.

    What is left of such a run is a chance find between two checkpoints: it asks for another run
    at a lower rate, not for shipping.
    """
    if stopped_at_step is None:
        return ()
    text = (
        f"the retention guard stopped it at step {stopped_at_step:.0f}: "
        "train again with a lower learning_rate"
    )
    return (Check("training", Gate.INCONCLUSIVE, text, 0),)


def check_effect(effect: float) -> Check:
    """Judge whether the adapter, as reloaded from disk, does anything at all."""
    if effect > 0:
        return Check("effect", Gate.PASS, f"moves the first logits by up to {effect:.3g}", 0)
    return Check("effect", Gate.FAIL, "the adapter changes nothing: it is inert", 0)


def check_preference(margins: np.ndarray, plain: tuple[float, float]) -> Check:
    """Judge whether the adapter moved the model towards the better answers of held-out pairs.

    Args:
        margins: implicit rewards of chosen minus rejected, one per held-out pair.
        plain: shares of pairs whose better answer is the likelier one, before and after.
    """
    name = "held-out preference"
    n = len(margins)
    if n == 0:
        return Check(name, Gate.INCONCLUSIVE, "no held-out pair", 0)
    right = float(np.mean(margins > 0))
    low, high = _wilson(right, n, 0.05)
    text = (
        f"towards the better answer in {right:.0%} ({low:.0%} … {high:.0%}) of {n} pairs; the "
        f"better answer is the likelier one in {plain[0]:.0%} → {plain[1]:.0%}"
    )
    gate = Gate.PASS if low > 0.5 else Gate.FAIL if right <= 0.5 else Gate.INCONCLUSIVE
    return Check(name, gate, text, n, right, low, high)


def check_distance(kl_per_token: float, n: int, limit: float) -> Check:
    """Judge how far the adapter moved the model on answers it should leave alone."""
    text = f"KL {kl_per_token:.4f} nats per token from the model without it (limit {limit:g})"
    gate = Gate.PASS if kl_per_token <= limit else Gate.FAIL
    return Check("distance on answers that were right", gate, text, n, kl_per_token)


def check_untouched(comparisons: tuple[Comparison, ...]) -> Check:
    """Say whether any signal of untouched traffic got worse."""
    name = "untouched segments"
    worse = [c for c in comparisons if c.verdict is Verdict.WORSE]
    n = max((c.n_current for c in comparisons), default=0)
    if worse:
        said = ", ".join(f"{signal_words(c.signal)} {_change(c)}" for c in worse)
        return Check(name, Gate.FAIL, f"worse than without the adapter: {said}", n)
    if n == 0:
        return Check(name, Gate.INCONCLUSIVE, "no prompt of untouched traffic to try", 0)
    if judge_status(comparisons, JudgeSettings()) is Status.INCONCLUSIVE:
        text = f"{n} prompts are too few: most signals could be worse by more than is tolerated"
        return Check(name, Gate.INCONCLUSIVE, text, n)
    return Check(name, Gate.PASS, f"no signal worse on {n} prompts", n)


def check_kept(was_right: BoolArray, is_right: BoolArray, config: VerifyConfig) -> Check:
    """Judge how many right answers on untouched traffic the adapter loses.

    Gains elsewhere do not make up for losses: an average over both would hide them.

    Args:
        was_right: whether the model without the adapter gave the known right answer.
        is_right: the same with the adapter, for the same prompts.
    """
    name = "right answers kept"
    n = int(was_right.sum())
    if n == 0:
        text = "no right answer is known on untouched traffic; log reference_answer for some rows"
        return Check(name, Gate.INCONCLUSIVE, text, 0)
    lost = int((was_right & ~is_right).sum())
    low, high = _wilson(lost / n, n, 2 * config.alpha)
    gained = int((~was_right & is_right).sum())
    text = (
        f"{n - lost} of {n} are still right, up to {high:.1%} may be lost "
        f"({config.max_loss:.0%} allowed); {gained} wrong ones became right"
    )
    if high <= config.max_loss:
        gate = Gate.PASS
    else:
        gate = Gate.FAIL if low > config.max_loss else Gate.INCONCLUSIVE
    return Check(name, gate, text, n, 1 - lost / n, 1 - high, 1 - low)


def _wilson(share: float, n: int, alpha: float) -> tuple[float, float]:
    """Return Wilson's two-sided limits of a share at level 1 - alpha."""
    quantile = np.array([NormalDist().inv_cdf(1 - alpha / 2)])
    low, high = wilson(np.array([share]), np.array([float(n)]), quantile)
    return float(low[0]), float(high[0])


def signal_words(info: SignalInfo) -> str:
    """Return a signal's name as words."""
    return info.name.replace("_", " ")


def _change(c: Comparison) -> str:
    if c.signal.kind is SignalKind.RATE:
        return f"{c.change * 100:+.1f} pp ({c.low * 100:+.1f} … {c.high * 100:+.1f})"
    return f"{c.change:+.0%} ({c.low:+.0%} … {c.high:+.0%})"
