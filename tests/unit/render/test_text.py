"""Terminal output at 80 columns."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from loopllm_cli.render import text

from . import results

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
STATUS = [
    ("store", "48,210 responses, 1,012 feedback", NOW - timedelta(hours=3)),
    ("drift", "DEGRADED against v1", NOW - timedelta(minutes=40)),
    ("adapter", "none yet", None),
]
CASES: dict[str, tuple[Callable[..., None], tuple[Any, ...], dict[str, Any]]] = {
    "ingest": (text.write_ingest, (results.ingest(),), {}),
    "baseline": (text.write_baseline, (results.baseline_card(),), {}),
    "baselines": (text.write_baselines, ([results.baseline_card()],), {}),
    "drift": (text.write_drift, (results.drift(),), {}),
    "drift_verbose": (text.write_drift, (results.drift(),), {"verbose": True}),
    "drift_quiet": (text.write_drift, (results.quiet_drift(),), {}),
    "drift_hostile": (text.write_drift, (results.hostile_drift(),), {}),
    "pairs": (text.write_pairs, (results.pairs(),), {}),
    "pairs_verbose": (text.write_pairs, (results.pairs(),), {"verbose": True}),
    "adapter": (text.write_adapter, (results.adapter(),), {}),
    "verify": (text.write_verify, (results.verify(),), {}),
    "verify_failed": (text.write_verify, (results.failed_verify(),), {}),
    "forget": (text.write_forget, (results.forget(),), {}),
    "forget_dry_run": (text.write_forget, (results.forget(dry_run=True, n_baselines=0),), {}),
    "status": (text.write_status, (STATUS, NOW), {}),
}


@pytest.mark.parametrize("name", CASES)
def test_terminal_output_is_as_agreed(
    name: str, written: Callable[..., str], golden: Callable[[str, str], None]
) -> None:
    writer, args, options = CASES[name]
    golden(f"{name}.txt", written(writer, *args, **options))


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("name", CASES)
def test_no_line_is_wider_than_the_terminal(
    name: str, width: int, written: Callable[..., str]
) -> None:
    writer, args, options = CASES[name]
    for line in written(writer, *args, width=width, **options).split("\n"):
        assert cell_len(line) <= width
        assert line == line.rstrip()


@pytest.mark.parametrize("name", CASES)
def test_colour_adds_nothing_but_colour(name: str, written: Callable[..., str]) -> None:
    writer, args, options = CASES[name]
    plain = written(writer, *args, **options)
    coloured = written(writer, *args, color=True, **options)
    assert plain == re.sub(r"\x1b\[[0-9;]*m", "", coloured)


def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    file = io.StringIO()
    text.write_drift(Console(file=file, width=80, force_terminal=True), results.drift())
    # Bold and dim may stay; colours (30 to 37, 90 to 97) may not.
    assert not re.search(r"\x1b\[[0-9;]*\b[39][0-7]m", file.getvalue())


def test_a_hostile_log_moves_no_cursor_and_sets_no_style(written: Callable[..., str]) -> None:
    shown = written(text.write_drift, results.hostile_drift(), verbose=True)
    assert not set(shown) & set("\x1b\x9b\x00\x07\u202e\u200b\u2028")
    assert "[bold red]x[/]" in shown
    assert "{{ 7*7 }}" in re.sub(r"\s+", " ", shown)


def test_hostile_text_is_inert_in_the_other_outputs(written: Callable[..., str]) -> None:
    bad = results.HOSTILE
    shown = written(
        text.write_pairs,
        results.pairs(by_segment={bad: 3}, dropped={bad: 2}, findings=results.hostile_findings()),
        verbose=True,
    )
    shown += written(text.write_verify, results.verify(reasons=(bad,), adapter=bad))
    shown += written(text.write_adapter, results.adapter(recipe={bad: bad}, notes=(bad,)))
    shown += written(text.write_ingest, results.ingest(rejected_by_reason={bad: 26}))
    shown += written(text.write_forget, results.forget(adapters=(bad,), datasets=(bad,)))
    shown += written(text.write_baseline, {"name": bad, bad: [bad]})
    assert not set(shown) & set("\x1b\x9b\x00\x07\u202e\u200b\u2028")


def test_every_line_read_is_accounted_for(written: Callable[..., str]) -> None:
    shown = written(text.write_ingest, results.ingest())
    figures = re.findall(r"^  \S.{12,14} +([\d,]+)", shown, re.M)
    *parts, total = [int(figure.replace(",", "")) for figure in figures]
    assert 48_666 == total == sum(parts)
    assert "unaccounted" not in shown


def test_a_ledger_that_does_not_add_up_says_so(written: Callable[..., str]) -> None:
    assert "unaccounted" in written(text.write_ingest, results.ingest(n_lines=48_670))


def test_the_gate_word_comes_first(written: Callable[..., str]) -> None:
    assert written(text.write_verify, results.failed_verify()).startswith("FAIL ")


def test_a_terminal_without_unicode_gets_ascii() -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii")
    text.write_drift(Console(file=file, width=80), results.drift())
    file.flush()
    assert b"-7.9 pp" in raw.getvalue()


def test_findings_are_shown_with_their_limits_and_checks_that_passed_are_counted(
    written: Callable[..., str],
) -> None:
    shown = re.sub(r"\s+", " ", written(text.write_pairs, results.pairs()))
    assert "FAIL flipped-signals:" in shown
    assert "43% (36% … 51%) limit 25%" in shown
    assert "2 checks passed (--verbose lists them)" in shown
    assert "empty-sides" not in shown
    assert "empty-sides: 0 of 402" in written(text.write_pairs, results.pairs(), verbose=True)


def test_a_set_that_was_not_audited_says_nothing_of_an_audit(written: Callable[..., str]) -> None:
    assert "audit" not in written(text.write_pairs, results.pairs(findings=()))
