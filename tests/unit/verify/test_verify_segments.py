"""Single segments: which break is seen, and how often a good adapter is accused."""

from __future__ import annotations

import numpy as np
import pytest

from loopllm_cli.model import Gate, SignalInfo, SignalKind, Worse
from loopllm_cli.verify.missing import Known, check_missing, find_missing
from loopllm_cli.verify.segments import (
    Cell,
    check_segments,
    count_cells,
    find_broken,
    rows_needed,
)

RIGHT = SignalInfo("right_answer", SignalKind.RATE, Worse.DOWN, 0.03, "")
REFUSAL = SignalInfo("refusal", SignalKind.RATE, Worse.UP, 0.01, "")
WORDS = SignalInfo("response_words", SignalKind.AMOUNT, Worse.EITHER, 0.1, "")
ALPHA = 0.05


def cells(sizes: list[int], worse: list[int], better: int = 0) -> tuple[Cell, ...]:
    """Return one cell per segment."""
    return tuple(
        Cell(k, RIGHT, n, bad, better, 0.03)
        for k, (n, bad) in enumerate(zip(sizes, worse, strict=True))
    )


def label(number: int) -> str:
    """Name a segment."""
    return f"segment {number}"


def test_worse_and_better_prompts_are_counted_by_the_bad_side_of_each_signal() -> None:
    before = np.array([[1.0, 0.0, 9.0], [1.0, 0.0, 9.0], [0.0, 1.0, 9.0], [1.0, np.nan, 9.0]])
    after = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 0.0, 1.0], [np.nan, 1.0, 1.0]])
    places = np.array([4, 4, 4, 7])
    found = count_cells((RIGHT, REFUSAL, WORDS), (before, after), places, [4, 7])
    assert {("right_answer", 4, 3, 1, 1), ("refusal", 4, 3, 1, 1)} == {
        (c.info.name, c.segment, c.n, c.worse, c.better) for c in found
    }


def test_a_neighbour_that_breaks_among_many_segments_is_found_and_named() -> None:
    """A fall from 100% to 72% of 25, as one intent of the sample world had."""
    check = check_segments(cells([25] * 35, [0] * 34 + [7]), label, ALPHA)
    assert Gate.FAIL is check.gate
    assert "worse: right answer in segment 34 (7 of 25 worse, 0 better)" == check.text


def test_as_many_gains_as_losses_break_nothing() -> None:
    assert () == find_broken(cells([50] * 10, [6] * 10, better=5), ALPHA)


def test_of_drawn_answers_only_losses_beyond_chance_count() -> None:
    """Eight against two of twenty is beyond the tolerance, and chance in one of twenty cases."""
    sure, drawn = (Cell(0, RIGHT, 20, 8, 2, 0.03, drawn=d) for d in (False, True))
    assert (sure,) == find_broken((sure,), ALPHA)
    assert () == find_broken((drawn,), ALPHA)


def test_what_gets_worse_everywhere_is_not_held_against_single_segments() -> None:
    """That is for the checks over all untouched traffic to say."""
    before = np.ones((1_000, 1))
    after = (np.arange(1_000) % 5 > 0)[:, None] * 1.0
    places, where = np.repeat(np.arange(20), 50), list(range(20))
    found = count_cells((RIGHT,), (before, after), places, where)
    assert {0.2} == {round(c.usual, 9) for c in found}
    assert () == find_broken(found, ALPHA)


def test_three_known_answers_show_a_segment_that_is_wholly_lost() -> None:
    found = find_broken(cells([3] * 35, [0] * 34 + [3]), ALPHA)
    assert [34] == [c.segment for c in found]


def test_a_loss_within_the_tolerance_of_a_large_segment_breaks_nothing() -> None:
    """Forty answers of two thousand are beyond chance and within three in a hundred."""
    (cell,) = cells([2_000], [50])
    assert () == find_broken((cell,), ALPHA)
    assert cells([2_000], [90]) == find_broken(cells([2_000], [90]), ALPHA)


