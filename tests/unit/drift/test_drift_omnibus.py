"""Whether two windows differ in anything: level, power, and what is said to tell them apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from loopllm_cli.drift.omnibus import OmnibusSettings, run_omnibus
from loopllm_cli.drift.scores import to_scores
from loopllm_cli.drift.telling import find_telling_words
from loopllm_cli.profiles.answers import WordCounts
from scripts.simulate_omnibus import draw_world

FEW = OmnibusSettings(permutations=99, first=99)


def differing(kind: str, n_runs: int, sizes: tuple[int, int] = (120, 80)) -> float:
    """Return how often clean windows are said to differ at 5%."""
    worlds = (draw_world(sizes, kind, np.random.default_rng([7, r])) for r in range(n_runs))
    return float(np.mean([run_omnibus(*w, FEW).p_value <= 0.05 for w in worlds]))


@pytest.mark.parametrize("kind", ["rows", "users", "returning", "traffic"])
def test_clean_windows_seldom_differ(kind: str) -> None:
    """At most 5% and three standard errors of 60 runs, also with users and moving traffic."""
    assert differing(kind, 60) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)


def test_a_changed_signal_is_found_and_named() -> None:
    windows = draw_world((400, 300), "rows", np.random.default_rng(1), shift=0.6)
    found = run_omnibus(*windows)
    assert (True, "s0") == (found.differs, found.scores[0].name)
    assert found.scores[0].z > 4
    assert found.scores[0].p_adjusted <= 0.01 < found.scores[-1].p_adjusted


def test_answers_that_changed_are_found_though_no_signal_did() -> None:
    before, after = draw_world((400, 300), "rows", np.random.default_rng(2))
    turned = after.answer_vectors.copy()
    turned[:, 3] += np.float16(0.35)
    found = run_omnibus(before, replace(after, answer_vectors=turned))
    by_name = {part.name: part.p_value for part in found.parts}
    assert found.differs
    assert by_name["answers"] <= 0.01 < by_name["largest"]


def test_a_change_of_spread_or_of_what_applies_is_found() -> None:
    before, after = draw_world((400, 400), "rows", np.random.default_rng(3))
    wide, gone = after.values.copy(), after.values.copy()
    wide[:, 2] = np.exp(2 * np.log(wide[:, 2]))
    gone[:200, 3] = np.nan
    assert "s2: spread" == run_omnibus(before, replace(after, values=wide)).scores[0].name
    assert "s3: applies" == run_omnibus(before, replace(after, values=gone)).scores[0].name


def test_equal_windows_give_equal_results_in_any_order_of_signals() -> None:
    before, after = draw_world((100, 100), "users", np.random.default_rng(4))
    assert run_omnibus(before, after, FEW) == run_omnibus(before, after, FEW)


def test_the_same_rows_twice_do_not_differ() -> None:
    """Every cluster lies in both windows with the same values: nothing moved at all."""
    before, _ = draw_world((100, 100), "rows", np.random.default_rng(5))
    found = run_omnibus(before, before, FEW)
    assert (1.0, False) == (found.p_value, found.differs)


def test_scores_are_centred_within_segments() -> None:
    scores = to_scores(*draw_world((300, 200), "traffic", np.random.default_rng(6)))
    assert np.allclose(0.0, scores.values.sum(axis=0), atol=1e-8)
    assert np.allclose(0.0, scores.vectors.sum(axis=0), atol=1e-6)


@pytest.mark.parametrize("case", ["empty", "few", "one user", "no shared segment", "constant"])
def test_windows_that_cannot_tell_say_why(case: str) -> None:
    before, after = draw_world((60, 60), "rows", np.random.default_rng(8))
    if case == "empty":
        after = after.take(np.zeros(0, dtype=np.int64))
    elif case == "few":
        after = after.take(np.arange(1))
    elif case == "one user":
        after = replace(after, clusters=np.zeros_like(after.clusters))
    elif case == "no shared segment":
        after = replace(after, segments=after.segments + np.int16(20))
    else:
        before, after = (
            replace(w, values=np.ones_like(w.values), answer_vectors=w.answer_vectors * 0)
            for w in (before, after)
        )
    found = run_omnibus(before, after, FEW)
    assert (1.0, False, ()) == (found.p_value, found.differs, found.scores)
    assert found.note


def test_words_whose_share_changed_tell_windows_apart() -> None:
    before = WordCounts(("certainly", "sure", "the"), np.array([400, 300, 990]), 1000)
    after = WordCounts(("certainly", "sure", "the", "sunset", "rare"), np.array(
        [100, 310, 985, 60, 9]
    ), 1000)  # fmt: skip
    found = find_telling_words(before, after)
    assert ["certainly", "sunset"] == [t.word for t in found]
    assert (0.4, 0.1, False) == (found[0].baseline_share, found[0].current_share, found[0].at_most)
    assert (0.009, True) == (found[1].baseline_share, found[1].at_most)
    assert () == find_telling_words(before, WordCounts((), np.zeros(0, dtype=np.int64), 0))
