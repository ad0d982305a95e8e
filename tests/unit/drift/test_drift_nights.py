"""Nights are judged one after another: pages, recoveries, and nothing that later nights change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from night_watch import INFOS, NAMES, Watch, day, draw, plan_of

from loopllm_cli.drift.night_plan import Plan, make_plan
from loopllm_cli.drift.night_report import describe_night
from loopllm_cli.drift.nights import NightFindings
from loopllm_cli.model import SignalKind, Verdict
from loopllm_cli.profiles.days import build_days
from loopllm_cli.profiles.profile import build_profile

CALM = (0.02, 0.8, 1.0, 1.0)
BAD = (0.08, 0.8, 1.0, 1.0)


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Return a plan over a calm baseline."""
    return plan_of()


def watch_levels(plan: Plan, levels: list[tuple[float, ...]], n: int = 500) -> Watch:
    """Judge one night per level."""
    rng = np.random.default_rng(5)
    watch = Watch(plan)
    for k, level in enumerate(levels):
        watch.judge(draw(rng, n, day(k), level))
    return watch


def names(marks: np.ndarray) -> list[str]:
    """Name the marked signals."""
    return [NAMES[k] for k in np.flatnonzero(marks)]


def same(first: NightFindings, second: NightFindings) -> bool:
    """Compare two nights' findings."""
    return all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ("paged", "recovered", "better", "moved", "start", "margin")
    )


def test_calm_nights_never_page(plan: Plan) -> None:
    watch = watch_levels(plan, [CALM] * 40)
    assert [] == [name for found in watch.found for name in names(found.paged)]


def test_a_clear_change_pages_once_and_stays_worse(plan: Plan) -> None:
    watch = watch_levels(plan, [CALM] * 5 + [BAD] * 6)
    pages = [(k, name) for k, found in enumerate(watch.found) for name in names(found.paged)]
    assert [(5, "refusal")] == pages
    assert 5 == watch.state.since[0]


def test_a_signal_recovers_and_may_page_again(plan: Plan) -> None:
    watch = watch_levels(plan, [CALM] * 5 + [BAD] * 6 + [CALM] * 8 + [BAD] * 3)
    pages = [k for k, found in enumerate(watch.found) if found.paged[0]]
    back = [k for k, found in enumerate(watch.found) if found.recovered[0]]
    assert ([5, 19], True) == (pages, 11 <= back[0] <= 15)


def test_windows_do_not_reach_back_before_a_recovery(plan: Plan) -> None:
    watch = watch_levels(plan, [BAD] * 20 + [CALM] * 30)
    after = [k for k, found in enumerate(watch.found) if found.paged[0] and k > 0]
    assert ([], -1) == (after, watch.state.since[0])


def test_verdicts_do_not_depend_on_later_nights(plan: Plan) -> None:
    rng = np.random.default_rng(2)
    nights = [draw(rng, 300, day(k), BAD if k > 20 else CALM) for k in range(30)]
    whole, part = Watch(plan), Watch(plan)
    for night in nights:
        whole.judge(night)
    for night in nights[:24]:
        part.judge(night)
    assert all(same(a, b) for a, b in zip(whole.found, part.found, strict=False))


def test_more_events_are_never_less_evidence(plan: Plan) -> None:
    margins = []
    for events in range(5, 60, 5):
        night = draw(np.random.default_rng(3), 500, day(0))
        share = night.n[..., 0] / night.n[..., 0].sum()
        total = night.total.copy()
        total[..., 0] = events * share
        margins.append(Watch(plan).judge(replace(night, total=total)).margin[0])
    assert sorted(margins) == margins


def test_better_and_changed_inform_and_do_not_page(plan: Plan) -> None:
    watch = watch_levels(plan, [(0.02, 0.95, 1.0, 2.0)] * 3, n=2000)
    last = watch.found[-1]
    assert ([], ["right"], ["words"]) == (names(last.paged), names(last.better), names(last.moved))


@pytest.mark.parametrize("n", [1, 2, 4])
def test_tiny_nights_neither_crash_nor_page(plan: Plan, n: int) -> None:
    watch = watch_levels(plan, [(0.9, 0.1, 9.0, 9.0)], n=n)
    assert [] == names(watch.found[-1].paged)


def test_nights_of_a_few_rows_page_together(plan: Plan) -> None:
    watch = watch_levels(plan, [(0.5, 0.1, 3.0, 1.0)] * 21, n=5)
    assert {"refusal", "right"} <= set(names(watch.state.since >= 0))


