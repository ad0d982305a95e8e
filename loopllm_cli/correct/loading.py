"""Load a tokenizer and a model."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from loopllm_cli.correct.extra import require_extra
from loopllm_cli.correct.model_files import (
    check_folder,
    hub_error,
    local_folder,
    model_hash,
)
from loopllm_cli.correct.quiet import quiet
from loopllm_cli.errors import ModelUnusable, SetupError

__all__ = [
    "load_model", "load_tokenizer", "model_hash", "resolve_device",
    "resolve_dtype", "stop_token_ids",
]  # fmt: skip


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


def load_model(
    model: str,
    device: str = "auto",
    dtype: str = "auto",
    attention: str = "auto",
    quantization: str = "none",
) -> Any:
    """Load a causal language model from safetensors, without running code that comes with it.

    Args:
        model: folder or hub name.
        device: "auto" (an accelerator when there is one), "cpu", "cuda", "mps".
        dtype: "auto" (bfloat16 where the accelerator has it), or a name. The CPU always computes
            in float32: half precision there is slow, and runs would no longer repeat exactly.
        attention: an implementation that transformers knows; "auto" leaves it to transformers.
        quantization: "4bit" stores the weights in four bits (NF4, computed in `dtype`).

    Raises:
        MissingExtra: the training extra is not installed.
        ModelUnusable: the model cannot be found or loaded, or not in this way.
    """
    require_extra()
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    folder = local_folder(model)
    if folder is not None:
        check_folder(folder)
    place = resolve_device(device)
    number = getattr(torch, resolve_dtype(place, dtype))
    options: dict[str, Any] = {}
    if attention != "auto":
        options["attn_implementation"] = attention
    if quantization == "4bit":
        options |= {"quantization_config": _four_bits(place, number), "device_map": {"": place}}
    try:
        with quiet():
            loaded = AutoModelForCausalLM.from_pretrained(
                str(folder or model),
                dtype=number,
                use_safetensors=True,
                trust_remote_code=False,
                **options,
            )
    except ImportError as error:
        raise ModelUnusable(
            f"attention = {attention!r} needs a package that is not installed",
            'set attention = "auto" in the recipe, or install it',
        ) from error
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise hub_error(model, error) from error
    return (loaded if quantization == "4bit" else loaded.to(place)).eval()


def refuse_quantization(place: str, quantization: str) -> None:
    """Refuse to store weights in four bits where that cannot be done.

    Raises:
        ModelUnusable: the device or the package for it is missing.
    """
    if quantization == "4bit" and (place != "cuda" or find_spec("bitsandbytes") is None):
        raise ModelUnusable(
            'quantization = "4bit" needs a CUDA card and bitsandbytes',
            'pip install bitsandbytes, or set quantization = "none" in the recipe',
        )


def _four_bits(place: str, dtype: Any) -> Any:
    """Return the storage of QLoRA (Dettmers et al. 2023, arXiv 2305.14314, section 3)."""
    refuse_quantization(place, "4bit")
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
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
