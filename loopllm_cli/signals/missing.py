"""Signals about fields that the log lacks.

Exists because rows without a value drop out of every other signal in silence: an exporter that
stops writing token counts for one row in ten makes the mean of the rest look well. A field that
is always there, or never, is constant and takes no part in a comparison.

Why this tolerance: a tenth of the rows without a value has to be seen in 500 rows, and logs lose
a few by themselves; two points leave room for that (0 to 10% of 500 rows: the interval's lower
end stands near 6 points).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from loopllm_cli.model import SignalKind, Worse
from loopllm_cli.signals.batch import FloatArray, RowBatch
from loopllm_cli.signals.registry import signal

TOLERANCE = 0.02
FIELDS = {
    "latency_missing": ("duration_s", "duration"),
    "input_tokens_missing": ("input_tokens", "number of input tokens"),
    "output_tokens_missing": ("output_tokens", "number of output tokens"),
    "cost_missing": ("cost_usd", "price"),
    "finish_reason_missing": ("finish_reason", "finish reason"),
    "user_missing": ("user_id", "user"),
    "conversation_missing": ("conversation_id", "conversation"),
}
"""By signal: the column, and what it holds in words."""

_BLIND = """

    Blind spots: a field that was never logged looks as one that is always missing, and both are
    constant; a wrong value (0, "unknown") counts as there; errors often carry no tokens, cost
    or finish reason, so that a wave of errors shows here too.
    """


def _register(name: str, column: str, words: str) -> None:
    def missing(batch: RowBatch) -> FloatArray:
        if not batch.has(column):
            return np.full(len(batch), np.nan)
        return np.array([value is None for value in batch.values(column)], dtype=np.float64)

    named: Callable[[RowBatch], FloatArray] = missing
    named.__doc__ = f"Rows without a logged {words}.{_BLIND}"
    signal(name, SignalKind.RATE, Worse.UP, TOLERANCE)(named)


for _name, (_column, _words) in FIELDS.items():
    _register(_name, _column, _words)
