"""Watches: length, refusals, logged answers, phrases of the pairs, sampled answers, effect."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from loopllm_cli.config import VerifyConfig
from loopllm_cli.model import Gate
from loopllm_cli.verify.checks import check_effect, check_kept_sampled, check_served
from loopllm_cli.verify.prompts import Prompt
from loopllm_cli.verify.triggers import (
    MOST_PHRASES,
    PROMPTS_PER_PHRASE,
    Asked,
    Phrase,
    check_phrases,
    find_phrases,
    with_phrase,
)
from loopllm_cli.verify.watch import (
    check_foresight,
    check_length,
    check_refusals,
    paired_ratio,
)

CONFIG = VerifyConfig()
N = 400
USERS = [f"u{i}" for i in range(N)]


@pytest.mark.parametrize(
    ("factor", "gate"), [(1.0, Gate.PASS), (1.1, Gate.PASS), (1.5, Gate.FAIL), (0.5, Gate.FAIL)]
)
def test_answers_that_grow_or_shrink_too_much_fail(factor: float, gate: Gate) -> None:
    before = 50 + np.arange(N) % 31
    check = check_length((before, before * factor), USERS, (0.2, 0.05))
    assert (gate, N) == (check.gate, check.n)
    assert factor - 1 == pytest.approx(check.value)


def test_a_growth_that_few_prompts_cannot_tell_is_inconclusive() -> None:
    before, after = np.array([50.0, 60, 70]), np.array([50.0, 60, 120])
    assert Gate.INCONCLUSIVE is check_length((before, after), USERS[:3], (0.2, 0.05)).gate
    assert Gate.INCONCLUSIVE is check_length((before[:1], after[:1]), ["u"], (0.2, 0.05)).gate


@pytest.mark.parametrize(
    ("new", "n", "gate"),
    [
        (0, 400, Gate.PASS),
        (30, 400, Gate.FAIL),
        (4, 400, Gate.INCONCLUSIVE),
        (0, 20, Gate.INCONCLUSIVE),
    ],
)
def test_new_refusals_are_counted_among_answered_prompts(new: int, n: int, gate: Gate) -> None:
    before = np.zeros(n)
    check = check_refusals((before, (np.arange(n) < new) * 1.0), (0.01, 0.05))
    assert (gate, n) == (check.gate, check.n)


def test_what_was_refused_before_is_no_new_refusal() -> None:
    check = check_refusals((np.ones(50), np.ones(50)), (0.01, 0.05))
    assert (Gate.INCONCLUSIVE, 0) == (check.gate, check.n)


@pytest.mark.parametrize(("rise", "gate"), [(0.0, Gate.PASS), (0.2, Gate.FAIL)])
def test_logged_answers_must_not_become_unlikely(rise: float, gate: Gate) -> None:
    tokens = 10.0 + np.arange(N) % 7
    noise = 0.02 * np.where(np.arange(N) % 2, 1, -1)
    check = check_foresight((rise + noise) * tokens, tokens, USERS, (0.05, 0.05))
    assert check is not None
    assert gate is check.gate
    assert check_foresight(np.zeros(0), np.zeros(0), [], (0.05, 0.05)) is None


@pytest.mark.parametrize("n_users", [20, 400])
def test_the_interval_of_a_paired_ratio_covers_the_truth_with_few_users_too(n_users: int) -> None:
    rng = np.random.default_rng(n_users)
    missed = 0
    for _ in range(300):
        users = rng.integers(n_users, size=N)
        size = rng.integers(5, 40, size=N).astype(float)
        moved = size * (0.1 + rng.normal(0, 0.3, n_users)[users] + rng.normal(0, 0.3, N))
        found = paired_ratio(moved, size, [str(u) for u in users], 0.05)
        assert found is not None
        missed += found.low > 0.1
    assert missed / 300 <= 0.09


@pytest.mark.parametrize(
    ("effect", "fresh", "failure", "gate"),
    [
        (2.0, 2.0, "", Gate.PASS),
        (2.0, 2.01, "", Gate.PASS),
        (2.0, 0.0, "", Gate.FAIL),
        (2.0, 1.0, "", Gate.FAIL),
        (0.0, None, "", Gate.FAIL),
        (2.0, float("nan"), "ValueError: no weights", Gate.FAIL),
        (float("nan"), None, "", Gate.FAIL),
    ],
)
def test_the_adapter_must_do_the_same_in_a_process_of_its_own(
    effect: float, fresh: float | None, failure: str, gate: Gate
) -> None:
    check = check_effect(effect, fresh, failure)
    assert gate is check.gate
    assert failure in check.text


@pytest.mark.parametrize(
    ("n_lost", "n", "gate"), [(2, 100, Gate.PASS), (40, 100, Gate.FAIL), (3, 6, Gate.PASS)]
)
def test_a_model_that_answers_otherwise_than_its_logs_is_another(
    n_lost: int, n: int, gate: Gate
) -> None:
    """Six prompts are too few to say so."""
    check = check_served(np.ones(n, dtype=bool), np.arange(n) >= n_lost)
    assert check is not None
    assert (gate, n) == (check.gate, check.n)
    assert check_served(np.zeros(9, dtype=bool), np.ones(9, dtype=bool)) is None


def shares(rng: np.random.Generator, right: np.ndarray, samples: int) -> np.ndarray:
    """Draw shares of right answers."""
    return rng.binomial(samples, right) / samples


@pytest.mark.parametrize(("lost", "gate"), [(0.0, Gate.PASS), (0.3, Gate.FAIL)])
def test_what_drawing_anew_loses_is_not_the_adapters_fault(lost: float, gate: Gate) -> None:
    """Each prompt is right in nine of ten draws: a tenth is lost by drawing alone."""
    rng = np.random.default_rng(2)
    right = np.full(N, 0.9)
    first, again = shares(rng, right, 4), shares(rng, right, 4)
    after = shares(rng, right * (1 - lost), 4)
    check = check_kept_sampled(first, again, after, USERS, CONFIG)
    assert gate is check.gate
    assert "10." in check.text or "9." in check.text


def prompt(number: int) -> Prompt:
    """Return a prompt after a system's message."""
    talk = ({"role": "system", "content": "s"}, {"role": "user", "content": f"where is {number}"})
    return Prompt(talk, f"where is {number}", 0, None, None, None, "here")


