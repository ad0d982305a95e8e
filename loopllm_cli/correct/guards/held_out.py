"""Measure how likely better answers are that a run does not train on, and that they end.

Must not import: torch and its relatives at the top.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loopllm_cli.correct.encoding import EncodedAnswer
from loopllm_cli.correct.score import token_logps

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AnswerLogps:
    """Log-probability (nats) of answers: whole, per token, and of the token that ends them.

    `end` is NaN for an answer without a stop token.
    """

    total: Array
    per_token: Array
    end: Array


def answer_logps(
    model: Any, encoded: Sequence[EncodedAnswer], stops: Collection[int]
) -> AnswerLogps:
    """Score answers with the model as it is.

    Args:
        model: a causal language model, in evaluation mode.
        encoded: contexts with their answers.
        stops: tokens that end an answer.
    """
    total, per_token, end = (np.full(len(encoded), np.nan) for _ in range(3))
    for place, logps in enumerate(token_logps(model, encoded)):
        total[place], per_token[place] = float(logps.sum()), float(logps.mean())
        at = [i for i, token in enumerate(encoded[place].answer) if token in stops]
        if at:
            end[place] = float(logps[at[-1]])
    return AnswerLogps(total, per_token, end)
