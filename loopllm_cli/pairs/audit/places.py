"""Do the pairs lie where something drifted, and do they show what failed there?"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from loopllm_cli.model import Finding, Severity
from loopllm_cli.pairs.audit.context import Case
from loopllm_cli.pairs.audit.shares import by_user, examples, of_share

MIN_TOUCHING = 12
"""Pairs with which a repair was first seen: 12 brought back about four fifths of one problem
(docs/pairs-audit.md)."""

HALF = 0.5
"""Pairs in the drifted segments below which most of the training goes elsewhere; part of the
drifted traffic without any pair from which a repair is a partial one."""


def check_places(case: Case) -> list[Finding]:
    """Compare where the pairs lie, and what they show, with what the drift run named."""
    return [_touching(case), _covered(case), _shown(case)]


def _touching(case: Case) -> Finding:
    """Judge how many pairs lie in a drifted segment or show a signal that failed.

    Where the segments that the run could name make up less than half of the change, pairs outside
    of them may be about the rest of it: that is no mistake, and worth a look.
    """
    name, remedy = "drifted-segments", "build repair pairs: loopllm pairs --from-drift RUN"
    if not case.drifted:
        text = "no drift run names a segment"
        return Finding(name, Severity.OK, text, threshold=HALF, remedy=remedy)
    pairs = case.sample
    shows = (case.better > 0).sum(axis=1)
    hits = [p.segment in case.drifted or bool(s) for p, s in zip(pairs, shows, strict=True)]
    inside = sum(pair.segment in case.drifted for pair in pairs)
    share = by_user(pairs, hits)
    text = (
        f"{share} pairs lie in the {len(case.drifted):,} drifted segments ({inside:,}) or show a "
        "signal that got worse"
    )
    if case.located < HALF:
        text += f"; these segments make up {case.located:.0%} of the change"
    few = share.hits < MIN_TOUCHING
    severity = Severity.OK
    if share.n and share.high < HALF:
        severity = Severity.FAIL if few and case.located >= HALF else Severity.WARN
    found = of_share(name, severity, share, (text, remedy), HALF)
    outside = [not hit for hit in hits]
    return found if severity is Severity.OK else replace(found, examples=examples(pairs, outside))


def _covered(case: Case) -> Finding:
    """Judge which part of the drifted traffic lies in segments that have a pair at all."""
    name, remedy = "segment-coverage", "collect corrections there, or build with --from-drift"
    total = sum(case.drifted.values())
    if not total:
        text = "no drift run names a segment"
        return Finding(name, Severity.OK, text, threshold=HALF, remedy=remedy)
    have = Counter(pair.segment for pair in case.train)
    bare = [label for label in case.drifted if not have[label]]
    part = 1 - sum(case.drifted[label] for label in bare) / total
    text = f"{part:.0%} of the drifted traffic is in segments that have a pair"
    if bare:
        named = ", ".join(f"“{label}”" for label in bare[:3])
        more = f" and {len(bare) - 3:,} more" if len(bare) > 3 else ""
        text += f"; none in {named}{more}"
    severity = Severity.WARN if part < HALF else Severity.OK
    n = len(case.drifted)
    return Finding(name, severity, text, n, part, None, None, HALF, remedy)


def _shown(case: Case) -> Finding:
    """Judge for how many of the signals that got worse there are pairs that show how it should be.

    A signal counts if an answer's text alone shows it; thumbs and delays are in no pair.
    """
    name, remedy = "failing-signals", "collect corrections of these faults, or use --from-drift"
    measured = case.measured.sum(axis=0)
    helping = dict(zip(case.signal_names, (case.better > 0).sum(axis=0).tolist(), strict=True))
    told = [n for n, n_told in zip(case.signal_names, measured, strict=True) if n_told]
    if not told:
        text = "no signal that got worse shows in a text"
        return Finding(name, Severity.OK, text, threshold=1.0, remedy=remedy)
    few = [n for n in told if helping[n] < MIN_TOUCHING]
    said = ", ".join(f"{n} in {helping[n]:,}" for n in told)
    text = f"pairs that show what got worse: {said}"
    if few:
        text += f"; {MIN_TOUCHING} pairs each are needed"
    part = 1 - len(few) / len(told)
    severity = Severity.WARN if few else Severity.OK
    return Finding(name, severity, text, len(told), part, None, None, 1.0, remedy)
