"""Merging an adapter, serving it, and loading it without loopllm."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from loopllm_cli.correct.serving import check_serving
from loopllm_cli.errors import AlreadyExists, ModelUnusable
from loopllm_cli.model import AdapterCard

pytestmark = pytest.mark.train

LOAD = """
import sys
from peft import PeftModel
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
import torch
ids = torch.tensor([[5, 6, 7, 8]])
with torch.no_grad():
    base = model(input_ids=ids).logits.clone()
    both = PeftModel.from_pretrained(model, sys.argv[2])(input_ids=ids).logits
    merged = AutoModelForCausalLM.from_pretrained(sys.argv[3])(input_ids=ids).logits
assert not any(name.startswith("loopllm") for name in sys.modules)
print(float((both - base).abs().max()), float((merged - both).abs().max()))
"""


def test_a_merged_model_answers_like_base_and_adapter_in_plain_transformers(
    trained: AdapterCard, micro_model: Path, tmp_path: Path
) -> None:
    from loopllm_cli.correct.merging import merge_adapter

    out = tmp_path / "merged"
    done = merge_adapter(Path(trained.path), str(micro_model), out)

    said = subprocess.run(
        [sys.executable, "-c", LOAD, str(micro_model), trained.path, str(out)],
        capture_output=True, text=True, check=True, timeout=120,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""},
    )  # fmt: skip
    effect, difference = map(float, said.stdout.split())
    assert effect > 0.01
    assert difference < 1e-3 * effect
    assert done.difference <= done.tolerance
    assert {"config.json", "tokenizer.json", "lineage.json", "README.md"} <= {
        path.name for path in out.iterdir()
    }
    assert "chat_template.jinja" in {path.name for path in out.iterdir()}
    with pytest.raises(AlreadyExists):
        merge_adapter(Path(trained.path), str(micro_model), out)


def test_merging_into_a_quantised_base_is_refused(
    trained: AdapterCard, micro_model: Path, tmp_path: Path
) -> None:
    from loopllm_cli.correct.merging import merge_adapter

    base = tmp_path / "quantised"
    shutil.copytree(micro_model, base)
    config = json.loads((base / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (base / "config.json").write_text(json.dumps(config))

    with pytest.raises(ModelUnusable, match="quantised"):
        merge_adapter(Path(trained.path), str(base), tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_what_we_train_can_be_served_with_the_smallest_rank_option(trained: AdapterCard) -> None:
    found = check_serving(Path(trained.path))

    assert (True, 8, ()) == (found.fits, found.max_lora_rank, found.problems)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"bias": "all"}, "biases"),
        ({"r": 513}, "rank 513"),
        ({"rank_pattern": {"q_proj": 4}}, "rank_pattern"),
        ({"peft_type": "LOHA"}, "LOHA"),
    ],
)
def test_what_the_server_would_refuse_is_said(
    trained: AdapterCard, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(trained.path, folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, **change}))

    found = check_serving(folder)

    assert not found.fits
    assert said in " ".join(found.problems)
