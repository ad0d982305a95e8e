"""Numbers are rounded to what the sample supports."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest

from loopllm_cli.model import SignalKind
from loopllm_cli.render import numbers

from . import results


@pytest.mark.parametrize(
    ("value", "n", "expected"),
    [
        (0.0181, 1000, "1.8%"),
        (0.5, 7, "50%"),
        (0.0, 10, "0%"),
        (1.0, 10, "100%"),
        (0.99979, 10_000, "99.98%"),
        (0.9999999, None, ">99.99%"),
        (0.00003, None, "<0.01%"),
        (0.0004, None, "0.04%"),
        (None, None, "–"),
        (math.nan, None, "–"),
        (math.inf, None, "–"),
    ],
)
def test_shares(value: float | None, n: int | None, expected: str) -> None:
    assert expected == numbers.share(value, n)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (212.3, "212"),
        (1843.0, "1,840"),
        (0.00213, "0.00213"),
        (999.6, "1,000"),
        (0.9996, "1.00"),
        (12_340_000, "12.3 M"),
        (4.2e9, "4.20 G"),
        (1e-9, "1.00e−09"),
        (0.0, "0"),
        (-3.456, "−3.46"),
        (math.nan, "–"),
    ],
)
def test_amounts_have_three_significant_digits(value: float, expected: str) -> None:
    assert expected == numbers.amount(value)


def test_changes_carry_sign_and_unit() -> None:
    assert numbers.change(SignalKind.RATE, 0.0461, 1) == "+4.6 pp"
    assert numbers.change(SignalKind.RATE, -0.081, 1) == "−8.1 pp"
    assert numbers.change(SignalKind.RATE, -0.00001, 1) == "0.0 pp"
    assert numbers.change(SignalKind.AMOUNT, -0.302, 0) == "−30%"
    assert numbers.change(SignalKind.AMOUNT, 11.0, 0) == "×12.0"
    assert numbers.change(SignalKind.AMOUNT, math.nan, 0) == "–"


def test_wide_intervals_lose_their_decimals() -> None:
    assert numbers.change_decimals(SignalKind.RATE, 0.1, 0.4) == 0
    assert numbers.change_decimals(SignalKind.RATE, 0.037, 0.055) == 1
    assert numbers.change_decimals(SignalKind.RATE, 0.0001, 0.0005) == 2
    assert numbers.change_decimals(SignalKind.AMOUNT, -0.33, -0.27) == 0


def test_intervals_name_their_bounds_without_the_unit() -> None:
    assert numbers.interval(SignalKind.RATE, 0.037, 0.055, 1) == "(+3.7 … +5.5)"
    assert numbers.interval(SignalKind.AMOUNT, -0.33, -0.27, 0, compact=True) == "(−33…−27)"
    assert numbers.interval(SignalKind.RATE, -math.inf, 0.01, 1) == "(−∞ … +1.0)"


def test_tolerances_and_parts() -> None:
    assert numbers.tolerance(results.REFUSAL) == "±1.0 pp"
    assert numbers.tolerance(results.TOKENS) == "±10%"
    assert numbers.effect(results.TOKENS, -64.0) == "−64.0 tokens"
    assert numbers.effect(results.TOKENS, 0.001, 64.0) == "0.0 tokens"
    assert numbers.effect(results.TOKENS, math.nan) == "–"


def test_times() -> None:
    moment = datetime(2026, 11, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    assert numbers.day(moment) == "2026-10-31"
    assert numbers.span(moment, moment + timedelta(minutes=30)) == "2026-10-31 23:00 → 23:30"
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert numbers.age(now - timedelta(days=3, hours=2), now) == "3 days ago"
    assert numbers.age(now - timedelta(minutes=61), now) == "1 hour ago"
    assert numbers.age(now + timedelta(minutes=5), now) == "just now"
    assert numbers.seconds(214.2) == "3 min 34 s"


def test_counts_have_separators_and_plurals() -> None:
    assert numbers.count(1904, "user") == "1,904 users"
    assert numbers.count(0, "day") == "0 days"
