"""Where a change sits, and what a window could have shown."""

from __future__ import annotations

import numpy as np
import pytest

from loopllm_cli.drift.effects import estimate
from loopllm_cli.drift.intervals import to_changes
from loopllm_cli.drift.power import Goal, visible_change
from loopllm_cli.model import Verdict
from tests.unit.drift.drift_rows import BAD_RATE, NEUTRAL, compare, profile_of, rate


def visible(n_baseline: int, n_current: int, events: float, *, is_rate: bool = True) -> float:
    """Return the visible rise at 80% power of a signal with a tolerance of 0.01 (or 0.1)."""
    rng = np.random.default_rng(0)
    rows = [
        rate(n, round(n * events) + window) if is_rate else rng.gamma(2.0, size=n)
        for window, n in enumerate((n_baseline, n_current))
    ]
    effects = estimate(profile_of([rows[0]]), profile_of([rows[1]]))
    changes = to_changes(effects, np.array([is_rate]))
    goal = Goal(np.array([0.01 if is_rate else 0.1]), np.array([True]), 0.005, 0.8)
    return float(visible_change(effects, changes, goal)[0])


@pytest.mark.parametrize("is_rate", [True, False])
def test_fewer_rows_see_less(is_rate: bool) -> None:
    """The visible change grows when either window shrinks, and is never inside the tolerance."""
    sizes = [(5000, 5000), (5000, 500), (500, 500), (500, 100)]
    seen = [visible(*pair, 0.02, is_rate=is_rate) for pair in sizes]
    assert sorted(seen) == seen
    assert seen[0] > (0.01 if is_rate else 0.1)


def test_a_hopeless_window_sees_nothing() -> None:
    """Where not even the largest change would show, there is no figure."""
    assert np.isnan(visible(500, 2, 0.9))


def test_the_segment_that_got_worse_is_named() -> None:
    """One of three segments breaks: it alone is listed, and explains the whole change."""
    segments = np.repeat([0, 1, 2], 200)
    before = profile_of([np.concatenate([rate(200, 4)] * 3)], segments)
    broken = profile_of([np.concatenate([rate(200, 4), rate(200, 60), rate(200, 4)])], segments)
    found = compare(before, broken, BAD_RATE).segments
    assert ["segment 1"] == [s.label for s in found]
    assert pytest.approx(1.0) == found[0].share_of_change
    assert pytest.approx(1 / 3) == found[0].share_current
    assert (200, Verdict.WORSE) == (found[0].n_current, found[0].comparisons[0].verdict)


def test_segments_that_explain_more_come_first() -> None:
    """Ranked by their part of the behaviour change, not by their own size of change."""
    segments = np.array([0] * 100 + [1] * 900)
    before = profile_of([[*rate(100, 1), *rate(900, 9)]], segments)
    after = profile_of([[*rate(100, 60), *rate(900, 200)]], segments)
    found = compare(before, after, BAD_RATE).segments
    assert ["1", "0"] == [s.segment for s in found]
    assert pytest.approx(1.0) == sum(s.share_of_change for s in found)


def test_small_segments_and_neutral_signals_are_not_searched() -> None:
    """Fourteen rows tell nothing of a segment, and a signal without a bad side no worse one."""
    segments = np.array([0] * 500 + [1] * 14)
    after = profile_of([[*rate(500, 5), *rate(14, 14)]], segments)
    before = profile_of([[*rate(500, 5), *rate(14, 0)]], segments)
    assert () == compare(before, after, BAD_RATE).segments
    assert () == compare(before, after, NEUTRAL).segments
