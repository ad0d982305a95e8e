"""The nightly watch on a terminal: pages, budget, days, and nothing hostile."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from loopllm_cli.model import (
    NightPage,
    NightSignal,
    NightsResult,
    SignalInfo,
    SignalKind,
    Status,
    Verdict,
    Worse,
)
from loopllm_cli.render.text_nights import write_nights

REFUSAL = SignalInfo("refusal", SignalKind.RATE, Worse.UP, 0.01, "r")
WORDS = SignalInfo("response_words", SignalKind.AMOUNT, Worse.EITHER, 0.1, "w")


def signal(info: SignalInfo = REFUSAL, **fields: object) -> NightSignal:
    """Return a signal after a night."""
    known: dict[str, object] = {
        "signal": info, "verdict": Verdict.UNCHANGED, "paged": False, "recovered": False,
        "since": None, "first_day": "2026-10-10", "n_nights": 9, "n_baseline": 20000,
        "n_window": 18000, "baseline": 0.021, "current": 0.022, "change": 0.001, "low": -0.003,
        "high": 0.005, "design_effect": 1.0, "weekly": False, "visible": (0.021, 0.016, 0.013),
    }  # fmt: skip
    return NightSignal(**{**known, **fields})  # type: ignore[arg-type]


WORSE = signal(
    verdict=Verdict.WORSE, paged=True, since="2026-10-18", n_nights=3, n_window=6000,
    current=0.052, change=0.031, low=0.021, high=0.042,
)  # fmt: skip


def result(*signals: NightSignal, **fields: object) -> NightsResult:
    """Return a watch after a night."""
    known: dict[str, object] = {
        "baseline_name": "v1", "baseline_hash": "abc", "scope": "", "status": Status.OK,
        "night": "2026-10-18", "n_nights": 41, "n_rows": 2012, "first_day": "2026-09-08",
        "budget": 1.0, "spent": 0.123, "family_size": 21, "signals": signals, "pages": (),
        "new_days": ("2026-10-18",), "missing_days": (), "late_days": (), "changed_days": (),
        "notes": (), "version": "0.1.0",
    }  # fmt: skip
    return NightsResult(**{**known, **fields})  # type: ignore[arg-type]


def written(found: NightsResult, width: int = 100, *, verbose: bool = False) -> str:
    """Write a result to a terminal of some width."""
    stream = io.StringIO()
    write_nights(Console(file=stream, width=width), found, verbose=verbose)
    return stream.getvalue()


def test_a_new_page_is_said_first() -> None:
    text = written(result(WORSE, signal(WORDS), status=Status.DEGRADED))
    assert "DEGRADED   new: refusal beyond tolerance" in text.splitlines()[1]


def test_a_signal_that_stays_worse_says_since_when() -> None:
    text = written(result(replace(WORSE, paged=False), status=Status.DEGRADED))
    assert "refusal still worse (since 2026-10-18)" in text


def test_a_recovery_is_said() -> None:
    assert "back within tolerance: refusal" in written(result(signal(recovered=True)))


def test_the_budget_is_printed_as_spent() -> None:
    text = written(result(signal()))
    assert "1 false page a year · spent 0.12 of it since 2026-09-08 over 41 nights" in text


def test_what_could_have_been_seen_stands_on_the_line() -> None:
    (line,) = [row for row in written(result(WORSE)).splitlines() if row.startswith("  refusal")]
    assert ["2.1", "pp", "1.6", "pp", "1.3", "pp", "worse"] == line.split()[-7:]


def test_pages_say_until_when() -> None:
    pages = (
        NightPage("refusal", "2026-09-20", "2026-09-25"),
        NightPage("refusal", "2026-10-18", None),
    )
    lines = written(result(WORSE, pages=pages)).splitlines()
    assert [
        "pages      2026-10-18 refusal · until now",
        "           2026-09-20 refusal · until 2026-09-25",
    ] == [line for line in lines if "until" in line]


def test_missing_late_and_changed_days_are_named() -> None:
    days = tuple(f"2026-10-0{k}" for k in range(1, 6))
    text = written(result(signal(), missing_days=days, late_days=days[:1], changed_days=days[1:2]))
    assert "without rows: 2026-10-03, 2026-10-04, 2026-10-05 and 2 before" in text
    assert "judged late: 2026-10-01" in text
    assert "measured again, as their rows changed: 2026-10-02" in text


@pytest.mark.parametrize("width", [60, 80, 100, 120])
@pytest.mark.parametrize("verbose", [False, True])
def test_lines_keep_the_width_and_the_verdict(width: int, verbose: bool) -> None:
    found = result(WORSE, signal(WORDS), signal(), status=Status.DEGRADED)
    lines = written(found, width, verbose=verbose).splitlines()
    assert max(cell_len(line) for line in lines) <= width
    assert (
        any(line.startswith("  refusal") and line.endswith("worse") for line in lines) or width < 80
    )


def test_unknown_numbers_are_dashes() -> None:
    nothing = signal(
        verdict=Verdict.INCONCLUSIVE, current=math.nan, change=math.nan, low=math.nan,
        high=math.nan, visible=(math.nan, math.nan, math.nan),
    )  # fmt: skip
    (line,) = [row for row in written(result(nothing)).splitlines() if row.startswith("  refusal")]
    assert ["refusal", "2.1%", "–", "–", "9", "–", "–", "–", "unclear"] == line.split()


def test_hostile_names_and_notes_stay_inert() -> None:
    hostile = "bad\x1b[31m\u202ename\nFORGED"
    info = replace(REFUSAL, name=hostile)
    text = written(
        result(
            signal(info, verdict=Verdict.WORSE, since="2026-10-18"), baseline_name=hostile,
            scope=hostile, notes=(hostile,), pages=(NightPage(hostile, "2026-10-18", None),),
        )
    )  # fmt: skip
    assert not any(bad in text for bad in ("\x1b", "\u202e", "\nFORGED"))
