"""Two processes train what one trains, one of them writes; the benchmark runs or says why not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from micro import RECIPE

from loopllm_cli.correct.card import recipe_toml
from loopllm_cli.correct.methods.arguments import accumulation
from loopllm_cli.correct.processes import is_main, wait_for_all, world_size
from loopllm_cli.correct.request import TrainRequest
from loopllm_cli.correct.train import build_adapter
from loopllm_cli.errors import ConfigError

ROOT = Path(__file__).parents[3]


def test_a_process_that_nobody_launched_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    wait_for_all()
    assert (1, True) == (world_size(), is_main())


def test_one_of_four_launched_processes_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    found = []
    for rank in range(4):
        monkeypatch.setenv("RANK", str(rank))
        found.append((world_size(), is_main()))
    assert [(4, True), (4, False), (4, False), (4, False)] == found


def run(command: list[str], timeout: int = 400) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
    )


@pytest.mark.train
@pytest.mark.slow
def test_two_processes_train_the_same_adapter_as_one(tmp_path: Path) -> None:
    results: list[dict[str, Any]] = []
    for n in (1, 2):
        folder = tmp_path / str(n)
        folder.mkdir()
        worker = str(Path(__file__).with_name("process_worker.py"))
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        done = run([*launch, "--nproc-per-node", str(n), worker, str(folder)])
        assert done.returncode == 0, done.stderr
        results.append(json.loads((folder / "result.json").read_text()))
    one, two = results
    assert (1, 2) == (one["processes"], two["processes"])
    assert (8, 8) == (one["steps"], two["steps"])
    assert (32, 32) == (one["computed"], two["computed"])
    # Sums are taken in another order; measured 2.7e-7 on weights up to 0.2.
    assert two["weights"] == pytest.approx(one["weights"], abs=1e-5)
    assert max(map(abs, one["weights"])) > 0.1


@pytest.mark.train
@pytest.mark.slow
def test_the_same_command_trains_in_two_processes(
    tmp_path: Path, micro_model: Path, pairs: Path
) -> None:
    """One of them speaks and writes."""
    recipe_file = recipe_toml(replace(RECIPE, micro_batch_size=2))
    (tmp_path / "recipe.toml").write_text(recipe_file, encoding="utf-8")
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    cards = []
    for name, before in (("one", ()), ("two", (*launch, "-m"))):
        module = ("loopllm_cli",) if before else ("-m", "loopllm_cli")
        options = ("--model", str(micro_model), "--pairs", str(pairs), "--project", str(tmp_path))
        written = ("--adapter-out", str(tmp_path / name), "--json")
        recipe = ("--recipe", str(tmp_path / "recipe.toml"))
        done = run([sys.executable, *before, *module, "correct", *options, *recipe, *written])
        assert done.returncode == 0, done.stderr
        cards.append(json.loads(done.stdout))
    one, two = cards
    assert one["n_steps"] == two["n_steps"]
    assert one["final_metrics"]["test_accuracy"] == two["final_metrics"]["test_accuracy"]
    assert not (tmp_path / "two.partial").exists()


@pytest.mark.train
def test_sharded_weights_are_refused(
    tmp_path: Path, micro_model: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ConfigError, match="FSDP shards the weights"):
        build_adapter(TrainRequest(str(micro_model), pairs, tmp_path / "out", RECIPE))


def test_a_batch_that_processes_cannot_share_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ConfigError, match="cannot be shared by 3 processes"):
        accumulation(replace(RECIPE, batch_size=16, micro_batch_size=2))


@pytest.mark.train
def test_real_shapes_are_refused_without_a_card() -> None:
    torch = pytest.importorskip("torch", reason="needs the training extra")
    if torch.cuda.is_available():
        pytest.skip("there is a card")
    done = run([sys.executable, "scripts/bench_correct.py", "--shapes", "8b"])
    assert (2, "") == (done.returncode, done.stdout)
    assert "8b need a CUDA card" in done.stderr


@pytest.mark.train
@pytest.mark.slow
def test_the_benchmark_measures_both_sides(tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    command = [sys.executable, "scripts/bench_correct.py", "--shapes", "micro"]
    done = run([*command, "--pairs", "16", "--median", "40", "--json", str(out)])
    assert done.returncode == 0, done.stderr
    found = {row["side"]: row["runs"][0] for row in json.loads(out.read_text())}
    assert {"ours", "trl"} == set(found)
    assert found["ours"]["n_steps"] == found["trl"]["n_steps"] == 1
    assert all(run["tokens_per_second"] > 0 and run["peak_bytes"] > 0 for run in found.values())
