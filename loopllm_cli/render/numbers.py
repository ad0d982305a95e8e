"""Write numbers as a reader needs them: rounded to what the sample supports, with their unit.

A difference of rates is in percentage points (pp), a relative change in percent, an amount in
its own unit to three significant digits. The minus is U+2212; what is unknown is an en dash.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TypeGuard

from loopllm_cli.model import SignalInfo, SignalKind

MINUS = "−"
UNKNOWN = "–"
_FACTOR_FROM = 9.0  # a change beyond +900% reads better as a factor
_UNKNOWN_FROM = 99.0


def known(value: float | None) -> TypeGuard[float]:
    """Tell whether there is a finite number to show."""
    return value is not None and math.isfinite(value)


def fixed(value: float, decimals: int, *, signed: bool = False) -> str:
    """Write with so many decimals, a true minus, and no sign on a zero."""
    text = f"{value:{'+' if signed else ''},.{decimals}f}"
    if not any(digit in text for digit in "123456789"):
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def count(number: int, noun: str = "") -> str:
    """Write a count with thousands separators and its noun in the right number.

    Example:
        >>> count(1904, "user"), count(1, "user")
        ('1,904 users', '1 user')
    """
    if not noun:
        return f"{number:,}"
    plural = noun[:-1] + "ies" if noun.endswith("ry") else noun + "s"
    return f"{number:,} {noun if number == 1 else plural}"


def share(value: float | None, n: int | None = None) -> str:
    """Write a share (0..1) as a percentage.

    Fewer than 100 rows carry no decimal. Shares next to 0% and 100% get a second one, because
    "0.0%" and "100.0%" would claim what did not happen.
    """
    if not known(value):
        return UNKNOWN
    percent = 100 * value
    if percent in (0.0, 100.0):
        return f"{percent:.0f}%"
    if 0 < percent < 0.01:
        return "<0.01%"
    if 99.99 < percent < 100:
        return ">99.99%"
    if percent < 0.05 or 99.95 <= percent < 100:
        return fixed(percent, 2) + "%"
    return fixed(percent, 0 if n is not None and n < 100 else 1) + "%"


def round_share(value: float | None) -> str:
    """Write a share without decimals, for shares of traffic and of a change."""
    if not known(value):
        return UNKNOWN
    return "<1%" if 0 < value < 0.005 else fixed(100 * value, 0) + "%"


def amount(value: float | None, unit: str = "") -> str:
    """Write an amount to three significant digits.

    Example:
        >>> amount(2123.4, "ms"), amount(0.01234), amount(12_340_000)
        ('2,120 ms', '0.0123', '12.3 M')
    """
    if not known(value):
        return UNKNOWN
    tail = f" {unit}" if unit else ""
    size = abs(value)
    if size != 0 and (size < 1e-4 or size >= 1e12):
        return f"{value:.2e}".replace("-", MINUS) + tail
    for limit, letter in ((1e9, " G"), (1e6, " M")):
        if size >= limit:
            return fixed(value / limit, _decimals(value / limit)) + letter + tail
    decimals = _decimals(value)
    return fixed(round(value, 2 - _exponent(value)), max(0, decimals)) + tail


def _exponent(value: float) -> int:
    """Return the power of ten of the leading digit, after rounding to three digits."""
    return int(f"{abs(value):.2e}".split("e")[1]) if value else 2


def _decimals(value: float) -> int:
    """Return the decimals that three significant digits leave."""
    return max(0, 2 - _exponent(value))


def level(
    info: SignalInfo, value: float | None, n: int | None = None, *, unit: bool = False
) -> str:
    """Write the mean of a signal: a percentage for a RATE, an amount otherwise."""
    if info.kind is SignalKind.RATE:
        return share(value, n)
    return amount(value, info.unit if unit else "")


def change_decimals(kind: SignalKind, low: float, high: float) -> int:
    """Choose decimals so that the last digit shown is about a tenth of the interval."""
    if not (known(low) and known(high)):
        return 1 if kind is SignalKind.RATE else 0
    half = 100 * abs(high - low) / 2
    if kind is SignalKind.RATE:
        return 2 if half < 0.05 else 1 if half < 10 else 0
    return 2 if half < 0.2 else 1 if half < 2 else 0


def change(kind: SignalKind, value: float | None, decimals: int) -> str:
    """Write a change of a signal: "+4.6 pp", "−30%" or, far out, "×12"."""
    if not known(value):
        return UNKNOWN
    if kind is SignalKind.RATE:
        return fixed(100 * value, decimals, signed=True) + " pp"
    if value > _FACTOR_FROM:
        return "×" + amount(1 + value)
    return fixed(100 * value, decimals, signed=True) + "%"


def interval(
    kind: SignalKind, low: float, high: float, decimals: int, *, compact: bool = False
) -> str:
    """Write an interval in brackets, without the unit that its estimate already carries."""
    between = "…" if compact else " … "
    return f"({_bound(kind, low, decimals)}{between}{_bound(kind, high, decimals)})"


def _bound(kind: SignalKind, value: float, decimals: int) -> str:
    # A factor of a hundred says the same as none at all: the mean is not known.
    if known(value) and kind is SignalKind.AMOUNT and value >= _UNKNOWN_FROM:
        return "+∞"
    if value is not None and math.isinf(value):
        return "+∞" if value > 0 else MINUS + "∞"
    text = change(kind, value, decimals)
    return text.removesuffix(" pp").removesuffix("%")


def tolerance(info: SignalInfo) -> str:
    """Write a tolerance band: "±1.0 pp" for a RATE, "±10%" for an AMOUNT."""
    return "±" + size_of_change(info, info.tolerance)


def size_of_change(info: SignalInfo, value: float | None) -> str:
    """Write the size of a change without a sign."""
    if not known(value):
        return UNKNOWN
    percent = abs(100 * value)
    if info.kind is SignalKind.RATE:
        coarse = percent >= 0.1 and math.isclose(percent, round(percent, 1), abs_tol=0.005)
        return fixed(percent, 1 if coarse or percent >= 1 else 2) + " pp"
    if abs(value) > _FACTOR_FROM:
        return "×" + amount(1 + abs(value))
    return fixed(percent, 0 if percent >= 2 else 1) + "%"


def effect(info: SignalInfo, value: float | None, scale: float | None = None) -> str:
    """Write a signed part of a change in the signal's own unit.

    Args:
        info: the signal that changed.
        value: the part.
        scale: the largest of the parts shown together; it sets the decimals for all of them.
    """
    if not known(value):
        return UNKNOWN
    reference = abs(scale) if known(scale) and scale else abs(value)
    if info.kind is SignalKind.RATE:
        return fixed(100 * value, 1 if reference >= 0.001 else 2, signed=True) + " pp"
    tail = f" {info.unit}" if info.unit else ""
    return fixed(value, min(6, _decimals(reference)), signed=True) + tail


def effect_interval(info: SignalInfo, low: float, high: float, scale: float) -> str:
    """Write the interval of a part of a change in brackets, without its unit."""
    if not (known(low) and known(high)):
        return ""
    unit = " pp" if info.kind is SignalKind.RATE else f" {info.unit}"
    ends = (effect(info, value, scale).removesuffix(unit) for value in (low, high))
    return f"({' … '.join(ends)})"


def probability(value: float) -> str:
    """Write a p-value, never as zero."""
    return "<0.0001" if value < 1e-4 else f"{value:.2g}" if value < 0.1 else f"{value:.2f}"


def day(moment: datetime | None) -> str:
    """Write a date."""
    return UNKNOWN if moment is None else utc(moment).strftime("%Y-%m-%d")


def minute(moment: datetime | None) -> str:
    """Write a date and time of day in UTC."""
    return UNKNOWN if moment is None else utc(moment).strftime("%Y-%m-%d %H:%M UTC")


def span(first: datetime | None, last: datetime | None) -> str:
    """Write a stretch of time; within one day, by the hour."""
    if first is None or last is None:
        return UNKNOWN
    if day(first) == day(last):
        return f"{utc(first):%Y-%m-%d %H:%M} → {utc(last):%H:%M}"
    return f"{day(first)} → {day(last)}"


def age(moment: datetime | None, now: datetime) -> str:
    """Write how long ago something was."""
    if moment is None:
        return UNKNOWN
    seconds = max(0.0, (utc(now) - utc(moment)).total_seconds())
    for size, noun in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return count(int(seconds // size), noun) + " ago"
    return "just now"


def seconds(value: float | None) -> str:
    """Write a duration."""
    if not known(value):
        return UNKNOWN
    if value < 120:
        return amount(value, "s")
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def utc(moment: datetime) -> datetime:
    """Return the moment in UTC; a naive one is taken to be UTC already."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
