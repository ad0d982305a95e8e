"""Are there enough pairs to train on, to prove it with, and to keep the rest as it is?"""

from __future__ import annotations

from loopllm_cli.model import Finding, Severity
from loopllm_cli.pairs.audit.context import Case
from loopllm_cli.pairs.selection.power import heldout_power

MIN_TRAIN = 20
"""Below 20, `loopllm correct` refuses (correct/preflight.py, MIN_TRAIN_PAIRS)."""

RETAINED = 60
"""Liked answers on which the guard of a training run watches whether the rest stays as it is."""


def check_sizes(case: Case) -> list[Finding]:
    """Count what there is."""
    return [_train(case), _heldout(case), _retained(case)]


def _train(case: Case) -> Finding:
    n = len(case.train)
    severity = Severity.FAIL if n < MIN_TRAIN else Severity.OK
    return Finding(
        "too-few-pairs", severity, f"{n:,} pairs to train on", n, float(n), None, None,
        float(MIN_TRAIN), "collect corrections or comparisons, or widen the window",
    )  # fmt: skip


def _heldout(case: Case) -> Finding:
    """Say what the check of held-out preference can decide with so many pairs."""
    n = len(case.built.heldout)
    power = heldout_power(n)
    severity = Severity.OK if power.decides else Severity.WARN
    remedy = "collect more pairs, or raise heldout_share"
    return Finding(
        "heldout-power", severity, power.words(), n, float(n), None, None, float(power.needed),
        remedy,
    )  # fmt: skip


def _retained(case: Case) -> Finding:
    n, n_train = len(case.built.retention), len(case.train)
    wanted = min(RETAINED, n_train // 2)
    run = case.context.drift
    needed = run is not None and bool(run.segments)
    severity = Severity.WARN if needed and n < wanted else Severity.OK
    total = n + n_train
    text = f"{n:,} retained answers of untouched traffic to {n_train:,} pairs"
    remedy = "collect thumbs up where nothing drifted: they keep the rest as it is"
    return Finding(
        "retention-share", severity, text, n, n / total if total else None, None, None,
        wanted / (wanted + n_train) if wanted else 0.0, remedy,
    )  # fmt: skip
