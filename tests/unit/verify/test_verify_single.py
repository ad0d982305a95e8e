"""Single drifted segments: one that stayed broken is named, however few its prompts are."""

from __future__ import annotations

import numpy as np
import pytest
from gate_windows import CONFIG, REFUSAL, RIGHT_ANSWER, WORDS, repairs_of, windows

from loopllm_cli.config import VerifyConfig
from loopllm_cli.model import Gate, Repair, SignalInfo
from loopllm_cli.verify.gate import ALL_DRIFTED, judge_repairs
from loopllm_cli.verify.single import check_singles, find_unrepaired
from loopllm_cli.verify.tarone import family_size


def single(n: int, after: float, info: SignalInfo = RIGHT_ANSWER, segment: str = "0") -> Repair:
    """Return one segment of n prompts that had fallen from all to none."""
    normal, before = (0.0, 1.0) if info is REFUSAL else (1.0, 0.0)
    return Repair(
        info, segment, segment, n, normal, before, after, 0.0, 1.0, Gate.INCONCLUSIVE, "unsure"
    )


def test_a_handful_of_prompts_shows_that_nothing_came_back() -> None:
    """Six of two hundred: nine tenths came back over all, and an interval of six tells nothing."""
    found = repairs_of(
        RIGHT_ANSWER,
        [(500, 1.0), (60, 1.0)],
        [(190, 0.0), (6, 0.0)],
        [(190, 1.0), (6, 0.0)],
    )
    assert [(ALL_DRIFTED, Gate.PASS), ("1", Gate.FAIL)] == [(r.segment, r.gate) for r in found]
    assert "only 0% of the loss is back, 80% is needed" == found[1].reason


@pytest.mark.parametrize("info", [REFUSAL, RIGHT_ANSWER])
def test_both_directions_are_tested(info: SignalInfo) -> None:
    bad, good = (1.0, 0.0) if info is REFUSAL else (0.0, 1.0)
    assert find_unrepaired([single(6, bad, info)], 0.05, 0.8)
    assert not find_unrepaired([single(6, good, info)], 0.05, 0.8)


def test_two_prompts_are_too_few_to_say_anything() -> None:
    assert not find_unrepaired([single(1, 0.0)], 0.05, 0.8)
    assert not find_unrepaired([single(2, 0.0, segment=str(k)) for k in range(20)], 0.05, 0.8)


def test_answers_to_one_prompt_count_as_one() -> None:
    """Eight samples of one prompt are no eight prompts."""
    assert find_unrepaired([single(8, 0.0)], 0.05, 0.8, samples=1)
    assert not find_unrepaired([single(8, 0.0)], 0.05, 0.8, samples=8)


def test_amounts_fail_where_even_their_bound_is_below_half() -> None:
    levels = [(500, 100.0)] * 2, [(200, 60.0)] * 2, [(200, 100.0), (200, 61.0)]
    found = repairs_of(WORDS, *levels)
    assert ["1"] == [r.segment for r in found if r.segment != ALL_DRIFTED]


def test_repaired_segments_are_rarely_called_broken() -> None:
    """At the least that is asked for, over forty segments, one run in twenty may be refused."""
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(1_000):
        sizes = rng.integers(1, 30, size=40)
        shares = rng.binomial(sizes, 0.8) / sizes
        cells = [single(int(n), float(s)) for n, s in zip(sizes, shares, strict=True)]
        refused += bool(find_unrepaired(cells, 0.05, 0.8))
    assert refused <= 65


def test_most_prompts_in_segments_too_small_to_tell_are_no_proof() -> None:
    small = [single(1, 1.0, segment=str(k)) for k in range(10)]
    check = check_singles(small, 0.05, 0.8)
    assert check is not None
    assert Gate.INCONCLUSIVE is check.gate
    both = check_singles([*small, single(40, 1.0, segment="large")], 0.05, 0.8)
    assert both is not None
    assert (Gate.PASS, 50) == (both.gate, both.n)
    assert "would show in 1 of 11, which hold 40 of 50 prompts" in both.text


def test_nothing_lost_that_can_be_counted_says_nothing() -> None:
    levels = windows(RIGHT_ANSWER, [(500, 0.9)], [(200, 0.9)], [(200, 0.9)])
    _, check = judge_repairs(levels, {0: ("thumbs_down",)}, {0: "refunds"}, CONFIG)
    assert check is None


def test_the_share_that_is_needed_is_the_configured_one() -> None:
    half = VerifyConfig(min_recovery=0.5)
    levels = [(500, 1.0)] * 2, [(300, 0.0), (100, 0.0)], [(300, 1.0), (100, 0.6)]
    assert 2 == len(repairs_of(RIGHT_ANSWER, *levels))
    assert 1 == len(repairs_of(RIGHT_ANSWER, *levels, half))


@pytest.mark.parametrize(
    ("least", "size"),
    [([], 1), ([0.5] * 9, 1), ([0.001] * 9, 9), ([0.03, 0.03, 0.9], 2), ([0.03] * 3, 2)],
)
def test_tests_that_can_show_nothing_do_not_count(least: list[float], size: int) -> None:
    assert size == family_size(least, 0.05)
