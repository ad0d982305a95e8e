"""Print the parts of docs/signals.md that come from the code: the signals, and what they cost.

    python -m scripts.list_signals             the sections on the signals
    python -m scripts.list_signals --measure   the table of costs, measured on the sample data
    python -m scripts.list_signals --write     put the sections (and the costs) into the page

Everything said of a signal stands beside its code: the definition and the paragraph "Blind
spots: …" in the function's docstring; the reason for its tolerance in a paragraph "Tolerance: …"
there, or "Why this tolerance: …" in its module's docstring.
"""

from __future__ import annotations

import argparse
import inspect
import platform
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from loopllm_cli.model import SignalKind, Window, Worse
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.signals.catalogue import compute_signals, load_signals
from loopllm_cli.signals.registry import Signal
from loopllm_cli.sources.ingest import IngestOptions, ingest
from loopllm_cli.store.project import Project
from loopllm_cli.store.windows import read_window

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "signals.md"
SAMPLE = ROOT / "sample_data" / "logs"
COMMAND = "python -m scripts.list_signals --measure"
ROUNDS = 5

_WORSE = {Worse.UP: "more is worse", Worse.DOWN: "less is worse", Worse.EITHER: "either way"}


@dataclass(frozen=True, slots=True)
class Description:
    """What a signal's own code says of it."""

    signal: Signal
    module: str
    details: str
    blind_spots: str
    tolerance_reason: str


def describe(one: Signal) -> Description:
    """Read a built-in signal's docstring and its module's."""
    function = one.labels or one.compute
    paragraphs = _paragraphs(function)
    blind = _named(paragraphs, "Blind spots")
    reason = _named(paragraphs, "Tolerance") or _why(function.__module__)
    named = ("Blind spots:", "Tolerance:", "Source:")
    details = " ".join(text for text in paragraphs[1:] if not text.startswith(named))
    return Description(one, function.__module__, details, blind, reason)


def _paragraphs(thing: object) -> list[str]:
    text = inspect.getdoc(thing) or ""
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]


def _named(paragraphs: list[str], name: str) -> str:
    found = next((text for text in paragraphs if text.startswith(f"{name}:")), "")
    return found.removeprefix(f"{name}:").strip()


def _why(module: str) -> str:
    paragraphs = _paragraphs(sys.modules[module])
    return _named(paragraphs, "Why this tolerance") or _named(paragraphs, "Why these tolerances")


def built_in() -> list[Description]:
    """Describe every built-in signal, grouped by module; modules register as they are imported."""
    described = [describe(one) for one in load_signals().values() if not one.user_defined]
    return sorted(described, key=lambda d: d.module)


def sections() -> str:
    """Return a section per module: why its tolerances, then a row per signal."""
    described = built_in()
    parts = []
    for module in dict.fromkeys(d.module for d in described):
        members = [d for d in described if d.module == module]
        rows = [_row(d) for d in members]
        head = ("signal", "what it measures", "kind, direction", "tolerance", "blind spots")
        reasons = dict.fromkeys(d.tolerance_reason for d in members)
        why = "\n\n".join(f"Tolerance: {reason}" for reason in reasons)
        parts.append(f"### {_title(module)}\n\n{why}\n\n{table(head, rows)}")
    return "\n".join(parts)


def _title(module: str) -> str:
    first = _paragraphs(sys.modules[module])[0].rstrip(".")
    title = re.sub(r"^(?:The signals?|Signals?) (?:about|of) ", "", first)
    return title[:1].upper() + title[1:]


def _row(described: Description) -> tuple[str, ...]:
    info = described.signal.info
    kind = info.kind.value if described.signal.labels is None else "category"
    version = f", version {info.version}" if info.version > 1 else ""
    meaning = f"{info.definition} {described.details}".strip()
    return (
        f"`{info.name}`",
        meaning,
        f"{kind}, {_WORSE[info.worse]}{version}",
        _tolerance(info.kind, info.tolerance),
        described.blind_spots,
    )


def _tolerance(kind: SignalKind, tolerance: float) -> str:
    if kind is SignalKind.RATE:
        points = 100 * tolerance
        return f"{points:g} point{'' if points == 1 else 's'}"
    return f"{100 * tolerance:g}% of the mean"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table; what would be markup in a cell is shown as it is."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    shown = text.replace("|", "&#124;").replace("```", "three backticks")
    return shown.replace("<", "&lt;")


def costs() -> str:
    """Measure every signal on the sample data, alone and together, and return a table.

    Alone, a signal also pays for the lower-casing, words and blocks that the others share.
    """
    rows = _sample()
    signals = {name: one for name, one in load_signals().items() if not one.user_defined}
    alone = {
        name: _best(rows, lambda batch, one=one: (one.labels or one.compute)(batch))
        for name, one in signals.items()
    }
    together = _best(rows, lambda batch: compute_signals(batch, signals))
    lines = [(f"`{name}`", f"{micros:.1f}") for name, micros in alone.items()]
    date = datetime.now(UTC).date().isoformat()
    return (
        f"{date}, `{COMMAND}`: {len(rows):,} rows of the sample data, best of {ROUNDS} rounds, "
        f"Python {platform.python_version()}, microseconds per row of processor time. "
        f"All {len(signals)} signals together: {together:.0f}.\n\n"
        + table(("signal", "alone"), lines)
    )


def _sample() -> RowBatch:
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        ingest(project, [str(SAMPLE)], IngestOptions())
        return RowBatch(read_window(project, Window(), "the sample data"))


def _best(rows: RowBatch, compute: Callable[[RowBatch], object]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        batch = RowBatch(rows.table)
        for column in rows.table.column_names:
            batch.values(column)
        started = time.process_time()
        compute(batch)
        best = min(best, time.process_time() - started)
    return best / len(rows) * 1e6


def put(page: str, name: str, text: str) -> str:
    """Return a page with the part between two comments replaced.

    Raises:
        ValueError: the page lacks the comments.
    """
    opens, closes = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, found, rest = page.partition(opens)
    _, ended, after = rest.partition(closes)
    if not (found and ended):
        raise ValueError(f"the page lacks {opens.strip()} … {closes}")
    return f"{before}{opens}\n{text}\n{closes}{after}"


def main() -> None:
    """Print the parts, or put them into the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--measure", action="store_true", help="measure the costs")
    parser.add_argument("--write", action="store_true", help="put the parts into the page")
    options = parser.parse_args()
    parts = {} if options.measure and not options.write else {"signals": sections()}
    if options.measure:
        parts["costs"] = costs()
    if not options.write:
        print("\n".join(parts.values()), end="")
        return
    page = PAGE.read_text("utf-8")
    for name, text in parts.items():
        page = put(page, name, text)
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
