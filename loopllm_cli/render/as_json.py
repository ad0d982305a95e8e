"""Write results as JSON that other programs can rely on, and read them back.

Every document names its schema (`loopllm.drift/1`); within a version, keys are only ever added.
Keys are sorted, numbers raw, enums their values, times ISO 8601 in UTC with a Z. JSON has no NaN
and no infinity: both become null, and null becomes NaN where a number is read back. Everything
outside printable ASCII is escaped, so no control character of a log reaches a terminal.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar

from loopllm_cli.errors import LoopllmError, SchemaMismatch
from loopllm_cli.model import (
    AdapterCard,
    AdapterDetail,
    AdapterList,
    BaselineDiff,
    BaselineRemoval,
    Calibration,
    Diagnosis,
    DriftResult,
    ExportSummary,
    ForgetSummary,
    IngestSummary,
    LadderResult,
    MergeResult,
    NightsResult,
    PairsSummary,
    Promotion,
    PruneResult,
    ReviewImport,
    ReviewSummary,
    RunResult,
    Shown,
    TrainingPlan,
    Upkeep,
    VerifyResult,
    WatchEvent,
    WatchResult,
)
from loopllm_cli.render.numbers import utc

Result = (
    DriftResult
    | NightsResult
    | VerifyResult
    | PairsSummary
    | AdapterCard
    | IngestSummary
    | LadderResult
    | TrainingPlan
    | AdapterDetail
    | AdapterList
    | MergeResult
    | Promotion
    | PruneResult
    | ForgetSummary
    | BaselineDiff
    | BaselineRemoval
    | Calibration
    | Shown
    | ReviewSummary
    | ReviewImport
    | ExportSummary
    | RunResult
    | WatchResult
    | Upkeep
    | Diagnosis
)
T = TypeVar(
    "T",
    NightsResult,
    DriftResult,
    VerifyResult,
    PairsSummary,
    AdapterCard,
    IngestSummary,
    ForgetSummary,
    RunResult,
    WatchResult,
)

SCHEMAS: dict[type, str] = {
    IngestSummary: "loopllm.ingest/1",
    ExportSummary: "loopllm.pairs-export/1",
    ForgetSummary: "loopllm.forget/1",
    AdapterDetail: "loopllm.adapter-detail/1",
    AdapterList: "loopllm.adapters/1",
    MergeResult: "loopllm.merge/1",
    Promotion: "loopllm.promotion/1",
    PruneResult: "loopllm.prune/1",
    DriftResult: "loopllm.drift/1",
    NightsResult: "loopllm.nights/1",
    PairsSummary: "loopllm.pairs/1",
    AdapterCard: "loopllm.adapter/1",
    LadderResult: "loopllm.ladder/1",
    TrainingPlan: "loopllm.training-plan/1",
    VerifyResult: "loopllm.verify/1",
    BaselineDiff: "loopllm.baseline-diff/1",
    BaselineRemoval: "loopllm.baseline-removal/1",
    Calibration: "loopllm.calibration/1",
    Shown: "loopllm.pair/1",
    ReviewSummary: "loopllm.review/1",
    ReviewImport: "loopllm.review-import/1",
    RunResult: "loopllm.run/1",
    WatchResult: "loopllm.watch/1",
    Diagnosis: "loopllm.doctor/1",
    Upkeep: "loopllm.upkeep/1",
}


def to_json(result: Result) -> str:
    """Write a result with its schema."""
    return mapping_json(SCHEMAS[type(result)], to_plain(result))


def to_json_line(event: WatchEvent) -> str:
    """Write an event of a watch as one line, for what reads a stream."""
    document = {**to_plain(event), "schema": "loopllm.watch-event/1"}
    return json.dumps(document, sort_keys=True, allow_nan=False) + "\n"


def baseline_json(card: Mapping[str, Any]) -> str:
    """Write a baseline's card."""
    return mapping_json("loopllm.baseline/1", card)


def baselines_json(cards: Sequence[Mapping[str, Any]]) -> str:
    """Write the list of baselines."""
    return mapping_json("loopllm.baselines/1", {"baselines": list(cards)})