def test_a_signal_that_is_missing_every_night_is_unclear(plan: Plan) -> None:
    rng, watch = np.random.default_rng(1), Watch(plan)
    for k in range(4):
        night = draw(rng, 200, day(k))
        gone = np.array([0.0, 1.0, 1.0, 1.0])
        watch.judge(replace(night, n=night.n * gone, total=night.total * gone))
    report = describe_night(plan, watch.history, watch.found[-1])
    assert (Verdict.INCONCLUSIVE, True) == (report.verdicts[0], bool(np.isnan(report.low[0])))


def test_a_missing_signal_that_was_worse_has_not_recovered(plan: Plan) -> None:
    watch = watch_levels(plan, [BAD] * 4)
    night = draw(np.random.default_rng(1), 200, day(4))
    gone = np.array([0.0, 1.0, 1.0, 1.0])
    for _ in range(4):
        watch.judge(replace(night, n=night.n * gone, total=night.total * gone))
    assert 0 == watch.state.since[0]


def test_infinite_and_absurd_values_do_not_page(plan: Plan) -> None:
    values = np.full((40, 4), np.nan)
    values[:, 2] = np.where(np.arange(40) % 2, np.inf, 1e49)
    dates = np.full(40, np.datetime64("2026-10-01"))
    night = build_days(NAMES, values, np.zeros(40, dtype=np.int64), dates, 3)
    watch = Watch(plan)
    watch.judge(night)
    report = describe_night(plan, watch.history, watch.found[-1])
    assert ([], Verdict.INCONCLUSIVE) == (names(watch.found[-1].paged), report.verdicts[2])


def test_a_constant_signal_stays_within_its_tolerance() -> None:
    watch = Watch(plan_of())
    for k in range(7):
        watch.judge(draw(np.random.default_rng(k), 400, day(k), (0.0, 1.0, 1.0, 1.0)))
    assert [] == names(watch.found[-1].paged)


def test_traffic_that_moves_between_segments_is_no_change() -> None:
    rng = np.random.default_rng(4)
    rates, n = np.array([0.01, 0.1, 0.4]), 6000
    shares = ((0.6, 0.3, 0.1), (0.1, 0.3, 0.6))

    def rows(mix: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
        segments = rng.choice(3, n, p=mix)
        values = np.full((n, 4), np.nan)
        values[:, 0] = rng.random(n) < rates[segments]
        return values, segments

    values, segments = rows(shares[0])
    dates = np.repeat(np.datetime64("2026-09-01") + np.arange(10), n // 10)
    buckets = rng.integers(0, 256, n)
    days = build_days(NAMES, values, segments, dates, 3, buckets=buckets)
    plan = make_plan(days, build_profile(NAMES, values, segments, buckets, 3), INFOS)
    watch = Watch(plan)
    for k in range(3):
        values, segments = rows(shares[1])
        night = np.full(n, np.datetime64(day(k)))
        watch.judge(build_days(NAMES, values, segments, night, 3))
    assert [] == names(watch.found[-1].paged)


def test_the_interval_holds_the_true_change_most_of_the_time() -> None:
    held, runs = np.zeros(4), 40
    truth = np.array([0.03, -0.05, 0.2, 0.0])
    for run in range(runs):
        watch = Watch(plan_of(run, n_days=10, per_day=400))
        rng = np.random.default_rng((9, run))
        for k in range(3):
            watch.judge(draw(rng, 400, day(k), (0.05, 0.75, 1.2, 1.0)))
        report = describe_night(watch.plan, watch.history, watch.found[-1])
        held += (report.low <= truth) & (truth <= report.high)
    # A time-uniform interval holds more often than 95% at any one night.
    assert (held / runs >= 0.93).all(), held / runs


def test_visible_changes_shrink_with_the_horizon(plan: Plan) -> None:
    watch = watch_levels(plan, [CALM] * 3)
    visible = describe_night(plan, watch.history, watch.found[-1]).visible
    tolerances = np.array([info.tolerance for info in INFOS])
    assert (visible[0] > visible[1]).all()
    assert (visible[1] > visible[2]).all()
    assert (visible[2] > tolerances).all()


def test_a_rate_of_zero_has_an_interval_with_width(plan: Plan) -> None:
    watch = watch_levels(plan, [(0.0, 0.8, 1.0, 1.0)] * 7)
    report = describe_night(plan, watch.history, watch.found[-1])
    assert report.high[0] > report.change[0] > report.low[0]


def test_few_baseline_nights_leave_the_variance_between_nights_unknown() -> None:
    assert (False, True) == (plan_of(n_days=4).nights_known, plan_of(n_days=5).nights_known)


def test_the_family_is_the_one_sided_signals_that_the_baseline_has(plan: Plan) -> None:
    assert 3 == plan.family
    assert {SignalKind.RATE, SignalKind.AMOUNT} == {info.kind for info in plan.infos}
