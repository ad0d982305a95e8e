"""The ladder goes up from what learns too little, down from what breaks, and keeps what passes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from loopllm_cli.config import Config
from loopllm_cli.errors import AlreadyExists, ConfigError
from loopllm_cli.loop import rung_work
from loopllm_cli.loop.ladder import LadderRequest, climb
from loopllm_cli.loop.rates import best, first_rate, next_of, next_rate
from loopllm_cli.loop.repair import CorrectRequest
from loopllm_cli.loop.rung_work import LadderProgress
from loopllm_cli.loop.rungs import advise, read_verification
from loopllm_cli.model import (
    AdapterCard,
    Check,
    Gate,
    LadderResult,
    Repair,
    Rung,
    RungEnd,
    SignalInfo,
    SignalKind,
    VerifyResult,
    Worse,
)
from loopllm_cli.store.project import Project
from loopllm_cli.verify.gate import BROKEN

ROOT = Path(__file__).parents[3]
MODEL = ROOT / "sample_data" / "models" / "v2"
RECIPE = ROOT / "configs" / "tiny.toml"


def rung(
    rate: float, end: RungEnd, recovered: float | None = None, kept: float | None = None
) -> Rung:
    """Return a rung that was tried."""
    return Rung(rate, end, "why", "folder", 60.0, recovered=recovered, kept=kept)


LITTLE, MUCH, PASSED = RungEnd.TOO_LITTLE, RungEnd.TOO_MUCH, RungEnd.PASSED


@pytest.mark.parametrize(
    ("n", "rate"), [(1_000_000, 3e-4), (8_000_000_000, 5e-6), (500_000_000, 1.8e-5), (1, 0.16)]
)
def test_larger_models_start_lower(n: int, rate: float) -> None:
    assert rate == pytest.approx(first_rate(n), rel=0.05)


@pytest.mark.parametrize(
    ("tried", "expected"),
    [
        ([], 1e-4),
        ([rung(1e-4, LITTLE)], 3e-4),
        ([rung(1e-4, MUCH)], 3.3e-5),
        ([rung(1e-4, LITTLE), rung(3e-4, MUCH)], 1.7e-4),
        ([rung(1e-4, LITTLE), rung(1.7e-4, LITTLE), rung(3e-4, MUCH)], 2.3e-4),
        ([rung(1e-4, LITTLE), rung(1.7e-4, MUCH), rung(3e-4, MUCH)], 1.3e-4),
        ([rung(1.7e-4, LITTLE), rung(2.3e-4, MUCH)], None),
        ([rung(1e-4, PASSED, 0.85)], 3e-4),
        ([rung(1e-4, PASSED, 0.99)], None),
        ([rung(1e-4, PASSED, 0.85), rung(3e-4, PASSED, 0.94)], 9e-4),
        ([rung(1e-4, PASSED, 0.85), rung(3e-4, PASSED, 0.85)], None),
        ([rung(1e-4, PASSED, 0.85), rung(3e-4, MUCH)], 1.7e-4),
        ([rung(1e-4, PASSED, 0.85), rung(1.7e-4, PASSED, 0.85), rung(3e-4, MUCH)], None),
        ([rung(1e-4, PASSED, 0.99), rung(3e-4, MUCH)], None),
        ([rung(1e-4, RungEnd.UNCLEAR)], None),
        ([rung(3e-4, RungEnd.UNCLEAR, kept=0.96)], 1e-4),
        ([rung(1e-4, LITTLE), rung(3e-4, RungEnd.UNCLEAR, kept=0.96)], 1.7e-4),
        ([rung(1e-4, RungEnd.HOPELESS)], None),
        ([rung(0.9, LITTLE)], None),
    ],
)
def test_the_next_rate_follows_from_what_was_found(
    tried: list[Rung], expected: float | None
) -> None:
    assert expected == next_rate(tried, 1e-4)


def test_held_out_pairs_send_the_search_on_and_decide_between_equals() -> None:
    first = replace(rung(1e-4, PASSED, 0.99), held_out=0.87)
    second = replace(rung(3e-4, PASSED, 0.98), held_out=1.0)
    assert 3e-4 == next_rate([first], 1e-4)
    assert None is next_rate([first, second], 1e-4)
    assert second == best([first, second])
    assert first == best([first, replace(second, held_out=0.87)])
    assert first == best([first, replace(second, recovered=0.97)])
    assert None is best([])


def test_the_first_that_passes_can_be_enough() -> None:
    assert next_rate([rung(1e-4, PASSED, 0.81)], 1e-4, stop_at_first=True) is None


def test_named_rates_are_tried_from_low_to_high_until_one_breaks_something() -> None:
    rates = (1e-2, 1e-4, 1e-3)
    assert 1e-4 == next_of(rates, [], stop_at_first=False)
    assert 1e-3 == next_of(rates, [rung(1e-4, PASSED, 0.8)], stop_at_first=False)
    assert next_of(rates, [rung(1e-4, PASSED, 0.8)], stop_at_first=True) is None
    assert next_of(rates, [rung(1e-4, LITTLE), rung(1e-3, MUCH)], stop_at_first=False) is None


RIGHT = SignalInfo("right_answer", SignalKind.RATE, Worse.DOWN, 0.02, "The answer is right.")


def repair(after: float, gate: Gate, *, segment: str = "all drifted segments") -> Repair:
    """Return a repair of a signal that had fallen from 1.0 to 0.0."""
    said = f"{after:.0%} of the loss is back"
    return Repair(RIGHT, segment, f"about {segment}", 100, 1.0, 0.0, after, 0.0, 1.0, gate, said)


def verification(
    gate: Gate, repairs: tuple[Repair, ...], checks: tuple[Check, ...] = ()
) -> VerifyResult:
    """Return what a verification found."""
    at = datetime(2026, 10, 1, tzinfo=UTC)
    return VerifyResult(
        "id", at, "a", "h", "m", "v1", "d", gate, ("the reason",), checks, repairs, ()
    )


LOST = Check("right answers kept", Gate.FAIL, "40 of 100 are still right", 100, 0.4)
KEPT = Check("right answers kept", Gate.PASS, "100 of 100 are still right", 100, 1.0)
FORGOTTEN = replace(repair(0.4, Gate.FAIL), before=1.0, reason=BROKEN)
OTHER = Check("same model as in the logs", Gate.FAIL, "only 3 of 100 come right", 100)
FEW = Check("refusals", Gate.INCONCLUSIVE, "up to 1.3% may be", 100)


@pytest.mark.parametrize(
    ("result", "end"),
    [
        (verification(Gate.PASS, (repair(0.9, Gate.PASS),), (KEPT,)), PASSED),
        (verification(Gate.FAIL, (repair(0.1, Gate.FAIL),), (KEPT,)), LITTLE),
        (verification(Gate.FAIL, (repair(0.9, Gate.PASS),), (LOST,)), MUCH),
        (verification(Gate.FAIL, (repair(0.1, Gate.FAIL),), (LOST,)), MUCH),
        (verification(Gate.FAIL, (FORGOTTEN,), (KEPT,)), MUCH),
        (verification(Gate.FAIL, (repair(0.1, Gate.FAIL),), (OTHER,)), RungEnd.HOPELESS),
        (verification(Gate.INCONCLUSIVE, (repair(0.9, Gate.PASS),), (FEW,)), RungEnd.UNCLEAR),
        (verification(Gate.INCONCLUSIVE, (repair(0.6, Gate.INCONCLUSIVE),)), LITTLE),
        (verification(Gate.INCONCLUSIVE, (repair(0.9, Gate.INCONCLUSIVE),)), RungEnd.UNCLEAR),
    ],
)
def test_a_verification_points_up_or_down_or_nowhere(result: VerifyResult, end: RungEnd) -> None:
    assert end == read_verification(result, 0.8).end


def test_what_stayed_broken_is_named() -> None:
    repairs = (repair(0.5, Gate.FAIL), repair(0.1, Gate.FAIL, segment="shipping"))
    found = read_verification(verification(Gate.FAIL, repairs, (KEPT,)), 0.8)
    assert (0.5, 1.0, ("about shipping",)) == (found.recovered, found.kept, found.unrepaired)


def test_the_advice_follows_from_how_the_rungs_failed() -> None:
    wrong = advise([rung(1e-4, LITTLE, 0.0), rung(3e-4, MUCH, 0.02)])
    assert "the opposite of what is wanted" in wrong[0]
    short = replace(rung(1e-4, LITTLE, 0.6), unrepaired=("shipping",))
    few = advise([short, rung(3e-4, MUCH, 0.7)])
    assert "collect more pairs" in few[0]
    assert "no rate was too high yet" in " ".join(advise([short]))
    assert "still broken there: shipping" in advise([short])
    assert "broke other traffic" in " ".join(advise([rung(3e-4, MUCH)]))


class World:
    """A made-up model: what each rate repairs and keeps, and a count of what was run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ends: Callable[[float], RungEnd]) -> None:
        from loopllm_cli.correct import train

        self.ends = ends
        self.trained: list[float] = []
        self.verified: list[float] = []
        self.kill_in_verify: float | None = None
        monkeypatch.setattr(train, "build_adapter", self.build)
        monkeypatch.setattr(rung_work, "verify_adapter", self.verify)

    def build(self, request: Any, tell: Any) -> AdapterCard:
        """Write an adapter that knows its rate."""
        rate = request.recipe.learning_rate
        self.trained.append(rate)
        if rate > 0.01:
            raise ConfigError(f"training diverged: learning_rate = {rate:g}", "lower it")
        request.adapter_out.mkdir(parents=True)
        lineage = {"rate": rate, "adapter_sha256": "x"}
        (request.adapter_out / "lineage.json").write_text(json.dumps(lineage))
        metrics = {"retention_kl": rate, "test_accuracy": 0.9, "adapter_effect": 1.0}
        return AdapterCard(
            str(request.adapter_out), request.model, "h", str(request.pairs), "p", "v1", "d",
            "dpo", 1, 1, 1.0, "cpu", {}, {}, f"hash {rate:g}", metrics,
        )  # fmt: skip

    def verify(self, project: Any, config: Any, request: Any, tell: Any) -> VerifyResult:
        """Judge an adapter by its rate."""
        rate = json.loads((request.adapter / "lineage.json").read_text())["rate"]
        if rate == self.kill_in_verify:
            raise KeyboardInterrupt
        self.verified.append(rate)
        end = self.ends(rate)
        back = {PASSED: 0.8 + 10 * rate, LITTLE: 0.3}.get(end, 0.9)
        gate = Gate.PASS if end is PASSED else Gate.FAIL
        whole = repair(back, Gate.PASS if back >= 0.8 else Gate.FAIL)
        return verification(gate, (whole,), (LOST if end is MUCH else KEPT,))


