"""The gate: what counts as repaired, what as broken, and what as too little to say."""

from __future__ import annotations

import numpy as np
import pytest
from gate_windows import CONFIG, REFUSAL, RIGHT_ANSWER, WORDS, profile, repairs_of, windows

from loopllm_cli.config import VerifyConfig
from loopllm_cli.model import Check, Gate, SignalInfo, Verdict
from loopllm_cli.verify.checks import (
    check_distance,
    check_effect,
    check_kept,
    check_preference,
    check_training,
    check_untouched,
)
from loopllm_cli.verify.gate import (
    ALL_DRIFTED,
    Windows,
    decide,
    judge_repairs,
    judge_untouched,
)

FINE = Check("effect", Gate.PASS, "fine")
NOT_SHOWN = "the drift does not show when the model answers anew"


@pytest.mark.parametrize(
    ("info", "normal", "drifted", "repaired"),
    [
        (REFUSAL, 0.05, 0.50, 0.05),
        (REFUSAL, 0.05, 0.50, 0.10),
        (RIGHT_ANSWER, 0.95, 0.40, 0.92),
        (WORDS, 100.0, 60.0, 98.0),
    ],
)
def test_a_signal_that_is_back_passes(
    info: SignalInfo, normal: float, drifted: float, repaired: float
) -> None:
    (repair,) = repairs_of(info, [(500, normal)], [(200, drifted)], [(200, repaired)])
    assert (Gate.PASS, ALL_DRIFTED, 200) == (repair.gate, repair.segment, repair.n)
    assert (normal, drifted, repaired) == pytest.approx(
        (repair.baseline, repair.before, repair.after)
    )
    assert repair.low <= repaired <= repair.high
    assert repair.reason.endswith("of the loss is back")
    gate, reasons = decide((FINE,), (repair,))
    assert (Gate.PASS, (f"{info.name.replace('_', ' ')}: {repair.reason}",)) == (gate, reasons)


@pytest.mark.parametrize(
    ("info", "normal", "drifted", "halfway"),
    [(REFUSAL, 0.0, 0.5, 0.25), (RIGHT_ANSWER, 0.9, 0.3, 0.6), (WORDS, 100.0, 60.0, 80.0)],
)
def test_half_a_repair_fails_and_says_how_much_is_back(
    info: SignalInfo, normal: float, drifted: float, halfway: float
) -> None:
    repair = repairs_of(info, [(500, normal)], [(200, drifted)], [(200, halfway)])[0]
    assert (Gate.FAIL, "only 50% of the loss is back, 80% is needed") == (
        repair.gate,
        repair.reason,
    )
    gate, reasons = decide((FINE,), (repair,))
    name = info.name.replace("_", " ")
    assert (Gate.FAIL, (f"{name}, {ALL_DRIFTED}: {repair.reason}",)) == (gate, reasons)


def test_half_a_repair_is_enough_where_the_configuration_says_so() -> None:
    half = VerifyConfig(min_recovery=0.5)
    (repair,) = repairs_of(REFUSAL, [(500, 0.0)], [(200, 0.5)], [(200, 0.24)], half)
    assert Gate.PASS is repair.gate


def test_half_a_repair_on_few_prompts_is_inconclusive() -> None:
    (repair,) = repairs_of(REFUSAL, [(500, 0.0)], [(12, 0.5)], [(12, 0.25)])
    said = "50% of the loss is back, but 12 prompts are too few to be sure"
    assert (Gate.INCONCLUSIVE, said) == (repair.gate, repair.reason)


def test_a_full_repair_on_too_few_prompts_is_inconclusive() -> None:
    (repair,) = repairs_of(REFUSAL, [(500, 0.0)], [(4, 0.5)], [(4, 0.0)])
    assert Gate.INCONCLUSIVE is repair.gate
    assert "4 prompts are too few" in repair.reason


