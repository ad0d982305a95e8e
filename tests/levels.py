"""Which cases of a slow test run with `--slow`, and which with `--long` only."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def mostly_long(cases: Iterable[Any], slow: Collection[Any]) -> list[Any]:
    """Return the cases of a parametrized test; all but the named ones take `--long`."""
    return [c if c in slow else pytest.param(c, marks=pytest.mark.long) for c in cases]
