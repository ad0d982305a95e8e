"""Signals that users define in their configuration: a pattern, a logged attribute, a function.

    [signals.mentions_refund]
    kind = "regex"
    pattern = "refund"
    worse = "up"

A table may also say `tolerance` and `definition`. User signals may fail: the catalogue turns a
failure into missing values and a reason, never into a failed run.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from loopllm_cli.errors import ConfigError
from loopllm_cli.model import SignalInfo, SignalKind, Worse
from loopllm_cli.signals.batch import FloatArray, RowBatch, each
from loopllm_cli.signals.registry import Signal

Measure = Callable[[RowBatch], FloatArray]

# As for the built-in signals of manner: two points, or a tenth of the mean.
DEFAULT_TOLERANCE = {SignalKind.RATE: 0.02, SignalKind.AMOUNT: 0.10}
MAX_PATTERN_CHARS = 100_000  # of a text that a user's pattern, perhaps a slow one, is run on

_COMMON_KEYS = ("kind", "worse", "tolerance", "definition")
_KEYS = {
    "regex": ("pattern", "target", "ignore_case"),
    "attribute": ("key", "as"),
    "python": ("function", "as"),
}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MISSING = object()


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the hint that names the known word nearest to an unknown one."""
    options = sorted(known)
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(options)}"


def build_user_signal(name: str, table: Mapping[str, Any], root: Path) -> Signal:
    """Build a signal from its configuration table.

    Args:
        name: the signal's name.
        table: what the configuration says under `[signals.<name>]`.
        root: the folder that relative paths of Python files start from.

    Raises:
        ConfigError: a key or value cannot be followed.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"signal name {name!r} is not usable",
            "use lower-case letters, digits and underscores, beginning with a letter",
        )
    if not isinstance(table, Mapping):
        raise ConfigError(f"signals.{name} is not a table", f"write it as [signals.{name}]")
    kind = _choice(name, table, "kind", tuple(_KEYS), None)
    allowed = _COMMON_KEYS + _KEYS[kind]
    for key in table:
        if key not in allowed:
            raise ConfigError(f"signals.{name} has an unknown key {key!r}", nearest(key, allowed))
    if kind == "regex":
        compute, default = _regex(name, table)
        decided = SignalKind.RATE
    else:
        compute, default = (_attribute if kind == "attribute" else _python)(name, table, root)
        decided = SignalKind(_choice(name, table, "as", ("rate", "amount"), "amount"))
    info = _info(name, table, decided, default)
    undecided = kind != "regex" and "as" not in table
    return Signal(info, compute, user_defined=True, kind_from_data=undecided)


def _info(name: str, table: Mapping[str, Any], kind: SignalKind, default: str) -> SignalInfo:
    worse = Worse(_choice(name, table, "worse", ("up", "down", "either"), "either"))
    definition = _text(name, table, "definition", default)
    if "tolerance" not in table:
        return SignalInfo(name, kind, worse, DEFAULT_TOLERANCE[kind], definition)
    tolerance = check_tolerance(f"signals.{name}.tolerance", table["tolerance"])
    return SignalInfo(name, kind, worse, tolerance, definition, tolerance_source="config")


def check_tolerance(place: str, value: Any) -> float:
    """Return a tolerance as a number; `place` names it in the error.

    Raises:
        ConfigError: it is not a number above zero.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:
        raise ConfigError(
            f"{place} is {value!r}",
            "a tolerance is a number above 0: 0.01 is one point of a rate, 0.10 a tenth of a mean",
        )
    return float(value)


def _text(name: str, table: Mapping[str, Any], key: str, default: str | None) -> str:
    value = table.get(key, default)
    if not isinstance(value, str) or not value.strip():
        said = f"is {value!r}" if key in table else "is missing"
        raise ConfigError(f"signals.{name}.{key} {said}", f"give {key} as a text")
    return value


def _choice(
    name: str, table: Mapping[str, Any], key: str, options: tuple[str, ...], default: str | None
) -> str:
    value = table.get(key, default)
    if value not in options:
        said = f"is {value!r}" if key in table else "is missing"
        raise ConfigError(f"signals.{name}.{key} {said}", f"choose from: {', '.join(options)}")
    return str(value)


# --- pattern -----------------------------------------------------------------------------------


