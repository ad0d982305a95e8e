"""Markdown tables of what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from scripts.detectors.draws import Cell
from scripts.detectors.invented import LAWS
from scripts.detectors.results import Findings, Results, threshold

NOTHING = "–"


def standard_error(rate: float, n_runs: int) -> float:
    """Return the Monte-Carlo standard error of a rate; that of one half of a run at 0 and 1."""
    return float(np.sqrt(max(rate * (1 - rate), 0.5 / n_runs * (1 - 0.5 / n_runs)) / n_runs))


def rate_of(hits: np.ndarray | None) -> str:
    """Write a rate with its standard error, in percent."""
    if hits is None or not len(hits):
        return NOTHING
    rate = float(np.mean(hits))
    return f"{100 * rate:.0f} ±{100 * standard_error(rate, len(hits)):.0f}"


def alarms_of(found: Findings | None) -> str:
    """Write any alarm / verdict."""
    if found is None:
        return NOTHING
    verdict = rate_of(found.verdict)
    return f"{rate_of(found.any_alarm)} / {verdict}"


def to_markdown(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """Write a table, without the lines and columns in which nothing was run."""
    body = [line for line in map(list, lines) if set(line[1:]) != {NOTHING}]
    kept = [
        (name, [line[i] for line in body])
        for i, name in enumerate(head)
        if i == 0 or any(line[i] != NOTHING for line in body)
    ]
    rows = [[name for name, _ in kept], ["---"] * len(kept)]
    rows += [list(row) for row in zip(*(column for _, column in kept), strict=True)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _by_method(
    results: Results,
    cells: list[Cell],
    head: Callable[[Cell], str],
    write: Callable[[Findings | None], str],
) -> str:
    lines = []
    for method in results.methods():
        found = [results.of(cell.key, method) for cell in cells]
        if any(f is not None for f in found):
            most = max(len(f) for f in found if f is not None)
            lines.append([method, *(write(f) for f in found), str(most)])
    return to_markdown(["method", *(head(c) for c in cells), "runs"], lines)


def write_null(results: Results, cells: list[Cell]) -> str:
    """Write the null matrix: answers, invented columns by size, and by law."""
    answers = [c for c in cells if c.table == "answers"]
    columns = [c for c in cells if c.table == "columns"]
    parts = [
        "**One model's answers split at random**: any alarm / verdict, in % of runs, by rows per "
        "window.",
        _by_method(results, answers, lambda c: f"n = {c.labels[0]}", alarms_of),
        "**Invented columns without a change**: any alarm / verdict, in % of runs, by rows of the "
        "baseline → rows of the current window.",
        _by_method(results, columns, lambda c: f"{c.labels[0]} → {c.labels[1]}", alarms_of),
        "**The same, column by column**: mean over the nine sizes (greatest size in brackets), "
        "in % of runs.",
        _by_law(results, columns),
    ]
    return "\n\n".join(parts)


def _by_law(results: Results, cells: list[Cell]) -> str:
    lines = []
    for method in results.methods():
        found = [f for c in cells if (f := results.of(c.key, method)) is not None]
        found = [f for f in found if f.columns[0]]
        if not found:
            continue
        line = [method]
        for law in LAWS:
            rates = [100 * np.mean([run.get(law, False) for run in f.columns]) for f in found]
            line.append(f"{np.mean(rates):.0f} ({max(rates):.0f})")
        lines.append(line)
    return to_markdown(["method", *LAWS], lines)


def write_alarms(results: Results, cells: list[Cell]) -> str:
    """Write one table of alarms: the clustered matrix, or the shifts of traffic."""
    return _by_method(results, cells, lambda c: c.labels[0], alarms_of)


def powers(results: Results, cells: list[Cell], method: str) -> dict[tuple[str, ...], np.ndarray]:
    """Return which runs a method finds at equal false alarms, by the cells' labels."""
    found = {}
    for cell in cells:
        share = cell.labels[2]
        clean = results.of(_clean_key(cell, cells), method)
        drifted = results.of(cell.key, method)
        if share == "0%" or clean is None or drifted is None:
            continue
        limit = threshold(clean.score)
        if np.isfinite(limit):
            found[cell.labels] = drifted.score > limit
    return found


