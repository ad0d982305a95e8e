"""Write what is in the store to a terminal: an ingest's ledger, baselines, and status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from loopllm_cli.model import IngestSummary, Upkeep
from loopllm_cli.render import numbers
from loopllm_cli.render.clean import clean_text
from loopllm_cli.render.text_layout import LABEL, emit, labelled, table, width_of

_MAX_REASONS = 8
StatusRow = tuple[str, str, datetime | None]
"""What it is, what there is to say of it, and when that was."""


def write_ingest(console: Console, result: IngestSummary) -> None:
    """Write what was read and a ledger in which every line is accounted for."""
    width = width_of(console)
    verb = "would read" if result.dry_run else "read"
    lines = labelled(verb, _read_parts(result), width, between="   ")
    lines += _ledger(result, width)
    lines += _formats(result, width)
    lines += _beyond_the_ledger(result, width)
    for name, filled in sorted(result.columns_filled.items()):
        lines += _columns(name, filled, width)
    if result.n_sources_unchanged:
        same = numbers.count(result.n_sources_unchanged, "source")
        lines += labelled("unchanged", [f"{same} read before and skipped"], width)
    emit(console, lines)


def write_upkeep(console: Console, result: Upkeep) -> None:
    """Write, table by table, what was done."""
    width = width_of(console)
    lines: list[Text] = []
    for one in result.tables:
        said = [numbers.count(one.n_files_before, "file")]
        if one.n_joined:
            verb = "would be put together" if result.dry_run else f"put together: {one.n_files} now"
            said.append(f"{one.n_joined:,} small ones {verb}")
        if one.n_removed:
            verb = "would go" if result.dry_run else "removed"
            said.append(f"{one.n_removed:,} old ones {verb}")
        lines += labelled(one.name, said if len(said) > 1 else [*said, "nothing to do"], width)
    emit(console, lines or labelled("upkeep", ["there are no tables yet"], width))


def _formats(result: IngestSummary, width: int) -> list[Text]:
    """Say which formats were seen, and by what."""
    formats = sorted(result.n_lines_by_format.items(), key=lambda item: (-item[1], item[0]))
    said = []
    for name, n in formats:
        reason = result.format_reasons.get(name)
        seen_by = f" (has {clean_text(reason, 60)})" if reason else ""
        said.append(f"{clean_text(name, 40)} {n:,}{seen_by}")
    return labelled("formats", said, width) if said else []


def _beyond_the_ledger(result: IngestSummary, width: int) -> list[Text]:
    """Say what was masked, mined, replaced and kept twice."""
    lines: list[Text] = []
    if result.redacted_by_type:
        hits = [f"{clean_text(kind, 24)} {n:,}" for kind, n in result.redacted_by_type.items()]
        lines += labelled("masked", hits, width)
    if result.n_implicit:
        lines += labelled("implicit", [f"{result.n_implicit:,} signs in users' next turns"], width)
    if result.n_replaced:
        lines += labelled("replaced", [f"{result.n_replaced:,} by newer or fuller ones"], width)
    if result.n_conflicts:
        twice = f"{result.n_conflicts:,} ids with two contents; both are kept"
        lines += labelled("conflicts", [twice], width)
    return lines


def _columns(name: str, filled: Mapping[str, int], width: int) -> list[Text]:
    """Say which columns a sample of one format fills, fullest first."""
    n_rows = max(filled.get("rows", 0), 1)
    shares = [
        (count / n_rows, column)
        for column, count in filled.items()
        if count and column not in _OF_EVERY_ROW
    ]
    shares.sort(key=lambda entry: (-entry[0], entry[1]))
    said = [f"{column} {share:.0%}" for share, column in shares]
    return [
        *labelled("fills", [f"{clean_text(name, 40)}, {n_rows:,} rows:"], width),
        *labelled("", said, width),
    ]


_OF_EVERY_ROW = {
    *("rows", "interaction_id", "content_digest", "source_format", "source_path", "source_line"),
    *("ingest_id", "schema_version", "time_basis", "choice_index", "content_state", "redaction"),
    *("context_hash", "prompt_hash", "response_hash"),
}


def _read_parts(result: IngestSummary) -> list[str]:
    parts = [f"{numbers.count(result.n_lines, 'line')} from {_sources(result.sources)}"]
    if result.first_time is not None:
        parts.append(numbers.span(result.first_time, result.last_time))
    if result.models:
        parts.append(numbers.count(len(result.models), "model"))
    return parts


def _sources(sources: Sequence[str]) -> str:
    if len(sources) == 1:
        return clean_text(sources[0], 48)
    return numbers.count(len(sources), "source")


def _ledger(result: IngestSummary, width: int) -> list[Text]:
    """List every category; together they are the lines read."""
    linked = [f"{result.n_feedback_linked:,} linked"] if result.n_feedback else []
    if result.n_feedback_orphans:
        why = f": {clean_text(result.orphans_because, 120)}" if result.orphans_because else ""
        linked.append(f"{result.n_feedback_orphans:,} waiting for their response{why}")
    if result.n_feedback_ambiguous:
        linked.append(f"{result.n_feedback_ambiguous:,} that fit several responses")
    if result.n_feedback_of_conversations:
        linked.append(f"{result.n_feedback_of_conversations:,} about whole conversations")
    reasons = sorted(result.rejected_by_reason.items(), key=lambda item: (-item[1], item[0]))
    rejected = [f"{n:,} {clean_text(reason, 48)}" for reason, n in reasons]
    others = sorted(result.skipped_by_reason.items(), key=lambda item: (-item[1], item[0]))
    skipped = [f"{n:,} {clean_text(reason, 48)}" for reason, n in others[:_MAX_REASONS]]
    if result.n_rejected and result.rejects_path:
        rejected.append(clean_text(result.rejects_path))
    entries: list[tuple[str, int, list[str]]] = [
        ("kept", result.n_kept, []),
        ("duplicate", result.n_duplicates, ["already in the store"]),
        ("feedback", result.n_feedback, linked),
        ("feedback again", result.n_feedback_duplicates, ["already in the store"]),
        ("parts", result.n_parts, ["put together with others of their group"]),
        ("skipped", result.n_skipped, skipped),
        ("rejected", result.n_rejected, rejected),
        ("blank", result.n_blank, []),
    ]
    total = sum(n for _, n, _ in entries)
    room = max(len(f"{max(total, result.n_lines):,}"), 5)
    lines: list[Text] = []
    for name, n, remarks in entries:
        if n or name == "kept":
            lines += _entry(name, n, remarks, room, width)
    return lines + _sum(result, total, room, width)


def _sum(result: IngestSummary, total: int, room: int, width: int) -> list[Text]:
    missing = result.n_lines - total
    lines: list[Text] = []
    if missing:
        lines += _entry("unaccounted", missing, ["please report this"], room, width)
    said = "every line read"
    if result.n_extra_rows:
        said = f"every line read; some hold {result.n_extra_rows:,} further rows"
    return lines + _entry("= together", total + missing, [said], room, width, dim=True)


def _entry(
    name: str, n: int, remarks: Sequence[str], room: int, width: int, *, dim: bool = False
) -> list[Text]:
    figure = f"  {name:<14} {numbers.fixed(n, 0):>{room}}"
    pad = len(figure) + 3
    lines = labelled("", list(remarks), width - pad + LABEL)
    style = "dim" if dim else "red" if name in ("rejected", "unaccounted") else ""
    lead = [Text(f"{figure}   ", style=style), *[Text(" " * pad) for _ in lines[1:]]]
    return [Text.assemble(a, b[LABEL:]) for a, b in zip(lead, lines, strict=True)]


def write_baseline(console: Console, card: Mapping[str, Any]) -> None:
    """Write a baseline's card: one line per entry, nested entries as "key value"."""
    width = width_of(console)
    lines = labelled("baseline", [clean_text(card.get("name", numbers.UNKNOWN))], width)
    for key, value in card.items():
        if key not in ("name", "schema") and value not in (None, "", [], {}, ()):
            lines += _fact(str(key), value, width)
    emit(console, lines)


