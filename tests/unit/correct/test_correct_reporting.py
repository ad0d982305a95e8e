"""Metrics go to the trackers that a recipe names, and nowhere else."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from micro import RECIPE

from loopllm_cli.correct.methods.reporting import reporting
from loopllm_cli.correct.recipe import Recipe, load_recipe
from loopllm_cli.correct.request import TrainRequest
from loopllm_cli.correct.train import build_adapter
from loopllm_cli.errors import ConfigError


def test_nothing_is_reported_unless_asked(tmp_path: Path) -> None:
    assert [] == reporting(Recipe(), tmp_path / "a.partial" / "checkpoints")["report_to"]


def test_tensorboard_writes_beside_the_adapter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run's own folder is removed when it ends."""
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", "")
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR")
    told = reporting(Recipe(report_to=("tensorboard",)), tmp_path / "a.partial" / "checkpoints")
    assert {"report_to": ["tensorboard"], "run_name": "a"} == told
    assert str(tmp_path / "a.runs") == os.environ["TENSORBOARD_LOGGING_DIR"]


def test_the_file_names_trackers(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('[correct]\nreport_to = ["mlflow", "wandb"]\n')
    assert ("mlflow", "wandb") == load_recipe(path).report_to


@pytest.mark.train
def test_a_tracker_gets_every_step(
    tmp_path: Path, micro_model: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import TrainerCallback
    from transformers.integrations import integration_utils

    steps: list[int] = []

    class Recorder(TrainerCallback):  # type: ignore[misc]  # transformers has no type stubs
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if "loss" in logs:
                steps.append(state.global_step)

    monkeypatch.setitem(integration_utils.INTEGRATION_TO_CALLBACK, "recorder", Recorder)
    recipe = replace(RECIPE, report_to=("recorder",))
    card = build_adapter(TrainRequest(str(micro_model), pairs, tmp_path / "out", recipe))
    assert list(range(1, card.n_steps + 1)) == steps


@pytest.mark.train
def test_an_unknown_tracker_is_refused(tmp_path: Path, micro_model: Path, pairs: Path) -> None:
    recipe = replace(RECIPE, report_to=("abacus",))
    with pytest.raises(ConfigError, match="abacus is not supported"):
        build_adapter(TrainRequest(str(micro_model), pairs, tmp_path / "out", recipe))
    assert not (tmp_path / "out").exists()