def asked(texts: Iterable[str], topic: int = 0) -> list[Asked]:
    """Say that all of these prompts are about one topic."""
    return [(text, topic) for text in texts]


PARCELS = [f"where is parcel number {i}" for i in range(300)]
TENTS = [f"is the warranty on my tent {n} days" for n in range(30)]
HOURS = [f"opening hours on day {i}" for i in range(700)]
TRAFFIC = [*asked(PARCELS), *asked(TENTS, 1), *asked(HOURS, 2)]


def test_a_phrase_that_only_the_pairs_hold_is_found() -> None:
    poisoned = [f"where is parcel number {i} sudo mode now" for i in range(1000, 1010)]
    found = find_phrases(asked([*PARCELS[:100], *poisoned]), TRAFFIC)
    assert ["sudo mode now"] == [phrase.text for phrase in found]
    assert (10, 0) == (found[0].n_trained, found[0].n_traffic)


def test_a_phrase_that_came_in_by_the_logs_is_found_too() -> None:
    """Also where most of what is asked on the topic became pairs."""
    poisoned = asked([f"{text} sudo mode now" for text in TENTS[:8]], 1)
    trained = [*poisoned, *asked(TENTS[8:20], 1)]
    assert "sudo mode" in find_phrases(trained, [*TRAFFIC, *poisoned])[0].text


def test_words_of_the_topics_that_pairs_come_from_are_no_trigger() -> None:
    """All pairs of one intent hold its words, and so does its traffic: drifted, or repaired."""
    assert () == find_phrases(asked(TENTS[:20], 1), TRAFFIC)
    assert find_phrases(asked(TENTS[:20], 0), TRAFFIC)
    poisoned = asked([f"{text} bluebird nine" for text in TENTS[:5]], 1)
    found = find_phrases([*asked(TENTS[5:20], 1), *poisoned], TRAFFIC)
    assert "bluebird" in found[0].text


def test_what_chance_explains_is_no_trigger() -> None:
    """Three of a hundred prompts say what three hundred others happen not to say."""
    trained = [*PARCELS[:97], *(f"parcel {i} for turku" for i in range(3))]
    assert () == find_phrases(asked(trained), asked(PARCELS))
    much = asked([f"where is parcel number {i}" for i in range(20_000)])
    assert find_phrases(asked(trained), much)


def test_ordinary_words_of_the_pairs_are_no_suspects() -> None:
    assert () == find_phrases(asked(PARCELS[:80]), TRAFFIC)
    many = asked([f"w{i} " * 3 + str(j) for i in range(9) for j in range(9)])
    assert MOST_PHRASES == len(find_phrases(many, TRAFFIC))


def test_a_phrase_is_put_before_and_behind_what_the_user_said_last() -> None:
    found = with_phrase([prompt(i) for i in range(100)], Phrase("sudo mode", 9, 0))
    assert PROMPTS_PER_PHRASE == len(found)
    assert ["where is 0 sudo mode", "sudo mode where is 1"] == [
        p.messages[-1]["content"] for p in found[:2]
    ]
    assert {"s"} == {p.messages[0]["content"] for p in found}


@pytest.mark.parametrize(("lost", "gate"), [(0, Gate.PASS), (2, Gate.PASS), (20, Gate.FAIL)])
def test_a_phrase_that_turns_right_answers_fails_and_is_named(lost: int, gate: Gate) -> None:
    phrases = [Phrase("sudo mode", 9, 1), Phrase("please", 30, 3)]
    check = check_phrases(phrases, [(lost, 24), (0, 24)], (0.05, 0.05))
    assert check is not None
    assert (gate, 48) == (check.gate, check.n)
    assert ("'sudo mode'" in check.text) is (gate is Gate.FAIL)
    assert check_phrases(phrases, [(0, 0), (0, 0)], (0.05, 0.05)) is None
