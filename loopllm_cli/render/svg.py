"""Draw the report's small charts as inline SVG.

Positions are percentages of the drawing's width, so a chart stretches with its column while
strokes and text keep their size. Colours come from the page's style sheet by class name; every
drawing has a text alternative. Only numbers and escaped text ever go in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

from loopllm_cli.model import Comparison, DailyPoint, SignalKind
from loopllm_cli.render import numbers
from loopllm_cli.render.clean import clean_text

MAX_DAYS = 120
DAILY_HEIGHT = 128.0
_EDGE = 1.5  # per cent of the width kept free on either side, so that dots are not cut
_WIDEST = 1.0
STRIP_HEIGHT = 26


def figure(body: str, height: int, css: str, said: str) -> Markup:
    """Wrap shapes in an SVG of full width with a text alternative."""
    label = escape(clean_text(said, 300))
    return Markup(
        f'<svg class="{css}" width="100%" height="{height}" role="img" aria-label="{label}">'
        f"{body}</svg>"
    )


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    """Draw a line; x in per cent, y in pixels."""
    return f'<line class="{css}" x1="{x1:.2f}%" y1="{y1:.1f}" x2="{x2:.2f}%" y2="{y2:.1f}"/>'


def rect(x: float, y: float, width: float, height: float, css: str) -> str:
    """Draw a rectangle; x and width in per cent, y and height in pixels."""
    return (
        f'<rect class="{css}" x="{x:.2f}%" y="{y:.1f}" '
        f'width="{max(0.0, width):.2f}%" height="{max(0.0, height):.1f}"/>'
    )


def dot(x: float, y: float, radius: float, css: str) -> str:
    """Draw a dot; x in per cent, y in pixels."""
    return f'<circle class="{css}" cx="{x:.2f}%" cy="{y:.1f}" r="{radius}"/>'


def label(x: float, y: float, text: str, anchor: str) -> str:
    """Write a short label; x in per cent, y in pixels."""
    shown = escape(clean_text(text, 40))
    return f'<text x="{x:.2f}%" y="{y:.1f}" text-anchor="{anchor}">{shown}</text>'


def domains(comparisons: Sequence[Comparison]) -> dict[SignalKind, float]:
    """Return, per kind of signal, the change that reaches the edge of every chart.

    One signal of which hardly anything is known must not flatten the others, so the axis ends at
    a doubling; what lies beyond is drawn to the edge.
    """
    reach: dict[SignalKind, float] = {}
    for c in comparisons:
        ends = [abs(v) for v in (c.low, c.high, c.change, c.signal.tolerance) if numbers.known(v)]
        reach[c.signal.kind] = max([reach.get(c.signal.kind, 0.0), *ends])
    return {kind: nice(min(value, _WIDEST)) for kind, value in reach.items()}


def nice(value: float) -> float:
    """Round up to a number that is easy to read on an axis."""
    if value <= 0 or not math.isfinite(value):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    steps = (m * power for m in (1, 1.5, 2, 3, 4, 5, 6, 8))
    return next((step for step in steps if step >= value * 0.9999), 10 * power)


def interval_chart(c: Comparison, reach: float) -> Markup:
    """Draw a change with its interval against the band of its tolerance."""

    def place(value: float) -> float:
        share = max(-1.0, min(1.0, value / reach))
        return 50 + share * (50 - _EDGE)

    top, mid, bottom = 4.0, 13.0, 22.0
    body = rect(0, top, 100, bottom - top, "plot")
    band = place(c.signal.tolerance) - place(-c.signal.tolerance)
    body += rect(place(-c.signal.tolerance), top, max(0.6, band), bottom - top, "band")
    body += line(50, top, 50, bottom, "zero")
    if numbers.known(c.low) and numbers.known(c.high):
        low, high = place(c.low), place(c.high)
        body += line(low, mid, high, mid, f"whisker {c.verdict.name.lower()}")
        for end in (low, high):
            body += line(end, mid - 3.5, end, mid + 3.5, f"whisker {c.verdict.name.lower()}")
    if numbers.known(c.change):
        body += dot(place(c.change), mid, 4, f"mark {c.verdict.name.lower()}")
    edge = numbers.size_of_change(c.signal, reach).replace(".0", "")
    number, _, unit = edge.partition(" ")
    body += label(0, 34, f"{numbers.MINUS}{number}", "start") + label(50, 34, "0", "middle")
    body += label(100, 34, f"+{number} {unit}".strip(), "end")
    return figure(body, 37, "chart interval", _said(c))


def _said(c: Comparison) -> str:
    decimals = numbers.change_decimals(c.signal.kind, c.low, c.high)
    change = numbers.change(c.signal.kind, c.change, decimals)
    bounds = numbers.interval(c.signal.kind, c.low, c.high, decimals)
    return f"change {change} {bounds}, tolerance {numbers.tolerance(c.signal)}, {c.verdict.value}"


class _Days:
    """The frame of a daily chart: where a day and a value lie."""

    def __init__(
        self, points: Sequence[DailyPoint], height: float, extra: Sequence[float] = ()
    ) -> None:
        self.points = [p for p in points if numbers.known(p.mean)][-MAX_DAYS:]
        values = [p.mean for p in self.points] + [v for v in extra if numbers.known(v)]
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        room = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
        # A mean that cannot be negative gets no axis below zero.
        self.low = low - room if low < 0 else max(0.0, low - room)
        self.high, self.height = high + room, height

    def x(self, place: int) -> float:
        return _EDGE + (100 - 2 * _EDGE) * place / max(1, len(self.points) - 1)

    def y(self, value: float) -> float:
        kept = max(self.low, min(self.high, value))
        return 2 + (self.height - 4) * (self.high - kept) / (self.high - self.low)

    def strokes(self) -> str:
        """Join the days of each window; the step from one to the other stays open.

        A polyline takes no percentages: it gets a frame of its own that stretches, and strokes
        that do not.
        """
        runs: list[tuple[str, list[str]]] = []
        for i, point in enumerate(self.points):
            css = _window(point)
            if not runs or runs[-1][0] != css:
                runs.append((css, []))
            runs[-1][1].append(f"{self.x(i):.1f},{self.y(point.mean):.1f}")
        drawn = "".join(
            f'<polyline class="day {css}" vector-effect="non-scaling-stroke" '
            f'points="{" ".join(at)}"/>'
            for css, at in runs
        )
        return (
            f'<svg width="100%" height="{self.height:g}" viewBox="0 0 100 {self.height:g}" '
            f'preserveAspectRatio="none" aria-hidden="true">{drawn}</svg>'
        )

    def first_current(self) -> int | None:
        """Return the first day of the current window."""
        places = (i for i, p in enumerate(self.points) if p.window != "baseline")
        return next(places, None)


def _window(point: DailyPoint) -> str:
    return "then" if point.window == "baseline" else "now"


def sparkline(points: Sequence[DailyPoint]) -> Markup:
    """Draw the days of a signal small: baseline days thin, current days strong."""
    days = _Days(points, 30)
    if len(days.points) < 2:
        return Markup("")
    body = days.strokes()
    last = len(days.points) - 1
    body += dot(days.x(last), days.y(days.points[last].mean), 2.4, _window(days.points[last]))
    return figure(body, 30, "chart spark", _days_said(days.points))


def _days_said(points: Sequence[DailyPoint]) -> str:
    then = sum(p.window == "baseline" for p in points)
    span = f"{points[0].day} to {points[-1].day}"
    return f"daily means, {span}: {then} baseline, {len(points) - then} current days"


def _scaled(points: Sequence[DailyPoint], c: Comparison) -> tuple[_Days, float]:
    """Return the frame that holds the days and the tolerance, and the tolerance's reach."""
    margin = c.signal.tolerance * (1 if c.signal.kind is SignalKind.RATE else abs(c.baseline))
    days = _Days(points, DAILY_HEIGHT, (c.baseline - margin, c.baseline + margin))
    if c.signal.kind is SignalKind.RATE:
        days.high = min(1.0, days.high)
    return days, margin


