"""Write a watch: one line per change of state, and how it stands."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from loopllm_cli.model import SignalKind, Status, WatchEvent, WatchResult
from loopllm_cli.render import numbers
from loopllm_cli.render.clean import clean_text
from loopllm_cli.render.text_layout import emit, labelled, width_of
from loopllm_cli.render.words import STATUS_WORD, signal_name

_STYLES = {Status.OK: "bold green", Status.DEGRADED: "bold red", Status.INCONCLUSIVE: "yellow"}
_MINUTE_S, _HOUR_S = 60, 3600


def event_words(event: WatchEvent) -> str:
    """Say what turned worse or is back, in one sentence without a full stop."""
    name, window = signal_name(event.signal.name), _window(event.window_seconds)
    rows = numbers.count(event.n_rows, "row")
    if not event.worse:
        return f"{name} is back: {_level(event, event.after)} in the last {window} ({rows})"
    change = f"{_level(event, event.before)} to {_level(event, event.after)}"
    where = f", most of it in {clean_text(event.where, 40)!r}" if event.where else ""
    return f"{name} is worse: {change} in the last {window} ({rows}){where}"


def write_event(console: Console, event: WatchEvent) -> None:
    """Write an event as one entry, with its time."""
    word = Text("WORSE", style="bold red") if event.worse else Text("BACK", style="bold green")
    words: list[str | Text] = [word, *(Text(one) for one in event_words(event).split(" "))]
    emit(console, labelled(f"{event.at:%H:%M:%S}", words, width_of(console), between=" "))


def write_watch(console: Console, result: WatchResult) -> None:
    """Write how a watch stands."""
    width = width_of(console)
    head = Text(STATUS_WORD[result.status], style=_STYLES[result.status])
    said = [numbers.count(result.n_rows, "row"), numbers.count(result.n_slots, "slot")]
    left = [
        (result.n_parts, "in pieces"),
        (result.n_rejected, "unreadable"),
        (result.n_unmatched, "of other models"),
    ]
    said += [f"{n:,} {why}" for n, why in left if n]
    lines = labelled("watch", [head, *said], width)
    for event in result.worse:
        since = Text(f"since {event.at:%Y-%m-%d %H:%M}:")
        words: list[str | Text] = [since, *(Text(w) for w in event_words(event).split(" "))]
        lines += labelled("worse", words, width, between=" ")
    budget = f"{result.spent:.3f} of {result.budget:g} false alarms a year spent, at most"
    emit(console, [*lines, *labelled("budget", [budget], width)])


def beat_words(result: WatchResult) -> str:
    """Say in a few words that the watch is alive."""
    worse = ", ".join(signal_name(event.signal.name) for event in result.worse)
    said = f"worse: {worse}" if worse else "nothing is worse"
    return f"{result.at:%H:%M} {numbers.count(result.n_rows, 'row')} so far, {said}"


def _level(event: WatchEvent, level: float) -> str:
    if event.signal.kind is SignalKind.RATE:
        return numbers.share(level)
    return numbers.amount(level, event.signal.unit)


def _window(seconds: int) -> str:
    for size, noun in ((_HOUR_S, "hour"), (_MINUTE_S, "minute"), (1, "second")):
        if seconds % size == 0 and seconds >= size:
            n = seconds // size
            return noun if n == 1 else f"{n} {noun}s"
    return f"{seconds} seconds"
