"""How many held-out pairs decide: by the same rule as verify's check, and as simulations find."""

from __future__ import annotations

import numpy as np
import pytest

from loopllm_cli.model import Gate
from loopllm_cli.pairs.selection.power import (
    POWER,
    TRUE_SHARE,
    heldout_power,
    must_agree,
    pairs_needed,
    power,
    smallest_share,
)
from loopllm_cli.verify.checks import check_preference


def test_as_many_must_agree_as_the_check_of_an_adapter_asks_for() -> None:
    for n in range(1, 120):
        margins = [np.repeat([1.0, -1.0], [k, n - k]) for k in range(n + 1)]
        passing = [
            k for k, m in enumerate(margins) if check_preference(m, (0, 0)).gate is Gate.PASS
        ]
        assert must_agree(n) == (passing[0] if passing else None)
        assert passing == list(range(n + 1))[len(range(n + 1)) - len(passing) :]


@pytest.mark.parametrize(("n", "share"), [(4, 0.95), (20, 0.75), (29, 0.75), (60, 0.65)])
def test_the_power_is_what_simulations_find(n: int, share: float) -> None:
    """Within four standard errors of 100,000 runs."""
    runs = 100_000
    right = np.random.default_rng(n).binomial(n, share, runs)
    needed = must_agree(n)
    assert needed is not None
    found = float(np.mean(right >= needed))
    assert abs(found - power(n, share)) < 4 * (found * (1 - found) / runs) ** 0.5


def test_from_the_number_needed_on_the_power_never_falls_below_what_is_wanted() -> None:
    n = pairs_needed()
    assert 29 == n
    assert power(n - 1, TRUE_SHARE) < POWER <= min(power(m, TRUE_SHARE) for m in range(n, 1000))
    assert pairs_needed(0.9) < n < pairs_needed(0.6)


def test_the_smallest_share_that_is_shown_has_just_the_power_wanted() -> None:
    for n in (4, 12, 29, 75, 300):
        share = smallest_share(n)
        assert share is not None
        assert POWER == pytest.approx(power(n, share))
    assert smallest_share(3) is None


def test_a_share_too_close_to_one_half_is_refused() -> None:
    with pytest.raises(ValueError, match="pairs do not show"):
        pairs_needed(0.501)


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (0, "no pair is held out (29 needed): verify cannot judge preference"),
        (1, "1 pair held out, 29 needed: verify cannot decide even if all of them agree"),
        (
            10,
            "10 pairs held out, 29 needed: verify can only decide if the adapter is right in 92% "
            "or more of all cases",
        ),
        (29, "29 pairs held out, 29 needed: enough to show 75%"),
        (100, "100 pairs held out, 29 needed: enough to show 64%"),
    ],
)
def test_what_a_number_of_pairs_can_decide_is_said_in_words(n: int, words: str) -> None:
    assert words == heldout_power(n).words()