def usual(rate: float) -> RungEnd:
    """Learn too little below 1e-3, break things from 1e-2 on."""
    return LITTLE if rate < 1e-3 else PASSED if rate < 9e-3 else MUCH


@pytest.fixture
def request_of(tmp_path: Path) -> Callable[..., LadderRequest]:
    """Return a function that makes requests of one ladder."""
    pairs = tmp_path / "pairs" / "data"
    pairs.mkdir(parents=True)
    (pairs / "train.parquet").write_bytes(b"pairs")

    def make(**limits: Any) -> LadderRequest:
        correct = CorrectRequest(str(MODEL), pairs.parent, tmp_path / "adapter", RECIPE)
        return LadderRequest(correct, **limits)

    return make


@pytest.fixture
def climbing(tmp_path: Path) -> Callable[[LadderRequest], LadderResult]:
    """Return a function that climbs in a project of its own."""
    pytest.importorskip("torch", reason="needs the training extra")

    def run(request: LadderRequest) -> LadderResult:
        told: list[LadderProgress] = []
        return climb(Project(tmp_path), Config(), request, told.append)

    return run


Climb = Callable[[LadderRequest], LadderResult]
Make = Callable[..., LadderRequest]


def test_the_best_rung_is_moved_to_its_place_with_the_ladder_in_its_lineage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_of: Make, climbing: Climb
) -> None:
    World(monkeypatch, usual)
    result = climbing(request_of())
    rates = [r.learning_rate for r in result.rungs]
    assert [3e-4, 9e-4, 2.7e-3, 8.1e-3, 1.4e-2, 2.4e-2] == rates
    assert [LITTLE, LITTLE, PASSED, PASSED, MUCH, MUCH] == [r.end for r in result.rungs]
    assert (Gate.PASS, 8.1e-3) == (result.gate, result.learning_rate)
    assert result.adapter is not None
    assert str(tmp_path / "adapter") == result.adapter.path
    lineage = json.loads((tmp_path / "adapter" / "lineage.json").read_text())
    assert 8.1e-3 == lineage["rate"]
    assert rates == [r["learning_rate"] for r in lineage["ladder"]["rungs"]]


