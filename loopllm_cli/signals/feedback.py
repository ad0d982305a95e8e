"""Signals about what users said and did after an answer.

Rates are shares of all answers, not of rated ones, so that people who stop rating are not
mistaken for people who became content; where no feedback was logged at all they do not apply.

Why these tolerances: few answers get any feedback, so one more unhappy user in a hundred
answers is a large relative rise; praise is habit as much as quality, hence two points; ratings
are averages of noisy scales, hence a twentieth.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from loopllm_cli.model import SignalKind, Worse
from loopllm_cli.signals.batch import FloatArray, RowBatch
from loopllm_cli.signals.registry import signal


def _share(batch: RowBatch, column: str, hit: npt.NDArray[np.bool_]) -> FloatArray:
    if not batch.has(column):
        return np.full(len(batch), np.nan)
    return hit.astype(np.float64)


@signal("thumbs_down", SignalKind.RATE, Worse.UP, 0.01)
def thumbs_down(batch: RowBatch) -> FloatArray:
    """Share of all answers that users marked as bad.

    Blind spots: most unhappy users press nothing; a new button moves it without a new answer.
    """
    return _share(batch, "polarity", batch.numbers("polarity") < 0)


@signal("thumbs_up", SignalKind.RATE, Worse.EITHER, 0.02)
def thumbs_up(batch: RowBatch) -> FloatArray:
    """Share of all answers that users marked as good.

    Blind spots: as for thumbs_down.
    """
    return _share(batch, "polarity", batch.numbers("polarity") > 0)


@signal("corrected", SignalKind.RATE, Worse.UP, 0.01)
def corrected(batch: RowBatch) -> FloatArray:
    """Share of all answers that someone rewrote or corrected.

    Blind spots: corrections made where nothing is logged, such as in the user's own editor.
    """
    return _share(batch, "n_corrections", batch.numbers("n_corrections") > 0)


@signal("escalated", SignalKind.RATE, Worse.UP, 0.01)
def escalated(batch: RowBatch) -> FloatArray:
    """Share of all answers after which the user was handed to a person.

    Blind spots: users who give up without asking for a person.
    """
    return _share(batch, "n_escalations", batch.numbers("n_escalations") > 0)


@signal("dissatisfied_next", SignalKind.RATE, Worse.UP, 0.01)
def dissatisfied_next(batch: RowBatch) -> FloatArray:
    """Share of all answers that users complained about, repeated or corrected in what came next.

    Blind spots: users who leave without another message; signs are mined by rules whose precision
    and recall are on the page on implicit feedback.
    """
    return _share(batch, "n_implicit_bad", batch.numbers("n_implicit_bad") > 0)


@signal("thanked_next", SignalKind.RATE, Worse.EITHER, 0.02)
def thanked_next(batch: RowBatch) -> FloatArray:
    """Share of all answers that users thanked for in their next message.

    Blind spots: as for dissatisfied_next; politeness differs between languages and days.
    """
    return _share(batch, "n_implicit_good", batch.numbers("n_implicit_good") > 0)


@signal("rating", SignalKind.AMOUNT, Worse.DOWN, 0.05)
def rating(batch: RowBatch) -> FloatArray:
    """Mean rating of rated answers, on a scale from 0 to 1.

    Blind spots: who rates: a mean of rated answers moves when other people begin to rate.
    """
    ratings = batch.numbers("rating")
    return np.where(ratings >= 0, ratings, np.nan)
