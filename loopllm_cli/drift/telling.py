"""Words that tell two windows' answers apart, from counts alone."""

from __future__ import annotations

import numpy as np

from loopllm_cli.model import Telling
from loopllm_cli.profiles.answers import MAX_WORDS, MIN_CLUSTERS, WordCounts

MAX_TELLING = 12
MIN_Z = 4.0
"""With 2,000 words compared, about a tenth of a word exceeds this by chance (two-sided normal
tail 6e-5); users who share words make it more, so words only explain what a test has found."""


def find_telling_words(baseline: WordCounts, current: WordCounts) -> tuple[Telling, ...]:
    """Return the words whose share of the answers changed most, the most telling first.

    Args:
        baseline: the baseline's vocabulary.
        current: counts over that vocabulary and the window's own words (`answers.count_words`).
            A word the vocabulary lacks is compared with the largest share it can have had.
    """
    if not baseline.n_answers or not current.n_answers:
        return ()
    known = baseline.share_of()
    most = _largest_unknown(baseline)
    before = np.array([known.get(word, most) for word in current.words])
    now = current.rows / current.n_answers
    pooled = (before * baseline.n_answers + current.rows) / (baseline.n_answers + current.n_answers)
    spread = pooled * (1 - pooled) * (1 / baseline.n_answers + 1 / current.n_answers)
    z = (now - before) / np.sqrt(np.maximum(spread, 1e-12))
    unknown = np.array([word not in known for word in current.words], dtype=bool)
    telling = np.where(unknown & (z < 0), 0.0, np.abs(z))
    order = [k for k in np.argsort(-telling, kind="stable")[:MAX_TELLING] if telling[k] >= MIN_Z]
    return tuple(
        Telling(
            word=current.words[k],
            baseline_share=float(before[k]),
            current_share=float(now[k]),
            z=float(z[k]),
            at_most=bool(unknown[k]),
        )
        for k in order
    )


def _largest_unknown(baseline: WordCounts) -> float:
    """Return the largest share of answers that a word outside of the vocabulary can have had.

    With a full vocabulary, that of its rarest word. Otherwise the word was used by fewer than
    MIN_CLUSTERS users or prompts, which we take for as many answers.
    """
    full = len(baseline.words) >= MAX_WORDS
    rows = int(baseline.rows.min()) if full else MIN_CLUSTERS - 1
    return min(rows / baseline.n_answers, 1.0)
