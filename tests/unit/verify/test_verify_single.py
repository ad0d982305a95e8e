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


def test_segments_of_one_topic_show_together_what_none_of_them_shows() -> None:
    """Three segments of five prompts, each with two or three right: by itself that is no proof."""
    base = [(500, 1.0), (50, 1.0), (50, 1.0), (50, 1.0)]
    before = [(190, 0.0), (5, 0.0), (5, 0.0), (5, 0.0)]
    after = [(190, 1.0), (5, 0.4), (5, 0.4), (5, 0.6)]
    levels = windows(RIGHT_ANSWER, base, before, after)
    named = dict.fromkeys(range(4), (RIGHT_ANSWER.name,))
    labels = {k: f"topic {k}" for k in range(4)}
    alone, _ = judge_repairs(levels, named, labels, CONFIG)
    assert [ALL_DRIFTED] == [r.segment for r in alone]
    families = ((1, 2), (1, 2, 3))
    together, _ = judge_repairs(levels, named, labels, CONFIG, families)
    assert [ALL_DRIFTED, "1+2+3"] == [r.segment for r in together]
    assert ("topic 1 and 2 like it", 15, Gate.FAIL) == (
        together[1].label, together[1].n, together[1].gate,
    )  # fmt: skip


def test_what_shows_in_a_segment_is_not_said_again_of_its_topic() -> None:
    base = [(500, 1.0), (50, 1.0), (50, 1.0)]
    levels = windows(
        RIGHT_ANSWER, base, [(190, 0.0), (9, 0.0), (9, 0.0)], [(190, 1.0), (9, 0.0), (9, 1.0)]
    )
    named = dict.fromkeys(range(3), (RIGHT_ANSWER.name,))
    found, _ = judge_repairs(levels, named, {k: str(k) for k in range(3)}, CONFIG, ((1, 2),))
    assert [ALL_DRIFTED, "1"] == [r.segment for r in found]


def test_families_of_repaired_segments_are_rarely_called_broken() -> None:
    """At the least that is asked for, with a tree of families over the segments."""
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(1_000):
        sizes = rng.integers(1, 30, size=32)
        right = rng.binomial(sizes, 0.8)
        cells = []
        while len(sizes) > 1:
            cells += [single(int(n), float(k / n)) for n, k in zip(sizes, right, strict=True)]
            sizes, right = (x[::2] + x[1::2] for x in (sizes, right))
        refused += bool(find_unrepaired(cells, 0.05, 0.8))
    assert refused <= 65


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
