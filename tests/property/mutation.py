"""Damage records the way exporters, hands and broken pipes do: at any depth, in any way."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

Record = dict[str, Any]
Place = tuple[Any, Any]
"""A container and the key or index of one of its values."""

SCALARS: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 5, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 2**64),
    *(10**25, -(10**400), 10**3990, 0.5, -0.0, -1.5, 1e308, 1e18, 1790000000, 1790000000000.5),
    *("", " ", "0", "1", "-1", "null", "true", "NaN", "abc", "tie", "up", "assistant", "user"),
    *("2026-10-01T00:00:00Z", "2026-10-01", "01/02/2026", "0001-01-01T00:00:00+14:00", "61"),
    *("{}", "[]", '{"a": 1}', '["a"]', '"x"', "{'a': None}", "[1, 2", '{"role": "user"}'),
    *("a\x01b\x1f", "\x7f\x85\u2028", "\ufffd\x0b", "é" * 300, "x" * 300, "🙂", "[truncated]"),
    *("data:image/png;base64,AAAA", "0x5f", "qRs8d9Di9BU=", "1,234", "1.8s", "text", "tool"),
)
# What a column of a Parquet file may hold beside what JSON can.
TYPED: tuple[Any, ...] = (
    datetime(2026, 10, 1, tzinfo=UTC),
    datetime(1, 1, 1),
    date(2026, 10, 1),
    Decimal("0.1"),
    b"\xff\x00",
    float("nan"),
)
CONTAINERS: tuple[Any, ...] = (
    *([], {}, [None], [[]], [{}], [1, "a"], ["a", None, {}], [["a", "b"]], [[[]]], {"": None}),
    *({"a": 1}, {"role": "user"}, {"role": "assistant", "content": None}, {"type": "text"}),
    *({"content": []}, {"text": {"value": 1}}, {"stringValue": 1}, {"values": "x"}, {"key": 1}),
)
KEYS = ("", "\x00", "id", "role", "type", "content", "text", "a.b", "parts", "data", "é" * 50)


def places(value: Any) -> list[Place]:
    """Return every place in a record, the deeper ones after the ones around them."""
    found: list[Place] = []
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict | list):
            keys = list(inner) if isinstance(inner, dict) else range(len(inner))
            for key in keys:
                found.append((inner, key))
                waiting.append(inner[key])
    return found


def _replace(place: Place, others: list[Place], rng: random.Random) -> None:
    container, key = place
    kind = rng.randrange(4)
    if kind == 0:
        container[key] = copy.deepcopy(rng.choice(CONTAINERS))
    elif kind == 1 and rng.random() < 0.3:
        container[key] = rng.choice(TYPED)
    else:
        container[key] = rng.choice(SCALARS)


def _delete(place: Place, others: list[Place], rng: random.Random) -> None:
    del place[0][place[1]]


def _duplicate(place: Place, others: list[Place], rng: random.Random) -> None:
    """Put a value in a second place: beside itself, or over another one."""
    container, key = place
    value = copy.deepcopy(container[key])
    if isinstance(container, list) and rng.random() < 0.5:
        container.insert(rng.randrange(len(container) + 1), value)
    else:
        target, other = rng.choice(others)
        if isinstance(target, dict) or other < len(target):
            target[other] = value


def _rename(place: Place, others: list[Place], rng: random.Random) -> None:
    container, key = place
    if isinstance(container, dict):
        container[rng.choice(KEYS)] = container.pop(key)


def _wrap(place: Place, others: list[Place], rng: random.Random) -> None:
    _nest(place, rng.randint(1, 3), rng)


def _nest(place: Place, depth: int, rng: random.Random) -> None:
    container, key = place
    value = container[key]
    for _ in range(depth):
        value = [value] if rng.random() < 0.5 else {rng.choice(KEYS): value}
    container[key] = value


def _flatten(place: Place, others: list[Place], rng: random.Random) -> None:
    """Take a value out of what is around it."""
    container, key = place
    value = container[key]
    if isinstance(value, dict | list) and value:
        container[key] = next(iter(value.values() if isinstance(value, dict) else value))


def _write(place: Place, others: list[Place], rng: random.Random) -> None:
    """Write a value as text, as some exporters do with whatever they have."""
    container, key = place
    container[key] = str(container[key])[:100_000] if _is_shallow(container[key]) else "..."


def _is_shallow(value: Any) -> bool:
    if isinstance(value, int) and abs(value) > 10**4000:
        return False
    for _ in range(50):
        if not isinstance(value, dict | list) or not value:
            return True
        value = next(iter(value.values() if isinstance(value, dict) else value))
    return False


_WAYS: tuple[Callable[[Place, list[Place], random.Random], None], ...] = (
    *(_replace, _replace, _replace, _delete, _delete, _duplicate, _rename, _wrap, _flatten, _write),
)


def mutated(record: Record, rng: random.Random, max_changes: int = 4) -> Record:
    """Return a damaged copy of a record."""
    record = copy.deepcopy(record)
    for _ in range(rng.randint(1, max_changes)):
        there = places(record)
        if not there:
            return record
        rng.choice(_WAYS)(rng.choice(there), there, rng)
    there = places(record)
    if there and rng.random() < 0.05:
        # More than some parsers and writers can take, and last, since copying cannot either.
        _nest(rng.choice(there), rng.choice((70, 260, 600, 990)), rng)
    return record
