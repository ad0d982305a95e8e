"""`loopllm correct`: options that do not belong together, plans, searches, and how they end."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from command_line import ROOT, loopllm
from factories import corrections_for, shifted_logs, write_jsonl

from loopllm_cli.model import AdapterCard, Gate, LadderResult, Rung, RungEnd

MODEL = str(ROOT / "sample_data" / "models" / "v2")
RECIPE = str(ROOT / "configs" / "tiny.toml")
needs_training = pytest.mark.skipif(find_spec("torch") is None, reason="needs the training extra")


@pytest.fixture
def paired(project_dir: Path) -> Path:
    """Return a project with a drift run and pairs."""
    logs = shifted_logs(400, seed=1, refusal_after=0.9, topic=None)
    votes = corrections_for(r for r in logs if r["model"] == "m-2" and "sorry" in r["response"])
    write_jsonl(Path("logs.jsonl"), [*logs, *votes])
    loopllm("ingest", "logs.jsonl")
    loopllm("baseline", "create", "v1", "--model", "m-1", "--segment-by", "prompt_name")
    assert 10 == loopllm("drift", "--baseline", "v1").code
    assert 0 == loopllm("pairs", "--pairs-out", "pairs").code
    return project_dir


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--rates", "1e-4"), "--rates belongs to --auto"),
        (("--first",), "--first belongs to --auto"),
        (("--budget-minutes", "5"), "--budget-minutes belongs to --auto"),
        (("--auto", "--rates", "fast"), "no list of numbers"),
        (("--auto", "--rates", ""), "no list of numbers"),
        (("--auto", "--max-rungs", "0"), "at least one rung"),
        (("--auto", "--rates", "2"), "up to 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    project_dir: Path, options: tuple[str, ...], said: str
) -> None:
    result = loopllm("correct", "--model", MODEL, *options, "-q")
    assert 2 == result.code, result
    assert said in result.err


@pytest.mark.train
@needs_training
def test_a_dry_run_prints_what_would_happen_and_writes_nothing(paired: Path) -> None:
    before = sorted(path.name for path in (paired / ".loopllm").iterdir())
    asked = ("correct", "--model", MODEL, "--pairs", "pairs", "--recipe", RECIPE, "--dry-run")
    result = loopllm(*asked, "--adapter-out", "adapter")
    assert 0 == result.code, result
    for part in ("would train", "held out", "context median", "dtype = float32", "of memory"):
        assert part in result.out
    assert all(len(line) <= 80 for line in result.out.splitlines())
    assert before == sorted(path.name for path in (paired / ".loopllm").iterdir())
    assert not list(paired.glob("adapter*"))
    plan = json.loads(loopllm(*asked, "--json").out)
    assert "loopllm.training-plan/1" == plan["schema"]
    assert sum(plan["memory"].values()) == plan["peak_bytes"]
    assert 0 < plan["n_steps"]


@pytest.mark.train
@needs_training
def test_a_dry_run_refuses_what_training_would_refuse(paired: Path) -> None:
    result = loopllm("correct", "--model", "./nope", "--pairs", "pairs", "--dry-run", "-q")
    assert 4 == result.code
    assert "no model folder at ./nope" in result.err


def ladder(gate: Gate, ends: tuple[RungEnd, ...]) -> LadderResult:
    """Return the result of a search."""
    rungs = tuple(
        Rung(3e-4 * 3**i, end, "right answer: 40% is \x1b[31mback", "f", 60.0, 0.001, 0.9, 0.4, 1.0)
        for i, end in enumerate(ends)
    )
    card = AdapterCard(
        "adapter", "m", "h", "p", "p", "v1", "d", "dpo", 1, 1, 1.0, "cpu", {}, {}, "hash", {}
    )
    won = gate is Gate.PASS
    return LadderResult(
        "id", "m", "p", gate, rungs, "there is no rate left", 60.0 * len(rungs),
        () if won else ("collect more pairs",), card if won else None, 3e-4 if won else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("gate", "ends", "code"),
    [
        (Gate.PASS, (RungEnd.TOO_LITTLE, RungEnd.PASSED), 0),
        (Gate.FAIL, (RungEnd.TOO_LITTLE, RungEnd.TOO_MUCH), 11),
        (Gate.INCONCLUSIVE, (RungEnd.UNCLEAR,), 12),
    ],
)
def test_a_search_prints_every_rung_and_ends_in_its_code(
    project_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    gate: Gate,
    ends: tuple[RungEnd, ...],
    code: int,
) -> None:
    from loopllm_cli.loop import ladder as module

    def found(*asked: Any) -> LadderResult:
        return ladder(gate, ends)

    monkeypatch.setattr(module, "climb", found)
    result = loopllm("correct", "--model", MODEL, "--auto")
    assert code == result.code, result
    assert "\x1b[31m" not in result.out
    assert all(len(line) <= 80 for line in result.out.splitlines())
    for end in ends:
        assert end.value in result.out
    assert ("collect more pairs" in result.out) is (gate is not Gate.PASS)
    document = json.loads(loopllm("correct", "--model", MODEL, "--auto", "--json").out)
    assert "loopllm.ladder/1" == document["schema"]
    assert [end.value for end in ends] == [r["end"] for r in document["rungs"]]
