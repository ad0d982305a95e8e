"""Which models and rules do the sides come from?"""

from __future__ import annotations

from collections import Counter

from loopllm_cli.model import Finding, Pair, Severity
from loopllm_cli.pairs.audit.context import MIN_JUDGED, Case
from loopllm_cli.pairs.audit.shares import by_user, of_share, over

ONE_MODEL = 0.9
"""Share of the wins of one of two models from which its name tells the better side nine times in
ten, so that a model may learn the other's accent in place of quality."""

MIN_CHOICES = 20
OFF_POLICY = 0.5
"""Most rejected sides are not what the model says today: pushing them down moves little of it.

Source: Tajwar et al. (2024), "Preference fine-tuning of LLMs should leverage suboptimal, on-policy
data", ICML, https://arxiv.org/abs/2404.14367.
"""

BY_MACHINES = 0.5


def check_origins(case: Case) -> list[Finding]:
    """Look at the models that answered, and at who or what judged."""
    return [_one_model(case), _off_policy_chosen(case), _off_policy_rejected(case), _judges(case)]


def _one_model(case: Case) -> Finding:
    """Judge whether one model wins, where two models answered."""
    name, remedy = "one-model-bias", "add pairs within one model, or take out the tell-tale style"
    told = [
        p for p in case.train
        if p.chosen_model and p.rejected_model and p.chosen_model != p.rejected_model
    ]  # fmt: skip
    wins = Counter(pair.chosen_model for pair in told)
    top = min(wins, key=lambda m: (-wins[m], m or ""), default=None)
    share = by_user(told, [pair.chosen_model == top for pair in told])
    baseline = case.context.baseline
    by_design = baseline is not None and top in baseline.models
    text = f"one model wins {share} pairs of two models"
    if by_design:
        text += "; it is the baseline's, which a repair is to bring back"
    bad = share.n >= MIN_CHOICES and share.value > ONE_MODEL and not by_design
    severity = Severity.WARN if bad else Severity.OK
    return of_share(name, severity, share, (text, remedy), ONE_MODEL)


def _off_policy_chosen(case: Case) -> Finding:
    """Say how many chosen sides were answered by another model than the rejected one, or written.

    Never held against a set: corrections and a better model's answers are what teaches.
    """
    pairs = case.train
    other = [p.chosen_model is not None and p.chosen_model != p.rejected_model for p in pairs]
    share = by_user(pairs, other)
    n_written = sum(pair.chosen_model is None for pair in pairs)
    text = f"another model answered the chosen side of {share} pairs; people wrote {n_written:,}"
    return of_share("off-policy-chosen", Severity.OK, share, (text, ""), 1.0)


def _off_policy_rejected(case: Case) -> Finding:
    """Judge how many rejected sides the model that drifted did not say."""
    name, remedy = "off-policy-rejected", "pair answers of the model that is to be corrected"
    run = case.context.drift
    models = frozenset(run.current_window.models) if run else frozenset()
    # Drawn answers are those of the model to be corrected, under whatever name it was asked.
    told = [pair for pair in case.train if pair.rejected_model and "sampled" not in pair.rule]
    if not models or not told:
        return Finding(
            name, Severity.OK, "the model to be corrected is not known", threshold=OFF_POLICY
        )
    hits = [pair.rejected_model not in models for pair in told]
    share = by_user(told, hits)
    text = f"{share} rejected sides are not by a model of the window that drifted"
    return of_share(name, over(share, OFF_POLICY), share, (text, remedy), OFF_POLICY)


def _judges(case: Case) -> Finding:
    """Judge how many pairs rest on the word of a machine alone."""
    hits = [_by_machine(pair) for pair in case.train]
    share = by_user(case.train, hits)
    text = f"{share} pairs rest on a judge model or a program alone"
    remedy = "have people judge some of them: loopllm pairs review"
    severity = over(share, BY_MACHINES) if share.n >= MIN_JUDGED else Severity.OK
    return of_share("judged-by-machines", severity, share, (text, remedy), BY_MACHINES)


def _by_machine(pair: Pair) -> bool:
    return any(word in pair.rule for word in ("judge", "machine"))
