"""An adapter that is not whole, or belongs to another model, is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from micro import WEIGHTS, make_model

from loopllm_cli.correct.loading import load_with_adapter
from loopllm_cli.errors import AdapterMismatch
from loopllm_cli.model import AdapterCard

pytestmark = pytest.mark.train


class TestMismatch:
    """An adapter that is not whole, or belongs to another model, is refused."""

    @pytest.fixture
    def adapter(self, tmp_path: Path, trained: AdapterCard) -> Path:
        """Return a copy of the adapter that a test may break."""
        return Path(shutil.copytree(trained.path, tmp_path / "adapter"))

    def refusal(self, model: Path, adapter: Path) -> AdapterMismatch:
        """Return what the loader says against an adapter."""
        with pytest.raises(AdapterMismatch) as caught:
            load_with_adapter(str(model), adapter, "cpu")
        assert caught.value.hint
        return caught.value

    @pytest.mark.parametrize("name", ["adapter_config.json", "lineage.json", WEIGHTS])
    def test_a_missing_file(self, adapter: Path, micro_model: Path, name: str) -> None:
        """Each part is needed."""
        (adapter / name).unlink()
        assert name in self.refusal(micro_model, adapter).message

    def test_a_missing_folder(self, tmp_path: Path, micro_model: Path) -> None:
        """A path with nothing behind it is refused."""
        assert "no adapter folder" in self.refusal(micro_model, tmp_path / "none").message

    def test_a_cut_configuration(self, adapter: Path, micro_model: Path) -> None:
        """A configuration that is cut off is refused."""
        (adapter / "adapter_config.json").write_text('{"r": ')
        assert "not valid JSON" in self.refusal(micro_model, adapter).message

    def test_changed_weights(self, adapter: Path, micro_model: Path) -> None:
        """Weights that are not those of the lineage are refused."""
        weights = adapter / WEIGHTS
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
        assert "is not the file" in self.refusal(micro_model, adapter).message

    def test_another_base(self, adapter: Path, tmp_path: Path, tokenizer: Any) -> None:
        """A base with other weights is refused although the shapes fit."""
        make_model(tokenizer, seed=5).save_pretrained(tmp_path / "other")
        assert "was made for" in self.refusal(tmp_path / "other", adapter).message

    def test_other_shapes(self, adapter: Path, micro_model: Path) -> None:
        """A configuration that does not fit the weights is refused."""
        config = json.loads((adapter / "adapter_config.json").read_text())
        (adapter / "adapter_config.json").write_text(json.dumps(config | {"r": 2}))
        assert "does not fit" in self.refusal(micro_model, adapter).message

    def test_other_layers(self, adapter: Path, micro_model: Path) -> None:
        """Weights for layers that the adapter's configuration does not name are refused."""
        config = json.loads((adapter / "adapter_config.json").read_text())
        config["target_modules"] = ["q_proj"]
        (adapter / "adapter_config.json").write_text(json.dumps(config))
        assert "other names" in self.refusal(micro_model, adapter).message
