"""Do both sides of a pair differ, and do the pairs differ from each other?"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
from rapidfuzz.distance import Levenshtein, Prefix

from loopllm_cli.model import Finding, Pair, Severity
from loopllm_cli.pairs.audit.context import MIN_JUDGED, Case
from loopllm_cli.pairs.audit.shares import by_user, examples, of_share, over
from loopllm_cli.pairs.audit.texts import chosen_of, rejected_of
from loopllm_cli.pairs.chat import said

NO_LESSON = 0.5
"""Share of pairs without a difference from which training is a mistake: pairs whose sides are all
the same repaired 1% of a drift and cost a whole run (docs/pairs-audit.md)."""

NEAR = 0.02
"""Share of the longer text below which an edit is a typing error: `min_edit` of the rules."""

MANY_NEAR = 0.1
ONE_TEXT = 0.5
"""One chosen text in most pairs teaches that text, whatever is asked."""

_MAX_CHARS = 4_000
_NO_LETTERS = re.compile(r"[\W_]+")
_SIDES = {"chosen": chosen_of, "rejected": rejected_of}


def check_sides(case: Case) -> list[Finding]:
    """Look for pairs and sets of pairs that teach nothing, or one thing only."""
    return [
        _empty(case),
        _identical(case),
        _near_identical(case),
        _repeats(case, "repeated-chosen", "chosen"),
        _repeats(case, "repeated-rejected", "rejected"),
        _both_ways(case),
    ]


def _empty(case: Case) -> Finding:
    hits = [not chosen_of(p).strip() or not rejected_of(p).strip() for p in case.train]
    share = by_user(case.train, hits)
    silent = any(not chosen_of(pair).strip() for pair in case.train)
    severity = Severity.FAIL if silent else Severity.WARN if any(hits) else Severity.OK
    words = (
        f"{share} pairs have an empty side",
        "leave them out: an empty chosen side teaches silence",
    )
    found = of_share("empty-sides", severity, share, words, 0.0)
    return replace(found, examples=examples(case.train, hits))


def _identical(case: Case) -> Finding:
    """Count pairs whose sides are equal but for case and white space."""
    hits = [_is_same(chosen_of(pair), rejected_of(pair)) for pair in case.train]
    share = by_user(case.train, hits)
    severity = over(share, NO_LESSON, Severity.FAIL)
    if severity is Severity.OK and share.hits:
        severity = over(share, MANY_NEAR)
    words = (
        f"{share} pairs have the same two sides, but for case and blanks",
        "leave them out: there is nothing to learn from them",
    )
    limit = NO_LESSON if severity is Severity.FAIL else MANY_NEAR
    found = of_share("identical-sides", severity, share, words, limit)
    return replace(found, examples=examples(case.train, hits))


def _near_identical(case: Case) -> Finding:
    pairs = case.sample
    edits = np.array([edit_share(pair) for pair in pairs])
    hits = [bool(edit < NEAR) for edit in edits]
    share = by_user(pairs, hits)
    spread = ""
    if len(edits):
        low, middle, high = (f"{100 * x:.0f}%" for x in np.quantile(edits, (0.1, 0.5, 0.9)))
        spread = f"; {middle} of the text differs in the median pair ({low} to {high} in most)"
    words = (
        f"{share} pairs differ in less than {NEAR:.0%} of the text{spread}",
        "leave out what corrects typing errors only (min_edit)",
    )
    found = of_share("near-identical-sides", over(share, MANY_NEAR), share, words, MANY_NEAR)
    return replace(found, examples=examples(pairs, hits))


def edit_share(pair: Pair) -> float:
    """Return which share of the longer side would have to be edited to get the other one.

    Of long texts, so much is compared from the first difference on.
    """
    a, b = chosen_of(pair), rejected_of(pair)
    start = Prefix.similarity(a, b)
    end = start + _MAX_CHARS
    longest = max(len(a[:end]), len(b[:end]))
    return Levenshtein.distance(a[start:end], b[start:end]) / longest if longest else 0.0


def _repeats(case: Case, name: str, side: str) -> Finding:
    """Judge how often the most frequent text of a side stands there."""
    texts = [hash(folded(_SIDES[side](pair))) for pair in case.sample]
    top = max(Counter(texts).values(), default=0)
    most = next((text for text, n in Counter(texts).items() if n == top), 0)
    hits = [text == most for text in texts]
    share = by_user(case.sample, hits)
    n_texts = len(set(texts))
    words = (
        f"the most frequent {side} side stands in {share} pairs; {n_texts:,} different ones in all",
        f"leave out all but a few of the pairs with this {side} side (per_prompt helps)",
    )
    # A rejected text in most pairs is what a drift looks like; only the chosen one is taught.
    severity = over(share, ONE_TEXT) if side == "chosen" else Severity.OK
    found = of_share(name, severity, share, words, ONE_TEXT)
    shown = severity is not Severity.OK
    return replace(found, examples=examples(case.sample, hits) if shown else ())


def _both_ways(case: Case) -> Finding:
    """Find pairs that stand in the set in both directions, or twice."""
    keys = [
        (hash(tuple(map(said, p.prompt))), hash(chosen_of(p)), hash(rejected_of(p)))
        for p in case.train
    ]
    known = set(keys)
    hits = [(prompt, worse, better) in known for prompt, better, worse in keys]
    hits = [hit and better != worse for hit, (_, better, worse) in zip(hits, keys, strict=True)]
    share = by_user(case.train, hits)
    n_twice = len(keys) - len(known)
    words = (
        f"{share} pairs stand in the set in both directions; {n_twice:,} stand in it twice",
        "decide each of them, or leave both out",
    )
    severity = Severity.FAIL if any(hits) else Severity.OK
    if severity is Severity.OK and len(keys) >= MIN_JUDGED and n_twice > MANY_NEAR * len(keys):
        severity = Severity.WARN
    found = of_share("contradictions", severity, share, words, 0.0)
    return replace(found, examples=examples(case.train, hits))


def _is_same(one: str, other: str) -> bool:
    """Say whether two texts are equal but for case and blanks; most differ in the first word."""
    first, second = (" ".join(text.split(maxsplit=1)[:1]).casefold() for text in (one, other))
    return first == second and one.casefold().split() == other.casefold().split()


def folded(text: str) -> str:
    """Return letters and digits alone, in one case: what is left when looks are taken away.

    A text without any (a row of emoji) stays as it is.
    """
    bare = _NO_LETTERS.sub("", text.casefold())
    return bare or text.strip()
