"""Which signals a run computes, and the computing of them.

Importing this module registers the built-in signals. User signals come from the configuration
and from installed packages; tolerances may be overridden, which each signal then says of itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from loopllm_cli.errors import ConfigError
from loopllm_cli.model import SignalKind
from loopllm_cli.signals import (  # noqa: F401  (importing registers)
    answers,
    categories,
    code,
    feedback,
    language,
    missing,
    prompt_use,
    retrieval,
    serving,
    shape,
    structure,
    tools,
    wording,
)
from loopllm_cli.signals.batch import FloatArray, RowBatch
from loopllm_cli.signals.limits import Task, run_limited
from loopllm_cli.signals.plugins import offered_signals
from loopllm_cli.signals.registry import BUILT_IN, Signal
from loopllm_cli.signals.signal_tables import check_seconds, check_tolerance, nearest
from loopllm_cli.signals.user import SECONDS, build_user_signal


def load_signals(
    user_config: Mapping[str, Mapping[str, Any]] | None = None,
    tolerances: Mapping[str, float] | None = None,
    only: Sequence[str] | None = None,
    *,
    root: Path | None = None,
    seconds: float = SECONDS,
) -> dict[str, Signal]:
    """Return the signals of a run by name: built-in ones, users', then those of packages.

    Args:
        user_config: one table per user signal, by name.
        tolerances: tolerances that replace the default ones, by signal.
        only: names to keep; all where None.
        root: the folder that paths in the configuration start from; the current one where None.
        seconds: how long each of the users' signals may take on one window.

    Raises:
        ConfigError: a name is unknown or taken, or a value cannot be followed.
    """
    signals = dict(BUILT_IN)
    for name, table in (user_config or {}).items():
        if name in BUILT_IN:
            raise ConfigError(
                f"signals.{name} has the name of a built-in signal", "give it a name of its own"
            )
        signals[name] = build_user_signal(name, table, root or Path(), check_seconds(seconds))
    signals.update(offered_signals(check_seconds(seconds), signals))
    for name, value in (tolerances or {}).items():
        signals[name] = _tolerate(_known(name, signals, "tolerance for"), value)
    if only is None:
        return signals
    return {name: _known(name, signals, "list of signals names") for name in only}


def _known(name: str, signals: Mapping[str, Signal], place: str) -> Signal:
    if name not in signals:
        raise ConfigError(f"{place} an unknown signal {name!r}", nearest(name, signals))
    return signals[name]


def _tolerate(one: Signal, value: Any) -> Signal:
    tolerance = check_tolerance(f"tolerance of {one.info.name}", value)
    if one.info.kind is SignalKind.RATE and tolerance >= 1:
        raise ConfigError(
            f"tolerance of {one.info.name} is {value!r}",
            "a rate's tolerance is a share below 1: one percentage point is 0.01",
        )
    return replace(one, info=replace(one.info, tolerance=tolerance, tolerance_source="config"))


def compute_signals(
    batch: RowBatch, signals: Mapping[str, Signal]
) -> tuple[FloatArray, dict[str, str]]:
    """Compute signals on rows.

    A user's signal that raises, does not end in its time, or returns something else than one
    fitting number per row, is NaN throughout; the second value says why. A failing built-in
    signal is a bug and raises.

    Shapes: (n_rows, n_signals), columns in the order of `signals`.
    """
    users = {name: one for name, one in signals.items() if one.user_defined}
    tasks = [
        Task(name, partial(_measured, one, batch), one.seconds, one.category)
        for name, one in users.items()
    ]
    # The built-in ones first: a child then finds the columns that they have decoded.
    found = {name: one.compute(batch) for name, one in signals.items() if name not in users}
    done, failures = run_limited(tasks)
    found.update(done)
    numbers = np.full((len(batch), len(signals)), np.nan)
    for column, name in enumerate(signals):
        if name in found:
            numbers[:, column] = found[name]
    return numbers, failures


def _measured(one: Signal, batch: RowBatch) -> FloatArray:
    return _checked(one, one.compute(batch), len(batch))


def _checked(one: Signal, returned: Any, n_rows: int) -> FloatArray:
    values = np.asarray(returned, dtype=np.float64)
    if values.shape != (n_rows,):
        raise ValueError(f"shape {values.shape} instead of ({n_rows},)")
    applies = values[~np.isnan(values)]
    if one.info.kind is SignalKind.RATE:
        wrong = applies[~np.isin(applies, (0.0, 1.0))]
        expected = "a rate is 0 or 1 in every row"
    else:
        wrong = applies[~(np.isfinite(applies) & (applies >= 0))]
        expected = "an amount is a finite number of 0 or more"
    if wrong.size:
        raise ValueError(f"value {wrong[0]:g} in {wrong.size} of {n_rows} rows: {expected}")
    return values
