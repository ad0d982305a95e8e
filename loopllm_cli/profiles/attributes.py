"""Logged attributes of a row that describe its traffic: who asked through what, and how.

Only attributes with few values say anything about a group of rows. A value is kept only where
enough rows have it, of more than one user where users are logged: attribute values are written
into a baseline and read by many people. Outcomes (a finish reason, an error) are left out: a
change of behaviour must not be explained by itself.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.signals.language import guess_language, guess_script
from loopllm_cli.signals.texts import prompt_words

Codes = npt.NDArray[np.int16]
IntArray = npt.NDArray[np.int64]
Values = list[str | None]

MIN_ROWS = 5
MAX_VALUES = 50
_MAX_KEYS = 20
_LONGEST = 60
_COLUMNS = (
    *("request_model", "response_model", "provider_name", "prompt_name", "prompt_version"),
    *("agent_name", "service_name", "service_version", "deployment_environment"),
    *("operation_name", "request_stream", "request_reasoning_level"),
)
_TAG = "tags:"
_LENGTHS = (50, 200, 1_000, 4_000)
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# What an answer turned out to be, or an id: no description of the traffic.
_NO_TRAFFIC = re.compile(
    r"(^|[._])(id|ids|uuid|user|users?_?id|email|session|time|timestamp|date|score|scores|rating"
    r"|feedback|label|error|status|finish_reasons?|latency|duration|cost|tokens?|output|response)$"
    r"|_id$|_time$|_tokens$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Attribute:
    """One attribute of every row of a sample.

    Shapes: `codes` (n,) holds positions in `labels`, -1 where a value is missing or rare.
    """

    name: str
    labels: tuple[str, ...]
    codes: Codes


AttributeLabels = tuple[tuple[str, tuple[str, ...]], ...]
"""The attributes that a baseline keeps, and their values, in order."""


def fit_attributes(batch: RowBatch, positions: IntArray) -> AttributeLabels:
    """Choose the attributes to compare by: those with two values or more that enough rows have.

    Args:
        positions: the rows to choose from, by number.
    """
    users = batch.values("user_id")
    found = []
    for name, values in _columns(batch, positions):
        labels = _frequent(values, [users[i] for i in positions])
        if _tells(name, labels, values):
            found.append((name, labels))
    return tuple(found)


def code_attributes(
    batch: RowBatch, positions: IntArray, known: AttributeLabels
) -> tuple[Attribute, ...]:
    """Write each row's attributes as positions among the known values."""
    columns = dict(_columns(batch, positions, frozenset(name for name, _ in known)))
    missing: Values = [None] * len(positions)
    coded = []
    for name, labels in known:
        index = {label: k for k, label in enumerate(labels)}
        values = columns.get(name, missing)
        codes = np.array([index.get(v or "", -1) for v in values], dtype=np.int16)
        coded.append(Attribute(name, labels, codes))
    return tuple(coded)


def _tells(name: str, labels: tuple[str, ...], values: Values) -> bool:
    if name.startswith(_TAG):
        return bool(labels) and any(value is None for value in values)
    return len(labels) > 1 or (len(labels) == 1 and any(v != labels[0] for v in values))


def _frequent(values: Values, users: Sequence[str | None]) -> tuple[str, ...]:
    """Return the most frequent values, without those of few rows or of a single user."""
    counts = Counter(value for value in values if value)
    writers: dict[str, set[str | int]] = {}
    for row, (value, user) in enumerate(zip(values, users, strict=True)):
        if value and len(writers.setdefault(value, set())) < 2:
            writers[value].add(user if user is not None else row)
    enough = [v for v, n in counts.items() if n >= MIN_ROWS and len(writers[v]) > 1]
    return tuple(sorted(sorted(enough, key=lambda v: (-counts[v], v))[:MAX_VALUES]))


def _columns(
    batch: RowBatch, positions: IntArray, wanted: frozenset[str] | None = None
) -> Iterator[tuple[str, Values]]:
    """Yield attributes with their values: the wanted ones, or all that may tell something."""
    for name in _COLUMNS:
        yield name, _texts(batch.values(name), positions)
    for name, build in _DERIVED.items():
        yield name, _texts(batch.once(f"attribute {name}", build), positions)
    yield from _tags(batch, positions, wanted)
    yield from _logged_keys(batch, positions, wanted)


