"""Reduced versions of `scripts/simulate_drift.py` with assertions: levels, coverage, power."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from loopllm_cli.drift.effects import estimate
from loopllm_cli.drift.verdict import JudgeSettings, judge
from loopllm_cli.model import Verdict
from scripts.drift_laws import SIGNALS, to_signals
from scripts.drift_matrix import Cell, Windows, decide, example_power, false_claims
from scripts.drift_tails import AMOUNTS, RATES, amount_errors, rate_errors
from scripts.drift_visible import Sizes, announced_and_needed, planned_and_needed
from scripts.drift_worlds import GROUPS, World
from scripts.simulate_drift import main, simulate
from tests.levels import mostly_long

pytestmark = pytest.mark.slow

INDEPENDENT = World(500, 200, user_share=0.0)
USERS = World(500, 1000, clustered=True)
RETURNING = replace(USERS, returning=True)
WORLDS = {
    "few rows": replace(INDEPENDENT, n_baseline=5000, n_current=50),
    "independent": INDEPENDENT,
    "users": USERS,
    "returning users": RETURNING,
    "few users": replace(USERS, n_current=50),
}


def highest(n_runs: int, nominal: float = 0.05) -> float:
    """Return the nominal rate plus two Monte-Carlo standard errors."""
    return nominal + 2 * math.sqrt(nominal * (1 - nominal) / n_runs)


@pytest.mark.parametrize("name", mostly_long(WORLDS, slow=("independent", "users")))
def test_changes_at_the_tolerance_are_rarely_called_worse(name: str) -> None:
    """With every signal's true change exactly at its tolerance, 5% of windows at most degrade."""
    found = simulate(replace(WORLDS[name], edge=1.0), 300, seed=11)
    assert found.false_alarms() <= highest(300)
    assert all(found.coverage(group) > 0.93 for group in GROUPS)


@pytest.mark.parametrize("name", mostly_long(WORLDS, slow=("few rows", "returning users")))
def test_windows_without_a_change_hardly_ever_degrade(name: str) -> None:
    """The tolerance keeps noise well under the nominal rate."""
    found = simulate(WORLDS[name], 150, seed=12)
    assert found.false_alarms() <= 0.03


def test_traffic_that_moves_between_segments_is_not_called_worse() -> None:
    """Two fifths of the traffic move to segments that always looked worse."""
    world = World(5000, 200, user_share=0.0, tilt=1.0)
    found = simulate(world, 150, seed=13)
    assert 0.35 < found.moved_traffic.mean()
    assert found.false_alarms() <= 0.03


def test_traffic_and_tolerated_changes_together_keep_the_level() -> None:
    """Shifting traffic does not turn a tolerated change into drift."""
    found = simulate(World(500, 200, user_share=0.0, tilt=0.6, edge=1.0), 300, seed=14)
    assert found.false_alarms() <= highest(300)


@pytest.mark.parametrize(
    ("signal", "least"), [("2% up", 0.9), ("98% down", 0.9), ("lognormal 1.0 up", 0.6)]
)
def test_real_changes_are_found(signal: str, least: float) -> None:
    """Refusals from 2% to 6% (or failures, or costs half as high again) in a thousand rows."""
    edge = 2.5 if signal == "lognormal 1.0 up" else 4.0
    world = World(5000, 1000, user_share=0.0, edge=edge, moved=(signal,))
    found = simulate(world, 60, seed=15)
    assert found.worse[:, world.names.index(signal)].mean() >= least


@pytest.mark.parametrize("sizes", [Sizes(5000, 1000), Sizes(5000, 5000, 500, 500)])
def test_announced_visible_changes_are_found_in_four_fifths_of_runs(sizes: Sizes) -> None:
    """The announced size is within a tenth of the one needed, with 200 runs' noise on top."""
    for name, (announced, needed) in announced_and_needed(sizes, 200, seed=16).items():
        assert pytest.approx(needed, rel=0.15) == announced, name


def test_few_users_announce_nothing() -> None:
    """Twenty users are too few to say what their window shows."""
    found = announced_and_needed(Sizes(5000, 200, 500, 20), 60, seed=17)
    assert {math.inf} == {announced for announced, _ in found.values()}


def test_planned_changes_are_found_in_four_fifths_of_runs() -> None:
    """A plan knows the baseline alone, and still says what a window of its size will show."""
    found = planned_and_needed(Sizes(5000, 1000), 200, seed=18)
    for name, (planned, needed) in found.items():
        assert pytest.approx(needed, rel=0.15) == planned, name


@pytest.mark.parametrize(("case", "least", "most"), [(0, 0.99, 1), (1, 0.99, 1), (2, 0, 0)])
def test_what_matters_is_found_and_what_does_not_is_not(
    case: int, least: float, most: float
) -> None:
    """Refusals doubled, right answers down ten points; 0.02 standard deviations of a million."""
    assert least <= example_power(case, 1.0, 400) <= most


SMALL_MATRIX = [
    Cell(n_baseline, n_current, design_effect, at_edge)
    for n_baseline in (500, 5_000)
    for n_current in (50, 1_000, 20_000)
    for design_effect in (1.0, 5.0)
    for at_edge in (False, True)
]


@pytest.mark.parametrize("cell", mostly_long(SMALL_MATRIX, slow=SMALL_MATRIX[::5]), ids=str)
def test_no_cell_of_the_null_matrix_cries_wolf(cell: Cell) -> None:
    """Neither "worse" nor "changed" in more than 5% of runs, for every family of laws."""
    claims = false_claims([cell], 200, seed=19)[cell]
    assert claims[:, :2].max() <= highest(200, 0.05) + 0.02


def test_the_matrix_decides_as_the_judge_does() -> None:
    """Many runs at a time decide as one run through the program's judge."""
    rng = np.random.default_rng(20)
    windows = Windows(5.0, 0)
    pair = to_signals(windows.draw(500, False, 12, rng), windows.draw(200, True, 12, rng))
    decided = decide(*pair)[-1]
    for run in range(12):
        names = pair[0].signal_names[run * len(SIGNALS) : (run + 1) * len(SIGNALS)]
        effects = estimate(*(p.columns(names) for p in pair))
        verdicts = {c.verdict for c in judge(effects, SIGNALS, JudgeSettings())}
        said = [Verdict.WORSE in verdicts, Verdict.CHANGED in verdicts]
        assert said == decided[run, :2].tolist()


@pytest.mark.parametrize("sizes", [(5000, 50), (5000, 200), (500, 5000)])
def test_rates_keep_their_level_deep_in_the_tail(sizes: tuple[int, int]) -> None:
    """At a one-sided 0.42%, Jeffreys' limits err at most half as often again as they say."""
    assert max(rate_errors(*case, sizes, 100_000)[1] for case in RATES) < 1.5


@pytest.mark.parametrize("law", AMOUNTS)
def test_amounts_keep_their_level_deep_in_the_tail(law: str) -> None:
    """Fifty skewed rows against five hundred: no direction errs more than about twice."""
    assert amount_errors(law, (500, 50), 10_000)[1].max() < 2.5


def test_the_script_prints_its_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """The command line runs one part with a few runs."""
    main(["--runs", "2", "--jobs", "1", "mix"])
    printed = capsys.readouterr().out
    assert "Traffic shifts between segments" in printed
    assert 16 == sum("/" in line and "%" in line for line in printed.splitlines()[2:])
