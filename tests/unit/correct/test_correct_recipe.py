"""A recipe is read whole or refused with the key that is wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loopllm_cli.correct import Recipe, load_recipe
from loopllm_cli.correct.card import recipe_toml
from loopllm_cli.errors import ConfigError

CONFIGS = Path(__file__).parents[3] / "configs"
# The other file there is a night, and holds no recipe.
RECIPES = sorted(path for path in CONFIGS.glob("*.toml") if path.stem != "nightly")


def test_no_file_gives_the_defaults() -> None:
    """Without a file and options the defaults hold."""
    assert load_recipe(None) == Recipe()


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_load_and_name_every_key(path: Path) -> None:
    """Every shipped recipe is valid and spells out every setting."""
    recipe = load_recipe(path)
    text = path.read_text()
    assert [key for key in recipe.as_dict() if f"\n{key} = " not in text] == []


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_setting_of_a_shipped_recipe_has_a_comment(path: Path) -> None:
    """Above every key stand four words or more, and every file says what it is for."""
    lines = path.read_text().splitlines()
    keys = [i for i, line in enumerate(lines) if re.match(r"\w+ = ", line)]
    said = {lines[i].split(" = ")[0]: _comment_above(lines, i) for i in keys}
    assert [key for key, text in said.items() if len(text.split()) < 4] == []
    assert len(_comment_above(lines, lines.index("[correct]") - 1).split()) >= 8


def _comment_above(lines: list[str], place: int) -> str:
    """Return the comment that ends on the line above."""
    start = place
    while start and lines[start - 1].startswith("# "):
        start -= 1
    return " ".join(line.removeprefix("# ") for line in lines[start:place])


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_names_every_key_it_changes(path: Path) -> None:
    """The head of a recipe lists the keys in which it differs from the default."""
    if path.stem == "default":
        return
    recipe, default = load_recipe(path).as_dict(), Recipe().as_dict()
    head = path.read_text().split("[correct]")[0]
    named = re.search(r"Differs from default\.toml in ([^.]*)\.", head.replace("\n# ", " "))
    assert named is not None
    changed = {key for key, value in recipe.items() if value != default[key]}
    assert changed == set(re.findall(r"[a-z_]+", named[1].replace(" and ", " ")))


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
        ("quantization = '8bit'", "quantization = '8bit'", "4bit"),
        ("micro_batch_size = 'all'", "micro_batch_size = 'all'", "of type int"),
        ("label_smoothing = 0.5", "label_smoothing = 0.5", "0.499"),
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


ROBUST = "loss_type = ['robust', 'sft']\n"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("label_smoothing = 0.1", "read by none of the losses sigmoid, sft", "robust, cdpo"),
        (ROBUST, "the loss robust needs the share of mistaken labels", "or use sigmoid"),
        ("loss_type = ['exo_pair', 'sft']", "the loss exo_pair needs", "label_smoothing"),
        ("loss_type = ['robust', 'sft']\nloss_weights = [0, 1]\nlabel_smoothing = 0.1",
         "read by none of the losses sft", "set it to 0"),
        ("loss_type = ['aot', 'sft']\nmicro_batch_size = 1", "aot compares", "use sigmoid"),
        ("loss_type = ['apo_down', 'sft']", "apo_down lowers the better answers", "apo_zero"),
        ("method = 'kto'\nmicro_batch_size = 1", "kto compares each answer", "2 or more"),
        ("method = 'kto'\nloss_type = ['kto', 'apo_zero_unpaired']", "one loss, not 2", "kto, apo"),
        ("method = 'kto'\nloss_type = ['sigmoid']\nloss_weights = [1]", "'sigmoid'", "known: kto"),
        ("method = 'sft'\nloss_type = ['sigmoid', 'sft']", "'sigmoid'", "known: sft, dft"),
        ("loss_type = ['kto', 'sft']", "loss_type = 'kto'", "known: sigmoid"),
        ("min_vote_weight = 0.0", "read by method kto only", "min_vote_weight back to 0.5"),
        ("method = 'sft'\nmix_pairs = false", "mix_pairs = False", "kto"),
        ("method = 'kto'\nmix_pairs = false\ncorrections_only = true", "leaves them out", "back"),
        ("method = 'sft'\nbatching = 'balanced'", "works with method dpo only", "random"),
    ],
)  # fmt: skip
def test_settings_that_would_be_ignored_are_refused(
    tmp_path: Path, text: str, message: str, hint: str
) -> None:
    """What TRL would not read, or what would do harm together, is refused with the reason."""
    path = tmp_path / "recipe.toml"
    path.write_text(f"[correct]\n{text}\n")
    with pytest.raises(ConfigError) as caught:
        load_recipe(path)
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("method", "losses"), [("kto", ("kto",)), ("sft", ("sft",)), ("dpo", ("sigmoid", "sft"))]
)
def test_a_method_brings_its_losses(tmp_path: Path, method: str, losses: tuple[str, ...]) -> None:
    """Whoever names a method only, in the file or as an option over a file, gets its losses."""
    path = tmp_path / "recipe.toml"
    path.write_text(f"[correct]\nmethod = '{method}'\n")
    assert load_recipe(path).loss_type == losses
    path.write_text("[correct]\nmethod = 'sft'\nloss_type = ['dft']\nloss_weights = [1]\n")
    recipe = load_recipe(path, {"method": method})
    assert recipe.loss_type == (("dft",) if method == "sft" else losses)
    assert len(recipe.loss_weights) == len(recipe.loss_type)


def test_keys_left_to_the_hardware_are_remembered(tmp_path: Path) -> None:
    """ "auto" keeps the type of a key, is written back as it was read, and ends with a value."""
    text = "[correct]\nmicro_batch_size = 'auto'\ngradient_checkpointing = 'auto'\n"
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    recipe = load_recipe(path)
    assert recipe.auto == ("gradient_checkpointing", "micro_batch_size")
    assert recipe.micro_batch_size == Recipe().micro_batch_size
    path.write_text(recipe_toml(recipe))
    assert recipe == load_recipe(path)
    assert load_recipe(path, {"micro_batch_size": 4}).auto == ("gradient_checkpointing",)


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
