"""What holds for any windows: order, parts, agreement of p-values and bounds, no crash."""

from __future__ import annotations

import warnings
from dataclasses import asdict
from functools import reduce
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopllm_cli.drift.effects import estimate
from loopllm_cli.drift.intervals import to_changes
from loopllm_cli.model import Status
from loopllm_cli.profiles.profile import Profile
from tests.unit.drift.drift_rows import AMOUNT, BAD_RATE, GOOD_RATE, compare, profile_of

INFOS = (BAD_RATE, GOOD_RATE, AMOUNT)
IS_RATE = np.array([True, True, False])
FEW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))

Rows = list[tuple[int, int, float, float, float]]

AMOUNTS = st.one_of(
    st.sampled_from([0.0, 1.0, float("nan"), float("inf")]),
    st.floats(0, 1e6, allow_subnormal=False),
)
FLAGS = st.sampled_from([0.0, 1.0, float("nan")])
WINDOWS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 30), FLAGS, FLAGS, AMOUNTS), max_size=60
)


def profile_rows(rows: Rows) -> Profile:
    """Profile rows of (segment, user, rate, rate, amount)."""
    table = np.array(rows, dtype=float).reshape(len(rows), 5)
    return profile_of(table[:, 2:].T, table[:, 0].astype(int), table[:, 1].astype(int), 4)


def draw(seed: int, n_rows: int) -> Rows:
    """Draw rows from a number."""
    rng = np.random.default_rng(seed)
    columns = (
        rng.integers(0, 4, n_rows),
        rng.integers(0, 40, n_rows),
        rng.random(n_rows) < 0.05 + 0.1 * rng.random(),
        rng.random(n_rows) < 0.6 + 0.3 * rng.random(),
        rng.gamma(1.0, 1 + rng.random(), n_rows).round(6),
    )
    return list(zip(*(c.astype(float).tolist() for c in columns), strict=True))


@FEW
@given(before=WINDOWS, after=WINDOWS)
def test_any_windows_are_judged_without_a_crash_or_a_warning(before: Rows, after: Rows) -> None:
    """Bounds enclose, p-values lie in 0..1, and what could not be judged says why."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compare(profile_rows(before), profile_rows(after), *INFOS)
    for c in found.comparisons:
        assert 0 <= c.p_value <= c.p_adjusted <= 1
        assert c.note or c.low <= c.change <= c.high
        assert not c.note or c.verdict.value == "unclear"


@FEW
@given(rows=WINDOWS, seed=st.integers(0, 99))
def test_a_window_compared_with_itself_is_never_degraded(rows: Rows, seed: int) -> None:
    """The same rows, in any order, have not changed."""
    other = [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]
    found = compare(profile_rows(rows), profile_rows(other), *INFOS)
    assert Status.DEGRADED is not found.status


@pytest.mark.parametrize("seed", range(10))
def test_the_order_of_rows_does_not_matter(seed: int) -> None:
    """A window is a set of rows."""
    before, after = draw(seed, 300), draw(seed + 100, 120)
    other = [after[i] for i in np.random.default_rng(seed).permutation(len(after))]
    expected = numbers(compare(profile_rows(before), profile_rows(after), *INFOS))
    found = numbers(compare(profile_rows(before), profile_rows(other), *INFOS))
    assert pytest.approx(expected, rel=1e-6, abs=1e-9, nan_ok=True) == found


@pytest.mark.parametrize("seed", range(10))
def test_a_window_may_be_profiled_in_parts(seed: int) -> None:
    """Parts of any sizes, merged, decide as the whole."""
    before, after = draw(seed, 300), draw(seed + 100, 120)
    cuts = sorted(np.random.default_rng(seed).integers(0, 120, 3).tolist())
    parts = [after[a:b] for a, b in zip([0, *cuts], [*cuts, 120], strict=True)]
    merged = reduce(Profile.merge, map(profile_rows, parts))
    expected = numbers(compare(profile_rows(before), profile_rows(after), *INFOS))
    found = numbers(compare(profile_rows(before), merged, *INFOS))
    assert pytest.approx(expected, rel=1e-6, abs=1e-9, nan_ok=True) == found


@pytest.mark.parametrize("seed", range(20))
def test_p_values_and_bounds_agree(seed: int) -> None:
    """p < alpha exactly when the bound that leaves alpha lies beyond the limit."""
    changes = to_changes(
        estimate(profile_rows(draw(seed, 400)), profile_rows(draw(seed + 500, 150))), IS_RATE
    )
    tolerance = np.array([0.01, 0.03, 0.1])
    above, below = changes.p_outside(tolerance)
    for alpha in (0.3, 0.05, 0.004, 1e-6):
        low, high = changes.bounds(alpha)
        assert (above < alpha).tolist() == (low > tolerance).tolist()
        assert (below < alpha).tolist() == (high < -tolerance).tolist()


@pytest.mark.parametrize("seed", range(10))
def test_bounds_widen_as_their_tail_shrinks(seed: int) -> None:
    """More certainty asks for a wider interval."""
    changes = to_changes(
        estimate(profile_rows(draw(seed, 200)), profile_rows(draw(seed + 50, 40))), IS_RATE
    )
    lows, highs = zip(*(changes.bounds(tail) for tail in (0.4, 0.05, 0.004, 1e-8)), strict=True)
    assert np.all(np.diff(lows, axis=0) <= 1e-12)
    assert np.all(np.diff(highs, axis=0) >= -1e-12)


def numbers(findings: Any) -> list[float]:
    """Return all figures of the comparisons, in a fixed order."""
    rows = [asdict(c) for c in findings.comparisons]
    return [v for row in rows for v in row.values() if isinstance(v, float | int)]