@pytest.mark.parametrize("after", [0.5, 0.7])
def test_an_adapter_that_changes_nothing_or_harms_fails(after: float) -> None:
    found = repairs_of(REFUSAL, [(500, 0.05)], [(200, 0.5)], [(200, after)])
    assert {Gate.FAIL} == {repair.gate for repair in found}
    assert "only 0% of the loss is back, 80% is needed" == found[0].reason


def test_three_of_four_segments_repaired_is_no_pass_and_the_fourth_is_named() -> None:
    found = repairs_of(REFUSAL, [(500, 0.0)] * 4, [(200, 0.5)] * 4, [*[(200, 0.0)] * 3, (200, 0.5)])
    assert [(ALL_DRIFTED, ALL_DRIFTED), ("3", "segment 3")] == [(r.segment, r.label) for r in found]
    gate, reasons = decide((FINE,), found)
    assert Gate.FAIL is gate
    assert reasons[-1].startswith("refusal, segment 3: only 0% of the loss is back")


def test_a_small_segment_that_stayed_broken_is_not_hidden_by_the_average() -> None:
    """Nine tenths of the loss are back over all, and one segment is as bad as before."""
    found = repairs_of(
        REFUSAL, [(500, 0.0), (500, 0.0)], [(450, 0.5), (50, 0.5)], [(450, 0.0), (50, 0.5)]
    )
    assert [Gate.PASS, Gate.FAIL] == [r.gate for r in found]
    assert Gate.FAIL is decide((FINE,), found)[0]


def test_one_of_four_segments_repaired_fails_and_names_the_three() -> None:
    found = repairs_of(REFUSAL, [(500, 0.0)] * 4, [(200, 0.5)] * 4, [(200, 0.0), *[(200, 0.5)] * 3])
    assert [ALL_DRIFTED, "1", "2", "3"] == [r.segment for r in found]
    assert {Gate.FAIL} == {r.gate for r in found}


def test_a_drift_that_new_answers_do_not_show_is_inconclusive() -> None:
    """What went wrong in production may not have been the model."""
    found = repairs_of(REFUSAL, [(500, 0.05)], [(200, 0.06)], [(200, 0.05)])
    assert [(Gate.INCONCLUSIVE, NOT_SHOWN)] == [(r.gate, r.reason) for r in found]
    assert Gate.INCONCLUSIVE is decide((FINE,), found)[0]


def test_an_adapter_that_breaks_what_is_repaired_already_fails() -> None:
    """What is served now gives right answers again; the next adapter must not forget how."""
    found = repairs_of(RIGHT_ANSWER, [(500, 0.95)], [(200, 0.95)], [(200, 0.60)])
    said = "as it should be now, and worse with the adapter"
    assert [(Gate.FAIL, said)] == [(r.gate, r.reason) for r in found]
    assert Gate.FAIL is decide((FINE,), found)[0]


def test_a_signal_without_values_on_new_answers_is_no_proof() -> None:
    """Nobody rates regenerated answers: without another drifted signal there is nothing to see."""
    found = repairs_of(REFUSAL, [(500, 0.05)], [(0, 0.0)], [(0, 0.0)])
    assert () == found
    said = "no drifted signal could be measured on regenerated answers"
    assert (Gate.INCONCLUSIVE, (said,)) == decide((FINE,), found)


def test_only_segments_where_a_signal_drifted_count_for_it() -> None:
    found, _ = judge_repairs(
        windows(REFUSAL, [(500, 0.0)] * 2, [(200, 0.5), (200, 0.0)], [(200, 0.0), (200, 0.5)]),
        {0: ("refusal",)},
        {0: "refunds"},
        CONFIG,
    )
    assert [(Gate.PASS, 200)] == [(r.gate, r.n) for r in found]