def test_the_first_that_passes_is_kept_when_asked_for(
    monkeypatch: pytest.MonkeyPatch, request_of: Make, climbing: Climb
) -> None:
    world = World(monkeypatch, usual)
    result = climbing(request_of(first=True))
    assert 2.7e-3 == result.learning_rate
    assert [3e-4, 9e-4, 2.7e-3] == world.trained


def test_finished_rungs_are_not_trained_or_verified_again(
    monkeypatch: pytest.MonkeyPatch, request_of: Make, climbing: Climb
) -> None:
    world = World(monkeypatch, usual)
    world.kill_in_verify = 2.7e-3
    with pytest.raises(KeyboardInterrupt):
        climbing(request_of(first=True))
    world.kill_in_verify = None
    result = climbing(request_of(first=True))
    assert Gate.PASS == result.gate
    assert [3e-4, 9e-4, 2.7e-3] == world.trained
    assert [3e-4, 9e-4, 2.7e-3] == world.verified


def test_no_adapter_is_left_where_no_rate_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_of: Make, climbing: Climb
) -> None:
    World(monkeypatch, lambda rate: LITTLE if rate < 2e-3 else MUCH)
    result = climbing(request_of())
    assert (Gate.FAIL, None) == (result.gate, result.adapter)
    assert result.stopped == "there is no rate left to try"
    assert result.advice
    assert not (tmp_path / "adapter").exists()