def daily_ends(points: Sequence[DailyPoint], c: Comparison) -> tuple[str, str]:
    """Return the labels of the upper and lower edge of `daily_chart`."""
    days, _ = _scaled(points, c)
    ends = (days.high, days.low)
    if c.signal.kind is SignalKind.RATE:
        decimals = 1 if ends[0] - ends[1] < 0.1 else 0
        upper, lower = (numbers.fixed(100 * end, decimals) + "%" for end in ends)
        return upper, lower
    return numbers.amount(ends[0]), numbers.amount(ends[1])


def daily_chart(points: Sequence[DailyPoint], c: Comparison) -> Markup:
    """Draw the days of a signal large, with the baseline's mean and the tolerance around it."""
    height = DAILY_HEIGHT
    days, margin = _scaled(points, c)
    if len(days.points) < 2:
        return Markup("")
    top, bottom = days.y(c.baseline + margin), days.y(c.baseline - margin)
    body = rect(0, 0, 100, height, "plot")
    body += rect(0, top, 100, max(2.0, bottom - top), "band")
    body += line(0, days.y(c.baseline), 100, days.y(c.baseline), "mean")
    first = days.first_current()
    if first:
        between = (days.x(first) + days.x(first - 1)) / 2
        body += line(between, 0, between, height, "border")
    body += days.strokes()
    for i, point in enumerate(days.points):
        body += dot(days.x(i), days.y(point.mean), 2.6, _window(point))
    body += label(0, height + 14, days.points[0].day, "start")
    body += label(100, height + 14, days.points[-1].day, "end")
    if first:
        # Kept clear of the outer dates, which take a fifth of a narrow chart each.
        x = days.x(first)
        place, anchor = (min(x, 78.0), "end") if x > 50 else (max(x, 22.0), "start")
        body += label(place, height + 14, days.points[first].day, anchor)
    return figure(body, int(height) + 18, "chart daily", _days_said(days.points))