def _fact(key: str, value: object, width: int) -> list[Text]:
    name = clean_text(key.removeprefix("n_").replace("_", " "), 18)
    parts = labelled("", fact_parts(value), width - 22 + LABEL)
    lead = Text(f"  {name:<18}  ", style="dim")
    return [
        Text.assemble(lead if place == 0 else " " * 22, part[LABEL:])
        for place, part in enumerate(parts)
    ]


def fact_parts(value: object) -> list[str]:
    """Write any value of a card as short pieces of text."""
    if isinstance(value, Mapping):
        return [
            f"{clean_text(str(k).replace('_', ' '), 40)} {' '.join(fact_parts(v))}"
            for k, v in value.items()
            if v is not None
        ]
    if isinstance(value, (list, tuple)):
        return [" ".join(fact_parts(item)) for item in value]
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    if isinstance(value, datetime):
        return [numbers.minute(value)]
    if isinstance(value, int):
        return [f"{value:,}"]
    if isinstance(value, float):
        return [f"{value:.4g}"]
    return [clean_text(value)]


def write_baselines(console: Console, cards: Sequence[Mapping[str, Any]]) -> None:
    """Write one line per baseline."""
    width = width_of(console)
    if not cards:
        emit(console, labelled("baselines", ["none yet"], width))
        return
    rows: list[list[str | Text]] = [_baseline_row(card) for card in cards]
    headers = ["name", "records", "users", "window", "created", "hash"]
    emit(console, table(headers, rows, width, right=frozenset({1, 2}), indent=0))


def _baseline_row(card: Mapping[str, Any]) -> list[str | Text]:
    def figure(key: str) -> str:
        value = card.get(key)
        return f"{value:,}" if isinstance(value, int) else numbers.UNKNOWN

    def moment(key: str) -> datetime | None:
        value = card.get(key)
        return datetime.fromisoformat(value) if isinstance(value, str) else value

    return [
        clean_text(card.get("name", numbers.UNKNOWN), 24),
        figure("n_rows"),
        figure("n_users"),
        numbers.span(moment("first_time"), moment("last_time")),
        numbers.day(moment("created")),
        clean_text(card.get("hash", numbers.UNKNOWN), 8).replace("…", ""),
    ]


def write_status(console: Console, rows: Sequence[StatusRow], now: datetime) -> None:
    """Write one line per thing in the project, each with its age."""
    width = width_of(console)
    lines: list[Text] = []
    for name, said, moment in rows:
        parts = [clean_text(said)]
        if moment is not None:
            parts.append(numbers.age(moment, now))
        lines += labelled(clean_text(name, LABEL - 1), parts, width)
    emit(console, lines)