@pytest.mark.parametrize(("sizes", "gate"), [([25] * 4, Gate.PASS), ([1] * 30, Gate.INCONCLUSIVE)])
def test_segments_too_small_to_show_a_break_are_no_proof(sizes: list[int], gate: Gate) -> None:
    check = check_segments(cells(sizes, [0] * len(sizes)), label, ALPHA)
    assert (gate, sum(sizes)) == (check.gate, check.n)
    assert "lost wholly would show in" in check.text


def test_no_untouched_prompt_is_no_proof_of_single_segments() -> None:
    assert Gate.INCONCLUSIVE is check_segments((), label, ALPHA).gate


@pytest.mark.parametrize("n_segments", [1, 10, 40])
def test_the_rows_that_are_said_to_be_needed_show_half_a_break(n_segments: int) -> None:
    rng = np.random.default_rng(3)
    n = rows_needed(ALPHA / n_segments, 0.03, 0.5)
    sizes = [n] * n_segments
    found = [
        bool(find_broken(cells(sizes, [int(rng.binomial(n, 0.5)), *[0] * (n_segments - 1)]), ALPHA))
        for _ in range(200)
    ]
    assert np.mean(found) >= 0.75


def test_an_adapter_that_only_flips_by_chance_is_rarely_accused() -> None:
    """Every prompt flips either way with the same chance: 35 segments, two signals."""
    rng = np.random.default_rng(5)
    accused = 0
    for _ in range(300):
        drawn = rng.multinomial(25, [0.04, 0.04, 0.92], size=70)
        found = tuple(
            Cell(k // 2, RIGHT, 25, int(b), int(g), 0.04) for k, (b, g, _) in enumerate(drawn)
        )
        accused += bool(find_broken(found, ALPHA))
    assert accused / 300 <= 0.05


def known(*after: tuple[int, int], baseline: tuple[int, int] = (30, 30)) -> list[Known]:
    """Return segments by their right answers with the adapter."""
    return [Known(k, baseline, counts, counts) for k, counts in enumerate(after)]


def test_right_answers_that_stay_missing_where_no_drift_was_named_are_said() -> None:
    check = check_missing(known((24, 25), (3, 25)), label, (0.03, ALPHA))
    assert check is not None
    assert (Gate.INCONCLUSIVE, 50) == (check.gate, check.n)
    said = "right answers are missing in segment 1 (12% of 25, as served now 12%, the"
    assert check.text.startswith(f"{said} baseline had 100%): ")


def test_where_nothing_is_missing_that_is_said_too() -> None:
    check = check_missing(known((25, 25), (24, 25)), label, (0.03, ALPHA))
    assert check is not None
    assert (Gate.PASS, "no right answer is missing in 2 segments") == (check.gate, check.text)


def test_without_known_right_answers_nothing_is_said() -> None:
    assert check_missing(known((0, 0)), label, (0.03, ALPHA)) is None
    assert check_missing(known((3, 9), baseline=(0, 0)), label, (0.03, ALPHA)) is None


def test_what_the_adapter_itself_lost_is_for_other_checks_to_say() -> None:
    lost = [Known(0, (30, 30), (25, 25), (3, 25))]
    assert () == find_missing(lost, 0.03, ALPHA)


def test_what_the_adapter_brought_back_is_not_missing() -> None:
    assert () == find_missing([Known(0, (30, 30), (3, 25), (25, 25))], 0.03, ALPHA)


def test_what_the_baseline_did_not_know_either_is_not_missing() -> None:
    assert () == find_missing(known((2, 25), baseline=(3, 30)), 0.03, ALPHA)


def test_a_handful_of_wrong_answers_in_one_of_many_segments_is_not_enough() -> None:
    assert () == find_missing(known((1, 2), *[(5, 5)] * 30), 0.03, ALPHA)


def same(number: int, rng: np.random.Generator) -> Known:
    """Draw a segment that is right in nine of ten answers throughout."""
    counts = ((int(rng.binomial(n, 0.9)), n) for n in (30, 15, 15))
    return Known(number, *counts)


def test_right_answers_as_in_the_baseline_are_rarely_called_missing() -> None:
    rng = np.random.default_rng(11)
    called = 0
    for _ in range(300):
        now = [same(k, rng) for k in range(30)]
        called += bool(find_missing(now, 0.03, ALPHA))
    assert called / 300 <= 0.05