def test_a_rate_that_diverges_is_gone_down_from(
    monkeypatch: pytest.MonkeyPatch, request_of: Make, climbing: Climb
) -> None:
    World(monkeypatch, lambda rate: LITTLE)
    result = climbing(request_of(rates=(5e-3, 5e-2)))
    assert [LITTLE, MUCH] == [r.end for r in result.rungs]
    assert "diverged" in result.rungs[1].why


@pytest.mark.parametrize("limit", [{"max_rungs": 2}, {"budget_minutes": 0.02}])
def test_the_search_keeps_within_its_limits(
    limit: dict[str, Any], monkeypatch: pytest.MonkeyPatch, request_of: Make, climbing: Climb
) -> None:
    """Every made-up rung takes a second: after the first, another would exceed 1.2 s."""
    world = World(monkeypatch, usual)
    result = climbing(request_of(**limit))
    assert limit.get("max_rungs", 1) == len(world.trained)
    assert "--max-rungs" in result.stopped or "--budget-minutes" in result.stopped
    assert Gate.FAIL == result.gate


def test_what_cannot_be_searched_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_of: Make, climbing: Climb
) -> None:
    world = World(monkeypatch, usual)
    for limits in ({"max_rungs": 0}, {"rates": (1e-3, -1.0)}, {"budget_minutes": -1.0}):
        with pytest.raises(ConfigError):
            climbing(request_of(**limits))
    (tmp_path / "adapter").mkdir()
    with pytest.raises(AlreadyExists):
        climbing(request_of())
    assert [] == world.trained
