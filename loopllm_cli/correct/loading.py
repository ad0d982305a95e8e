"""Load a tokenizer, a model, and a model with an adapter that was made for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from loopllm_cli.correct.extra import require_extra
from loopllm_cli.correct.model_files import (
    check_folder,
    file_sha256,
    hub_error,
    local_folder,
    model_hash,
)
from loopllm_cli.correct.quiet import quiet
from loopllm_cli.errors import AdapterMismatch, ModelUnusable, SetupError

__all__ = [
    "load_model", "load_tokenizer", "load_with_adapter", "model_hash", "resolve_device",
    "resolve_dtype", "stop_token_ids",
]  # fmt: skip

WEIGHTS = "adapter_model.safetensors"


def load_tokenizer(model: str) -> Any:
    """Load a tokenizer that can render conversations and knows how an answer ends.

    Raises:
        MissingExtra: the training extra is not installed.
        ModelUnusable: there is no tokenizer, chat template or end token.
    """
    require_extra()
    from transformers import AutoTokenizer

    folder = local_folder(model)
    if folder is not None and not _has_tokenizer(folder):
        raise ModelUnusable(
            f"{folder} has no tokenizer", "copy tokenizer.json and tokenizer_config.json into it"
        )
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(str(folder or model), trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise hub_error(model, error) from error
    if not tokenizer.chat_template:
        raise ModelUnusable(
            f"the tokenizer of {model} has no chat template",
            "save the template that the model is served with beside it, as chat_template.jinja",
        )
    if tokenizer.eos_token_id is None:
        raise ModelUnusable(
            f"the tokenizer of {model} has no end token",
            "set eos_token in tokenizer_config.json to the token that ends an answer",
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(model: str, device: str = "auto", dtype: str = "auto") -> Any:
    """Load a causal language model from safetensors, without running code that comes with it.

    Args:
        model: folder or hub name.
        device: "auto" (an accelerator when there is one), "cpu", "cuda", "mps".
        dtype: "auto" (bfloat16 where the accelerator has it), or a name. The CPU always computes
            in float32: half precision there is slow, and runs would no longer repeat exactly.

    Raises:
        MissingExtra: the training extra is not installed.
        ModelUnusable: the model cannot be found or loaded.
    """
    require_extra()
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    folder = local_folder(model)
    if folder is not None:
        check_folder(folder)
    place = resolve_device(device)
    try:
        with quiet():
            loaded = AutoModelForCausalLM.from_pretrained(
                str(folder or model),
                dtype=getattr(torch, resolve_dtype(place, dtype)),
                use_safetensors=True,
                trust_remote_code=False,
            )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise hub_error(model, error) from error
    return loaded.to(place).eval()


def load_with_adapter(model: str, adapter: Path, device: str = "auto", dtype: str = "auto") -> Any:
    """Load a model with an adapter on it, after making sure that they belong together.

    Raises:
        MissingExtra: the training extra is not installed.
        ModelUnusable: the model cannot be found or loaded.
        AdapterMismatch: the adapter is not whole, or was made for another model.
    """
    require_extra()
    check_adapter(model, adapter)
    from peft import PeftModel
    from peft.utils import get_peft_model_state_dict
    from safetensors import safe_open

    loaded = load_model(model, device, dtype)
    try:
        with quiet():
            wrapped = PeftModel.from_pretrained(loaded, str(adapter), is_trainable=False)
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise AdapterMismatch(
            f"{adapter} does not fit {model}: {str(error).strip().splitlines()[0]}",
            "load it on the model named in its lineage.json",
        ) from error
    with safe_open(str(adapter / WEIGHTS), framework="pt") as weights:
        in_file = set(weights.keys())
    # PEFT only warns about names it cannot place, and an adapter without weights does nothing.
    if in_file != set(get_peft_model_state_dict(wrapped)):
        raise AdapterMismatch(
            f"the weights in {adapter} have other names than the layers of {model}",
            "train the adapter again on this model",
        )
    return wrapped.eval()


def check_adapter(model: str, adapter: Path) -> None:
    """Refuse an adapter that is not whole, was changed, or was made for another model.

    Raises:
        AdapterMismatch: with the remedy.
    """
    again = "make the adapter again: loopllm correct"
    if not adapter.is_dir():
        raise AdapterMismatch(f"no adapter folder at {adapter}", "make one: loopllm correct")
    _read_json(adapter / "adapter_config.json", again)
    lineage = _read_json(adapter / "lineage.json", again)
    weights = adapter / WEIGHTS
    if not weights.is_file():
        raise AdapterMismatch(f"{adapter} has no {WEIGHTS}", again)
    if file_sha256(weights) != lineage.get("adapter_sha256"):
        raise AdapterMismatch(
            f"{weights} is not the file that lineage.json describes", f"copy it again, or {again}"
        )
    found = model_hash(model)
    if found != lineage.get("model_hash"):
        raise AdapterMismatch(
            f"{adapter} was made for {lineage.get('model')!r} ({_short(lineage)}), but {model} is "
            f"{found[:19]}",
            "give the model it was made for, or train an adapter for this one",
        )


def resolve_device(device: str) -> str:
    """Return the device to use; "auto" is an accelerator when there is one, else the CPU.

    Raises:
        SetupError: the named device is not there.
    """
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(device, False):
        raise SetupError(f"device {device!r} is not available here", 'use device = "auto"')
    return device


def resolve_dtype(device: str, dtype: str) -> str:
    """Return the number format to load in: always float32 on the CPU."""
    import torch

    if device == "cpu":
        return "float32"
    if dtype != "auto":
        return dtype
    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    return "float32"


def stop_token_ids(model: str, tokenizer: Any) -> set[int]:
    """Return every token that ends an answer: the tokenizer's and the generation settings'.

    Many chat models end a turn with a token of their own that only generation_config.json names.
    """
    require_extra()
    from transformers import GenerationConfig

    ids = {int(tokenizer.eos_token_id)}
    folder = local_folder(model)
    try:
        with quiet():
            settings = GenerationConfig.from_pretrained(str(folder or model))
    except (OSError, ValueError):
        return ids
    return ids | as_ids(settings.eos_token_id)


def as_ids(value: Any) -> set[int]:
    """Return token ids that may be written as None, one number or a list."""
    if value is None:
        return set()
    return {int(item) for item in value} if isinstance(value, list | tuple) else {int(value)}


def _has_tokenizer(folder: Path) -> bool:
    names = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
    return any((folder / name).is_file() for name in names)


def _read_json(path: Path, hint: str) -> dict[str, Any]:
    if not path.is_file():
        raise AdapterMismatch(f"{path.parent} has no {path.name}", hint)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise AdapterMismatch(f"{path} is not valid JSON: {error}", hint) from error
    if not isinstance(content, dict):
        raise AdapterMismatch(f"{path} does not hold a JSON object", hint)
    return content


def _short(lineage: dict[str, Any]) -> str:
    return str(lineage.get("model_hash", "no hash"))[:19]
