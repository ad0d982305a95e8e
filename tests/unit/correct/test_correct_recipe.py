"""A recipe is read whole or refused with the key that is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loopllm_cli.correct import Recipe, load_recipe
from loopllm_cli.correct.card import recipe_toml
from loopllm_cli.errors import ConfigError

CONFIGS = Path(__file__).parents[3] / "configs"


def test_no_file_gives_the_defaults() -> None:
    """Without a file and options the defaults hold."""
    assert load_recipe(None) == Recipe()


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_recipes_load_and_name_every_key(path: Path) -> None:
    """Every shipped recipe is valid and spells out every setting."""
    recipe = load_recipe(path)
    text = path.read_text()
    assert [key for key in recipe.as_dict() if f"\n{key} = " not in text] == []


def test_default_file_equals_the_defaults() -> None:
    """The default recipe file says what the code does without it."""
    assert load_recipe(CONFIGS / "default.toml") == Recipe()


def test_options_win_over_the_file(tmp_path: Path) -> None:
    """An override replaces the file's value and None does not."""
    path = tmp_path / "recipe.toml"
    path.write_text("[correct]\nseed = 3\nrank = 4\n")
    recipe = load_recipe(path, {"seed": 7, "rank": None})
    assert (recipe.seed, recipe.rank) == (7, 4)


def test_written_recipe_reads_back(tmp_path: Path) -> None:
    """The recipe beside an adapter gives the recipe it was trained with."""
    recipe = load_recipe(None, {"learning_rate": 2.5e-5, "target_modules": ["q_proj", "v_proj"]})
    path = tmp_path / "recipe.toml"
    path.write_text(recipe_toml(recipe))
    assert recipe == load_recipe(path)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("learning_rat = 1e-3", "unknown key 'learning_rat'", "'learning_rate'"),
        ("zzz = 1", "unknown key 'zzz'", "known keys: method"),
        ("epochs = '3'", "epochs = '3'", "of type float"),
        ("rank = 8.5", "rank = 8.5", "of type int"),
        ("rank = true", "rank = True", "of type int"),
        ("gradient_checkpointing = 1", "gradient_checkpointing = 1", "of type bool"),
        ("loss_type = [1, 2]", "loss_type = 1", "of type str"),
        ("loss_type = ['sigmoyd', 'sft']", "loss_type = 'sigmoyd'", "'sigmoid'"),
        ("loss_type = ['sigmoid']", "1 losses but 2 weights", "one number per"),
        ("loss_type = []\nloss_weights = []", "is empty", "name at least one"),
        ("loss_weights = [1, -1]", "loss_weights = [1.0, -1.0]", "negative"),
        ("loss_weights = [0, 0]", "loss_weights = [0.0, 0.0]", "positive"),
        ("learning_rate = 0", "learning_rate = 0.0", "(0.0, 1.0]"),
        ("learning_rate = nan", "learning_rate = nan", "(0.0, 1.0]"),
        ("micro_batch_size = 3", "not a multiple", "whole micro batches"),
        ("method = 'ppo'", "method = 'ppo'", "'dpo'"),
        ("device = 'tpu'", "device = 'tpu'", "known: auto"),
        ("target_modules = ['lm_head']", "lm_head", "never be trained"),
    ],
)
def test_wrong_values_are_refused(tmp_path: Path, text: str, message: str, hint: str) -> None:
    """A wrong key, type, name or range is refused with the place and a remedy."""
    path = tmp_path / "recipe.toml"
    path.write_text(f"[correct]\n{text}\n")
    with pytest.raises(ConfigError) as caught:
        load_recipe(path)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert str(path) in caught.value.message


@pytest.mark.parametrize("text", ["[correct", "[other]\nx = 1\n"])
def test_unreadable_files_are_refused(tmp_path: Path, text: str) -> None:
    """A file that is no TOML, or lacks the table, is refused."""
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"recipe\.toml"):
        load_recipe(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A recipe that is not there is refused."""
    with pytest.raises(ConfigError, match="cannot read the recipe"):
        load_recipe(tmp_path / "none.toml")


def test_importing_the_room_imports_no_torch() -> None:
    """The entry modules can be imported without the training extra."""
    heavy: Any = ("torch", "transformers", "trl", "peft", "datasets", "pandas", "typer", "rich")
    names = ("train", "loading", "preflight", "generate", "score")
    code = "import sys\n" + "".join(f"import loopllm_cli.correct.{name}\n" for name in names)
    code += f"print([name for name in {heavy!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
