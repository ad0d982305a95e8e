"""Sums by day: they add up, merge, and survive a file."""

from __future__ import annotations

import numpy as np
import pytest

from loopllm_cli.errors import SchemaMismatch
from loopllm_cli.profiles.days import DaySums, build_days

NAMES = ("rate", "amount")
ARRAYS = ("n_rows", "n", "total", "total_sq", "total_cu", "clumped")


def rows(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return values, segments, dates and buckets of some rows."""
    rng = np.random.default_rng(seed)
    values = np.stack([rng.integers(0, 2, n), rng.lognormal(size=n)], axis=1).astype(float)
    values[rng.random(values.shape) < 0.1] = np.nan
    dates = np.array(["2026-10-01", "2026-10-03", "NaT"], dtype="datetime64[D]")
    return values, rng.integers(0, 3, n), dates[rng.integers(0, 3, n)], rng.integers(0, 4, n)


def sums(seed: int = 0) -> DaySums:
    """Build the sums of some rows."""
    values, segments, dates, buckets = rows(seed)
    return build_days(NAMES, values, segments, dates, 3, buckets=buckets)


def assert_equal(expected: DaySums, actual: DaySums) -> None:
    """Compare two sums, all arrays of them."""
    assert (expected.signal_names, expected.days) == (actual.signal_names, actual.days)
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(actual, name), getattr(expected, name), atol=1e-9)


def test_days_without_rows_or_times_have_no_sums() -> None:
    assert ("2026-10-01", "2026-10-03") == sums().days


def test_a_cell_holds_the_moments_of_its_rows() -> None:
    values, segments, dates, _ = rows(0)
    inside = (dates == np.datetime64("2026-10-03")) & (segments == 2) & ~np.isnan(values[:, 1])
    found, expected = sums(), values[inside, 1]
    cell = [x[1, 2, 1] for x in (found.n, found.total, found.total_sq, found.total_cu)]
    assert [len(expected), *(pytest.approx((expected**k).sum()) for k in (1, 2, 3))] == cell


def test_clumped_is_the_sum_of_squares_where_every_row_is_a_cluster() -> None:
    values, segments, dates, _ = rows(0)
    whole = ~np.isnan(values[:, 0])
    alone = build_days(NAMES, values, segments, dates, 3)
    timed = whole & ~np.isnat(dates)
    means = [values[timed & (segments == s), 0].mean() for s in range(3)]
    residuals = values[timed, 0] - np.array(means)[segments[timed]]
    assert pytest.approx((residuals**2).sum()) == alone.clumped[:, 0].sum()


def test_rows_of_one_cluster_that_are_alike_clump() -> None:
    values = np.repeat([1.0, 0.0, 1.0, 0.0], 5)[:, None]
    dates = np.full(20, np.datetime64("2026-10-01"))
    segments, buckets = np.zeros(20, dtype=np.int64), np.repeat(np.arange(4), 5)
    alike = build_days(("x",), values, segments, dates, 1, buckets=buckets)
    alone = build_days(("x",), values, segments, dates, 1)
    assert pytest.approx(5.0) == alike.clumped[0, 0] / alone.clumped[0, 0]


def test_infinite_and_absurd_values_do_not_apply() -> None:
    values = np.array([[np.inf], [-np.inf], [1e60], [np.nan], [2.0]])
    dates = np.full(5, np.datetime64("2026-10-01"))
    found = build_days(("x",), values, np.zeros(5, dtype=np.int64), dates, 1)
    assert (1.0, 2.0, 4.0, 8.0, 5.0) == (
        found.n.item(), found.total.item(), found.total_sq.item(), found.total_cu.item(),
        found.n_rows.item(),
    )  # fmt: skip


def test_merging_adds_days_that_both_have_and_keeps_the_others() -> None:
    first, second = sums(0), sums(1).day("2026-10-03")
    merged = first.merge(second)
    assert first.days == merged.days
    np.testing.assert_allclose(merged.total[0], first.total[0])
    np.testing.assert_allclose(merged.total[1], first.total[1] + second.total[0])


def test_merging_other_signals_is_refused() -> None:
    with pytest.raises(SchemaMismatch):
        sums().merge(sums().columns(("rate",)))


def test_one_day_of_a_window_is_that_day_alone() -> None:
    whole = sums()
    np.testing.assert_allclose(whole.day("2026-10-03").total[0], whole.total[1])
    assert 0.0 == whole.day("2026-10-02").n.sum()


def test_an_unknown_column_applies_nowhere() -> None:
    found = sums().columns(("new", "rate"))
    assert (0.0, sums().n[..., 0].sum()) == (found.n[..., 0].sum(), found.n[..., 1].sum())


def test_sums_survive_a_file() -> None:
    found = sums()
    assert_equal(found, DaySums.from_arrays(NAMES, 3, found.to_arrays()))


def test_no_rows_make_no_days() -> None:
    nothing = build_days(
        NAMES, np.zeros((0, 2)), np.zeros(0, dtype=np.int64), np.zeros(0, dtype="datetime64[D]"), 3
    )
    assert ((), (0, 3, 2)) == (nothing.days, nothing.n.shape)


def test_weekdays_begin_with_monday() -> None:
    assert [3, 5] == sums().weekdays.tolist()
