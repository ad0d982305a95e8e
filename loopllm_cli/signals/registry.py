"""The one registry of signals: what can be measured on a row, and how.

A signal turns a batch of rows into one float64 per row; NaN says that the signal does not apply
to that row (no JSON was asked for, no latency was logged). It must be pure: no state, no order
dependence, the same rows give the same numbers in any batch.

A category turns a batch into one label per row; `categories` makes rates of its labels when a
baseline is frozen, and it measures nothing until then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from loopllm_cli.model import SignalInfo, SignalKind, Worse
from loopllm_cli.signals.batch import FloatArray, RowBatch

Labels = list[str | None]


@dataclass(frozen=True, slots=True)
class Signal:
    """A measurement with its meaning.

    `compute` returns an array of shape (n_rows,): 0/1 for a RATE, a non-negative number for an
    AMOUNT, NaN where the signal does not apply. `user_defined` signals may fail without ending
    the run; `kind_from_data` ones were configured without a kind (see `user.settle_kinds`).

    Attributes:
        labels: for a category, the label of each row, None where there is none.
        category: for one value of a category, the category's name.
        seconds: how long a user's signal may take on one window; not limited where None.
        unusable: why a signal that a package offers could not be loaded.
    """

    info: SignalInfo
    compute: Callable[[RowBatch], FloatArray]
    user_defined: bool = False
    kind_from_data: bool = False
    labels: Callable[[RowBatch], Labels] | None = None
    category: str = ""
    seconds: float | None = None
    unusable: str = ""


@dataclass(frozen=True, slots=True)
class Built:
    """What a user's table asks for: numbers, labels, or both; and its definition if it gives none.

    `kind` is None where the table may say it (`as`).
    """

    definition: str
    measure: Callable[[RowBatch], FloatArray]
    labels: Callable[[RowBatch], Labels] | None = None
    kind: SignalKind | None = None


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
        info = SignalInfo(name, kind, worse, tolerance, _defined(name, compute), unit, version)
        BUILT_IN[name] = Signal(info, compute)
        return compute

    return register


def category(
    name: str, tolerance: float, *, version: int = 1
) -> Callable[[Callable[[RowBatch], Labels]], Callable[[RowBatch], Labels]]:
    """Register a function that labels rows; its docstring's first line is the definition.

    Raises:
        ValueError: the name is taken, or the function says nothing about itself.
    """

    def register(labels: Callable[[RowBatch], Labels]) -> Callable[[RowBatch], Labels]:
        said = _defined(name, labels)
        info = SignalInfo(name, SignalKind.RATE, Worse.EITHER, tolerance, said, version=version)
        BUILT_IN[name] = Signal(info, nothing, labels=labels)
        return labels

    return register


def nothing(batch: RowBatch) -> FloatArray:
    """Measure nothing, as a category does whose values are not frozen yet."""
    return np.full(len(batch), np.nan)


def _defined(name: str, function: Callable[[RowBatch], object]) -> str:
    if name in BUILT_IN or not function.__doc__:
        raise ValueError(f"signal {name!r} is registered twice or has no docstring")
    return function.__doc__.strip().splitlines()[0]
