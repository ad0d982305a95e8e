"""Models and adapters that cannot be used are a matter of setup, said before anything is loaded."""

from __future__ import annotations

import hashlib
import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from command_line import ROOT, loopllm
from factories import corrections_for, shifted_logs, write_jsonl

pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(find_spec("torch") is None, reason="needs the training extra"),
]
MODEL = ROOT / "sample_data" / "models" / "v1"


@pytest.fixture
def paired(project_dir: Path) -> Path:
    """Return a project with a drift run and pairs."""
    logs = shifted_logs(400, seed=1, refusal_after=0.9, topic=None)
    votes = corrections_for(r for r in logs if r["model"] == "m-2" and "sorry" in r["response"])
    write_jsonl(Path("logs.jsonl"), [*logs, *votes])
    loopllm("ingest", "logs.jsonl")
    loopllm("baseline", "create", "v1", "--model", "m-1", "--segment-by", "prompt_name")
    assert 10 == loopllm("drift", "--baseline", "v1").code
    assert 0 == loopllm("pairs", "--pairs-out", "pairs").code
    return project_dir


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (("tokenizer.json",), "no tokenizer"),
        (("chat_template.jinja",), "no chat template"),
        (("config.json",), "config.json"),
        (("model.safetensors",), "model.safetensors|weights"),
    ],
)
def test_a_model_folder_that_lacks_a_part_is_refused_by_its_name(
    paired: Path, missing: tuple[str, ...], said: str
) -> None:
    shutil.copytree(MODEL, "model")
    for name in missing:
        (Path("model") / name).unlink()
    result = loopllm("correct", "--model", "model", "--pairs", "pairs", "--adapter-out", "-q")
    assert 4 == result.code, result
    assert any(word in result.err for word in said.split("|")), result.err
    assert "Traceback" not in result.err


def test_a_model_that_is_nowhere_is_refused(paired: Path) -> None:
    result = loopllm("correct", "--model", "./nope", "--pairs", "pairs", "--adapter-out", "-q")
    assert 4 == result.code
    assert "no model folder at ./nope" in result.err


@pytest.mark.parametrize("weights", ["whole", "changed"])
def test_an_adapter_for_another_model_or_a_changed_one_is_refused(
    paired: Path, weights: str
) -> None:
    drift = next((paired / ".loopllm" / "drift").glob("*.json"))
    adapter = paired / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    lineage = {
        "drift_run_id": drift.stem,
        "pairs_path": str(paired / "pairs"),
        "pairs_hash": json.loads((paired / "pairs" / "card.json").read_text())["content_hash"],
        "adapter_sha256": "sha256:" + hashlib.sha256(weights.encode()).hexdigest(),
        "model": "another",
        "model_hash": "sha256:another",
    }
    if weights == "whole":
        from loopllm_cli.correct.model_files import file_sha256

        lineage["adapter_sha256"] = file_sha256(adapter / "adapter_model.safetensors")
    (adapter / "lineage.json").write_text(json.dumps(lineage))
    result = loopllm("verify", "adapter", "--model", str(MODEL), "-q")
    assert 4 == result.code, result
    said = "was made for 'another'" if weights == "whole" else "is not the file that"
    assert said in result.err
    assert 2 == len(result.err.splitlines())
