"""A process that is killed in the middle of a run loses steps, never the result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from micro import RECIPE

from loopllm_cli.correct import TrainRequest
from loopllm_cli.correct.train import build_adapter
from loopllm_cli.model import AdapterCard

pytestmark = [pytest.mark.train, pytest.mark.slow]
ROOT = Path(__file__).parents[3]


def die_at(step: int, model: Path, pairs: Path, out: Path) -> int:
    """Train in a process that kills itself, and return how it ended."""
    worker = Path(__file__).with_name("kill_worker.py")
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(worker), str(model), str(pairs), str(out), str(step)]
    return subprocess.run(command, env=env, capture_output=True, check=False).returncode


@pytest.mark.parametrize("steps", [(1,), (6,), (9, 14), (16,)])
def test_killed_at_any_step_the_same_call_ends_in_the_same_weights(
    steps: tuple[int, ...], tmp_path: Path, micro_model: Path, pairs: Path, trained: AdapterCard
) -> None:
    """Before the first checkpoint, right after one, twice, and at the last step."""
    out = tmp_path / "adapter"
    for step in steps:
        assert -signal.SIGKILL == die_at(step, micro_model, pairs, out)
        assert not out.exists()
    card = build_adapter(TrainRequest(str(micro_model), pairs, out, RECIPE))
    assert trained.adapter_hash == card.adapter_hash
    assert ["adapter"] == [path.name for path in tmp_path.iterdir()]