def _texts(values: Sequence[Any], positions: IntArray) -> Values:
    return [_text(values[i]) for i in positions]


def _text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    text = "yes" if value is True else "no" if value is False else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _languages(batch: RowBatch) -> Values:
    """Name the prompts' languages where they can be told, else their scripts."""
    found: Values = []
    for prompt, words in zip(batch.prompts, prompt_words(batch), strict=True):
        script = guess_script(prompt) if prompt else None
        language = guess_language(words or []) if script == "latin" else None
        found.append(language or script)
    return found


def _lengths(batch: RowBatch) -> Values:
    names = [f"under {_LENGTHS[0]} characters"]
    names += [f"{a} to {b - 1} characters" for a, b in pairwise(_LENGTHS)]
    names.append(f"{_LENGTHS[-1]} characters or more")
    bands = np.searchsorted(_LENGTHS, [len(prompt or "") for prompt in batch.prompts], "right")
    return [
        None if prompt is None else names[k] for prompt, k in zip(batch.prompts, bands, strict=True)
    ]


def _turns(batch: RowBatch) -> Values:
    def band(turn: int | None) -> str | None:
        if turn is None:
            return None
        return "first" if turn <= 0 else "second or third" if turn <= 2 else "fourth or later"

    return [band(turn) for turn in batch.values("turn_index")]


def _weekdays(batch: RowBatch) -> Values:
    times: list[datetime | None] = batch.values("request_time")
    return [None if t is None else _WEEKDAYS[t.weekday()] for t in times]


_DERIVED: dict[str, Callable[[RowBatch], Values]] = {
    "prompt_language": _languages,
    "prompt_length": _lengths,
    "turn": _turns,
    "weekday": _weekdays,
}


def _tags(
    batch: RowBatch, positions: IntArray, wanted: frozenset[str] | None
) -> Iterator[tuple[str, Values]]:
    """Yield one attribute per frequent tag: a row may have several."""
    rows = [{_text(tag) for tag in batch.values("tags")[i] or ()} for i in positions]
    if wanted is None:
        counts = Counter(tag for tags in rows for tag in tags if tag)
        tags = sorted(counts, key=lambda tag: (-counts[tag], tag))[:_MAX_KEYS]
    else:
        tags = [name.removeprefix(_TAG) for name in sorted(wanted) if name.startswith(_TAG)]
    for tag in sorted(tags):
        yield f"{_TAG}{tag}", ["yes" if tag in row else None for row in rows]


def _logged_keys(
    batch: RowBatch, positions: IntArray, wanted: frozenset[str] | None
) -> Iterator[tuple[str, Values]]:
    """Yield the keys of the logged extras; unless told which, those of 1 to MAX_VALUES values."""
    rows = [_plain(batch.values("attributes_json")[i]) for i in positions]
    counts = Counter(key for row in rows for key in row if _is_traffic(key))
    n_kept = 0
    for key in sorted(counts, key=lambda k: (-counts[k], k)):
        values = [_text(row.get(key)) for row in rows]
        few = counts[key] >= MIN_ROWS and len(set(values) - {None}) <= MAX_VALUES
        if (few and n_kept < _MAX_KEYS) if wanted is None else key in wanted:
            yield key, values
            n_kept += 1


def _is_traffic(key: str) -> bool:
    ours = key in _COLUMNS or key in _DERIVED or key.startswith(_TAG)
    return len(key) <= _LONGEST and not ours and not _NO_TRAFFIC.search(key)


def _plain(text: str | None) -> dict[str, Any]:
    """Return the plain values of a JSON object by dotted key, two levels deep."""
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    flat: dict[str, Any] = {}
    for key, value in found.items() if isinstance(found, dict) else ():
        inner = value.items() if isinstance(value, dict) else ((None, value),)
        for below, one in inner:
            if isinstance(one, str | bool | int | float):
                flat[str(key) if below is None else f"{key}.{below}"] = one
    return flat
