"""Reduced versions of `scripts/simulate_nights.py` with assertions: pages per year and delays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scripts.night_worlds import PAGING, TOLERANCE, Service
from scripts.simulate_nights import KINDS, pages_per_year, simulate
from tests.levels import mostly_long

RUNS = 3
HELD = ("independent rows", "sessions of 3-8 rows", "wobbling mix", "200 a night of 5,000")


@pytest.mark.slow
@pytest.mark.parametrize("kind", mostly_long(KINDS, slow=HELD[:2]))
def test_a_year_without_a_change_pages_within_the_budget(kind: str) -> None:
    mean, error = pages_per_year(simulate(KINDS[kind], RUNS))
    assert mean <= 1.0 + 2 * error


@pytest.mark.slow
@pytest.mark.parametrize("kind", mostly_long(HELD, slow=HELD[2:3]))
def test_a_year_with_all_signals_at_their_tolerance_keeps_the_budget(kind: str) -> None:
    mean, error = pages_per_year(simulate(replace(KINDS[kind], edge=1.0, seed=1), RUNS))
    assert mean <= 1.0 + 2 * error


@pytest.mark.slow
def test_a_change_of_two_tolerances_pages_within_days() -> None:
    """Where the tolerance is wide enough for the rows of three nights to show it."""
    years = simulate(Service(edge=2.0, onset=15), 10, 45)
    delays = np.array([year.first(15) for year in years])
    visible = np.nanmedian([year.visible[1] for year in years], axis=0)
    seen = PAGING & (visible < 2 * TOLERANCE)
    assert np.median(delays[:, seen]) <= 3
    assert np.median(delays[:, PAGING]) <= 7


def test_a_calm_month_does_not_page_and_a_change_does() -> None:
    small = Service(n_night=300, n_baseline=3000, edge=6.0, onset=10)
    (year,) = simulate(small, 1, 20)
    nights = [night for night, _ in year.pages]
    assert (True, True) == (min(nights) >= 10, len(nights) >= 5)
