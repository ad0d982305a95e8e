"""Models and adapters that cannot be used are refused, and nothing runs their code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from micro import make_model, make_tokenizer

from loopllm_cli.correct import extra, loading
from loopllm_cli.errors import MissingExtra, ModelUnusable, SetupError

pytestmark = pytest.mark.train


@pytest.fixture
def copy(tmp_path: Path, micro_model: Path) -> Path:
    """Return a copy of the micro model that a test may break."""
    return Path(shutil.copytree(micro_model, tmp_path / "model"))


def unusable(function: Any, model: Path | str) -> ModelUnusable:
    """Return what a loader says against a model."""
    with pytest.raises(ModelUnusable) as caught:
        function(str(model))
    assert caught.value.hint
    return caught.value


def test_the_model_loads_in_float32_on_the_cpu(micro_model: Path) -> None:
    """On the CPU the number format is float32 whatever the recipe says."""
    model = loading.load_model(str(micro_model), "cpu", "bfloat16")
    assert str(model.dtype) == "torch.float32"
    assert not model.training


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """A path with nothing behind it is never looked up on the hub."""
    for function in (loading.load_model, loading.load_tokenizer, loading.model_hash):
        assert "no model folder at" in unusable(function, tmp_path / "none").message


def test_a_folder_without_config_is_refused(copy: Path) -> None:
    """A folder without config.json is no model."""
    (copy / "config.json").unlink()
    assert "no config.json" in unusable(loading.load_model, copy).message
    assert "no config.json" in unusable(loading.model_hash, copy).message


def test_a_folder_without_tokenizer_is_refused(copy: Path) -> None:
    """Weights without a tokenizer cannot be used."""
    for path in copy.glob("tokenizer*"):
        path.unlink()
    assert "no tokenizer" in unusable(loading.load_tokenizer, copy).message


def test_a_tokenizer_without_chat_template_is_refused(tmp_path: Path) -> None:
    """Without a chat template a conversation cannot be rendered."""
    make_tokenizer(template=None).save_pretrained(tmp_path)
    assert "no chat template" in unusable(loading.load_tokenizer, tmp_path).message


def test_a_tokenizer_without_end_token_is_refused(tmp_path: Path) -> None:
    """Without an end token no answer ever stops."""
    make_tokenizer(eos=None).save_pretrained(tmp_path)
    assert "no end token" in unusable(loading.load_tokenizer, tmp_path).message


def test_a_model_that_needs_its_own_code_is_refused(copy: Path) -> None:
    """Code that comes with a model is never run."""
    config = json.loads((copy / "config.json").read_text())
    config |= {"model_type": "homemade", "auto_map": {"AutoConfig": "homemade.Config"}}
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "homemade.py").write_text("raise SystemExit('the code was run')")
    assert "running Python code" in unusable(loading.load_model, copy).message


def test_pickled_weights_are_refused(copy: Path) -> None:
    """Weights that can run code when loaded are refused with the way to convert them."""
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    said = unusable(loading.load_model, copy)
    assert "pickle" in said.message
    assert "save_pretrained" in said.hint


def test_missing_and_damaged_weights_are_refused(copy: Path) -> None:
    """Weights that are cut off, or not there, are refused."""
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:200])
    assert "cannot load" in unusable(loading.load_model, copy).message
    weights.unlink()
    assert "holds no *.safetensors" in unusable(loading.load_model, copy).message


def test_an_adapter_given_as_model_is_refused(copy: Path) -> None:
    """An adapter's folder is not taken for a model."""
    (copy / "adapter_config.json").write_text("{}")
    assert "is an adapter, not a model" in unusable(loading.load_model, copy).message


def test_an_unknown_device_is_refused() -> None:
    """A device that is not here is refused."""
    with pytest.raises(SetupError, match="not available"):
        loading.resolve_device("xla")


def test_the_model_hash_follows_the_weights(copy: Path, micro_model: Path, tokenizer: Any) -> None:
    """Equal files have equal hashes, and other weights another."""
    assert loading.model_hash(str(micro_model)) == loading.model_hash(str(copy))
    (copy / "notes.txt").write_text("not a part of the model")
    assert loading.model_hash(str(micro_model)) == loading.model_hash(str(copy))
    make_model(tokenizer, seed=1).save_pretrained(copy)
    assert loading.model_hash(str(micro_model)) != loading.model_hash(str(copy))


def test_stop_tokens_come_from_both_files(copy: Path, tokenizer: Any) -> None:
    """The generation settings may name further tokens that end an answer."""
    (copy / "generation_config.json").write_text(json.dumps({"eos_token_id": [1, 4]}))
    assert {1, 4} == loading.stop_token_ids(str(copy), tokenizer)
    (copy / "generation_config.json").unlink()
    assert {1} == loading.stop_token_ids(str(copy), tokenizer)


def test_a_missing_extra_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the training extra the command that installs it is named."""
    monkeypatch.setattr(extra, "find_spec", lambda name: None if name == "trl" else object())
    with pytest.raises(MissingExtra, match="not installed: trl") as caught:
        loading.load_tokenizer("anything")
    assert caught.value.hint == "pip install 'loopllm[train]'"
