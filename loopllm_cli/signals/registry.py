"""The one registry of signals: what can be measured on a row, and how.

A signal turns a batch of rows into one float64 per row; NaN says that the signal does not apply
to that row (no JSON was asked for, no latency was logged). It must be pure: no state, no order
dependence, the same rows give the same numbers in any batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loopllm_cli.model import SignalInfo, SignalKind, Worse
from loopllm_cli.signals.batch import FloatArray, RowBatch


@dataclass(frozen=True, slots=True)
class Signal:
    """A measurement with its meaning.

    `compute` returns an array of shape (n_rows,): 0/1 for a RATE, a non-negative number for an
    AMOUNT, NaN where the signal does not apply. `user_defined` signals may fail without ending
    the run; `kind_from_data` ones were configured without a kind (see `user.settle_kinds`).
    """

    info: SignalInfo
    compute: Callable[[RowBatch], FloatArray]
    user_defined: bool = False
    kind_from_data: bool = False


BUILT_IN: dict[str, Signal] = {}


def signal(
    name: str,
    kind: SignalKind,
    worse: Worse,
    tolerance: float,
    *,
    unit: str = "",
    version: int = 1,
) -> Callable[[Callable[[RowBatch], FloatArray]], Callable[[RowBatch], FloatArray]]:
    """Register a function as a built-in signal; its docstring's first line is the definition.

    Raises:
        ValueError: the name is taken, or the function says nothing about itself.
    """

    def register(compute: Callable[[RowBatch], FloatArray]) -> Callable[[RowBatch], FloatArray]:
        if name in BUILT_IN or not compute.__doc__:
            raise ValueError(f"signal {name!r} is registered twice or has no docstring")
        definition = compute.__doc__.strip().splitlines()[0]
        info = SignalInfo(name, kind, worse, tolerance, definition, unit, version)
        BUILT_IN[name] = Signal(info, compute)
        return compute

    return register
