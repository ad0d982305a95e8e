"""Do people agree, can they be relied on, and does one of them say it all?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from loopllm_cli.model import Agreement, Finding, Pair, Severity
from loopllm_cli.pairs.audit.context import MIN_JUDGED, Case, user_of
from loopllm_cli.pairs.audit.shares import (
    FAIL_WRONG,
    N_EXAMPLES,
    WARN_WRONG,
)

LARGEST = 0.25
"""A quarter of all pairs: one person who is wrong throughout then makes a set fail (FAIL_WRONG)."""

MIN_EFFECTIVE = 8.0
"""Users below which no interval is trusted either (`drift.power.MIN_CLUSTERS`)."""

UNRELIABLE = 0.6
"""Whoever is right in fewer than six of ten votes is hardly better than a coin."""

MANY_UNRELIABLE = 0.1

FAIL_AGREEMENT, WARN_AGREEMENT = (
    (1 - q) ** 2 + q**2 for q in (FAIL_WRONG, WARN_WRONG)
)  # two votes that are each wrong with probability q agree so often
_NOBODY = "nobody judged the same two answers"


def check_people(case: Case) -> list[Finding]:
    """Look at who is behind the pairs."""
    return [
        _agreement(case.built.agreement),
        _noise(case),
        _annotators(case),
        _largest(
            "user-domination", [user_of(p) for p in case.train], ("user", "per_user"),
            any(pair.user_id for pair in case.train), case.train,
        ),
        _largest(
            "prompt-domination", [p.prompt_hash for p in case.train], ("prompt", "per_prompt"),
            bool(case.train), case.train,
        ),
        _voices(case),
    ]  # fmt: skip


def _agreement(known: Agreement | None) -> Finding:
    name, remedy = "annotator-agreement", "write down what counts as better, and judge again"
    if known is None or not known.n_shared or not math.isfinite(known.agreement):
        return Finding(name, Severity.OK, _NOBODY, threshold=WARN_AGREEMENT, remedy=remedy)
    # Above the limit on the way up means below it on the way down: the interval's upper end counts.
    severity, limit = Severity.OK, WARN_AGREEMENT
    if known.n_shared >= MIN_JUDGED and known.high < WARN_AGREEMENT:
        severity = Severity.WARN
    if known.n_shared >= MIN_JUDGED and known.high < FAIL_AGREEMENT:
        severity, limit = Severity.FAIL, FAIL_AGREEMENT
    text = f"{known.agreement:.0%} of the votes on the same two answers agree"
    return Finding(
        name, severity, text, known.n_shared, known.agreement, known.low, known.high, limit, remedy,
    )  # fmt: skip


def _noise(case: Case) -> Finding:
    """Judge how many pairs are the wrong way round by what votes on the same answers tell.

    A pair's own confidence counts where it is known; where it is not, the noise of single votes
    does, with its interval.
    """
    name, remedy = "label-noise", "collect a second vote on what is unsure: loopllm pairs review"
    known, pairs = case.built.agreement, case.train
    sure = [pair.confidence for pair in pairs]
    if known is None or not math.isfinite(known.noise) or not pairs:
        return Finding(name, Severity.OK, _NOBODY, threshold=WARN_WRONG, remedy=remedy)
    bounds = [
        sum(1 - c if c is not None else one for c in sure) / len(pairs)
        for one in (known.noise, known.noise_low, known.noise_high)
    ]
    value, low, high = (bounds[0], min(bounds), max(bounds))
    severity, limit = Severity.OK, WARN_WRONG
    if known.n_shared >= MIN_JUDGED and low > WARN_WRONG:
        severity = Severity.WARN
    if known.n_shared >= MIN_JUDGED and low > FAIL_WRONG:
        severity, limit = Severity.FAIL, FAIL_WRONG
    text = (
        f"an estimated {value:.0%} of the pairs are the wrong way round ({known.noise:.0%} of "
        "single votes)"
    )
    return Finding(name, severity, text, len(pairs), value, low, high, limit, remedy)


def _annotators(case: Case) -> Finding:
    """Judge how many votes come from people who are hardly better than a coin."""
    name, remedy = (
        "unreliable-annotators",
        "leave out their votes, or ask them what they looked for",
    )
    known = case.built.agreement.annotators if case.built.agreement else ()
    bad = {one.annotator_id for one in known if one.high < UNRELIABLE}
    votes = [(who, pair) for pair in case.train for who in pair.annotator_ids]
    theirs = [pair.pair_id for who, pair in votes if who in bad]
    share = len(theirs) / len(votes) if votes else 0.0
    text = (
        f"{len(bad):,} of {len(known):,} people whose votes can be compared are right in fewer "
        f"than {UNRELIABLE:.0%}; {len(theirs):,} of {len(votes):,} votes are theirs"
    )
    severity = Severity.WARN if share > MANY_UNRELIABLE else Severity.OK
    return Finding(
        name, severity, text, len(known), share, None, None, MANY_UNRELIABLE, remedy,
        _some(theirs) if severity is Severity.WARN else (),
    )  # fmt: skip


def _voices(case: Case) -> Finding:
    """Judge whether one person cast most of the votes."""
    votes = [(who, pair) for pair in case.train for who in pair.annotator_ids if who]
    return _largest(
        "annotator-domination", [who for who, _ in votes], ("annotator", "per_user"),
        bool(votes), [pair for _, pair in votes],
    )  # fmt: skip


def _largest(
    name: str, keys: list[str], words: tuple[str, str], is_known: bool, pairs: Iterable[Pair]
) -> Finding:
    """Judge the largest contributor's share, and how many equal ones all are worth.

    The effective number is one over the sum of the squared shares.

    Source: Hill (1973), "Diversity and evenness", Ecology 54:427-432 (order 2).
    """
    noun, option = words
    remedy = f"collect from more {noun}s, or lower {option}"
    if not is_known or not keys:
        text = f"no {noun} is known"
        return Finding(name, Severity.OK, text, len(keys), threshold=LARGEST, remedy=remedy)
    counts = Counter(keys)
    top, n_top = max(counts.items(), key=lambda item: (item[1], item[0]))
    share = n_top / len(keys)
    effective = len(keys) ** 2 / sum(n**2 for n in counts.values())
    bad = len(keys) >= MIN_JUDGED and (share > LARGEST or effective < MIN_EFFECTIVE)
    text = (
        f"the largest {noun} has {n_top:,} of {len(keys):,}; all {len(counts):,} count as "
        f"{effective:,.1f} equal ones"
    )
    ids = _some(pair.pair_id for key, pair in zip(keys, pairs, strict=True) if key == top)
    return Finding(
        name, Severity.WARN if bad else Severity.OK, text, len(keys), share, None, None, LARGEST,
        remedy, ids if bad else (),
    )  # fmt: skip


def _some(ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for _, name in zip(range(N_EXAMPLES), ids, strict=False))
