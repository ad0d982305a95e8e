"""The checks on an adapter beside its repairs: what it must not have done, and must have."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from loopllm_cli.config import VerifyConfig
from loopllm_cli.drift.intervals import BoolArray, wilson
from loopllm_cli.drift.verdict import JudgeSettings, judge_status
from loopllm_cli.model import Check, Comparison, Gate, SignalInfo, SignalKind, Status, Verdict
from loopllm_cli.verify.watch import FloatArray, paired_ratio

ON_RIGHT = "distance on answers that were right"
SERVED = "same model as in the logs"
MOST_OTHER = 0.25
"""Right answers of the logs that may come wrong anew: logs are drawn at a temperature, and what was
right by luck is not right again. The sample world loses 1% of them with the template that its logs
were served with."""
ON_OWN = "distance on its own answers"
MOST_APART = 0.05
"""How far the effects of two processes may lie apart, relatively. On the CPU they are equal to the
last digit; bfloat16 carries 8 bits, 0.4% a rounding, and an inert or other adapter is off by 100%.
"""


def check_training(stopped_at_step: float | None) -> tuple[Check, ...]:
    """Hold back an adapter whose training was stopped for moving the model too far.

    What is left of such a run is a chance find between two checkpoints: it asks for another run
    at a lower rate, not for shipping.
    """
    if stopped_at_step is None:
        return ()
    text = (
        f"a guard stopped its training at step {stopped_at_step:.0f}: "
        "train again with a lower learning_rate"
    )
    return (Check("training", Gate.INCONCLUSIVE, text, 0),)


def check_effect(effect: float, fresh: float | None = None, failure: str = "") -> Check:
    """Judge whether the adapter, as reloaded from disk, does anything at all.

    Args:
        effect: largest change of a first logit in this process.
        fresh: the same in a process of its own; None where none was asked.
        failure: why that process measured nothing.
    """
    name = "effect"
    if failure:
        text = f"the adapter does not load in a process of its own: {failure}"
        return Check(name, Gate.FAIL, text, 0, effect)
    told = effect if fresh is None else min(effect, fresh)
    if not told > 0:
        return Check(name, Gate.FAIL, "the adapter changes nothing: it is inert", 0, told)
    text = f"moves the first logits by up to {effect:.3g}"
    if fresh is None:
        return Check(name, Gate.PASS, text, 0, effect)
    if abs(fresh - effect) > MOST_APART * effect:
        text += f", but by {fresh:.3g} in a process of its own: what is served is something else"
        return Check(name, Gate.FAIL, text, 0, effect)
    return Check(name, Gate.PASS, f"{text}, in a process of its own too", 0, effect)


def check_served(logged: BoolArray, fresh: BoolArray) -> Check | None:
    """Judge whether this is the model that answered in the logs, rendered as it was there.

    Other weights, another chat template or other settings answer otherwise, and whatever is then
    proved is proved of something that nobody serves. None where no right answer is known.

    Args:
        logged: whether the logged answers to untouched prompts are right.
        fresh: whether the fresh ones without the adapter are.
    """
    n = int(logged.sum())
    if n == 0:
        return None
    lost = int((logged & ~fresh).sum())
    low, high = _wilson(lost / n, n, 0.05)
    text = f"{n - lost} of {n} right answers of the logs come right again as served"
    if low <= MOST_OTHER:
        return Check(SERVED, Gate.PASS, text, n, 1 - lost / n, 1 - high, 1 - low)
    text = f"only {text}: another model, chat template or system prompt than was served?"
    return Check(SERVED, Gate.FAIL, text, n, 1 - lost / n, 1 - high, 1 - low)


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


def check_distance(kl_per_token: float, n: int, limit: float, name: str = ON_RIGHT) -> Check:
    """Judge how far the adapter moved the model on answers it should leave alone."""
    text = f"KL {kl_per_token:.4f} nats per token from what is served (limit {limit:g})"
    gate = Gate.PASS if kl_per_token <= limit else Gate.FAIL
    return Check(name, gate, text, n, kl_per_token)


def check_untouched(comparisons: tuple[Comparison, ...]) -> Check:
    """Say whether any signal of untouched traffic got worse."""
    name = "untouched segments"
    worse = [c for c in comparisons if c.verdict is Verdict.WORSE]
    n = max((c.n_current for c in comparisons), default=0)
    if worse:
        said = ", ".join(f"{signal_words(c.signal)} {_change(c)}" for c in worse)
        return Check(name, Gate.FAIL, f"worse than what is served: {said}", n)
    if n == 0:
        return Check(name, Gate.INCONCLUSIVE, "no prompt of untouched traffic to try", 0)
    if judge_status(comparisons, JudgeSettings()) is Status.INCONCLUSIVE:
        text = f"{n} prompts are too few: most signals could be worse by more than is tolerated"
        return Check(name, Gate.INCONCLUSIVE, text, n)
    return Check(name, Gate.PASS, f"no signal worse on {n} prompts", n)


def check_side_effects(worse: tuple[Comparison, ...], n: int) -> Check:
    """Say whether drifted segments got worse in a signal that had not drifted.

    Args:
        worse: as `gate.judge_side_effects` finds them.
        n: the prompts of the drifted segments.
    """
    name = "other signals of drifted segments"
    if worse:
        said = ", ".join(f"{signal_words(c.signal)} {_change(c)}" for c in worse)
        return Check(name, Gate.FAIL, f"worse than what is served: {said}", n)
    text = f"none worse than both the baseline and what is served on {n} prompts"
    return Check(name, Gate.PASS, text, n)


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


def check_kept_sampled(
    chosen: FloatArray, again: FloatArray, after: FloatArray, keys: list[str], config: VerifyConfig
) -> Check:
    """Judge the same where several answers are drawn per prompt, and drawing alone loses some.

    The model without the adapter answers twice: the first answers say which prompts it gets
    right, the second what it loses by drawing anew. Only what the adapter loses beyond that counts.

    Args:
        chosen: share of right answers per prompt, without the adapter.
        again: the same of its second answers.
        after: the same with the adapter.
        keys: whose prompt each is.
    """
    name = "right answers kept"
    found = paired_ratio(chosen * (again - after), chosen, keys, config.alpha)
    n = int((chosen > 0).sum())
    if found is None:
        text = "too few right answers are known on untouched traffic; log reference_answer"
        return Check(name, Gate.INCONCLUSIVE, text, n)
    floor = float((chosen * (1 - again)).sum() / chosen.sum())
    text = (
        f"{found.value:+.1%} lost beyond the {floor:.1%} that two runs as served differ "
        f"by, up to {found.high:.1%} may be ({config.max_loss:.0%} allowed) on {n} prompts"
    )
    if found.high <= config.max_loss:
        gate = Gate.PASS
    else:
        gate = Gate.FAIL if found.low > config.max_loss else Gate.INCONCLUSIVE
    return Check(name, gate, text, n, 1 - found.value, 1 - found.high, 1 - found.low)


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