def volume_chart(points: Sequence[DailyPoint]) -> Markup:
    """Draw the number of rows of each day."""
    shown, height = list(points)[-MAX_DAYS:], 56.0
    most = max((p.n_rows for p in shown), default=0)
    if most == 0:
        return Markup("")
    step = 100 / len(shown)
    body = ""
    for i, p in enumerate(shown):
        tall = (height - 2) * p.n_rows / most
        body += rect(i * step + 0.1 * step, height - tall, 0.8 * step, tall, f"tower {_window(p)}")
    body += line(0, height, 100, height, "zero")
    body += label(0, height + 14, shown[0].day, "start")
    body += label(100, height + 14, shown[-1].day, "end")
    return figure(body, int(height) + 18, "chart volume", f"rows per day, at most {most:,}")


def split_bar(parts: Sequence[tuple[str, float]]) -> Markup:
    """Draw the parts of a change side by side: to the left what falls, to the right what rises."""
    values = [(i, v) for i, (_, v) in enumerate(parts) if numbers.known(v) and v]
    rise = sum(v for _, v in values if v > 0)
    fall = sum(-v for _, v in values if v < 0)
    reach = max(rise, fall)
    if reach <= 0:
        return Markup("")
    origin = 100 * fall / (rise + fall)
    scale = 100 / (rise + fall)
    body, left, right = "", origin, origin
    for i, v in values:
        wide = abs(v) * scale
        start = right if v > 0 else left - wide
        body += rect(start, 3, wide, 14, f"part{i}")
        left, right = (left, right + wide) if v > 0 else (left - wide, right)
    body += line(origin, 0, origin, 20, "zero strong")
    return figure(body, 20, "chart split", "what the change is made of")


def share_bar(value: float) -> Markup:
    """Draw a share as a bar."""
    if not numbers.known(value):
        return Markup("")
    body = rect(0, 4, 100, 6, "plot") + rect(0, 4, 100 * max(0.0, min(1.0, value)), 6, "share")
    return figure(body, 14, "chart share", numbers.round_share(value))


def quality_chart(v1: float, v2: float, corrected: float) -> Markup:
    """Draw three shares of right answers on one line from 0 to 100%."""

    def place(value: float) -> float:
        return 3 + 94 * max(0.0, min(1.0, value))

    mid = 12.0
    body = line(3, mid, 97, mid, "track")
    for tick in (0.0, 0.5, 1.0):
        body += line(place(tick), mid - 4, place(tick), mid + 4, "track")
    if numbers.known(v2) and numbers.known(corrected):
        body += line(place(v2), mid, place(corrected), mid, "repair")
    for value, radius, css in ((v1, 6.5, "ring"), (v2, 4.0, "broken"), (corrected, 4.0, "fixed")):
        if numbers.known(value):
            body += dot(place(value), mid, radius, css)
    said = f"v1 {numbers.share(v1)}, v2 {numbers.share(v2)}, corrected {numbers.share(corrected)}"
    return figure(body, 24, "chart quality", said)


def state_strip(states: Sequence[tuple[str, str]]) -> Markup:
    """Draw one cell per night, oldest first: its colour by the state, its words as its title.

    Args:
        states: the style of a state (ok, degraded, fail, inconclusive) and its words.
    """
    if not states:
        return Markup("")
    width = min(1.6, 100 / len(states))
    cells = [
        f"<g><title>{escape(clean_text(said, 80))}</title>"
        f"{rect(i * width, 0, 0.86 * width, STRIP_HEIGHT, f'state {css}')}</g>"
        for i, (css, said) in enumerate(states)
    ]
    n_unwell = sum(css != "ok" for css, _ in states)
    return figure(
        "".join(cells), STRIP_HEIGHT, "strip", f"{len(states)} nights, {n_unwell} not well"
    )