def test_right_answers_are_judged_where_only_users_complained() -> None:
    """The thumbs of the drift cannot be asked again, the right answers can."""
    lost = windows(RIGHT_ANSWER, [(500, 0.9)], [(200, 0.4)], [(200, 0.4)])
    found, _ = judge_repairs(lost, {0: ("thumbs_down",)}, {0: "refunds"}, CONFIG)
    assert [Gate.FAIL, Gate.FAIL] == [r.gate for r in found]
    assert ["right_answer"] * 2 == [r.signal.name for r in found]


def test_segments_with_normals_of_their_own_are_compared_each_with_its_own() -> None:
    found = repairs_of(
        RIGHT_ANSWER, [(800, 0.9), (400, 0.5)], [(100, 0.2)] * 2, [(100, 0.9), (100, 0.5)]
    )
    assert [Gate.PASS] == [r.gate for r in found]


def test_untouched_traffic_that_got_worse_fails_and_names_the_signal() -> None:
    infos = (REFUSAL, WORDS)
    before = profile(infos, [[(300, 0.0)], [(300, 100.0)]])
    after = profile(infos, [[(300, 0.2)], [(300, 100.0)]])
    found = judge_untouched(Windows(infos, before, before, after), [0], CONFIG)
    assert [Verdict.WORSE, Verdict.UNCHANGED] == [c.verdict for c in found]
    check = check_untouched(found)
    assert (Gate.FAIL, 300) == (check.gate, check.n)
    assert check.text.startswith("worse than what is served: refusal +20.0 pp (")
    assert "words" not in check.text


def test_untouched_amounts_are_named_as_relative_changes() -> None:
    same, less = ([(300, 100.0)], [(300, 50.0)])
    check = check_untouched(judge_untouched(windows(WORDS, same, same, less), [0], CONFIG))
    assert check.text.startswith("worse than what is served: answer words -50% (")


def test_only_untouched_segments_are_compared() -> None:
    worse = windows(REFUSAL, [(300, 0.0)] * 2, [(300, 0.0)] * 2, [(300, 0.0), (300, 0.5)])
    assert Gate.PASS is check_untouched(judge_untouched(worse, [0], CONFIG)).gate
    assert Gate.FAIL is check_untouched(judge_untouched(worse, [1], CONFIG)).gate


def test_untouched_traffic_as_it_was_passes() -> None:
    same = [(300, 0.1)]
    check = check_untouched(judge_untouched(windows(REFUSAL, same, same, same), [0], CONFIG))
    assert Check("untouched segments", Gate.PASS, "no signal worse on 300 prompts", 300) == check


def test_no_untouched_prompt_is_no_proof() -> None:
    none = [(0, 0.0)]
    check = check_untouched(judge_untouched(windows(REFUSAL, none, none, none), [0], CONFIG))
    assert Gate.INCONCLUSIVE is check.gate


@pytest.mark.parametrize(
    ("n", "lost", "gate"),
    [
        (0, 0, Gate.INCONCLUSIVE),
        (20, 0, Gate.INCONCLUSIVE),
        (100, 0, Gate.PASS),
        (100, 4, Gate.INCONCLUSIVE),
        (100, 30, Gate.FAIL),
    ],
)
def test_right_answers_are_kept_but_for_a_share(n: int, lost: int, gate: Gate) -> None:
    was = np.ones(n, dtype=bool)
    check = check_kept(was, np.arange(n) >= lost, CONFIG)
    assert (gate, n) == (check.gate, check.n)


def test_gained_right_answers_do_not_make_up_for_lost_ones() -> None:
    was = np.arange(200) < 100
    check = check_kept(was, ~was, CONFIG)
    assert Gate.FAIL is check.gate
    assert check.text.startswith("0 of 100 are still right")
    assert check.text.endswith("100 wrong ones became right")


@pytest.mark.parametrize(
    ("right", "n", "gate"),
    [
        (50, 100, Gate.FAIL),
        (30, 100, Gate.FAIL),
        (55, 100, Gate.INCONCLUSIVE),
        (70, 100, Gate.PASS),
        (3, 3, Gate.INCONCLUSIVE),
        (0, 0, Gate.INCONCLUSIVE),
    ],
)
def test_held_out_pairs_must_be_preferred_rightly_more_often_than_by_chance(
    right: int, n: int, gate: Gate
) -> None:
    margins = np.where(np.arange(n) < right, 0.3, -0.3)
    check = check_preference(margins, (0.4, 0.6))
    assert (gate, n) == (check.gate, check.n)


