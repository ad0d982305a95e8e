"""Is the better side simply the longer, or the shorter, one?"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from loopllm_cli.model import Finding, Pair, Severity
from loopllm_cli.pairs.audit.context import MIN_JUDGED, Case, user_of
from loopllm_cli.pairs.audit.shares import by_user, mean_of, of_share
from loopllm_cli.pairs.audit.texts import chosen_of, rejected_of

LONGER = 1.3
"""Mean ratio of the lengths from which on length is a lesson by itself. The good pairs of the
sample world have 1.1; public votes, known for it, 1.9 (docs/pairs-audit.md).

Source: Singhal et al. (2023), "A long way to go: investigating length correlations in RLHF",
https://arxiv.org/abs/2310.03716 (a reward of length alone explains most of what training gained);
Park et al. (2024), "Disentangling length from quality in direct preference optimization",
https://arxiv.org/abs/2403.19159.
"""

ONE_WAY = 0.75
"""Share of pairs with the longer side chosen (or the shorter) from which length alone would guess
three of four pairs right. Human votes of PandaLM: 68%; one judge model's votes: 90%
(docs/pairs-audit.md)."""

_REMEDY = (
    "look whether length is the fault itself (then keep it); else pair answers of like length, "
    "or train with a length-normalised loss"
)


def check_lengths(case: Case) -> list[Finding]:
    """Compare both sides' lengths in characters and, where a tokenizer is known, in tokens."""
    found = [*_by_unit(case, "", "characters", len)]
    tokenize = case.context.tokenize
    if tokenize is not None:
        found += _by_unit(case, "-tokens", "tokens", lambda text: len(tokenize(text)))
    return found


def _by_unit(case: Case, suffix: str, unit: str, size: Callable[[str], int]) -> list[Finding]:
    pairs = case.sample
    sizes = np.array([[size(chosen_of(p)), size(rejected_of(p))] for p in pairs], dtype=np.float64)
    sizes = sizes.reshape(-1, 2)
    return [
        _ratio(pairs, sizes, f"length-bias{suffix}", unit),
        _direction(pairs, sizes, f"longer-side{suffix}", unit),
    ]


def _ratio(pairs: tuple[Pair, ...], sizes: np.ndarray, name: str, unit: str) -> Finding:
    """Judge the geometric mean of the paired ratios."""
    logs = np.log((sizes[:, 0] + 1) / (sizes[:, 1] + 1))
    mean, low, high = mean_of(logs, [user_of(pair) for pair in pairs])
    limit = math.log(LONGER)
    enough = len(pairs) >= MIN_JUDGED
    bad = enough and (low > limit or high < -limit)
    factor = math.exp(abs(mean)) if math.isfinite(mean) else float("nan")
    way = "long" if mean >= 0 else "short"
    text = f"chosen sides are {factor:.2f} times as {way} as rejected ones, in {unit}"
    value, least, most = (math.exp(x) if math.isfinite(x) else None for x in (mean, low, high))
    return Finding(
        name, Severity.WARN if bad else Severity.OK, text if pairs else "no pairs to measure",
        len(pairs), value, least, most, LONGER if mean >= 0 else 1 / LONGER, _REMEDY,
    )  # fmt: skip


def _direction(pairs: tuple[Pair, ...], sizes: np.ndarray, name: str, unit: str) -> Finding:
    """Judge how often length alone would tell the better side."""
    uneven = sizes[:, 0] != sizes[:, 1]
    told = [pair for pair, differs in zip(pairs, uneven, strict=True) if differs]
    longer = (sizes[:, 0] > sizes[:, 1])[uneven]
    up = bool(longer.mean() >= 0.5) if len(longer) else True
    share = by_user(told, [bool(x) == up for x in longer])
    bad = share.n >= MIN_JUDGED and share.low > ONE_WAY
    way = "longer" if up else "shorter"
    text = f"the {way} side is chosen in {share} pairs whose sides differ in {unit}"
    severity = Severity.WARN if bad else Severity.OK
    return of_share(name, severity, share, (text, _REMEDY), ONE_WAY)
