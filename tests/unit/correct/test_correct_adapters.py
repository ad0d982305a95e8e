"""An adapter that is not whole, or belongs to another model, is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from micro import WEIGHTS, make_model

from loopllm_cli.correct.adapter_loading import load_with_adapter
from loopllm_cli.correct.generate import as_served
from loopllm_cli.correct.loading import load_model
from loopllm_cli.correct.model_files import file_sha256
from loopllm_cli.correct.score import kl_per_token
from loopllm_cli.errors import AdapterMismatch
from loopllm_cli.model import AdapterCard

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")


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

    @staticmethod
    def configure(adapter: Path, **changes: Any) -> None:
        """Change the configuration of an adapter whose lineage does not tell its hash."""
        for name, change in (("adapter_config.json", changes), ("lineage.json", {})):
            content = json.loads((adapter / name).read_text()) | change
            content.pop("adapter_config_sha256", None)
            (adapter / name).write_text(json.dumps(content))

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

    def test_a_changed_configuration(self, adapter: Path, micro_model: Path) -> None:
        """A configuration that scales the same weights otherwise is another adapter."""
        path = adapter / "adapter_config.json"
        config = json.loads(path.read_text())
        path.write_text(json.dumps({**config, "lora_alpha": 4 * config["lora_alpha"]}))
        assert "is not the file" in self.refusal(micro_model, adapter).message

    def test_another_base(self, adapter: Path, tmp_path: Path, tokenizer: Any) -> None:
        """A base with other weights is refused although the shapes fit."""
        make_model(tokenizer, seed=5).save_pretrained(tmp_path / "other")
        assert "was made for" in self.refusal(tmp_path / "other", adapter).message

    def test_other_shapes(self, adapter: Path, micro_model: Path) -> None:
        """A configuration that does not fit the weights is refused."""
        self.configure(adapter, r=2)
        assert "does not fit" in self.refusal(micro_model, adapter).message

    def test_other_layers(self, adapter: Path, micro_model: Path) -> None:
        """Weights for layers that the adapter's configuration does not name are refused."""
        self.configure(adapter, target_modules=["q_proj"])
        assert "other names" in self.refusal(micro_model, adapter).message


class TestServed:
    """What is served is another adapter, or the base."""

    @pytest.fixture
    def other(self, tmp_path: Path, trained: AdapterCard) -> Path:
        """Return an adapter on the same base that moves it the other way."""
        from safetensors.torch import load_file, save_file

        folder = Path(shutil.copytree(trained.path, tmp_path / "other"))
        weights = load_file(folder / WEIGHTS)
        turned = {k: -w if "lora_B" in k else w for k, w in weights.items()}
        save_file(turned, folder / WEIGHTS, metadata={"format": "pt"})
        lineage = json.loads((folder / "lineage.json").read_text())
        lineage["adapter_sha256"] = file_sha256(folder / WEIGHTS)
        (folder / "lineage.json").write_text(json.dumps(lineage))
        return folder

    @staticmethod
    def logits(model: Any) -> Any:
        """Return what a model says of some tokens."""
        with torch.no_grad():
            return model(input_ids=torch.tensor([[5, 6, 7, 8]])).logits

    def test_the_served_adapter_answers_in_place_of_the_base(
        self, other: Path, trained: AdapterCard, micro_model: Path
    ) -> None:
        """Switched to it, the model is as if it alone were loaded; then it is as before."""
        folder = Path(trained.path)
        alone = self.logits(load_with_adapter(str(micro_model), other, "cpu"))
        both = load_with_adapter(str(micro_model), folder, "cpu", other)
        own = self.logits(both)
        with as_served(both):
            served = self.logits(both)
        assert torch.equal(alone, served)
        assert not torch.equal(own, served)
        assert torch.equal(own, self.logits(both))
        assert torch.equal(own, self.logits(load_with_adapter(str(micro_model), folder, "cpu")))

    def test_without_one_the_base_answers(self, trained: AdapterCard, micro_model: Path) -> None:
        """Nothing is served but the model as it came."""
        model = load_with_adapter(str(micro_model), Path(trained.path), "cpu")
        with as_served(model):
            served = self.logits(model)
        assert torch.equal(served, self.logits(load_model(str(micro_model), "cpu")))

    def test_distances_are_from_what_is_served(
        self, other: Path, trained: AdapterCard, micro_model: Path, tokenizer: Any
    ) -> None:
        """An adapter is as far from itself as nothing, and pairs still compare with the base."""
        folder = Path(trained.path)
        chat = [[{"role": "user", "content": "order"}, {"role": "assistant", "content": "parcel"}]]
        same = load_with_adapter(str(micro_model), folder, "cpu", folder)
        apart = load_with_adapter(str(micro_model), folder, "cpu", other)
        assert kl_per_token(same, tokenizer, chat).mean == pytest.approx(0, abs=1e-7)
        assert kl_per_token(apart, tokenizer, chat).mean > 1e-4