def _regex(name: str, table: Mapping[str, Any]) -> tuple[Measure, str]:
    pattern = _text(name, table, "pattern", None)
    target = _choice(name, table, "target", ("response", "prompt"), "response")
    ignore_case = table.get("ignore_case", False)
    if not isinstance(ignore_case, bool):
        raise ConfigError(f"signals.{name}.ignore_case is {ignore_case!r}", "use true or false")
    try:
        compiled = re.compile(pattern, re.IGNORECASE if ignore_case else 0)
    except (re.error, OverflowError, RecursionError) as problem:
        raise ConfigError(
            f"signals.{name}.pattern is not a regular expression: {problem}",
            "in TOML, single quotes keep backslashes as they are: pattern = '\\bword\\b'",
        ) from problem

    def compute(batch: RowBatch) -> FloatArray:
        texts = batch.responses if target == "response" else batch.prompts
        return each(texts, lambda t: compiled.search(t[:MAX_PATTERN_CHARS]) is not None)

    where = "Answers" if target == "response" else "Prompts"
    return compute, f"{where} that match the pattern {pattern}."


# --- attribute ---------------------------------------------------------------------------------


def _attribute(name: str, table: Mapping[str, Any], root: Path) -> tuple[Measure, str]:
    key = _text(name, table, "key", None)

    def compute(batch: RowBatch) -> FloatArray:
        parsed = batch.once("attributes", _parse_attributes)
        return each([_number(_look_up(row, key)) for row in parsed], float)

    return compute, f"Value of the logged attribute {key}."


def _parse_attributes(batch: RowBatch) -> list[Any]:
    return [_parse(text) for text in batch.values("attributes_json")]


def _parse(text: Any) -> Any:
    try:
        return orjson.loads(text) if isinstance(text, str | bytes) else text
    except orjson.JSONDecodeError:
        return None


def _look_up(row: Any, key: str) -> Any:
    """Follow a dotted key; keys that hold dots themselves, as OpenTelemetry's do, come first."""
    if not isinstance(row, Mapping):
        return None
    if key in row:
        return row[key]
    parts = key.split(".")
    for n in range(len(parts) - 1, 0, -1):
        inner = row.get(".".join(parts[:n]), _MISSING)
        if isinstance(inner, Mapping):
            found = _look_up(inner, ".".join(parts[n:]))
            if found is not None:
                return found
    return None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, bool | int | float) else None


# --- function ----------------------------------------------------------------------------------


def _python(name: str, table: Mapping[str, Any], root: Path) -> tuple[Measure, str]:
    function = _text(name, table, "function", None)
    measure_row = _load_function(name, function, root)

    def compute(batch: RowBatch) -> FloatArray:
        names = batch.table.column_names
        columns = [batch.values(column) for column in names]
        rows = (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))
        measured = [_returned(measure_row(row)) for row in rows]
        return each(measured, float)

    doc = (measure_row.__doc__ or "").strip().splitlines()
    return compute, doc[0] if doc else f"Value of the function {function}."


def _returned(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool | int | float | np.bool_ | np.number):
        return float(value)
    raise TypeError(f"returned {type(value).__name__}, not a number, a bool or None")


def _load_function(name: str, function: str, root: Path) -> Callable[[Mapping[str, Any]], Any]:
    place, _, attribute = function.rpartition(":")
    where = f"signals.{name}.function = {function!r}"
    if not place or not attribute:
        raise ConfigError(f"{where} names no function", 'write "module:name" or "file.py:name"')
    try:
        module = (
            _load_file(root / place) if place.endswith(".py") else importlib.import_module(place)
        )
    except Exception as problem:  # whatever the user's module raises when imported
        raise ConfigError(
            f"{where} cannot be loaded: {type(problem).__name__}: {problem}",
            "check the path, or run the module on its own",
        ) from problem
    found = getattr(module, attribute, None)
    if not callable(found):
        known = [key for key, value in vars(module).items() if callable(value)]
        raise ConfigError(f"{where}: no function {attribute!r} there", nearest(attribute, known))
    return found  # type: ignore[no-any-return]


def _load_file(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    spec = importlib.util.spec_from_file_location(f"loopllm_user_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- kind --------------------------------------------------------------------------------------


def settle_kinds(batch: RowBatch, signals: Mapping[str, Signal]) -> dict[str, Signal]:
    """Make rates of the user signals that were given no kind and are 0 or 1 wherever they apply.

    Call once, on the rows of a baseline; a kind must not change from window to window. Signals
    that fail or apply nowhere keep their kind.
    """
    settled = dict(signals)
    for name, one in signals.items():
        if not one.kind_from_data:
            continue
        try:
            numbers = np.asarray(one.compute(batch), dtype=np.float64)
        except Exception:  # reported where the signal is computed
            continue
        applies = numbers[~np.isnan(numbers)]
        if applies.size and np.isin(applies, (0.0, 1.0)).all():
            info = replace(one.info, kind=SignalKind.RATE)
            if info.tolerance_source == "default":
                info = replace(info, tolerance=DEFAULT_TOLERANCE[SignalKind.RATE])
            settled[name] = replace(one, info=info, kind_from_data=False)
    return settled