def _clean_key(cell: Cell, cells: list[Cell]) -> str:
    return next(c.key for c in cells if c.labels == (*cell.labels[:2], "0%"))


def write_power(results: Results, cells: list[Cell]) -> str:
    """Write power at equal false alarms, at the tools' defaults, and pair by pair."""
    parts = [
        "**At an equal 5% of false alarms**: drifts found, in % of runs, mean over the pairs of "
        "versions, by rows per window and share of rows from the newer version.",
        _mean_power(results, cells),
        "**At the defaults**: any alarm / verdict, in % of runs; share 0% is the false alarms.",
        _default_power(results, cells),
        "**Pair by pair, at an equal 5% of false alarms**, in %.",
        _pair_power(results, cells),
    ]
    return "\n\n".join(parts)


def _columns(cells: list[Cell]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((c.labels[0], c.labels[2]) for c in cells))


def _mean_power(results: Results, cells: list[Cell]) -> str:
    columns = sorted(
        (c for c in _columns(cells) if c[1] != "0%"),
        key=lambda c: (int(c[0].replace(",", "")), int(c[1][:-1])),
    )
    lines = []
    for method in results.methods():
        found = powers(results, cells, method)
        line = [method]
        for n, share in columns:
            hits = [h for labels, h in found.items() if (labels[0], labels[2]) == (n, share)]
            line.append(_mean_rate(hits))
        lines.append(line)
    return to_markdown(["method", *(f"{n}, {share}" for n, share in columns)], lines)


def _mean_rate(hits: list[np.ndarray]) -> str:
    """Write a mean of rates with its standard error."""
    if not hits:
        return NOTHING
    rates = [float(h.mean()) for h in hits]
    errors = [standard_error(r, len(h)) for r, h in zip(rates, hits, strict=True)]
    error = np.sqrt(np.sum(np.square(errors))) / len(hits)
    return f"{100 * np.mean(rates):.0f} ±{100 * error:.0f}"


def _default_power(results: Results, cells: list[Cell]) -> str:
    columns = sorted(_columns(cells), key=lambda c: (int(c[0].replace(",", "")), int(c[1][:-1])))
    lines = []
    for method in results.methods():
        line = [method]
        for n, share in columns:
            found = [
                f
                for c in cells
                if (c.labels[0], c.labels[2]) == (n, share)
                and (f := results.of(c.key, method)) is not None
            ]
            line.append(_mean_alarms(found))
        lines.append(line)
    return to_markdown(["method", *(f"{n}, {share}" for n, share in columns)], lines)


def _mean_alarms(found: list[Findings]) -> str:
    if not found:
        return NOTHING
    any_alarm = 100 * np.mean([f.any_alarm.mean() for f in found])
    verdicts = [f.verdict.mean() for f in found if f.verdict is not None]
    return f"{any_alarm:.0f} / {f'{100 * np.mean(verdicts):.0f}' if verdicts else NOTHING}"


def _pair_power(results: Results, cells: list[Cell]) -> str:
    methods = results.methods()
    found = {method: powers(results, cells, method) for method in methods}
    lines = []
    for cell in cells:
        if cell.labels[2] == "0%":
            continue
        values = [found[m].get(cell.labels) for m in methods]
        shown = [NOTHING if v is None else f"{100 * v.mean():.0f}" for v in values]
        lines.append([", ".join((cell.labels[1], *cell.labels[::2])), *shown])
    return to_markdown(["pair, n, share", *methods], lines)


def write_costs(results: Results) -> str:
    """Write runs per cell and mean seconds per comparison, over all cells of a part."""
    lines = []
    for method in results.methods():
        found = [f for key in results.findings if (f := results.of(key, method)) is not None]
        errors = sum(f.n_errors for f in found)
        fewest, most = min(map(len, found), default=0), max(map(len, found), default=0)
        seconds = f"{np.mean([f.seconds for f in found]):.2f}" if found else NOTHING
        lines.append([method, f"{fewest} to {most}", seconds, str(errors)])
    return to_markdown(
        ["method", "runs per cell", "seconds per comparison", "runs without a finding"], lines
    )


WRITERS = {
    "null": write_null,
    "clusters": write_alarms,
    "mix": write_alarms,
    "power": write_power,
}
