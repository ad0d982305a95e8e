"""Signals that users define in their configuration: a pattern, an attribute, a function, ….

    [signals.mentions_refund]
    kind = "regex"
    pattern = "refund"
    worse = "up"

A table may also say `tolerance` and `definition`. User signals may fail or hang: the catalogue
turns that into missing values and a reason, never into a failed run.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from loopllm_cli.errors import ConfigError
from loopllm_cli.model import SignalInfo, SignalKind, Worse
from loopllm_cli.signals.batch import FloatArray, RowBatch
from loopllm_cli.signals.embedding import build_embedding
from loopllm_cli.signals.limits import Task, run_limited
from loopllm_cli.signals.registry import Built, Signal, nothing
from loopllm_cli.signals.signal_tables import SignalTable, check_tolerance, nearest
from loopllm_cli.signals.user_kinds import (
    build_attribute,
    build_json_schema,
    build_python,
    build_regex,
)

# As for the built-in signals of manner: two points, or a tenth of the mean.
DEFAULT_TOLERANCE = {SignalKind.RATE: 0.02, SignalKind.AMOUNT: 0.10}
SECONDS = 60.0

_COMMON_KEYS = ("kind", "worse", "tolerance", "definition")
_KEYS = {
    "regex": ("pattern", "target", "ignore_case"),
    "attribute": ("key", "as"),
    "python": ("function", "as"),
    "json_schema": ("schema",),
    "embedding": ("model", "revision", "compare"),
}
_BUILD: dict[str, Callable[[SignalTable, float], Built]] = {
    "regex": build_regex,
    "attribute": build_attribute,
    "python": build_python,
    "json_schema": build_json_schema,
    "embedding": build_embedding,
}
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


def build_user_signal(
    name: str, values: Mapping[str, Any], root: Path, seconds: float = SECONDS
) -> Signal:
    """Build a signal from its configuration table.

    Args:
        name: the signal's name.
        values: what the configuration says under `[signals.<name>]`.
        root: the folder that relative paths start from.
        seconds: how long the signal may take on one window.

    Raises:
        ConfigError: a key or value cannot be followed.
        MissingExtra: it needs a library that is not installed.
    """
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"signal name {name!r} is not usable",
            "use lower-case letters, digits and underscores, beginning with a letter",
        )
    if not isinstance(values, Mapping):
        raise ConfigError(f"signals.{name} is not a table", f"write it as [signals.{name}]")
    table = SignalTable(name, values, root)
    kind = table.choice("kind", tuple(_KEYS))
    allowed = _COMMON_KEYS + _KEYS[kind]
    for key in values:
        if key not in allowed:
            raise ConfigError(f"signals.{name} has an unknown key {key!r}", nearest(key, allowed))
    built = _BUILD[kind](table, seconds)
    if built.labels is None:
        decided = built.kind or SignalKind.AMOUNT
        info = _info(table, decided, built.definition)
        # A model's threads do not survive into a child, and it is ours, so it ends.
        limit = None if kind == "embedding" else seconds
        return Signal(info, built.measure, user_defined=True, seconds=limit)
    asked = table.choice("as", ("rate", "amount", "category"), "amount")
    if asked == "category":
        if "worse" in table and table.text("worse") != "either":
            raise ConfigError(table.wrong("worse"), "no value of a category is worse: leave it out")
        info = _info(table, SignalKind.RATE, built.definition)
        return Signal(info, nothing, user_defined=True, labels=built.labels, seconds=seconds)
    info = _info(table, SignalKind(asked), built.definition)
    open_kind = "as" not in table
    return Signal(info, built.measure, user_defined=True, kind_from_data=open_kind, seconds=seconds)


def _info(table: SignalTable, kind: SignalKind, default: str) -> SignalInfo:
    worse = Worse(table.choice("worse", ("up", "down", "either"), "either"))
    definition = table.text("definition", default)
    tolerance, source = DEFAULT_TOLERANCE[kind], "default"
    if "tolerance" in table:
        place = f"signals.{table.name}.tolerance"
        tolerance, source = check_tolerance(place, table.values["tolerance"]), "config"
    return SignalInfo(
        table.name,
        kind,
        worse,
        tolerance,
        definition,
        tolerance_source=source,
        fingerprint=_fingerprint(table),
    )


def _fingerprint(table: SignalTable) -> str:
    """Stand for all that decides what a signal measures: its keys, and the file they name.

    What a Python file imports, and what a folder of a model holds, is not followed.
    """
    measuring = {k: v for k, v in table.values.items() if k in _KEYS[table.values["kind"]]}
    digest = hashlib.blake2b(json.dumps(measuring, sort_keys=True, default=str).encode())
    named = table.values.get("schema", table.values.get("function"))
    if isinstance(named, str):
        place = named.rpartition(":")[0] or named
        module = getattr(sys.modules.get(place), "__file__", None)
        file = Path(module) if module else table.root / place
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def settle_kinds(batch: RowBatch, signals: Mapping[str, Signal]) -> dict[str, Signal]:
    """Make rates of the user signals that were given no kind and are 0 or 1 wherever they apply.

    Call once, on the rows of a baseline; a kind must not change from window to window. Signals
    that fail or apply nowhere keep their kind.
    """
    tasks = [
        Task(name, partial(_numbers, one, batch), one.seconds)
        for name, one in signals.items()
        if one.kind_from_data
    ]
    found, _ = run_limited(tasks)  # failures are reported where the signals are computed
    settled = dict(signals)
    for name, numbers in found.items():
        applies = numbers[~np.isnan(numbers)]
        if applies.size and np.isin(applies, (0.0, 1.0)).all():
            one = signals[name]
            info = replace(one.info, kind=SignalKind.RATE)
            if info.tolerance_source == "default":
                info = replace(info, tolerance=DEFAULT_TOLERANCE[SignalKind.RATE])
            settled[name] = replace(one, info=info, kind_from_data=False)
    return settled


def _numbers(one: Signal, batch: RowBatch) -> FloatArray:
    return np.asarray(one.compute(batch), dtype=np.float64)
