"""Are the labels the wrong way round? Four witnesses say so, each pair by pair.

A witness looks at both sides and says which is better, or nothing. Where it prefers the rejected
side, the pair counts as wrong. The witnesses are not perfect, so that a share of wrong pairs above
zero is normal; how much good sets show is measured in docs/pairs-audit.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from loopllm_cli.model import Finding, Pair, Severity
from loopllm_cli.pairs.audit.context import Case, chosen_answer, rejected_answer
from loopllm_cli.pairs.audit.shares import (
    FAIL_WRONG,
    WARN_WRONG,
    by_user,
    examples,
    of_share,
    wrong_severity,
)
from loopllm_cli.pairs.audit.texts import last_asked
from loopllm_cli.signals.answers import is_right
from loopllm_cli.signals.texts import split_words, straight

Signs = npt.NDArray[np.int64]
"""One per pair: 1 where a witness prefers the chosen side, -1 the rejected one, 0 says nothing."""

_MAX_READ_CHARS = 20_000
_MAX_RIGHT_CHARS = 50_000
_REMEDY = (
    "look at these pairs (loopllm pairs show ID), and whether votes are stored the right way round"
)


def check_flips(case: Case) -> list[Finding]:
    """Ask every witness, and all of them together, how many pairs are the wrong way round."""
    pairs = case.sample
    witnesses = {
        "references": by_references(case, pairs),
        "signals": by_signals(case),
        "thumbs": by_thumbs(case, pairs),
    }
    together = np.zeros(len(pairs), dtype=np.int64)
    for signs in witnesses.values():
        # What is known to be right says more than a signal, and a signal more than a thumb.
        together = np.where(together == 0, signs, together)
    alone = {**witnesses, "words": by_words(case, pairs)}
    # Only all together can fail a set: one witness may be the one that is wrong.
    return [
        _judged(pairs, together, "labels", Severity.FAIL),
        *(_judged(pairs, signs, name, Severity.WARN) for name, signs in alone.items()),
    ]


_SAID = {
    "labels": "what is known of the answers",
    "references": "the known right answers",
    "signals": "the signals that got worse",
    "thumbs": "thumbs that the pairs are not made of",
    "words": "the words that tell the baseline from the window",
}


def _judged(pairs: Sequence[Pair], signs: Signs, name: str, worst: Severity) -> Finding:
    witness = _SAID[name]
    told = [pair for pair, sign in zip(pairs, signs, strict=True) if sign]
    wrong = [bool(sign < 0) for sign in signs if sign]
    share = by_user(told, wrong)
    severity = wrong_severity(share, worst=worst)
    if not told:
        text = f"nothing is told of any pair by {witness}"
    else:
        text = f"by {witness}, the rejected side is better in {share} pairs that they tell apart"
    limit = FAIL_WRONG if severity is Severity.FAIL else WARN_WRONG
    found = of_share(f"flipped-{name}", severity, share, (text, _REMEDY), limit)
    return found if severity is Severity.OK else replace(found, examples=examples(told, wrong))


def by_references(case: Case, pairs: Sequence[Pair]) -> Signs:
    """Ask the right answers, where they are known: is exactly one side right?"""
    signs = np.zeros(len(pairs), dtype=np.int64)
    for i, pair in enumerate(pairs):
        wanted = case.context.references.get(pair.context_hash)
        if not wanted or not wanted.strip():
            continue
        asked = last_asked(pair.prompt)
        chosen, rejected = (
            is_right(text[:_MAX_RIGHT_CHARS], wanted, asked)
            for text in (pair.chosen, pair.rejected)
        )
        signs[i] = int(chosen) - int(rejected)
    return signs


def by_signals(case: Case) -> Signs:
    """Ask the signals that got worse: which side is on the better side of more of them?"""
    signs: Signs = np.sign(case.better.sum(axis=1)).astype(np.int64)
    return signs


def by_thumbs(case: Case, pairs: Sequence[Pair]) -> Signs:
    """Ask the thumbs on either answer that are not what the pair was made of."""
    given = case.context.thumbs

    def liked(pair: Pair, answer: str | None) -> int:
        own = set(pair.feedback_ids)
        return sum(sign for name, sign in given.get(answer or "", ()) if name not in own)

    said = [liked(pair, chosen_answer(pair)) - liked(pair, rejected_answer(pair)) for pair in pairs]
    return np.sign(np.array(said, dtype=np.int64).reshape(len(pairs)))


def by_words(case: Case, pairs: Sequence[Pair]) -> Signs:
    """Ask the words whose share of the answers changed: which side sounds like the baseline?"""
    omnibus = case.context.drift.omnibus if case.context.drift else None
    telling = {one.word: -1 if one.z > 0 else 1 for one in (omnibus.words if omnibus else ())}
    if not telling:
        return np.zeros(len(pairs), dtype=np.int64)

    def lean(text: str) -> int:
        words = set(split_words(straight(text[:_MAX_READ_CHARS])))
        return sum(telling.get(word, 0) for word in words)

    said = [lean(pair.chosen) - lean(pair.rejected) for pair in pairs]
    return np.sign(np.array(said, dtype=np.int64).reshape(len(pairs)))
