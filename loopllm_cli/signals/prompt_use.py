"""The signal about what an answer takes from its prompt.

Why this tolerance: the share moves with topic and length; a fifth of it is more than the same
model shows between two halves of the same traffic, and marks parroting or ignored material.
"""

from __future__ import annotations

import numpy as np

from loopllm_cli.model import SignalKind, Worse
from loopllm_cli.signals.batch import FloatArray, RowBatch
from loopllm_cli.signals.registry import signal
from loopllm_cli.signals.texts import answer_words, prompt_words


@signal("prompt_overlap", SignalKind.AMOUNT, Worse.EITHER, 0.20)
def prompt_overlap(batch: RowBatch) -> FloatArray:
    """Share of an answer's different words that also stand in its prompt.

    Blind spots: paraphrase and translation take over without sharing words; word order and how
    often a word occurs are ignored.
    """
    pairs = zip(answer_words(batch), prompt_words(batch), strict=True)
    return np.array([_overlap(answer, prompt) for answer, prompt in pairs], dtype=np.float64)


def _overlap(answer: list[str] | None, prompt: list[str] | None) -> float:
    if not answer or not prompt:
        return np.nan
    different = set(answer)
    return len(different.intersection(prompt)) / len(different)
