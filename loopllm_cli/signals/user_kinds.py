"""The kinds of signals that users define: a pattern, a logged attribute, a function, a schema.

Each reads its table and returns what measures rows. Measures may fail or hang on any row; those
who run them see to that (see `limits`).
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import orjson

from loopllm_cli.errors import ConfigError
from loopllm_cli.model import SignalKind
from loopllm_cli.signals.batch import FloatArray, RowBatch, each
from loopllm_cli.signals.json_schema import satisfies, unknown_keyword
from loopllm_cli.signals.limits import interrupted
from loopllm_cli.signals.registry import Built, Labels
from loopllm_cli.signals.signal_tables import SignalTable, nearest
from loopllm_cli.signals.structure import find_json
from loopllm_cli.signals.texts import answer_fences
from loopllm_cli.signals.turns import parse

MAX_PATTERN_CHARS = 100_000  # of a text that a user's pattern, perhaps a slow one, is run on
_MISSING = object()


def build_regex(table: SignalTable, seconds: float) -> Built:
    """Build the signal of a pattern that is searched in answers or prompts."""
    pattern = table.text("pattern")
    target = table.choice("target", ("response", "prompt"), "response")
    ignore_case = table.flag("ignore_case")
    try:
        compiled = re.compile(pattern, re.IGNORECASE if ignore_case else 0)
    except (re.error, OverflowError, RecursionError) as problem:
        raise ConfigError(
            f"signals.{table.name}.pattern is not a regular expression: {problem}",
            "in TOML, single quotes keep backslashes as they are: pattern = '\\bword\\b'",
        ) from problem

    def compute(batch: RowBatch) -> FloatArray:
        texts = batch.responses if target == "response" else batch.prompts
        return each(texts, lambda t: compiled.search(t[:MAX_PATTERN_CHARS]) is not None)

    where = "Answers" if target == "response" else "Prompts"
    said = f"{where} that match the pattern {pattern}."
    return Built(said, compute, kind=SignalKind.RATE)


def build_attribute(table: SignalTable, seconds: float) -> Built:
    """Build the signal of a value that the logs carry beside the known columns."""
    key = table.text("key")

    def found(batch: RowBatch) -> list[Any]:
        parsed = batch.once("attributes", lambda b: [parse(t) for t in b.values("attributes_json")])
        return [_look_up(row, key) for row in parsed]

    def compute(batch: RowBatch) -> FloatArray:
        numbers = (v if isinstance(v, bool | int | float) else None for v in found(batch))
        return each(list(numbers), float)

    def labels(batch: RowBatch) -> Labels:
        return [_label(v) if isinstance(v, _PLAIN) else None for v in found(batch)]

    return Built(f"Value of the logged attribute {key}.", compute, labels)


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


_PLAIN = (str, bool, int, float, np.bool_, np.number)


def _label(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, _PLAIN):
        return f"{value:g}"
    raise TypeError(f"returned {type(value).__name__}, not a text, a number, a bool or None")


def _number(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool | int | float | np.bool_ | np.number):
        return float(value)
    raise TypeError(f"returned {type(value).__name__}, not a number, a bool or None")


# --- function ----------------------------------------------------------------------------------


def build_python(table: SignalTable, seconds: float) -> Built:
    """Build the signal of a user's function of one row."""
    function = table.text("function")
    measure_row = _load_function(table, function, seconds)

    def returned(batch: RowBatch) -> list[Any]:
        names = batch.table.column_names
        columns = [batch.values(column) for column in names]
        rows = (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))
        return [measure_row(row) for row in rows]

    def compute(batch: RowBatch) -> FloatArray:
        return each([_number(value) for value in returned(batch)], float)

    def labels(batch: RowBatch) -> Labels:
        return [_label(value) for value in returned(batch)]

    doc = (measure_row.__doc__ or "").strip().splitlines()
    return Built(doc[0] if doc else f"Value of the function {function}.", compute, labels)


def _load_function(
    table: SignalTable, function: str, seconds: float
) -> Callable[[Mapping[str, Any]], Any]:
    place, _, attribute = function.rpartition(":")
    where = f"signals.{table.name}.function = {function!r}"
    if not place or not attribute:
        raise ConfigError(f"{where} names no function", 'write "module:name" or "file.py:name"')
    try:
        with interrupted(seconds, "importing it"):
            in_file = place.endswith(".py")
            module = _load_file(table, place) if in_file else importlib.import_module(place)
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


def _load_file(table: SignalTable, place: str) -> Any:
    path = table.root / place
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    spec = importlib.util.spec_from_file_location(f"loopllm_user_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- schema ------------------------------------------------------------------------------------


def build_json_schema(table: SignalTable, seconds: float) -> Built:
    """Build the signal of answers that are JSON and satisfy a schema."""
    schema, named = _schema(table)
    keyword = unknown_keyword(schema)
    if keyword is not None:
        raise ConfigError(
            f"signals.{table.name}.schema asks for {keyword!r}, which is not followed",
            'check that part with a function: kind = "python"',
        )

    def compute(batch: RowBatch) -> FloatArray:
        rows = zip(batch.responses, answer_fences(batch), strict=True)
        return np.array([np.nan if t is None else _satisfies(t, f or [], schema) for t, f in rows],
                        dtype=np.float64)  # fmt: skip

    digest = hashlib.sha256(orjson.dumps(schema, option=orjson.OPT_SORT_KEYS)).hexdigest()[:8]
    said = f"Answers that are JSON and satisfy the schema {named} ({digest})."
    return Built(said, compute, kind=SignalKind.RATE)


def _satisfies(text: str, fences: list[Any], schema: Any) -> float:
    found = find_json(text, fences)
    if found is None:
        return 0.0
    fits = satisfies(found, schema, patterns=True)
    return np.nan if fits is None else float(fits)


def _schema(table: SignalTable) -> tuple[Mapping[str, Any], str]:
    given = table.values.get("schema")
    if isinstance(given, Mapping):
        return given, "of its table"
    path = table.root / table.text("schema")
    try:
        found = orjson.loads(path.read_bytes())
    except OSError as problem:
        raise ConfigError(
            f"{table.wrong('schema')}, which cannot be read ({problem.strerror})", "check the path"
        ) from problem
    except orjson.JSONDecodeError as problem:
        raise ConfigError(f"{path} is no JSON: {problem}", "correct the file") from problem
    if not isinstance(found, Mapping):
        raise ConfigError(f"{path} is no JSON Schema", "a schema is an object")
    return found, path.name
