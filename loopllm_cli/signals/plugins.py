"""Signals that installed packages offer, under the entry-point group `loopllm.signals`.

    [project.entry-points."loopllm.signals"]
    tone = "our_signals:SIGNALS"

An entry point is a Signal, a mapping of names to Signals, or a function returning either. They
may fail as users' own may: what cannot be loaded is a signal without values, and a reason that
names the package; the others are judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib import metadata
from typing import Any

from loopllm_cli.errors import ConfigError
from loopllm_cli.model import SignalInfo, SignalKind, Worse
from loopllm_cli.signals.batch import FloatArray, RowBatch
from loopllm_cli.signals.limits import interrupted, reason_of
from loopllm_cli.signals.registry import Signal
from loopllm_cli.signals.signal_tables import check_tolerance
from loopllm_cli.signals.user import NAME

GROUP = "loopllm.signals"


def offered_signals(seconds: float, taken: Iterable[str]) -> dict[str, Signal]:
    """Return the signals that installed packages offer, by name.

    Args:
        seconds: how long a package may take to load, and each signal on one window.
        taken: names of the built-in and the user's own signals.

    Raises:
        ConfigError: a name is taken.
    """
    owners = dict.fromkeys(taken, "loopllm or the settings")
    found: dict[str, Signal] = {}
    for entry in sorted(metadata.entry_points(group=GROUP), key=lambda e: (e.name, e.value)):
        package = f"package {entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
        for one in _load(entry, package, seconds):
            name = one.info.name
            if name in owners:
                raise ConfigError(
                    f"{package} offers a signal {name!r}, a name of {owners[name]} too",
                    "uninstall the package, or rename yours",
                )
            owners[name] = package
            found[name] = one
    return found


def _load(entry: metadata.EntryPoint, package: str, seconds: float) -> list[Signal]:
    try:
        with interrupted(seconds, "loading it"):
            offered = entry.load()
            if callable(offered) and not isinstance(offered, Signal):
                offered = offered()
        return [_accepted(one, seconds) for one in _listed(offered)]
    except Exception as problem:  # whatever a package raises
        name = re.sub(r"\W", "_", entry.name.lower())
        return [_unusable(name, f"{package} cannot be used: {reason_of(problem)}")]


def _listed(offered: Any) -> list[Signal]:
    if isinstance(offered, Signal):
        return [offered]
    if not isinstance(offered, Mapping):
        raise TypeError(f"{type(offered).__name__} is neither a Signal nor a mapping of Signals")
    found = []
    for name, one in offered.items():
        if not isinstance(one, Signal):
            raise TypeError(f"{name!r} is a {type(one).__name__}, not a Signal")
        found.append(replace(one, info=replace(one.info, name=name)))
    return found


def _accepted(one: Signal, seconds: float) -> Signal:
    info = one.info
    if not isinstance(info, SignalInfo) or not NAME.fullmatch(str(info.name)):
        raise ValueError(f"the name {getattr(info, 'name', info)!r} is not usable")
    check_tolerance(f"the tolerance of {info.name}", info.tolerance)
    info = replace(info, kind=SignalKind(info.kind), worse=Worse(info.worse))
    if one.labels is not None:
        info = replace(info, kind=SignalKind.RATE, worse=Worse.EITHER)
    return replace(one, info=info, user_defined=True, seconds=seconds, category="")


def _unusable(name: str, reason: str) -> Signal:
    def compute(batch: RowBatch) -> FloatArray:
        raise RuntimeError(reason)

    info = SignalInfo(name, SignalKind.RATE, Worse.EITHER, 0.02, "A signal that cannot be loaded.")
    return Signal(info, compute, user_defined=True, unusable=reason)
