"""Check an adapter against what servers that apply LoRA at run time accept.

Must not import: torch and its relatives (the file's header is read as plain bytes).

Source: vLLM, `vllm/lora/peft_helper.py` (no DoRA, no modules_to_save, bias "none", rank at most
max_lora_rank; the scale is lora_alpha / r, so patterns per layer are not seen) and
`vllm/config/lora.py` (the values of max_lora_rank) at commit 01230b4 of
https://github.com/vllm-project/vllm, the series before v0.12.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from loopllm_cli.model import ServingCheck

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
# The linear layers of Llama, Mistral, Qwen and Gemma, which vLLM packs and serves with LoRA.
_USUAL = frozenset(
    {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
)  # fmt: skip
_MOST_HEADER = 64 << 20
# Settings that change what an adapter does and that the server does not read.
_UNSERVED = {
    "use_dora": "DoRA",
    "modules_to_save": "whole layers saved (modules_to_save)",
    "rank_pattern": "a rank per layer (rank_pattern)",
    "alpha_pattern": "an alpha per layer (alpha_pattern)",
    "lora_bias": "biases in the adapter (lora_bias)",
    "layer_replication": "replicated layers (layer_replication)",
    "target_parameters": "adapted parameters (target_parameters)",
    "trainable_token_indices": "trained tokens (trainable_token_indices)",
}


def check_serving(adapter: Path) -> ServingCheck:
    """Say whether vLLM can serve an adapter, from its settings and the names of its weights."""
    try:
        config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
        names = weight_names(adapter / "adapter_model.safetensors")
    except (OSError, ValueError) as error:
        return ServingCheck(False, None, (f"cannot be read: {error}",))
    if not isinstance(config, dict):
        return ServingCheck(False, None, ("adapter_config.json holds no JSON object",))
    problems, rank = _check_config(config)
    odd = [one for one in names if not one.endswith(("lora_A.weight", "lora_B.weight"))]
    if odd:
        problems.append(f"{len(odd)} weights are no LoRA matrices ({odd[0]})")
    if not names:
        problems.append("holds no weights")
    layers = {name.split(".")[-3] for name in names if name.count(".") >= 3} - _USUAL
    notes = [f"whether {layer} is served depends on the architecture" for layer in sorted(layers)]
    return ServingCheck(not problems, rank, tuple(problems), tuple(notes))


def weight_names(path: Path) -> list[str]:
    """Return the names of the tensors in a safetensors file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no safetensors file, or is cut short.
    """
    with path.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        if not 0 < size <= min(_MOST_HEADER, path.stat().st_size - 8):
            raise ValueError(f"{path.name} is no safetensors file, or cut short")
        header = json.loads(stream.read(size))
    if not isinstance(header, dict):
        raise ValueError(f"{path.name} has no header")
    return sorted(set(header) - {"__metadata__"})


def _check_config(config: dict[str, Any]) -> tuple[list[str], int | None]:
    problems = [f"has {said}" for name, said in _UNSERVED.items() if config.get(name)]
    if config.get("peft_type") != "LORA":
        problems.append(f"is of type {config.get('peft_type')!r}, not LORA")
    if config.get("bias", "none") != "none":
        problems.append(f"trains biases (bias = {config['bias']!r})")
    rank = config.get("r")
    enough = [one for one in RANKS if isinstance(rank, int) and 0 < rank <= one]
    if not enough:
        problems.append(f"has rank {rank!r}; served are 1 to {RANKS[-1]}")
    return problems, enough[0] if enough else None
