"""Verdicts, status, families, and windows that cannot be judged."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from loopllm_cli.drift.verdict import JudgeSettings, family_size
from loopllm_cli.model import Status, Verdict
from tests.unit.drift.drift_rows import (
    AMOUNT,
    BAD_RATE,
    GOOD_RATE,
    NEUTRAL,
    Numbers,
    compare,
    profile_of,
    rate,
)

RNG = np.random.default_rng(0)
LENGTHS = RNG.gamma(4.0, 25.0, size=400)


def test_a_rise_beyond_the_tolerance_is_worse_and_degrades() -> None:
    """Refusals from 2% to 20% end the comparison as degraded."""
    found = compare(profile_of([rate(500, 10)]), profile_of([rate(200, 40)]), BAD_RATE)
    assert (Status.DEGRADED, Verdict.WORSE) == (found.status, found.comparisons[0].verdict)
    assert found.comparisons[0].p_adjusted < 0.05


def test_a_rise_on_the_good_side_is_better_and_does_not_degrade() -> None:
    """An improvement is never a finding against the model."""
    found = compare(profile_of([rate(500, 300)]), profile_of([rate(200, 180)]), GOOD_RATE)
    assert (Status.OK, Verdict.BETTER) == (found.status, found.comparisons[0].verdict)


def test_a_certain_change_inside_the_tolerance_is_not_worse() -> None:
    """A change too small to matter stays quiet however sure it is."""
    rng = np.random.default_rng(1)
    before, after = rng.normal(100, 1, size=(2, 5000))
    found = compare(profile_of([before]), profile_of([after * 1.02]), AMOUNT)
    one = found.comparisons[0]
    assert one.low > 0
    assert (Status.OK, Verdict.UNCHANGED) == (found.status, one.verdict)


def test_a_signal_without_a_bad_side_changes_but_never_degrades() -> None:
    """Length may double: that informs, and does not page."""
    found = compare(profile_of([LENGTHS]), profile_of([2 * LENGTHS]), NEUTRAL)
    assert (Status.OK, Verdict.CHANGED) == (found.status, found.comparisons[0].verdict)


def test_too_few_rows_are_unclear() -> None:
    """Twenty rows with one bad answer tell nothing about one percentage point."""
    found = compare(profile_of([rate(500, 5)]), profile_of([rate(20, 1)]), BAD_RATE)
    assert (Status.INCONCLUSIVE, Verdict.INCONCLUSIVE) == (
        found.status,
        found.comparisons[0].verdict,
    )


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("most", Status.OK), ("any", Status.INCONCLUSIVE), ("never", Status.OK)],
)
def test_how_many_unclear_signals_are_too_many(rule: str, expected: Status) -> None:
    """One unclear signal of two is not most of them, but it is any."""
    before, after = [rate(4000, 20), LENGTHS.repeat(10)], [rate(300, 3), LENGTHS.repeat(10)[:300]]
    found = compare(
        profile_of(before), profile_of(after), BAD_RATE, AMOUNT,
        settings=JudgeSettings(inconclusive=rule),
    )  # fmt: skip
    verdicts = [c.verdict for c in found.comparisons]
    assert [Verdict.INCONCLUSIVE, Verdict.UNCHANGED] == verdicts
    assert expected is found.status


def test_constant_signals_leave_the_family() -> None:
    """A signal that is the same in every row costs the others no correction."""
    moving_b, moving_c = rate(500, 10), rate(200, 12)
    alone = compare(profile_of([moving_b]), profile_of([moving_c]), BAD_RATE).comparisons[0]
    still = [np.zeros(500), np.full(500, 0.1)], [np.zeros(200), np.full(200, 0.1)]
    found = compare(
        profile_of([moving_b, *still[0]]),
        profile_of([moving_c, *still[1]]),
        BAD_RATE, BAD_RATE, AMOUNT,
    )  # fmt: skip
    assert alone.p_adjusted == found.comparisons[0].p_adjusted
    assert [Verdict.UNCHANGED] * 2 == [c.verdict for c in found.comparisons[1:]]
    other = compare(
        profile_of([moving_b, moving_b]), profile_of([moving_c, moving_c]), BAD_RATE, BAD_RATE
    )
    assert pytest.approx(2 * alone.p_value) == other.comparisons[0].p_adjusted


def test_the_verdict_is_worse_exactly_when_the_adjusted_bound_lies_beyond_the_tolerance() -> None:
    """In a family of one: worse means that the one-sided 95% bound is above the tolerance."""
    for events in range(8, 60, 2):
        found = compare(profile_of([rate(500, 10)]), profile_of([rate(200, events)]), BAD_RATE)
        one = found.comparisons[0]
        assert (one.verdict is Verdict.WORSE) == (one.p_adjusted < 0.05)
        # The printed interval is two-sided: its lower end leaves 2.5%.
        assert (one.low > BAD_RATE.tolerance) == (one.p_value < 0.025)


NOTHING: list[float] = []
NAN = float("nan")
BROKEN: dict[str, tuple[Numbers, Numbers, list[int] | None]] = {
    "no row at all": (LENGTHS, NOTHING, None),
    "all missing": (LENGTHS, [NAN] * 50, None),
    "all infinite": (LENGTHS, [float("inf")] * 50, None),
    "one row": (LENGTHS, [1e6], None),
    "one user": (LENGTHS, LENGTHS[:50] * 9, [7] * 50),
    "baseline missing": ([NAN] * 50, LENGTHS, None),
    "zero now": (LENGTHS, [0.0] * 50, None),
    "zero before": ([0.0] * 50, LENGTHS, None),
}


@pytest.mark.parametrize("case", BROKEN)
def test_windows_that_cannot_be_judged_say_why_and_never_alarm(case: str) -> None:
    """Nothing crashes, nothing is called worse, and the comparison carries a note."""
    before, after, clusters = BROKEN[case]
    base, cur = profile_of([before, before]), profile_of([after, after], clusters=clusters)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compare(base, cur, AMOUNT, NEUTRAL)
    assert Status.INCONCLUSIVE is found.status
    assert [Verdict.INCONCLUSIVE] * 2 == [c.verdict for c in found.comparisons]
    assert all(c.note for c in found.comparisons)
    assert 0 == family_size(found.comparisons)


@pytest.mark.parametrize("after", [[1.0], [1.0, 1.0], [1.0] * 3])
def test_a_few_rows_that_happen_to_agree_never_alarm(after: list[float]) -> None:
    """Two or three equal answers are not certain to be all alike."""
    found = compare(profile_of([LENGTHS]), profile_of([[150.0 * x for x in after]]), AMOUNT)
    assert Status.DEGRADED is not found.status


def test_a_small_window_that_missed_the_tail_is_not_certain() -> None:
    """Twenty rows without any of the rare large values do not prove a fall.

    One in ten rows is 11, the others 1. A window of twenty without an 11 (one in eight of them)
    has no spread of its own, and borrows the baseline's.
    """
    before = np.where(np.arange(1000) % 10 == 0, 11.0, 1.0)
    found = compare(profile_of([before]), profile_of([[1.0] * 20]), FALLING)
    assert found.comparisons[0].p_value > 0.01
    assert found.comparisons[0].high > -0.1


FALLING = type(AMOUNT)(
    "falling", AMOUNT.kind, GOOD_RATE.worse, 0.1, "An amount that should not fall."
)


def test_one_users_run_of_bad_answers_is_not_a_drift() -> None:
    """Ten bad answers of one user are one event, of ten users a drift."""
    users = np.repeat(np.arange(20), 10)
    one_user = (users == 3).astype(float)
    before = profile_of([rate(2000, 20)])
    clustered = compare(before, profile_of([one_user], clusters=users + 100), BAD_RATE)
    spread = compare(before, profile_of([rate(200, 10)]), BAD_RATE)
    assert Status.DEGRADED is not clustered.status
    assert Status.DEGRADED is spread.status


def test_traffic_alone_is_not_behaviour() -> None:
    """Segments with 2% and 40% bad answers; the second one's traffic grows tenfold."""
    before = profile_of([[*rate(900, 18), *rate(100, 40)]], [0] * 900 + [1] * 100)
    after = profile_of([[*rate(100, 2), *rate(400, 160)]], [0] * 100 + [1] * 400)
    found = compare(before, after, BAD_RATE)
    one = found.comparisons[0]
    assert one.total > 0.2
    assert pytest.approx(0.0, abs=1e-12) == one.behaviour
    assert Status.DEGRADED is not found.status
    assert pytest.approx(0.7) == found.mix_moved


def test_no_common_segment_means_no_verdict() -> None:
    """Where all traffic is new there is nothing to compare behaviour with."""
    before, after = profile_of([LENGTHS], [0] * 400, None, 2), profile_of([LENGTHS], [1] * 400)
    found = compare(before, after, AMOUNT)
    assert "no segment occurs in both windows" == found.comparisons[0].note
    assert 1.0 == found.mix_moved
