"""Who can be relied on, from votes whose truth is known; and what cannot be known."""

from __future__ import annotations

import numpy as np
import pytest

from loopllm_cli.pairs.agreement.reliability import (
    FloatArray,
    IntArray,
    Votes,
    estimate_reliability,
    measure_agreement,
)


def votes_of(*cast: tuple[int, int, int]) -> Votes:
    """Return votes given as (item, rater, side)."""
    item, rater, side = np.array(cast, dtype=np.int64).reshape(-1, 3).T
    return Votes(item, rater, side)


def draw(rates: FloatArray, n_items: int, n_votes: int, seed: int) -> tuple[Votes, IntArray]:
    """Draw votes of raters that are right so often; return them with the truth."""
    rng = np.random.default_rng(seed)
    item = np.repeat(np.arange(n_items), n_votes)
    rater = np.concatenate([rng.choice(len(rates), n_votes, replace=False) for _ in range(n_items)])
    truth = rng.choice([-1, 1], n_items)
    right = rng.random(len(item)) < rates[rater]
    return Votes(item, rater, np.where(right, truth[item], -truth[item])), truth


@pytest.mark.parametrize(
    "votes",
    [
        votes_of(),
        votes_of((0, 0, 1)),
        votes_of((0, 0, 1), (1, 0, -1), (2, 1, 1)),
    ],
)
def test_where_nobody_judged_the_same_nothing_is_known(votes: Votes) -> None:
    assert estimate_reliability(votes, 2) is None
    found = measure_agreement(votes)
    assert (0, True) == (found.n_items, bool(np.isnan([found.agreement, found.low]).all()))


def test_agreement_is_the_share_of_agreeing_pairs_of_votes() -> None:
    """Three votes of two opinions hold one agreeing pair of three; items count by their votes."""
    split = votes_of((0, 0, 1), (0, 1, 1), (0, 2, -1))
    assert pytest.approx(1 / 3) == measure_agreement(split).agreement
    with_another = votes_of((0, 0, 1), (0, 1, 1), (0, 2, -1), (1, 0, -1), (1, 1, -1))
    assert pytest.approx((3 / 3 + 2 * 1) / 5) == measure_agreement(with_another).agreement


def test_full_agreement_of_few_leaves_the_interval_wide() -> None:
    found = measure_agreement(votes_of(*((k, r, 1) for k in range(5) for r in (0, 1))))
    assert (1.0, 1.0) == (found.agreement, found.high)
    assert 0.5 < found.low < 0.7


def test_which_answer_is_named_first_does_not_matter() -> None:
    votes, _ = draw(np.full(10, 0.8), 200, 3, seed=1)
    flip = np.random.default_rng(2).choice([-1, 1], 200)[votes.item]
    one = estimate_reliability(votes, 10)
    other = estimate_reliability(Votes(votes.item, votes.rater, votes.side * flip), 10)
    assert one is not None
    assert other is not None
    np.testing.assert_allclose(one.mean, other.mean, atol=1e-9)


def test_the_good_the_random_and_the_adverse_are_told_apart() -> None:
    rates = np.repeat([0.9, 0.5, 0.1], [24, 8, 8])
    votes, _ = draw(rates, 800, 3, seed=3)
    found = estimate_reliability(votes, 40)
    assert found is not None
    assert 0.8 < found.mean[:24].min()
    assert 0.3 < found.mean[24:32].min() <= found.mean[24:32].max() < 0.7
    assert 0.2 > found.mean[32:].max()
    inside = (found.low <= rates) & (rates <= found.high)
    assert 0.85 < inside.mean()


def test_who_has_voted_little_is_taken_for_one_like_the_others() -> None:
    """One disagreement makes nobody bad; a newcomer's rate lies near the mean, and is wide."""
    votes, _ = draw(np.full(20, 0.9), 400, 3, seed=4)
    lone = int(votes.side[votes.item == 0][0])
    more = Votes(np.append(votes.item, 0), np.append(votes.rater, 20), np.append(votes.side, -lone))
    found = estimate_reliability(more, 21)
    assert found is not None
    assert 0.6 < found.mean[20] < found.mean[:20].mean()
    assert 0.15 < found.high[20] - found.low[20]
    assert 1 == found.n_shared[20]


def test_of_two_raters_either_may_be_the_better_one() -> None:
    votes, _ = draw(np.array([0.95, 0.7]), 300, 2, seed=5)
    found = estimate_reliability(votes, 2)
    assert found is not None
    assert (found.low <= [0.95, 0.7]).all()
    assert ([0.95, 0.7] <= found.high).all()
    assert found.noise.low <= 0.175 <= found.noise.high


@pytest.mark.parametrize("wrong", [0.0, 0.1, 0.2, 0.3])
def test_the_noise_interval_holds_the_true_noise(wrong: float) -> None:
    """Nominally in 95 of 100 runs; fewer than 36 of 40 has probability 0.014 then."""
    held = 0
    for seed in range(40):
        votes, truth = draw(np.full(30, 1 - wrong), 150, 2, seed)
        found = estimate_reliability(votes, 30)
        assert found is not None
        actual = float((votes.side != truth[votes.item]).mean())
        held += found.noise.low <= actual <= found.noise.high
    assert 36 <= held


def test_no_pair_is_surer_than_it_is_right() -> None:
    """Where the posterior says 90%, no fewer are right; it may be careful, by a tenth at most."""
    hits: list[tuple[float, bool]] = []
    for seed in range(10):
        rates = np.random.default_rng(seed).beta(8, 2, 30)
        votes, truth = draw(rates, 200, 2, seed)
        found = estimate_reliability(votes, 30)
        assert found is not None
        total = np.bincount(votes.item, votes.side * found.weight)
        sure = 1 / (1 + np.exp(-np.abs(total)))
        hits += zip(sure, np.sign(total) == truth, strict=True)
    sure, right = np.array(hits).T
    for low, high in ((0.5, 0.85), (0.85, 0.95), (0.95, 1.0)):
        within = (sure > low) & (sure <= high)
        assert within.sum() > 100
        # Three standard errors of a share among so many, and 0.02 for estimated rates.
        slack = 0.02 + 1.5 / np.sqrt(within.sum())
        assert -0.1 < sure[within].mean() - right[within].mean() < slack


def test_a_hundred_thousand_votes_on_one_item_are_no_trouble() -> None:
    n = 100_000
    side = np.where(np.arange(n) % 5 == 0, -1, 1)
    found = estimate_reliability(Votes(np.zeros(n, dtype=np.int64), np.arange(n), side), n)
    assert found is not None
    assert np.isfinite(found.weight).all()
