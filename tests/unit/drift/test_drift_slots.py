"""Minutes are judged as nights are: breaks are raised at once, hours' own swings are not."""

from __future__ import annotations

import numpy as np
import pytest
from night_watch import INFOS, N_SEGMENTS, NAMES, draw, plan_of

from loopllm_cli.drift.night_plan import Plan
from loopllm_cli.drift.slots import (
    WINDOWS,
    SlotFindings,
    SlotState,
    by_hours,
    judge_slot,
    threshold,
)
from loopllm_cli.profiles.hours import build_hours

CALM = (0.02, 0.8, 1.0, 1.0)
BAD = (0.10, 0.8, 1.0, 1.0)
DAY = "2026-10-05"


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Return a plan over a calm baseline."""
    return plan_of()


class Stream:
    """Slots judged one after the other."""

    def __init__(self, plan: Plan, seed: int = 3) -> None:
        self.plan, self.limit = plan, threshold(plan, 2.0, 60.0)
        self.rng, self.state = np.random.default_rng(seed), SlotState.new(len(INFOS))
        self.slots: list[np.ndarray] = []
        self.found: list[SlotFindings] = []

    def judge(self, level: tuple[float, ...], n: int = 300) -> SlotFindings:
        """Judge one more slot of some rows."""
        day = draw(self.rng, n, DAY, level)
        self.slots.append(np.stack([day.n, day.total, day.total_sq, day.total_cu])[:, 0])
        windows = np.stack([np.sum(self.slots[-w:], axis=0) for w in WINDOWS], axis=1)
        newest = (len(self.slots) - 1, 0)
        found = judge_slot(self.plan, self.limit, newest, windows, self.state)
        self.state = found.state
        self.found.append(found)
        return found


def turned(found: SlotFindings) -> list[str]:
    """Name what turned worse."""
    return [NAMES[k] for k in np.flatnonzero(found.turned)]


def test_a_calm_day_raises_nothing(plan: Plan) -> None:
    stream = Stream(plan)
    assert [] == [name for _ in range(400) for name in turned(stream.judge(CALM))]


def test_a_break_is_raised_once_with_the_levels_it_rests_on(plan: Plan) -> None:
    stream = Stream(plan)
    for _ in range(10):
        stream.judge(CALM)
    raised = [k for k in range(5) if turned(stream.judge(BAD))]
    assert 1 == len(raised)
    found = stream.found[10 + raised[0]]
    assert ["refusal"] == turned(found)
    assert 0.02 == pytest.approx(found.before[0], abs=0.005)
    assert found.after[0] > 0.05
    assert found.n[0] == 300 * WINDOWS[found.window[0]]


def test_what_is_back_is_said_and_may_turn_again_but_not_by_what_lies_before(plan: Plan) -> None:
    stream = Stream(plan)
    for _ in range(30):
        stream.judge(CALM)
    for _ in range(5):
        stream.judge(BAD)
    back = [k for k in range(60) if stream.judge(CALM).recovered[0]]
    assert 1 == len(back)
    assert stream.state.since[0] < 0
    assert [] == [name for _ in range(60) for name in turned(stream.judge(CALM))]
    assert "refusal" in [name for _ in range(4) for name in turned(stream.judge(BAD))]


def test_a_change_within_the_tolerance_is_never_raised(plan: Plan) -> None:
    stream = Stream(plan)
    at_edge = (0.03, 0.77, 1.1, 3.0)
    assert [] == [name for _ in range(300) for name in turned(stream.judge(at_edge))]


def test_fewer_looks_or_a_larger_budget_lower_the_bar(plan: Plan) -> None:
    usual = threshold(plan, 2.0, 60.0)
    assert threshold(plan, 12.0, 60.0) < usual
    assert threshold(plan, 2.0, 600.0) < usual


def test_hours_that_swing_make_a_window_less_sure(plan: Plan) -> None:
    rng = np.random.default_rng(2)
    n_hours, per_hour = 14 * 24, 60
    shock = np.repeat(rng.normal(0.0, 0.05, n_hours), per_hour)
    right = rng.random(n_hours * per_hour) < 0.8 + shock
    values = np.stack([right * 0.0, right, right + 1.0, right + 1.0], axis=1).astype(float)
    minutes = np.repeat(np.arange(n_hours) * 60, per_hour)
    segments = rng.integers(0, N_SEGMENTS, len(minutes))
    swinging = by_hours(plan, build_hours(NAMES, values, segments, minutes, N_SEGMENTS).moments())
    rows = np.full(len(NAMES), 5000.0)
    calm, careful = plan.groups[0].kept(rows), swinging.groups[0].kept(rows)
    assert careful[1] < 0.5 * calm[1]
    assert careful[0] <= calm[0]
