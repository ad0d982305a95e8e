"""Every shipped recipe trains an adapter from start to end."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest
from micro import good_pairs, liked, vote, write_provenance, write_rows, write_votes

from loopllm_cli.correct import TrainRequest, load_recipe
from loopllm_cli.correct.train import build_adapter

pytestmark = pytest.mark.train

CONFIGS = Path(__file__).parents[3] / "configs"
# The other file there is a night, and holds no recipe.
RECIPES = sorted(path for path in CONFIGS.glob("*.toml") if path.stem != "nightly")
# What depends on the machine, and as few steps as there can be.
SMALL = {"threads": 1, "epochs": 0.1, "batch_size": 16, "gradient_checkpointing": False,
         "device": "cpu", "learning_rate": 1e-2, "warmup": 0.0}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a pairs folder that every method finds its rows in."""
    made = tmp_path_factory.mktemp("presets")
    columns = ("prompt", "chosen", "rejected")
    write_rows(made / "data" / "train.parquet", good_pairs(48), columns)
    write_rows(made / "data" / "test.parquet", good_pairs(4, 100), columns)
    write_rows(made / "data" / "retention.parquet", liked(40), columns[:2])
    votes = [vote(f"thumb {i}?", f"it is {i}", i % 2 == 0) for i in range(24)]
    write_votes(made / "data" / "unpaired.parquet", votes)
    write_provenance(made, [("train", "correction"), ("train", "comparison")] * 24)
    (made / "card.json").write_text(json.dumps({"content_hash": "sha256:pairs"}))
    return made


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_preset_trains_an_adapter(
    path: Path, folder: Path, micro_model: Path, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    recipe = load_recipe(path, SMALL)
    request = TrainRequest(str(micro_model), folder, tmp_path / "adapter", recipe)
    card = build_adapter(request)
    n_pairs = 24 if recipe.corrections_only else 48
    n_own = 24 + 2 * n_pairs if recipe.method == "kto" else n_pairs
    assert (card.method, card.n_train) == (recipe.method, n_own)
    assert card.n_steps >= 1
    assert card.final_metrics["adapter_effect"] > 0
    written = load_recipe(tmp_path / "adapter" / "recipe.toml")
    assert () == written.auto
    for name in (field.name for field in fields(recipe) if field.name not in recipe.auto):
        left_open = name == "auto" or getattr(recipe, name) == "auto"
        assert left_open or getattr(recipe, name) == getattr(written, name)
    assert [str(one.message) for one in recwarn] == []
