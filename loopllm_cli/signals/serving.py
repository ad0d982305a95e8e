"""Signals about how answers were served: time, tokens, cost, how they ended, errors.

Why these tolerances: users notice a fifth more waiting, while smaller changes come and go with
load; a tenth more tokens or money shows on the invoice; failures (errors, filtered answers) are
incidents at one in two hundred, answers cut off or not logged at one in a hundred; tool use is
a way of working, where two points is a change of habit.
"""

from __future__ import annotations

import numpy as np

from loopllm_cli.model import SignalKind, Worse
from loopllm_cli.signals.batch import FloatArray, RowBatch, each, flag
from loopllm_cli.signals.registry import signal


def _amount(batch: RowBatch, column: str) -> FloatArray:
    # Clocks that step back give negative durations: not a measurement.
    numbers = batch.numbers(column)
    return np.where(numbers >= 0, numbers, np.nan)


@signal("latency", SignalKind.AMOUNT, Worse.UP, 0.20, unit="s")
def latency(batch: RowBatch) -> FloatArray:
    """Seconds from request to the end of the answer.

    Blind spots: waiting in the client or the network, where only the server's time was logged;
    answers streamed to the end look slow however soon they begin.
    """
    return _amount(batch, "duration_s")


@signal("first_chunk", SignalKind.AMOUNT, Worse.UP, 0.20, unit="s")
def first_chunk(batch: RowBatch) -> FloatArray:
    """Seconds from request to the first piece of the answer.

    Blind spots: logs of answers that were not streamed do not apply.
    """
    return _amount(batch, "time_to_first_chunk_s")


@signal("input_tokens", SignalKind.AMOUNT, Worse.EITHER, 0.10, unit="tokens")
def input_tokens(batch: RowBatch) -> FloatArray:
    """Tokens sent to the model.

    Blind spots: counts of different tokenisers are not comparable: a change of model moves it
    without a change of prompt.
    """
    return _amount(batch, "input_tokens")


@signal("output_tokens", SignalKind.AMOUNT, Worse.EITHER, 0.10, unit="tokens")
def output_tokens(batch: RowBatch) -> FloatArray:
    """Tokens produced by the model.

    Blind spots: as for input_tokens; hidden reasoning counts where the provider counts it.
    """
    return _amount(batch, "output_tokens")


@signal("cost", SignalKind.AMOUNT, Worse.UP, 0.10, unit="USD")
def cost(batch: RowBatch) -> FloatArray:
    """Price of the answer in US dollars, as logged.

    Blind spots: nothing is computed from price lists: rows without a logged cost do not apply, and
    a new price looks like a new behaviour.
    """
    return _amount(batch, "cost_usd")


@signal("cut_off", SignalKind.RATE, Worse.UP, 0.01)
def cut_off(batch: RowBatch) -> FloatArray:
    """Answers that stopped because a length limit was reached (finish reason length).

    Blind spots: answers that stop in the middle without the reason being logged as a length limit.
    """
    return each(batch.values("finish_reason"), lambda reason: reason == "length")


@signal("filtered", SignalKind.RATE, Worse.UP, 0.005)
def filtered(batch: RowBatch) -> FloatArray:
    """Answers stopped by a content filter (finish reason content_filter).

    Blind spots: filters outside the model, which replace the text without a finish reason.
    """
    return each(batch.values("finish_reason"), lambda reason: reason == "content_filter")


@signal("error", SignalKind.RATE, Worse.UP, 0.005)
def error(batch: RowBatch) -> FloatArray:
    """Calls that ended in an error (an error type was logged).

    Blind spots: calls that were never logged, and failures that came back as ordinary text.
    """
    if not batch.has("error_type"):
        return np.full(len(batch), np.nan)
    return np.array([kind is not None for kind in batch.values("error_type")], dtype=np.float64)


@signal("tool_call", SignalKind.RATE, Worse.EITHER, 0.02)
def tool_call(batch: RowBatch) -> FloatArray:
    """Answers that call at least one tool.

    Blind spots: whether the tool was the right one, or its arguments were valid.
    """
    calls = batch.numbers("n_tool_calls")
    return flag(calls, calls > 0)


@signal("content_missing", SignalKind.RATE, Worse.UP, 0.01)
def content_missing(batch: RowBatch) -> FloatArray:
    """Rows whose text was not logged in full (truncated, redacted or absent).

    Blind spots: texts redacted by the logger before they were exported, unless it said so.
    """
    return each(batch.values("content_state"), lambda state: state != "full")