def test_an_adapter_that_moves_no_pair_is_not_preferred_rightly() -> None:
    """A margin of exactly nothing is no step towards the better answer."""
    assert Gate.FAIL is check_preference(np.zeros(100), (0.5, 0.5)).gate


@pytest.mark.parametrize(("effect", "gate"), [(0.2, Gate.PASS), (0.0, Gate.FAIL)])
def test_an_inert_adapter_fails(effect: float, gate: Gate) -> None:
    assert gate is check_effect(effect).gate


@pytest.mark.parametrize(
    ("distance", "gate"),
    [(0.01, Gate.PASS), (0.05, Gate.PASS), (0.051, Gate.FAIL), (float("nan"), Gate.FAIL)],
)
def test_the_model_must_not_move_further_than_the_limit(distance: float, gate: Gate) -> None:
    check = check_distance(distance, 64, 0.05)
    assert (gate, 64) == (check.gate, check.n)
    assert "(limit 0.05)" in check.text


def test_the_worst_verdict_decides_and_gives_its_reasons_only() -> None:
    good = repairs_of(REFUSAL, [(500, 0.0)], [(200, 0.5)], [(200, 0.0)])
    unsure = Check("held-out preference", Gate.INCONCLUSIVE, "no held-out pair")
    bad = Check("effect", Gate.FAIL, "the adapter changes nothing: it is inert")
    assert (Gate.INCONCLUSIVE, ("held-out preference: no held-out pair",)) == decide(
        (unsure,), good
    )
    assert (Gate.FAIL, (f"effect: {bad.text}",)) == decide((unsure, bad), good)


def test_right_answers_that_were_never_lost_do_not_stand_in_the_way_of_a_repair() -> None:
    """They are looked at in every drifted segment, but a drift in length need not show in them."""
    infos = (WORDS, RIGHT_ANSWER)
    normal, before, after = (
        profile(infos, [[words], [(words[0], 0.9)]])
        for words in ((500, 100.0), (200, 60.0), (200, 98.0))
    )
    found, _ = judge_repairs(
        Windows(infos, normal, before, after), {0: ("answer_words",)}, {0: "refunds"}, CONFIG
    )
    assert ["answer_words"] == [r.signal.name for r in found]
    assert Gate.PASS is decide((FINE,), found)[0]


def test_normal_is_what_the_baseline_gives_at_the_mix_of_the_prompts() -> None:
    """A segment that is rare in the baseline counts as much as its prompts do."""
    found = repairs_of(
        RIGHT_ANSWER, [(5000, 0.95), (20, 0.95)], [(250, 0.2)] * 2, [(250, 0.95), (250, 0.55)]
    )
    assert 0.95 == pytest.approx(found[0].baseline, abs=1e-9)
    assert "73% of the loss is back" in found[0].reason
    assert Gate.INCONCLUSIVE is found[0].gate


@pytest.mark.parametrize(("n", "gate"), [(3, Gate.INCONCLUSIVE), (300, Gate.PASS)])
def test_a_few_untouched_prompts_are_no_proof(n: int, gate: Gate) -> None:
    same = [(n, 0.0)]
    check = check_untouched(judge_untouched(windows(REFUSAL, same, same, same), [0], CONFIG))
    assert (gate, n) == (check.gate, check.n)


def test_a_run_that_the_guard_stopped_is_held_back() -> None:
    """What is left of a stopped run asks for another run, whatever its answers look like."""
    (check,) = check_training(12.0)
    assert Gate.INCONCLUSIVE == check.gate
    assert "lower learning_rate" in check.text
    assert () == check_training(None)