def error_json(error: LoopllmError) -> str:
    """Write an error with its stable code."""
    said = {"code": error.code, "message": error.message, "hint": error.hint}
    return mapping_json("loopllm.error/1", {"error": said})


def mapping_json(schema: str, content: Mapping[str, Any]) -> str:
    """Write any mapping under the name of a schema, with one newline at the end."""
    document = {**to_plain(content), "schema": schema}
    return json.dumps(document, sort_keys=True, indent=2, allow_nan=False) + "\n"


def to_plain(value: Any) -> Any:
    """Turn a result into what JSON knows."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return utc(value).isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {_text(str(key)): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, (bool, int)):
        return value
    # Scalars of array libraries know their plain value.
    return to_plain(value.item()) if hasattr(value, "item") else _text(str(value))


def _text(value: str) -> str:
    """Replace lone surrogates, which strict JSON readers refuse."""
    return value.encode("utf-8", "replace").decode() if not value.isascii() else value


def drift_from_json(text: str | bytes) -> DriftResult:
    """Read a drift verdict that `to_json` wrote."""
    return from_json(text, DriftResult)


def from_json(text: str | bytes, kind: type[T]) -> T:
    """Read a result back; equal to what was written wherever that was finite.

    Keys this version does not know are left out, because newer writers may add some.

    Raises:
        SchemaMismatch: not JSON, another schema, or a field missing or of the wrong type.
    """
    hint = "make it again with this version of loopllm"
    try:
        document = json.loads(text)
    except ValueError as error:
        raise SchemaMismatch(f"not a JSON document: {error}", hint) from None
    found = document.get("schema") if isinstance(document, dict) else None
    if found != SCHEMAS[kind]:
        raise SchemaMismatch(f"expected schema {SCHEMAS[kind]!r}, found {found!r}", hint)
    try:
        result = _read(document, kind, "")
    except _MisfitError as error:
        raise SchemaMismatch(f"{SCHEMAS[kind]}: {error}", hint) from None
    return typing.cast(T, result)


class _MisfitError(Exception):
    """A value is not what its field holds."""


def _read(value: Any, kind: Any, place: str) -> Any:
    """Build a value of `kind`; `place` says where it stands, for the message."""
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return _read_fields(value, typing.cast(type, kind), place)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        inner = next(a for a in arguments if a is not types.NoneType)
        return None if value is None else _read(value, inner, place)
    if origin is tuple:
        items = _checked(value, list, place)
        return tuple(_read(item, arguments[0], f"{place}[{i}]") for i, item in enumerate(items))
    if origin is dict:
        pairs = _checked(value, dict, place).items()
        return {key: _read(item, arguments[1], f"{place}.{key}") for key, item in pairs}
    return _read_scalar(value, kind, place)


def _read_fields(value: Any, kind: type, place: str) -> Any:
    content = _checked(value, dict, place)
    hints = typing.get_type_hints(kind)
    found = {}
    for f in dataclasses.fields(kind):
        if f.name in content:
            found[f.name] = _read(content[f.name], hints[f.name], f"{place}.{f.name}".lstrip("."))
        elif f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise _MisfitError(f"{place}.{f.name} is missing".lstrip("."))
    return kind(**found)


def _read_scalar(value: Any, kind: type, place: str) -> Any:
    if kind is float:
        if value is None:
            return math.nan
        return float(_checked(value, (int, float), place))
    text = value if kind in (int, bool) else _checked(value, str, place)
    try:
        if kind is datetime:
            return datetime.fromisoformat(text)
        if issubclass(kind, Enum):
            return kind(text)
    except ValueError:
        raise _MisfitError(f"{place} cannot be {text!r}") from None
    return _checked(value, kind, place)


def _checked(value: Any, kind: Any, place: str) -> Any:
    wanted = kind if isinstance(kind, tuple) else (kind,)
    if (isinstance(value, bool) and bool not in wanted) or not isinstance(value, wanted):
        raise _MisfitError(f"{place or 'the document'} cannot be {type(value).__name__}")
    return value
